//! The loop: plan a block, run it, commit it or roll it back, report.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::core::{Fields, Snapshot};
use crate::engine::{Breach, Engine, Flags, Limits, Outcome, Watched};
use crate::integrate::Integrator;
use crate::report::{Keeper, Reporter, Signal};
use crate::{Error, Result};

/// A block is cut so that it takes about this long: the latency of an interrupt.
const BLOCK_TIME: Duration = Duration::from_millis(200);

/// Runs of one block that an engine may ask for before its pairs are taken to grow without end.
const MOST_RERUNS: u32 = 40;

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
    /// A limit was broken or a number is not finite.
    Breach {
        /// The engine's finding.
        breach: Breach,
        /// All of the last state before it; `None` where the first state is at fault already.
        last_good: Option<Box<Snapshot>>,
    },
    /// A reporter ended it, for this reason.
    Stopped(String),
}

/// Something to tell the user while the run goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// A limit was broken that does not end the run; told the first time for each limit.
    Breach(Breach),
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
        if let Some(keeper) = &mut self.keeper {
            keeper.begin();
        }
        let ended = self.advance(interrupt, warn).and_then(|finish| {
            // A breach is in the middle of a block: the checkpoint before it stays the newest.
            let whole = !matches!(finish, Finish::Breach { .. });
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

    fn advance(&mut self, interrupt: &AtomicBool, warn: &mut dyn FnMut(Warning)) -> Result<Finish> {
        self.engine.watch(self.limits);
        let mut judge = Judge::new(self.limits);
        let first = self.block(self.step)?;
        if let Some(breach) = judge.verdict(first, warn)? {
            return Ok(Finish::Breach {
                breach,
                last_good: None,
            });
        }
        // What a checkpoint was made of was reported before.
        let reported = self.keeper.as_ref().and_then(Keeper::kept) == Some(self.step);
        if !reported && let Some(reason) = self.report(warn)? {
            return Ok(Finish::Stopped(reason));
        }
        let mut pace = Pace::default();
        while self.step < self.end {
            if interrupt.load(Ordering::Relaxed) {
                return Ok(Finish::Interrupted);
            }
            let began = Instant::now();
            let until = self.next_stop().min(self.step.saturating_add(pace.steps()));
            let outcome = self.block(until)?;
            let reached = outcome.step;
            pace.record(reached.saturating_sub(self.step), began.elapsed());
            if let Some(breach) = judge.verdict(outcome, warn)? {
                let last_good = Some(Box::new(self.before(breach.step)?));
                return Ok(Finish::Breach { breach, last_good });
            }
            self.commit(reached)?;
            if let Some(reason) = self.report(warn)? {
                return Ok(Finish::Stopped(reason));
            }
            if (self.keeper.as_ref()).is_some_and(|keeper| keeper.is_due(self.step)) {
                self.keep()?;
            }
        }
        Ok(Finish::Complete)
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
        wanted.max(self.step + 1).min(self.end)
    }

    /// Runs the block that ends at `until`; reruns it, shorter if need be, where the engine's pairs
    /// gave out. The state before the block stays saved.
    fn block(&mut self, until: u64) -> Result<Outcome> {
        self.engine.save();
        let mut length = until - self.step;
        for tried in 0..MOST_RERUNS {
            let steps = self.step..self.step + length;
            let outcome = self.engine.run(&self.program, steps)?;
            let skin = outcome.flags.contains(Flags::SKIN);
            // Numbers that are not finite may come of pairs that were missing: only of a single step
            // from new pairs are they believed at once.
            let room = !outcome.flags.contains(Flags::CAPACITY);
            let new = tried > 0 && length <= 1;
            let broken = new && outcome.flags.contains(Flags::NONFINITE);
            if room && (broken || !skin) {
                return Ok(outcome);
            }
            self.engine.rollback();
            self.engine.rebuild()?;
            if skin {
                length = length.div_ceil(2);
            }
        }
        Err(Error::run(format!(
            "step {}: the pairs did not hold for a single step after {MOST_RERUNS} tries; \
             atoms move farther than half the skin in one step: use a smaller timestep",
            self.step
        )))
    }

    /// The state one step before `step`, by running the saved block again up to there.
    fn before(&mut self, step: u64) -> Result<Snapshot> {
        self.engine.rollback();
        self.engine.watch(Limits::default());
        let good = step.saturating_sub(1);
        while self.step < good {
            let outcome = self.block(good)?;
            if outcome.flags.contains(Flags::NONFINITE) {
                self.engine.rollback();
                break;
            }
            self.commit(outcome.step)?;
        }
        self.engine.snapshot(Fields::ALL)
    }

    /// Hands one snapshot of the present state to everyone who wants it. Returns the reason to stop,
    /// if someone has one.
    fn report(&mut self, warn: &mut dyn FnMut(Warning)) -> Result<Option<String>> {
        let step = self.step;
        let due = |r: &dyn Reporter| r.next(step) == step;
        let wants = (self.reporters.iter())
            .filter(|r| due(r.as_ref()))
            .map(|r| r.wants())
            .reduce(Fields::union);
        let Some(wants) = wants else {
            return Ok(None);
        };
        let snapshot = self.engine.snapshot(wants)?;
        let mut stop = None;
        for reporter in self.reporters.iter_mut().filter(|r| due(r.as_ref())) {
            match reporter.report(&snapshot)? {
                Signal::Continue => {}
                Signal::Warn(remark) => warn(Warning::Remark(remark)),
                Signal::Stop(reason) => stop = stop.or(Some(reason)),
            }
        }
        Ok(stop)
    }
}

/// Decides which breaches end a run; tells the user of the others.
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

    /// The breach that ends the run, if there is one.
    fn verdict(
        &mut self,
        outcome: Outcome,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<Option<Breach>> {
        let fatal = outcome.flags.contains(Flags::NONFINITE);
        let Some(breach) = outcome.breach else {
            if fatal {
                return Err(Error::run(format!(
                    "step {}: an energy, force or position is not a finite number",
                    outcome.step
                )));
            }
            return Ok(None);
        };
        if fatal || self.stop {
            return Ok(Some(breach));
        }
        if !self.told.contains(&breach.what) {
            self.told.push(breach.what);
            warn(Warning::Breach(breach));
        }
        Ok(None)
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
