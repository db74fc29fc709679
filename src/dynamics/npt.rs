//! Constant temperature and pressure: a thermostat, and stochastic cell rescaling ([`super::cell_rescaling`]).

use super::cell_rescaling::{CellRescaling, Coupling, MOST_STRAIN};
use super::csvr::Rescaling;
use super::{Bath, Ensemble, Op, Parameter, Program, Value, langevin};
use crate::core::observe::Thermometer;

/// The isothermal-isobaric ensemble.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Npt {
    /// Temperature kT (eV).
    pub kt: f64,
    /// Seed of the noise of both.
    pub seed: u32,
    /// What keeps the temperature.
    pub thermostat: Thermostat,
    /// What keeps the pressure.
    pub barostat: Barostat,
}

/// What keeps the temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Thermostat {
    /// Velocity rescaling.
    Csvr {
        /// Relaxation time of the kinetic energy (angstrom sqrt(u / eV)).
        relaxation: f64,
    },
    /// Noise and friction on every atom.
    Langevin {
        /// Friction (inverse time).
        friction: f64,
    },
}

/// What keeps the pressure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Barostat {
    /// Pressure (eV / cubic angstrom).
    pub pressure: f64,
    /// Time in which a deviation of the volume falls to 1/e, if the compressibility is that of the system (angstrom
    /// sqrt(u / eV)).
    pub relaxation: f64,
    /// Isothermal compressibility (cubic angstrom / eV); an estimate will do, since it scales the relaxation time alone.
    pub compressibility: f64,
    /// Steps between two rescalings.
    pub every: u64,
    /// What the cell may do.
    pub coupling: Coupling,
}

impl Barostat {
    /// Root mean square of the strain of an edge that the noise makes in one rescaling of a cell of this volume (cubic
    /// angstrom).
    pub fn noise(&self, timestep: f64, kt: f64, volume: f64) -> f64 {
        (2.0 * kt * self.mobility(timestep) / volume).sqrt()
    }

    /// Whether one rescaling would strain a cell of this volume so far by noise alone that it soon is too far.
    pub fn is_too_fast(&self, timestep: f64, kt: f64, volume: f64) -> bool {
        // Beyond five standard deviations once in two million draws.
        5.0 * self.noise(timestep, kt, volume) > MOST_STRAIN
    }

    fn mobility(&self, timestep: f64) -> f64 {
        let time = timestep * self.every as f64;
        self.compressibility * time / (3.0 * self.relaxation)
    }
}

impl Npt {
    fn rescaling(&self, timestep: f64, thermometer: &Thermometer) -> Op {
        let Self { kt, barostat, .. } = *self;
        let rescaling = CellRescaling {
            kt,
            pressure: barostat.pressure,
            mobility: barostat.mobility(timestep),
            coupling: barostat.coupling,
            flight: thermometer.flying_mass.is_none(),
        };
        rescaling.every(barostat.every)
    }
}

impl Ensemble for Npt {
    fn name(&self) -> &'static str {
        "npt"
    }

    fn describe(&self) -> &'static str {
        match self.thermostat {
            Thermostat::Csvr { .. } => "constant pressure (cell rescaling, CSVR)",
            Thermostat::Langevin { .. } => "constant pressure (cell rescaling, Langevin)",
        }
    }

    fn program(&self, timestep: f64, thermometer: &Thermometer) -> Program {
        let degrees = thermometer.degrees_of_freedom;
        let thermostat = match self.thermostat {
            Thermostat::Csvr { relaxation } => {
                Rescaling::over(timestep, self.kt, relaxation, degrees)
            }
            Thermostat::Langevin { friction } => langevin::noise(timestep, self.kt, friction),
        };
        let middle = [self.rescaling(timestep, thermometer), thermostat];
        Program::with_middle(timestep, middle)
    }

    fn bath(&self) -> Option<Bath> {
        let Self { kt, seed, .. } = *self;
        Some(Bath {
            kt,
            seed: Some(seed),
        })
    }

    fn conserves_momentum(&self) -> bool {
        matches!(self.thermostat, Thermostat::Csvr { .. })
    }

    fn barostat(&self) -> Option<&Barostat> {
        Some(&self.barostat)
    }

    fn parameters(&self) -> Vec<Parameter> {
        let (name, how) = match self.thermostat {
            Thermostat::Csvr { relaxation } => ("csvr", ("relaxation", Value::Time(relaxation))),
            Thermostat::Langevin { friction } => ("langevin", ("friction", Value::Rate(friction))),
        };
        let barostat = &self.barostat;
        [
            ("temperature", Value::Temperature(self.kt)),
            ("pressure", Value::Pressure(barostat.pressure)),
            ("thermostat", Value::Word(name)),
            how,
            ("seed", Value::Seed(self.seed)),
            ("barostat_relaxation", Value::Time(barostat.relaxation)),
            (
                "compressibility",
                Value::Compressibility(barostat.compressibility),
            ),
            ("barostat_every", Value::Steps(barostat.every)),
            ("coupling", Value::Word(barostat.coupling.name())),
        ]
        .map(|(key, value)| Parameter { key, value })
        .to_vec()
    }
}
