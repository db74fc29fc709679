//! Dynamics: which ensemble is sampled, one file each.
//!
//! An ensemble says what a step is (a [`Program`] of operators), what bath it is in, and what it conserves. Nothing outside
//! of this room and of what reads its keys asks which one it is.

pub mod cell_rescaling;
pub mod constraints;
pub mod csvr;
mod langevin;
pub mod mtk;
pub mod nose_hoover;
mod npt;
mod nve;
mod op;
mod ramp;

use std::ops::Deref;

use crate::core::observe::Thermometer;

pub use cell_rescaling::{CellRescaling, Coupling};
pub use constraints::{BondConstraint, ConstraintSolver, Constraints, UnmetConstraint, WaterShape};
pub use csvr::Csvr;
pub use langevin::{Langevin, baoab};
pub use mtk::Mtk;
pub use nose_hoover::{Chain, NoseHoover, SuzukiYoshida};
pub use npt::{Barostat, Npt, Thermostat};
pub use nve::Nve;
pub use op::{Collective, Local, Op, Program, StepClock};
pub use ramp::{MOST_POINTS, Ramp, RampValues, Ramps};

/// An ensemble: what is sampled, and how.
pub trait Ensemble {
    /// What run files call it.
    fn name(&self) -> &'static str;

    /// What it is, for people: the ensemble and its integrator.
    fn describe(&self) -> &'static str;

    /// The operators of one step of `timestep` (angstrom sqrt(u / eV)), of a system whose temperature `thermometer` tells.
    fn program(&self, timestep: f64, thermometer: &Thermometer) -> Program;

    /// The bath that the system exchanges energy with; `None` at constant energy.
    fn bath(&self) -> Option<Bath>;

    /// Whether the momentum of the system stays what it is.
    fn conserves_momentum(&self) -> bool;

    /// What strains the cell now and then; `None` where nothing does.
    fn barostat(&self) -> Option<&Barostat> {
        None
    }

    /// The pressure on the cell (eV / cubic angstrom); `None` where the cell stays what it is.
    fn pressure(&self) -> Option<f64> {
        self.barostat().map(|barostat| barostat.pressure)
    }

    /// What it was given, in the order in which people read it.
    fn parameters(&self) -> Vec<Parameter>;
}

/// A bath.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bath {
    /// Temperature kT (eV).
    pub kt: f64,
    /// Seed of its noise; `None` of one in which nothing is random.
    pub seed: Option<u32>,
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
    /// A time (angstrom sqrt(u / eV)).
    Time(f64),
    /// A pressure (eV / cubic angstrom).
    Pressure(f64),
    /// An inverse pressure (cubic angstrom / eV).
    Compressibility(f64),
    /// A number of steps.
    Steps(u64),
    /// A number of things.
    Count(u64),
    /// A word.
    Word(&'static str),
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
    /// Constant temperature by scaling all velocities alike.
    Csvr(Csvr),
    /// Constant temperature and pressure.
    Npt(Npt),
    /// Constant temperature by a chain of thermostats.
    NoseHoover(NoseHoover),
    /// Constant temperature and pressure by a piston and chains of thermostats.
    Mtk(Mtk),
}

impl Deref for Dynamics {
    type Target = dyn Ensemble;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Nve(ensemble) => ensemble,
            Self::Langevin(ensemble) => ensemble,
            Self::Csvr(ensemble) => ensemble,
            Self::Npt(ensemble) => ensemble,
            Self::NoseHoover(ensemble) => ensemble,
            Self::Mtk(ensemble) => ensemble,
        }
    }
}

impl Dynamics {
    /// The same at another temperature kT (eV); that at constant energy as it is.
    #[must_use]
    pub fn at_temperature(mut self, kt: f64) -> Self {
        match &mut self {
            Self::Nve(_) => {}
            Self::Langevin(ensemble) => ensemble.kt = kt,
            Self::Csvr(ensemble) => ensemble.kt = kt,
            Self::Npt(ensemble) => ensemble.kt = kt,
            Self::NoseHoover(ensemble) => ensemble.kt = kt,
            Self::Mtk(ensemble) => ensemble.kt = kt,
        }
        self
    }

    /// The same at another pressure (eV / cubic angstrom); one without a barostat as it is.
    #[must_use]
    pub fn at_pressure(mut self, pressure: f64) -> Self {
        match &mut self {
            Self::Npt(ensemble) => ensemble.barostat.pressure = pressure,
            Self::Mtk(ensemble) => ensemble.pressure = pressure,
            Self::Nve(_) | Self::Langevin(_) | Self::Csvr(_) | Self::NoseHoover(_) => {}
        }
        self
    }
}
