//! Random numbers of a StudentForceField, for tests and benchmarks.

use super::{SOFT, Student, StudentLayer};
use crate::core::elements::LAST;
use crate::potential::painn::weights::Draws;

/// Range (angstrom).
const CUTOFF: f64 = 5.0;
/// Gaussians.
const FUNCTIONS: usize = 12;
/// eV per unit of the network's output: energies of atoms are some hundredths of an eV.
const UNIT: f64 = 0.05;

impl Student {
    /// A model of all elements with random numbers and these hidden widths of the readout: a pure function of the shape and the
    /// seed, every number exact in f32.
    pub fn random(features: usize, layers: usize, hidden: &[usize], seed: u32) -> Self {
        let f = features;
        let mut source = Draws { seed, tensor: 0 };
        let embedding = source.uniform((usize::from(LAST) + 1) * f, 3f64.sqrt());
        let layers = (0..layers)
            .map(|_| {
                let mixing = source.uniform(9, 1.0);
                StudentLayer {
                    filter: [source.linear(FUNCTIONS, f), source.calm(f, 3 * f)],
                    update: [source.linear(2 * f, f), source.linear(f, 3 * f)],
                    mixing: [0, 1, 2].map(|a| [0, 1, 2].map(|b| mixing[3 * a + b])),
                }
            })
            .collect();
        let mut widths = vec![f];
        widths.extend_from_slice(hidden);
        widths.push(1);
        Self {
            features,
            cutoff: CUTOFF,
            centers: (0..FUNCTIONS)
                .map(|k| CUTOFF * k as f64 / (FUNCTIONS - 1) as f64)
                .collect(),
            widths: vec![CUTOFF / FUNCTIONS as f64; FUNCTIONS],
            soft: SOFT,
            embedding,
            layers,
            readout: widths
                .windows(2)
                .map(|w| source.linear(w[0], w[1]))
                .collect(),
            energy_scale: UNIT,
        }
    }

    /// The same without what makes it no potential: filters without biases, which end at the cutoff, and a matrix that scales all
    /// axes of space alike.
    pub fn without_flaws(mut self) -> Self {
        for layer in &mut self.layers {
            for map in &mut layer.filter {
                map.bias.fill(0.0);
            }
            let scale = layer.mixing[0][0];
            layer.mixing = [0, 1, 2].map(|a| [0, 1, 2].map(|b| if a == b { scale } else { 0.0 }));
        }
        self
    }
}
