//! The loop: plan a block, run it, commit it or roll it back, report.
//!
//! Reports do not stop the device: the state after a block is requested, and shown to those who look at it while the
//! next block runs. Whatever they say counts as if nothing had been begun: where they end the run, or the steps
//! before are to be recorded, that block is undone first.

pub mod batch;
mod block;
mod descent;
mod ending;
mod flight;
mod judge;
mod keeping;
mod observer;
mod pace;
mod parcel;
mod showing;
mod walk;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::dynamics::Program;
use crate::engine::{Engine, Limits, Outcome};
use crate::{Error, Result};

pub use batch::{BatchObserver, BatchSimulation};
pub use descent::{ShownState, StateWalk};
pub use ending::{Finish, Warning};
use ending::{OrStop, Outside, Stop};
pub use flight::{Cause, Flight, Guard, Ring};
use judge::Judge;
pub use observer::{Checkpointing, FileMark, Reporter, Signal, Successor, next_multiple};
use pace::Pace;

/// A simulation, ready to run.
pub struct Simulation {
    /// The engine, its state after `step` steps.
    pub engine: Box<dyn Engine>,
    /// One step.
    pub program: Program,
    /// What is checked after every step.
    pub limits: Limits,
    /// What watches.
    pub reporters: Vec<Box<dyn Reporter>>,
    /// Flight recorder and audit of the pairs.
    pub guard: Guard,
    /// Steps taken so far.
    pub step: u64,
    /// Steps to take in all.
    pub end: u64,
    /// What writes checkpoints; `None` for a run without any.
    pub keeper: Option<Box<dyn Checkpointing>>,
    /// What makes the engine that takes over where a reporter raises; `None` where none does.
    pub successor: Option<Box<dyn Successor>>,
}

impl Simulation {
    /// Runs to the end, an interrupt (`interrupt` becomes true) or a fault, and finishes the
    /// reporters however it ends.
    ///
    /// # Errors
    /// The device failed or an output could not be written.
    pub fn run(&mut self, interrupt: &AtomicBool, warn: &mut dyn FnMut(Warning)) -> Result<Finish> {
        self.run_from(interrupt, warn, &mut || Ok(()))
    }

    /// Does as [`Simulation::run`], and calls `begun` once: when the first state was found sound and is on the
    /// disk, as a checkpoint too where there are to be any, and before the first step.
    ///
    /// # Errors
    /// As for [`Simulation::run`]; or those of `begun`.
    pub fn run_from(
        &mut self,
        interrupt: &AtomicBool,
        warn: &mut dyn FnMut(Warning),
        begun: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Finish> {
        if let Some(keeper) = &mut self.keeper {
            keeper.begin();
        }
        let mut outside = Outside { interrupt, warn };
        let ended = match self.advance(&mut outside, begun) {
            Ok(()) => Ok(Finish::Complete),
            Err(Stop::Finish(finish)) => Ok(finish),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Engine(error)) => self.keep_what_is_left(error, &outside),
        };
        let ended = ended.and_then(|finish| self.keep_last(&finish).map(|()| finish));
        self.finished(ended)
    }

    /// Has all reporters finish, however it has ended; an error of the way is told before one of theirs.
    fn finished(&mut self, ended: Result<Finish>) -> Result<Finish> {
        let mut finished = Ok(());
        for reporter in &mut self.reporters {
            finished = finished.and(reporter.finish());
        }
        let finish = ended?;
        finished?;
        Ok(finish)
    }

    /// Takes all steps.
    fn advance(
        &mut self,
        outside: &mut Outside,
        begun: &mut dyn FnMut() -> Result<()>,
    ) -> OrStop<()> {
        self.engine.watch(self.limits);
        let mut judge = Judge::new(self.limits);
        self.look_at_first(&mut judge, outside)?;
        begun()?;
        let mut pace = Pace::default();
        let mut unseen = None;
        while self.step < self.end {
            if outside.is_interrupted() {
                self.deliver(unseen.take(), outside)?;
                return Err(Stop::Finish(Finish::Interrupted));
            }
            let began = Instant::now();
            let until = self.next_stop().min(self.step.saturating_add(pace.steps()));
            let outcome = self.block_beside(until, unseen.take(), outside)?;
            let reached = outcome.step;
            pace.record(reached.saturating_sub(self.step), began.elapsed());
            self.judge(&mut judge, outcome, outside)?;
            self.commit(reached)?;
            self.audit(outside)?;
            unseen = self.request(true)?;
            if self.keeper.as_ref().is_some_and(|k| k.is_due(self.step)) {
                self.deliver(unseen.take(), outside)?;
                self.keep()?;
            }
        }
        self.deliver(unseen, outside)
    }

    /// Checks the first state, shows it, and brings it to the disk.
    fn look_at_first(&mut self, judge: &mut Judge, outside: &mut Outside) -> OrStop<()> {
        let first = self.block(self.step)?;
        if let Some(breach) = judge.verdict(first)? {
            let ends = judge.ends(&breach);
            let cause = Cause::Breach(breach);
            if ends {
                let flight = None;
                return Err(Stop::Finish(Finish::Fault { cause, flight }));
            }
            self.warn_of(cause, outside)?;
        }
        self.audit(outside)?;
        // What a checkpoint was made of was reported before.
        let reported = self.keeper.as_ref().and_then(|k| k.kept()) == Some(self.step);
        let parcel = self.request(!reported)?;
        self.deliver(parcel, outside)?;
        Ok(self.keep_first()?)
    }

    /// The first step after the present one where someone wants to look, or the end.
    fn next_stop(&self) -> u64 {
        let wanted = self.reporters.iter().map(|r| r.next(self.step + 1));
        let kept = (self.keeper.as_ref()).map_or(u64::MAX, |k| k.next(self.step + 1));
        let wanted = wanted.min().unwrap_or(u64::MAX).min(kept);
        let wanted = wanted.min(self.guard.next(self.step + 1));
        wanted.max(self.step + 1).min(self.end)
    }

    /// Tells of the limit that a block has broken, or ends the run by it.
    fn judge(&mut self, judge: &mut Judge, outcome: Outcome, outside: &mut Outside) -> OrStop<()> {
        match judge.verdict(outcome)? {
            Some(breach) if judge.ends(&breach) => Err(self.fault(Cause::Breach(breach), outside)?),
            Some(breach) => Ok(self.warn_of(Cause::Breach(breach), outside)?),
            None => Ok(()),
        }
    }

    /// Takes the block that ended at `reached` as done.
    fn commit(&mut self, reached: u64) -> Result<()> {
        if reached <= self.step {
            return Err(Error::run(format!(
                "step {}: the engine took no step and does not say why ({})",
                self.step,
                self.engine.about()
            )));
        }
        self.step = reached;
        Ok(())
    }
}
