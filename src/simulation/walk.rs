//! Faults: how they end a run or are told, and the steps before one, walked once more from a state kept before it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::ending::{Outside, Stop};
use super::{Cause, Finish, Flight, Simulation, Warning};
use crate::Result;
use crate::core::Fields;
use crate::engine::{Flags, Limits};

impl Simulation {
    /// The steps before a fault; the engine is where it was afterwards.
    pub(super) fn flight_and_back(
        &mut self,
        cause: &Cause,
        interrupt: &AtomicBool,
    ) -> Result<Option<Box<Flight>>> {
        if self.guard.ring.is_none() {
            return Ok(None);
        }
        let (step, limits) = (self.step, self.limits);
        let present = self.engine.snapshot(Fields::PHASE)?;
        let flight = self.flight(cause, interrupt);
        self.step = step;
        self.engine.watch(limits);
        self.engine.restore(&present)?;
        Ok(flight)
    }

    /// Walks the steps before a fault once more and records them. `None` where they are not to be had: the
    /// fault itself is what there is to tell then.
    pub(super) fn flight(&mut self, cause: &Cause, interrupt: &AtomicBool) -> Option<Box<Flight>> {
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
                Ok(outcome) if !outcome.flags.intersects(Flags::FATAL) => {
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

    /// The end of a run by a fault, with the steps before it.
    pub(super) fn fault(&mut self, cause: Cause, outside: &Outside) -> Result<Stop> {
        let flight = match &cause {
            Cause::Breach(breach) => {
                let good = breach.step.saturating_sub(1);
                let flight = self.flight(&cause, outside.interrupt);
                self.step = good;
                flight
            }
            _ => self.flight_and_back(&cause, outside.interrupt)?,
        };
        Ok(Stop::Finish(Finish::Fault { cause, flight }))
    }

    /// Tells of a fault that does not end the run, with the steps before it if it is the first.
    pub(super) fn warn_of(&mut self, cause: Cause, outside: &mut Outside) -> Result<()> {
        let flight = if std::mem::replace(&mut self.guard.recorded, true) {
            None
        } else {
            self.flight_and_back(&cause, outside.interrupt)?
        };
        (outside.warn)(Warning::Fault { cause, flight });
        Ok(())
    }
}
