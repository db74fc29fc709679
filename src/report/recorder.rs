//! The flight record: the steps before a fault, in the run's directory.
//!
//! `flight.xyz` holds the states one step apart, as extended XYZ in which every number reads back as the same
//! f64 (`velo_internal` are the velocities in internal units, bit for bit; `conserved` is what should be
//! conserved). `flight.ckpt` is a checkpoint of a state before, from which the way to the fault can be walked
//! again: what `mdrun diagnose` starts from. `run.json` says in `flight` what happened.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Checkpoint, Identity, StageMark};
use super::drift::EnergyRecord;
use super::series::Estimate;
use super::{file, names};
use crate::Result;
use crate::core::{Snapshot, System};
use crate::engine::Watched;
use crate::formats::write::xyz::{Content, Xyz};
use crate::simulation::{Cause, Flight};
use crate::units::MEV_PER_PS;

/// What kind of fault it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A number is not finite.
    NotFinite,
    /// The limit on forces.
    Force,
    /// The limit on the closest contact.
    Contact,
    /// The limit on the temperature.
    Temperature,
    /// The cell collapsed or exploded.
    Cell,
    /// A constrained distance cannot be kept.
    Constraint,
    /// The pairs are not those of brute force.
    Pairs,
    /// The energy drifts.
    Drift,
}

impl FaultKind {
    /// The kind of a cause.
    pub fn of(cause: &Cause) -> Self {
        match cause {
            Cause::Breach(breach) => match breach.what {
                Watched::Finite => Self::NotFinite,
                Watched::Force => Self::Force,
                Watched::Contact => Self::Contact,
                Watched::Kinetic => Self::Temperature,
                Watched::Cell | Watched::Volume => Self::Cell,
                Watched::Constraint => Self::Constraint,
            },
            Cause::Pairs { .. } => Self::Pairs,
            Cause::Alarm { .. } => Self::Drift,
        }
    }
}

/// What `run.json` says of a flight record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// What kind of fault it was.
    pub kind: FaultKind,
    /// The fault in words.
    pub cause: String,
    /// Steps taken when it was seen.
    pub step: u64,
    /// Atoms at fault (indices from 0).
    pub atoms: Vec<usize>,
    /// Frames in `flight.xyz`, the steps of the first and the last of them.
    pub frames: usize,
    /// Step of the first frame.
    pub first_step: u64,
    /// Step of the last frame: the one at fault, or the one before where that has numbers that are not
    /// finite.
    pub last_step: u64,
    /// Step of the state in `flight.ckpt`.
    pub state_step: u64,
    /// Of a drift: what was seen, and its standard error (meV/atom/ps).
    pub drift_mev_per_atom_ps: Option<[f64; 2]>,
}

impl Recorded {
    /// The drift that was seen (eV per atom and internal time).
    pub fn drift(&self) -> Option<Estimate> {
        self.drift_mev_per_atom_ps.map(|[value, error]| Estimate {
            value: value * MEV_PER_PS,
            error: error * MEV_PER_PS,
            converged: true,
        })
    }
}

/// Atoms that a fault is about.
fn atoms(cause: &Cause) -> Vec<usize> {
    match cause {
        Cause::Breach(breach) => breach.atoms.clone(),
        Cause::Pairs { mismatch, .. } => vec![mismatch.atom, mismatch.neighbor],
        Cause::Alarm { .. } => Vec::new(),
    }
}

/// What a record is made of besides the flight.
#[derive(Debug, Clone)]
pub struct FlightContext<'a> {
    /// Species and masses.
    pub system: &'a System,
    /// The fault in words.
    pub cause: String,
    /// The energies so far.
    pub energies: EnergyRecord,
    /// Steps between two samples of the drift.
    pub stretch: u64,
    /// Whose state it is.
    pub identity: Identity,
    /// Which stage it is in, of a run in stages.
    pub stage: Option<StageMark>,
}

/// Writes a flight record into the run's directory, `state` as its checkpoint; an earlier one is replaced.
///
/// # Errors
/// A file cannot be written.
pub fn write(
    directory: &Path,
    flight: &Flight,
    state: &Snapshot,
    about: &FlightContext<'_>,
) -> Result<Recorded> {
    let content = Content {
        exact: true,
        ..Content::ALL
    };
    let writer = Xyz::new(about.system, content);
    let mut text = Vec::new();
    for frame in &flight.frames {
        writer.write_frame(frame, &mut text);
    }
    file::replace(&directory.join(names::FLIGHT), &text)?;
    let checkpoint = Checkpoint {
        step: state.step,
        kept: state.observables.kept,
        system: about.system.clone(),
        cell: state.cell.clone(),
        positions: state.positions.clone(),
        velocities: state.velocities.clone(),
        energies: about.energies.clone(),
        stretch: about.stretch.max(1),
        files: Vec::new(),
        foreign: Vec::new(),
        identity: about.identity.clone(),
        elapsed: 0.0,
        stage: about.stage.clone(),
    };
    checkpoint::save(&directory.join(names::FLIGHT_STATE), &checkpoint)?;
    let kind = FaultKind::of(&flight.cause);
    let step = |frame: Option<&Snapshot>| frame.map_or(state.step, |f| f.step);
    Ok(Recorded {
        kind,
        cause: about.cause.clone(),
        step: flight.cause.step(),
        atoms: atoms(&flight.cause),
        frames: flight.frames.len(),
        first_step: step(flight.frames.first()),
        last_step: step(flight.frames.last()),
        state_step: state.step,
        drift_mev_per_atom_ps: (about.energies.drift())
            .filter(|_| kind == FaultKind::Drift)
            .map(|d| [d.value / MEV_PER_PS, d.error / MEV_PER_PS]),
    })
}
