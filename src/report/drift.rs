//! Energy drift, watched while the run goes on.
//!
//! What should be conserved (total energy, less the heat that a thermostat put in) is sampled, and a
//! straight line fitted to it: its slope per atom is the drift, the deviation about it the fluctuation
//! that any finite time step brings. See [`super::series`] for the error bars.
//!
//! # When samples are taken
//!
//! One in every stretch of about 10 fs, at a step chosen by a hash of the stretch's number.
//! Sampling at a fixed interval of 10 fs would alias: the energy error follows the bonds, whose
//! stretches repeat every 9 fs (O-H, 3700 / cm) to 20 fs, and a vibration near a multiple of the
//! interval shows up as a slow wave that looks like drift. Irregular steps turn it into noise, which
//! averages out (Bilinskis and Mikelsons, Randomized Signal Processing, 1992). The steps depend on
//! nothing but their numbers, so that an interrupted run samples the same ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::history::History;
use super::numbers::NumbersRecord;
use super::series::{Estimate, Series};
use super::settle::SettleRecord;
use crate::Result;
use crate::config::plan::{Action, MonitorPlan};
use crate::core::observe::{self, Thermometer};
use crate::core::rng::philox;
use crate::core::{Fields, Snapshot};
use crate::simulation::{Reporter, Signal};
use crate::text::round;
use crate::units::{FEMTOSECOND, MEV_PER_PS, PICOSECOND};

/// What a fault is told by that is a drift beyond its limit.
pub const LIMIT_OF_DRIFT: &str = "([monitor] drift)";

/// Time (fs) in which one sample is taken.
const STRETCH_FS: f64 = 10.0;
/// A short run is sampled more often, so that there are about so many samples.
const SAMPLES: u64 = 400;
/// A drift is beyond its limit only if it is by so many standard errors: looked at thousands of times
/// in a run, a smaller number would be crossed by chance.
const CERTAIN: f64 = 4.0;
/// Nor is it before so much time (ps): slow vibrations (30 / cm, 1 ps) have not yet averaged out.
const FIRST_VERDICT_PS: f64 = 1.0;
/// Nor from fewer samples.
const FEWEST_SAMPLES: u64 = 64;

/// What is known of the energies of a run so far. Plain data: a checkpoint can hold it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergyRecord {
    /// Number of atoms.
    pub atoms: usize,
    /// Degrees of freedom that share the counted kinetic energy.
    pub degrees_of_freedom: usize,
    /// Total mass (u) where the kinetic energy of the centre of mass does not count.
    pub held_mass: Option<f64>,
    /// Total mass (u) where the flight of the centre of mass is no part of the pressure.
    pub flying_mass: Option<f64>,
    /// What should be conserved (eV).
    pub conserved: Series,
    /// Kinetic energy (eV), all of it.
    pub kinetic: Series,
    /// Kinetic energy (eV) that the temperature is told from.
    pub counted: Series,
    /// Counted kinetic energy in the course of the run (eV).
    pub course: History,
    /// Potential energy (eV).
    pub potential: Series,
    /// Total energy (eV).
    pub total: Series,
    /// Pressure (eV / cubic angstrom); empty where the cell is not periodic in all directions.
    pub pressure: Series,
    /// Total mass (u); 0 where it was not told.
    pub mass: f64,
    /// Volume (cubic angstrom); empty likewise.
    pub volume: Series,
    /// Density (u / cubic angstrom); empty likewise.
    pub density: Series,
    /// Standard deviation of the force on the atom that a committee's models are farthest apart on (eV / angstrom); empty
    /// without one. Checkpoints of earlier versions have none.
    #[serde(default)]
    pub spread: Series,
    /// The largest of these.
    #[serde(default)]
    pub largest_spread: f64,
    /// What audits of the network's numbers have found.
    #[serde(default, skip_serializing_if = "NumbersRecord::is_empty")]
    pub numbers: NumbersRecord,
    /// What was seen of what ends a stage once it has settled.
    #[serde(default, skip_serializing_if = "SettleRecord::is_empty")]
    pub settle: SettleRecord,
    /// Total momentum at the last sample (u angstrom / internal time).
    pub momentum: [f64; 3],
}

impl EnergyRecord {
    /// Starts with nothing known of `atoms` atoms, all of whose kinetic energy counts.
    pub fn new(atoms: usize, degrees_of_freedom: usize) -> Self {
        Self::measured_by(atoms, &Thermometer::of_all(degrees_of_freedom))
    }

    /// Starts with nothing known of `atoms` atoms, whose temperature `thermometer` tells.
    pub fn measured_by(atoms: usize, thermometer: &Thermometer) -> Self {
        Self {
            atoms,
            degrees_of_freedom: thermometer.degrees_of_freedom,
            held_mass: thermometer.held_mass,
            flying_mass: thermometer.flying_mass,
            conserved: Series::default(),
            kinetic: Series::default(),
            counted: Series::default(),
            course: History::default(),
            potential: Series::default(),
            total: Series::default(),
            pressure: Series::default(),
            mass: 0.0,
            volume: Series::default(),
            density: Series::default(),
            spread: Series::default(),
            largest_spread: 0.0,
            numbers: NumbersRecord::default(),
            settle: SettleRecord::default(),
            momentum: [0.0; 3],
        }
    }

    /// Sets the total mass of the atoms (u).
    pub fn of_mass(mut self, mass: f64) -> Self {
        self.mass = mass;
        self
    }

    /// Tells the temperature.
    pub fn thermometer(&self) -> Thermometer {
        Thermometer {
            degrees_of_freedom: self.degrees_of_freedom,
            held_mass: self.held_mass,
            flying_mass: self.flying_mass,
        }
    }

    /// Takes in one moment.
    pub fn add(&mut self, snapshot: &Snapshot) {
        let (o, time) = (&snapshot.observables, snapshot.time);
        let thermometer = self.thermometer();
        let counted = thermometer.kinetic(o);
        self.conserved.add(time, o.conserved());
        self.kinetic.add(time, o.kinetic);
        self.counted.add(time, counted);
        self.course.add(counted);
        self.potential.add(time, o.potential);
        self.total.add(time, o.total());
        if let Some(pressure) = thermometer.pressure(snapshot) {
            self.pressure.add(time, pressure);
        }
        if let Some(volume) = snapshot.cell.volume() {
            self.volume.add(time, volume);
            self.density.add(time, self.mass / volume);
        }
        if let Some(spread) = o.spread {
            self.spread.add(time, spread.force);
            self.largest_spread = self.largest_spread.max(spread.force);
        }
        self.momentum = o.momentum.into();
    }

    /// The series, whatever they are of.
    pub(super) fn all(&self) -> [&Series; 9] {
        [
            &self.conserved,
            &self.kinetic,
            &self.counted,
            &self.potential,
            &self.total,
            &self.pressure,
            &self.volume,
            &self.density,
            &self.spread,
        ]
    }

    /// Slope of the conserved quantity per atom (eV / internal time).
    pub fn drift(&self) -> Option<Estimate> {
        Some(self.conserved.slope()?.scaled(1.0 / self.atoms as f64))
    }

    /// Slope of the conserved quantity per atom (eV / internal time); with a thermostat, its error bar is that of a
    /// random walk.
    pub fn drift_with(&self, thermostat: bool) -> Option<Estimate> {
        /// Vibrations are shorter than this (ps).
        const VIBRATION: f64 = 0.1;
        match thermostat {
            false => self.drift(),
            true => {
                let slope = self.conserved.slope_of_walk(VIBRATION * PICOSECOND)?;
                Some(slope.scaled(1.0 / self.atoms as f64))
            }
        }
    }

    /// Root mean square deviation per atom (eV) of the conserved quantity from its line.
    pub fn fluctuation(&self) -> Option<f64> {
        Some(self.conserved.fluctuation()? / self.atoms as f64)
    }

    /// Change of the conserved quantity along its line over the time sampled, in standard deviations
    /// of the kinetic energy: how the drift compares with what thermal motion does anyway.
    pub fn drift_over_deviation(&self) -> Option<f64> {
        let deviation = self.counted.deviation().filter(|d| *d > 0.0)?;
        Some(self.conserved.slope()?.value * self.conserved.span() / deviation)
    }

    /// Fluctuation of the conserved quantity over that of the kinetic energy.
    pub fn fluctuation_ratio(&self) -> Option<f64> {
        let deviation = self.counted.deviation().filter(|d| *d > 0.0)?;
        Some(self.conserved.fluctuation()? / deviation)
    }

    /// Mean temperature as kT (eV).
    pub fn mean_kt(&self) -> Option<Estimate> {
        Some(self.counted.mean()?.scaled(self.kt_per_energy()))
    }

    /// Mean temperatures as kT (eV) of the first and the last fifth of the run.
    pub fn fifths_kt(&self) -> Option<[Estimate; 2]> {
        let fifths = self.course.fifths()?;
        Some(fifths.map(|energy| energy.scaled(self.kt_per_energy())))
    }

    fn kt_per_energy(&self) -> f64 {
        observe::kt(1.0, self.degrees_of_freedom)
    }
}

/// The record of a run, shared between the one who keeps it and those who show it.
#[derive(Debug, Clone)]
pub struct Energies(Arc<Mutex<EnergyRecord>>);

impl Energies {
    /// Shares a record: a fresh one, or one from a checkpoint.
    pub fn new(record: EnergyRecord) -> Self {
        Self(Arc::new(Mutex::new(record)))
    }

    /// The record as it is now.
    pub fn read<T>(&self, look: impl FnOnce(&EnergyRecord) -> T) -> T {
        look(&self.locked())
    }

    /// Takes in one moment.
    pub fn add(&self, snapshot: &Snapshot) {
        self.locked().add(snapshot);
    }

    /// Looks at what audits have found, or adds to it.
    pub(super) fn numbers<T>(&self, look: impl FnOnce(&mut NumbersRecord) -> T) -> T {
        look(&mut self.locked().numbers)
    }

    /// Notes that a stage has come to its end at a step, whatever was seen of it.
    pub fn has_settled(&self, step: u64) {
        self.locked().settle.end(step);
    }

    /// Adds to what was seen of what is to settle.
    pub(super) fn settle<T>(&self, look: impl FnOnce(&mut SettleRecord) -> T) -> T {
        look(&mut self.locked().settle)
    }

    /// The record, which no one leaves half changed.
    fn locked(&self) -> MutexGuard<'_, EnergyRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the record of energies and compares the drift with its limit.
#[derive(Debug)]
pub struct DriftMonitor {
    energies: Energies,
    stretch: u64,
    limit: Option<f64>,
    action: Action,
    told: bool,
}

impl DriftMonitor {
    /// Samples into `energies`, one in every `stretch` steps (see [`stretch`]).
    pub fn new(energies: Energies, stretch: u64, monitor: &MonitorPlan) -> Self {
        Self {
            energies,
            stretch: stretch.max(1),
            limit: monitor.drift,
            action: monitor.action,
            told: false,
        }
    }

    /// What is wrong with the drift, if something is.
    fn judge(&self) -> Option<String> {
        let limit = self.limit?;
        self.energies.read(|record| {
            let span = record.conserved.span();
            if record.conserved.count() < FEWEST_SAMPLES || span < FIRST_VERDICT_PS * PICOSECOND {
                return None;
            }
            let drift = record.drift()?;
            (drift.value.abs() - CERTAIN * drift.error > limit).then(|| {
                format!(
                    "the energy drifts by {:+.4} +- {:.4} meV/atom/ps, beyond the limit of {} \
                     {LIMIT_OF_DRIFT}, seen over {:.3} ps",
                    drift.value / MEV_PER_PS,
                    drift.error / MEV_PER_PS,
                    round(limit / MEV_PER_PS),
                    span / PICOSECOND
                )
            })
        })
    }
}

impl Reporter for DriftMonitor {
    fn next(&self, step: u64) -> u64 {
        next_sample(step, self.stretch)
    }

    fn wants(&self) -> Fields {
        Fields::NONE
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        self.energies.add(snapshot);
        if self.told {
            return Ok(Signal::Continue);
        }
        let Some(fault) = self.judge() else {
            return Ok(Signal::Continue);
        };
        self.told = true;
        let fault = format!("step {}: {fault}", snapshot.step);
        Ok(match self.action {
            Action::Warn => Signal::Alarm(fault),
            Action::Stop => Signal::Stop(fault),
        })
    }
}

/// Steps in which one sample is taken, for a run of so many steps of `timestep` (internal time).
pub fn stretch(timestep: f64, steps: u64) -> u64 {
    let natural = (STRETCH_FS * FEMTOSECOND / timestep).round() as u64;
    natural.min(steps / SAMPLES).max(1)
}

/// The first step at or after `step` that is sampled, where one in every `stretch` steps is.
pub fn next_sample(step: u64, stretch: u64) -> u64 {
    let number = step / stretch;
    let here = sample(number, stretch);
    if here >= step {
        here
    } else {
        sample(number.saturating_add(1), stretch)
    }
}

/// The step at which the stretch of this number is sampled, where one in every `stretch` steps is.
pub fn sample(number: u64, stretch: u64) -> u64 {
    /// Sets these bits apart from the noise of the dynamics.
    const KEY: [u32; 2] = [0x6472_6966, 0x7400_0000];
    let word = philox([number as u32, (number >> 32) as u32, 0, 0], KEY)[0];
    (number.saturating_mul(stretch)).saturating_add(u64::from(word) % stretch)
}
