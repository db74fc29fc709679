//! Checkpoints of a batch: at the first states, when one is due, and at the end.

use super::looks::taken;
use super::{BatchFinish, BatchLoop, BatchOutside};
use crate::{Error, Result};

impl BatchLoop<'_, '_> {
    /// Brings the first states to the disk, so that whatever is written later has a checkpoint before it.
    pub(super) fn keep_first(&mut self) -> Result<()> {
        match &self.batch.keeper {
            Some(keeper) if keeper.keeps() && !keeper.has_kept() => self.keep(),
            Some(_) => self.batch.observer.marks(&self.batch.members).map(drop),
            None => Ok(()),
        }
    }

    /// Writes a checkpoint of the present states, which have been reported.
    pub(super) fn keep(&mut self) -> Result<()> {
        let marks = self.batch.observer.marks(&self.batch.members)?;
        self.bring_states()?;
        let (clock, members) = (self.batch.clock, &self.batch.members);
        let kept = match &mut self.batch.keeper {
            Some(keeper) => keeper.keep(clock, members, marks),
            None => Ok(()),
        };
        let running: Vec<usize> = self.running().map(|(_, member)| member).collect();
        for member in running {
            self.batch.members[member].state = None;
        }
        kept
    }

    /// Puts the present states of those that run into their courses.
    fn bring_states(&mut self) -> Result<()> {
        let running: Vec<(usize, usize)> = self.running().collect();
        if running.is_empty() {
            return Ok(());
        }
        let mut states = self.states()?;
        for (place, member) in running {
            self.batch.members[member].state = Some(taken(&mut states[place]));
        }
        Ok(())
    }

    /// Writes a checkpoint of the last states, where there are to be any, and leaves them in the courses.
    pub(super) fn keep_last(&mut self) -> Result<()> {
        if self
            .batch
            .keeper
            .as_ref()
            .is_some_and(|keeper| keeper.keeps())
        {
            self.keep()?;
        }
        self.bring_states()
    }

    /// Goes back to the states before the block in which the engine failed, if it still has them, and writes a checkpoint of
    /// them. Where an interrupt has come, that is how the batch ends.
    ///
    /// # Errors
    /// What the engine failed by, which a checkpoint that cannot be written leaves as it is.
    pub(super) fn keep_what_is_left(
        &mut self,
        error: Error,
        outside: &BatchOutside<'_>,
    ) -> Result<BatchFinish> {
        if self.engine().and_then(|engine| engine.rollback()).is_err() {
            return Err(error);
        }
        if outside.is_interrupted() {
            return Ok(BatchFinish::Interrupted);
        }
        if self
            .batch
            .keeper
            .as_ref()
            .is_some_and(|keeper| keeper.keeps())
        {
            let _ = self.keep();
        }
        Err(error)
    }
}
