//! Blocks of steps: alone, or while the present state is shown to those who look at it.

use std::ops::ControlFlow;

use super::ending::{OrStop, Outside, Stop};
use super::parcel::{Answers, Parcel};
use super::{Finish, Simulation};
use crate::Result;
use crate::engine::Outcome;

impl Simulation {
    /// Runs the block that ends at `until`. The state before the block stays saved.
    pub(super) fn block(&mut self, until: u64) -> Result<Outcome> {
        self.engine.save()?;
        self.engine.run(&self.program, self.step..until)
    }

    /// Runs the block that ends at `until` while the present state is shown to those who look at it. Where they do not let the
    /// run go on, or an interrupt came meanwhile, the block is undone before anything is done about it.
    pub(super) fn block_beside(
        &mut self,
        until: u64,
        mut unseen: Option<Parcel>,
        outside: &mut Outside,
    ) -> OrStop<Outcome> {
        let mut answers = Ok(Answers::default());
        let mut flow = ControlFlow::Continue(());
        let mut show = || {
            if let Some(parcel) = unseen.take() {
                let ring = self.guard.ring.as_mut();
                answers = parcel.deliver(&mut self.reporters, ring, outside.warn);
                let on = answers.as_ref().is_ok_and(Answers::nothing) && !outside.is_interrupted();
                if !on {
                    flow = ControlFlow::Break(());
                }
            }
            flow
        };
        self.engine.save()?;
        let ran = (self.engine).run_beside(&self.program, self.step..until, &mut show);
        // An engine that failed may not have come to it.
        if show().is_continue() {
            match ran {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => {}
                Err(error) => return Err(Stop::Engine(error)),
            }
        }
        self.engine.rollback()?;
        self.answer(answers?, outside)?;
        if outside.is_interrupted() {
            return Err(Stop::Finish(Finish::Interrupted));
        }
        // One who has just let another engine take over may want to look before.
        let until = until.min(self.next_stop());
        self.block(until).map_err(Stop::Engine)
    }
}
