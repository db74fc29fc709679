//! Energies of pairs alone: sums over pairs of a function of their distance, and such a term beside another potential.

#[cfg(feature = "cuda")]
mod cuda;
mod power;
mod repulsion;
mod sum;
mod switch;
mod terms;
mod zbl;

use std::sync::Arc;

use super::{About, Evaluation, Potential};
use crate::Result;
use crate::core::Vec3;
use crate::neighbors::Pairs;

#[cfg(feature = "cuda")]
pub use cuda::CudaBeside;
#[cfg(feature = "cuda")]
pub(super) use cuda::ROWS;
pub use power::PowerLaw;
pub use repulsion::{COVALENT_PART, RepelledPairs, Repulsion, RepulsionEnd};
pub(super) use sum::{ReceiverSum, rows};
pub(super) use switch::Switch;
pub use terms::sum_of;
pub use zbl::Zbl;

/// An energy of pairs that several may share.
pub type PairLaw = Arc<dyn PairEnergy>;

/// The energy of two atoms at a distance.
pub trait PairEnergy: Send + Sync + std::fmt::Debug {
    /// Energy (eV) of two atoms of these atomic numbers at a distance (angstrom), and its slope (eV / angstrom).
    fn at(&self, species: [u8; 2], distance: f64) -> (f64, f64);

    /// Its name and parameters, for people.
    fn words(&self) -> String;

    /// C++ text of `__device__ void pair_at(int i, int j, double r, double &energy, double &slope)`, for atoms in the slots
    /// i and j of a card, where `E.species` counts in these elements (atomic numbers, ascending).
    #[cfg(feature = "cuda")]
    fn source(&self, elements: &[u8]) -> String;
}

/// Numbers as a list of C++.
#[cfg(feature = "cuda")]
fn list(numbers: impl Iterator<Item = f64>) -> String {
    let numbers: Vec<String> = numbers.map(|x| format!("{x:?}")).collect();
    format!("{{{}}}", numbers.join(", "))
}

/// A potential and a term of pairs beside it, within the potential's range.
pub struct Beside {
    potential: Box<dyn Potential>,
    term: PairLaw,
    species: Vec<u8>,
    forces: Vec<Vec3>,
    shares: Vec<ReceiverSum>,
}

impl Beside {
    /// Adds `term` to a potential of atoms of these species.
    pub fn new(potential: Box<dyn Potential>, term: PairLaw, species: &[u8]) -> Self {
        Self {
            potential,
            term,
            species: species.to_vec(),
            forces: Vec::new(),
            shares: Vec::new(),
        }
    }
}

/// What a potential with a term beside it is called.
fn words(potential: About, term: &dyn PairEnergy) -> About {
    About {
        potential: format!("{} and {}", potential.potential, term.words()),
        ..potential
    }
}

impl Potential for Beside {
    fn cutoff(&self) -> f64 {
        self.potential.cutoff()
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        self.potential.evaluate(pairs, out)?;
        let species = &self.species;
        let at = |i: usize, j: usize, d: f64| self.term.at([species[i], species[j]], d);
        rows(&at, pairs, &mut self.forces, &mut self.shares);
        for (sum, force) in out.forces.iter_mut().zip(&self.forces) {
            *sum += force;
        }
        out.energy += ReceiverSum::energy(&self.shares);
        out.strain_derivative += ReceiverSum::strain(&self.shares);
        Ok(())
    }

    fn about(&self) -> About {
        words(self.potential.about(), &*self.term)
    }

    fn atom_energies(&self) -> Option<Vec<f64>> {
        let mut energies = self.potential.atom_energies()?;
        let shares = ReceiverSum::energies(&self.shares);
        energies
            .iter_mut()
            .zip(shares)
            .for_each(|(sum, share)| *sum += share);
        Some(energies)
    }

    fn bound_to(&self, species: &[u8]) -> Result<Option<Box<dyn Potential>>> {
        let beside = |potential| {
            Box::new(Self::new(potential, Arc::clone(&self.term), species)) as Box<dyn Potential>
        };
        Ok(self.potential.bound_to(species)?.map(beside))
    }
}
