//! One function that reads a structure from any supported file format, and answers bad files with errors.
//!
//! Extended XYZ and mmCIF are read by `xyz` and `mmcif`, all other formats through the library chemfiles.

use std::fs;
use std::path::{Path, PathBuf};

use super::structure::{Structure, check};
use super::{chemfiles, mmcif, xyz};
use crate::{Error, Result, shell};

/// Reads the first frame of a structure file.
///
/// Formats, by extension: extended XYZ (`.xyz`, `.extxyz`), PDB (`.pdb`, `.ent`), GROMACS `.gro`,
/// CIF and mmCIF (`.cif`, `.mmcif`), Tripos `.mol2`, MDL `.sdf` and `.mol`, CML (`.cml`).
/// A cell makes all directions periodic, unless extended XYZ says otherwise (`pbc`).
///
/// Velocities come from `.gro` (nm/ps) and extended XYZ: columns `velocities` or `velo` in
/// angstrom / fs, or ASE's `momenta` in sqrt(u eV).
///
/// # Errors
/// The file cannot be read, is not of its format, or holds no usable atoms: the message names file,
/// line or atom (counted from 0), and what to do.
pub fn read(path: &Path) -> Result<Structure> {
    read_frame(path, 0)
}

/// Reads frame `frame` of a structure file, counted from 0; -1 is the last, -2 the one before it. The directory
/// of a run stands for the last state in it.
///
/// # Errors
/// As [`read`]; or there is no such frame.
pub fn read_frame(path: &Path, frame: i64) -> Result<Structure> {
    let path = &last_state_of(path)?;
    // Also where no chemfiles reads: its warnings while files are written are no one's to see.
    chemfiles::collect_warnings();
    let read = || {
        let format = format_of(path)?;
        let text = read_text(path)?;
        let mut structure = match format {
            Format::Xyz => xyz::read(&text, frame)?,
            // Both kinds of CIF bear either extension; only mmCIF has dots in its names.
            Format::Foreign("CIF") if text.contains("_atom_site.") => mmcif::read(&text, frame)?,
            Format::Foreign(name) => chemfiles::read(&text, name, frame)?,
        };
        structure.path = path.to_path_buf();
        check(&structure)?;
        Ok(structure)
    };
    read().map_err(|e: Error| e.within(path.display()))
}

/// The last state of a run, in its directory.
pub const FINAL: &str = "final.xyz";
/// The record of a run, in its directory.
const RECORD: &str = "run.json";

/// The file that holds a run's last state, where the path is that of a run's directory; any other path as it is.
///
/// # Errors
/// There is none in the directory: the run has not come to its end, or it is not a run's.
fn last_state_of(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let last = path.join(FINAL);
    if last.exists() {
        return Ok(last);
    }
    let place = path.display();
    Err(Error::input(match path.join(RECORD).exists() {
        true => format!(
            "{place}: the run in this directory has not come to its end: it has no {FINAL}; go on with it first: \
             mdrun resume {}",
            shell::quoted(path)
        ),
        false => {
            format!(
                "{place} is a directory; name a structure file in it, or the directory of a run"
            )
        }
    }))
}

/// Which reader a file is for.
enum Format {
    Xyz,
    /// chemfiles, under this name.
    Foreign(&'static str),
}

/// Formats that hold elements and positions, by their extension.
const FORMATS: [(&str, &str); 11] = [
    ("xyz", ""),
    ("extxyz", ""),
    ("pdb", "PDB"),
    ("ent", "PDB"),
    ("gro", "GRO"),
    ("cif", "CIF"),
    ("mmcif", "CIF"),
    ("mol2", "MOL2"),
    ("sdf", "SDF"),
    ("mol", "SDF"),
    ("cml", "CML"),
];

/// Formats of trajectories, which hold positions without elements.
const WITHOUT_ELEMENTS: [&str; 9] = [
    "dcd",
    "xtc",
    "trr",
    "nc",
    "ncdf",
    "trj",
    "crd",
    "lammpstrj",
    "tng",
];

fn format_of(path: &Path) -> Result<Format> {
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    match FORMATS.iter().find(|f| f.0 == extension) {
        Some(("xyz" | "extxyz", _)) => return Ok(Format::Xyz),
        Some((_, name)) => return Ok(Format::Foreign(name)),
        None => {}
    }
    let known: Vec<String> = FORMATS.iter().map(|f| format!(".{}", f.0)).collect();
    let known = known.join(", ");
    Err(Error::input(match extension.as_str() {
        "" => format!("no extension tells the format of this structure; one of {known} is wanted"),
        "gz" | "bz2" | "xz" | "zip" => {
            "a compressed structure; decompress it first, then name the plain file".to_owned()
        }
        e if WITHOUT_ELEMENTS.contains(&e) => format!(
            "a trajectory (.{e}) does not hold elements; convert the frame to start from into one of {known}"
        ),
        e => format!("unknown structure format .{e}; one of {known} is wanted"),
    }))
}

/// The text of a file that exists, is a plain file, is not empty, and is text.
fn read_text(path: &Path) -> Result<String> {
    let metadata = fs::metadata(path).map_err(|e| Error::input(unreadable(&e)))?;
    if metadata.is_dir() {
        return Err(Error::input("is a directory; name a structure file in it"));
    }
    if !metadata.is_file() {
        return Err(Error::input("is not a plain file"));
    }
    let bytes = fs::read(path).map_err(|e| Error::input(unreadable(&e)))?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::input("the file is empty; a structure is wanted"));
    }
    let binary = |at: usize| {
        Error::input(format!(
            "not text: byte {at} is {:#04x}; the file is binary or damaged",
            bytes[at]
        ))
    };
    let control = |b: &u8| b.is_ascii_control() && !b.is_ascii_whitespace();
    if let Some(at) = bytes.iter().position(control) {
        return Err(binary(at));
    }
    match std::str::from_utf8(&bytes) {
        // Latin-1 is met in old files' comments; numbers and symbols are ASCII in every format.
        Err(fault) if !mostly_ascii(&bytes) => Err(binary(fault.valid_up_to())),
        _ => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// Whether few bytes are not ASCII, as in text with some accents.
fn mostly_ascii(bytes: &[u8]) -> bool {
    let foreign = bytes.iter().filter(|b| !b.is_ascii()).count();
    foreign * 50 < bytes.len()
}

/// Why a file cannot be read, for people.
pub(crate) fn unreadable(fault: &std::io::Error) -> String {
    match fault.kind() {
        std::io::ErrorKind::NotFound => {
            "no such file; paths are relative to the run file".to_owned()
        }
        std::io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => format!("cannot be read: {fault}"),
    }
}
