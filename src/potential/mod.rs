//! Potentials: energy, forces and strain derivative of a list of pairs.

mod about;
pub mod architectures;
pub mod committee;
#[cfg(feature = "cuda")]
pub mod device;
pub mod fused;
pub mod lennard_jones;
mod linear;
pub mod network;
pub mod painn;
pub mod pair;
mod precision;
pub mod schnet;
mod stated;
pub mod student;
mod trained;

use crate::Result;
use crate::core::{Mat3, Spread, Vec3};
use crate::neighbors::Pairs;

pub use about::{About, Processor};
pub use linear::{Int8Linear, Linear};
pub use precision::Precision;
pub use trained::{ElectronScene, TrainedOn};

/// What a potential says of one arrangement of atoms.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Potential energy (eV), reference energies included.
    pub energy: f64,
    /// Force on each atom (eV / angstrom), minus the gradient of the energy.
    pub forces: Vec<Vec3>,
    /// dE/d(strain)\[a\]\[b\] = sum over ordered pairs of r_a dE/dr_b (eV).
    pub strain_derivative: Mat3,
    /// How far the members of a committee are apart; `None` of a potential that is none.
    pub spread: Option<Spread>,
}

impl Evaluation {
    /// Zeros for so many atoms.
    pub fn zeros(atoms: usize) -> Self {
        Self {
            energy: 0.0,
            forces: vec![Vec3::zeros(); atoms],
            strain_derivative: Mat3::zeros(),
            spread: None,
        }
    }

    /// Stress (eV / cubic angstrom) without the motion of atoms, of a cell of this volume (cubic angstrom); positive where
    /// the cell pulls itself together.
    pub fn stress(&self, volume: f64) -> Mat3 {
        self.strain_derivative / volume
    }
}

/// A potential, bound to the species of one system when it is made.
pub trait Potential: Send {
    /// Range (angstrom): atoms farther apart do not interact directly.
    fn cutoff(&self) -> f64;

    /// Evaluates the arrangement whose pairs within [`Potential::cutoff`] are given, writing all of
    /// `out`. Depends on nothing but the pairs: the same pairs give the same bits.
    ///
    /// # Errors
    /// The device failed. Numbers that are not finite are not an error here: the engine flags them.
    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()>;

    /// What computes it, on what.
    fn about(&self) -> About;

    /// The energy of each atom (eV) in the arrangement evaluated last, whose sum is its energy up to rounding: what the network
    /// says of an atom, its reference energy included, and half of what is added for each of its pairs.
    ///
    /// `None` of a potential that does not tell.
    fn atom_energies(&self) -> Option<Vec<f64>> {
        None
    }

    /// Another potential of the same model, on one thread, for atoms of these species (atomic numbers), which are among those
    /// that this one is bound to. The two share what does not depend on the atoms. Its bits are those of a potential that was
    /// bound to these atoms alone.
    ///
    /// `None` of a potential that shares nothing with others: it is bound anew.
    ///
    /// # Errors
    /// This one is bound to no atom of one of the species.
    fn bound_to(&self, species: &[u8]) -> Result<Option<Box<dyn Potential>>> {
        let _ = species;
        Ok(None)
    }
}
