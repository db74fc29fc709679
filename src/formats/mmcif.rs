//! mmCIF (PDBx), the `_atom_site` table and the cell of it.
//!
//! <https://mmcif.wwpdb.org/docs/tutorials/content/atomic-description.html>. chemfiles 0.10 has a
//! reader, but it reads beyond its arrays where a column that it looks for is not there.

use std::path::PathBuf;

use super::labels::{alternate_location, element_of_type};
use super::lattice::{real_cell, triclinic};
use super::structure::{Structure, pick};
use crate::core::{Mat3, Vec3};
use crate::{Error, Result};

/// One row of `_atom_site`.
struct Atom {
    model: String,
    /// Atomic number and mass (u).
    element: (u8, f64),
    position: Vec3,
}

/// Reads one model (negative: from the end) of an mmCIF file.
///
/// # Errors
/// No atom table, a column that is missing, a row that is cut short, or no such model.
pub(super) fn read(text: &str, wanted: i64) -> Result<Structure> {
    let atoms = atoms(text)?;
    let mut models: Vec<&str> = Vec::new();
    for atom in &atoms {
        if !models.contains(&atom.model.as_str()) {
            models.push(&atom.model);
        }
    }
    let model = models[pick(wanted, models.len())?];
    let chosen = || atoms.iter().filter(|a| a.model == model);
    let vectors = cell(text)?.and_then(real_cell);
    Ok(Structure {
        path: PathBuf::new(),
        species: chosen().map(|a| a.element.0).collect(),
        masses: chosen().map(|a| a.element.1).collect(),
        positions: chosen().map(|a| a.position).collect(),
        names: None,
        velocities: None,
        vectors,
        noise: None,
        periodic: [vectors.is_some(); 3],
        frames: models.len(),
        notes: Vec::new(),
    })
}

/// Whether a line goes on with the values of a table.
fn is_row(line: &str) -> bool {
    let line = line.trim();
    !(line.is_empty()
        || line.starts_with(['#', '_'])
        || line.starts_with("loop_")
        || line.starts_with("data_"))
}

/// The rows of `_atom_site`, of all models.
fn atoms(text: &str) -> Result<Vec<Atom>> {
    const TABLE: &str = "_atom_site.";
    let lines: Vec<&str> = text.lines().collect();
    let header = lines.iter().position(|l| l.trim().starts_with(TABLE));
    let header =
        header.ok_or_else(|| Error::input("there is no table of atoms (_atom_site) in it"))?;
    let names: Vec<&str> = lines[header..]
        .iter()
        .map_while(|l| l.trim().strip_prefix(TABLE).map(str::trim))
        .collect();
    let column = |name: &str| names.iter().position(|n| *n == name);
    let needed = |name: &str| {
        column(name).ok_or_else(|| Error::input(format!("there is no column {TABLE}{name} in it")))
    };
    let symbol = needed("type_symbol")?;
    let position = [needed("Cartn_x")?, needed("Cartn_y")?, needed("Cartn_z")?];
    let (model, alternate) = (column("pdbx_PDB_model_num"), column("label_alt_id"));
    let start = header + names.len();
    let mut atoms = Vec::new();
    for (k, line) in lines[start..].iter().take_while(|l| is_row(l)).enumerate() {
        let fault = |message: String| Error::input(format!("line {}: {message}", start + k + 1));
        let words = words(line);
        if words.len() != names.len() {
            let (has, wants) = (words.len(), names.len());
            return Err(fault(format!(
                "{has} values for {wants} columns; the file is cut short or damaged"
            )));
        }
        if let Some(label) = alternate
            .map(|c| words[c])
            .filter(|l| !matches!(*l, "." | "?" | "A"))
        {
            return Err(fault(alternate_location(label)));
        }
        let element = element_of_type(words[symbol])
            .ok_or_else(|| fault(format!("{:?} is not an element's symbol", words[symbol])))?;
        let number = |c: usize| {
            number(words[c]).ok_or_else(|| fault(format!("{:?} is not a coordinate", words[c])))
        };
        atoms.push(Atom {
            model: model.map_or("", |c| words[c]).to_owned(),
            element,
            position: Vec3::new(
                number(position[0])?,
                number(position[1])?,
                number(position[2])?,
            ),
        });
    }
    if atoms.is_empty() {
        return Err(Error::input("there are no atoms in it"));
    }
    Ok(atoms)
}

/// A number, its standard uncertainty in parentheses taken away: 1.234(5).
fn number(word: &str) -> Option<f64> {
    word.split('(').next()?.parse().ok()
}

/// Values of a line; those with blanks are in quotes, which close before a blank.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        let quoted = matches!(first, '"' | '\'').then(|| {
            let inner = &rest[1..];
            let closes = |at: &usize| {
                inner[at + 1..]
                    .chars()
                    .next()
                    .is_none_or(char::is_whitespace)
            };
            let end = inner.match_indices(first).map(|m| m.0).find(closes);
            end.map(|end| (&inner[..end], &inner[end + 1..]))
        });
        let (word, after) = quoted
            .flatten()
            .unwrap_or_else(|| rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())));
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// Lattice vectors as rows (angstrom), if the file has a cell.
fn cell(text: &str) -> Result<Option<Mat3>> {
    let names = [
        "length_a",
        "length_b",
        "length_c",
        "angle_alpha",
        "angle_beta",
        "angle_gamma",
    ];
    let mut values = [0.0; 6];
    for (slot, name) in values.iter_mut().zip(names) {
        let word = text.lines().find_map(|l| {
            let rest = l.trim_start().strip_prefix("_cell.")?.strip_prefix(name)?;
            rest.starts_with(char::is_whitespace).then_some(rest.trim())
        });
        let Some(word) = word.filter(|w| !matches!(*w, "?" | ".")) else {
            return Ok(None);
        };
        *slot = number(word).filter(|x| *x > 0.0).ok_or_else(|| {
            Error::input(format!(
                "_cell.{name}: {word:?} is not a number greater than zero"
            ))
        })?;
    }
    let [a, b, c, alpha, beta, gamma] = values;
    triclinic([a, b, c], [alpha, beta, gamma]).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_values_may_hold_quotes_and_blanks() {
        assert_eq!(
            words("A \"O5'\" 'N 1' 2.5(3) ''"),
            ["A", "O5'", "N 1", "2.5(3)", ""]
        );
        assert_eq!(words("'open"), ["'open"]);
    }
}
