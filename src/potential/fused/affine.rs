//! Affine maps of blocks of atoms: weights padded to whole slices and packed, and their products into tiles on the stack.

use std::mem::MaybeUninit;

use crate::potential::Linear;
use crate::{Error, Result};

use super::ATOMS_PER_BLOCK;
use super::gemm::{Multiplication, Panels, Products};
use super::lane::Real;
use super::memory::{Aligned, Span};

/// A padded affine map with its transpose.
pub(in crate::potential) struct Affine<T> {
    pub(in crate::potential) forward: Panels<T>,
    pub(in crate::potential) bias: Aligned<T>,
    pub(in crate::potential) backward: Panels<T>,
}

impl<T> Affine<T> {
    /// Bias of an output slice.
    #[inline(always)]
    pub(in crate::potential) fn bias(&self, slice: usize, width: usize) -> *const T
    where
        T: Real,
    {
        self.bias.as_slice()[slice * width..].as_ptr()
    }
}

/// A hidden layer of the readout.
pub(in crate::potential) struct Hidden<T> {
    pub(in crate::potential) map: Affine<T>,
    /// Padded number of outputs.
    pub(in crate::potential) width: usize,
    /// Where its numbers begin in an atom's record of hidden numbers.
    pub(in crate::potential) offset: usize,
}

/// The readout, F -> ... -> 1.
pub(in crate::potential) struct Readout<T> {
    pub(in crate::potential) hidden: Vec<Hidden<T>>,
    /// Padded size of an atom's record of hidden numbers.
    pub(in crate::potential) size: usize,
    /// Weights of the one output.
    pub(in crate::potential) last: Aligned<T>,
    pub(in crate::potential) bias: f64,
}

/// How features are padded.
#[derive(Clone, Copy)]
pub(in crate::potential) struct Padding {
    pub(in crate::potential) features: usize,
    pub(in crate::potential) padded: usize,
    pub(in crate::potential) width: usize,
}

impl Padding {
    /// Of so many features, to slices of `width`.
    pub(in crate::potential) fn new(features: usize, width: usize) -> Self {
        Self {
            features,
            padded: features.next_multiple_of(width),
            width,
        }
    }

    /// The rows of an embedding of these species.
    pub(in crate::potential) fn embedding<T: Real>(
        self,
        all: &[f64],
        species: &[u8],
    ) -> Aligned<T> {
        let mut rows = Aligned::zeros(species.len() * self.padded);
        for (row, &z) in rows
            .as_mut_slice()
            .chunks_exact_mut(self.padded)
            .zip(species)
        {
            let from = &all[usize::from(z) * self.features..][..self.features];
            for (to, from) in row.iter_mut().zip(from) {
                *to = T::of(*from);
            }
        }
        rows
    }

    /// Place in the model's vector of blocks of an index of the padded vector; `None` in the padding.
    /// `blocks` names the model's block behind each padded one.
    fn source(self, index: usize, blocks: &[usize]) -> Option<usize> {
        let (block, f) = (index / self.padded, index % self.padded);
        (f < self.features).then(|| blocks[block] * self.features + f)
    }

    pub(in crate::potential) fn affine<T: Real>(
        self,
        linear: &Linear,
        inputs: &[usize],
        outputs: &[usize],
    ) -> Affine<T> {
        let number = |input: usize, output: usize| {
            let place = self.source(output, outputs).zip(self.source(input, inputs));
            place.map_or(0.0, |(o, i)| linear.weight[o * linear.inputs + i])
        };
        let (k, n) = (inputs.len() * self.padded, outputs.len() * self.padded);
        let mut bias = Aligned::zeros(n);
        if !linear.bias.is_empty() {
            for (output, to) in bias.as_mut_slice().iter_mut().enumerate() {
                *to = T::of((self.source(output, outputs)).map_or(0.0, |o| linear.bias[o]));
            }
        }
        Affine {
            forward: Panels::pack(k, n, self.width, number),
            bias,
            backward: Panels::pack(n, k, self.width, |k, n| number(n, k)),
        }
    }
}

/// Packs a readout.
///
/// # Errors
/// There is none.
pub(in crate::potential) fn readout<T: Real>(linears: &[Linear], p: Padding) -> Result<Readout<T>> {
    let Some((last, hidden)) = linears.split_last() else {
        return Err(Error::input("the model has no readout"));
    };
    let pad = |n: usize| n.next_multiple_of(p.width);
    let mut size = 0;
    let hidden: Vec<_> = (hidden.iter())
        .map(|linear| {
            let number = |i: usize, o: usize| {
                let inside = i < linear.inputs && o < linear.outputs;
                if inside {
                    linear.weight[o * linear.inputs + i]
                } else {
                    0.0
                }
            };
            let (k, n) = (pad(linear.inputs), pad(linear.outputs));
            let mut bias = Aligned::zeros(n);
            for (to, from) in bias.as_mut_slice().iter_mut().zip(&linear.bias) {
                *to = T::of(*from);
            }
            let offset = size;
            size += n;
            Hidden {
                map: Affine {
                    forward: Panels::pack(k, n, p.width, number),
                    bias,
                    backward: Panels::pack(n, k, p.width, |k, n| number(n, k)),
                },
                width: n,
                offset,
            }
        })
        .collect();
    let mut row = Aligned::zeros(pad(last.inputs));
    for (to, from) in row.as_mut_slice().iter_mut().zip(&last.weight) {
        *to = T::of(*from);
    }
    Ok(Readout {
        hidden,
        size,
        last: row,
        bias: last.bias.first().copied().unwrap_or(0.0),
    })
}

/// Most numbers of a tile: three rows an atom, and the widest slice (two lanes of AVX-512 in f32).
const TILE: usize = 3 * ATOMS_PER_BLOCK * 32;

/// A product on the stack.
#[repr(align(64))]
pub(in crate::potential) struct Tile<T>([MaybeUninit<T>; TILE]);

impl<T> Tile<T> {
    #[inline(always)]
    pub(in crate::potential) fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; TILE])
    }

    #[inline(always)]
    pub(in crate::potential) fn start(&mut self) -> *mut T {
        self.0.as_mut_ptr().cast()
    }
}

/// The left factor of a product: rows `stride` apart.
#[derive(Clone, Copy)]
pub(in crate::potential) struct StridedRows<T> {
    pub(in crate::potential) start: *const T,
    pub(in crate::potential) stride: usize,
    pub(in crate::potential) count: usize,
    /// What is fetched into cache meanwhile.
    pub(in crate::potential) next: Span<T>,
}

impl<T: Real> StridedRows<T> {
    /// Has `next` fetched into cache while the product is computed.
    #[inline(always)]
    pub(in crate::potential) fn fetching(self, next: Span<T>) -> Self {
        Self { next, ..self }
    }

    /// Into `tile`: these rows times a panel, plus a bias.
    #[inline(always)]
    unsafe fn times<V: Products<T = T>>(
        self,
        panels: &Panels<T>,
        slice: usize,
        bias: *const T,
        tile: &mut Tile<T>,
    ) {
        let product = Multiplication {
            rows: self.count,
            k: panels.k,
            a: self.start,
            stride: self.stride,
            panel: panels.slice(slice),
            bias,
            c: tile.start(),
            next: self.next,
        };
        debug_assert!(self.count * 2 * V::N <= TILE);
        // SAFETY: the caller's rows hold k numbers each, and the tile has room.
        unsafe { V::product(&product) }
    }

    #[inline(always)]
    pub(in crate::potential) unsafe fn forward<V: Products<T = T>>(
        self,
        map: &Affine<T>,
        slice: usize,
        tile: &mut Tile<T>,
    ) {
        unsafe { self.times::<V>(&map.forward, slice, map.bias(slice, 2 * V::N), tile) }
    }

    #[inline(always)]
    pub(in crate::potential) unsafe fn backward<V: Products<T = T>>(
        self,
        map: &Affine<T>,
        slice: usize,
        tile: &mut Tile<T>,
    ) {
        unsafe { self.times::<V>(&map.backward, slice, std::ptr::null(), tile) }
    }
}
