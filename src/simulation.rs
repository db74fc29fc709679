//! The loop: plan a block, run it, commit it or roll it back, report.
//!
//! Reports do not stop the device: the state after a block is requested, and shown to those who look at it while the
//! next block runs. Whatever they say counts as if nothing had been begun: where they end the run, or the steps
//! before are to be recorded, that block is undone first.

mod flight;
mod parcel;

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::core::Fields;
use crate::engine::{Breach, Engine, Flags, Limits, Outcome, Watched};
use crate::integrate::Integrator;
use crate::neighbors::audit;
use crate::report::{Keeper, Reporter};
use crate::{Error, Result};

use flight::PHASE;
pub use flight::{Cause, Flight, Guard, Ring};
use parcel::{Parcel, Said};

/// A block is cut so that it takes about this long: the latency of an interrupt.
const BLOCK_TIME: Duration = Duration::from_millis(200);

/// Runs of one block that an engine may ask for before its pairs are taken to grow without end.
const MOST_RERUNS: u32 = 40;

/// Atoms whose pairs are compared with brute force in one audit.
const AUDITED: usize = 4;

/// A simulation, ready to run.
pub struct Simulation {
    /// The engine, its state after `step` steps.
    pub engine: Box<dyn Engine>,
    /// One step.
    pub program: Integrator,
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
    pub keeper: Option<Keeper>,
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
        let ended = self.advance(interrupt, warn, begun).and_then(|finish| {
            // A breach is in the middle of a block, and forces with wrong pairs are no state to go on from:
            // the checkpoint before stays the newest.
            let whole = match &finish {
                Finish::Fault { cause, .. } => matches!(cause, Cause::Alarm { .. }),
                _ => true,
            };
            let due = |k: &Keeper| whole && k.is_due_at_end(self.step);
            if self.keeper.as_ref().is_some_and(due) {
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
        interrupt: &AtomicBool,
        warn: &mut dyn FnMut(Warning),
        begun: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Finish> {
        self.engine.watch(self.limits);
        let mut judge = Judge::new(self.limits);
        let first = self.block(self.step)?;
        if let Some(breach) = judge.verdict(first)? {
            if judge.ends(&breach) {
                let cause = Cause::Breach(breach);
                return Ok(Finish::Fault {
                    cause,
                    flight: None,
                });
            }
            warn(self.noted(Cause::Breach(breach), interrupt)?);
        }
        if let Some(cause) = self.audit()? {
            return self.fault(cause, interrupt);
        }
        // What a checkpoint was made of was reported before.
        let reported = self.keeper.as_ref().and_then(Keeper::kept) == Some(self.step);
        let mut parcel = self.request(!reported)?;
        if let Some(cause) = self.deliver(parcel.take(), interrupt, warn)? {
            return self.fault(cause, interrupt);
        }
        self.keep_first()?;
        begun()?;
        let mut pace = Pace::default();
        while self.step < self.end {
            if interrupt.load(Ordering::Relaxed) {
                return self.close(Finish::Interrupted, parcel, interrupt, warn);
            }
            let began = Instant::now();
            let until = self.next_stop().min(self.step.saturating_add(pace.steps()));
            let outcome = match self.block_beside(until, parcel.take(), interrupt, warn)? {
                Beside::Ran(outcome) => outcome,
                Beside::Ended(finish) => return Ok(finish),
            };
            let reached = outcome.step;
            pace.record(reached.saturating_sub(self.step), began.elapsed());
            if let Some(breach) = judge.verdict(outcome)? {
                if judge.ends(&breach) {
                    return self.fault(Cause::Breach(breach), interrupt);
                }
                warn(self.noted(Cause::Breach(breach), interrupt)?);
            }
            self.commit(reached)?;
            if let Some(cause) = self.audit()? {
                return self.fault(cause, interrupt);
            }
            parcel = self.request(true)?;
            if (self.keeper.as_ref()).is_some_and(|keeper| keeper.is_due(self.step)) {
                if let Some(cause) = self.deliver(parcel.take(), interrupt, warn)? {
                    return self.fault(cause, interrupt);
                }
                self.keep()?;
            }
        }
        self.close(Finish::Complete, parcel, interrupt, warn)
    }

    /// The end of a run at the present state, once that has been shown to those who look at it.
    fn close(
        &mut self,
        finish: Finish,
        parcel: Option<Parcel>,
        interrupt: &AtomicBool,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<Finish> {
        match self.deliver(parcel, interrupt, warn)? {
            Some(cause) => self.fault(cause, interrupt),
            None => Ok(finish),
        }
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
        let snapshot = self.engine.snapshot(Keeper::WANTS)?;
        match &mut self.keeper {
            Some(keeper) => keeper.keep(snapshot, files),
            None => Ok(()),
        }
    }

    /// Takes the block that ended at `reached` as done.
    fn commit(&mut self, reached: u64) -> Result<()> {
        if reached <= self.step {
            return Err(Error::run(format!(
                "step {}: the engine took no step and does not say why ({})",
                self.step,
                self.engine.describe()
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
        let steps = self.step..until;
        let nothing = &mut || ControlFlow::Continue(());
        run_block(self.engine.as_mut(), &self.program, steps, nothing)
    }

    /// The same, while the present state is shown to those who look at it.
    fn block_beside(
        &mut self,
        until: u64,
        mut parcel: Option<Parcel>,
        interrupt: &AtomicBool,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<Beside> {
        let mut said = Ok(Said::default());
        let mut undo = false;
        let mut meanwhile = || {
            if let Some(parcel) = parcel.take() {
                said = parcel.deliver(&mut self.reporters, self.guard.ring.as_mut(), warn);
                let on = said.as_ref().is_ok_and(Said::nothing);
                undo = !on || interrupt.load(Ordering::Relaxed);
            }
            match undo {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let steps = self.step..until;
        let ran = run_block(self.engine.as_mut(), &self.program, steps, &mut meanwhile);
        // An engine that failed may not have come to it.
        if meanwhile().is_continue() {
            return ran.map(Beside::Ran);
        }
        self.engine.rollback();
        if let Some(cause) = self.answer(said?, interrupt, warn)? {
            return self.fault(cause, interrupt).map(Beside::Ended);
        }
        if interrupt.load(Ordering::Relaxed) {
            return Ok(Beside::Ended(Finish::Interrupted));
        }
        self.block(until).map(Beside::Ran)
    }

    /// Compares pairs with brute force, where that is due, and keeps the present state, if that is too.
    fn audit(&mut self) -> Result<Option<Cause>> {
        let step = self.step;
        if !self.guard.audits(step) {
            return Ok(None);
        }
        let state = self.engine.snapshot(PHASE)?;
        if let Some(ring) = self.guard.ring.as_mut().filter(|r| r.next(step) == step) {
            ring.push(&state);
        }
        let chosen = audit::choose(step, state.positions.len(), AUDITED);
        let listed = self.engine.listed(&chosen)?;
        let found = audit::compare(&state.cell, &state.positions, &chosen, &listed);
        Ok(found.map(|mismatch| Cause::Pairs { step, mismatch }))
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

    /// Shows the present state to those whom it was requested for. Returns the reason to stop, if someone has one.
    fn deliver(
        &mut self,
        parcel: Option<Parcel>,
        interrupt: &AtomicBool,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<Option<Cause>> {
        let Some(parcel) = parcel else {
            return Ok(None);
        };
        let said = parcel.deliver(&mut self.reporters, self.guard.ring.as_mut(), warn)?;
        self.answer(said, interrupt, warn)
    }

    /// Acts on what was said of the present state. Returns the reason to stop, if there is one.
    fn answer(
        &mut self,
        said: Said,
        interrupt: &AtomicBool,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<Option<Cause>> {
        let step = self.step;
        if let Some(reason) = said.alarm {
            warn(self.noted(Cause::Alarm { step, reason }, interrupt)?);
        }
        Ok(said.stop.map(|reason| Cause::Alarm { step, reason }))
    }

    /// The end of a run by a fault, with the steps before it.
    fn fault(&mut self, cause: Cause, interrupt: &AtomicBool) -> Result<Finish> {
        if let Cause::Breach(breach) = &cause {
            let good = breach.step.saturating_sub(1);
            let flight = self.flight(&cause, interrupt);
            self.step = good;
            return Ok(Finish::Fault { cause, flight });
        }
        let flight = self.aside(&cause, interrupt)?;
        Ok(Finish::Fault { cause, flight })
    }

    /// A warning of a fault that does not end the run, with the steps before it if it is the first.
    fn noted(&mut self, cause: Cause, interrupt: &AtomicBool) -> Result<Warning> {
        let flight = match std::mem::replace(&mut self.guard.recorded, true) {
            true => None,
            false => self.aside(&cause, interrupt)?,
        };
        Ok(Warning::Fault { cause, flight })
    }

    /// The steps before a fault; the engine is where it was afterwards.
    fn aside(&mut self, cause: &Cause, interrupt: &AtomicBool) -> Result<Option<Box<Flight>>> {
        if self.guard.ring.is_none() {
            return Ok(None);
        }
        let (step, limits) = (self.step, self.limits);
        let present = self.engine.snapshot(PHASE)?;
        let flight = self.flight(cause, interrupt);
        self.step = step;
        self.engine.watch(limits);
        self.engine.restore(&present)?;
        Ok(flight)
    }

    /// Walks the steps before a fault once more and records them. `None` where they are not to be had: the
    /// fault itself is what there is to tell then.
    fn flight(&mut self, cause: &Cause, interrupt: &AtomicBool) -> Option<Box<Flight>> {
        let ring = self.guard.ring.as_ref()?;
        let (last, most) = (cause.step(), ring.frames());
        let before = ring.before(last.saturating_sub(most))?.clone();
        let kept = ring.states().to_vec();
        self.engine.watch(Limits::default());
        self.engine.restore(&before).ok()?;
        self.step = before.step;
        let mut frames = Vec::new();
        loop {
            if self.step + most > last {
                frames.push(self.engine.snapshot(Fields::ALL).ok()?);
            }
            if self.step >= last || interrupt.load(Ordering::Relaxed) {
                break;
            }
            let first = last.saturating_sub(most - 1);
            let until = first.max(self.step + 1);
            match self.block(until) {
                Ok(outcome) if !outcome.flags.contains(Flags::NONFINITE) => {
                    self.commit(outcome.step).ok()?;
                }
                _ => break,
            }
        }
        Some(Box::new(Flight {
            cause: cause.clone(),
            frames,
            before,
            kept,
        }))
    }
}

/// How a block ended beside which a state was shown.
enum Beside {
    /// It was run.
    Ran(Outcome),
    /// The run ends with the state that was shown: the block is undone.
    Ended(Finish),
}

/// Runs a block, with work of the host's done once beside it; reruns it, shorter if need be, where the engine's
/// pairs gave out. The state before the block stays saved.
fn run_block(
    engine: &mut dyn Engine,
    program: &Integrator,
    steps: Range<u64>,
    meanwhile: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Outcome> {
    engine.save();
    let mut length = steps.end - steps.start;
    for tried in 0..MOST_RERUNS {
        let steps = steps.start..steps.start + length;
        let outcome = match tried {
            0 => engine.run_beside(program, steps, meanwhile)?,
            _ => engine.run(program, steps)?,
        };
        let skin = outcome.flags.contains(Flags::SKIN);
        // Numbers that are not finite may come of pairs that were missing: only of a single step
        // from new pairs are they believed at once.
        let room = !outcome.flags.contains(Flags::CAPACITY);
        let new = tried > 0 && length <= 1;
        let broken = new && outcome.flags.contains(Flags::NONFINITE);
        if room && (broken || !skin) {
            return Ok(outcome);
        }
        engine.rollback();
        engine.rebuild()?;
        if skin {
            length = length.div_ceil(2);
        }
    }
    Err(Error::run(format!(
        "step {}: the pairs did not hold for a single step after {MOST_RERUNS} tries; \
         atoms move farther than half the skin in one step: use a smaller timestep",
        steps.start
    )))
}

/// Decides which breaches are told, and which end a run.
struct Judge {
    stop: bool,
    told: Vec<Watched>,
}

impl Judge {
    fn new(limits: Limits) -> Self {
        Self {
            stop: limits.stop,
            told: Vec::new(),
        }
    }

    /// The breach to tell of, if there is one.
    fn verdict(&mut self, outcome: Outcome) -> Result<Option<Breach>> {
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
    fn ends(&self, breach: &Breach) -> bool {
        self.stop || breach.what == Watched::Finite
    }
}

/// How many steps fit into a block of [`BLOCK_TIME`].
#[derive(Default)]
struct Pace {
    seconds_per_step: Option<f64>,
}

impl Pace {
    fn steps(&self) -> u64 {
        self.seconds_per_step
            .map_or(1, |s| (BLOCK_TIME.as_secs_f64() / s).max(1.0) as u64)
    }

    fn record(&mut self, steps: u64, elapsed: Duration) {
        if steps > 0 {
            self.seconds_per_step = Some((elapsed.as_secs_f64() / steps as f64).max(1e-9));
        }
    }
}
