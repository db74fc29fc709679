//! Who runs and who waits: members in line take the places of those that have ended.
//!
//! A new engine costs as much as some hundreds of steps, and members that began at other moments are looked at in other steps
//! of the clock, so that blocks become shorter. So the line moves when a quarter of the places is free, all that wait have
//! room, or nobody runs: at most a quarter of the room lies idle, and at most about four groups of members run that began at
//! different moments.
//!
//! The line moves at multiples of [`EVERY`] steps of the clock, and at once where nobody runs, whose moment counts as the
//! next multiple: that depends on steps alone, so that a batch that is interrupted and gone on with moves its line at the
//! same steps.

use super::looks::taken;
use super::{BatchLoop, BatchOutside, InFlight, MemberCourse, MemberStage};
use crate::Result;
use crate::simulation::ending::OrStop;
use crate::simulation::next_multiple;

/// Steps of the clock between looks at the line, at least.
const EVERY: u64 = 100;
/// Of so many places one must be free.
const SHARE: usize = 4;

impl BatchLoop<'_, '_> {
    /// Takes up the members that were running, or else the first in line.
    pub(super) fn take_up(&mut self, outside: &mut BatchOutside<'_>) -> OrStop<()> {
        let runs = |course: &MemberCourse| course.stage == MemberStage::Running;
        let mut running: Vec<usize> = places_of(&self.batch.members, runs);
        // Where there is less room than there was, the others wait.
        for member in running.split_off(running.len().min(self.batch.places)) {
            self.batch.members[member].stage = MemberStage::Waiting;
        }
        if running.is_empty() {
            self.refill(outside)?;
            return Ok(());
        }
        self.launch(running, outside)
    }

    /// Whether members in line may be taken into flight now.
    pub(super) fn refill_is_due(&self) -> bool {
        let running = self.running().count();
        let waiting = self.line().count();
        if waiting == 0 {
            return false;
        }
        let free = self.batch.places.saturating_sub(running);
        let pays = free >= self.batch.places.div_ceil(SHARE).min(waiting);
        let moves = next_multiple(self.batch.clock, self.step_of_line()) == self.batch.clock;
        running == 0 || pays && moves && self.line().any(|member| self.fits(member))
    }

    /// The next step of the clock at which the line may move.
    pub(super) fn next_refill(&self) -> Option<u64> {
        self.line().next()?;
        Some(next_multiple(self.batch.clock + 1, self.step_of_line()))
    }

    /// Takes members from the line into flight, as many as there is room for. Whether there were any.
    pub(super) fn refill(&mut self, outside: &mut BatchOutside<'_>) -> OrStop<bool> {
        let Some(first) = self.line().next() else {
            return Ok(false);
        };
        let running: Vec<usize> = self.running().map(|(_, member)| member).collect();
        if running.is_empty() {
            self.batch.clock = next_multiple(self.batch.clock, self.step_of_line());
            self.flight = None;
        }
        let free = self.batch.places.saturating_sub(running.len());
        let fits = |member: &usize| match running.is_empty() {
            true => self.agree(first, *member),
            false => self.fits(*member),
        };
        let taken: Vec<usize> = self.line().filter(fits).take(free).collect();
        if taken.is_empty() {
            return Ok(false);
        }
        self.bring_home()?;
        self.launch(taken, outside)?;
        Ok(true)
    }

    /// Puts the states of those that run into their courses, and lets the engine go.
    fn bring_home(&mut self) -> Result<()> {
        if self.flight.is_none() {
            return Ok(());
        }
        let mut states = self.states()?;
        let running: Vec<(usize, usize)> = self.running().collect();
        for (place, member) in running {
            self.batch.members[member].state = Some(taken(&mut states[place]));
        }
        self.flight = None;
        Ok(())
    }

    /// Makes an engine of the members that run and of new ones, which are looked at where they have not been.
    fn launch(&mut self, new: Vec<usize>, outside: &mut BatchOutside<'_>) -> OrStop<()> {
        for &member in &new {
            self.batch.members[member].stage = MemberStage::Running;
        }
        let runs = |course: &MemberCourse| course.stage == MemberStage::Running;
        let members = places_of(&self.batch.members, runs);
        let engine = (self.batch.build)(&members, &self.batch.members)?;
        let mut unseen = new.clone();
        unseen.retain(|member| self.batch.members[*member].state.is_none());
        for &member in &members {
            self.batch.members[member].state = None;
        }
        self.flight = Some(InFlight { engine, members });
        for &member in &new {
            self.batch.observer.begin(member)?;
        }
        self.look_at_first(&new, &unseen, outside)
    }

    /// Members in line, in their order.
    fn line(&self) -> impl Iterator<Item = usize> {
        let waits = |(member, course): (usize, &MemberCourse)| {
            (course.stage == MemberStage::Waiting).then_some(member)
        };
        self.batch.members.iter().enumerate().filter_map(waits)
    }

    /// Whether a member can join those that run.
    fn fits(&self, member: usize) -> bool {
        let first = self.running().next();
        first.is_none_or(|(_, running)| self.agree(running, member))
    }

    /// Whether the steps of two members differ by whole cycles.
    fn agree(&self, one: usize, other: usize) -> bool {
        let [one, other] = [one, other].map(|member| self.batch.members[member].step);
        one.abs_diff(other).is_multiple_of(self.batch.cycle.max(1))
    }

    /// Steps of the clock between looks at the line: whole cycles.
    fn step_of_line(&self) -> u64 {
        let cycle = self.batch.cycle.max(1);
        cycle.saturating_mul(EVERY.div_ceil(cycle))
    }
}

/// Numbers of the members that are so.
fn places_of(members: &[MemberCourse], is: impl Fn(&MemberCourse) -> bool) -> Vec<usize> {
    let all = members.iter().enumerate();
    all.filter_map(|(member, course)| is(course).then_some(member))
        .collect()
}
