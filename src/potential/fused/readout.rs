//! The readout of a block of atoms: energies of atoms, and the gradient with which the backward pass begins.

use super::affine::{Readout, StridedRows, Tile};
use super::gemm::Products;
use super::lane::{Lane, Real, silu, silu_slope};
use super::memory::{Shared, Span};

/// A readout at work on some atoms, whose hidden numbers are in records of scratch arrays.
pub(in crate::potential) struct ReadoutPass<'a, T> {
    pub(in crate::potential) readout: &'a Readout<T>,
    /// silu of hidden numbers.
    pub(in crate::potential) values: Shared<T>,
    /// Slopes of silu, which become gradients.
    pub(in crate::potential) slopes: Shared<T>,
    /// Record of the first atom.
    pub(in crate::potential) scratch: usize,
    /// Number of atoms.
    pub(in crate::potential) count: usize,
}

/// Runs a body for each row of a tile and both lanes of a slice. A macro, since a closure is not compiled for the processor
/// feature of the function that it is called from.
macro_rules! each {
    ($pass:expr, |$row:ident, $lane:ident| $body:block) => {
        for $row in 0..$pass.count {
            for half in 0..2 {
                let $lane = half * V::N;
                $body
            }
        }
    };
}

impl<T: Real> ReadoutPass<'_, T> {
    #[inline(always)]
    unsafe fn record(&self, array: Shared<T>, row: usize, place: usize) -> *mut T {
        unsafe { array.at((self.scratch + row) * self.readout.size + place) }
    }

    /// Rows of a layer's numbers in an array of records, from `offset` on.
    #[inline(always)]
    unsafe fn rows(&self, array: Shared<T>, offset: usize) -> StridedRows<T> {
        StridedRows {
            start: unsafe { self.record(array, 0, offset) }.cast_const(),
            stride: self.readout.size,
            count: self.count,
            next: Span::NONE,
        }
    }

    /// h_k = silu(W_k h_(k-1) + b_k) from the features h_0, with the slopes of silu beside; returns the last.
    #[inline(always)]
    pub(in crate::potential) unsafe fn forward<V: Products<T = T>>(
        &self,
        features: StridedRows<T>,
        tile: &mut Tile<T>,
    ) -> StridedRows<T> {
        let width = 2 * V::N;
        let mut input = features;
        unsafe {
            for hidden in &self.readout.hidden {
                for slice in 0..hidden.width / width {
                    input.forward::<V>(&hidden.map, slice, tile);
                    let tile = tile.start();
                    each!(self, |row, lane| {
                        let h = V::load(tile.add(row * width + lane));
                        let place = hidden.offset + slice * width + lane;
                        silu(h).store(self.record(self.values, row, place));
                        silu_slope(h).store(self.record(self.slopes, row, place));
                    });
                }
                input = self.rows(self.values, hidden.offset);
            }
            input
        }
    }

    /// The energy w . h + b of one row of the last layer's h.
    #[inline(always)]
    pub(in crate::potential) unsafe fn energy<V: Lane<T = T>>(
        &self,
        h: StridedRows<T>,
        row: usize,
    ) -> f64 {
        let weights = self.readout.last.as_slice();
        unsafe {
            let mut sum = V::splat(T::default());
            for k in (0..weights.len()).step_by(V::N) {
                let x = V::load(h.start.add(row * h.stride + k));
                sum = x.mul_add(V::load(weights.as_ptr().add(k)), sum);
            }
            let mut sums = [T::default(); 4];
            V::add_sums([sum; 4], &mut sums);
            sums[0].to_f64() + self.readout.bias
        }
    }

    /// From the last hidden layer to the first, each slope of silu becomes the gradient G_(k-1) = silu' (W_k^T G_k), that of the
    /// last w silu'.
    #[inline(always)]
    pub(in crate::potential) unsafe fn backward<V: Products<T = T>>(&self, tile: &mut Tile<T>) {
        let width = 2 * V::N;
        let hidden = &self.readout.hidden;
        let weights = self.readout.last.as_slice();
        unsafe {
            for (k, layer) in hidden.iter().enumerate().rev() {
                for slice in 0..layer.width / width {
                    if let Some(next) = hidden.get(k + 1) {
                        let input = self.rows(self.slopes, next.offset);
                        input.backward::<V>(&next.map, slice, tile);
                    }
                    let tile = tile.start();
                    each!(self, |row, lane| {
                        let column = slice * width + lane;
                        let place = self.record(self.slopes, row, layer.offset + column);
                        let g = if k + 1 < hidden.len() {
                            V::load(tile.add(row * width + lane))
                        } else {
                            V::load(weights[column..].as_ptr())
                        };
                        V::load(place).mul(g).store(place);
                    });
                }
            }
        }
    }

    /// A slice of the gradient of the features, into `tile`, behind [`ReadoutPass::backward`].
    #[inline(always)]
    pub(in crate::potential) unsafe fn gradient<V: Products<T = T>>(
        &self,
        slice: usize,
        tile: &mut Tile<T>,
    ) {
        let width = 2 * V::N;
        let weights = self.readout.last.as_slice();
        unsafe {
            if let Some(first) = self.readout.hidden.first() {
                let input = self.rows(self.slopes, first.offset);
                input.backward::<V>(&first.map, slice, tile);
                return;
            }
            let tile = tile.start();
            each!(self, |row, lane| {
                let weight = V::load(weights[slice * width + lane..].as_ptr());
                weight.store(tile.add(row * width + lane));
            });
        }
    }
}
