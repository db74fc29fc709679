//! What is measured, and how.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::core::rng::Noise;
use crate::core::velocities::{self, Temperature};
use crate::engine::{Engine, Flags, HostEngine, Start};
use crate::integrate;
use crate::potential::Potential;
use crate::units::{FEMTOSECOND, KELVIN};
use crate::{Error, Result};

/// Step of the measured dynamics: so short that the box stays where the peer's is.
pub const MEASURED_STEP: f64 = 0.01 * FEMTOSECOND;
/// Step that a user takes, for the rate of rebuilds and for ns/day.
pub const USUAL_STEP_FS: f64 = 0.5;
const USUAL_STEP: f64 = USUAL_STEP_FS * FEMTOSECOND;

/// A measurement ends after this time even if samples are missing, once it has the fewest.
const PATIENCE: Duration = Duration::from_secs(60);
const FEWEST_SAMPLES: usize = 3;

/// Calls before the first that counts: as many as the peer makes, within a time.
const WARM_UP: Duration = Duration::from_secs(10);

/// Times of one thing in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// Half are faster.
    pub median: f64,
    /// The fastest.
    pub min: f64,
    /// The slowest.
    pub max: f64,
    /// How many.
    pub samples: usize,
}

impl Times {
    /// Sums up samples in milliseconds; `None` if there are none.
    pub fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*samples.first()?, *samples.last()?);
        let half = samples.len() / 2;
        let median = if samples.len() % 2 == 1 {
            samples[half]
        } else {
            0.5 * (samples[half - 1] + samples[half])
        };
        Some(Self {
            median,
            min,
            max,
            samples: samples.len(),
        })
    }
}

/// Times `call`, which does `parts` equal things, `iterations / parts` times after a warm-up.
///
/// # Errors
/// Those of `call`.
pub fn time(
    iterations: usize,
    parts: usize,
    mut call: impl FnMut() -> Result<()>,
) -> Result<Times> {
    let begin = Instant::now();
    for _ in 0..(iterations / 10).max(5).div_ceil(parts) {
        call()?;
        if begin.elapsed() > WARM_UP {
            break;
        }
    }
    let wanted = iterations.div_ceil(parts).max(FEWEST_SAMPLES);
    let mut samples = Vec::with_capacity(wanted.min(1 << 16));
    let begin = Instant::now();
    while samples.len() < wanted && (samples.len() < FEWEST_SAMPLES || begin.elapsed() < PATIENCE) {
        let start = Instant::now();
        call()?;
        samples.push(start.elapsed().as_secs_f64() * 1e3 / parts as f64);
    }
    Times::of(samples).ok_or_else(|| Error::run("nothing was measured"))
}

/// Times NVE steps of an engine, with the pairs built anew every `rebuild_every` steps.
///
/// # Errors
/// The engine failed, or its numbers are not finite.
pub fn time_steps(engine: &mut dyn Engine, iterations: usize, rebuild_every: u64) -> Result<Times> {
    let program = integrate::nve(MEASURED_STEP);
    let mut step = 0;
    time(iterations, rebuild_every as usize, || {
        engine.rebuild()?;
        let outcome = engine.run(&program, step..step + rebuild_every)?;
        if outcome.flags != Flags::OK {
            return Err(Error::run(format!(
                "step {}: the dynamics of the box failed ({:?})",
                outcome.step, outcome.flags
            )));
        }
        step = outcome.step;
        Ok(())
    })
}

/// How often liquid water at 300 K has its pairs built anew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RebuildRate {
    /// Steps of 0.5 fs from one build to the next.
    pub steps: u64,
    /// Whether it was seen in a run, or estimated because the potential does not hold water together.
    pub measured: bool,
}

/// Measures the rate with the given potential of water: a box is thermalised, then watched.
///
/// # Errors
/// The potential failed.
pub fn rebuild_rate(
    mut start: Start,
    skin: f64,
    potential: Box<dyn Potential>,
) -> Result<RebuildRate> {
    /// Friction of the thermostat (1 / fs) and steps to forget the grid that the box starts from.
    const FRICTION: f64 = 0.05;
    const THERMALISE: u64 = 300;
    const WATCH: u64 = 300;
    /// A box hotter than this has not been held together.
    const HOTTEST: f64 = 600.0 * KELVIN;
    let kt = 300.0 * KELVIN;
    let degrees_of_freedom = 3 * start.system.len() - 3;
    let temperature = Temperature {
        kt,
        degrees_of_freedom,
    };
    let noise = Noise::new(1, 0);
    start.velocities = velocities::thermal(
        &start.system,
        &start.cell,
        &start.positions,
        temperature,
        noise,
    );
    // Hydrogen at its root mean square speed along one direction, all the way to half the skin.
    let speed = (kt
        / start
            .system
            .masses
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min))
    .sqrt();
    let estimate = RebuildRate {
        steps: (0.5 * skin / (speed * USUAL_STEP)).max(1.0) as u64,
        measured: false,
    };
    let mut engine = HostEngine::new(start, noise, skin, potential)?;
    // A short step first: the box starts with molecules too close to each other.
    for (steps, step) in [(100, 0.1 * USUAL_STEP), (THERMALISE, USUAL_STEP)] {
        let program = integrate::langevin(step, kt, FRICTION / FEMTOSECOND);
        if engine.run(&program, 0..steps)?.flags != Flags::OK {
            return Ok(estimate);
        }
    }
    let before = engine.statistics().rebuilds;
    let outcome = engine.run(&integrate::nve(USUAL_STEP), 0..WATCH)?;
    let kinetic = engine
        .snapshot(crate::core::Fields::NONE)?
        .observables
        .kinetic;
    let hot = 2.0 * kinetic > HOTTEST * degrees_of_freedom as f64;
    let rebuilds = engine.statistics().rebuilds - before;
    if outcome.flags != Flags::OK || hot || rebuilds == 0 {
        return Ok(estimate);
    }
    Ok(RebuildRate {
        steps: (WATCH / rebuilds).max(1),
        measured: true,
    })
}
