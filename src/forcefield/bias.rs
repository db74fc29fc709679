//! What biases a system beside its potential and remembers where it has been, such as metadynamics: asked once for each step.

use crate::Result;
use crate::core::{Cell, Vec3};
use crate::potential::Evaluation;

/// Where a system is when its bias is asked for.
#[derive(Debug, Clone, Copy)]
pub struct BiasScene<'a> {
    /// Steps taken.
    pub step: u64,
    /// The cell.
    pub cell: &'a Cell,
    /// Unwrapped positions, one per atom (angstrom).
    pub positions: &'a [Vec3],
}

/// A bias that goes along with a run from step to step and cannot be taken back.
pub trait RunBias: Send {
    /// Adds forces and strain derivative at a step to `out`, which holds what acts without it; returns its energy (eV), which is
    /// left for the caller to add. Steps come one after another, each once.
    ///
    /// # Errors
    /// What biases has failed, in its words.
    fn act(&mut self, scene: &BiasScene<'_>, out: &mut Evaluation) -> Result<f64>;
}
