//! GROMACS `.gro`, by its fixed columns.
//!
//! <https://manual.gromacs.org/current/reference-manual/file-formats.html#gro>. Numbers have as many decimals
//! as the distance between their points tells, and velocities the same width; lengths are in nanometres.
//! There are no elements: names tell them.

use super::fields::{ascii, columns, number, shorten};
use super::labels::element_of_name;
use super::structure::{Structure, Wanted};
use crate::core::{AtomName, Mat3, Vec3};
use crate::units::ANGSTROM_PER_PS;
use crate::{Error, Result};

/// Angstrom in a nanometre.
const NANOMETRE: f64 = 10.0;

/// Column (from 0) after the names, where numbers begin.
const NUMBERS: usize = 20;

/// One frame: number of its first line (from 1), the lines of its atoms, and that of its box.
struct GroFrame<'t> {
    line: usize,
    rows: &'t [&'t str],
    cell: &'t str,
}

/// Reads frames of a `.gro` file.
///
/// # Errors
/// The file is cut short, a line's columns cannot be what they should be, or an element cannot be told.
/// Messages begin with `line N`.
pub(super) fn read(text: &str, wanted: Wanted) -> Result<Vec<Structure>> {
    let text = ascii(text);
    let lines: Vec<&str> = text.lines().collect();
    let frames = split(&lines)?;
    wanted.read(frames.len(), |k| of_frame(&frames[k]))
}

/// Reads one frame.
fn of_frame(frame: &GroFrame<'_>) -> Result<Structure> {
    let mut structure = Structure::default();
    let (mut names, mut velocities) = (Vec::new(), Vec::new());
    for (k, row) in frame.rows.iter().enumerate() {
        let at_line = |e: Error| e.within(format!("line {}", frame.line + 2 + k));
        let name = name(row, names.last()).map_err(at_line)?;
        let (position, velocity) = numbers(row).map_err(at_line)?;
        let element = element_of_name(&name.atom, &name.residue)
            .map_err(|why| at_line(nameless(&name, &why)))?;
        structure.push(element, position);
        velocities.extend(velocity);
        names.push(name);
        if !velocities.is_empty() && velocities.len() != names.len() {
            return Err(at_line(Error::input(
                "velocities are on some lines, not on all",
            )));
        }
    }
    structure.names = Some(names);
    // Programs without velocities write zeros.
    let moving = velocities.iter().any(|v| *v != Vec3::zeros());
    structure.velocities = moving.then_some(velocities);
    let at_box = frame.line + 2 + frame.rows.len();
    let cell = cell(frame.cell).map_err(|e| e.within(format!("line {at_box}: the box")))?;
    structure.set_cell(cell);
    Ok(structure)
}

/// Cuts the lines into frames: a title, a number of atoms, their lines, and a box.
fn split<'t>(lines: &'t [&'t str]) -> Result<Vec<GroFrame<'t>>> {
    let end = (lines.iter().rposition(|l| !l.trim().is_empty())).map_or(0, |last| last + 1);
    let mut frames = Vec::new();
    let mut at = 0;
    while at < end {
        let line = at + 1;
        let count = lines[..end].get(at + 1).map_or("", |l| l.trim());
        let atoms: usize = count.parse().map_err(|_| {
            Error::input(format!(
                "line {}: {:?} is not a number of atoms, as it stands after a title",
                line + 1,
                shorten(count)
            ))
        })?;
        let left = end - (at + 2);
        if atoms >= left {
            return Err(Error::input(format!(
                "line {}: {atoms} atoms and a box are announced but {left} lines follow; the file is cut \
                 short, or the number is wrong",
                line + 1
            )));
        }
        if atoms == 0 {
            return Err(Error::input(format!(
                "line {}: a frame of 0 atoms",
                line + 1
            )));
        }
        let first = at + 2;
        frames.push(GroFrame {
            line,
            rows: &lines[first..first + atoms],
            cell: lines[first + atoms],
        });
        at = first + atoms + 1;
    }
    Ok(frames)
}

/// What the line calls its atom. Numbers of residues start again at 0 after 99999; those that do not fit
/// are stars.
fn name(row: &str, last: Option<&AtomName>) -> Result<AtomName> {
    let text = |from, to| columns(row, from, to).trim();
    let field = text(1, 5);
    let number = match field.parse() {
        Ok(number) => number,
        Err(_) if field.bytes().all(|b| b == b'*') => last.map_or(0, |l| l.number),
        Err(_) => {
            return Err(Error::input(format!(
                "columns 1 to 5 hold {field:?}, which is no residue's number; are the columns shifted?"
            )));
        }
    };
    Ok(AtomName {
        atom: text(11, 15).to_owned(),
        residue: text(6, 10).to_owned(),
        number,
        ..AtomName::default()
    })
}

/// What to say of an atom whose name tells no element.
fn nameless(name: &AtomName, why: &str) -> Error {
    Error::input(format!(
        "the element cannot be told from the name {:?} in residue {:?}: {why}; use a format with elements, \
         such as XYZ, or PDB with columns 77 and 78",
        name.atom, name.residue
    ))
}

/// Position (angstrom) and, where there is one, velocity (angstrom / time).
fn numbers(row: &str) -> Result<(Vec3, Option<Vec3>)> {
    let points: Vec<usize> = (row.bytes().enumerate().skip(NUMBERS))
        .filter(|(_, b)| *b == b'.')
        .map(|(at, _)| at)
        .take(3)
        .collect();
    let [x, y, z] = points[..] else {
        return Err(Error::input(format!(
            "three coordinates with decimal points are wanted from column {} on",
            NUMBERS + 1
        )));
    };
    let width = y - x;
    if z - y != width {
        return Err(Error::input(
            "the decimal points of the coordinates are not equally far apart, as they are in fixed columns; \
             is a number too wide for them?",
        ));
    }
    let point = x - NUMBERS;
    let field = |k: usize, what: &str| {
        let from = NUMBERS + k * width;
        let place = (from + 1, from + width);
        let text = columns(row, place.0, place.1);
        let digits = text.trim().trim_start_matches('-').as_bytes();
        let overrun = matches!(digits, [b'0', second, ..] if second.is_ascii_digit());
        // Velocities have a decimal more, as a rule.
        let aligned = match k {
            0..3 => text.find('.') == Some(point),
            _ => text.matches('.').count() == 1,
        };
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() && aligned && !overrun => Ok(number),
            _ => Err(Error::input(format!(
                "columns {} to {} ({what}) hold {text:?}, which is no number in its columns; are they \
                 shifted, or is a number too wide for them?",
                place.0, place.1
            ))),
        }
    };
    let vector = |first: usize, what: [&str; 3]| -> Result<Vec3> {
        Ok(Vec3::new(
            field(first, what[0])?,
            field(first + 1, what[1])?,
            field(first + 2, what[2])?,
        ))
    };
    let position = vector(0, ["x", "y", "z"])? * NANOMETRE;
    let rest = columns(row, NUMBERS + 3 * width + 1, row.len());
    if rest.trim().is_empty() {
        return Ok((position, None));
    }
    let velocity = vector(
        3,
        ["velocity along x", "velocity along y", "velocity along z"],
    )?;
    Ok((position, Some(velocity * NANOMETRE * ANGSTROM_PER_PS)))
}

/// Lattice vectors as rows (angstrom): three edges, or nine numbers v1(x) v2(y) v3(z) v1(y) v1(z) v2(x)
/// v2(z) v3(x) v3(y). Zeros mean that there are none.
fn cell(line: &str) -> Result<Option<Mat3>> {
    let numbers = box_numbers(line)?;
    let mut rows = Mat3::zeros();
    for (k, edge) in numbers.iter().take(3).enumerate() {
        rows[(k, k)] = edge * NANOMETRE;
    }
    const PLACES: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)];
    for (number, (k, c)) in numbers.iter().skip(3).zip(PLACES) {
        if c > k && *number != 0.0 {
            return Err(Error::input(format!(
                "v{}({}) is {number}: the first vector is along x, and the second in the plane of x and y",
                k + 1,
                ["x", "y", "z"][c]
            )));
        }
        rows[(k, c)] = number * NANOMETRE;
    }
    if rows == Mat3::zeros() {
        return Ok(None);
    }
    match (0..3).all(|k| rows[(k, k)] > 0.0) {
        true => Ok(Some(rows)),
        false => Err(Error::input(format!(
            "edges of {}, {} and {} nm make no cell",
            numbers[0], numbers[1], numbers[2]
        ))),
    }
}

/// Three or nine numbers. Where they fill their columns no blanks are between them: they are cut after
/// as many decimals as the last one has.
fn box_numbers(line: &str) -> Result<Vec<f64>> {
    let parse = |words: &[&str]| -> Option<Vec<f64>> {
        let numbers = words.iter().map(|w| number(w, "").ok());
        let numbers: Vec<f64> = numbers.collect::<Option<_>>()?;
        matches!(numbers.len(), 3 | 9).then_some(numbers)
    };
    let words: Vec<&str> = line.split_whitespace().take(10).collect();
    parse(&words)
        .or_else(|| parse(&cut_by_decimals(line.trim_end())?))
        .ok_or_else(|| {
            Error::input(format!(
                "{:?} is not three or nine numbers (nm)",
                shorten(line.trim())
            ))
        })
}

/// Cuts a line of numbers of equally many decimals.
fn cut_by_decimals(line: &str) -> Option<Vec<&str>> {
    let decimals = line.len() - line.rfind('.')? - 1;
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(point) = rest.find('.') {
        let (word, after) = rest.split_at_checked(point + 1 + decimals)?;
        // A number that touches the one before is one that fills its columns.
        if !words.is_empty() && word.starts_with(|c: char| c.is_ascii_digit()) && point < 2 {
            return None;
        }
        words.push(word.trim_start());
        rest = after;
    }
    (rest.is_empty() && words.len() <= 9).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers_of(line: &str) -> Option<Vec<f64>> {
        box_numbers(line).ok()
    }

    #[test]
    fn boxes_whose_numbers_touch_are_cut_by_their_decimals() {
        assert_eq!(numbers_of(" 1.0 2 3e0"), Some(vec![1.0, 2.0, 3.0]));
        assert_eq!(
            numbers_of("40000.0000040000.00000 9000.00000"),
            Some(vec![40_000.0, 40_000.0, 9_000.0])
        );
        let nine =
            "  5.00000  5.00000  5.00000  0.00000  0.00000-10000.00000  0.00000  1.00000  1.00000";
        assert_eq!(
            numbers_of(nine),
            Some(vec![5.0, 5.0, 5.0, 0.0, 0.0, -10_000.0, 0.0, 1.0, 1.0])
        );
        for bad in [
            "",
            "1 2",
            "1 2 3 4",
            "1.0 2.0 x",
            "1.000002.0000",
            "10.000010.000010.00000",
            "nan nan nan",
            "1.00000 2.00000",
        ] {
            assert_eq!(numbers_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn vectors_that_gromacs_cannot_have_are_refused() {
        let message = |line: &str| cell(line).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message("1 1 1 0.5 0 0 0 0 0").starts_with("v1(y) is 0.5"));
        assert!(message("1 1 1 0 0.5 0 0 0 0").starts_with("v1(z) is 0.5"));
        assert!(message("1 1 1 0 0 0 0.5 0 0").starts_with("v2(z) is 0.5"));
        assert!(message("1 1 0").contains("make no cell"));
        assert!(message("-1 1 1").contains("make no cell"));
        assert_eq!(cell("0 0 0").ok(), Some(None));
        let skewed = cell("1 2 3 0 0 0.1 0 0.2 0.3").ok().flatten();
        assert_eq!(
            skewed,
            Some(Mat3::new(10.0, 0.0, 0.0, 1.0, 20.0, 0.0, 2.0, 3.0, 30.0))
        );
    }
}
