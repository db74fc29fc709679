//! What a broken limit means for a run.

use crate::engine::{Breach, Flags, Limits, Outcome, Watched};
use crate::{Error, Result};

/// Decides which breaches are told, and which end a run.
pub(super) struct Judge {
    stop: bool,
    told: Vec<Watched>,
}

impl Judge {
    pub fn new(limits: Limits) -> Self {
        Self {
            stop: limits.stop,
            told: Vec::new(),
        }
    }

    /// The breach to tell of, if there is one.
    pub fn verdict(&mut self, outcome: Outcome) -> Result<Option<Breach>> {
        let Some(breach) = outcome.breach else {
            if outcome.flags.contains(Flags::NONFINITE) {
                return Err(Error::run(format!(
                    "step {}: an energy, force or position is not a finite number",
                    outcome.step
                )));
            }
            return Ok(None);
        };
        let new = !self.told.contains(&breach.what);
        if new {
            self.told.push(breach.what);
        }
        Ok((new || self.ends(&breach)).then_some(breach))
    }

    /// Whether a breach ends the run.
    pub fn ends(&self, breach: &Breach) -> bool {
        self.stop || Flags::FATAL.contains(breach.what.flag())
    }
}
