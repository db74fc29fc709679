//! The hyper-parameters of one PaiNN, with its units already turned into eV and angstrom, and the
//! functions of a distance that they define.

use std::f64::consts::PI;

use crate::core::elements::symbol;
use crate::{Error, Result};

/// Default of [`Spec::epsilon`], SchNetPack's.
pub const EPSILON: f64 = 1e-8;

/// Radial basis functions of the distance d (angstrom).
#[derive(Debug, Clone, PartialEq)]
pub enum RadialBasis {
    /// exp(-((d - centers\[k\]) / widths\[k\])^2 / 2), both in angstrom.
    Gaussian {
        /// Centre of each function.
        centers: Vec<f64>,
        /// Width of each function.
        widths: Vec<f64>,
    },
    /// scale sin(frequencies\[k\] d) / d (Gasteiger, Gross, Guennemann, ICLR 2020).
    Bessel {
        /// Angular frequency of each function (1 / angstrom).
        frequencies: Vec<f64>,
        /// The model's length unit in angstrom, which makes the function dimensionless.
        scale: f64,
    },
}

impl RadialBasis {
    /// Gaussians on a regular grid from 0 to `cutoff` (angstrom), as wide as the grid is fine.
    /// Takes at least two functions.
    pub fn gaussian(functions: usize, cutoff: f64) -> Self {
        let spacing = cutoff / (functions.max(2) - 1) as f64;
        Self::Gaussian {
            centers: (0..functions.max(2)).map(|k| k as f64 * spacing).collect(),
            widths: vec![spacing; functions.max(2)],
        }
    }

    /// The first so many spherical Bessel functions that vanish at `cutoff` (angstrom).
    pub fn bessel(functions: usize, cutoff: f64) -> Self {
        Self::Bessel {
            frequencies: (1..=functions).map(|k| k as f64 * PI / cutoff).collect(),
            scale: 1.0,
        }
    }

    /// Function `k` at distance `d` (angstrom, positive) and its derivative (1 / angstrom).
    pub fn evaluate(&self, k: usize, d: f64) -> [f64; 2] {
        match self {
            Self::Gaussian { centers, widths } => {
                let x = (d - centers[k]) / widths[k];
                let value = (-0.5 * x * x).exp();
                [value, -x / widths[k] * value]
            }
            Self::Bessel { frequencies, scale } => {
                let (sin, cos) = (frequencies[k] * d).sin_cos();
                let value = scale * sin / d;
                [value, (scale * frequencies[k] * cos - value) / d]
            }
        }
    }

    /// Number of functions.
    pub fn len(&self) -> usize {
        match self {
            Self::Gaussian { centers, .. } => centers.len(),
            Self::Bessel { frequencies, .. } => frequencies.len(),
        }
    }

    /// Whether there are no functions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Elements as a list of their symbols.
fn symbols(elements: &[u8]) -> String {
    let names: Vec<&str> = elements.iter().map(|&z| symbol(z)).collect();
    names.join(", ")
}

/// The hyper-parameters of one PaiNN.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Features per atom, F.
    pub features: usize,
    /// Interactions, L.
    pub layers: usize,
    /// Radial basis.
    pub basis: RadialBasis,
    /// Range (angstrom); the cutoff function is (1 + cos(pi d / cutoff)) / 2.
    pub cutoff: f64,
    /// Added to the squared norm of vector features under the root, per layer.
    pub epsilon: Vec<f64>,
    /// Atomic numbers that the model was trained on, ascending.
    pub elements: Vec<u8>,
    /// eV per energy unit of the network's output.
    pub energy_scale: f64,
    /// Energy added per atom (eV).
    pub mean_per_atom: f64,
    /// Reference energy (eV) added per atom of an element, in the order of `elements`.
    pub reference_energies: Vec<f64>,
}

impl Spec {
    /// The network and its size, for people.
    pub(super) fn words(&self) -> String {
        format!("PaiNN, {} layers of {}", self.layers, self.features)
    }

    /// A model in eV and angstrom that adds nothing to the network's energy. Change a field after it:
    /// `Spec { mean_per_atom: -3.0, ..Spec::new(...) }`. `elements` are atomic numbers in any order.
    pub fn new(
        features: usize,
        layers: usize,
        basis: RadialBasis,
        cutoff: f64,
        elements: &[u8],
    ) -> Self {
        let mut elements = elements.to_vec();
        elements.sort_unstable();
        elements.dedup();
        Self {
            features,
            layers,
            basis,
            cutoff,
            epsilon: vec![EPSILON; layers],
            reference_energies: vec![0.0; elements.len()],
            elements,
            energy_scale: 1.0,
            mean_per_atom: 0.0,
        }
    }

    /// The cutoff function (1 + cos(pi d / cutoff)) / 2 at distance `d` (angstrom) and its derivative
    /// (1 / angstrom); zero from the cutoff on.
    pub fn cutoff_function(&self, d: f64) -> [f64; 2] {
        if d >= self.cutoff {
            return [0.0, 0.0];
        }
        let frequency = PI / self.cutoff;
        let (sin, cos) = (frequency * d).sin_cos();
        [0.5 * (1.0 + cos), -0.5 * frequency * sin]
    }

    /// Takes the model for one of these elements (atomic numbers) alone.
    ///
    /// # Errors
    /// It does not know one of them.
    pub fn restrict(&mut self, elements: &[u8]) -> Result<()> {
        if let Some(&z) = elements
            .iter()
            .find(|z| self.elements.binary_search(z).is_err())
        {
            return Err(Error::input(format!(
                "the model does not know {}; it knows {}",
                symbol(z),
                symbols(&self.elements)
            )));
        }
        let energies = std::mem::take(&mut self.reference_energies).into_iter();
        let all = std::mem::take(&mut self.elements).into_iter().zip(energies);
        (self.elements, self.reference_energies) =
            all.filter(|(z, _)| elements.contains(z)).unzip();
        Ok(())
    }

    /// Whether the model was trained on all of these atomic numbers.
    ///
    /// # Errors
    /// Names the elements that the model does not know, and the first atom of one.
    pub fn check_species(&self, species: &[u8]) -> Result<()> {
        let unknown = |z: &u8| self.elements.binary_search(z).is_err();
        let Some(atom) = species.iter().position(unknown) else {
            return Ok(());
        };
        let mut missing: Vec<u8> = species.iter().copied().filter(unknown).collect();
        missing.sort_unstable();
        missing.dedup();
        Err(Error::input(format!(
            "the model does not know {} (first met as atom {atom}, counted from 0); it knows {}: use a \
             model trained on these elements",
            symbols(&missing),
            symbols(&self.elements)
        )))
    }

    /// What the network leaves out (eV): mean and reference energies of these atoms, summed in f64 in
    /// their order.
    pub fn offset(&self, species: &[u8]) -> f64 {
        let reference = |z: &u8| {
            self.elements
                .binary_search(z)
                .map_or(0.0, |k| self.reference_energies[k])
        };
        species
            .iter()
            .map(|z| self.mean_per_atom + reference(z))
            .sum()
    }
}
