//! Affine maps of blocks of atoms: weights padded to whole slices and packed, and their products into tiles on the stack.

use std::mem::MaybeUninit;

use crate::potential::{Int8Linear, Linear};
use crate::{Error, Result};

use super::ATOMS_PER_BLOCK;
use super::gemm::{Multiplication, Panels, Products, ScalesAlong, SumStart};
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

    /// A map between vectors of these blocks of the model's.
    pub(in crate::potential) fn affine<'a, T: Real>(
        self,
        map: impl Into<MapNumbers<'a>>,
        inputs: &[usize],
        outputs: &[usize],
    ) -> Affine<T> {
        let shape = (inputs.len() * self.padded, outputs.len() * self.padded);
        let input = |index: usize| self.source(index, inputs);
        let output = |index: usize| self.source(index, outputs);
        map.into().pack(shape, self.width, (&input, &output))
    }
}

/// The numbers of an affine map, with its weights in 8 bits where they are.
#[derive(Clone, Copy)]
pub(in crate::potential) struct MapNumbers<'a> {
    /// Bias, and weights where there are none in 8 bits.
    pub(in crate::potential) linear: &'a Linear,
    pub(in crate::potential) int8: Option<&'a Int8Linear>,
}

impl<'a> From<&'a Linear> for MapNumbers<'a> {
    fn from(linear: &'a Linear) -> Self {
        Self { linear, int8: None }
    }
}

/// The model's index of a padded one; `None` in the padding.
type Unpadded<'a> = &'a dyn Fn(usize) -> Option<usize>;

impl MapNumbers<'_> {
    /// Packs the map of so many padded inputs and outputs.
    fn pack<T: Real>(
        self,
        (k, n): (usize, usize),
        width: usize,
        (input, output): (Unpadded<'_>, Unpadded<'_>),
    ) -> Affine<T> {
        let linear = self.linear;
        let mut bias = Aligned::zeros(n);
        if !linear.bias.is_empty() {
            for (o, to) in bias.as_mut_slice().iter_mut().enumerate() {
                *to = T::of(output(o).map_or(0.0, |o| linear.bias[o]));
            }
        }
        let place = |i: usize, o: usize| {
            let place = output(o).zip(input(i));
            place.map(|(o, i)| o * linear.inputs + i)
        };
        let Some(small) = self.int8 else {
            let number = |i, o| place(i, o).map_or(0.0, |at| linear.weight[at]);
            return Affine {
                forward: Panels::pack(k, n, width, number),
                bias,
                backward: Panels::pack(n, k, width, |o, i| number(i, o)),
            };
        };
        let number = |i, o| place(i, o).map_or(0, |at| small.q[at]);
        let scale = |o| output(o).map_or(0.0, |o| small.scale[o]);
        let (outputs, inputs) = (ScalesAlong::Outputs, ScalesAlong::Inputs);
        Affine {
            forward: Panels::pack_small((k, n), width, number, (outputs, scale)),
            bias,
            backward: Panels::pack_small((n, k), width, |o, i| number(i, o), (inputs, scale)),
        }
    }
}

/// Packs a readout.
///
/// # Errors
/// There is none.
pub(in crate::potential) fn readout<T: Real>(linears: &[Linear], p: Padding) -> Result<Readout<T>> {
    let maps: Vec<MapNumbers<'_>> = linears.iter().map(MapNumbers::from).collect();
    readout_of(&maps, p)
}

/// Packs a readout whose hidden maps may be in 8 bits.
///
/// # Errors
/// There is none.
pub(in crate::potential) fn readout_of<T: Real>(
    maps: &[MapNumbers<'_>],
    p: Padding,
) -> Result<Readout<T>> {
    let Some((last, hidden)) = maps.split_last() else {
        return Err(Error::input("the model has no readout"));
    };
    let last = last.linear;
    let pad = |n: usize| n.next_multiple_of(p.width);
    let mut size = 0;
    let hidden: Vec<_> = (hidden.iter())
        .map(|map| {
            let (inputs, outputs) = (map.linear.inputs, map.linear.outputs);
            let (k, n) = (pad(inputs), pad(outputs));
            let input = |index: usize| (index < inputs).then_some(index);
            let output = |index: usize| (index < outputs).then_some(index);
            let offset = size;
            size += n;
            Hidden {
                map: map.pack((k, n), p.width, (&input, &output)),
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
        start: SumStart<T>,
        tile: &mut Tile<T>,
    ) {
        let small = panels.small_slice(slice);
        let product = Multiplication {
            rows: self.count,
            k: panels.k,
            a: self.start,
            stride: self.stride,
            panel: if small.is_none() {
                panels.slice(slice)
            } else {
                std::ptr::null()
            },
            start,
            c: tile.start(),
            next: self.next,
        };
        debug_assert!(self.count * 2 * V::N <= TILE);
        // SAFETY: the caller's rows hold k numbers each, and the tile has room.
        unsafe {
            match small {
                None => V::product(&product),
                Some(panel) => V::small_product(&product, panel),
            }
        }
    }

    #[inline(always)]
    pub(in crate::potential) unsafe fn forward<V: Products<T = T>>(
        self,
        map: &Affine<T>,
        slice: usize,
        tile: &mut Tile<T>,
    ) {
        unsafe {
            let bias = SumStart::Bias(map.bias(slice, 2 * V::N));
            self.times::<V>(&map.forward, slice, bias, tile);
        }
    }

    #[inline(always)]
    pub(in crate::potential) unsafe fn backward<V: Products<T = T>>(
        self,
        map: &Affine<T>,
        slice: usize,
        tile: &mut Tile<T>,
    ) {
        unsafe { self.times::<V>(&map.backward, slice, SumStart::Zero, tile) }
    }
}
