//! What crystals in CIF and molecules in mmCIF have in common: the cell, its axes, coordinates and occupancies.

use super::labels::{WHOLE, partly_occupied};
use super::lattice::triclinic;
use super::star::{DataBlock, StarValue, TagColumn, number, shown};
use crate::core::Mat3;
use crate::{Error, Result};

/// Adds the line to a fault.
pub(super) fn at_line(line: u32) -> impl Fn(Error) -> Error {
    move |e: Error| e.within(format!("line {line}"))
}

/// The number in a row of a column.
///
/// # Errors
/// There is none, or another word. Messages name the line.
pub(super) fn coordinate(
    block: &DataBlock,
    column: TagColumn,
    row: usize,
    atom: &str,
) -> Result<f64> {
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
pub(super) fn check_occupancy(value: StarValue) -> Result<()> {
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
pub(super) fn cell(block: &DataBlock, notes: &mut Vec<String>) -> Result<Option<Mat3>> {
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
fn measure(block: &DataBlock, tags: &[&str]) -> Result<Option<f64>> {
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
    block: &DataBlock,
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
