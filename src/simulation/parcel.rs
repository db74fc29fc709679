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

/// What reporters have said to a state, remarks apart.
#[derive(Default)]
pub(super) struct Said {
    /// The first alarm.
    pub alarm: Option<String>,
    /// The first reason to stop.
    pub stop: Option<String>,
}

impl Said {
    /// Whether the run goes on as if nothing had been said.
    pub fn nothing(&self) -> bool {
        self.alarm.is_none() && self.stop.is_none()
    }
}

impl Parcel {
    /// Shows the state to the flight recorder, then to the reporters, in their order.
    pub fn deliver(
        self,
        reporters: &mut [Box<dyn Reporter>],
        ring: Option<&mut Ring>,
        warn: &mut dyn FnMut(Warning),
    ) -> Result<Said> {
        let mut snapshot = self.pending.take()?;
        if let Some(ring) = ring.filter(|_| self.kept) {
            ring.push(&snapshot);
        }
        strip(&mut snapshot, self.wants);
        let mut said = Said::default();
        for (place, reporter) in reporters.iter_mut().enumerate() {
            if !self.readers.contains(&place) {
                continue;
            }
            match reporter.report(&snapshot)? {
                Signal::Continue => {}
                Signal::Warn(remark) => warn(Warning::Remark(remark)),
                Signal::Alarm(reason) => said.alarm = said.alarm.or(Some(reason)),
                Signal::Stop(reason) => said.stop = said.stop.or(Some(reason)),
            }
        }
        Ok(said)
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
