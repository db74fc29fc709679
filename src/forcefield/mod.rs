//! Force fields: the energy, forces and strain derivative of any arrangement of the atoms that one was made for.
//!
//! A force field is a potential with what finds its pairs: cell and positions in, numbers out. A run's engine, a
//! single point, a check and a diagnosis ask the same object.

mod acted;
mod bias;
pub mod external;
mod host;
mod many;

use crate::Result;
use crate::core::{Cell, Vec3};
use crate::potential::{About, Evaluation};

pub use acted::ActedField;
pub use bias::{BiasScene, RunBias};
pub use host::HostForceField;
#[cfg(feature = "cuda")]
pub use many::CardPoints;
pub use many::{Arrangement, FoundPoint, HostForceFields, ManyForceField};

/// Energy, forces and strain derivative as a function of cell and positions.
pub trait ForceField: Send {
    /// Range (angstrom): atoms farther apart do not interact directly.
    fn cutoff(&self) -> f64;

    /// Evaluates the arrangement of atoms at unwrapped `positions` (angstrom, one per atom) in `cell`, writing all
    /// of `out`. Depends on these alone: the same arrangement gives the same bits, whatever was evaluated before.
    ///
    /// # Errors
    /// The device failed, or the pairs cannot be found: a position that is not finite or too far out, a cell far
    /// smaller than the cutoff, more pairs than can be held. Energies and forces that are not finite are no error.
    fn evaluate(&mut self, cell: &Cell, positions: &[Vec3], out: &mut Evaluation) -> Result<()>;

    /// Number of ordered pairs within the cutoff in the arrangement evaluated last.
    fn pairs(&self) -> u64;

    /// What computes it, on what.
    fn about(&self) -> About;

    /// The energy of each atom (eV) in the arrangement evaluated last, as
    /// [`Potential::atom_energies`](crate::potential::Potential::atom_energies) has it; `None` where it is not told.
    fn atom_energies(&self) -> Option<Vec<f64>> {
        None
    }

    /// Evaluates an arrangement as [`ForceField::evaluate`] does, into memory of its own.
    ///
    /// # Errors
    /// Those of [`ForceField::evaluate`].
    fn at(&mut self, cell: &Cell, positions: &[Vec3]) -> Result<Evaluation> {
        let mut out = Evaluation::zeros(positions.len());
        self.evaluate(cell, positions, &mut out)?;
        Ok(out)
    }
}
