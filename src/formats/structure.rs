//! A structure as its file gives it: atoms, cell, velocities, names. Readers make one; what must hold
//! whatever the format is, is checked here.

use std::path::PathBuf;

use crate::core::rng::NoiseMark;
use crate::core::{AtomName, Cell, Fitted, FormalElectrons, Mat3, System, Vec3, elements};
use crate::{Error, Result};

/// The last state of a run, in its directory.
pub const FINAL: &str = "final.xyz";
/// What the atoms of a run are called, in its directory.
pub const TOPOLOGY: &str = "topology.pdb";

/// Farthest coordinate (angstrom) taken for one: a millimetre. Beyond it f64 no longer resolves the
/// forces' differences, and the file is broken.
const FARTHEST: f64 = 1e7;

/// One structure, as its file gives it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Structure {
    /// The file.
    pub path: PathBuf,
    /// Atomic number of each atom.
    pub species: Vec<u8>,
    /// Mass of each atom (u): standard ones, unless the file has its own.
    pub masses: Vec<f64>,
    /// Positions (angstrom).
    pub positions: Vec<Vec3>,
    /// What the file calls each atom, if it names residues; shared by all readers of such formats.
    pub names: Option<Vec<AtomName>>,
    /// What the file says of the electrons of its atoms.
    pub electrons: FormalElectrons,
    /// Velocities (angstrom / time), if the file has any.
    pub velocities: Option<Vec<Vec3>>,
    /// How far the run that wrote the file had come in its thermostat's noise, if the file says so.
    pub noise: Option<NoiseMark>,
    /// Lattice vectors as rows (angstrom), if the file has any; a row of zeros is no vector.
    pub vectors: Option<Mat3>,
    /// Which directions the file says are periodic.
    pub periodic: [bool; 3],
    /// How many frames the file has; the one read is the first unless another was asked for.
    pub frames: usize,
    /// Remarks for the user: what was read in an unusual way.
    pub notes: Vec<String>,
}

/// A structure with what somebody says of it, in units of theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The structure.
    pub structure: Structure,
    /// Its energy.
    pub energy: f64,
    /// The force on each atom.
    pub forces: Vec<Vec3>,
}

impl Structure {
    /// Species and masses.
    pub fn system(&self) -> System {
        System {
            species: self.species.clone(),
            masses: self.masses.clone(),
        }
    }

    /// Adds an atom of an atomic number and a mass (u) at a position (angstrom).
    pub(super) fn push(&mut self, (species, mass): (u8, f64), position: Vec3) {
        self.species.push(species);
        self.masses.push(mass);
        self.positions.push(position);
    }

    /// Takes lattice vectors (rows, angstrom), which make all directions periodic.
    pub(super) fn set_cell(&mut self, vectors: Option<Mat3>) {
        self.vectors = vectors;
        self.periodic = [vectors.is_some(); 3];
    }

    /// The cell, as [`Structure::fitted`] has it.
    ///
    /// # Errors
    /// As there.
    pub fn cell(&self) -> Result<Cell> {
        Ok(self.fitted()?.cell)
    }

    /// The cell as [`Cell::fitting`] makes it, and what there is to say of it; that of a run's last state as it is.
    ///
    /// # Errors
    /// A periodic direction without a vector, or a singular cell. The message does not name the file.
    pub fn fitted(&self) -> Result<Fitted> {
        let vectors = self.vectors.unwrap_or_else(Mat3::zeros);
        match self.is_last_state() {
            true => Cell::new(vectors, self.periodic).map(Fitted::from),
            false => Cell::fitting(vectors, self.periodic, &self.positions),
        }
    }

    /// Whether it is the last state of a run, which another run goes on from to the last bit: nothing in it is
    /// moved.
    pub fn is_last_state(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == FINAL)
    }
}

/// What must hold whatever the format is.
pub(super) fn check(structure: &Structure) -> Result<()> {
    check_positions(&structure.species, &structure.positions)?;
    let name = |k: usize| format!("atom {k} ({})", elements::symbol(structure.species[k]));
    for (k, v) in structure.velocities.iter().flatten().enumerate() {
        if !v.iter().all(|x| x.is_finite()) {
            return Err(Error::input(format!(
                "the velocity of {} is not finite (atoms count from 0)",
                name(k)
            )));
        }
    }
    for (k, m) in structure.masses.iter().enumerate() {
        if !(m.is_finite() && *m > 0.0) {
            return Err(Error::input(format!(
                "the mass of {} is {m} u (atoms count from 0)",
                name(k)
            )));
        }
    }
    Ok(())
}

/// Checks that there are atoms of these species (atomic numbers), at positions (angstrom, one each) where atoms can be.
///
/// # Errors
/// There are none, or the position of one is not finite, or too far out.
pub fn check_positions(species: &[u8], positions: &[Vec3]) -> Result<()> {
    if species.is_empty() {
        return Err(Error::input("there are no atoms in it"));
    }
    let name = |k: usize| format!("atom {k} ({})", elements::symbol(species[k]));
    for (k, r) in positions.iter().enumerate() {
        if !r.iter().all(|x| x.is_finite()) {
            return Err(Error::input(format!(
                "the position of {} is not finite (atoms count from 0)",
                name(k)
            )));
        }
        if r.amax() > FARTHEST {
            return Err(Error::input(format!(
                "{} is at {:e} A, more than a millimetre away; the file is damaged or in another unit",
                name(k),
                r.amax()
            )));
        }
    }
    Ok(())
}

/// Which frames of a file are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One; a negative number counts from the end.
    One(i64),
    /// All of them, in their order. Errors name the frame.
    All,
}

impl Wanted {
    /// Memory that reading takes, as times the file: with one frame there are the text and its lines; with all of them, what
    /// there is to know of every atom.
    pub fn times(self) -> u64 {
        match self {
            Self::One(_) => 2,
            Self::All => 8,
        }
    }

    /// Reads the frames that are wanted out of so many, each by its index, and checks what must hold whatever the format is.
    ///
    /// # Errors
    /// There is no such frame, or one that is wanted cannot be read.
    pub fn read(
        self,
        frames: usize,
        mut read: impl FnMut(usize) -> Result<Structure>,
    ) -> Result<Vec<Structure>> {
        let mut checked = |k: usize| {
            let structure = Structure { frames, ..read(k)? };
            check(&structure)?;
            Ok(structure)
        };
        match self {
            Self::One(wanted) => Ok(vec![checked(pick(wanted, frames)?)?]),
            Self::All => (0..frames)
                .map(|k| checked(k).map_err(|e: Error| e.within(format!("frame {k}"))))
                .collect(),
        }
    }
}

/// Picks frame `wanted` (negative: from the end) out of so many.
fn pick(wanted: i64, frames: usize) -> Result<usize> {
    let count = i64::try_from(frames).unwrap_or(i64::MAX);
    let index = if wanted < 0 { count + wanted } else { wanted };
    if (0..count).contains(&index) {
        return Ok(usize::try_from(index).unwrap_or(0));
    }
    Err(Error::input(format!(
        "there is no frame {wanted}: it has {frames} (the first is 0, the last is -1)"
    )))
}
