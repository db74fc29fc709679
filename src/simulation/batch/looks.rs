//! What is looked at between blocks: states by those who report, pairs by an audit; and what follows from it.

use super::{BatchLoop, BatchOutside, MemberEvent, MemberStage};
use crate::Result;
use crate::core::{Fields, Snapshot};
use crate::engine::PendingBatch;
use crate::neighbors::audit;
use crate::simulation::ending::OrStop;
use crate::simulation::{BatchObserver, Cause, Signal, next_multiple};

/// Atoms whose pairs are compared with brute force in one audit.
const AUDITED: usize = 4;

/// States that were requested, and whose.
pub(super) struct BatchParcel {
    pending: Box<dyn PendingBatch>,
    /// Places in the engine and numbers of the members that are looked at.
    readers: Vec<(usize, usize)>,
}

impl BatchParcel {
    /// Shows the states.
    pub fn deliver(self, observer: &mut dyn BatchObserver) -> Result<Vec<(usize, Signal)>> {
        let mut readers = self.readers.into_iter().peekable();
        let states = self.pending.take()?.into_iter().enumerate();
        let shown = states.filter_map(|(at, state)| {
            let (_, member) = readers.next_if(|(place, _)| *place == at)?;
            Some((member, state))
        });
        observer.report(shown.collect())
    }
}

impl BatchLoop<'_, '_> {
    /// Requests the states of the members that someone wants to look at, of those that are `asked` for.
    pub(super) fn request(&mut self, asked: impl Fn(usize) -> bool) -> OrStop<Option<BatchParcel>> {
        let (mut readers, mut wants) = (Vec::new(), Fields::NONE);
        for (place, member) in self.running().filter(|(_, member)| asked(*member)) {
            let step = self.batch.members[member].step;
            if let Some(fields) = self.batch.observer.wants(member, step) {
                readers.push((place, member));
                wants = wants.union(fields);
            }
        }
        if readers.is_empty() {
            return Ok(None);
        }
        let pending = self.engine()?.request(wants)?;
        Ok(Some(BatchParcel { pending, readers }))
    }

    /// Shows states of the present step.
    pub(super) fn deliver(
        &mut self,
        parcel: Option<BatchParcel>,
        outside: &mut BatchOutside<'_>,
    ) -> OrStop<()> {
        let Some(parcel) = parcel else {
            return Ok(());
        };
        let answers = parcel.deliver(self.batch.observer.as_mut())?;
        self.answer(answers, outside)
    }

    /// Acts on what is said of the states of the present step, at which the engine is.
    pub(super) fn answer(
        &mut self,
        answers: Vec<(usize, Signal)>,
        outside: &mut BatchOutside<'_>,
    ) -> OrStop<()> {
        let mut stopped = Vec::new();
        for (member, signal) in answers {
            let step = self.batch.members[member].step;
            match signal {
                // No member ends before its last step.
                Signal::Continue | Signal::Enough => {}
                Signal::Warn(remark) => self.warn(member, &MemberEvent::Remark(&remark), outside),
                Signal::Alarm(reason) | Signal::Raise(reason) => {
                    let cause = Cause::Alarm { step, reason };
                    self.warn(member, &MemberEvent::Warning(&cause), outside);
                }
                Signal::Stop(reason) => stopped.push((member, Cause::Alarm { step, reason })),
            }
        }
        if stopped.is_empty() {
            return Ok(());
        }
        let mut states = self.states()?;
        for (member, cause) in stopped {
            // Two who look may end it both.
            if self.batch.members[member].stage == MemberStage::Running {
                let state = self.place_of(member).map(|place| taken(&mut states[place]));
                self.batch.members[member].state = state;
                self.fail(member, &cause, outside)?;
            }
        }
        Ok(())
    }

    /// Ends the members that have taken all of their steps, whose last states have been shown.
    pub(super) fn complete(&mut self) -> Result<()> {
        let end = self.batch.end;
        let arrived = |(_, member): &(usize, usize)| self.batch.members[*member].step >= end;
        let arrived: Vec<(usize, usize)> = self.running().filter(arrived).collect();
        if arrived.is_empty() {
            return Ok(());
        }
        let mut states = self.states()?;
        for (place, member) in arrived {
            let course = &mut self.batch.members[member];
            course.stage = MemberStage::Complete;
            course.state = Some(taken(&mut states[place]));
            self.engine()?.rest(place);
            self.batch.observer.end(member)?;
        }
        Ok(())
    }

    /// Compares pairs of one member with brute force, where that is due: one after the other has its turn.
    pub(super) fn audit(&mut self, outside: &mut BatchOutside<'_>) -> OrStop<()> {
        let (clock, every) = (self.batch.clock, self.batch.audit);
        let running: Vec<(usize, usize)> = self.running().collect();
        if running.is_empty() || next_multiple(clock, every) != clock {
            return Ok(());
        }
        let turn = usize::try_from(clock / every).unwrap_or(0);
        let (place, member) = running[turn % running.len()];
        let step = self.batch.members[member].step;
        let state = taken(&mut self.states()?[place]);
        let chosen = audit::choose(step, state.positions.len(), AUDITED);
        let listed = self.engine()?.listed(place, &chosen)?;
        match audit::compare(&state.cell, &state.positions, &chosen, &listed) {
            Some(mismatch) => self.fail(member, &Cause::Pairs { step, mismatch }, outside),
            None => Ok(()),
        }
    }

    /// Ends a member as failed.
    pub(super) fn fail(
        &mut self,
        member: usize,
        cause: &Cause,
        outside: &mut BatchOutside<'_>,
    ) -> OrStop<()> {
        let place = self.place_of(member);
        let told = (outside.tell)(member, &MemberEvent::Fault(cause));
        let course = &mut self.batch.members[member];
        course.stage = MemberStage::Failed;
        course.remark = Some(told);
        if let Cause::Breach(breach) = cause {
            course.step = breach.step.saturating_sub(1);
        }
        if let Some(place) = place {
            self.engine()?.rest(place);
        }
        self.batch.observer.end(member)?;
        Ok(())
    }

    /// Tells of what does not end a member.
    pub(super) fn warn(
        &mut self,
        member: usize,
        event: &MemberEvent<'_>,
        outside: &mut BatchOutside<'_>,
    ) {
        let told = (outside.tell)(member, event);
        self.batch.members[member].remark.get_or_insert(told);
    }

    /// The states of all that are in flight, by their places: positions and velocities.
    pub(super) fn states(&mut self) -> Result<Vec<Snapshot>> {
        self.engine()?.snapshots(Fields::PHASE)
    }

    /// The place of a member in the engine.
    pub(super) fn place_of(&self, member: usize) -> Option<usize> {
        self.flight.as_ref()?.members.binary_search(&member).ok()
    }
}

/// Takes a state out of its place.
pub(super) fn taken(state: &mut Snapshot) -> Snapshot {
    let blank = Snapshot::blank(state.step, state.time, state.cell.clone());
    std::mem::replace(state, blank)
}
