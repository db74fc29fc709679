//! One function that reads a structure from any supported file format, and answers bad files with errors.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::structure::{FINAL, Labelled, Structure, Wanted, check};
use super::{cif, cml, gro, mol2, pdb, sdf, text, xyz};
use crate::input::unreadable;
use crate::{Error, Result, shell};

/// Reads the first frame of a structure file. That there are more is told in its notes.
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
    let mut structure = read_frame(path, 0)?;
    if structure.frames > 1 {
        structure.notes.push(format!(
            "has {} frames; the first is taken (frame = -1 would be the last)",
            structure.frames
        ));
    }
    Ok(structure)
}

/// Reads frame `frame` of a structure file, counted from 0; -1 is the last, -2 the one before it. The directory
/// of a run stands for the last state in it.
///
/// # Errors
/// As [`read`]; or there is no such frame.
pub fn read_frame(path: &Path, frame: i64) -> Result<Structure> {
    let mut found = read_wanted(path, Wanted::One(frame))?;
    // One was asked for.
    found.pop().ok_or_else(|| Error::input("no frame was read"))
}

/// Reads all frames of a structure file, in their order; the text is gone through once.
///
/// # Errors
/// As [`read`] of any of them: the message names the frame, counted from 0.
pub fn read_all(path: &Path) -> Result<Vec<Structure>> {
    let found = read_wanted(path, Wanted::All)?;
    match found.is_empty() {
        true => Err(Error::input("there are no structures in it").within(path.display())),
        false => Ok(found),
    }
}

fn read_wanted(path: &Path, wanted: Wanted) -> Result<Vec<Structure>> {
    let path = &last_state_of(path)?;
    let read = || {
        let format = format_of(path).map_err(|fault| match path.metadata() {
            // A name without an ending may be that of a run's directory.
            Err(e) if path.extension().is_none() && e.kind() == ErrorKind::NotFound => {
                Error::input(unreadable(&e))
            }
            _ => fault,
        })?;
        let text = text::read(path, wanted.times())?;
        let mut found = match format {
            Format::Xyz => xyz::read(&text, wanted),
            Format::Pdb => pdb::read(&text, wanted),
            Format::Gro => gro::read(&text, wanted),
            Format::Cif => cif::read(&text, wanted),
            Format::Mol2 => mol2::read(&text, wanted),
            Format::Sdf => sdf::read(&text, wanted),
            Format::Cml => cml::read(&text, wanted),
        }?;
        (found.iter_mut()).for_each(|structure| structure.path = path.to_path_buf());
        Ok(found)
    };
    read().map_err(|e: Error| e.within(path.display()))
}

/// Reads all frames of an extended XYZ file with the energies and forces that it states for them.
///
/// # Errors
/// As [`read`]; or a frame has no energy or no forces.
pub fn read_labelled(path: &Path) -> Result<Vec<Labelled>> {
    let read = || {
        let frames = match format_of(path)? {
            Format::Xyz => xyz::labelled(&text::read(path, Wanted::All.times())?)?,
            _ => {
                return Err(Error::input(
                    "extended XYZ (.xyz, .extxyz) alone has energies and forces beside structures",
                ));
            }
        };
        frames
            .iter()
            .try_for_each(|frame| check(&frame.structure))?;
        match frames.is_empty() {
            true => Err(Error::input("there are no structures in it")),
            false => Ok(frames),
        }
    };
    read().map_err(|e: Error| e.within(path.display()))
}

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
#[derive(Clone, Copy)]
enum Format {
    Xyz,
    Pdb,
    Gro,
    Cif,
    Mol2,
    Sdf,
    Cml,
}

/// Formats that hold elements and positions, by their extension.
const FORMATS: [(&str, Format); 11] = [
    ("xyz", Format::Xyz),
    ("extxyz", Format::Xyz),
    ("pdb", Format::Pdb),
    ("ent", Format::Pdb),
    ("gro", Format::Gro),
    ("cif", Format::Cif),
    ("mmcif", Format::Cif),
    ("mol2", Format::Mol2),
    ("sdf", Format::Sdf),
    ("mol", Format::Sdf),
    ("cml", Format::Cml),
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
    if let Some((_, format)) = FORMATS.iter().find(|f| f.0 == extension) {
        return Ok(*format);
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

/// Whether a file is a structure by its ending.
pub(crate) fn is_structure(path: &Path) -> bool {
    format_of(path).is_ok()
}

/// Whether a file is a trajectory without elements by its ending.
pub(crate) fn is_trajectory(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|e| WITHOUT_ELEMENTS.contains(&e.to_ascii_lowercase().as_str()))
}
