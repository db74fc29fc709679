//! A state on its way from the engine to those who look at it: the device goes on meanwhile.

use crate::Result;
use crate::core::{Fields, Snapshot};
use crate::engine::Pending;

use super::{Reporter, Ring, Signal, Warning};

/// A state that was requested, and for whom.
pub(super) struct Parcel {
    /// The state, with all that anyone wants.
    pub pending: Box<dyn Pending>,
    /// Reporters that are due, by their places.
    pub readers: Vec<usize>,
    /// What they want.
    pub wants: Fields,
    /// Whether the flight recorder keeps it.
    pub kept: bool,
}

/// What reporters make of a state, remarks apart.
#[derive(Default)]
pub(super) struct Answers {
    /// The first alarm.
    pub alarm: Option<String>,
    /// The first reason to stop.
    pub stop: Option<String>,
    /// Whether the run has what it was for.
    pub enough: bool,
    /// The first reason to let another engine take over.
    pub raise: Option<String>,
}

impl Answers {
    /// Whether the run goes on as if there were none.
    pub fn nothing(&self) -> bool {
        let said = self.alarm.is_some() || self.stop.is_some() || self.raise.is_some();
        !said && !self.enough
    }
}

impl Parcel {
    /// Shows the state to the flight recorder, then to the reporters, in their order.
    pub fn deliver(
        self,
        reporters: &mut [Box<dyn Reporter>],
        ring: Option<&mut Ring>,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<Answers> {
        let mut snapshot = self.pending.take()?;
        if let Some(ring) = ring.filter(|_| self.kept) {
            ring.push(&snapshot);
        }
        strip(&mut snapshot, self.wants);
        let mut answers = Answers::default();
        for (place, reporter) in reporters.iter_mut().enumerate() {
            if !self.readers.contains(&place) {
                continue;
            }
            match reporter.report(&snapshot)? {
                Signal::Continue => {}
                Signal::Warn(remark) => warn(Warning::Remark(remark)),
                Signal::Alarm(reason) => answers.alarm = answers.alarm.or(Some(reason)),
                Signal::Stop(reason) => answers.stop = answers.stop.or(Some(reason)),
                Signal::Enough => answers.enough = true,
                Signal::Raise(reason) => answers.raise = answers.raise.or(Some(reason)),
            }
        }
        Ok(answers)
    }
}

/// Leaves the arrays that reporters want.
fn strip(snapshot: &mut Snapshot, wants: Fields) {
    for (wanted, array) in [
        (wants.positions, &mut snapshot.positions),
        (wants.velocities, &mut snapshot.velocities),
        (wants.forces, &mut snapshot.forces),
    ] {
        if !wanted {
            *array = Vec::new();
        }
    }
}
