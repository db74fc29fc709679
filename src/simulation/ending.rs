//! How a run ends, and what is told on the way.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Cause, Flight};
use crate::Error;

/// Why a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Finish {
    /// All steps were taken.
    Complete,
    /// It was interrupted; all that was reached is written.
    Interrupted,
    /// Something is wrong: a limit was broken, pairs are missing, or a reporter ended the run.
    Fault {
        /// What.
        cause: Cause,
        /// The steps before it; `None` where the first state is at fault already, or nothing is recorded.
        flight: Option<Box<Flight>>,
    },
}

/// Something to tell the user while the run goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// A limit was broken that does not end the run, or a reporter's alarm; told the first time for each
    /// limit.
    Fault {
        /// What.
        cause: Cause,
        /// The steps before it, recorded at the first fault.
        flight: Option<Box<Flight>>,
    },
    /// A reporter's remark.
    Remark(String),
    /// Another engine takes over, for this reason.
    Raise(String),
}

/// Who may end a run from outside, and who is told of what happens.
pub(super) struct Outside<'o> {
    pub interrupt: &'o AtomicBool,
    pub warn: &'o mut dyn FnMut(Warning),
}

impl Outside<'_> {
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// Why the loop is left before its last step.
pub(super) enum Stop {
    /// The run ends.
    Finish(Finish),
    /// Something failed.
    Error(Error),
    /// The engine failed in a block, whose first state has been shown.
    Engine(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What a part of the loop gives, unless it leaves the loop.
pub(super) type OrStop<T> = std::result::Result<T, Stop>;
