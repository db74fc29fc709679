//! Many systems at once, which do not see each other: each takes its steps as if it were alone, bit for bit.

mod host;

use super::{Limits, Outcome, Start, Statistics};
use crate::core::rng::Noise;
use crate::core::{Fields, Snapshot};
use crate::dynamics::Program;
use crate::neighbors::Listed;
use crate::potential::About;
use crate::{Error, Result};

pub use host::HostBatch;

/// One member of a batch: where it starts, and what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchMember {
    /// One system alone, its replica number in it, and the steps that it has taken already.
    pub start: Start,
    /// The noise, of which it draws what its replica draws.
    pub noise: Noise,
    /// One step. The programs of a batch have the same operators, which may differ in their temperatures and degrees of freedom;
    /// the steps that its members have taken differ by whole cycles of them ([`Program::cycle`]).
    pub program: Program,
    /// What is checked after every step.
    pub limits: Limits,
}

/// A snapshot of each member on its way from the device. It borrows nothing of the engine, and outlives it.
pub trait PendingBatch: Send {
    /// Waits until they are there: one for each member, in their order.
    ///
    /// # Errors
    /// The device failed.
    fn take(self: Box<Self>) -> Result<Vec<Snapshot>>;
}

/// Snapshots that are there already.
pub struct ReadyBatch(pub Vec<Snapshot>);

impl PendingBatch for ReadyBatch {
    fn take(self: Box<Self>) -> Result<Vec<Snapshot>> {
        Ok(self.0)
    }
}

/// An engine of many members. Each counts steps of its own. A constructed engine holds valid forces.
///
/// What a member does depends on its start, its program and its noise alone: not on the other members, their number and their
/// order, and not on how steps are cut into blocks. So a member is taken into another batch, by a [`Start`] made of a
/// snapshot of its positions and velocities, without any change to what follows.
pub trait BatchEngine: Send {
    /// Number of members, those that rest included.
    fn members(&self) -> usize;

    /// Has each member that does not rest take `steps` steps from where it is; none checks the present states as after a step.
    /// Gives an outcome for each member; that of one that rests takes no step and says nothing.
    ///
    /// A member that is at fault ([`Flags::FATAL`](super::Flags::FATAL), or a broken limit with [`Limits::stop`]) is put back
    /// into the state last saved and rests from then on; the others take all of their steps.
    ///
    /// Calls `meanwhile` once: beside the steps on a device that works by itself, else before them.
    ///
    /// # Errors
    /// The device failed, maybe before `meanwhile` was called. What physics can do wrong is in the outcomes instead.
    fn run_beside(&mut self, steps: u64, meanwhile: &mut dyn FnMut()) -> Result<Vec<Outcome>>;

    /// Does as [`BatchEngine::run_beside`] with nothing to do meanwhile.
    ///
    /// # Errors
    /// As for [`BatchEngine::run_beside`].
    fn run(&mut self, steps: u64) -> Result<Vec<Outcome>> {
        self.run_beside(steps, &mut || {})
    }

    /// Has a member take no steps any more.
    fn rest(&mut self, member: usize);

    /// Remembers the present state of all members.
    ///
    /// # Errors
    /// The device failed.
    fn save(&mut self) -> Result<()>;

    /// Puts all members back into the states last saved; those that rest go on resting.
    ///
    /// # Errors
    /// The device failed.
    fn rollback(&mut self) -> Result<()>;

    /// Starts to take the present state of each member: observables, and the arrays wanted.
    ///
    /// # Errors
    /// The device failed.
    fn request(&mut self, want: Fields) -> Result<Box<dyn PendingBatch>>;

    /// The present state of each member.
    ///
    /// # Errors
    /// The device failed.
    fn snapshots(&mut self, want: Fields) -> Result<Vec<Snapshot>> {
        self.request(want)?.take()
    }

    /// The pairs of some receivers (indices from 0 within the member) that a member's present forces were computed with.
    ///
    /// # Errors
    /// The device failed.
    fn listed(&mut self, member: usize, receivers: &[usize]) -> Result<Listed>;

    /// Counts of what was done so far, of all members.
    fn statistics(&self) -> Statistics;

    /// What computes the forces, on what.
    fn about(&self) -> About;
}

/// Checks that members can be stepped together.
///
/// # Errors
/// There is none; their programs differ in more than temperatures and degrees of freedom; or the steps that they have taken
/// differ by no whole cycle of what their programs do now and then ([`Program::cycle`]).
pub fn check_batch(members: &[BatchMember]) -> Result<()> {
    let Some(first) = members.first() else {
        return Err(Error::input("a batch of no systems"));
    };
    let cycle = first.program.cycle();
    for (k, member) in members.iter().enumerate() {
        if !member.program.is_like(&first.program) {
            return Err(Error::input(format!(
                "member {k} does not take the steps of member 0: members may differ in temperature, not in ensemble, time \
                 step or what is done in it"
            )));
        }
        let [step, of_first] = [member, first].map(|m| m.start.step);
        if !step.abs_diff(of_first).is_multiple_of(cycle) {
            return Err(Error::input(format!(
                "member {k} has taken {step} steps and member 0 {of_first}: those of a batch differ by multiples of {cycle}"
            )));
        }
    }
    Ok(())
}
