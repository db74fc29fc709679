//! The atom-wise layers: context, mixing and update, forward and backward (see `readout` for the last).
//!
//! Each function computes one slice of channels of one block of atoms: a product or two (see `gemm`)
//! into a tile on the stack, then what follows element by element. Names follow the PaiNN paper:
//! after the message, (v, w) = Wmix mu; n = sqrt(|v|^2 + eps); (a, b, c) = V2 silu(V1 \[q, n\] + c1) + c2;
//! q += a + c (v.w); mu += b w.

use super::affine::{StridedRows, Tile};
use super::gemm::Products;
use super::lane::{Lane, Real, silu, silu_slope};
use super::memory::{Shared, Span};
use super::view::{AtomBlock, Saved, View};

/// Runs a body for every atom of a part and both lanes of its slice: the atom, its row in a tile, and
/// where the lane's channels begin. A macro, since a closure is not compiled for the processor feature
/// of the function that it is called from.
macro_rules! each {
    ($part:expr, |$atom:pat_param, $lane:ident, $row:pat_param| $body:block) => {
        for ($row, $atom) in $part.block.atoms.clone().enumerate() {
            for half in 0..2 {
                let $lane = half * V::N;
                $body
            }
        }
    };
}

pub(super) use each;

/// A slice of a block: what every function here works on.
pub(super) struct BlockSlice<'a, V: Lane> {
    pub(super) view: &'a View<'a, V::T>,
    pub(super) layer: usize,
    pub(super) block: AtomBlock,
    pub(super) slice: usize,
}

impl<V: Products> BlockSlice<'_, V> {
    pub(super) const WIDTH: usize = 2 * V::N;

    fn last(&self) -> bool {
        self.layer + 1 == self.view.network.layers.len()
    }

    /// `per_atom` rows of `stride` numbers for each atom, from the start of the atom's record.
    #[inline(always)]
    pub(super) unsafe fn rows(
        &self,
        array: Shared<V::T>,
        per_atom: usize,
        stride: usize,
    ) -> StridedRows<V::T> {
        StridedRows {
            start: unsafe { array.at(self.block.atoms.start * per_atom * stride) },
            stride,
            count: self.block.atoms.len() * per_atom,
            next: Span::NONE,
        }
    }

    /// Rows of a scratch array.
    #[inline(always)]
    unsafe fn scratch_rows(
        &self,
        array: Shared<V::T>,
        per_atom: usize,
        stride: usize,
    ) -> StridedRows<V::T> {
        StridedRows {
            start: unsafe { array.at(self.block.scratch * per_atom * stride) },
            stride,
            count: self.block.atoms.len() * per_atom,
            next: Span::NONE,
        }
    }

    /// What is saved of the block and slice in a layer.
    #[inline(always)]
    unsafe fn saved_span(&self, layer: usize) -> Span<V::T> {
        Span {
            start: unsafe { self.view.saved(layer, self.slice, self.block.atoms.start) },
            count: self.block.atoms.len() * Saved::COUNT * Self::WIDTH,
        }
    }

    /// Senders of the block and slice in a layer.
    #[inline(always)]
    unsafe fn senders_span(&self, layer: usize) -> Span<V::T> {
        Span {
            start: unsafe { self.view.sender(layer, self.slice, self.block.atoms.start) },
            count: self.block.atoms.len() * 6 * Self::WIDTH,
        }
    }

    /// G_q and G_mu of the block and slice after a layer.
    #[inline(always)]
    unsafe fn gradients_span(&self, layer: usize) -> Span<V::T> {
        Span {
            start: unsafe {
                self.view
                    .gradient(layer, self.slice, self.block.atoms.start)
            },
            count: self.block.atoms.len() * 4 * Self::WIDTH,
        }
    }

    /// This slice's share of what the next block, most likely the thread's next, begins with: `per_atom`
    /// numbers of each atom.
    #[inline(always)]
    unsafe fn next_block(&self, array: Shared<V::T>, per_atom: usize) -> Span<V::T> {
        let (atoms, slices) = (&self.block.atoms, self.view.network.slices);
        let share = (atoms.len() * per_atom).div_ceil(slices);
        let start = atoms.end * per_atom + self.slice * share;
        array.span(start..start + share)
    }

    /// v.w of what was saved of an atom and lane.
    #[inline(always)]
    unsafe fn dot(&self, saved: *const V::T) -> V {
        unsafe {
            let mut dot = V::splat(V::T::default());
            for axis in 0..3 {
                let v = V::load(saved.add((Saved::V + axis) * Self::WIDTH));
                dot = v.mul_add(V::load(saved.add((Saved::W + axis) * Self::WIDTH)), dot);
            }
            dot
        }
    }

    /// (v, w) = Wmix mu, n.
    #[inline(always)]
    pub(super) unsafe fn mix(&self) {
        let view = self.view;
        let features = view.network.features;
        let layer = &view.network.layers[self.layer];
        let (mut v, mut w) = (Tile::new(), Tile::new());
        unsafe {
            let mu = self.rows(view.vectors, 3, features);
            mu.fetching(self.saved_span(self.layer))
                .forward::<V>(&layer.mix, self.slice, &mut v);
            let next = if self.last() {
                self.gradients_span(self.layer)
            } else {
                self.senders_span(self.layer + 1)
            };
            mu.fetching(next)
                .forward::<V>(&layer.mix, view.network.slices + self.slice, &mut w);
            let (v, w) = (v.start(), w.start());
            let epsilon = V::splat(layer.epsilon);
            each!(self, |atom, lane, row| {
                let saved = view.saved(self.layer, self.slice, atom);
                let mut square = epsilon;
                for a in 0..3 {
                    let from = (row * 3 + a) * Self::WIDTH + lane;
                    let (v, w) = (V::load(v.add(from)), V::load(w.add(from)));
                    square = v.mul_add(v, square);
                    v.store(saved.add((Saved::V + a) * Self::WIDTH + lane));
                    w.store(saved.add((Saved::W + a) * Self::WIDTH + lane));
                }
                let to = (atom * 2 + 1) * features + self.slice * Self::WIDTH + lane;
                square.sqrt().store(view.features.at(to));
            });
        }
    }

    /// k = V1 \[q, n\] + c1, silu(k).
    #[inline(always)]
    pub(super) unsafe fn update_hidden(&self) {
        let view = self.view;
        let features = view.network.features;
        let map = &view.network.layers[self.layer].update[0];
        let mut tile = Tile::new();
        unsafe {
            let input = self.rows(view.features, 1, 2 * features);
            input.forward::<V>(map, self.slice, &mut tile);
            self.activate(tile.start(), Saved::UPDATE);
        }
    }

    /// Stores a tile as hidden numbers and their silu as the next product's input.
    #[inline(always)]
    unsafe fn activate(&self, tile: *const V::T, place: usize) {
        let view = self.view;
        unsafe {
            each!(self, |atom, lane, row| {
                let h = V::load(tile.add(row * Self::WIDTH + lane));
                h.store(
                    view.saved(self.layer, self.slice, atom)
                        .add(place * Self::WIDTH + lane),
                );
                let to = (self.block.scratch + row) * view.network.features
                    + self.slice * Self::WIDTH
                    + lane;
                silu(h).store(view.hidden.at(to));
            });
        }
    }

    /// Multiplies a tile by the slope of silu at the hidden numbers: the next product's input.
    #[inline(always)]
    unsafe fn activate_back(&self, tile: *const V::T, place: usize) {
        let view = self.view;
        unsafe {
            each!(self, |atom, lane, row| {
                let g = V::load(tile.add(row * Self::WIDTH + lane));
                let h = V::load(
                    view.saved(self.layer, self.slice, atom)
                        .add(place * Self::WIDTH + lane),
                );
                let to = (self.block.scratch + row) * view.network.features
                    + self.slice * Self::WIDTH
                    + lane;
                g.mul(silu_slope(h)).store(view.hidden.at(to));
            });
        }
    }

    /// (a, b, c) = V2 silu(k) + c2; q += a + c (v.w); mu += b w, to the next layer's senders.
    #[inline(always)]
    pub(super) unsafe fn update(&self) {
        let view = self.view;
        let (features, slices) = (view.network.features, view.network.slices);
        let map = &view.network.layers[self.layer].update[1];
        let (mut a, mut b, mut c) = (Tile::new(), Tile::new(), Tile::new());
        unsafe {
            let input = self.scratch_rows(view.hidden, 1, features);
            input.forward::<V>(map, self.slice, &mut a);
            if self.last() {
                input.forward::<V>(map, slices + self.slice, &mut c);
            } else {
                input.forward::<V>(map, slices + self.slice, &mut b);
                input.forward::<V>(map, 2 * slices + self.slice, &mut c);
            }
            let (a, b, c) = (a.start(), b.start(), c.start());
            each!(self, |atom, lane, row| {
                let saved = view.saved(self.layer, self.slice, atom).add(lane);
                let from = row * Self::WIDTH + lane;
                let c = V::load(c.add(from));
                c.store(saved.add(Saved::C * Self::WIDTH));
                let q = view
                    .features
                    .at(atom * 2 * features + self.slice * Self::WIDTH + lane);
                let dot = self.dot(saved);
                let sum = V::load(q).add(V::load(a.add(from)));
                c.mul_add(dot, sum).store(q);
                if self.last() {
                    continue;
                }
                let b = V::load(b.add(from));
                b.store(saved.add(Saved::B * Self::WIDTH));
                let next = view.sender(self.layer + 1, self.slice, atom).add(lane);
                for axis in 0..3 {
                    let mu = (atom * 3 + axis) * features + self.slice * Self::WIDTH + lane;
                    let w = V::load(saved.add((Saved::W + axis) * Self::WIDTH));
                    let mu = b.mul_add(w, V::load(view.vectors.at(mu)));
                    mu.store(next.add((3 + axis) * Self::WIDTH));
                }
            });
        }
    }

    /// h = W1 q + b1, silu(h), of a layer after the first.
    #[inline(always)]
    pub(super) unsafe fn context_hidden(&self) {
        let view = self.view;
        let Some([map, _]) = &view.network.layers[self.layer].context else {
            return;
        };
        let mut tile = Tile::new();
        unsafe {
            let input = self.rows(view.features, 1, 2 * view.network.features);
            input.forward::<V>(map, self.slice, &mut tile);
            self.activate(tile.start(), Saved::CONTEXT);
        }
    }

    /// x = W2 silu(h) + b2, to the senders.
    #[inline(always)]
    pub(super) unsafe fn context(&self) {
        let view = self.view;
        let Some([_, map]) = &view.network.layers[self.layer].context else {
            return;
        };
        let mut tile = Tile::new();
        unsafe {
            let features = view.network.features;
            let input = self.scratch_rows(view.hidden, 1, features);
            let next = [
                Span::NONE,
                self.next_block(view.features, 2 * features),
                self.next_block(view.vectors, 3 * features),
            ];
            for kind in 0..3 {
                let input = input.fetching(next[kind]);
                input.forward::<V>(map, kind * view.network.slices + self.slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let x = V::load(tile.add(row * Self::WIDTH + lane));
                    let to = view.sender(self.layer, self.slice, atom);
                    x.store(to.add(kind * Self::WIDTH + lane));
                });
            }
        }
    }

    /// G_a = G_q, G_b = G_mu . w, G_c = G_q (v.w), side by side; the last layer has no b.
    #[inline(always)]
    pub(super) unsafe fn update_back_start(&self) {
        let view = self.view;
        let features = view.network.features;
        unsafe {
            each!(self, |atom, lane, row| {
                let saved = view.saved(self.layer, self.slice, atom).add(lane);
                let g = view.gradient(self.layer, self.slice, atom).add(lane);
                let record = (self.block.scratch + row) * 3 * features;
                let to = view.wide.at(record + self.slice * Self::WIDTH + lane);
                let gq = V::load(g);
                let gc = gq.mul(self.dot(saved));
                gq.store(to);
                if self.last() {
                    gc.store(to.add(features));
                    continue;
                }
                let mut gb = V::splat(V::T::default());
                for axis in 0..3 {
                    let w = V::load(saved.add((Saved::W + axis) * Self::WIDTH));
                    gb = w.mul_add(V::load(g.add((1 + axis) * Self::WIDTH)), gb);
                }
                gb.store(to.add(features));
                gc.store(to.add(2 * features));
            });
        }
    }

    /// G_k = silu'(k) V2^T (G_a, G_b, G_c).
    #[inline(always)]
    pub(super) unsafe fn update_back_hidden(&self) {
        let view = self.view;
        let map = &view.network.layers[self.layer].update[1];
        let mut tile = Tile::new();
        unsafe {
            let input = self.scratch_rows(view.wide, 1, 3 * view.network.features);
            input.backward::<V>(map, self.slice, &mut tile);
            self.activate_back(tile.start(), Saved::UPDATE);
        }
    }

    /// (G_q', G_n) = V1^T G_k; G_v = G_q c w + G_n v / n; G_w = G_q c v + G_mu b; G_q += G_q'.
    #[inline(always)]
    pub(super) unsafe fn update_back(&self) {
        let view = self.view;
        let (features, slices) = (view.network.features, view.network.slices);
        let map = &view.network.layers[self.layer].update[0];
        let (mut tile_q, mut tile_n) = (Tile::new(), Tile::new());
        unsafe {
            let input = self.scratch_rows(view.hidden, 1, features);
            input.backward::<V>(map, self.slice, &mut tile_q);
            input.backward::<V>(map, slices + self.slice, &mut tile_n);
            let (tile_q, tile_n) = (tile_q.start(), tile_n.start());
            // Keeps 0 / 0 out of padded channels when epsilon is zero.
            let tiny = V::splat(V::T::of(f64::from(f32::MIN_POSITIVE)));
            let epsilon = V::splat(view.network.layers[self.layer].epsilon);
            each!(self, |atom, lane, row| {
                let from = row * Self::WIDTH + lane;
                let saved = view.saved(self.layer, self.slice, atom).add(lane);
                let g = view.gradient(self.layer, self.slice, atom).add(lane);
                let gq = V::load(g);
                let gqc = gq.mul(V::load(saved.add(Saved::C * Self::WIDTH)));
                let mut v = [epsilon; 3];
                let mut square = epsilon;
                for axis in 0..3 {
                    v[axis] = V::load(saved.add((Saved::V + axis) * Self::WIDTH));
                    square = v[axis].mul_add(v[axis], square);
                }
                let ratio = V::load(tile_n.add(from)).div(square.sqrt().max(tiny));
                for (axis, v) in v.into_iter().enumerate() {
                    let w = V::load(saved.add((Saved::W + axis) * Self::WIDTH));
                    let gv = gqc.mul_add(w, ratio.mul(v));
                    let mut gw = gqc.mul(v);
                    if !self.last() {
                        gw = V::load(saved.add(Saved::B * Self::WIDTH))
                            .mul_add(V::load(g.add((1 + axis) * Self::WIDTH)), gw);
                    }
                    let record = (self.block.scratch + row) * 3 + axis;
                    let to = record * 2 * features + self.slice * Self::WIDTH + lane;
                    gv.store(view.mixed.at(to));
                    gw.store(view.mixed.at(to + features));
                }
                gq.add(V::load(tile_q.add(from))).store(g);
            });
        }
    }

    /// G_mu += Wmix^T (G_v, G_w); nothing comes before it in the last layer.
    #[inline(always)]
    pub(super) unsafe fn mix_back(&self) {
        let view = self.view;
        let features = view.network.features;
        let map = &view.network.layers[self.layer].mix;
        let mut tile = Tile::new();
        unsafe {
            let input = self.scratch_rows(view.mixed, 3, 2 * features);
            // After the last layer's, the next block begins with its forward pass.
            let next = if self.last() {
                self.next_block(view.vectors, 3 * features)
            } else {
                self.next_block(view.contexts, 3 * features)
            };
            input
                .fetching(next)
                .backward::<V>(map, self.slice, &mut tile);
            let tile = tile.start();
            each!(self, |atom, lane, row| {
                let g = view.gradient(self.layer, self.slice, atom).add(lane);
                for axis in 0..3 {
                    let to = g.add((1 + axis) * Self::WIDTH);
                    let mut sum = V::load(tile.add((row * 3 + axis) * Self::WIDTH + lane));
                    if !self.last() {
                        sum = sum.add(V::load(to));
                    }
                    sum.store(to);
                }
            });
        }
    }

    /// G_h = silu'(h) W2^T G_x.
    #[inline(always)]
    pub(super) unsafe fn context_back_hidden(&self) {
        let view = self.view;
        let Some([_, map]) = &view.network.layers[self.layer].context else {
            return;
        };
        let mut tile = Tile::new();
        unsafe {
            let input = self.rows(view.contexts, 1, 3 * view.network.features);
            input
                .fetching(self.saved_span(self.layer - 1))
                .backward::<V>(map, self.slice, &mut tile);
            self.activate_back(tile.start(), Saved::CONTEXT);
        }
    }

    /// G_q += W1^T G_h, which is the gradient at the end of the layer before.
    #[inline(always)]
    pub(super) unsafe fn context_back(&self) {
        let view = self.view;
        let Some([map, _]) = &view.network.layers[self.layer].context else {
            return;
        };
        let mut tile = Tile::new();
        unsafe {
            let input = self.scratch_rows(view.hidden, 1, view.network.features);
            input
                .fetching(self.gradients_span(self.layer - 1))
                .backward::<V>(map, self.slice, &mut tile);
            let tile = tile.start();
            each!(self, |atom, lane, row| {
                let before = V::load(view.gradient(self.layer, self.slice, atom).add(lane));
                let sum = before.add(V::load(tile.add(row * Self::WIDTH + lane)));
                sum.store(view.gradient(self.layer - 1, self.slice, atom).add(lane));
            });
        }
    }
}
