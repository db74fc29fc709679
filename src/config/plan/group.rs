//! Groups of atoms, and what is done to them.

use crate::engine::OwnBath;
use crate::forcefield::external::ExternalTerm;

/// Some of a system's atoms, and what is done to them.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupPlan {
    /// What it is called.
    pub name: String,
    /// Its atoms, counted from 0, ascending; there are some.
    pub atoms: Vec<usize>,
    /// Whether they stay where they are.
    pub frozen: bool,
    /// What acts on them beside the potential.
    pub terms: Vec<ExternalTerm>,
    /// The bath that they have of their own under Langevin dynamics.
    pub bath: Option<OwnBath>,
}
