//! A part of a run in which no steps are taken: something else leads from its first state to its last one, a minimiser say.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use super::ending::{OrStop, Outside, Stop};
use super::judge::Judge;
use super::{Finish, Simulation, Warning};
use crate::Result;
use crate::core::Snapshot;
use crate::engine::Limits;

/// Shows a state on the way; whether it goes on.
pub type ShownState<'s> = dyn FnMut(&Snapshot) -> Result<ControlFlow<()>> + 's;

/// Leads from the first state to the last one, which it gives; `None` where it was interrupted on the way.
pub type StateWalk<'s> = dyn FnMut(&mut ShownState<'_>) -> Result<Option<Snapshot>> + 's;

impl Simulation {
    /// Does as [`Simulation::run_from`] where `walk` leads to the last state: states that it shows are reported at the steps at
    /// which reporters want to look. Limits are none of those of steps. No checkpoint is written on the way: one that is
    /// interrupted begins anew.
    ///
    /// # Errors
    /// As for [`Simulation::run_from`]; or those of `walk`.
    pub fn run_by(
        &mut self,
        interrupt: &AtomicBool,
        warn: &mut dyn FnMut(Warning),
        (begun, walk): (&mut dyn FnMut() -> Result<()>, &mut StateWalk<'_>),
    ) -> Result<Finish> {
        if let Some(keeper) = &mut self.keeper {
            keeper.begin();
        }
        let mut outside = Outside { interrupt, warn };
        let ended = match self.led(&mut outside, begun, walk) {
            Ok(finish) | Err(Stop::Finish(finish)) => Ok(finish),
            Err(Stop::Error(error) | Stop::Engine(error)) => Err(error),
        };
        let ended = ended.and_then(|finish| match finish {
            Finish::Complete => self.keep_last(&finish).map(|()| finish),
            Finish::Interrupted | Finish::Fault { .. } => Ok(finish),
        });
        self.finished(ended)
    }

    fn led(
        &mut self,
        outside: &mut Outside,
        begun: &mut dyn FnMut() -> Result<()>,
        walk: &mut StateWalk<'_>,
    ) -> OrStop<Finish> {
        let limits = Limits::default();
        self.engine.watch(limits);
        self.look_at_first(&mut Judge::new(limits), outside)?;
        begun()?;
        let (first, reporters) = (self.step, &mut self.reporters);
        let last = walk(&mut |state: &Snapshot| {
            let due = |next: u64| state.step > first && next == state.step;
            for reporter in reporters.iter_mut() {
                if due(reporter.next(state.step)) {
                    reporter.report(state)?;
                }
            }
            Ok(match outside.is_interrupted() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        let Some(last) = last else {
            return Ok(Finish::Interrupted);
        };
        self.engine.restore(&last)?;
        self.step = last.step;
        Ok(Finish::Complete)
    }
}
