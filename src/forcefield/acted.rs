//! A force field with what acts on some atoms beside it.

use super::ForceField;
use super::external::{ExternalTerm, act};
use crate::Result;
use crate::core::{Cell, System, Vec3};
use crate::potential::{About, Evaluation};

/// A force field, to which terms add what they do at one step.
pub struct ActedField<'f> {
    /// What acts between the atoms.
    pub field: Box<dyn ForceField + 'f>,
    /// The atoms.
    pub system: &'f System,
    /// The step.
    pub step: u64,
    /// What acts on some of them.
    pub terms: &'f [ExternalTerm],
}

impl ForceField for ActedField<'_> {
    fn cutoff(&self) -> f64 {
        self.field.cutoff()
    }

    fn evaluate(&mut self, cell: &Cell, positions: &[Vec3], out: &mut Evaluation) -> Result<()> {
        self.field.evaluate(cell, positions, out)?;
        act(self.terms, self.step, (self.system, positions), out);
        Ok(())
    }

    fn pairs(&self) -> u64 {
        self.field.pairs()
    }

    fn about(&self) -> About {
        self.field.about()
    }

    fn atom_energies(&self) -> Option<Vec<f64>> {
        self.field.atom_energies()
    }
}
