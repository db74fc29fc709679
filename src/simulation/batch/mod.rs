//! The loop of a batch: members in flight take their steps together, each counts its own, and those in line take the room
//! that others leave.
//!
//! The batch has a clock, which counts the steps that the engine takes; all that is decided is decided at steps of the clock
//! or of a member, never at the end of a block, so that what is written does not depend on where blocks end.

mod block;
mod keeping;
mod line;
mod looks;
mod member;
mod observer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::ending::{OrStop, Stop};
use super::judge::Judge;
use super::next_multiple;
use super::pace::Pace;
use crate::engine::{BatchEngine, Limits};
use crate::{Error, Result};

pub use member::{MemberCourse, MemberEvent, MemberStage};
pub use observer::{BatchKeeping, BatchMarks, BatchObserver};

/// Makes an engine of members, given by their numbers: each from the state in its course, or from its start where that has
/// none.
pub type BatchBuilder<'b> =
    dyn FnMut(&[usize], &[MemberCourse]) -> Result<Box<dyn BatchEngine>> + 'b;

/// Is told what happens to a member, and gives it in words.
pub type MemberTeller<'t> = dyn FnMut(usize, &MemberEvent<'_>) -> String + 't;

/// A batch, ready to run.
pub struct BatchSimulation<'b> {
    /// How far each member has come.
    pub members: Vec<MemberCourse>,
    /// Steps that each is to take.
    pub end: u64,
    /// Most members that run at once.
    pub places: usize,
    /// Steps of the clock so far.
    pub clock: u64,
    /// Steps after which all that is done in a step now and then comes round again: members in flight differ by whole cycles.
    pub cycle: u64,
    /// Whether a broken limit ends a member.
    pub stop: bool,
    /// Steps of the clock between two audits of pairs, of one member each; 0 for none.
    pub audit: u64,
    /// What makes engines.
    pub build: Box<BatchBuilder<'b>>,
    /// What looks at members.
    pub observer: Box<dyn BatchObserver + 'b>,
    /// What writes checkpoints; `None` for a batch without any.
    pub keeper: Option<Box<dyn BatchKeeping + 'b>>,
}

/// How the loop of a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchFinish {
    /// All members have ended.
    Ended,
    /// It was interrupted; all that was reached is written.
    Interrupted,
}

/// Who may end a batch from outside, and who is told of what happens.
struct BatchOutside<'o> {
    interrupt: &'o AtomicBool,
    tell: &'o mut MemberTeller<'o>,
}

impl BatchOutside<'_> {
    fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }
}

/// The members that the engine has, and what was told of their limits.
struct InFlight {
    engine: Box<dyn BatchEngine>,
    /// Their numbers, ascending; some may rest.
    members: Vec<usize>,
}

/// The loop at work: the batch, its engine, and what of limits was told.
struct BatchLoop<'l, 'b> {
    batch: &'l mut BatchSimulation<'b>,
    flight: Option<InFlight>,
    judges: Vec<Judge>,
}

impl BatchSimulation<'_> {
    /// Runs until all members have ended or an interrupt comes (`interrupt` becomes true), and finishes what observes however
    /// it ends. Calls `begun` once: when the first states are on the disk, as a checkpoint too where there are to be any, and
    /// before the first step. In the end each member that has begun, and broke no limit, has its last state in its course.
    ///
    /// # Errors
    /// The device failed, an output could not be written, or those of `begun`.
    pub fn run_from(
        &mut self,
        interrupt: &AtomicBool,
        tell: &mut MemberTeller<'_>,
        begun: &mut dyn FnMut() -> Result<()>,
    ) -> Result<BatchFinish> {
        if let Some(keeper) = &mut self.keeper {
            keeper.begin();
        }
        let limits = Limits {
            stop: self.stop,
            ..Limits::default()
        };
        let judges = self.members.iter().map(|_| Judge::new(limits)).collect();
        let mut outside = BatchOutside {
            interrupt,
            tell: &mut |member, event| tell(member, event),
        };
        let mut at_work = BatchLoop {
            batch: self,
            flight: None,
            judges,
        };
        let ended = match at_work.advance(&mut outside, begun) {
            Ok(()) => Ok(BatchFinish::Ended),
            Err(Stop::Finish(_)) => Ok(BatchFinish::Interrupted),
            Err(Stop::Error(error)) => Err(error),
            Err(Stop::Engine(error)) => at_work.keep_what_is_left(error, &outside),
        };
        let ended = ended.and_then(|finish| at_work.keep_last().map(|()| finish));
        drop(at_work);
        let finished = self.observer.finish(&self.members);
        let finish = ended?;
        finished?;
        Ok(finish)
    }
}

impl BatchLoop<'_, '_> {
    /// Takes all steps of all members.
    fn advance(
        &mut self,
        outside: &mut BatchOutside<'_>,
        begun: &mut dyn FnMut() -> Result<()>,
    ) -> OrStop<()> {
        self.take_up(outside)?;
        self.keep_first()?;
        begun()?;
        let mut pace = Pace::default();
        let mut unseen = None;
        loop {
            if self.batch.members.iter().all(MemberCourse::has_ended) {
                return Ok(());
            }
            if outside.is_interrupted() {
                self.deliver(unseen.take(), outside)?;
                return Err(Stop::Finish(super::Finish::Interrupted));
            }
            if self.refill_is_due() {
                self.deliver(unseen.take(), outside)?;
                if self.refill(outside)? {
                    pace = Pace::default();
                }
            }
            if !self.someone_runs() {
                // All that were taken from the line are at fault from the start: there may be others in it.
                continue;
            }
            let began = Instant::now();
            let steps = self.steps_ahead().min(pace.steps());
            let outcomes = self.block_beside(steps, unseen.take(), outside)?;
            pace.record(steps, began.elapsed());
            self.commit(steps, outcomes, outside)?;
            self.audit(outside)?;
            unseen = self.request(|_| true)?;
            let keeps = (self.batch.keeper.as_ref()).is_some_and(|k| k.is_due(self.batch.clock));
            if keeps || self.someone_arrives() {
                self.deliver(unseen.take(), outside)?;
                self.complete()?;
            }
            if keeps {
                self.keep()?;
            }
            self.batch.observer.passed(&self.batch.members)?;
        }
    }

    /// Steps up to the next one at which someone wants to look, or something is decided; 1 at least.
    fn steps_ahead(&self) -> u64 {
        let batch = &*self.batch;
        let clock = batch.clock;
        let looks = self.running().map(|(_, member)| {
            let step = batch.members[member].step;
            let next = batch.observer.next(member, step + 1).min(batch.end);
            next.saturating_sub(step)
        });
        let kept = batch.keeper.as_ref().map(|k| k.next(clock + 1));
        let decided = [
            kept,
            Some(next_multiple(clock + 1, batch.audit)),
            self.next_refill(),
        ];
        let decided = decided
            .into_iter()
            .flatten()
            .map(|at| at.saturating_sub(clock));
        looks.chain(decided).min().unwrap_or(1).max(1)
    }

    /// Members that take steps: their places in the engine, and their numbers.
    fn running(&self) -> impl Iterator<Item = (usize, usize)> {
        let members = self.flight.iter().flat_map(|flight| flight.members.iter());
        let runs = |member: usize| self.batch.members[member].stage == MemberStage::Running;
        (members.copied().enumerate()).filter(move |(_, member)| runs(*member))
    }

    fn someone_runs(&self) -> bool {
        self.running().next().is_some()
    }

    /// Whether a member has taken its last step.
    fn someone_arrives(&self) -> bool {
        let arrived =
            |(_, member): (usize, usize)| self.batch.members[member].step >= self.batch.end;
        self.running().any(arrived)
    }

    /// The engine of those in flight.
    fn engine(&mut self) -> Result<&mut dyn BatchEngine> {
        match &mut self.flight {
            Some(flight) => Ok(flight.engine.as_mut()),
            None => Err(Error::run("no member is in flight")),
        }
    }
}
