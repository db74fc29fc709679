//! The flight recorder's memory: states of the run so far, from which the steps before a fault are walked
//! again and recorded one by one.
//!
//! A run is exactly reproducible from a saved state, so nothing has to be copied at every step: a state is
//! kept now and then (at steps that depend on their numbers alone), and only when a limit breaks is the way
//! from the last one before it gone once more. What is kept thins out with its age, so that a fault that is
//! seen late, such as a drift, can be followed back over a long time too.

use crate::core::Snapshot;
use crate::engine::Breach;
use crate::neighbors::Mismatch;

use super::observer::next_multiple;

/// Steps between two states kept: on a GPU a copy costs half a step of a small molecule, so 0.3 % at most.
const EVERY: u64 = 200;
/// Steps between two states kept of systems of [`LARGE`] atoms or more, where a copy costs less than a twentieth of a step, and
/// walking again takes longer.
const EVERY_LARGE: u64 = 50;
const LARGE: usize = 4096;
/// Memory (bytes) for states kept.
const MEMORY: usize = 256 << 20;
/// Most and fewest states kept: two are needed for one of them to be well before the fault.
const MOST: usize = 32;
const FEWEST: usize = 3;
/// Most and fewest frames recorded before a fault.
const MOST_FRAMES: u64 = 64;
const FEWEST_FRAMES: u64 = 2;
/// Size (bytes) of a record as text, and of one atom of a frame in it.
const RECORD: u64 = 64 << 20;
const FRAME_ATOM: u64 = 300;

/// Why there is a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// A limit was broken, or a number is not finite.
    Breach(Breach),
    /// The engine's pairs are not those of brute force at a step.
    Pairs {
        /// Steps taken when it was seen.
        step: u64,
        /// The pair.
        mismatch: Mismatch,
    },
    /// A reporter's alarm, in its words: the drift.
    Alarm {
        /// Steps taken when it was raised.
        step: u64,
        /// What it said.
        reason: String,
    },
}

impl Cause {
    /// Steps taken when the fault was seen: the state after so many steps is at fault.
    pub fn step(&self) -> u64 {
        match self {
            Self::Breach(breach) => breach.step,
            Self::Pairs { step, .. } | Self::Alarm { step, .. } => *step,
        }
    }
}

/// What was recorded of the steps before a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Flight {
    /// Why.
    pub cause: Cause,
    /// States one step apart, all arrays in them, up to and with the one at fault if all of its numbers are
    /// finite.
    pub frames: Vec<Snapshot>,
    /// A state before the first frame, or the first frame: positions and velocities.
    pub before: Snapshot,
    /// The states that were kept when the fault was seen, oldest first: positions and velocities.
    pub kept: Vec<Snapshot>,
}

/// Keeps states of the run so far.
#[derive(Debug, Clone)]
pub struct Ring {
    every: u64,
    most: usize,
    frames: u64,
    states: Vec<Snapshot>,
}

impl Ring {
    /// For a system of so many atoms.
    pub fn new(atoms: usize) -> Self {
        let bytes = (48 * atoms).max(1);
        let text = (FRAME_ATOM * atoms as u64).max(1);
        Self {
            every: if atoms < LARGE { EVERY } else { EVERY_LARGE },
            most: (MEMORY / bytes).clamp(FEWEST, MOST),
            frames: (RECORD / text).clamp(FEWEST_FRAMES, MOST_FRAMES),
            states: Vec::new(),
        }
    }

    /// The first step at or after `step` whose state is kept.
    pub fn next(&self, step: u64) -> u64 {
        if self.states.is_empty() {
            step
        } else {
            next_multiple(step, self.every)
        }
    }

    /// Most frames of a record.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Takes in the state of a step, which has positions and velocities.
    pub fn push(&mut self, state: &Snapshot) {
        let mut room = if self.states.len() < self.most {
            None
        } else {
            Some(self.states.remove(self.thinnest(state.step)))
        };
        let kept = match &mut room {
            Some(old) => {
                old.step = state.step;
                old.time = state.time;
                old.cell.clone_from(&state.cell);
                old.observables = state.observables;
                old.positions.clone_from(&state.positions);
                old.velocities.clone_from(&state.velocities);
                room
            }
            None => Some(Snapshot {
                forces: Vec::new(),
                ..state.clone()
            }),
        };
        self.states.extend(kept);
    }

    /// Keeps none of the states so far.
    pub fn forget(&mut self) {
        self.states.clear();
    }

    /// Index of the state whose removal leaves the smallest gap relative to its age; the newest and the oldest are kept.
    fn thinnest(&self, now: u64) -> usize {
        let step = |k: usize| self.states[k].step as f64;
        let gap = |k: usize| (step(k + 1) - step(k - 1)) / (now as f64 - step(k - 1));
        (1..self.states.len() - 1)
            .min_by(|&a, &b| gap(a).total_cmp(&gap(b)))
            .unwrap_or(0)
    }

    /// The newest state at or before a step, or else the oldest.
    pub fn before(&self, step: u64) -> Option<&Snapshot> {
        let earlier = self.states.iter().rev().find(|s| s.step <= step);
        earlier.or(self.states.first())
    }

    /// All states kept, oldest first.
    pub fn states(&self) -> &[Snapshot] {
        &self.states
    }
}

/// How a run is watched over beside the limits.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// The flight recorder; `None` where nothing is recorded.
    pub ring: Option<Ring>,
    /// Steps between two audits of the pairs; 0 for none.
    pub audit: u64,
    /// Whether a fault was recorded that did not end the run.
    pub(super) recorded: bool,
}

impl Guard {
    /// Flight recorder, or none, and an audit every so many steps, or 0 for none.
    pub fn new(ring: Option<Ring>, audit: u64) -> Self {
        Self {
            ring,
            audit,
            recorded: false,
        }
    }

    /// Whether pairs are audited after `step` steps.
    pub(super) fn audits(&self, step: u64) -> bool {
        next_multiple(step, self.audit) == step
    }

    /// The first step at or after `step` at which something is kept or audited.
    pub(super) fn next(&self, step: u64) -> u64 {
        let ring = self.ring.as_ref().map_or(u64::MAX, |r| r.next(step));
        ring.min(next_multiple(step, self.audit))
    }
}
