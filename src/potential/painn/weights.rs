//! The trained numbers of one PaiNN, in f64 (exact for f32 files), one entry per layer also where
//! the model shares its filters or interactions; and random ones for tests.

use crate::core::rng::philox;
use crate::{Error, Result};

use super::{Linear, Spec};

/// One interaction and mixing block.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Filter, basis -> 3 F; multiplied, bias included, by the cutoff function.
    pub filter: Linear,
    /// Context net of the interaction, F -> F -> 3 F with SiLU between.
    pub context: [Linear; 2],
    /// Channel mix of vector features, F -> 2 F; with a bias, which it should not have, a model is not equivariant.
    pub mix: Linear,
    /// Context net of the mixing, 2 F -> F -> 3 F with SiLU between.
    pub update: [Linear; 2],
}

/// All weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// Embedding, row-major, \[atomic numbers from 0\]\[F\].
    pub embedding: Vec<f64>,
    /// Layers in the order of evaluation.
    pub layers: Vec<Layer>,
    /// Readout, F -> ... -> 1 with SiLU between.
    pub readout: Vec<Linear>,
}

impl Weights {
    /// Random weights of a readout F -> F / 2 -> 1, for tests and benchmarks: a pure function of the
    /// hyper-parameters and the seed, every number exact in f32.
    pub fn random(spec: &Spec, seed: u32) -> Self {
        Self::random_with_readout(spec, &[(spec.features / 2).max(1)], seed)
    }

    /// Random weights like [`Weights::random`], of a readout with the given hidden widths.
    pub fn random_with_readout(spec: &Spec, hidden: &[usize], seed: u32) -> Self {
        let f = spec.features;
        let mut source = Draws { seed, tensor: 0 };
        let rows = spec.elements.iter().max().map_or(1, |&z| z as usize + 1);
        let embedding = source.uniform(rows * f, 3f64.sqrt());
        let layers = (0..spec.layers)
            .map(|_| Layer {
                filter: source.linear(spec.basis.len(), 3 * f),
                context: [source.linear(f, f), source.linear(f, 3 * f)],
                mix: source.without_bias(f, 2 * f),
                update: [source.linear(2 * f, f), source.linear(f, 3 * f)],
            })
            .collect();
        let mut widths = vec![f];
        widths.extend_from_slice(hidden);
        widths.push(1);
        Self {
            embedding,
            layers,
            readout: widths
                .windows(2)
                .map(|w| source.linear(w[0], w[1]))
                .collect(),
        }
    }

    /// Whether the shapes are those of the hyper-parameters, and there is a row of the embedding for
    /// every element.
    ///
    /// # Errors
    /// Names the part that does not fit.
    pub fn check(&self, spec: &Spec) -> Result<()> {
        let f = spec.features;
        let unfit = |part: &str| {
            let message = format!("the weights do not fit the hyper-parameters: {part}");
            Err(Error::input(message))
        };
        let rows = spec
            .elements
            .iter()
            .max()
            .map_or(1, |&z| usize::from(z) + 1);
        if f == 0 || !self.embedding.len().is_multiple_of(f) || self.embedding.len() / f < rows {
            return unfit("embedding");
        }
        if self.layers.is_empty()
            || self.layers.len() != spec.layers
            || spec.epsilon.len() != spec.layers
        {
            return unfit("number of layers");
        }
        for (l, layer) in self.layers.iter().enumerate() {
            let sound = layer.filter.is_sound(spec.basis.len(), 3 * f, 3 * f)
                && layer.context[0].is_sound(f, f, f)
                && layer.context[1].is_sound(f, 3 * f, 3 * f)
                && layer.mix.is_sound(f, 2 * f, layer.mix.bias.len())
                && [0, 2 * f].contains(&layer.mix.bias.len())
                && layer.update[0].is_sound(2 * f, f, f)
                && layer.update[1].is_sound(f, 3 * f, 3 * f);
            if !sound {
                return unfit(&format!("layer {l}"));
            }
        }
        let mut inputs = f;
        for linear in &self.readout {
            if !linear.is_sound(inputs, linear.outputs, linear.outputs) {
                return unfit("readout");
            }
            inputs = linear.outputs;
        }
        if self.readout.is_empty() || inputs != 1 {
            return unfit("readout");
        }
        Ok(())
    }

    /// Number of weights and biases, shared ones counted in every layer.
    pub fn parameters(&self) -> usize {
        let layer = |l: &Layer| {
            let nets = l.context.iter().chain(&l.update);
            nets.chain([&l.filter, &l.mix])
                .map(Linear::parameters)
                .sum::<usize>()
        };
        self.embedding.len()
            + self.layers.iter().map(layer).sum::<usize>()
            + self.readout.iter().map(Linear::parameters).sum::<usize>()
    }
}

/// Random tensors, one after another.
pub(in crate::potential) struct Draws {
    pub(in crate::potential) seed: u32,
    pub(in crate::potential) tensor: u32,
}

impl Draws {
    /// Largest bias.
    const BIAS: f64 = 0.3;

    /// Numbers uniform between `-bound` and `bound`, rounded to f32.
    pub(in crate::potential) fn uniform(&mut self, count: usize, bound: f64) -> Vec<f64> {
        self.tensor += 1;
        let word = |n: usize| {
            let counter = [n as u32 / 4, self.tensor, 0, 0];
            philox(counter, [self.seed, u32::from_le_bytes(*b"pain")])[n % 4]
        };
        (0..count)
            .map(|n| f64::from(word(n)) / f64::from(u32::MAX) * 2.0 - 1.0)
            .map(|x| f64::from((bound * x) as f32))
            .collect()
    }

    /// A map that keeps the variance of its inputs.
    pub(in crate::potential) fn without_bias(&mut self, inputs: usize, outputs: usize) -> Linear {
        Linear {
            inputs,
            outputs,
            weight: self.uniform(inputs * outputs, (3.0 / inputs as f64).sqrt()),
            bias: Vec::new(),
        }
    }

    /// A map whose outputs are an eighth of those of [`Draws::linear`], so that sums over some forty neighbours of what it
    /// gives do not grow from layer to layer.
    pub(in crate::potential) fn calm(&mut self, inputs: usize, outputs: usize) -> Linear {
        const CALM: f64 = 0.125;
        let mut linear = self.linear(inputs, outputs);
        let numbers = linear.weight.iter_mut().chain(&mut linear.bias);
        numbers.for_each(|x| *x *= CALM);
        linear
    }

    pub(in crate::potential) fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let mut linear = self.without_bias(inputs, outputs);
        linear.bias = self.uniform(outputs, Self::BIAS);
        linear
    }
}
