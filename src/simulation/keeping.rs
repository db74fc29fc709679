//! Checkpoints of a run: at its first state, when one is due, and at its end.

use super::ending::Outside;
use super::{Cause, Checkpointing, Finish, Simulation};
use crate::{Error, Result};

impl Simulation {
    /// Brings the first state to the disk, if that is to be gone on from, so that whatever is written later has
    /// a checkpoint before it.
    pub(super) fn keep_first(&mut self) -> Result<()> {
        match &self.keeper {
            None => Ok(()),
            Some(keeper) if keeper.is_due_at_end(self.step) => self.keep(),
            Some(_) => (self.reporters.iter_mut()).try_for_each(|r| r.mark().map(drop)),
        }
    }

    /// Writes a checkpoint of the present state, which has been reported: first all that reporters have
    /// written reaches the disk, then the checkpoint that says how much that is.
    pub(super) fn keep(&mut self) -> Result<()> {
        let mut files = Vec::new();
        for reporter in &mut self.reporters {
            files.extend(reporter.mark()?);
        }
        let Some(keeper) = &mut self.keeper else {
            return Ok(());
        };
        let snapshot = self.engine.snapshot(keeper.wants())?;
        keeper.keep(snapshot, files)
    }

    /// Goes back to the state before the block in which the engine failed, if the engine still has it, and writes a checkpoint
    /// of it where one is due. Where an interrupt has come, that is how the run ends: what serves the engine may have heard it
    /// first.
    ///
    /// # Errors
    /// What the engine failed by, which a checkpoint that cannot be written leaves as it is.
    pub(super) fn keep_what_is_left(&mut self, error: Error, outside: &Outside) -> Result<Finish> {
        if self.engine.rollback().is_err() {
            return Err(error);
        }
        if outside.is_interrupted() {
            return Ok(Finish::Interrupted);
        }
        let due = |keeper: &dyn Checkpointing| keeper.is_due_at_end(self.step);
        if self.keeper.as_deref().is_some_and(due) {
            let _ = self.keep();
        }
        Err(error)
    }

    /// Writes a checkpoint of the last state where one is due. After a breach, which is in the middle of a block, or with
    /// forces of wrong pairs, there is no state to go on from: the checkpoint before stays the newest.
    pub(super) fn keep_last(&mut self, finish: &Finish) -> Result<()> {
        let whole = match finish {
            Finish::Fault { cause, .. } => matches!(cause, Cause::Alarm { .. }),
            Finish::Complete | Finish::Interrupted => true,
        };
        let due = |keeper: &dyn Checkpointing| keeper.is_due_at_end(self.step);
        if whole && self.keeper.as_deref().is_some_and(due) {
            self.keep()?;
        }
        Ok(())
    }
}
