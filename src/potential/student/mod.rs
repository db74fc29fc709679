//! The StudentForceField of MLFF-Distiller (`src/mlff_distiller/models/student_model.py` there): messages like PaiNN's, with
//! filters that are small networks of the distance. N atoms, F features, r_ij = R_j - R_i, u = r / (d + 1e-8 A):
//!
//! ```text
//! basis     phi_k(d) = exp(-((d - c_k) / w_k)^2) fc(d) ;  fc = (1 + cos(pi d / rc)) / 2
//! filter    (w_0, w_1, w_2) = B2 silu(B1 phi + b1) + b2
//! message   s_i += sum_j w_0 s_j ;   v_i += sum_j w_1 v_j + w_2 u_ij          (s_i = embedding, v_i = 0 at first)
//! update    (a, g, h) = U2 silu(U1 [s, |v|] + c1) + c2 ;   s += a ;   v = g v + h (M v)
//! readout   E = sum_i H3 silu(H2 silu(H1 s_i + h1) + h2) + h3
//! ```
//!
//! # What is not as it should be with such a potential
//! The biases b1 and b2 are not cut off: w(rc) is not zero, and the energy jumps where a pair passes the cutoff. The matrix M
//! mixes the axes of space: the energy changes when all is turned. Its authors' code leaves cells out. `mdrun check` finds all
//! three; here they are what the model's file defines, but for pairs, which are those of the cell.

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
use super::{Linear, Potential, Precision};
use crate::Result;
use crate::core::elements::{LAST, symbol};

pub use cpu::FusedStudent;
#[cfg(feature = "cuda")]
pub use cuda::CudaStudent;
pub use filter::StudentFilters;
pub use import::import;

/// The architecture, as it is found in files.
pub const ARCHITECTURE: Architecture = Architecture {
    recognises: import::recognises,
    read: import::read,
};

/// Added to the distance under a unit vector, in the model's unit of length.
const SOFT: f64 = 1e-8;

/// The trained numbers of a StudentForceField, in eV and angstrom but for the network's own output.
#[derive(Debug, Clone, PartialEq)]
pub struct Student {
    /// Features per atom, F.
    pub features: usize,
    /// Range (angstrom).
    pub cutoff: f64,
    /// Centres of the Gaussians (angstrom).
    pub centers: Vec<f64>,
    /// Their widths (angstrom), none of them zero.
    pub widths: Vec<f64>,
    /// Added to the distance under a unit vector (angstrom).
    pub soft: f64,
    /// Embedding, row-major, \[atomic numbers from 0\]\[F\].
    pub embedding: Vec<f64>,
    /// Layers in the order of evaluation.
    pub layers: Vec<StudentLayer>,
    /// Readout, F -> ... -> 1 with SiLU between.
    pub readout: Vec<Linear>,
    /// eV per unit of the network's output.
    pub energy_scale: f64,
}

/// One message and update.
#[derive(Debug, Clone, PartialEq)]
pub struct StudentLayer {
    /// Filter net, functions -> F -> 3 F with SiLU between: w_0, w_1, w_2.
    pub filter: [Linear; 2],
    /// Update net, 2 F -> F -> 3 F with SiLU between.
    pub update: [Linear; 2],
    /// M, rows first.
    pub mixing: [[f64; 3]; 3],
}

impl Student {
    /// The network and its size, for people.
    fn words(&self) -> String {
        format!(
            "StudentForceField, {} layers of {}",
            self.layers.len(),
            self.features
        )
    }

    /// Number of rows of the embedding.
    fn rows(&self) -> usize {
        self.embedding.len() / self.features.max(1)
    }

    /// Number of trained numbers, as its authors count them: without centres and widths, which are not trained.
    pub fn parameters(&self) -> usize {
        let layer = |l: &StudentLayer| {
            let maps = l.filter.iter().chain(&l.update);
            9 + maps.map(Linear::parameters).sum::<usize>()
        };
        self.embedding.len()
            + self.layers.iter().map(layer).sum::<usize>()
            + self.readout.iter().map(Linear::parameters).sum::<usize>()
    }
}

impl NeuralNetwork for Student {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn words(&self) -> String {
        Self::words(self)
    }

    fn check_species(&self, species: &[u8]) -> Result<()> {
        self.check_embedding(species)
    }

    fn bytes_needed(&self, precision: Precision) -> [f64; 3] {
        FusedStudent::bytes_needed(self, precision)
    }

    fn on_the_host(
        &self,
        species: &[u8],
        precision: Precision,
        threads: usize,
    ) -> Result<Box<dyn Potential>> {
        Ok(Box::new(FusedStudent::new(
            self, species, precision, threads,
        )?))
    }

    #[cfg(feature = "cuda")]
    fn on_a_card(&self, precision: Precision) -> Result<Box<dyn DevicePotential + '_>> {
        device::check_numbers(&self.words(), &[Precision::F32], precision)?;
        Ok(Box::new(CudaStudent::new(self)))
    }

    fn leaves_cells_out(&self) -> bool {
        true
    }

    fn facts(&self) -> NetworkFacts {
        NetworkFacts {
            architecture: "StudentForceField",
            features: self.features,
            layers: self.layers.len(),
            basis: "Gaussians",
            functions: self.centers.len(),
            readout: self.readout.iter().map(|l| l.outputs).collect(),
            parameters: self.parameters(),
            elements: (1..=LAST)
                .filter(|z| usize::from(*z) < self.rows())
                .map(symbol)
                .collect(),
            energy_scale: self.energy_scale,
            mean_per_atom: 0.0,
        }
    }
}
