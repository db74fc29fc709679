//! The hyper-parameters of one PaiNN, with its units already turned into eV and angstrom.

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
