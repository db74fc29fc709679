//! Many arrangements of atoms at once, each evaluated as if it were alone.

use super::{ForceField as _, HostForceField};
use crate::Result;
use crate::core::{Cell, Vec3};
use crate::potential::{Evaluation, Potential};
use crate::workers::heaviest_first;
#[cfg(feature = "cuda")]
use crate::{Error, cuda::CardArray};

/// One arrangement of atoms: species (atomic numbers), cell, and positions (angstrom), one of each for each atom.
#[derive(Debug, Clone, Copy)]
pub struct Arrangement<'a> {
    /// Atomic number of each atom.
    pub species: &'a [u8],
    /// Cell and periodic directions.
    pub cell: &'a Cell,
    /// Unwrapped positions (angstrom).
    pub positions: &'a [Vec3],
}

/// What is said of one arrangement.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundPoint {
    /// Energy, forces and strain derivative.
    pub evaluation: Evaluation,
    /// Energy of each atom (eV), where it is told: as [`ForceField::atom_energies`](super::ForceField::atom_energies) has it.
    pub atom_energies: Option<Vec<f64>>,
    /// Ordered pairs within the cutoff.
    pub pairs: u64,
}

/// What is said of many arrangements, on the card that found it.
#[cfg(feature = "cuda")]
pub struct CardPoints {
    /// Energy of each arrangement (eV), of shape (arrangements).
    pub energies: CardArray,
    /// Forces on the atoms of one arrangement behind those of the other (eV / angstrom), of shape (atoms, 3).
    pub forces: CardArray,
    /// Stress of each (eV / angstrom^3), of shape (arrangements, 3, 3); `None` unless all cells are periodic in all directions.
    pub stresses: Option<CardArray>,
}

/// Energies, forces and strain derivatives of many arrangements of any atoms.
pub trait ManyForceField: Send {
    /// Does what takes long once, before arrangements like these are evaluated, if anything does: a device is made ready. Says
    /// whether it was.
    ///
    /// # Errors
    /// The device failed.
    fn prepare(&mut self, _all: &[Arrangement<'_>]) -> Result<bool> {
        Ok(false)
    }

    /// Evaluates each arrangement as [`ForceField::at`](super::ForceField::at) does, in host memory to the same bits, and gives
    /// what is found in their order. No bit of one depends on the others. What is wrong with one is said in its place.
    /// Several hundred at once keep any processor busy, several thousand any card.
    ///
    /// # Errors
    /// The device failed.
    fn evaluate(&mut self, all: &[Arrangement<'_>]) -> Result<Vec<Result<FoundPoint>>>;

    /// Does as [`ManyForceField::evaluate`], and leaves what is found on the card.
    ///
    /// # Errors
    /// It is in host memory; something is wrong with an arrangement, which is named; or the device failed.
    #[cfg(feature = "cuda")]
    fn evaluate_on_card(&mut self, _all: &[Arrangement<'_>]) -> Result<CardPoints> {
        Err(Error::input("this force field is in the host's memory"))
    }
}

/// Force fields in host memory, one for each thread.
pub struct HostForceFields<B> {
    bind: B,
}

impl<B: Fn(&[u8]) -> Result<Box<dyn Potential>> + Sync + Send> HostForceFields<B> {
    /// Asks `bind` for the potential of atoms of some species, on one thread.
    pub fn new(bind: B) -> Self {
        Self { bind }
    }

    /// Evaluates one, with the force field of the arrangement before where it has the same atoms.
    fn one(&self, bound: &mut Option<BoundField>, at: &Arrangement<'_>) -> Result<FoundPoint> {
        let same = bound.take().filter(|field| field.species == at.species);
        let field = match same {
            Some(field) => field,
            None => BoundField {
                species: at.species.to_vec(),
                // What comes next is somewhere else.
                field: HostForceField::new((self.bind)(at.species)?, 0.0),
            },
        };
        let field = &mut bound.insert(field).field;
        Ok(FoundPoint {
            evaluation: field.at(at.cell, at.positions)?,
            atom_energies: field.atom_energies(),
            pairs: field.pairs(),
        })
    }
}

/// A force field and the atoms that it is for.
struct BoundField {
    species: Vec<u8>,
    field: HostForceField,
}

impl<B: Fn(&[u8]) -> Result<Box<dyn Potential>> + Sync + Send> ManyForceField
    for HostForceFields<B>
{
    fn evaluate(&mut self, all: &[Arrangement<'_>]) -> Result<Vec<Result<FoundPoint>>> {
        let atoms = |at: &&Arrangement<'_>| at.species.len();
        let one = |bound: &mut _, at: &Arrangement<'_>| self.one(bound, at);
        Ok(heaviest_first(all, atoms, || None, one))
    }
}
