//! SchNet, a continuous-filter convolutional network (Schuett et al., NeurIPS 2017; J. Chem. Phys. 148, 241722 (2018)), in
//! SchNetPack's parametrisation. N atoms, F features, L layers:
//!
//! ```text
//! filter    w(d) = (B2 ssp(B1 phi(d) + b1) + b2) fc(d) ;  fc = (1 + cos(pi d / rc)) / 2 ;  ssp(x) = ln(1 + exp(x)) - ln 2
//! message   y = A x ;  g_i = sum_j w(d_ij) y_j                                                (x_i = embedding at first)
//! update    x += C2 ssp(C1 g + c1) + c2
//! readout   E = sum_i H2 silu(H1 x_i + h1) + h2, and what is added for each atom
//! ```

mod check;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod filter;
mod import;
mod packed;
mod random;

#[cfg(feature = "cuda")]
use super::device::{self, DevicePotential};
use super::network::{Architecture, NetworkFacts, NeuralNetwork};
use super::painn::RadialBasis;
use super::{Linear, Potential, Precision};
use crate::Result;
use crate::core::elements::symbol;

pub use cpu::FusedSchnet;
#[cfg(feature = "cuda")]
pub use cuda::CudaSchnet;
pub use filter::SchnetFilters;
pub use import::import;

/// The architecture, as it is found in files.
pub const ARCHITECTURE: Architecture = Architecture {
    recognises: import::recognises,
    read: import::read,
};

/// The trained numbers of a SchNet, in eV and angstrom but for the network's own output.
#[derive(Debug, Clone, PartialEq)]
pub struct Schnet {
    /// Features per atom, F.
    pub features: usize,
    /// Radial basis.
    pub basis: RadialBasis,
    /// Range (angstrom).
    pub cutoff: f64,
    /// Embedding, row-major, \[atomic numbers from 0\]\[F\].
    pub embedding: Vec<f64>,
    /// Layers in the order of evaluation.
    pub layers: Vec<SchnetLayer>,
    /// Readout, F -> ... -> 1 with SiLU between.
    pub readout: Vec<Linear>,
    /// Atomic numbers that it takes, ascending.
    pub elements: Vec<u8>,
    /// eV per unit of the network's output.
    pub energy_scale: f64,
    /// Energy added per atom (eV).
    pub mean_per_atom: f64,
}

/// One interaction.
#[derive(Debug, Clone, PartialEq)]
pub struct SchnetLayer {
    /// A, F -> F, without a bias.
    pub input: Linear,
    /// Filter net, functions -> F -> F with shifted softplus between.
    pub filter: [Linear; 2],
    /// Update net, F -> F -> F with shifted softplus between.
    pub output: [Linear; 2],
}

impl Schnet {
    /// The network and its size, for people.
    fn words(&self) -> String {
        format!("SchNet, {} layers of {}", self.layers.len(), self.features)
    }

    /// Number of trained numbers.
    pub fn parameters(&self) -> usize {
        let layer = |l: &SchnetLayer| {
            let maps = l.filter.iter().chain(&l.output).chain([&l.input]);
            maps.map(Linear::parameters).sum::<usize>()
        };
        self.embedding.len()
            + self.layers.iter().map(layer).sum::<usize>()
            + self.readout.iter().map(Linear::parameters).sum::<usize>()
    }
}

impl NeuralNetwork for Schnet {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn words(&self) -> String {
        Self::words(self)
    }

    fn check_species(&self, species: &[u8]) -> Result<()> {
        self.check_elements(species)
    }

    fn bytes_needed(&self, precision: Precision) -> [f64; 3] {
        FusedSchnet::bytes_needed(self, precision)
    }

    fn on_the_host(
        &self,
        species: &[u8],
        precision: Precision,
        threads: usize,
    ) -> Result<Box<dyn Potential>> {
        Ok(Box::new(FusedSchnet::new(
            self, species, precision, threads,
        )?))
    }

    #[cfg(feature = "cuda")]
    fn on_a_card(&self, precision: Precision) -> Result<Box<dyn DevicePotential + '_>> {
        device::check_numbers(&self.words(), &[Precision::F32], precision)?;
        Ok(Box::new(CudaSchnet::new(self)))
    }

    fn facts(&self) -> NetworkFacts {
        NetworkFacts {
            architecture: "SchNet",
            features: self.features,
            layers: self.layers.len(),
            basis: match self.basis {
                RadialBasis::Gaussian { .. } => "Gaussians",
                RadialBasis::Bessel { .. } => "Bessel",
            },
            functions: self.basis.len(),
            readout: self.readout.iter().map(|l| l.outputs).collect(),
            parameters: self.parameters(),
            elements: self.elements.iter().map(|z| symbol(*z)).collect(),
            energy_scale: self.energy_scale,
            mean_per_atom: self.mean_per_atom,
        }
    }
}
