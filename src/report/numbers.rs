//! Audits of a network's numbers: now and then the forces of a frame are computed in f64 beside the run, and compared.
//!
//! An audit is begun at a multiple of its interval and takes effect at the next one, where the run waits for it if it is not
//! there yet: what is written and done depends on no clock. The first frame of all, and the first in finer numbers, is
//! compared at once. A checkpoint holds the result of the audit under way, so that a run that goes on from it does the same.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use serde::{Deserialize, Serialize};

use super::drift::Energies;
use crate::config::plan::{NumbersAction, NumbersAudit};
use crate::core::{Cell, Fields, Snapshot, Vec3};
use crate::forcefield::ForceField;
use crate::potential::{Evaluation, Precision};
use crate::simulation::{FileMark, Reporter, Signal, next_multiple};
use crate::text::{round, significant};
use crate::units::MILLIELECTRONVOLT;
use crate::{Error, Result};

/// What audits have found so far. Plain data: a checkpoint holds it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NumbersRecord {
    /// Audits whose results have taken effect.
    pub count: u64,
    /// The newest of these: largest difference of the force on an atom (eV / angstrom); `None` before the first of the present
    /// numbers.
    pub newest: Option<f64>,
    /// The largest of all.
    pub largest: f64,
    /// What the audit under way has found, to take effect at the next one.
    pub ahead: Option<FoundDifference>,
    /// Whether the present numbers have been audited once.
    pub begun: bool,
    /// Where the run went on in finer numbers.
    pub raises: Vec<Raise>,
}

/// What an audit has found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FoundDifference {
    /// Steps taken at its frame.
    pub step: u64,
    /// Largest difference of the force on an atom (eV / angstrom).
    pub difference: f64,
}

/// A change to finer numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raise {
    /// Steps taken in the numbers before.
    pub step: u64,
    /// The numbers from there on, by their name.
    pub precision: String,
}

impl NumbersRecord {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The numbers that the run has gone on in, if it has.
    pub fn raised_to(&self) -> Option<Precision> {
        self.raises.last()?.precision.parse().ok()
    }

    /// The largest difference that was found (eV / angstrom), that of the audit under way included.
    pub fn most(&self) -> Option<f64> {
        let ahead = self.ahead.map(|found| found.difference);
        let effective = (self.count > 0).then_some(self.largest);
        effective.into_iter().chain(ahead).reduce(f64::max)
    }

    /// Number of audits, that under way included.
    pub fn all(&self) -> u64 {
        self.count + u64::from(self.ahead.is_some())
    }

    fn take(&mut self, difference: f64) {
        self.count += 1;
        self.newest = Some(difference);
        self.largest = self.largest.max(difference);
    }

    fn raise(&mut self, step: u64, precision: Precision) {
        self.newest = None;
        self.begun = false;
        self.raises.push(Raise {
            step,
            precision: precision.to_string(),
        });
    }
}

/// The numbers of a run: those that its network is computed in at present, and the finer ones that its device has, coarsest
/// first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rungs {
    /// The present ones.
    pub present: Precision,
    /// Those above.
    pub finer: Vec<Precision>,
}

/// Compares forces with those in f64, and says what is to be done.
pub struct NumbersMonitor {
    energies: Energies,
    audit: NumbersAudit,
    rungs: Rungs,
    auditor: Auditor,
    told: bool,
}

impl NumbersMonitor {
    /// Audits as `audit` says, by `judge`, which computes in f64 in a thread of its own. What is found is kept with `energies`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn new(
        energies: &Energies,
        audit: NumbersAudit,
        rungs: Rungs,
        judge: Box<dyn ForceField>,
    ) -> Result<Self> {
        Ok(Self {
            energies: energies.clone(),
            audit,
            rungs,
            auditor: Auditor::begin(judge)?,
            told: false,
        })
    }

    /// Waits for the audit under way, if there is one: what it finds is ahead.
    fn settle(&mut self) -> Result<()> {
        let Some(found) = self.auditor.wait()? else {
            return Ok(());
        };
        self.energies.numbers(|record| record.ahead = Some(found));
        Ok(())
    }

    /// What a difference asks for, which takes effect at `step`.
    fn verdict(&mut self, step: u64, found: FoundDifference) -> Signal {
        self.energies
            .numbers(|record| record.take(found.difference));
        let Some(limit) = self.audit.limit.filter(|limit| found.difference > *limit) else {
            return Signal::Continue;
        };
        let present = self.rungs.present;
        let fault = format!(
            "step {}: the force on an atom in {present} is {} meV/A off that in f64, beyond the limit of {} \
             ([monitor] precision)",
            found.step,
            significant(found.difference / MILLIELECTRONVOLT, 3),
            round(limit / MILLIELECTRONVOLT),
        );
        let once = |told: &mut bool, text: String| match std::mem::replace(told, true) {
            true => Signal::Continue,
            false => Signal::Alarm(text),
        };
        match self.audit.action {
            NumbersAction::Warn => once(&mut self.told, fault),
            NumbersAction::Stop => Signal::Stop(fault),
            NumbersAction::Raise if self.rungs.finer.is_empty() => once(
                &mut self.told,
                format!("{fault}; its device has no finer numbers"),
            ),
            NumbersAction::Raise => {
                let next = self.rungs.finer.remove(0);
                self.rungs.present = next;
                self.energies.numbers(|record| record.raise(step, next));
                Signal::Raise(format!(
                    "{fault}: from step {step} on it is computed in {next}"
                ))
            }
        }
    }
}

impl Reporter for NumbersMonitor {
    fn next(&self, step: u64) -> u64 {
        match self.energies.numbers(|record| record.begun) {
            true => next_multiple(step, self.audit.every),
            false => step,
        }
    }

    fn wants(&self) -> Fields {
        Fields {
            positions: true,
            velocities: false,
            forces: true,
        }
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        let step = snapshot.step;
        let first = !self
            .energies
            .numbers(|record| std::mem::replace(&mut record.begun, true));
        if first {
            self.auditor.submit(snapshot)?;
        }
        self.settle()?;
        let ahead = self.energies.numbers(|record| record.ahead.take());
        let signal = ahead.map_or(Signal::Continue, |found| self.verdict(step, found));
        // The forces of this frame are none of the finer numbers.
        if !first && !matches!(signal, Signal::Raise(_)) {
            self.auditor.submit(snapshot)?;
        }
        Ok(signal)
    }

    fn mark(&mut self) -> Result<Option<FileMark>> {
        self.settle().map(|()| None)
    }

    fn finish(&mut self) -> Result<()> {
        self.settle()
    }
}

/// A frame to be audited.
struct AuditedFrame {
    step: u64,
    cell: Cell,
    positions: Vec<Vec3>,
    forces: Vec<Vec3>,
}

/// The thread in which forces are computed in f64. It ends when this is dropped, once it has done what it is at.
struct Auditor {
    frames: Sender<AuditedFrame>,
    found: Receiver<Result<FoundDifference>>,
    at_work: bool,
}

impl Auditor {
    fn begin(mut judge: Box<dyn ForceField>) -> Result<Self> {
        let (frames, received) = channel::<AuditedFrame>();
        let (send, found) = channel();
        let work = move || {
            let mut exact = Evaluation::zeros(0);
            for frame in received {
                let difference = difference(&mut *judge, &frame, &mut exact);
                if send.send(difference).is_err() {
                    return;
                }
            }
        };
        (thread::Builder::new().name("audit".to_owned()).spawn(work))
            .map_err(|e| Error::run(format!("cannot start the thread of audits: {e}")))?;
        Ok(Self {
            frames,
            found,
            at_work: false,
        })
    }

    /// Begins to audit a frame.
    fn submit(&mut self, snapshot: &Snapshot) -> Result<()> {
        let frame = AuditedFrame {
            step: snapshot.step,
            cell: snapshot.cell.clone(),
            positions: snapshot.positions.clone(),
            forces: snapshot.forces.clone(),
        };
        self.frames.send(frame).map_err(|_| ended())?;
        self.at_work = true;
        Ok(())
    }

    /// Waits for what was begun last; `None` where nothing was.
    fn wait(&mut self) -> Result<Option<FoundDifference>> {
        if !std::mem::replace(&mut self.at_work, false) {
            return Ok(None);
        }
        self.found.recv().map_err(|_| ended())?.map(Some)
    }
}

fn ended() -> Error {
    Error::run("the thread of audits has ended")
}

/// The largest difference of the force on an atom from that in f64.
fn difference(
    judge: &mut dyn ForceField,
    frame: &AuditedFrame,
    exact: &mut Evaluation,
) -> Result<FoundDifference> {
    exact.forces.resize(frame.positions.len(), Vec3::zeros());
    judge.evaluate(&frame.cell, &frame.positions, exact)?;
    let differences = (frame.forces.iter().zip(&exact.forces)).map(|(a, b)| (a - b).norm());
    // What is no number is the largest of all, and JSON has it.
    let largest = differences.fold(0.0, |most: f64, one| match one.is_finite() {
        true => most.max(one),
        false => f64::MAX,
    });
    Ok(FoundDifference {
        step: frame.step,
        difference: largest,
    })
}
