//! The readout: energies of atoms, and the gradient with which the backward pass begins.

use super::affine::{StridedRows, Tile};
use super::atomwise::{BlockSlice, each};
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
        let mut tile = Tile::new();
        unsafe {
            let last = self.hidden_layers(&mut tile);
            self.energies(last);
            if self.view.network.readout.hidden.is_empty() {
                self.gradients_of_features();
            } else {
                self.gradients_of_last();
                self.gradients_of_hidden(&mut tile);
                self.gradients_behind(&mut tile);
            }
        }
    }

    /// Rows of a layer's hidden numbers in an array of records, from `offset` on.
    #[inline(always)]
    unsafe fn recorded(&self, array: Shared<V::T>, offset: usize) -> StridedRows<V::T> {
        StridedRows {
            start: unsafe { self.record(array, 0, offset) }.cast_const(),
            stride: self.view.network.readout.size,
            count: self.block.atoms.len(),
            next: Span::NONE,
        }
    }

    /// h_k = silu(W_k h_(k-1) + b_k) from h_0 = q, with the slopes of silu beside; returns the last.
    #[inline(always)]
    unsafe fn hidden_layers(&self, tile: &mut Tile<V::T>) -> StridedRows<V::T> {
        let view = self.view;
        unsafe {
            let mut input = self.rows(view.features, 1, 2 * view.network.features);
            for hidden in &view.network.readout.hidden {
                for slice in 0..hidden.width / Self::WIDTH {
                    input.forward::<V>(&hidden.map, slice, tile);
                    let tile = tile.start();
                    each!(self, |_, lane, row| {
                        let h = V::load(tile.add(row * Self::WIDTH + lane));
                        let place = hidden.offset + slice * Self::WIDTH + lane;
                        silu(h).store(self.record(view.readout, row, place));
                        silu_slope(h).store(self.record(view.readout_back, row, place));
                    });
                }
                input = self.recorded(view.readout, hidden.offset);
            }
            input
        }
    }

    /// E_i = w . h + b of the last layer's h.
    #[inline(always)]
    unsafe fn energies(&self, h: StridedRows<V::T>) {
        let view = self.view;
        let readout = &view.network.readout;
        let weights = readout.last.as_slice();
        unsafe {
            for (row, atom) in self.block.atoms.clone().enumerate() {
                let mut sum = V::splat(V::T::default());
                for k in (0..weights.len()).step_by(V::N) {
                    let x = V::load(h.start.add(row * h.stride + k));
                    sum = x.mul_add(V::load(weights.as_ptr().add(k)), sum);
                }
                let mut sums = [V::T::default(); 4];
                V::add_sums([sum; 4], &mut sums);
                *view.energies.at(view.order[atom] as usize) = sums[0].to_f64() + readout.bias;
            }
        }
    }

    /// G_q = w, where nothing is hidden.
    #[inline(always)]
    unsafe fn gradients_of_features(&self) {
        let weights = self.view.network.readout.last.as_slice();
        unsafe {
            for slice in 0..self.view.network.slices {
                each!(self, |atom, lane, _| {
                    let to = self.view.gradient(self.layer, slice, atom).add(lane);
                    V::load(weights[slice * Self::WIDTH + lane..].as_ptr()).store(to);
                });
            }
        }
    }

    /// Of the last layer, the slope of silu becomes the gradient w silu'.
    #[inline(always)]
    unsafe fn gradients_of_last(&self) {
        let readout = &self.view.network.readout;
        let weights = readout.last.as_slice();
        let Some(end) = readout.hidden.last() else {
            return;
        };
        unsafe {
            for slice in 0..end.width / Self::WIDTH {
                each!(self, |_, lane, row| {
                    let column = slice * Self::WIDTH + lane;
                    let place = self.record(self.view.readout_back, row, end.offset + column);
                    let weight = V::load(weights[column..].as_ptr());
                    V::load(place).mul(weight).store(place);
                });
            }
        }
    }

    /// From the last layer to the first, each slope of silu becomes the gradient G_(k-1) = silu' (W_k^T G_k).
    #[inline(always)]
    unsafe fn gradients_of_hidden(&self, tile: &mut Tile<V::T>) {
        let view = self.view;
        unsafe {
            for pair in view.network.readout.hidden.windows(2).rev() {
                let [before, hidden] = pair else { continue };
                let input = self.recorded(view.readout_back, hidden.offset);
                for slice in 0..before.width / Self::WIDTH {
                    input.backward::<V>(&hidden.map, slice, tile);
                    let tile = tile.start();
                    each!(self, |_, lane, row| {
                        let column = slice * Self::WIDTH + lane;
                        let place = self.record(view.readout_back, row, before.offset + column);
                        let g = V::load(tile.add(row * Self::WIDTH + lane));
                        V::load(place).mul(g).store(place);
                    });
                }
            }
        }
    }

    /// G_q = W_1^T G_1.
    #[inline(always)]
    unsafe fn gradients_behind(&self, tile: &mut Tile<V::T>) {
        let view = self.view;
        let Some(first) = view.network.readout.hidden.first() else {
            return;
        };
        unsafe {
            let input = self.recorded(view.readout_back, first.offset);
            for slice in 0..view.network.slices {
                input.backward::<V>(&first.map, slice, tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let to = view.gradient(self.layer, slice, atom).add(lane);
                    V::load(tile.add(row * Self::WIDTH + lane)).store(to);
                });
            }
        }
    }
}
