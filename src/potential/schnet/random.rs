//! Random numbers of a SchNet, for tests and benchmarks.

use super::{Schnet, SchnetLayer};
use crate::core::elements::LAST;
use crate::potential::painn::RadialBasis;
use crate::potential::painn::weights::Draws;

/// eV per unit of the network's output: energies of atoms are some hundredths of an eV.
const UNIT: f64 = 0.05;

impl Schnet {
    /// A model of all elements with random numbers and these hidden widths of the readout: a pure function of the shape and the
    /// seed, every number exact in f32.
    pub fn random(
        features: usize,
        layers: usize,
        basis: RadialBasis,
        hidden: &[usize],
        seed: u32,
    ) -> Self {
        let (f, functions) = (features, basis.len());
        let mut source = Draws { seed, tensor: 0 };
        let embedding = source.uniform((usize::from(LAST) + 1) * f, 3f64.sqrt());
        let layers = (0..layers)
            .map(|_| SchnetLayer {
                input: source.without_bias(f, f),
                filter: [source.linear(functions, f), source.calm(f, f)],
                output: [source.linear(f, f), source.linear(f, f)],
            })
            .collect();
        let mut widths = vec![f];
        widths.extend_from_slice(hidden);
        widths.push(1);
        Self {
            features,
            basis,
            cutoff: 5.0,
            embedding,
            layers,
            readout: widths
                .windows(2)
                .map(|w| source.linear(w[0], w[1]))
                .collect(),
            elements: (1..=LAST).collect(),
            energy_scale: UNIT,
            mean_per_atom: -1.25,
        }
    }
}
