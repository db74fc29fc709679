//! The readout: energies of atoms, and the gradient with which the backward pass begins.

use super::atomwise::{BlockSlice, StridedRows, Tile, each};
use super::gemm::Products;
use super::lane::{Real, silu, silu_slope};
use super::memory::{Shared, Span};

impl<V: Products> BlockSlice<'_, V> {
    /// A place in the record of hidden numbers of the readout of the block's atom `row`.
    #[inline(always)]
    unsafe fn record(&self, array: Shared<V::T>, row: usize, place: usize) -> *mut V::T {
        let record = self.block.scratch + row;
        unsafe { array.at(record * self.view.network.readout.size + place) }
    }

    /// Energies of the block's atoms and G_q of the last layer; all slices at once.
    #[inline(always)]
    pub(super) unsafe fn readout(&self) {
        let view = self.view;
        let readout = &view.network.readout;
        let count = self.block.atoms.len();
        let mut tile = Tile::new();
        unsafe {
            let mut input = self.rows(view.features, 1, 2 * view.network.features);
            for hidden in &readout.hidden {
                for slice in 0..hidden.width / Self::WIDTH {
                    input.forward::<V>(&hidden.map, slice, &mut tile);
                    let tile = tile.start();
                    each!(self, |_, lane, row| {
                        let h = V::load(tile.add(row * Self::WIDTH + lane));
                        let place = hidden.offset + slice * Self::WIDTH + lane;
                        silu(h).store(self.record(view.readout, row, place));
                        silu_slope(h).store(self.record(view.readout_back, row, place));
                    });
                }
                input = StridedRows {
                    start: self.record(view.readout, 0, hidden.offset),
                    stride: readout.size,
                    count,
                    next: Span::NONE,
                };
            }
            let last = readout.last.as_slice();
            for (row, atom) in self.block.atoms.clone().enumerate() {
                let mut sum = V::splat(V::T::default());
                for k in (0..last.len()).step_by(V::N) {
                    let x = V::load(input.start.add(row * input.stride + k));
                    sum = x.mul_add(V::load(last.as_ptr().add(k)), sum);
                }
                let mut sums = [V::T::default(); 4];
                V::add_sums([sum; 4], &mut sums);
                *view.energies.at(view.order[atom] as usize) = sums[0].to_f64() + readout.bias;
            }
            let Some((first, deeper)) = readout.hidden.split_first() else {
                for slice in 0..view.network.slices {
                    each!(self, |atom, lane, _| {
                        let to = view.gradient(self.layer, slice, atom).add(lane);
                        V::load(last[slice * Self::WIDTH + lane..].as_ptr()).store(to);
                    });
                }
                return;
            };
            // `gradient` holds the slopes of silu; each becomes a gradient once what follows is known.
            let end = deeper.last().unwrap_or(first);
            for slice in 0..end.width / Self::WIDTH {
                each!(self, |_, lane, row| {
                    let place = self.record(
                        view.readout_back,
                        row,
                        end.offset + slice * Self::WIDTH + lane,
                    );
                    V::load(place)
                        .mul(V::load(last[slice * Self::WIDTH + lane..].as_ptr()))
                        .store(place);
                });
            }
            for k in (0..deeper.len()).rev() {
                let (hidden, before) = (&deeper[k], &readout.hidden[k]);
                let input = StridedRows {
                    start: self
                        .record(view.readout_back, 0, hidden.offset)
                        .cast_const(),
                    stride: readout.size,
                    count,
                    next: Span::NONE,
                };
                for slice in 0..before.width / Self::WIDTH {
                    input.backward::<V>(&hidden.map, slice, &mut tile);
                    let tile = tile.start();
                    each!(self, |_, lane, row| {
                        let place = self.record(
                            view.readout_back,
                            row,
                            before.offset + slice * Self::WIDTH + lane,
                        );
                        let g = V::load(tile.add(row * Self::WIDTH + lane));
                        V::load(place).mul(g).store(place);
                    });
                }
            }
            let input = StridedRows {
                start: self.record(view.readout_back, 0, first.offset).cast_const(),
                stride: readout.size,
                count,
                next: Span::NONE,
            };
            for slice in 0..view.network.slices {
                input.backward::<V>(&first.map, slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let to = view.gradient(self.layer, slice, atom).add(lane);
                    V::load(tile.add(row * Self::WIDTH + lane)).store(to);
                });
            }
        }
    }
}
