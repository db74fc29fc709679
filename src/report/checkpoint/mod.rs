//! Checkpoints: all that a run needs to go on exactly as if it had never stopped.
//!
//! Engines promise that the state after a step depends on the state before it alone, and noise is a
//! function of the seed and the step: so cell, positions, velocities, the step and what was put in ([`Kept`]) are the
//! whole of the dynamics. Beside them a checkpoint keeps the record of energies, how far every output file had
//! come (see [`FileMark`]), and whose it is (see [`Identity`]).
//!
//! # Layout
//!
//! Little endian, one piece after the other:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `mdrunCKP` |
//! | 4 | version of the format, 5 |
//! | 4 | length h of the header |
//! | h | header: JSON, numbers exact |
//! | n | atomic numbers |
//! | 8 n | masses (u), f64 |
//! | 24 n | unwrapped positions (angstrom), f64 |
//! | 24 n | velocities (angstrom / internal time), f64 |
//! | 32 | SHA-256 of all before it |
//!
//! Everything is checked against the length of the file before memory is taken for it.
//!
//! # On the disk
//!
//! See [`store`]: written under another name, flushed to the disk, renamed; the generation before is
//! kept.

mod batch;
mod identity;
mod marks;
pub mod store;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::drift::EnergyRecord;
use super::own;
use crate::config::plan::StageBeginning;
use crate::core::{Cell, ChainState, Kept, MOST_LINKS, Mat3, PistonState, System, Vec3};
use crate::engine::Start;
use crate::simulation::FileMark;
use crate::{Error, Result};

pub use batch::{BatchCheckpoint, MemberState};
pub use identity::Identity;
pub use store::{Newest, newest, newest_of_batch, read, save, write, write_batch};

const MAGIC: [u8; 8] = *b"mdrunCKP";
/// Version of the format.
const VERSION: u32 = 5;
/// Magic, version and length of the header.
const PREFIX: usize = 16;
/// Length of the hash at the end.
const HASH: usize = 32;
/// Bytes of one atom.
const ATOM: usize = 1 + 8 + 24 + 24;
/// Longest header: one of many trajectories takes a few thousand bytes.
const LONGEST_HEADER: usize = 1 << 24;
/// Levels of blocking that a record can have: each halves the number of samples.
const MOST_LEVELS: usize = 64;

/// The state of a run after so many steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Steps taken since the run began.
    pub step: u64,
    /// What thermostat and barostat have put in.
    pub kept: Kept,
    /// Species and masses.
    pub system: System,
    /// The cell.
    pub cell: Cell,
    /// Unwrapped positions, one per atom (angstrom).
    pub positions: Vec<Vec3>,
    /// Velocities, one per atom (angstrom / internal time).
    pub velocities: Vec<Vec3>,
    /// What is known of the energies so far.
    pub energies: EnergyRecord,
    /// Steps between two samples of the drift (see [`super::drift::stretch`]): it depends on how long
    /// the run was to be when it began.
    pub stretch: u64,
    /// How far each output file had come.
    pub files: Vec<FileMark>,
    /// How far files of others in the run's directory had come ([`super::ForeignFiles`]).
    pub foreign: Vec<FileMark>,
    /// Whose checkpoint it is.
    pub identity: Identity,
    /// Time that the steps took so far (s).
    pub elapsed: f64,
    /// Which stage it is in, of a run in stages.
    pub stage: Option<StageMark>,
}

/// Where a stage of a run in stages began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageMark {
    /// Its name.
    pub name: String,
    /// The step.
    pub step: u64,
    /// The time (internal).
    pub time: f64,
    /// For how long (internal) springs of groups had moved, by names of groups.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub moved: BTreeMap<String, f64>,
}

impl StageMark {
    /// Where the stage began.
    pub fn beginning(&self) -> StageBeginning {
        StageBeginning {
            step: self.step,
            time: self.time,
            moved: self.moved.clone(),
        }
    }
}

/// What is not an array.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    step: u64,
    atoms: u64,
    heat: f64,
    work: f64,
    /// Left out where nothing has been pulled, as in runs without moving springs.
    #[serde(default, skip_serializing_if = "nothing")]
    pulled: f64,
    /// Rows of what the last strain added to the pressure tensor.
    response: [f64; 9],
    /// Position and velocity of each thermostat of the atoms' chain; left out where none has moved, as earlier versions do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    chain: Vec<[f64; 2]>,
    /// The piston; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    piston: Option<PistonEntry>,
    /// Lattice vectors as rows; null where none were given.
    vectors: Option<[f64; 9]>,
    periodic: [bool; 3],
    stretch: u64,
    elapsed: f64,
    identity: Identity,
    #[serde(with = "marks")]
    files: Vec<FileMark>,
    /// Left out where there are none, as in runs without PLUMED.
    #[serde(default, with = "marks", skip_serializing_if = "Vec::is_empty")]
    foreign: Vec<FileMark>,
    energies: EnergyRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stage: Option<StageMark>,
}

/// A piston in the header.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PistonEntry {
    rate: f64,
    /// Position and velocity of each thermostat of its chain.
    chain: Vec<[f64; 2]>,
}

impl PistonEntry {
    /// A piston that has moved.
    fn of(piston: &PistonState) -> Option<Self> {
        (*piston != PistonState::default()).then(|| Self {
            rate: piston.rate,
            chain: links(&piston.chain),
        })
    }

    fn state(entry: Option<&Self>) -> Result<PistonState> {
        let Some(Self { rate, chain }) = entry else {
            return Ok(PistonState::default());
        };
        Ok(PistonState {
            rate: *rate,
            chain: chain_of(chain)?,
        })
    }
}

impl Header {
    fn of(checkpoint: &Checkpoint) -> Self {
        let cell = &checkpoint.cell;
        Self {
            step: checkpoint.step,
            atoms: checkpoint.system.len() as u64,
            heat: checkpoint.kept.heat,
            work: checkpoint.kept.work,
            pulled: checkpoint.kept.pulled,
            response: rows(&checkpoint.kept.response),
            chain: links(&checkpoint.kept.chain),
            piston: PistonEntry::of(&checkpoint.kept.piston),
            vectors: cell.is_given().then(|| rows(cell.vectors())),
            periodic: cell.periodic(),
            stretch: checkpoint.stretch,
            elapsed: checkpoint.elapsed,
            identity: checkpoint.identity.clone(),
            files: checkpoint.files.clone(),
            foreign: checkpoint.foreign.clone(),
            energies: checkpoint.energies.clone(),
            stage: checkpoint.stage.clone(),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let header: Self =
            serde_json::from_slice(bytes).map_err(|e| fault(format!("its header: {e}")))?;
        let energies = &header.energies;
        let deep = energies.all().iter().any(|s| s.levels() > MOST_LEVELS);
        if energies.atoms as u64 != header.atoms || deep || header.stretch == 0 {
            return Err(fault("its header contradicts itself"));
        }
        Ok(header)
    }

    /// Number of atoms; an error where so many cannot be in `bytes` bytes.
    fn atoms(&self, bytes: u64) -> Result<usize> {
        let wanted = self.atoms.checked_mul(ATOM as u64);
        match (wanted, usize::try_from(self.atoms)) {
            (Some(wanted), Ok(atoms)) if wanted == bytes => Ok(atoms),
            _ => Err(fault(format!(
                "{bytes} bytes are not those of {} atoms",
                self.atoms
            ))),
        }
    }

    fn cell(&self) -> Result<Cell> {
        match &self.vectors {
            Some(rows) => Cell::new(Mat3::from_row_slice(rows), self.periodic),
            None if self.periodic == [false; 3] => Ok(Cell::open()),
            None => Err(fault("it is periodic without a cell")),
        }
    }
}

impl Checkpoint {
    /// The starting point of an engine that goes on from here.
    pub fn start(&self) -> Start {
        Start::new(
            self.system.clone(),
            self.cell.clone(),
            self.positions.clone(),
            self.velocities.clone(),
        )
        .after(self.step, self.kept)
    }

    /// How far the file of this name had come.
    pub fn file(&self, name: &str) -> Option<&FileMark> {
        self.files.iter().find(|mark| mark.name == name)
    }

    /// The bytes of the file. The same checkpoint gives the same bytes.
    ///
    /// # Errors
    /// A number is not finite, or there is not one mass, position and velocity for each atom.
    pub fn encode(&self) -> Result<Vec<u8>> {
        (self.start().check()).map_err(|e| Error::run(format!("no checkpoint of this: {e}")))?;
        if !(self.kept.is_finite() && self.elapsed.is_finite()) {
            return Err(Error::run(
                "heat, work, response, chain or piston is not a finite number",
            ));
        }
        let header = serde_json::to_vec(&Header::of(self))
            .map_err(|e| Error::run(format!("a checkpoint cannot be written: {e}")))?;
        let length = u32::try_from(header.len())
            .ok()
            .filter(|_| header.len() <= LONGEST_HEADER)
            .ok_or_else(|| Error::run("a checkpoint cannot be written: its header is too long"))?;
        let atoms = self.system.len();
        let mut bytes = Vec::with_capacity(PREFIX + header.len() + ATOM * atoms + HASH);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&self.system.species);
        let numbers = (self.system.masses.iter())
            .chain(self.positions.iter().flatten())
            .chain(self.velocities.iter().flatten());
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let hash = Sha256::digest(&bytes);
        bytes.extend_from_slice(&hash);
        Ok(bytes)
    }

    /// The checkpoint in the bytes of a file.
    ///
    /// # Errors
    /// It is none, was cut short or altered, or is of another version of the format.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let header_length = header_length(bytes)?;
        let Some((content, hash)) = bytes.split_last_chunk::<HASH>() else {
            return Err(short());
        };
        if Sha256::digest(content).as_slice() != hash {
            return Err(fault("its content is not what was written (hash)"));
        }
        let after = content.get(PREFIX..).ok_or_else(short)?;
        let (header, arrays) = after.split_at_checked(header_length).ok_or_else(short)?;
        let header = Header::parse(header)?;
        let atoms = header.atoms(arrays.len() as u64)?;
        let (species, numbers) = arrays.split_at(atoms);
        let (masses, vectors) = numbers.split_at(8 * atoms);
        let (positions, velocities) = vectors.split_at(24 * atoms);
        let checkpoint = Self {
            step: header.step,
            kept: Kept {
                heat: header.heat,
                work: header.work,
                pulled: header.pulled,
                response: Mat3::from_row_slice(&header.response),
                chain: chain_of(&header.chain)?,
                piston: PistonEntry::state(header.piston.as_ref())?,
            },
            system: System {
                species: species.to_vec(),
                masses: numbers_of(masses).collect(),
            },
            cell: header.cell()?,
            positions: vectors_of(positions),
            velocities: vectors_of(velocities),
            energies: header.energies,
            stretch: header.stretch,
            files: header.files,
            foreign: header.foreign,
            identity: header.identity,
            elapsed: header.elapsed,
            stage: header.stage,
        };
        if let Some(z) = species.iter().find(|z| !(1..=118).contains(*z)) {
            return Err(fault(format!("there is no element {z}")));
        }
        checkpoint.start().check()?;
        Ok(checkpoint)
    }
}

/// Position and velocity of each thermostat of a chain, up to the last that has moved.
fn links(chain: &ChainState) -> Vec<[f64; 2]> {
    let both = chain.positions.iter().zip(&chain.velocities);
    let mut links: Vec<[f64; 2]> = both.map(|(x, v)| [*x, *v]).collect();
    while links.last().is_some_and(|link| *link == [0.0; 2]) {
        links.pop();
    }
    links
}

/// The chain of thermostats with these positions and velocities.
fn chain_of(links: &[[f64; 2]]) -> Result<ChainState> {
    if links.len() > MOST_LINKS {
        return Err(fault("its chain of thermostats is too long"));
    }
    let mut chain = ChainState::default();
    for (k, [position, velocity]) in links.iter().enumerate() {
        chain.positions[k] = *position;
        chain.velocities[k] = *velocity;
    }
    Ok(chain)
}

/// Whether a number is zero, of either sign.
fn nothing(number: &f64) -> bool {
    *number == 0.0
}

/// The rows of a matrix, one behind the other.
fn rows(of: &Mat3) -> [f64; 9] {
    std::array::from_fn(|k| of[(k / 3, k % 3)])
}

/// The length of the header that the start of a file announces.
fn header_length(start: &[u8]) -> Result<usize> {
    let Some((magic, rest)) = start.split_first_chunk::<8>() else {
        return Err(short());
    };
    if *magic == batch::BATCH_MAGIC {
        return Err(fault("it is of a batch of systems, not of a run of one"));
    }
    if *magic != MAGIC {
        return Err(fault("it is no checkpoint of mdrun"));
    }
    let number = |at: usize| {
        let bytes = rest.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (Some(version), Some(length)) = (number(0), number(4)) else {
        return Err(short());
    };
    if version != VERSION {
        return Err(fault(format!(
            "its format is version {version}, this program reads {VERSION}"
        )));
    }
    Some(length as usize)
        .filter(|length| *length <= LONGEST_HEADER)
        .ok_or_else(|| fault("its header is too long"))
}

fn numbers_of(bytes: &[u8]) -> impl Iterator<Item = f64> {
    let (numbers, _) = bytes.as_chunks::<8>();
    numbers.iter().map(|bytes| f64::from_le_bytes(*bytes))
}

fn vectors_of(bytes: &[u8]) -> Vec<Vec3> {
    let (vectors, _) = bytes.as_chunks::<24>();
    let vector = |bytes: &[u8; 24]| {
        let mut vector = Vec3::zeros();
        vector
            .iter_mut()
            .zip(numbers_of(bytes))
            .for_each(|(to, x)| *to = x);
        vector
    };
    vectors.iter().map(vector).collect()
}

/// Opens a checkpoint that may be there.
///
/// # Errors
/// It cannot be opened, or is no plain file.
fn open(path: &Path) -> Result<Option<File>> {
    let place = path.display();
    let unreadable = |e| Error::input(format!("{place}: cannot be read: {e}"));
    let Some(kind) = own::kind(path).map_err(unreadable)? else {
        return Ok(None);
    };
    if !kind.is_file() {
        return Err(fault("it is no plain file").within(place));
    }
    let file = own::open(File::options().read(true), path);
    file.map(Some).map_err(unreadable)
}

fn fault(why: impl std::fmt::Display) -> Error {
    Error::input(format!("not a sound checkpoint: {why}"))
}

fn short() -> Error {
    fault("it is cut short")
}
