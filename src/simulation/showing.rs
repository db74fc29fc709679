//! What is looked at between blocks: pairs by an audit, states by reporters and by the flight recorder.

use super::ending::{Finish, OrStop, Outside, Stop};
use super::parcel::{Answers, Parcel};
use super::{Cause, Simulation, Warning};
use crate::core::Fields;
use crate::neighbors::audit;
use crate::{Error, Result};

/// Atoms whose pairs are compared with brute force in one audit.
const AUDITED: usize = 4;

impl Simulation {
    /// Compares pairs with brute force, where that is due, and keeps the present state, if that is too.
    pub(super) fn audit(&mut self, outside: &Outside) -> OrStop<()> {
        let step = self.step;
        if !self.guard.audits(step) {
            return Ok(());
        }
        let state = self.engine.snapshot(Fields::PHASE)?;
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
    pub(super) fn request(&mut self, reporting: bool) -> Result<Option<Parcel>> {
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
        let all = if kept {
            wants.union(Fields::PHASE)
        } else {
            wants
        };
        Ok(Some(Parcel {
            pending: self.engine.request(all)?,
            readers,
            wants,
            kept,
        }))
    }

    /// Shows the present state to those whom it was requested for.
    pub(super) fn deliver(&mut self, parcel: Option<Parcel>, outside: &mut Outside) -> OrStop<()> {
        let Some(parcel) = parcel else {
            return Ok(());
        };
        let answers =
            parcel.deliver(&mut self.reporters, self.guard.ring.as_mut(), outside.warn)?;
        self.answer(answers, outside)
    }

    /// Lets the successor take over at the present state. The states before are forgotten: its steps do not lead through them.
    fn hand_over(&mut self) -> Result<()> {
        let state = self.engine.snapshot(Fields::PHASE)?;
        let Some(successor) = &mut self.successor else {
            let step = self.step;
            return Err(Error::run(format!(
                "step {step}: there is no engine to take over"
            )));
        };
        self.engine = successor.take_over(&state)?;
        self.engine.watch(self.limits);
        if let Some(ring) = &mut self.guard.ring {
            ring.forget();
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.computed_by(&self.engine.about());
        }
        Ok(())
    }

    /// Acts on what reporters make of the present state.
    pub(super) fn answer(&mut self, answers: Answers, outside: &mut Outside) -> OrStop<()> {
        let step = self.step;
        if let Some(reason) = answers.alarm {
            self.warn_of(Cause::Alarm { step, reason }, outside)?;
        }
        if let Some(reason) = answers.raise {
            self.hand_over()?;
            (outside.warn)(Warning::Raise(reason));
        }
        match answers.stop {
            Some(reason) => Err(self.fault(Cause::Alarm { step, reason }, outside)?),
            None if answers.enough => Err(Stop::Finish(Finish::Complete)),
            None => Ok(()),
        }
    }
}
