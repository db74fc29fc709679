//! A server's shared memory: where i-PI, with `mode='shm'`, has cells and positions, and takes energies, forces and virials,
//! beside a socket for the words.
//!
//! On Linux such memory is a file in a folder of the memory's own, read and written as one: the pages are those that the
//! server has mapped. Which side may touch them is told by the words alone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::message::{self, Outbox};
use crate::core::{Mat3, Vec3};
use crate::potential::Evaluation;
use crate::units::BOHR;
use crate::{Error, Result};

/// Where shared memory is by its names.
const FOLDER: &str = "/dev/shm";
/// What a server shares, in the order of its names: positions, lattice vectors, their inverse, energies, forces, virials.
pub(super) const SEGMENTS: usize = 6;
/// Longest name of one (bytes): that of a file.
pub(super) const LONGEST_NAME: i32 = 255;
/// Bytes of a number and of a matrix.
const NUMBER: usize = 8;
const MATRIX: usize = 9 * NUMBER;

/// A server's shared memory, of so many structures with so many atoms each.
#[derive(Debug)]
pub(super) struct SharedMemory {
    positions: File,
    lattices: File,
    energies: File,
    forces: File,
    virials: File,
    structures: usize,
    /// Bytes of one structure's positions, on their way.
    bytes: Vec<u8>,
}

impl SharedMemory {
    /// Opens what a server has named.
    ///
    /// # Errors
    /// A name is none, or there is no such memory, or it is too small.
    pub fn open(names: &[Vec<u8>; SEGMENTS], structures: usize, atoms: usize) -> Result<Self> {
        let [positions, lattices, _, energies, forces, virials] = names;
        let vectors = 3 * NUMBER * atoms;
        let segment = |name: &Vec<u8>, each: usize| segment(name, structures.saturating_mul(each));
        Ok(Self {
            positions: segment(positions, vectors)?,
            lattices: segment(lattices, MATRIX)?,
            energies: segment(energies, NUMBER)?,
            forces: segment(forces, vectors)?,
            virials: segment(virials, MATRIX)?,
            structures,
            bytes: vec![0; vectors],
        })
    }

    /// How many structures it was opened for.
    pub fn structures(&self) -> usize {
        self.structures
    }

    /// The lattice vectors of a structure, as rows (angstrom).
    ///
    /// # Errors
    /// The memory is gone, or was made smaller.
    pub fn lattice(&self, structure: usize) -> Result<Mat3> {
        let mut bytes = [0; MATRIX];
        (self.lattices)
            .read_exact_at(&mut bytes, (structure * MATRIX) as u64)
            .map_err(|e| lost(&e))?;
        Ok(message::matrix(&bytes).transpose() * BOHR)
    }

    /// Reads the positions of a structure (angstrom).
    ///
    /// # Errors
    /// The memory is gone, or was made smaller.
    pub fn positions(&mut self, structure: usize, into: &mut [Vec3]) -> Result<()> {
        let at = structure * self.bytes.len();
        (self.positions)
            .read_exact_at(&mut self.bytes, at as u64)
            .map_err(|e| lost(&e))?;
        message::vectors(&self.bytes, into, BOHR);
        Ok(())
    }

    /// Writes what was found of structures, the first of them first; `room` is empty, memory to put it together.
    ///
    /// # Errors
    /// The memory is gone.
    pub fn write(&self, found: &[Evaluation], room: &mut Outbox) -> Result<()> {
        let vectors = self.bytes.len();
        for (structure, evaluation) in found.iter().enumerate() {
            (room
                .energy(evaluation.energy)
                .put(&self.energies, structure * NUMBER))
            .and_then(|()| (room.forces(evaluation)).put(&self.forces, structure * vectors))
            .and_then(|()| (room.virial(evaluation)).put(&self.virials, structure * MATRIX))
            .map_err(|e| lost(&e))?;
        }
        Ok(())
    }
}

fn lost(fault: &io::Error) -> Error {
    Error::run(format!("the server's shared memory is lost: {fault}"))
}

/// Opens shared memory by its name, which must have so many bytes.
fn segment(name: &[u8], bytes: usize) -> Result<File> {
    let shown = name.escape_ascii();
    let text = std::str::from_utf8(name).ok().filter(|text| {
        let is_path = text.contains(['/', '\0']) || ["", ".", ".."].contains(text);
        !is_path
    });
    let Some(text) = text else {
        return Err(Error::run(format!(
            "the server named \"{shown}\", which is no shared memory's name"
        )));
    };
    let fault = |why: String| Error::run(format!("the server's shared memory \"{shown}\" {why}"));
    // A name in that folder may lead elsewhere, or to what is no memory and would wait for someone.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = (OpenOptions::new().read(true).write(true))
        .custom_flags(flags.bits() as i32)
        .open(Path::new(FOLDER).join(text))
        .map_err(|e| {
            fault(format!(
                "cannot be opened ({e}): shm is for a server on the same machine, in the same container"
            ))
        })?;
    let about = file.metadata().map_err(|e| fault(e.to_string()))?;
    match about.is_file() && about.len() >= bytes as u64 {
        true => Ok(file),
        false => Err(fault(format!(
            "has {} bytes where {bytes} are wanted",
            about.len()
        ))),
    }
}
