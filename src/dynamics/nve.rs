//! Constant energy: velocity Verlet.

use super::{Bath, Ensemble, Parameter};
use crate::integrate::{self, Integrator};

/// The microcanonical ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nve;

impl Ensemble for Nve {
    fn name(&self) -> &'static str {
        "nve"
    }

    fn describe(&self) -> &'static str {
        "constant energy (velocity Verlet)"
    }

    fn program(&self, timestep: f64) -> Integrator {
        integrate::nve(timestep)
    }

    fn bath(&self) -> Option<Bath> {
        None
    }

    fn conserves_momentum(&self) -> bool {
        true
    }

    fn parameters(&self) -> Vec<Parameter> {
        Vec::new()
    }
}
