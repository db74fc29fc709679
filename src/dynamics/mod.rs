//! Dynamics: which ensemble is sampled, one file each.
//!
//! An ensemble says what a step is, what bath it is in, and what it conserves. Nothing outside of this room and of what
//! reads its keys asks which one it is.

mod langevin;
mod nve;

use std::ops::Deref;

use crate::integrate::Integrator;

pub use langevin::Langevin;
pub use nve::Nve;

/// An ensemble: what is sampled, and how.
pub trait Ensemble {
    /// What run files call it.
    fn name(&self) -> &'static str;

    /// What it is, for people: the ensemble and its integrator.
    fn describe(&self) -> &'static str;

    /// The operators of one step of `timestep` (angstrom sqrt(u / eV)).
    fn program(&self, timestep: f64) -> Integrator;

    /// The bath that the system exchanges energy with; `None` at constant energy.
    fn bath(&self) -> Option<Bath>;

    /// Whether the momentum of the system stays what it is.
    fn conserves_momentum(&self) -> bool;

    /// What it was given, in the order in which people read it.
    fn parameters(&self) -> Vec<Parameter>;
}

/// A bath.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bath {
    /// Temperature kT (eV).
    pub kt: f64,
    /// Seed of its noise.
    pub seed: u32,
}

/// One number of an ensemble, by its key in a run file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// The key.
    pub key: &'static str,
    /// The number.
    pub value: Value,
}

/// A number with what it measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// kT (eV).
    Temperature(f64),
    /// Inverse time.
    Rate(f64),
    /// A seed.
    Seed(u32),
}

/// The ensemble of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dynamics {
    /// Constant energy.
    Nve(Nve),
    /// Constant temperature by noise and friction on every atom.
    Langevin(Langevin),
}

impl Deref for Dynamics {
    type Target = dyn Ensemble;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Nve(ensemble) => ensemble,
            Self::Langevin(ensemble) => ensemble,
        }
    }
}
