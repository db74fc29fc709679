//! CIF files: which of their blocks and models is a frame, the cell, and what core CIF and mmCIF share.
//!
//! Dictionaries: <https://www.iucr.org/resources/cif/dictionaries/cif_core> and, for mmCIF,
//! <https://mmcif.wwpdb.org>. Both kinds bear either extension; mmCIF has Cartesian coordinates in a
//! category with a dot, `_atom_site.Cartn_x`.

use super::labels::{WHOLE, partly_occupied};
use super::lattice::triclinic;
use super::star::{Block, Column, Value, number, parse, shown};
use super::structure::{Structure, pick};
use super::{crystal, mmcif};
use crate::core::Mat3;
use crate::{Error, Result};

/// Blocks named in a remark.
const MOST_NAMED: usize = 5;

/// Reads one frame (negative: from the end) of a CIF or mmCIF file: a data block with atoms, or a model
/// in it.
///
/// # Errors
/// The text is not CIF, holds no atoms, lacks the frame, or the frame is no structure with one place for
/// each atom. Messages name the line where there is one.
pub(super) fn read(text: &str, wanted: i64) -> Result<Structure> {
    let all = parse(text)?;
    let mut frames = Vec::new();
    for block in &all {
        let models = match (mmcif::has_atoms(block)?, crystal::has_atoms(block)?) {
            (true, _) => mmcif::Models::of(block)?.count(),
            (false, true) => 1,
            (false, false) => 0,
        };
        frames.extend((models > 0).then_some((block, models)));
    }
    if frames.is_empty() {
        return Err(Error::input(nothing(&all)));
    }
    let count = frames.iter().map(|f| f.1).sum();
    let mut index = pick(wanted, count)?;
    let mut chosen = None;
    for (block, models) in &frames {
        if index < *models {
            chosen = Some(block);
            break;
        }
        index -= models;
    }
    let block = chosen.ok_or_else(|| Error::input(nothing(&all)))?;
    let mut structure = match mmcif::has_atoms(block)? {
        true => mmcif::read(block, index)?,
        false => crystal::read(block)?,
    };
    structure.frames = count;
    if frames.len() > 1 {
        structure.notes.push(several(&frames, block));
    }
    Ok(structure)
}

/// What to say of a file without atoms.
fn nothing(blocks: &[Block]) -> String {
    match blocks.iter().any(|block| block.has_any_of("_atom_site")) {
        true => {
            "there are no atoms with coordinates in it: neither _atom_site_fract_x, y and z nor \
             _atom_site_Cartn_x, y and z, nor mmCIF's _atom_site.Cartn_x, y and z have values"
        }
        false => {
            "there is no table of atoms (_atom_site) in it; is it a CIF or mmCIF file of a structure?"
        }
    }
    .to_owned()
}

/// What to say of a file with several structures.
fn several(frames: &[(&Block, usize)], chosen: &Block) -> String {
    let name = |block: &Block| shown(&format!("data_{}", block.name));
    let mut names: Vec<String> = (frames.iter().take(MOST_NAMED))
        .map(|f| name(f.0))
        .collect();
    if frames.len() > MOST_NAMED {
        names.push("...".to_owned());
    }
    format!(
        "{} data blocks hold atoms, each of them a frame: {}; this is {}",
        frames.len(),
        names.join(", "),
        name(chosen)
    )
}

/// Adds the line to a fault.
pub(super) fn at_line(line: u32) -> impl Fn(Error) -> Error {
    move |e: Error| e.within(format!("line {line}"))
}

/// The number in a row of a column.
///
/// # Errors
/// There is none, or another word. Messages name the line.
pub(super) fn coordinate(block: &Block, column: Column, row: usize, atom: &str) -> Result<f64> {
    let value = block.value(column, row);
    let line = value.map_or(column.line, |v| v.line);
    let Some(text) = value.and_then(|v| v.known()) else {
        return Err(Error::input(format!(
            "line {line}: atom {atom} has no coordinates; complete the row or take it out"
        )));
    };
    let found = number(text).map(|n| n.value);
    found.ok_or_else(|| {
        Error::input(format!(
            "line {line}: {} is not a coordinate of atom {atom}",
            shown(text)
        ))
    })
}

/// Refuses an atom that is there only in part.
///
/// # Errors
/// An occupancy under 1, or one that is no number.
pub(super) fn check_occupancy(value: Value) -> Result<()> {
    let Some(text) = value.known() else {
        return Ok(());
    };
    match number(text).map(|n| n.value) {
        Some(part) if part < WHOLE => Err(Error::input(partly_occupied(part))),
        Some(_) => Ok(()),
        None => Err(Error::input(format!("{} is not an occupancy", shown(text)))),
    }
}

/// Lattice vectors as rows (angstrom): a along x, b in the plane of x and y. `None` where the file gives
/// no edges, or edges of 0. Adds a remark where it gives no angles, which then are right ones.
///
/// # Errors
/// Some edges are there and others are not, one is not a number above 0, or there is no such cell.
pub(super) fn cell(block: &Block, notes: &mut Vec<String>) -> Result<Option<Mat3>> {
    const EDGES: [[&str; 2]; 3] = [
        ["_cell_length_a", "_cell.length_a"],
        ["_cell_length_b", "_cell.length_b"],
        ["_cell_length_c", "_cell.length_c"],
    ];
    const ANGLES: [[&str; 2]; 3] = [
        ["_cell_angle_alpha", "_cell.angle_alpha"],
        ["_cell_angle_beta", "_cell.angle_beta"],
        ["_cell_angle_gamma", "_cell.angle_gamma"],
    ];
    let mut lengths = [None; 3];
    let mut angles = [None; 3];
    for k in 0..3 {
        lengths[k] = measure(block, &EDGES[k])?;
        angles[k] = measure(block, &ANGLES[k])?;
    }
    if lengths.iter().all(|length| length.is_none_or(|l| l == 0.0)) {
        return Ok(None);
    }
    let mut edges = [0.0; 3];
    for k in 0..3 {
        let name = EDGES[k][0];
        let length =
            lengths[k].ok_or_else(|| Error::input(format!("{name}: there is no value for it")))?;
        if length <= 0.0 {
            return Err(Error::input(format!(
                "{name}: {length} is not a number greater than zero"
            )));
        }
        edges[k] = length;
    }
    if angles.contains(&None) {
        let missing = angles.iter().position(Option::is_none).unwrap_or(0);
        notes.push(format!(
            "{} is not given: taken as 90 degrees",
            ANGLES[missing][0]
        ));
    }
    triclinic(edges, angles.map(|angle| angle.unwrap_or(90.0))).map(Some)
}

/// The number under one of the tags.
fn measure(block: &Block, tags: &[&str]) -> Result<Option<f64>> {
    let Some(value) = block.single(tags)? else {
        return Ok(None);
    };
    let found = number(value.text).map(|n| n.value).ok_or_else(|| {
        Error::input(format!(
            "line {}: {}: {} is not a number greater than zero",
            value.line,
            tags[0],
            shown(value.text)
        ))
    });
    found.map(Some)
}

/// Checks that Cartesian coordinates have their axes where the cell's vectors (rows, angstrom) are taken
/// to be: a along x, b in the plane of x and y. Files may say where: `matrix(k, l)` and `inverse(k, l)`
/// are tags, counted from 1, of the matrix from fractional to Cartesian coordinates and of its inverse.
///
/// # Errors
/// The axes are others.
pub(super) fn check_axes(
    block: &Block,
    vectors: &Mat3,
    [matrix, inverse]: [&dyn Fn(usize, usize) -> String; 2],
) -> Result<()> {
    /// Matrices are printed with six decimals; axes that are others differ by a good part of an edge.
    const PRINTED: f64 = 0.01;
    let read = |tag: &dyn Fn(usize, usize) -> String| -> Result<Option<Mat3>> {
        let mut found = Mat3::zeros();
        for k in 0..3 {
            for l in 0..3 {
                let tag = tag(k + 1, l + 1);
                match measure(block, &[&tag])? {
                    Some(value) => found[(k, l)] = value,
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(found))
    };
    let standard = vectors.transpose();
    let to_fractional = match (read(matrix)?, read(inverse)?) {
        (Some(matrix), _) => matrix.try_inverse(),
        (None, Some(inverse)) => Some(inverse),
        (None, None) => return Ok(()),
    };
    let fits = to_fractional.is_some_and(|m| (m * standard - Mat3::identity()).amax() < PRINTED);
    if fits {
        return Ok(());
    }
    Err(Error::input(
        "its matrix from fractional to Cartesian coordinates (_atom_sites) does not put a along x and b in \
         the plane of x and y, as is taken here; write the structure with fractional coordinates, or \
         without that matrix in the usual axes",
    ))
}
