//! Blocks of steps of those in flight, while their states before are shown to those who look.

use super::looks::BatchParcel;
use super::{BatchLoop, BatchOutside, MemberEvent, MemberStage};
use crate::engine::{Breach, Flags, Outcome, Watched};
use crate::simulation::ending::{OrStop, Stop};
use crate::simulation::{Cause, Signal};
use crate::{Error, Result};

impl BatchLoop<'_, '_> {
    /// Runs a block of so many steps while states of the present step are shown. Where one of those who look ends a member, the
    /// block is undone, so that the member ends where it was looked at, and run once more without it.
    pub(super) fn block_beside(
        &mut self,
        steps: u64,
        mut unseen: Option<BatchParcel>,
        outside: &mut BatchOutside<'_>,
    ) -> OrStop<Vec<Outcome>> {
        let Some(flight) = &mut self.flight else {
            return Ok(Vec::new());
        };
        let mut answers = Ok(Vec::new());
        let mut show = || {
            if let Some(parcel) = unseen.take() {
                answers = parcel.deliver(self.batch.observer.as_mut());
            }
        };
        flight.engine.save()?;
        let ran = flight.engine.run_beside(steps, &mut show);
        // An engine that failed may not have come to it.
        show();
        let answers = answers?;
        let ends = answers
            .iter()
            .any(|(_, said)| matches!(said, Signal::Stop(_)));
        if !ends {
            self.answer(answers, outside)?;
            return ran.map_err(Stop::Engine);
        }
        self.engine()?.rollback()?;
        self.answer(answers, outside)?;
        let first = ran.map_err(Stop::Engine)?;
        let again = self.engine()?.run(steps).map_err(Stop::Engine)?;
        // Those at fault rest: the second time they say nothing.
        let both = first.into_iter().zip(again);
        let stop = self.batch.stop;
        Ok(both
            .map(|(first, again)| if is_fault(&first, stop) { first } else { again })
            .collect())
    }

    /// Takes a block as done: counts the steps, and ends the members at fault.
    pub(super) fn commit(
        &mut self,
        steps: u64,
        outcomes: Vec<Outcome>,
        outside: &mut BatchOutside<'_>,
    ) -> OrStop<()> {
        let running: Vec<(usize, usize)> = self.running().collect();
        self.batch.clock += steps;
        let mut outcomes: Vec<Option<Outcome>> = outcomes.into_iter().map(Some).collect();
        for (place, member) in running {
            let outcome = outcomes.get_mut(place).and_then(Option::take);
            let outcome = outcome.ok_or_else(|| Error::run("an outcome is missing"))?;
            let reached = outcome.step;
            if self.is_judged_at_fault(member, outcome, outside)? {
                continue;
            }
            let course = &mut self.batch.members[member];
            if reached != course.step + steps {
                let step = course.step;
                let about = self.engine()?.about();
                return Err(Stop::Error(Error::run(format!(
                    "member {member}, step {step}: the engine took {} of {steps} steps and does not say why ({about})",
                    reached.saturating_sub(step)
                ))));
            }
            course.step = reached;
        }
        Ok(())
    }

    /// Tells of the limit that a member has broken, and ends the member where that ends it.
    pub(super) fn is_judged_at_fault(
        &mut self,
        member: usize,
        outcome: Outcome,
        outside: &mut BatchOutside<'_>,
    ) -> OrStop<bool> {
        let judge = &mut self.judges[member];
        let Some(breach) = judge.verdict(with_breach(outcome))? else {
            return Ok(false);
        };
        let ends = judge.ends(&breach);
        let cause = Cause::Breach(breach);
        if ends {
            // In the middle of a block: there is no state to go on from.
            self.batch.members[member].state = None;
            self.fail(member, &cause, outside)?;
        } else {
            self.warn(member, &MemberEvent::Warning(&cause), outside);
        }
        Ok(ends)
    }

    /// Checks the first states of members that have just been taken into flight, and shows those that nobody has seen.
    pub(super) fn look_at_first(
        &mut self,
        taken: &[usize],
        unseen: &[usize],
        outside: &mut BatchOutside<'_>,
    ) -> OrStop<()> {
        let outcomes = self.check_states()?;
        for &member in taken {
            let Some(outcome) = self.place_of(member).map(|place| outcomes[place].clone()) else {
                continue;
            };
            debug_assert_eq!(self.batch.members[member].stage, MemberStage::Running);
            self.is_judged_at_fault(member, outcome, outside)?;
        }
        let parcel = self.request(|member| unseen.binary_search(&member).is_ok())?;
        self.deliver(parcel, outside)
    }

    /// Checks the present states as after a step.
    fn check_states(&mut self) -> Result<Vec<Outcome>> {
        let engine = self.engine()?;
        engine.save()?;
        engine.run(0)
    }
}

/// Whether an engine has put a member with this outcome to rest.
fn is_fault(outcome: &Outcome, stop: bool) -> bool {
    let broken = stop && outcome.flags.contains(Flags::LIMIT);
    broken || outcome.flags.intersects(Flags::FATAL)
}

/// An outcome that says what is not a number, where only a flag does.
fn with_breach(mut outcome: Outcome) -> Outcome {
    if outcome.breach.is_none() && outcome.flags.contains(Flags::NONFINITE) {
        outcome.breach = Some(Breach {
            step: outcome.step,
            what: Watched::Finite,
            value: f64::NAN,
            atoms: Vec::new(),
        });
    }
    outcome
}
