//! A time step tried at constant energy: how much of the kinetic energy's fluctuation the energy shows.
//!
//! The energy that velocity Verlet conserves differs from the true one by terms of the second order in the step, so
//! that the true one goes up and down with the vibrations. Its fluctuation beside that of the kinetic energy tells
//! how good the step is: 1 % is usual, above 5 % it is too long, and an unstable step makes it grow without end. Its slope
//! is what forces leave that are no exact gradient: rounding.

use std::time::Instant;

use crate::Result;
use crate::core::observe::Thermometer;
use crate::core::{Fields, Snapshot};
use crate::dynamics::Program;
use crate::engine::{Breach, Engine, Flags, Limits};
use crate::report::series::{Estimate, Series};
use crate::units::KELVIN;

/// Part of the steps whose samples are left out: a start from a minimum gives half of its kinetic energy away.
const SETTLING: f64 = 0.2;
/// Fewest samples that tell a fluctuation, and fewest steps to have them.
const FEWEST_SAMPLES: u64 = 64;
const FEWEST_STEPS: u64 = 80;
/// Temperature (K) under which nothing moves that could tell anything.
const STILL: f64 = 0.01;

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// The time step (internal time).
    pub timestep: f64,
    /// Steps to take.
    pub steps: u64,
    /// What ends it before.
    pub deadline: Instant,
    /// Limits that a run would be held to.
    pub limits: Limits,
    /// What tells the temperature.
    pub thermometer: Thermometer,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Steps taken.
    pub steps: u64,
    /// Fluctuation of the total energy over that of the kinetic energy; `None` where nothing moves, or where there
    /// were too few steps.
    pub fluctuation: Option<f64>,
    /// Mean temperature kT (eV) of the steps that count.
    pub kt: f64,
    /// Slope of the total energy (eV / internal time) over all steps; `None` where there were too few.
    pub drift: Option<Estimate>,
    /// The limit that was broken, or what ceased to be finite.
    pub breach: Option<Breach>,
}

/// Tries a time step from a state that holds positions and velocities. The engine is at that state again afterwards.
///
/// # Errors
/// The device failed.
pub fn attempt(engine: &mut dyn Engine, state: &Snapshot, how: &Attempt) -> Result<Trial> {
    engine.restore(state)?;
    engine.watch(Limits {
        stop: true,
        ..how.limits
    });
    let program = Program::velocity_verlet(how.timestep);
    let mut samples = Vec::new();
    let mut breach = None;
    let first = state.step;
    let mut taken = 0;
    let began = Instant::now();
    // A slow system has three times as long for the fewest steps that tell anything.
    let last = how.deadline + 2 * how.deadline.saturating_duration_since(began);
    let time_left = |taken: u64| {
        let now = Instant::now();
        now < how.deadline || (taken < FEWEST_STEPS && now < last)
    };
    while taken < how.steps && time_left(taken) {
        let outcome = engine.run(&program, first + taken..first + taken + 1)?;
        if outcome.flags != Flags::OK {
            breach = outcome.breach;
            break;
        }
        taken += 1;
        let o = engine.snapshot(Fields::NONE)?.observables;
        samples.push([o.total(), how.thermometer.kinetic(&o)]);
    }
    let (mut total, mut kinetic, mut whole) =
        (Series::default(), Series::default(), Series::default());
    let settled = (SETTLING * samples.len() as f64) as usize;
    for (k, [of_total, of_kinetic]) in samples.into_iter().enumerate() {
        let time = k as f64 * how.timestep;
        whole.add(time, of_total);
        if k < settled {
            continue;
        }
        total.add(time, of_total);
        kinetic.add(time, of_kinetic);
    }
    engine.watch(Limits::default());
    engine.restore(state)?;
    let per_energy = crate::core::observe::kt(1.0, how.thermometer.degrees_of_freedom);
    let kt = kinetic.mean().map_or(0.0, |k| k.value * per_energy);
    let moves = total.count() >= FEWEST_SAMPLES && kt > STILL * KELVIN;
    let ratio = || Some(total.fluctuation()? / kinetic.fluctuation().filter(|k| *k > 0.0)?);
    Ok(Trial {
        steps: taken,
        fluctuation: ratio().filter(|_| moves),
        kt,
        drift: whole.slope().filter(|_| whole.count() >= FEWEST_SAMPLES),
        breach,
    })
}
