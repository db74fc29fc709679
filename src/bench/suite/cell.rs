//! One engine in one precision on one system: times, memory, errors, drift.

use std::time::{Duration, Instant};

use super::super::measure::{self, MEASURED_STEP, Times};
use super::super::{Job, Workshop};
use super::clock::SuiteClock;
use super::system::WarmState;
use crate::assemble;
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use crate::core::{Cell, Fields, Vec3};
use crate::dynamics::Program;
use crate::engine::{Engine, Flags, Start};
use crate::memory;
use crate::potential::{Evaluation, Precision};
use crate::report::series::Estimate;
use crate::report::{EnergyRecord, drift};
use crate::units::{FEMTOSECOND, PICOSECOND};
use crate::{Error, Result};

/// Steps of a sample, at most, and the time that it should take.
const MOST_IN_A_ROW: u64 = 20;
const SAMPLE: f64 = 0.02;
/// Time for samples, and the fewest of them.
const PATIENCE: Duration = Duration::from_secs(5);
const FEWEST: usize = 3;
/// Steps before the first that counts, and the time after which they are enough.
const WARM_UP: u64 = 20;
const WARM_UP_TIME: Duration = Duration::from_secs(1);
/// Time over which drift is measured (ps).
pub(super) const DRIFT_PS: f64 = 5.0;

/// Times steps from where the system is built, so short that it stays there, and so that positions are others in each; pairs are
/// searched anew every `rebuild_every` steps.
///
/// # Errors
/// The model cannot be bound, the device failed, or numbers are not finite.
pub(super) fn latency(
    workshop: &dyn Workshop,
    job: &Job,
    rebuild_every: u64,
    samples: usize,
) -> Result<Times> {
    let mut start = job.start.clone();
    measure::warm(&mut start)?;
    let mut walk = TimedWalk {
        engine: workshop.engine(&Job {
            start: &start,
            ..*job
        })?,
        program: Program::velocity_verlet(MEASURED_STEP),
        rebuild_every,
        step: 0,
        searched: 0,
    };
    let begin = Instant::now();
    let mut taken = 0;
    while taken == 0 || (taken < WARM_UP && begin.elapsed() < WARM_UP_TIME) {
        walk.go(1)?;
        taken += 1;
    }
    // The last of them tells how long a step takes.
    let alone = {
        let begin = Instant::now();
        walk.go(1)?;
        begin.elapsed().as_secs_f64()
    };
    let row = ((SAMPLE / alone.max(1e-9)) as u64).clamp(1, MOST_IN_A_ROW);
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < FEWEST || (times.len() < samples && begin.elapsed() < PATIENCE) {
        let began = Instant::now();
        walk.go(row)?;
        times.push(began.elapsed().as_secs_f64() * 1e3 / row as f64);
    }
    Times::of(times).ok_or_else(|| Error::run("nothing was measured"))
}

/// An engine on its way.
struct TimedWalk {
    engine: Box<dyn Engine>,
    program: Program,
    rebuild_every: u64,
    step: u64,
    /// The step at which pairs were searched last.
    searched: u64,
}

impl TimedWalk {
    fn go(&mut self, steps: u64) -> Result<()> {
        if self.step >= self.searched + self.rebuild_every {
            self.engine.rebuild()?;
            self.searched = self.step;
        }
        let outcome = self
            .engine
            .run(&self.program, self.step..self.step + steps)?;
        self.step = outcome.step;
        if outcome.flags != Flags::OK {
            return Err(Error::run("numbers are not finite"));
        }
        Ok(())
    }
}

/// Memory (bytes) that evaluating takes: what the fused engine holds on a card, or the process's peak since
/// [`memory::forget_peak`]. `None` where nobody tells.
///
/// # Errors
/// The model cannot be bound, or the device failed.
pub(super) fn memory_held(workshop: &dyn Workshop, job: &Job) -> Result<Option<u64>> {
    if !matches!(job.device.kind, DeviceKind::Cuda(_)) {
        return Ok(memory::peak());
    }
    if job.device.engine == EngineChoice::Burn {
        return Ok(None);
    }
    let mut fixed = workshop.fixed_pairs(job)?;
    fixed.call()?;
    Ok(fixed.memory())
}

/// Differences from f64 (eV, eV / angstrom).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PrecisionErrors {
    /// Root mean square of energies.
    pub(super) energy: f64,
    /// Root mean square of components of forces.
    pub(super) force: f64,
    /// The largest distance of the force on an atom.
    pub(super) largest: f64,
}

/// How far evaluations of the same states are apart.
pub(super) fn apart(found: &[Evaluation], truth: &[Evaluation]) -> PrecisionErrors {
    let (mut energies, mut forces, mut components, mut largest) = (0.0, 0.0, 0, 0.0_f64);
    for (one, other) in found.iter().zip(truth) {
        energies += (one.energy - other.energy).powi(2);
        for (f, g) in one.forces.iter().zip(&other.forces) {
            let distance = (f - g).norm();
            forces += distance * distance;
            largest = largest.max(distance);
            components += 3;
        }
    }
    PrecisionErrors {
        energy: (energies / found.len().max(1) as f64).sqrt(),
        force: (forces / f64::from(components.max(1))).sqrt(),
        largest,
    }
}

/// Evaluates states with what a job says.
///
/// # Errors
/// The model cannot be bound there, or the device failed.
pub(super) fn evaluations(job: &Job, cell: &Cell, frames: &[Vec<Vec3>]) -> Result<Vec<Evaluation>> {
    let system = &job.start.system;
    let mut field = assemble::field(job.model, system, job.precision, &job.device, 0.0)?;
    frames.iter().map(|frame| field.at(cell, frame)).collect()
}

/// The same in f64 on the CPU.
///
/// # Errors
/// The model cannot be bound.
pub(super) fn truth(job: &Job, cell: &Cell, frames: &[Vec<Vec3>]) -> Result<Vec<Evaluation>> {
    let exact = Job {
        precision: Precision::F64,
        device: DevicePlan {
            kind: DeviceKind::Cpu,
            engine: EngineChoice::Fused,
            ..job.device
        },
        ..*job
    };
    evaluations(&exact, cell, frames)
}

/// What a walk at constant energy came to.
#[derive(Debug)]
pub(super) enum DriftFound {
    /// Of energy (eV per atom and time).
    Slope(Estimate),
    /// There was no time for it.
    NoTime,
    /// The dynamics broke off.
    Broken,
}

/// The drift of energy over [`DRIFT_PS`] of steps of 0.5 fs from a state.
///
/// # Errors
/// The model cannot be bound, or the device failed.
pub(super) fn drift_of(
    workshop: &dyn Workshop,
    job: &Job,
    state: &WarmState,
    clock: &SuiteClock,
) -> Result<DriftFound> {
    let start: &Start = &state.start;
    let mut engine = workshop.engine(&Job { start, ..*job })?;
    let timestep = measure::USUAL_STEP_FS * FEMTOSECOND;
    let steps = (DRIFT_PS * PICOSECOND / timestep).round() as u64;
    let stretch = drift::stretch(timestep, steps);
    let program = Program::velocity_verlet(timestep);
    let atoms = start.system.len();
    let mut record = EnergyRecord::new(atoms, (3 * atoms).saturating_sub(3).max(1));
    let mut step = 0;
    for number in 0..steps / stretch {
        let outcome = engine.run(&program, step..drift::sample(number, stretch))?;
        if outcome.flags != Flags::OK {
            return Ok(DriftFound::Broken);
        }
        step = outcome.step;
        record.add(&engine.snapshot(Fields::NONE)?);
        if !clock.has(0.0) {
            return Ok(DriftFound::NoTime);
        }
    }
    Ok((record.drift()).map_or(DriftFound::NoTime, DriftFound::Slope))
}

/// Seconds that the drift takes where a step takes so many milliseconds.
pub(super) fn drift_seconds(step_ms: f64) -> f64 {
    DRIFT_PS * 1e3 / measure::USUAL_STEP_FS * step_ms * 1e-3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_summed_up() {
        let of = |energy: f64, x: f64| Evaluation {
            energy,
            forces: vec![Vec3::new(x, 0.0, 0.0), Vec3::zeros()],
            ..Evaluation::zeros(2)
        };
        let found = apart(&[of(1.0, 3.0), of(2.0, 0.0)], &[of(1.0, 0.0), of(0.0, 0.0)]);
        assert_eq!(found.energy, 2.0_f64.sqrt());
        assert_eq!(found.force, (9.0_f64 / 12.0).sqrt());
        assert_eq!(found.largest, 3.0);
    }
}
