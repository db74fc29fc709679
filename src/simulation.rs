//! The loop: plan a block, run it, commit it or roll it back, report.
//!
//! Reports do not stop the device: the state after a block is requested, and shown to those who look at it while the
//! next block runs. Whatever they say counts as if nothing had been begun: where they end the run, or the steps
//! before are to be recorded, that block is undone first.

mod flight;
mod judge;
mod observer;
mod pace;
mod parcel;
mod walk;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::core::Fields;
use crate::dynamics::Program;
use crate::engine::{Engine, Limits, Outcome};
use crate::neighbors::audit;
use crate::{Error, Result};

pub use flight::{Cause, Flight, Guard, PHASE, Ring};
use judge::Judge;
pub use observer::{Checkpointing, FileMark, Reporter, Signal, next_multiple};
use pace::Pace;
use parcel::{Answers, Parcel};

/// Atoms whose pairs are compared with brute force in one audit.
const AUDITED: usize = 4;

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
}

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
}

/// Who may end a run from outside, and who is told of what happens.
struct Outside<'o> {
    interrupt: &'o AtomicBool,
    warn: &'o mut dyn FnMut(Warning),
}

impl Outside<'_> {
    fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// Why the loop is left before its last step.
enum Stop {
    /// The run ends.
    Finish(Finish),
    /// Something failed.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What a part of the loop gives, unless it leaves the loop.
type OrStop<T> = std::result::Result<T, Stop>;

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
        let outside = &mut Outside { interrupt, warn };
        let ended = match self.advance(outside, begun) {
            Ok(()) => Ok(Finish::Complete),
            Err(Stop::Finish(finish)) => Ok(finish),
            Err(Stop::Error(error)) => Err(error),
        };
        let ended = ended.and_then(|finish| {
            // A breach is in the middle of a block, and forces with wrong pairs are no state to go on from:
            // the checkpoint before stays the newest.
            let whole = match &finish {
                Finish::Fault { cause, .. } => matches!(cause, Cause::Alarm { .. }),
                _ => true,
            };
            if whole
                && self
                    .keeper
                    .as_ref()
                    .is_some_and(|k| k.is_due_at_end(self.step))
            {
                self.keep()?;
            }
            Ok(finish)
        });
        let mut finished = Ok(());
        for reporter in &mut self.reporters {
            finished = finished.and(reporter.finish());
        }
        let finish = ended?;
        finished?;
        Ok(finish)
    }

    fn advance(
        &mut self,
        outside: &mut Outside,
        begun: &mut dyn FnMut() -> Result<()>,
    ) -> OrStop<()> {
        self.engine.watch(self.limits);
        let mut judge = Judge::new(self.limits);
        self.look_at_first(&mut judge, outside)?;
        begun()?;
        let mut parcel = None;
        let mut pace = Pace::default();
        while self.step < self.end {
            if outside.is_interrupted() {
                self.deliver(parcel.take(), outside)?;
                return Err(Stop::Finish(Finish::Interrupted));
            }
            let began = Instant::now();
            let until = self.next_stop().min(self.step.saturating_add(pace.steps()));
            let outcome = self.block_beside(until, parcel.take(), outside)?;
            let reached = outcome.step;
            pace.record(reached.saturating_sub(self.step), began.elapsed());
            self.judge(&mut judge, outcome, outside)?;
            self.commit(reached)?;
            self.audit(outside)?;
            parcel = self.request(true)?;
            if self.keeper.as_ref().is_some_and(|k| k.is_due(self.step)) {
                self.deliver(parcel.take(), outside)?;
                self.keep()?;
            }
        }
        self.deliver(parcel, outside)
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

    /// Brings the first state to the disk, if that is to be gone on from, so that whatever is written later has
    /// a checkpoint before it.
    fn keep_first(&mut self) -> Result<()> {
        match &self.keeper {
            None => Ok(()),
            Some(keeper) if keeper.is_due_at_end(self.step) => self.keep(),
            Some(_) => (self.reporters.iter_mut()).try_for_each(|r| r.mark().map(drop)),
        }
    }

    /// Writes a checkpoint of the present state, which has been reported: first all that reporters have
    /// written reaches the disk, then the checkpoint that says how much that is.
    fn keep(&mut self) -> Result<()> {
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

    /// The first step after the present one where someone wants to look, or the end.
    fn next_stop(&self) -> u64 {
        let wanted = self.reporters.iter().map(|r| r.next(self.step + 1));
        let kept = (self.keeper.as_ref()).map_or(u64::MAX, |k| k.next(self.step + 1));
        let wanted = wanted.min().unwrap_or(u64::MAX).min(kept);
        let wanted = wanted.min(self.guard.next(self.step + 1));
        wanted.max(self.step + 1).min(self.end)
    }

    /// Runs the block that ends at `until`. The state before the block stays saved.
    fn block(&mut self, until: u64) -> Result<Outcome> {
        self.engine.save()?;
        self.engine.run(&self.program, self.step..until)
    }

    /// Does as [`Simulation::block`], while the present state is shown to those who look at it.
    fn block_beside(
        &mut self,
        until: u64,
        mut parcel: Option<Parcel>,
        outside: &mut Outside,
    ) -> OrStop<Outcome> {
        let mut answers = Ok(Answers::default());
        let mut on = true;
        let mut show = || {
            if let Some(parcel) = parcel.take() {
                answers =
                    parcel.deliver(&mut self.reporters, self.guard.ring.as_mut(), outside.warn);
                on = answers.as_ref().is_ok_and(Answers::nothing) && !outside.is_interrupted();
            }
            if on {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        self.engine.save()?;
        let ran = (self.engine).run_beside(&self.program, self.step..until, &mut show);
        // An engine that failed may not have come to it.
        let go_on = show().is_continue();
        match ran {
            Ok(Some(outcome)) if go_on => return Ok(outcome),
            Err(error) if go_on => return Err(Stop::Error(error)),
            _ => {}
        }
        self.engine.rollback()?;
        self.answer(answers?, outside)?;
        if outside.is_interrupted() {
            Err(Stop::Finish(Finish::Interrupted))
        } else {
            Ok(self.block(until)?)
        }
    }

    /// Tells of the limit that a block has broken, or ends the run by it.
    fn judge(&mut self, judge: &mut Judge, outcome: Outcome, outside: &mut Outside) -> OrStop<()> {
        match judge.verdict(outcome)? {
            Some(breach) if judge.ends(&breach) => Err(self.fault(Cause::Breach(breach), outside)?),
            Some(breach) => Ok(self.warn_of(Cause::Breach(breach), outside)?),
            None => Ok(()),
        }
    }

    /// Compares pairs with brute force, where that is due, and keeps the present state, if that is too.
    fn audit(&mut self, outside: &Outside) -> OrStop<()> {
        let step = self.step;
        if !self.guard.audits(step) {
            return Ok(());
        }
        let state = self.engine.snapshot(PHASE)?;
        if let Some(ring) = self.guard.ring.as_mut().filter(|r| r.next(step) == step) {
            ring.push(&state);
        }
        let chosen = audit::choose(step, state.positions.len(), AUDITED);
        let listed = self.engine.listed(&chosen)?;
        match audit::compare(&state.cell, &state.positions, &chosen, &listed) {
            Some(mismatch) => Err(self.fault(Cause::Pairs { step, mismatch }, outside)?),
            None => Ok(()),
        }
    }

    /// Requests the present state for everyone who wants it: reporters, if they have not seen it, and the flight
    /// recorder, which an audit has served already.
    fn request(&mut self, reporting: bool) -> Result<Option<Parcel>> {
        let step = self.step;
        let (mut readers, mut wants) = (Vec::new(), Fields::NONE);
        for (place, reporter) in self.reporters.iter().enumerate() {
            if reporting && reporter.next(step) == step {
                readers.push(place);
                wants = wants.union(reporter.wants());
            }
        }
        let kept = (self.guard.ring.as_ref()).is_some_and(|ring| ring.next(step) == step)
            && !self.guard.audits(step);
        if readers.is_empty() && !kept {
            return Ok(None);
        }
        let all = if kept { wants.union(PHASE) } else { wants };
        Ok(Some(Parcel {
            pending: self.engine.request(all)?,
            readers,
            wants,
            kept,
        }))
    }

    /// Shows the present state to those whom it was requested for.
    fn deliver(&mut self, parcel: Option<Parcel>, outside: &mut Outside) -> OrStop<()> {
        let Some(parcel) = parcel else {
            return Ok(());
        };
        let answers =
            parcel.deliver(&mut self.reporters, self.guard.ring.as_mut(), outside.warn)?;
        self.answer(answers, outside)
    }

    /// Acts on what reporters make of the present state.
    fn answer(&mut self, answers: Answers, outside: &mut Outside) -> OrStop<()> {
        let step = self.step;
        if let Some(reason) = answers.alarm {
            self.warn_of(Cause::Alarm { step, reason }, outside)?;
        }
        match answers.stop {
            Some(reason) => Err(self.fault(Cause::Alarm { step, reason }, outside)?),
            None => Ok(()),
        }
    }

    /// The end of a run by a fault, with the steps before it.
    fn fault(&mut self, cause: Cause, outside: &Outside) -> Result<Stop> {
        let flight = match &cause {
            Cause::Breach(breach) => {
                let good = breach.step.saturating_sub(1);
                let flight = self.flight(&cause, outside.interrupt);
                self.step = good;
                flight
            }
            _ => self.flight_and_back(&cause, outside.interrupt)?,
        };
        Ok(Stop::Finish(Finish::Fault { cause, flight }))
    }

    /// Tells of a fault that does not end the run, with the steps before it if it is the first.
    fn warn_of(&mut self, cause: Cause, outside: &mut Outside) -> Result<()> {
        let flight = if std::mem::replace(&mut self.guard.recorded, true) {
            None
        } else {
            self.flight_and_back(&cause, outside.interrupt)?
        };
        (outside.warn)(Warning::Fault { cause, flight });
        Ok(())
    }
}
