//! Why a run drifts, or broke: it is replayed with one thing changed at a time.
//!
//! From a state of the run the same steps are taken again (a) as they were, (b) with half the time step, (c)
//! with the network in f64, (d) with the pairs found by brute force at every step. What removes the drift (or
//! the broken limit) is its cause: time step, precision, pair list. Where none of them does, the potential is
//! left, and is looked at itself: whether its forces are the slopes of its energy, and whether its energy
//! jumps where a pair passes the cutoff.
//!
//! # What can be told apart
//!
//! A drift is a fitted slope with a standard error (see [`crate::report::series`]). It is seen if it is
//! [`SEEN`] times its error. A replay removes it if its own drift is certainly (by [`SURE`] standard errors)
//! less than half of it, and leaves it if it is certainly more. Replays go on, all of them twice as far each
//! time, until each is one or the other, or until the time allowed is spent: then what could not be decided
//! is said to be so. The error of a slope falls as the 3/2 power of the time replayed.

mod potential;
mod replay;
mod report;
pub mod slope;
pub mod trial;
mod verdict;
pub mod vibration;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Result;
use crate::core::Snapshot;
use crate::core::observe::Thermometer;
use crate::dynamics::Program;
use crate::engine::{Engine, Limits, Start};
use crate::forcefield::ForceField;
use crate::report::series::Estimate;

pub use potential::Findings;
pub use replay::{Effect, Replay};
pub use report::Report;
pub use verdict::{Conclusion, Suspect};

use replay::Walk;

/// A drift is seen if it is so many times its standard error, as in the monitor.
pub const SEEN: f64 = 4.0;
/// Replays are told apart by so many standard errors.
pub const SURE: f64 = 2.0;
/// Most times that the window is doubled: the last one resolves drifts 180 times smaller than the first.
const MOST_ROUNDS: u32 = 6;
/// Fewest steps of a window of a drift.
const FEWEST_STEPS: u64 = 256;
/// Steps beyond the window in which a replay may still break the limit, for replays that break it later.
const BEYOND: u64 = 100;
/// Part of the time allowed that replays may take; the rest is for a look at the potential.
const REPLAYING: f64 = 0.8;
/// Steps are divided by this at the most, to see whether the time step broke a limit.
const MOST_DIVISOR: u64 = 8;

/// What a replay changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Parts that each step is cut into.
    pub divisor: u64,
    /// Whether a network is evaluated in f64.
    pub double: bool,
    /// Whether pairs are found by brute force at every step.
    pub exhaustive: bool,
}

impl Variant {
    /// Nothing.
    pub const AS_RUN: Self = Self {
        divisor: 1,
        double: false,
        exhaustive: false,
    };
    /// Half the time step.
    pub const HALF_STEP: Self = Self {
        divisor: 2,
        ..Self::AS_RUN
    };
    /// f64.
    pub const DOUBLE: Self = Self {
        double: true,
        ..Self::AS_RUN
    };
    /// Pairs by brute force.
    pub const EXHAUSTIVE: Self = Self {
        exhaustive: true,
        ..Self::AS_RUN
    };
}

/// An engine and its program, as a variant has them.
pub struct Built {
    /// The engine, at the start asked for.
    pub engine: Box<dyn Engine>,
    /// One step, of the variant's length.
    pub program: Program,
}

/// Makes the engine of a variant at a start, whose step counts the variant's own steps.
pub type Build<'b> = dyn Fn(Start, Variant) -> Result<Built> + 'b;

/// Makes what the potential itself is looked at with: in f64, its pairs beyond doubt.
pub type BuildJudge<'j> = dyn Fn() -> Result<Box<dyn ForceField>> + 'j;

/// What is to be explained.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Whether, and why, the energy drifts.
    Drift {
        /// The drift that was seen (eV per atom and time), if one was.
        seen: Option<Estimate>,
        /// Steps to replay at first.
        window: u64,
        /// A drift smaller than this (eV per atom and time) is nothing to explain.
        tolerable: f64,
    },
    /// Why a limit broke, or numbers ceased to be finite.
    Breach {
        /// The step at which it did.
        step: u64,
        /// The limits.
        limits: Limits,
    },
}

/// A run to be diagnosed.
#[derive(Debug, Clone)]
pub struct Case {
    /// The state that replays start from.
    pub start: Start,
    /// The run's time step (internal time).
    pub timestep: f64,
    /// What tells the temperature.
    pub thermometer: Thermometer,
    /// What is to be explained.
    pub question: Question,
    /// A later state of the run, that the replay as it was must come through.
    pub later: Option<Snapshot>,
    /// Whether f64 would be something else than what the run had.
    pub double: bool,
    /// Time allowed.
    pub budget: Duration,
}

/// Replays a run and says what is wrong with it.
///
/// # Errors
/// The replay as it was cannot be made, or a device failed.
pub fn diagnose(
    case: &Case,
    (build, judge): (&Build<'_>, &BuildJudge<'_>),
    interrupt: &AtomicBool,
) -> Result<Report> {
    let began = Instant::now();
    let deadline = began + case.budget.mul_f64(REPLAYING);
    let mut walks = vec![Walk::begin(case, build, Variant::AS_RUN)?];
    let half = match case.question {
        Question::Drift { .. } => Walk::begin(case, build, Variant::HALF_STEP),
        Question::Breach { .. } => smaller_steps(case, build, deadline, interrupt),
    };
    walks.push(half.unwrap_or_else(|e| Walk::impossible(Variant::HALF_STEP, &e.to_string())));
    let double = if case.double {
        Walk::begin(case, build, Variant::DOUBLE)
    } else {
        Err(crate::Error::run("the run is in f64 already"))
    };
    walks.push(double.unwrap_or_else(|e| Walk::impossible(Variant::DOUBLE, &e.to_string())));
    let exhaustive = Walk::begin(case, build, Variant::EXHAUSTIVE);
    walks
        .push(exhaustive.unwrap_or_else(|e| Walk::impossible(Variant::EXHAUSTIVE, &e.to_string())));

    let mut verdict = Conclusion::default();
    let mut window = first_window(case);
    for round in 0..MOST_ROUNDS {
        for k in 0..walks.len() {
            // What is left of the time is shared among the replays still to come.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left.div_f64((walks.len() - k) as f64);
            walks[k].advance(case, window, Instant::now() + share, interrupt)?;
        }
        let replays: Vec<&Replay> = walks.iter().map(|w| &w.replay).collect();
        verdict = Conclusion::of(case, &replays);
        let spent = began
            .elapsed()
            .div_f64(2.0_f64.powi(round as i32 + 1) - 1.0);
        let next = spent.mul_f64(2.0_f64.powi(round as i32 + 1));
        let room = Instant::now() + next < deadline;
        let last = round + 1 == MOST_ROUNDS || !matches!(case.question, Question::Drift { .. });
        if verdict.is_final() || last || !room || interrupt.load(Ordering::Relaxed) {
            break;
        }
        window *= 2;
    }
    let frames = &walks[0].frames();
    let findings = judge().and_then(|mut field| {
        potential::examine(case, field.as_mut(), frames, began + case.budget)
    });
    let replays: Vec<Replay> = walks.into_iter().map(|w| w.replay).collect();
    let findings = findings.unwrap_or_default();
    verdict.conclude(case, &replays, &findings);
    Ok(Report::new(
        case,
        replays,
        findings,
        verdict,
        began.elapsed(),
    ))
}

/// Steps of the first round.
fn first_window(case: &Case) -> u64 {
    match case.question {
        Question::Drift { window, .. } => window.max(FEWEST_STEPS),
        Question::Breach { step, .. } => 2 * step.saturating_sub(case.start.step) + BEYOND,
    }
}

/// The replay of a broken limit with the longest step that does not break it: half of it, a quarter or an
/// eighth; with the shortest, if all do.
fn smaller_steps(
    case: &Case,
    build: &Build<'_>,
    deadline: Instant,
    interrupt: &AtomicBool,
) -> Result<Walk> {
    let mut divisor = 2;
    loop {
        let variant = Variant {
            divisor,
            ..Variant::AS_RUN
        };
        let mut walk = Walk::begin(case, build, variant)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let until = Instant::now() + left.div_f64(4.0);
        walk.advance(case, first_window(case), until, interrupt)?;
        if walk.replay.broke.is_none() || divisor >= MOST_DIVISOR {
            return Ok(walk);
        }
        divisor *= 2;
    }
}

/// Steps to replay so that a drift that was seen over `steps` steps with such an error is seen again, twice as
/// clearly as it has to be: the error of a slope falls as the 3/2 power of the time.
pub fn window(seen: &Estimate, steps: u64) -> u64 {
    let clear = (2.0 * SEEN * seen.error / seen.value.abs()).powf(2.0 / 3.0);
    let wanted = steps as f64 * clear;
    if wanted.is_finite() {
        (wanted.ceil() as u64).clamp(FEWEST_STEPS, steps.max(FEWEST_STEPS))
    } else {
        steps.max(FEWEST_STEPS)
    }
}
