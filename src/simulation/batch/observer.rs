//! What the loop of a batch asks of those who look at its members: one who reports, and one who keeps checkpoints.

use std::time::Duration;

use super::MemberCourse;
use crate::Result;
use crate::core::{Fields, Snapshot};
use crate::simulation::{FileMark, Signal};

/// How far the output files of a batch have come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BatchMarks {
    /// Those of all members together.
    pub shared: Vec<FileMark>,
    /// Those of each member.
    pub members: Vec<Vec<FileMark>>,
}

/// Looks at members now and then.
pub trait BatchObserver: Send {
    /// A member begins, or goes on from where it had come: it is looked at from here on.
    ///
    /// # Errors
    /// Its files cannot be made or written to.
    fn begin(&mut self, member: usize) -> Result<()>;

    /// The first step at or after `step` of a member at which someone wants to look at it; `u64::MAX` for never.
    fn next(&self, member: usize, step: u64) -> u64;

    /// The arrays that are wanted of a member after `step` steps; `None` where nobody looks.
    fn wants(&self, member: usize, step: u64) -> Option<Fields>;

    /// Looks at some members, in their order. Gives what there is to say of them, in the same order.
    ///
    /// # Errors
    /// A file could not be written.
    fn report(&mut self, shown: Vec<(usize, Snapshot)>) -> Result<Vec<(usize, Signal)>>;

    /// A member has ended: what is written of it is completed.
    ///
    /// # Errors
    /// A file could not be completed.
    fn end(&mut self, member: usize) -> Result<()>;

    /// Steps were taken.
    ///
    /// # Errors
    /// A file could not be written.
    fn passed(&mut self, members: &[MemberCourse]) -> Result<()>;

    /// Waits until all that was written is on the disk, and tells how far each file has come.
    ///
    /// # Errors
    /// Some of it could not be written after all.
    fn marks(&mut self, members: &[MemberCourse]) -> Result<BatchMarks>;

    /// Completes all that is written. Called once, also when the batch failed.
    ///
    /// # Errors
    /// A file could not be completed.
    fn finish(&mut self, members: &[MemberCourse]) -> Result<()>;
}

/// Keeps checkpoints of a batch.
pub trait BatchKeeping: Send {
    /// The clock starts: from here on steps are taken.
    fn begin(&mut self);

    /// The first step of the batch's clock at or after `clock` at which one is to be written; `u64::MAX` where no step says
    /// when.
    fn next(&self, clock: u64) -> u64;

    /// Whether one is to be written after `clock` steps.
    fn is_due(&self, clock: u64) -> bool;

    /// Whether there are to be any: then one is written at the end as well.
    fn keeps(&self) -> bool;

    /// Whether one was written, or gone on from.
    fn has_kept(&self) -> bool;

    /// Time that the steps took so far, that of earlier sittings included.
    fn elapsed(&self) -> Duration;

    /// Writes one: `members` have their states in them, and all that the files have is on the disk already.
    ///
    /// # Errors
    /// It cannot be written; the ones before are still there.
    fn keep(&mut self, clock: u64, members: &[MemberCourse], marks: BatchMarks) -> Result<()>;
}
