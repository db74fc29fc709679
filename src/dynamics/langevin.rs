//! Constant temperature: Langevin dynamics, integrated by BAOAB.

use super::{Bath, Ensemble, Parameter, Value};
use crate::integrate::{self, Integrator};

/// The canonical ensemble, by noise and friction on every atom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Langevin {
    /// Temperature kT (eV).
    pub kt: f64,
    /// Friction (inverse time).
    pub friction: f64,
    /// Seed of the noise.
    pub seed: u32,
}

impl Ensemble for Langevin {
    fn name(&self) -> &'static str {
        "langevin"
    }

    fn describe(&self) -> &'static str {
        "Langevin (BAOAB)"
    }

    fn program(&self, timestep: f64) -> Integrator {
        integrate::langevin(timestep, self.kt, self.friction)
    }

    fn bath(&self) -> Option<Bath> {
        let Self { kt, seed, .. } = *self;
        Some(Bath { kt, seed })
    }

    /// Noise pushes every atom by itself.
    fn conserves_momentum(&self) -> bool {
        false
    }

    fn parameters(&self) -> Vec<Parameter> {
        [
            ("temperature", Value::Temperature(self.kt)),
            ("friction", Value::Rate(self.friction)),
            ("seed", Value::Seed(self.seed)),
        ]
        .map(|(key, value)| Parameter { key, value })
        .to_vec()
    }
}
