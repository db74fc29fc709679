//! The weights of one PaiNN, packed for the kernels.
//!
//! Features are padded with zeros to whole slices (two SIMD lanes): padded channels stay exactly zero
//! through the network and its gradient, so that any width runs through the same kernels.

use crate::potential::painn::{Layer, Linear, Spec, Weights};
use crate::{Error, Result};

use super::gemm::Panels;
use super::lane::Real;
use super::memory::Aligned;
use super::spline::{self, SplineError, SplineTable};

/// A padded affine map with its transpose.
pub(super) struct Affine<T> {
    pub(super) forward: Panels<T>,
    pub(super) bias: Aligned<T>,
    pub(super) backward: Panels<T>,
}

impl<T> Affine<T> {
    /// Bias of an output slice.
    #[inline(always)]
    pub(super) fn bias(&self, slice: usize, width: usize) -> *const T
    where
        T: Real,
    {
        self.bias.as_slice()[slice * width..].as_ptr()
    }
}

/// One interaction and mixing block.
pub(super) struct PackedLayer<T> {
    pub(super) filter: SplineTable<T>,
    /// Context net; the first layer has none, see [`Network::first_context`].
    pub(super) context: Option<[Affine<T>; 2]>,
    pub(super) mix: Affine<T>,
    /// The last layer's second map gives a and c alone: nothing reads its vector features.
    pub(super) update: [Affine<T>; 2],
    /// Under the root of the norm.
    pub(super) epsilon: T,
}

/// A hidden layer of the readout.
pub(super) struct Hidden<T> {
    pub(super) map: Affine<T>,
    /// Padded number of outputs.
    pub(super) width: usize,
    /// Where its numbers begin in an atom's record of hidden numbers.
    pub(super) offset: usize,
}

/// The readout, F -> ... -> 1.
pub(super) struct Readout<T> {
    pub(super) hidden: Vec<Hidden<T>>,
    /// Padded size of an atom's record of hidden numbers.
    pub(super) size: usize,
    /// Weights of the one output.
    pub(super) last: Aligned<T>,
    pub(super) bias: f64,
}

/// All weights.
pub(super) struct Network<T> {
    /// Slice width: two lanes.
    pub(super) width: usize,
    /// Padded features.
    pub(super) features: usize,
    pub(super) slices: usize,
    /// Embedding of each species present, \[species\]\[features\].
    pub(super) embedding: Aligned<T>,
    /// The first layer's context: a function of the species alone, \[slice\]\[species\]\[3\]\[width\].
    pub(super) first_context: Aligned<T>,
    pub(super) layers: Vec<PackedLayer<T>>,
    pub(super) readout: Readout<T>,
    pub(super) cutoff: f64,
}

/// How features are padded.
#[derive(Clone, Copy)]
struct Padding {
    features: usize,
    padded: usize,
    width: usize,
}

impl Padding {
    /// Place in the model's vector of blocks of an index of the padded vector; `None` in the padding.
    /// `blocks` names the model's block behind each padded one.
    fn source(self, index: usize, blocks: &[usize]) -> Option<usize> {
        let (block, f) = (index / self.padded, index % self.padded);
        (f < self.features).then(|| blocks[block] * self.features + f)
    }

    fn affine<T: Real>(self, linear: &Linear, inputs: &[usize], outputs: &[usize]) -> Affine<T> {
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

impl<T: Real> Network<T> {
    /// Packs the weights for atoms of the given species, in slices of `width`; also the error of the
    /// filters' splines, made to be under `bound`.
    pub(super) fn new(
        spec: &Spec,
        weights: &Weights,
        species: &[u8],
        width: usize,
        bound: f64,
    ) -> Result<(Self, SplineError)> {
        check(spec, weights, species)?;
        let padded = spec.features.next_multiple_of(width);
        let padding = Padding {
            features: spec.features,
            padded,
            width,
        };
        let linears: Vec<_> = weights.layers.iter().map(|l| &l.filter).collect();
        let (tables, error) = spline::tables(&spec.basis, spec.cutoff, &linears, width, bound);
        let count = weights.layers.len();
        let layers = (weights.layers.iter().zip(tables).enumerate())
            .map(|(l, (layer, filter))| {
                let updated: &[usize] = if l + 1 == count { &[0, 2] } else { &[0, 1, 2] };
                PackedLayer {
                    filter,
                    context: (l > 0).then(|| {
                        [
                            padding.affine(&layer.context[0], &[0], &[0]),
                            padding.affine(&layer.context[1], &[0], &[0, 1, 2]),
                        ]
                    }),
                    mix: padding.affine(&layer.mix, &[0], &[0, 1]),
                    update: [
                        padding.affine(&layer.update[0], &[0, 1], &[0]),
                        padding.affine(&layer.update[1], &[0], updated),
                    ],
                    epsilon: T::of(spec.epsilon[l]),
                }
            })
            .collect();
        let network = Self {
            width,
            features: padded,
            slices: padded / width,
            embedding: embedding(weights, species, padding),
            first_context: first_context(weights, species, padding),
            layers,
            readout: readout(&weights.readout, padding)?,
            cutoff: spec.cutoff,
        };
        Ok((network, error))
    }
}

fn embedding<T: Real>(weights: &Weights, species: &[u8], p: Padding) -> Aligned<T> {
    let mut rows = Aligned::zeros(species.len() * p.padded);
    for (row, &z) in rows.as_mut_slice().chunks_exact_mut(p.padded).zip(species) {
        let from = &weights.embedding[usize::from(z) * p.features..][..p.features];
        for (to, from) in row.iter_mut().zip(from) {
            *to = T::of(*from);
        }
    }
    rows
}

/// W2 silu(W1 q + b1) + b2 of each species' embedding, in f64.
fn first_context<T: Real>(weights: &Weights, species: &[u8], p: Padding) -> Aligned<T> {
    let [one, two] = &weights.layers[0].context;
    let mut out = Aligned::zeros(species.len() * 3 * p.padded);
    for (s, &z) in species.iter().enumerate() {
        let q = &weights.embedding[usize::from(z) * p.features..][..p.features];
        let hidden: Vec<f64> = apply(one, q)
            .iter()
            .map(|h| h / (1.0 + (-h).exp()))
            .collect();
        for (index, x) in apply(two, &hidden).into_iter().enumerate() {
            let (kind, f) = (index / p.features, index % p.features);
            let block = (f / p.width) * species.len() + s;
            out.as_mut_slice()[(block * 3 + kind) * p.width + f % p.width] = T::of(x);
        }
    }
    out
}

/// W x + b.
fn apply(linear: &Linear, x: &[f64]) -> Vec<f64> {
    let rows = linear.weight.chunks_exact(linear.inputs.max(1));
    let dot = |row: &[f64]| -> f64 { row.iter().zip(x).map(|(w, x)| w * x).sum() };
    rows.enumerate()
        .map(|(o, row)| dot(row) + linear.bias.get(o).copied().unwrap_or(0.0))
        .collect()
}

fn readout<T: Real>(linears: &[Linear], p: Padding) -> Result<Readout<T>> {
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

/// What the kernels rely on.
fn check(spec: &Spec, weights: &Weights, species: &[u8]) -> Result<()> {
    let wrong = |what: &str| {
        Err(Error::input(format!(
            "the model's {what} do not fit its hyper-parameters"
        )))
    };
    let (f, r) = (spec.features, spec.basis.len());
    let fits = |l: &Linear, inputs: usize, outputs: usize| {
        l.inputs == inputs
            && l.outputs == outputs
            && l.weight.len() == inputs * outputs
            && (l.bias.is_empty() || l.bias.len() == outputs)
    };
    let layer = |l: &Layer| {
        fits(&l.filter, r, 3 * f)
            && fits(&l.context[0], f, f)
            && fits(&l.context[1], f, 3 * f)
            && fits(&l.mix, f, 2 * f)
            && fits(&l.update[0], 2 * f, f)
            && fits(&l.update[1], f, 3 * f)
    };
    if f == 0 || r == 0 || weights.layers.is_empty() || weights.layers.len() != spec.layers {
        return wrong("layers");
    }
    if spec.epsilon.len() != spec.layers || !weights.layers.iter().all(layer) {
        return wrong("layers");
    }
    if !(spec.cutoff > 0.0 && spec.cutoff.is_finite()) {
        return wrong("cutoffs");
    }
    let mut inputs = f;
    for linear in &weights.readout {
        if !fits(linear, inputs, linear.outputs) || linear.outputs == 0 {
            return wrong("readouts");
        }
        inputs = linear.outputs;
    }
    if weights.readout.is_empty() || inputs != 1 {
        return wrong("readouts");
    }
    let known = weights.embedding.len() / f;
    match species.iter().find(|&&z| usize::from(z) >= known) {
        Some(z) => Err(Error::input(format!(
            "the model has no embedding for atomic number {z}, only for those below {known}"
        ))),
        None => Ok(()),
    }
}
