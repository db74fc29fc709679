//! Checkpoints of a batch: the states of its members, who runs and who waits, and how far every file had come.
//!
//! # Layout
//!
//! Little endian, one piece after the other:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `mdrunBCK` |
//! | 4 | version of the format, 1 |
//! | 8 | length of the whole file |
//! | 8 | length h of the header |
//! | h | header: JSON, numbers exact |
//! | ... | the state of each member that has one, as the [`Checkpoint`] of a lone run, in their order |
//! | 32 | SHA-256 of all before it |
//!
//! They have the names of a lone run's checkpoints, and are written as those are (see [`super::store`]).

use std::io::Read as _;
use std::path::Path;

use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Checkpoint, HASH, Identity, MAGIC, fault, marks, short};
use crate::core::{Observables, Snapshot, Spread, System};
use crate::report::drift::EnergyRecord;
use crate::simulation::FileMark;
use crate::simulation::batch::{BatchMarks, MemberCourse, MemberStage};
use crate::{Error, Result};

/// What a batch's checkpoint begins with.
pub(super) const BATCH_MAGIC: [u8; 8] = *b"mdrunBCK";
/// Version of the format.
const BATCH_VERSION: u32 = 1;
/// Magic, version, length of the file and of the header.
const BATCH_PREFIX: usize = 28;

/// The state of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchCheckpoint {
    /// Steps of the batch's clock.
    pub clock: u64,
    /// Most members that run at once.
    pub places: usize,
    /// Steps between two samples of a member's drift.
    pub stretch: u64,
    /// Time that the steps took so far (s).
    pub elapsed: f64,
    /// What computes it (see [`Identity::platform`]).
    pub platform: Vec<(String, String)>,
    /// How far the files of all members together had come.
    pub files: Vec<FileMark>,
    /// The members, in their order.
    pub members: Vec<MemberState>,
}

/// How far a member has come, with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberState {
    /// Where it is in its life; its state has all that a snapshot of positions and velocities has but momentum and strain
    /// derivative, which the engine finds anew.
    pub course: MemberCourse,
    /// Whose run it is: what defines it.
    pub identity: Vec<(String, String)>,
    /// Its energies; `None` of one that has not begun.
    pub energies: Option<EnergyRecord>,
    /// How far each file of its own had come.
    pub files: Vec<FileMark>,
    /// What its atoms are, where it has a state.
    pub system: System,
}

/// What is not a state.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchHeader {
    clock: u64,
    places: u64,
    stretch: u64,
    elapsed: f64,
    platform: Vec<(String, String)>,
    #[serde(with = "marks")]
    files: Vec<FileMark>,
    members: Vec<MemberEntry>,
}

/// What of a member is not a state.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberEntry {
    #[serde(with = "StageWord")]
    stage: MemberStage,
    step: u64,
    remark: Option<String>,
    identity: Vec<(String, String)>,
    /// Energies and files of one that has begun and has no state: one that has some has them there.
    energies: Option<EnergyRecord>,
    #[serde(with = "marks")]
    files: Vec<FileMark>,
    state: Option<StateEntry>,
}

/// What of a state is not in a lone run's checkpoint: a last state says it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateEntry {
    /// Length of the state (bytes).
    bytes: u64,
    time: f64,
    potential: f64,
    kinetic: f64,
    /// That of the force and of the energy, of a committee.
    spread: Option<[f64; 2]>,
}

/// The words for stages: the loop, whose type it is, knows no format.
#[derive(Serialize, Deserialize)]
#[serde(remote = "MemberStage", rename_all = "lowercase")]
enum StageWord {
    Waiting,
    Running,
    Complete,
    Failed,
}

impl BatchCheckpoint {
    /// How far the files of each member had come.
    pub fn marks(&self) -> BatchMarks {
        BatchMarks {
            shared: self.files.clone(),
            members: self
                .members
                .iter()
                .map(|member| member.files.clone())
                .collect(),
        }
    }

    /// The bytes of the file. The same checkpoint gives the same bytes.
    ///
    /// # Errors
    /// A number is not finite, or a state is not one of its system.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let states: Result<Vec<Option<Vec<u8>>>> = self
            .members
            .par_iter()
            .map(|member| self.state_of(member))
            .collect();
        let states = states?;
        let entries = self.members.iter().zip(&states);
        let header = BatchHeader {
            clock: self.clock,
            places: self.places as u64,
            stretch: self.stretch,
            elapsed: self.elapsed,
            platform: self.platform.clone(),
            files: self.files.clone(),
            members: entries
                .map(|(member, state)| MemberEntry::of(member, state))
                .collect(),
        };
        let header = serde_json::to_vec(&header)
            .map_err(|e| Error::run(format!("a checkpoint cannot be written: {e}")))?;
        let states: Vec<Vec<u8>> = states.into_iter().flatten().collect();
        let whole = BATCH_PREFIX + header.len() + states.iter().map(Vec::len).sum::<usize>() + HASH;
        let mut bytes = Vec::with_capacity(whole);
        bytes.extend_from_slice(&BATCH_MAGIC);
        bytes.extend_from_slice(&BATCH_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(whole as u64).to_le_bytes());
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&header);
        states
            .iter()
            .for_each(|state| bytes.extend_from_slice(state));
        let hash = Sha256::digest(&bytes);
        bytes.extend_from_slice(&hash);
        Ok(bytes)
    }

    /// The state of a member as the checkpoint of a lone run.
    fn state_of(&self, member: &MemberState) -> Result<Option<Vec<u8>>> {
        let (Some(state), Some(energies)) = (&member.course.state, &member.energies) else {
            return Ok(None);
        };
        let checkpoint = Checkpoint {
            step: state.step,
            kept: state.observables.kept,
            system: member.system.clone(),
            cell: state.cell.clone(),
            positions: state.positions.clone(),
            velocities: state.velocities.clone(),
            energies: energies.clone(),
            stretch: self.stretch,
            files: member.files.clone(),
            foreign: Vec::new(),
            identity: Identity::default(),
            elapsed: 0.0,
            stage: None,
        };
        checkpoint.encode().map(Some)
    }

    /// The checkpoint in the bytes of a file.
    ///
    /// # Errors
    /// It is none, was cut short or altered, or is of another version of the format.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let length = header_length(bytes, bytes.len() as u64)?;
        let Some((content, hash)) = bytes.split_last_chunk::<HASH>() else {
            return Err(short());
        };
        if Sha256::digest(content).as_slice() != hash {
            return Err(fault("its content is not what was written (hash)"));
        }
        let after = content.get(BATCH_PREFIX..).ok_or_else(short)?;
        let (header, mut rest) = after.split_at_checked(length).ok_or_else(short)?;
        let header: BatchHeader =
            serde_json::from_slice(header).map_err(|e| fault(format!("its header: {e}")))?;
        let mut parts = Vec::with_capacity(header.members.len());
        for entry in header.members {
            let bytes = entry.state.as_ref().map_or(0, |state| state.bytes);
            let bytes = usize::try_from(bytes).map_err(|_| short())?;
            let (state, others) = rest.split_at_checked(bytes).ok_or_else(short)?;
            parts.push((entry, state));
            rest = others;
        }
        if !rest.is_empty() || header.stretch == 0 {
            return Err(fault("its header contradicts itself"));
        }
        let members: Result<Vec<MemberState>> = (parts.into_par_iter())
            .with_min_len(8)
            .map(|(entry, state)| entry.with(state))
            .collect();
        Ok(Self {
            clock: header.clock,
            places: usize::try_from(header.places).unwrap_or(usize::MAX),
            stretch: header.stretch,
            elapsed: header.elapsed,
            platform: header.platform,
            files: header.files,
            members: members?,
        })
    }
}

impl MemberEntry {
    fn of(member: &MemberState, encoded: &Option<Vec<u8>>) -> Self {
        let MemberState {
            course,
            identity,
            energies,
            files,
            ..
        } = member;
        let state = course.state.as_ref().zip(encoded.as_ref());
        let apart = state.is_none();
        Self {
            stage: course.stage,
            step: course.step,
            remark: course.remark.clone(),
            identity: identity.clone(),
            energies: energies.clone().filter(|_| apart),
            files: if apart { files.clone() } else { Vec::new() },
            state: state.map(|(state, bytes)| StateEntry {
                bytes: bytes.len() as u64,
                time: state.time,
                potential: state.observables.potential,
                kinetic: state.observables.kinetic,
                spread: state.observables.spread.map(|s| [s.force, s.energy]),
            }),
        }
    }

    /// The member, with its state where it has one.
    fn with(self, encoded: &[u8]) -> Result<MemberState> {
        let Self {
            stage,
            step,
            remark,
            identity,
            energies,
            files,
            state,
        } = self;
        let course = |state| MemberCourse {
            stage,
            step,
            state,
            remark,
        };
        let Some(entry) = state else {
            if stage == MemberStage::Running || (stage == MemberStage::Waiting && step > 0) {
                return Err(fault("a member that is to go on has no state"));
            }
            return Ok(MemberState {
                course: course(None),
                identity,
                energies,
                files,
                system: System::default(),
            });
        };
        let Checkpoint {
            step: at,
            kept,
            system,
            cell,
            positions,
            velocities,
            energies,
            files,
            ..
        } = Checkpoint::decode(encoded)?;
        if at != step {
            return Err(fault("its header contradicts itself"));
        }
        let observables = Observables {
            potential: entry.potential,
            kinetic: entry.kinetic,
            kept,
            spread: entry.spread.map(|[force, energy]| Spread { force, energy }),
            ..Observables::default()
        };
        Ok(MemberState {
            course: course(Some(Snapshot {
                step,
                time: entry.time,
                cell,
                observables,
                positions,
                velocities,
                forces: Vec::new(),
            })),
            identity,
            energies: Some(energies),
            files,
            system,
        })
    }
}

/// The length of the header that the start of a file of this length announces.
fn header_length(start: &[u8], file: u64) -> Result<usize> {
    let Some((magic, rest)) = start.split_first_chunk::<8>() else {
        return Err(short());
    };
    if *magic == MAGIC {
        return Err(fault("it is of a run of one system, not of a batch"));
    }
    if *magic != BATCH_MAGIC {
        return Err(fault("it is no checkpoint of mdrun"));
    }
    let Some((version, rest)) = rest.split_first_chunk::<4>() else {
        return Err(short());
    };
    let version = u32::from_le_bytes(*version);
    if version != BATCH_VERSION {
        return Err(fault(format!(
            "its format is version {version}, this program reads {BATCH_VERSION}"
        )));
    }
    let (Some((whole, rest)), true) = (rest.split_first_chunk::<8>(), rest.len() >= 16) else {
        return Err(short());
    };
    if u64::from_le_bytes(*whole) != file {
        return Err(short());
    }
    let header = rest
        .first_chunk::<8>()
        .map(|bytes| u64::from_le_bytes(*bytes));
    let header = header.filter(|length| *length <= file);
    header
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(short)
}

/// Reads a batch's checkpoint that may be there.
pub(super) fn present(path: &Path) -> Result<Option<BatchCheckpoint>> {
    let place = &path.display().to_string();
    let unreadable = |e| Error::input(format!("{place}: cannot be read: {e}"));
    let Some(file) = super::open(path)? else {
        return Ok(None);
    };
    let length = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    let prefix = BATCH_PREFIX as u64;
    (&file)
        .take(prefix)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    // As long as the file says and its length confirms, and no longer.
    header_length(&bytes, length).map_err(|e| e.within(place))?;
    let rest = length.saturating_sub(prefix);
    (&file)
        .take(rest)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let decoded = BatchCheckpoint::decode(&bytes).map_err(|e| e.within(place))?;
    Ok(Some(decoded))
}
