//! Constant temperature: Langevin dynamics, integrated by BAOAB.

use super::{Bath, Ensemble, Local, Op, Parameter, Program, Value};
use crate::core::observe::Thermometer;

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

/// The Ornstein-Uhlenbeck process over a time, at `kt` (eV) with `friction` (inverse time).
pub(super) fn noise(time: f64, kt: f64, friction: f64) -> Op {
    let c = (-friction * time).exp();
    Op::Local(Local::Noise { c, kt })
}

/// BAOAB: canonical sampling at `kt` (eV) with `friction` (inverse time). Configurational averages are exact to second
/// order in the step, and to fourth order for harmonic forces.
pub fn baoab(timestep: f64, kt: f64, friction: f64) -> Program {
    Program::with_middle(timestep, [noise(timestep, kt, friction)])
}

impl Ensemble for Langevin {
    fn name(&self) -> &'static str {
        "langevin"
    }

    fn describe(&self) -> &'static str {
        "Langevin (BAOAB)"
    }

    fn program(&self, timestep: f64, _: &Thermometer) -> Program {
        baoab(timestep, self.kt, self.friction)
    }

    fn bath(&self) -> Option<Bath> {
        let Self { kt, seed, .. } = *self;
        Some(Bath {
            kt,
            seed: Some(seed),
        })
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
