//! Whether a simulation is physics: tests of a run's own system, model, numbers and ensemble, each with what was measured, its
//! bar and the reason for it.
//!
//! The potential is looked at first, in f64 on the CPU ([`potential`]); then what steps make of it at constant energy
//! ([`constant_energy`]); then, where the run has a thermostat, whether what it samples is the ensemble that it names
//! ([`sampling`]). What is tested makes its engines and force fields through [`PhysicsWorkshop`], so that a spoiled potential, a
//! spoiled step and a spoiled thermostat go the same way as a sound one.

mod bends;
mod budget;
mod constant_energy;
mod cutoff;
mod distribution;
mod kinetic;
mod line;
mod page;
mod potential;
mod ratio;
mod samples;
mod sampling;
mod walk;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;
use crate::core::observe::Thermometer;
use crate::core::{System, Vec3};
use crate::dynamics::{Dynamics, Program};
use crate::engine::{Engine, Start};
use crate::forcefield::ForceField;
use crate::plot::Plot;
use crate::potential::Precision;

pub use budget::Depth;
pub use distribution::{GammaFit, gamma_cdf};
pub use kinetic::{KineticTheory, judge_kinetic};
pub use line::{Judgement, ValidationLine};
pub use page::page;
pub use ratio::{LogRatio, log_ratio};
pub use samples::{Sample, Samples};

/// How a force field finds its pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairSearch {
    /// By a cell list.
    Listed,
    /// By trying every image of every atom.
    Exhaustive,
}

/// What makes engines and force fields of what is validated.
pub trait PhysicsWorkshop {
    /// The potential in f64 on the CPU, for any atoms.
    ///
    /// # Errors
    /// It does not know an element.
    fn exact(&self, system: &System, search: PairSearch) -> Result<Box<dyn ForceField + '_>>;

    /// The potential of the run's atoms in the run's own numbers, on its device.
    ///
    /// # Errors
    /// The device has no room or failed.
    fn rounded(&self) -> Result<Box<dyn ForceField + '_>>;

    /// An engine as the run has it, with noise of its own for each `replica`.
    ///
    /// # Errors
    /// The device has no room or failed.
    fn engine(&self, start: Start, replica: u32) -> Result<Box<dyn Engine>>;

    /// One step at constant energy.
    fn constant_energy(&self, timestep: f64) -> Program {
        Program::velocity_verlet(timestep)
    }

    /// One step of an ensemble.
    fn ensemble(&self, ensemble: &Dynamics, timestep: f64) -> Program;
}

/// What is validated.
pub struct Setup<'w> {
    /// What makes its engines.
    pub workshop: &'w dyn PhysicsWorkshop,
    /// Atoms, cell, positions and velocities at its temperature.
    pub start: Start,
    /// The run's ensemble.
    pub ensemble: Dynamics,
    /// The run's time step (angstrom sqrt(u / eV)).
    pub timestep: f64,
    /// What tells the temperature in the run's ensemble.
    pub thermometer: Thermometer,
    /// The run's numbers.
    pub precision: Precision,
    /// Largest slope of the energy (eV per atom and time) that the run bears.
    pub drift: Option<f64>,
    /// Largest error of a force (eV / angstrom) that the run bears.
    pub force_error: Option<f64>,
    /// Whether another program computes the potential, which knows the run's own atoms alone.
    pub remote: bool,
    /// How much is measured.
    pub depth: Depth,
}

/// What came of a validation.
#[derive(Debug, Clone, Default)]
pub struct Validated {
    /// The tests, in their order.
    pub lines: Vec<ValidationLine>,
    /// What was measured, drawn.
    pub plots: Vec<Plot>,
    /// Whether it was broken off: further tests were not made.
    pub interrupted: bool,
}

impl Validated {
    /// Whether a test has failed.
    pub fn has_failed(&self) -> bool {
        self.any(Judgement::Fail)
    }

    /// Whether a test could not be decided.
    pub fn is_undecided(&self) -> bool {
        self.any(Judgement::Undecided)
    }

    fn any(&self, judgement: Judgement) -> bool {
        self.lines.iter().any(|line| line.judgement == judgement)
    }

    /// How many tests came to a judgement.
    pub fn count(&self, judgement: Judgement) -> usize {
        let alike = self.lines.iter().filter(|l| l.judgement == judgement);
        alike.count()
    }

    /// What came of it, in a sentence.
    pub fn summary(&self) -> String {
        let end = match self.interrupted {
            true => ". Interrupted: further tests were not made.",
            false => ".",
        };
        format!(
            "{} passed, {} failed, {} undecided, {} without meaning here{end}",
            self.count(Judgement::Pass),
            self.count(Judgement::Fail),
            self.count(Judgement::Undecided),
            self.count(Judgement::NotApplicable)
        )
    }

    /// All of it for scripts.
    pub fn json(&self) -> Value {
        let verdict = match (self.has_failed(), self.is_undecided() || self.interrupted) {
            (true, _) => Judgement::Fail,
            (false, true) => Judgement::Undecided,
            (false, false) => Judgement::Pass,
        };
        let tests: Vec<Value> = self.lines.iter().map(ValidationLine::json).collect();
        json!({"verdict": verdict, "interrupted": self.interrupted, "tests": tests})
    }
}

/// What is told of a validation while it goes on.
pub trait ValidationListener {
    /// A part is begun.
    fn begin(&mut self, part: &str);

    /// A test has come to its end.
    fn line(&mut self, line: &ValidationLine);
}

/// A validation under way: what was found, who listens, and what ends it.
struct Course<'c> {
    found: Validated,
    listener: &'c mut dyn ValidationListener,
    interrupt: &'c AtomicBool,
    began: Instant,
}

impl Course<'_> {
    fn add(&mut self, line: ValidationLine) {
        self.listener.line(&line);
        self.found.lines.push(line);
    }

    fn draw(&mut self, plot: Plot) {
        self.found.plots.push(plot);
    }

    /// The time that is left of a depth's.
    fn left(&self, depth: &Depth) -> Duration {
        depth.whole.saturating_sub(self.began.elapsed())
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// A part of a validation.
type ValidationPart = fn(&Setup<'_>, &mut Course<'_>) -> Result<()>;

/// Makes all tests; fewer where `interrupt` becomes true.
///
/// # Errors
/// An engine cannot be made, or a device failed.
pub fn validate(
    setup: &Setup<'_>,
    listener: &mut dyn ValidationListener,
    interrupt: &AtomicBool,
) -> Result<Validated> {
    let mut course = Course {
        found: Validated::default(),
        listener,
        interrupt,
        began: Instant::now(),
    };
    let parts: [(&str, ValidationPart); 3] = [
        ("the potential, in f64", potential::examine),
        ("constant energy", constant_energy::examine),
        ("the ensemble", sampling::examine),
    ];
    for (name, part) in parts {
        if course.is_interrupted() {
            break;
        }
        course.listener.begin(name);
        part(setup, &mut course)?;
    }
    course.found.interrupted = course.is_interrupted();
    Ok(course.found)
}

/// The largest norm of the differences of two arrays.
fn largest_difference(a: &[Vec3], b: &[Vec3]) -> f64 {
    let norms = a.iter().zip(b).map(|(a, b)| (a - b).norm());
    // A number that is not one is the largest.
    norms.fold(0.0, |most, norm| if norm <= most { most } else { norm })
}
