//! Structures in formats that chemfiles reads.
//!
//! chemfiles 0.10 trusts what it reads: some malformed files make it read beyond its arrays. So each
//! format has a look-over here first ([`look_over`]), which refuses what it would stumble on, and the
//! bytes are handed over from memory, with everything that is not ASCII taken out (its errors quote
//! the file by bytes, cut in the middle of characters).

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Once;

use ::chemfiles::{Atom, CellShape, Frame, MemoryTrajectoryReader, Property};

use super::labels::{WHOLE, alternate_location, element_of_name, element_of_type, partly_occupied};
use super::lattice::real_cell;
use super::structure::{Structure, pick};
use crate::core::{Mat3, Vec3};
use crate::units::ANGSTROM_PER_PS;
use crate::{Error, Result};

thread_local! {
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps chemfiles from writing its warnings to stderr: they are collected for [`take_warnings`].
pub fn collect_warnings() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        ::chemfiles::set_warning_callback(|warning: &str| {
            WARNINGS.with_borrow_mut(|list| list.push(warning.to_owned()));
        });
    });
}

/// What chemfiles has warned of on this thread since the last call.
pub fn take_warnings() -> Vec<String> {
    WARNINGS.take()
}

/// The first of many remarks, each once.
fn few(mut remarks: Vec<String>) -> Vec<String> {
    const MOST: usize = 3;
    let mut seen = Vec::new();
    remarks.retain(|r| {
        !seen.contains(r) && {
            seen.push(r.clone());
            true
        }
    });
    let more = remarks.len().saturating_sub(MOST);
    remarks.truncate(MOST);
    if more > 0 {
        remarks.push(format!("and {more} remarks more of this kind"));
    }
    remarks
}

/// Reads one frame (negative: from the end) in a format of chemfiles' name.
///
/// # Errors
/// The text is not of the format, lacks the frame, or an element cannot be told.
pub(super) fn read(text: &str, format: &str, wanted: i64) -> Result<Structure> {
    let ascii: String = (text.chars())
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect();
    let ascii = match format {
        "PDB" => atom_records(&ascii),
        _ => ascii,
    };
    look_over(&ascii, format)?;
    take_warnings();
    let fault = |e: ::chemfiles::Error| {
        Error::input(format!(
            "not a {format} file, or damaged: {}",
            e.message.trim().replace('\n', " ")
        ))
    };
    let mut reader = MemoryTrajectoryReader::new(ascii.as_bytes(), format).map_err(fault)?;
    let frames = reader.nsteps();
    let mut frame = Frame::new();
    reader
        .read_step(pick(wanted, frames)?, &mut frame)
        .map_err(fault)?;
    let mut structure = convert(&frame, Labels::of(&ascii, format))?;
    structure.frames = frames;
    structure.notes = few(take_warnings());
    Ok(structure)
}

/// Refuses what chemfiles would stumble on, or misread.
fn look_over(text: &str, format: &str) -> Result<()> {
    match format {
        "GRO" => gro_columns(text),
        "MOL2" => mol2_counts(text),
        "SDF" => sdf_counts(text),
        _ => Ok(()),
    }
}

/// The records of a PDB file that tell atoms and cell. Others are of no use here, and some (helices of
/// unknown class) make chemfiles read beyond its arrays.
fn atom_records(text: &str) -> String {
    const RECORDS: [&str; 6] = ["ATOM  ", "HETATM", "CRYST1", "MODEL", "ENDMDL", "END"];
    (text.lines())
        .filter(|line| RECORDS.iter().any(|r| line.starts_with(r)))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// GROMACS writes more decimals on demand, in wider columns, which chemfiles cuts up wrongly.
fn gro_columns(text: &str) -> Result<()> {
    let Some(atom) = text.lines().nth(2) else {
        return Ok(());
    };
    let points: Vec<usize> = atom
        .match_indices('.')
        .map(|m| m.0)
        .filter(|at| *at > 20)
        .collect();
    match points[..] {
        [x, y, ..] if y - x != 8 => Err(Error::input(
            "line 3: coordinates have other than three decimals, which are not understood; \
             write the file with three, or use another format",
        )),
        _ => Ok(()),
    }
}

/// The line of counts in each molecule of a MOL2 file.
fn mol2_counts(text: &str) -> Result<()> {
    let lines: Vec<&str> = text.lines().collect();
    for (k, line) in lines.iter().enumerate() {
        if !line.starts_with("@<TRIPOS>MOLECULE") {
            continue;
        }
        let counts = lines.get(k + 2).and_then(|l| l.split_whitespace().next());
        if !counts.is_some_and(|n| n.parse::<usize>().is_ok_and(|n| n < lines.len())) {
            let line = k + 3;
            return Err(Error::input(format!(
                "line {line}: a number of atoms is wanted, no larger than the file"
            )));
        }
    }
    Ok(())
}

/// The line of counts in the first molecule of an SDF file.
fn sdf_counts(text: &str) -> Result<()> {
    let counts = text.lines().nth(3).unwrap_or_default();
    if counts.contains("V3000") {
        return Err(Error::input(
            "line 4: V3000 is not understood; write the file as V2000",
        ));
    }
    let number =
        |at: std::ops::Range<usize>| counts.get(at).and_then(|n| n.trim().parse::<usize>().ok());
    if number(0..3).is_none() || number(3..6).is_none() {
        return Err(Error::input(
            "line 4: numbers of atoms and bonds are wanted, in three columns each",
        ));
    }
    Ok(())
}

/// Turns a frame into a structure.
fn convert(frame: &Frame, labels: Labels) -> Result<Structure> {
    let vector = |v: &[f64; 3]| Vec3::from(*v);
    let (species, masses) = (0..frame.size())
        .map(|k| element(frame, k, labels))
        .collect::<Result<(Vec<u8>, Vec<f64>)>>()?;
    let velocities = frame.velocities().map(|list| list.iter().map(vector));
    // A .gro file without velocities is given zeros.
    let velocities = velocities
        .map(|v| v.map(|v| v * ANGSTROM_PER_PS).collect::<Vec<_>>())
        .filter(|v| v.iter().any(|v| *v != Vec3::zeros()));
    let vectors = vectors(frame);
    Ok(Structure {
        path: PathBuf::new(),
        species,
        masses,
        positions: frame.positions().iter().map(vector).collect(),
        names: None,
        velocities,
        vectors,
        noise: None,
        periodic: [vectors.is_some(); 3],
        frames: 1,
        notes: Vec::new(),
    })
}

/// Lattice vectors as rows (angstrom); chemfiles has them as columns.
fn vectors(frame: &Frame) -> Option<Mat3> {
    let cell = frame.cell();
    if cell.shape() == CellShape::Infinite {
        return None;
    }
    let m = cell.matrix();
    real_cell(Mat3::from_fn(|k, c| m[c][k]))
}

/// What tells the elements of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labels {
    /// Types are elements.
    Types,
    /// There are names alone, such as OW or HA2.
    Names,
}

impl Labels {
    fn of(text: &str, format: &str) -> Self {
        let has_element = |line: &str| line.get(76..78).is_some_and(|e| !e.trim().is_empty());
        let is_atom = |line: &&str| line.starts_with("ATOM  ") || line.starts_with("HETATM");
        match format {
            "GRO" => Self::Names,
            "PDB" if !text.lines().filter(is_atom).all(has_element) => Self::Names,
            _ => Self::Types,
        }
    }
}

/// Atomic number and mass (u) of one atom.
fn element(frame: &Frame, k: usize, labels: Labels) -> Result<(u8, f64)> {
    let atom = frame.atom(k);
    once(&atom).map_err(|e| e.within(format!("atom {k}, counted from 0")))?;
    if labels == Labels::Types {
        let label = atom.atomic_type();
        return element_of_type(&label).ok_or_else(|| {
            Error::input(format!(
                "atom {k} ({}), counted from 0: {label:?} is not an element's symbol",
                atom.name()
            ))
        });
    }
    let name = atom.name();
    let topology = frame.topology();
    let residue = topology.residue_for_atom(k);
    let residue = residue.map_or_else(String::new, |r| r.name());
    element_of_name(&name, &residue).map_err(|why| {
        Error::input(format!(
            "atom {k}, counted from 0: its element cannot be told from its name {name:?} in residue \
             {residue:?}: {why}; use a format with elements, such as XYZ, or PDB with columns 77 and 78"
        ))
    })
}

/// Refuses an atom that is there in several places, or only in part.
fn once(atom: &Atom) -> Result<()> {
    match (atom.get("altloc"), atom.get("occupancy")) {
        (Some(Property::String(label)), _) if label != "A" => {
            Err(Error::input(alternate_location(&label)))
        }
        (_, Some(Property::Double(part))) if part < WHOLE => {
            Err(Error::input(partly_occupied(part)))
        }
        _ => Ok(()),
    }
}
