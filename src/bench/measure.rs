//! What is measured, and how.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::core::System;
use crate::core::observe::Thermometer;
use crate::core::rng::Noise;
use crate::core::velocities::{self, Temperature};
use crate::dynamics::{
    self, Barostat, Chain, Coupling, Csvr, Dynamics, Langevin, Mtk, NoseHoover, Npt, Nve, Program,
    SuzukiYoshida, Thermostat,
};
use crate::engine::{Engine, Flags, HostEngine, Start};
use crate::potential::Potential;
use crate::units::{BAR, FEMTOSECOND, KELVIN, PICOSECOND};
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

/// Ensembles whose steps are timed, as `--ensemble` calls them.
pub const ENSEMBLES: [&str; 6] = ["nve", "langevin", "csvr", "npt", "nose_hoover", "mtk"];

/// Steps between two strains of the cell in a run that does not say.
const BAROSTAT_EVERY: u64 = 10;

/// Steps from one build of the pairs to the next as they are timed: whole cycles of a barostat, so that it has its share.
pub fn whole_cycles(rebuild_every: u64) -> u64 {
    rebuild_every.next_multiple_of(BAROSTAT_EVERY)
}

/// One step, as it is timed, of an ensemble of water at 300 K.
pub fn program(ensemble: &str, system: &System) -> Program {
    program_of(ensemble, system, MEASURED_STEP)
}

/// One step of `timestep` (angstrom sqrt(u / eV)) of an ensemble of a system at 300 K, with the times that are usual for water.
pub fn program_of(ensemble: &str, system: &System, timestep: f64) -> Program {
    let (kt, seed) = (300.0 * KELVIN, 1);
    let relaxation = 0.1 * PICOSECOND;
    let friction = 1.0 / PICOSECOND;
    let chain = Chain {
        relaxation,
        links: 3,
        steps: 1,
        scheme: SuzukiYoshida::Three,
    };
    let dynamics = match ensemble {
        "langevin" => Dynamics::Langevin(Langevin { kt, friction, seed }),
        "csvr" => Dynamics::Csvr(Csvr {
            kt,
            relaxation,
            seed,
        }),
        "npt" => Dynamics::Npt(Npt {
            kt,
            seed,
            thermostat: Thermostat::Csvr { relaxation },
            barostat: Barostat {
                pressure: BAR,
                relaxation: PICOSECOND,
                compressibility: 4.5e-5 / BAR,
                every: BAROSTAT_EVERY,
                coupling: Coupling::Isotropic,
            },
        }),
        "nose_hoover" => Dynamics::NoseHoover(NoseHoover { kt, chain }),
        "mtk" => Dynamics::Mtk(Mtk {
            kt,
            pressure: BAR,
            chain,
            barostat_relaxation: PICOSECOND,
        }),
        _ => Dynamics::Nve(Nve),
    };
    let mass = Some(system.total_mass());
    let thermometer = Thermometer {
        degrees_of_freedom: (3 * system.len()).saturating_sub(3),
        held_mass: mass,
        flying_mass: mass,
    };
    dynamics.program(timestep, &thermometer)
}

/// Gives a box the velocities of 300 K, so that a thermostat has something to do.
///
/// # Errors
/// It is not one system alone.
pub fn warm(start: &mut Start) -> Result<()> {
    let temperature = Temperature {
        kt: 300.0 * KELVIN,
        degrees_of_freedom: (3 * start.system.len()).saturating_sub(3),
    };
    let only = start.members.only()?;
    let noise = Noise::new(1).of_replica(only.replica);
    start.velocities = velocities::thermal(
        &start.system,
        &only.cell,
        &start.positions,
        temperature,
        noise,
    );
    Ok(())
}

/// Times steps of an engine, with the pairs built anew every `rebuild_every` steps.
///
/// # Errors
/// The engine failed, or its numbers are not finite.
pub fn time_steps(
    engine: &mut dyn Engine,
    program: &Program,
    iterations: usize,
    rebuild_every: u64,
) -> Result<Times> {
    let mut step = 0;
    time(iterations, rebuild_every as usize, || {
        engine.rebuild()?;
        let outcome = engine.run(program, step..step + rebuild_every)?;
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
    warm(&mut start)?;
    let noise = Noise::new(1);
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
        let program = dynamics::baoab(step, kt, FRICTION / FEMTOSECOND);
        if engine.run(&program, 0..steps)?.flags != Flags::OK {
            return Ok(estimate);
        }
    }
    let before = engine.statistics().rebuilds;
    let outcome = engine.run(&Program::velocity_verlet(USUAL_STEP), 0..WATCH)?;
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
