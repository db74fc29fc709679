//! The atom-wise layers of one block of atoms: the update, forward and backward, and the readout.
//!
//! Products into a tile on the stack, then what follows element by element, slice by slice.

use std::ops::Range;

use super::view::{StudentKept, StudentView};
use crate::potential::fused::affine::{StridedRows, Tile};
use crate::potential::fused::gemm::Products;
use crate::potential::fused::lane::{Lane, Real, silu, silu_slope};
use crate::potential::fused::memory::{Shared, Span};
use crate::potential::fused::readout::ReadoutPass;

/// Norms below this do not turn a gradient: at v = 0, where |v| has no slope, none is taken.
const LEAST_NORM: f64 = 1e-15;

/// A block of atoms in a layer.
pub(super) struct StudentBlock<'a, V: Lane> {
    pub(super) view: &'a StudentView<'a, V::T>,
    pub(super) layer: usize,
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

impl<V: Products> StudentBlock<'_, V> {
    const WIDTH: usize = 2 * V::N;

    fn last(&self) -> bool {
        self.layer + 1 == self.view.network.layers.len()
    }

    /// A row for each atom from `start` on.
    #[inline(always)]
    fn rows(&self, start: *const V::T, stride: usize) -> StridedRows<V::T> {
        StridedRows {
            start,
            stride,
            count: self.atoms.len(),
            next: Span::NONE,
        }
    }

    /// Rows of a scratch array of `stride` numbers each.
    #[inline(always)]
    unsafe fn scratch_rows(&self, array: Shared<V::T>, stride: usize) -> StridedRows<V::T> {
        self.rows(unsafe { array.at(self.scratch * stride) }, stride)
    }

    /// Rows of s and |v|.
    #[inline(always)]
    unsafe fn feature_rows(&self) -> StridedRows<V::T> {
        let stride = 2 * self.view.network.features;
        self.rows(
            unsafe { self.view.features.at(self.atoms.start * stride) },
            stride,
        )
    }

    /// v behind the message of an atom and lane, of what is kept of it.
    #[inline(always)]
    unsafe fn vector(kept: *const V::T) -> [V; 3] {
        unsafe {
            [
                V::load(kept.add(StudentKept::V * Self::WIDTH)),
                V::load(kept.add((StudentKept::V + 1) * Self::WIDTH)),
                V::load(kept.add((StudentKept::V + 2) * Self::WIDTH)),
            ]
        }
    }

    /// |v|.
    #[inline(always)]
    unsafe fn norm(v: [V; 3]) -> V {
        unsafe {
            let square = v[0].mul(v[0]);
            v[2].mul_add(v[2], v[1].mul_add(v[1], square)).sqrt()
        }
    }

    /// A row of M, or of its transpose, times v.
    #[inline(always)]
    unsafe fn mixed(&self, axis: usize, v: [V; 3], transposed: bool) -> V {
        let m = &self.view.network.layers[self.layer].mixing;
        unsafe {
            let mut sum = V::splat(V::T::default());
            for (b, v) in v.into_iter().enumerate() {
                let number = if transposed { m[b][axis] } else { m[axis][b] };
                sum = V::splat(number).mul_add(v, sum);
            }
            sum
        }
    }

    /// (a, g, h) = U2 silu(U1 [s, |v|] + c1) + c2; s += a; v = g v + h (M v), to the next layer's senders.
    #[inline(always)]
    pub(super) unsafe fn update(&self) {
        let view = self.view;
        let (features, slices) = (view.network.features, view.network.slices);
        let maps = &view.network.layers[self.layer].update;
        let mut tiles = [Tile::new(), Tile::new(), Tile::new()];
        unsafe {
            for slice in 0..slices {
                each!(self, |atom, lane, _| {
                    let kept = view.kept(self.layer, slice, atom).add(lane);
                    let to = (atom * 2 + 1) * features + slice * Self::WIDTH + lane;
                    Self::norm(Self::vector(kept)).store(view.features.at(to));
                });
            }
            let input = self.feature_rows();
            for slice in 0..slices {
                input.forward::<V>(&maps[0], slice, &mut tiles[0]);
                let tile = tiles[0].start();
                each!(self, |atom, lane, row| {
                    let k = V::load(tile.add(row * Self::WIDTH + lane));
                    let kept = view.kept(self.layer, slice, atom).add(lane);
                    k.store(kept.add(StudentKept::HIDDEN * Self::WIDTH));
                    let to = (self.scratch + row) * features + slice * Self::WIDTH + lane;
                    silu(k).store(view.hidden.at(to));
                });
            }
            let input = self.scratch_rows(view.hidden, features);
            for slice in 0..slices {
                let kinds = if self.last() { 1 } else { 3 };
                for kind in 0..kinds {
                    input.forward::<V>(&maps[1], kind * slices + slice, &mut tiles[kind]);
                }
                let [a, g, h] = &mut tiles;
                let (a, g, h) = (a.start(), g.start(), h.start());
                each!(self, |atom, lane, row| {
                    let from = row * Self::WIDTH + lane;
                    let place = atom * 2 * features + slice * Self::WIDTH + lane;
                    let s = V::load(view.features.at(place)).add(V::load(a.add(from)));
                    if self.last() {
                        s.store(view.features.at(place));
                        continue;
                    }
                    let kept = view.kept(self.layer, slice, atom).add(lane);
                    let gates = [V::load(g.add(from)), V::load(h.add(from))];
                    let v = Self::vector(kept);
                    let next = view.sender(self.layer + 1, slice, atom).add(lane);
                    s.store(next);
                    for axis in 0..3 {
                        let turned = gates[1].mul(self.mixed(axis, v, false));
                        let v = gates[0].mul_add(v[axis], turned);
                        v.store(next.add((1 + axis) * Self::WIDTH));
                    }
                    for (k, gate) in gates.into_iter().enumerate() {
                        gate.store(kept.add((StudentKept::GATES + k) * Self::WIDTH));
                    }
                });
            }
        }
    }

    /// From G_s and G_v behind the update to those behind the message, in place:
    ///
    /// G_a = G_s ;  G_g = G_v . v ;  G_h = G_v . (M v) ;  G_k = silu'(k) U2^T (G_a, G_g, G_h) ;  (G_s', G_n) = U1^T G_k ;
    /// G_s += G_s' ;  G_v = g G_v + M^T (h G_v) + G_n v / |v|. The last layer has neither g nor h.
    #[inline(always)]
    pub(super) unsafe fn update_back(&self) {
        let view = self.view;
        let (features, slices) = (view.network.features, view.network.slices);
        let maps = &view.network.layers[self.layer].update;
        let stride = if self.last() { features } else { 3 * features };
        let (mut one, mut two) = (Tile::new(), Tile::new());
        unsafe {
            for slice in 0..slices {
                each!(self, |atom, lane, row| {
                    let g = view.gradient(self.layer, slice, atom).add(lane);
                    let record = (self.scratch + row) * stride;
                    let to = view.wide.at(record + slice * Self::WIDTH + lane);
                    V::load(g).store(to);
                    if self.last() {
                        continue;
                    }
                    let v = Self::vector(view.kept(self.layer, slice, atom).add(lane));
                    let mut sums = [V::splat(V::T::default()); 2];
                    for axis in 0..3 {
                        let gv = V::load(g.add((1 + axis) * Self::WIDTH));
                        sums[0] = gv.mul_add(v[axis], sums[0]);
                        sums[1] = gv.mul_add(self.mixed(axis, v, false), sums[1]);
                    }
                    sums[0].store(to.add(features));
                    sums[1].store(to.add(2 * features));
                });
            }
            let input = self.scratch_rows(view.wide, stride);
            for slice in 0..slices {
                input.backward::<V>(&maps[1], slice, &mut one);
                let tile = one.start();
                each!(self, |atom, lane, row| {
                    let kept = view.kept(self.layer, slice, atom).add(lane);
                    let k = V::load(kept.add(StudentKept::HIDDEN * Self::WIDTH));
                    let g = V::load(tile.add(row * Self::WIDTH + lane));
                    let to = (self.scratch + row) * features + slice * Self::WIDTH + lane;
                    g.mul(silu_slope(k)).store(view.hidden.at(to));
                });
            }
            let input = self.scratch_rows(view.hidden, features);
            for slice in 0..slices {
                input.backward::<V>(&maps[0], slice, &mut one);
                input.backward::<V>(&maps[0], slices + slice, &mut two);
                let (of_s, of_n) = (one.start(), two.start());
                each!(self, |atom, lane, row| {
                    let from = row * Self::WIDTH + lane;
                    let g = view.gradient(self.layer, slice, atom).add(lane);
                    V::load(g).add(V::load(of_s.add(from))).store(g);
                    self.vector_back((atom, slice, lane), V::load(of_n.add(from)));
                });
            }
        }
    }

    /// G_v behind the message, of that behind the update and of G_n.
    #[inline(always)]
    unsafe fn vector_back(&self, (atom, slice, lane): (usize, usize, usize), of_norm: V) {
        let view = self.view;
        unsafe {
            let kept = view.kept(self.layer, slice, atom).add(lane);
            let g = view
                .gradient(self.layer, slice, atom)
                .add(lane + Self::WIDTH);
            let v = Self::vector(kept);
            let least = V::splat(V::T::of(LEAST_NORM));
            let ratio = of_norm.div(Self::norm(v).max(least));
            if self.last() {
                for axis in 0..3 {
                    ratio.mul(v[axis]).store(g.add(axis * Self::WIDTH));
                }
                return;
            }
            let gate = V::load(kept.add(StudentKept::GATES * Self::WIDTH));
            let turn = V::load(kept.add((StudentKept::GATES + 1) * Self::WIDTH));
            let gv = [
                V::load(g),
                V::load(g.add(Self::WIDTH)),
                V::load(g.add(2 * Self::WIDTH)),
            ];
            let turned = [gv[0].mul(turn), gv[1].mul(turn), gv[2].mul(turn)];
            for axis in 0..3 {
                let sum = gate.mul_add(gv[axis], self.mixed(axis, turned, true));
                let sum = ratio.mul_add(v[axis], sum);
                sum.store(g.add(axis * Self::WIDTH));
            }
        }
    }

    /// Energies of the block's atoms, and G_s behind the last layer.
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
            let last = pass.forward::<V>(self.feature_rows(), &mut tile);
            for (row, atom) in self.atoms.clone().enumerate() {
                *view.energies.at(view.order[atom] as usize) = pass.energy::<V>(last, row);
            }
            pass.backward::<V>(&mut tile);
            for slice in 0..view.network.slices {
                pass.gradient::<V>(slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let g = V::load(tile.add(row * Self::WIDTH + lane));
                    g.store(view.gradient(self.layer, slice, atom).add(lane));
                });
            }
        }
    }
}
