//! How a run went, besides its energies.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::observe::WholeBody;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is going on.
    Running,
    /// All steps were taken.
    Complete,
    /// It was interrupted; all that was reached is written.
    Interrupted,
    /// A limit was broken, or something failed.
    Failed,
}

/// How a run went, besides its energies.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutcome {
    /// How it ended.
    pub status: Status,
    /// Steps taken.
    pub steps: u64,
    /// Time step (internal time).
    pub timestep: f64,
    /// Step and time (internal) at which it began: zero, but for a stage of a run in stages.
    pub began: (u64, f64),
    /// Time that the steps took.
    pub elapsed: Duration,
    /// Where its files are.
    pub directory: PathBuf,
    /// Why it ended before its last step; `None` if it did not.
    pub stopped_by: Option<String>,
    /// Temperature kT (eV) of the thermostat; `None` where there was none.
    pub bath: Option<f64>,
    /// Whether that changed in the course of the run; it is what it was in the end then.
    pub ramped: bool,
    /// Pressure (eV / cubic angstrom) of the barostat; `None` where there was none.
    pub press: Option<f64>,
    /// Motion of the system as a whole that its start has, and that nothing takes away.
    pub whole: Option<WholeBody>,
    /// Steps from which it went on after it had stopped.
    pub resumed_from: Vec<u64>,
}

impl RunOutcome {
    /// The time (internal) that it came to.
    pub fn time(&self) -> f64 {
        let (step, time) = self.began;
        time + (self.steps as f64 - step as f64) * self.timestep
    }
}
