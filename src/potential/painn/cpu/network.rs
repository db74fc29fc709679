//! The weights of one PaiNN, packed for the kernels.
//!
//! Features are padded with zeros to whole slices (two SIMD lanes): padded channels stay exactly zero
//! through the network and its gradient, so that any width runs through the same kernels.

use crate::potential::painn::{Int8Product, Int8Weights, Layer, Linear, Spec, Weights};
use crate::{Error, Result};

use super::affine::{Affine, MapNumbers, Padding, Readout, readout_of};
use super::filters::Filters;
use super::lane::Real;
use super::memory::Aligned;
use super::spline::{self, SplineError, SplineTable};

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

/// All weights.
pub(super) struct Network<T> {
    /// Slice width: two lanes.
    pub(super) width: usize,
    /// Features as the model has them, without padding.
    pub(super) width_of_model: usize,
    /// Padded features.
    pub(super) features: usize,
    pub(super) slices: usize,
    /// Species present (atomic numbers, ascending).
    pub(super) species: Vec<u8>,
    /// Embedding of each species present, \[species\]\[features\].
    pub(super) embedding: Aligned<T>,
    /// The first layer's context: a function of the species alone, \[slice\]\[species\]\[3\]\[width\].
    pub(super) first_context: Aligned<T>,
    pub(super) layers: Vec<PackedLayer<T>>,
    pub(super) readout: Readout<T>,
    pub(super) cutoff: f64,
}

impl<T: Real> Network<T> {
    /// Packs the weights for atoms of the given species, in slices of `width`; also the error of the
    /// filters' splines, made to be under `bound`. Products that are there in 8 bits are packed so.
    pub(super) fn new(
        spec: &Spec,
        (weights, int8): (&Weights, Option<&Int8Weights>),
        species: &[u8],
        width: usize,
        bound: f64,
    ) -> Result<(Self, SplineError)> {
        check(spec, weights, species)?;
        let padding = Padding::new(spec.features, width);
        let padded = padding.padded;
        let filters: Vec<_> = (weights.layers.iter())
            .map(|l| Filters::new(&spec.basis, spec.cutoff, &l.filter))
            .collect();
        let (tables, error) = spline::tables(&filters, width, bound);
        let count = weights.layers.len();
        let map = |product: Int8Product, linear| MapNumbers {
            linear,
            int8: int8.and_then(|int8| int8.get(product)),
        };
        let layers = (weights.layers.iter().zip(tables).enumerate())
            .map(|(l, (layer, filter))| {
                let updated: &[usize] = if l + 1 == count { &[0, 2] } else { &[0, 1, 2] };
                PackedLayer {
                    filter,
                    context: (l > 0).then(|| {
                        [
                            padding.affine(
                                map(Int8Product::Context(l, 0), &layer.context[0]),
                                &[0],
                                &[0],
                            ),
                            padding.affine(
                                map(Int8Product::Context(l, 1), &layer.context[1]),
                                &[0],
                                &[0, 1, 2],
                            ),
                        ]
                    }),
                    mix: padding.affine(map(Int8Product::Mix(l), &layer.mix), &[0], &[0, 1]),
                    update: [
                        padding.affine(
                            map(Int8Product::Update(l, 0), &layer.update[0]),
                            &[0, 1],
                            &[0],
                        ),
                        padding.affine(
                            map(Int8Product::Update(l, 1), &layer.update[1]),
                            &[0],
                            updated,
                        ),
                    ],
                    epsilon: T::of(spec.epsilon[l]),
                }
            })
            .collect();
        let readout: Vec<_> = (weights.readout.iter().enumerate())
            .map(|(k, linear)| map(Int8Product::Readout(k), linear))
            .collect();
        let network = Self {
            width,
            width_of_model: spec.features,
            features: padded,
            slices: padded / width,
            species: species.to_vec(),
            embedding: padding.embedding(&weights.embedding, species),
            first_context: first_context(weights, species, padding),
            layers,
            readout: readout_of(&readout, padding)?,
            cutoff: spec.cutoff,
        };
        Ok((network, error))
    }
}

/// W2 silu(W1 q + b1) + b2 of each species' embedding, in f64.
fn first_context<T: Real>(weights: &Weights, species: &[u8], p: Padding) -> Aligned<T> {
    let [one, two] = &weights.layers[0].context;
    let mut out = Aligned::zeros(species.len() * 3 * p.padded);
    for (s, &z) in species.iter().enumerate() {
        let q = &weights.embedding[usize::from(z) * p.features..][..p.features];
        let hidden: Vec<f64> = (one.apply(q).iter())
            .map(|h| h / (1.0 + (-h).exp()))
            .collect();
        for (index, x) in two.apply(&hidden).into_iter().enumerate() {
            let (kind, f) = (index / p.features, index % p.features);
            let block = (f / p.width) * species.len() + s;
            out.as_mut_slice()[(block * 3 + kind) * p.width + f % p.width] = T::of(x);
        }
    }
    out
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
