//! The atom-wise layers of one block of atoms: the update, forward and backward, and the readout.
//!
//! Products into a tile on the stack, then what follows element by element, slice by slice.

use std::ops::Range;

use super::view::SchnetView;
use crate::potential::fused::affine::{StridedRows, Tile};
use crate::potential::fused::gemm::Products;
use crate::potential::fused::lane::{Lane, shifted_softplus, sigmoid};
use crate::potential::fused::memory::{Shared, Span};
use crate::potential::fused::readout::ReadoutPass;

/// A block of atoms.
pub(super) struct SchnetBlock<'a, V: Lane> {
    pub(super) view: &'a SchnetView<'a, V::T>,
    pub(super) atoms: Range<usize>,
    /// Row of its first atom in the scratch arrays.
    pub(super) scratch: usize,
}

/// Runs a body for every atom of the block and both lanes of a slice: the atom, where the lane's channels begin, and its row.
/// A macro, since a closure is not compiled for the processor feature of the function that it is called from.
macro_rules! each {
    ($block:expr, |$atom:pat_param, $lane:ident, $row:pat_param| $body:block) => {
        for ($row, $atom) in $block.atoms.clone().enumerate() {
            for half in 0..2 {
                let $lane = half * V::N;
                $body
            }
        }
    };
}

impl<V: Products> SchnetBlock<'_, V> {
    const WIDTH: usize = 2 * V::N;

    /// A row of F numbers for each atom of an array.
    #[inline(always)]
    unsafe fn rows(&self, array: Shared<V::T>, first: usize) -> StridedRows<V::T> {
        let stride = self.view.network.features;
        StridedRows {
            start: unsafe { array.at(first * stride) },
            stride,
            count: self.atoms.len(),
            next: Span::NONE,
        }
    }

    /// Place of an atom's slice and lane in rows of F numbers.
    #[inline(always)]
    fn place(&self, row: usize, slice: usize, lane: usize) -> usize {
        row * self.view.network.features + slice * Self::WIDTH + lane
    }

    /// Place of what a layer keeps of an atom.
    #[inline(always)]
    fn kept(&self, layer: usize, atom: usize, slice: usize, lane: usize) -> usize {
        self.place(layer * self.view.atoms + atom, slice, lane)
    }

    /// x += C2 ssp(C1 g + c1) + c2.
    #[inline(always)]
    pub(super) unsafe fn update(&self, layer: usize) {
        let view = self.view;
        let [first, second] = &view.network.layers[layer].output;
        let mut tile = Tile::new();
        unsafe {
            let input = self.rows(view.sums, self.atoms.start);
            for slice in 0..view.network.slices {
                input.forward::<V>(first, slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let k = V::load(tile.add(row * Self::WIDTH + lane));
                    k.store(view.hidden.at(self.kept(layer, atom, slice, lane)));
                    let to = self.place(self.scratch + row, slice, lane);
                    shifted_softplus(k).store(view.active.at(to));
                });
            }
            let input = self.rows(view.active, self.scratch);
            for slice in 0..view.network.slices {
                input.forward::<V>(second, slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let x = view.features.at(self.place(atom, slice, lane));
                    let change = V::load(tile.add(row * Self::WIDTH + lane));
                    V::load(x).add(change).store(x);
                });
            }
        }
    }

    /// y = A x, which is sent in a layer.
    #[inline(always)]
    pub(super) unsafe fn send(&self, layer: usize) {
        let view = self.view;
        let mut tile = Tile::new();
        unsafe {
            let input = self.rows(view.features, self.atoms.start);
            for slice in 0..view.network.slices {
                input.forward::<V>(&view.network.layers[layer].input, slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let y = V::load(tile.add(row * Self::WIDTH + lane));
                    y.store(view.sender(layer, slice, atom).add(lane));
                });
            }
        }
    }

    /// G_x += A^T G_y, which is the gradient at the end of the layer before.
    #[inline(always)]
    pub(super) unsafe fn send_back(&self, layer: usize) {
        let view = self.view;
        let mut tile = Tile::new();
        unsafe {
            let input = self.rows(view.sums, self.atoms.start);
            for slice in 0..view.network.slices {
                input.backward::<V>(&view.network.layers[layer].input, slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let g = view.features.at(self.place(atom, slice, lane));
                    let more = V::load(tile.add(row * Self::WIDTH + lane));
                    V::load(g).add(more).store(g);
                });
            }
        }
    }

    /// G_g = C1^T (ssp'(k) C2^T G_x); G_x itself goes on to the layer before.
    #[inline(always)]
    pub(super) unsafe fn update_back(&self, layer: usize) {
        let view = self.view;
        let [first, second] = &view.network.layers[layer].output;
        let mut tile = Tile::new();
        unsafe {
            let input = self.rows(view.features, self.atoms.start);
            for slice in 0..view.network.slices {
                input.backward::<V>(second, slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let k = V::load(view.hidden.at(self.kept(layer, atom, slice, lane)));
                    let g = V::load(tile.add(row * Self::WIDTH + lane));
                    let to = self.place(self.scratch + row, slice, lane);
                    g.mul(sigmoid(k)).store(view.active.at(to));
                });
            }
            let input = self.rows(view.active, self.scratch);
            for slice in 0..view.network.slices {
                input.backward::<V>(first, slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let g = V::load(tile.add(row * Self::WIDTH + lane));
                    g.store(view.gradient(slice, atom).add(lane));
                });
            }
        }
    }

    /// Energies of the block's atoms, and G_x behind the last layer, in the place of x.
    #[inline(always)]
    pub(super) unsafe fn readout(&self) {
        let view = self.view;
        let pass = ReadoutPass {
            readout: &view.network.readout,
            values: view.readout,
            slopes: view.readout_back,
            scratch: self.scratch,
            count: self.atoms.len(),
        };
        let mut tile = Tile::new();
        unsafe {
            let last = pass.forward::<V>(self.rows(view.features, self.atoms.start), &mut tile);
            for (row, atom) in self.atoms.clone().enumerate() {
                *view.energies.at(view.order[atom] as usize) = pass.energy::<V>(last, row);
            }
            pass.backward::<V>(&mut tile);
            for slice in 0..view.network.slices {
                pass.gradient::<V>(slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let g = V::load(tile.add(row * Self::WIDTH + lane));
                    g.store(view.features.at(self.place(atom, slice, lane)));
                });
            }
        }
    }
}
