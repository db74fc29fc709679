//! What the loop asks of those who look at a run: reporters, and what keeps checkpoints.
//!
//! They say at which steps they want to look and at what. The loop knows these traits alone; who writes
//! which file is for the rooms above to know.

use std::time::Duration;

use crate::Result;
use crate::core::{Fields, Snapshot};
use crate::engine::Engine;
use crate::potential::About;

/// What a reporter makes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Go on.
    Continue,
    /// Tell the user, then go on.
    Warn(String),
    /// A limit was broken that does not end the run: record the steps before, tell the user, go on.
    Alarm(String),
    /// End the run as failed, for this reason.
    Stop(String),
    /// The run has what it was for: it ends here, as one that is complete.
    Enough,
    /// Tell the user that the [`Successor`] takes over from here, for this reason.
    Raise(String),
}

/// Makes the engine that takes over where someone who looks at a run asks for it.
pub trait Successor: Send {
    /// The engine that goes on from a state, which has positions and velocities.
    ///
    /// # Errors
    /// It cannot be made.
    fn take_over(&mut self, state: &Snapshot) -> Result<Box<dyn Engine>>;
}

/// Something that looks at a run now and then.
pub trait Reporter: Send {
    /// The first step at or after `step` at which it wants to look; `u64::MAX` for never. It may be asked for a
    /// later step before it is shown the present one, and is shown none at which it no longer wants to look.
    fn next(&self, step: u64) -> u64;

    /// The arrays it wants then.
    fn wants(&self) -> Fields;

    /// Looks.
    ///
    /// # Errors
    /// A file could not be written: the run ends, all other reporters are finished.
    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal>;

    /// Waits until all that it has written is on the disk, and tells how far its file has come; `None`
    /// where it has none. A run goes on from a checkpoint with the file cut back to there.
    ///
    /// # Errors
    /// Some of it could not be written after all.
    fn mark(&mut self) -> Result<Option<FileMark>> {
        Ok(None)
    }

    /// Completes what it writes. Called once, also when the run failed.
    ///
    /// # Errors
    /// A file could not be completed.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// How far an output file has come: what is beyond a checkpoint's mark was written after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMark {
    /// Its name in the run's directory.
    pub name: String,
    /// Its length (bytes).
    pub length: u64,
    /// Records (lines, frames) in it.
    pub records: u64,
    /// Parts that are written over as it grows, such as the number of frames in a header: offset and
    /// length (bytes).
    pub amended: Vec<[u64; 2]>,
    /// SHA-256 of all of it up to there, those parts taken as zeros, in hexadecimal.
    pub sha256: String,
}

/// Keeps checkpoints of a run: states to go on from.
pub trait Checkpointing: Send {
    /// The clock starts: from here on steps are taken.
    fn begin(&mut self);

    /// The first step at or after `step` at which one is to be written; `u64::MAX` where no step says when.
    fn next(&self, step: u64) -> u64;

    /// Whether one is to be written after `step` steps.
    fn is_due(&self, step: u64) -> bool;

    /// Whether one is to be written when the run ends after `step` steps.
    fn is_due_at_end(&self, step: u64) -> bool;

    /// The step of the newest checkpoint, written or gone on from.
    fn kept(&self) -> Option<u64>;

    /// Is told what computes the run from here on.
    fn computed_by(&mut self, _about: &About) {}

    /// Time that the steps took so far, that of earlier sittings included.
    fn elapsed(&self) -> Duration;

    /// The arrays that one is made of.
    fn wants(&self) -> Fields;

    /// Writes one of this state, with the output files as far as they have come: all that they have is on the
    /// disk already.
    ///
    /// # Errors
    /// It cannot be written; the ones before are still there.
    fn keep(&mut self, snapshot: Snapshot, files: Vec<FileMark>) -> Result<()>;
}

/// The first multiple of `every` at or after `step`; never if `every` is 0.
pub fn next_multiple(step: u64, every: u64) -> u64 {
    if every == 0 {
        return u64::MAX;
    }
    step.checked_next_multiple_of(every).unwrap_or(u64::MAX)
}
