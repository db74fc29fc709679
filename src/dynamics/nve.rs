//! Constant energy: velocity Verlet.

use super::{Bath, Ensemble, Parameter, Program};
use crate::core::observe::Thermometer;

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

    fn program(&self, timestep: f64, _: &Thermometer) -> Program {
        Program::velocity_verlet(timestep)
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
