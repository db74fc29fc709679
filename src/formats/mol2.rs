//! Tripos MOL2.
//!
//! Format: "Tripos Mol2 File Format", SYBYL 7.1 (2005). Records begin with `@<TRIPOS>` and their name; of
//! them MOLECULE, ATOM and CRYSIN are read here. Values are words between blanks; `\` at the end of a line
//! continues it; lines that begin with `#` are comments. Which elements the atoms' types mean, of Tripos or
//! of a force field, is told in `types`.

mod types;

use super::fields::{ascii, number, shorten};
use super::lattice::{real_cell, triclinic};
use super::structure::{Structure, Wanted};
use crate::core::{AtomName, Mat3, Vec3};
use crate::{Error, Result};
use types::{TypedAtom, elements};

/// A line of values and its number, from 1.
type NumberedWords<'t> = (usize, Vec<&'t str>);

/// The records of one molecule.
struct Molecule<'t> {
    /// Line of its first record.
    line: usize,
    /// Lines of MOLECULE, which tell by their place; blank ones count.
    head: Vec<&'t str>,
    atoms: Vec<NumberedWords<'t>>,
    cell: Vec<NumberedWords<'t>>,
}

/// Reads molecules of a MOL2 file.
///
/// # Errors
/// The file is cut short, a line has too few values or wrong ones, or an element cannot be told.
pub(super) fn read(text: &str, wanted: Wanted) -> Result<Vec<Structure>> {
    let text = ascii(text);
    let lines: Vec<&str> = text.lines().collect();
    let starts: Vec<usize> = (lines.iter().enumerate())
        .filter(|(_, line)| record(line) == Some("MOLECULE"))
        .map(|(k, _)| k)
        .collect();
    if starts.is_empty() {
        return Err(Error::input(
            "there is no molecule (@<TRIPOS>MOLECULE) in it",
        ));
    }
    wanted.read(starts.len(), |which| {
        let end = starts.get(which + 1).copied().unwrap_or(lines.len());
        of_molecule(&molecule(&lines, starts[which]..end))
    })
}

/// Makes a structure of one molecule.
fn of_molecule(molecule: &Molecule<'_>) -> Result<Structure> {
    let mut structure = atoms(molecule)?;
    if let Some((line, words)) = molecule.cell.first() {
        let cell = cell(words).map_err(|e| e.within(format!("line {line}: CRYSIN")))?;
        structure.set_cell(cell);
        structure
            .notes
            .extend(cell.and_then(|_| symmetry_note(words)));
    }
    Ok(structure)
}

/// The name of the record that begins in a line.
fn record(line: &str) -> Option<&str> {
    line.trim().strip_prefix("@<TRIPOS>").map(str::trim)
}

/// Sorts the lines of a molecule by record.
fn molecule<'t>(lines: &[&'t str], range: std::ops::Range<usize>) -> Molecule<'t> {
    let mut molecule = Molecule {
        line: range.start + 1,
        head: Vec::new(),
        atoms: Vec::new(),
        cell: Vec::new(),
    };
    let mut current = "";
    // The number of the line that goes on in the next one, and its words.
    let mut begun: Option<NumberedWords<'t>> = None;
    for k in range {
        let line = lines[k];
        if let Some(name) = record(line) {
            current = name;
            begun = None;
            continue;
        }
        if current == "MOLECULE" {
            molecule.head.push(line);
            continue;
        }
        if line.trim_start().starts_with('#') {
            continue;
        }
        let (content, goes_on) = match line.trim_end().strip_suffix('\\') {
            Some(content) => (content, true),
            None => (line, false),
        };
        let mut row = begun.take().unwrap_or((k + 1, Vec::new()));
        row.1.extend(content.split_whitespace());
        if goes_on {
            begun = Some(row);
            continue;
        }
        match current {
            _ if row.1.is_empty() => {}
            "ATOM" => molecule.atoms.push(row),
            "CRYSIN" => molecule.cell.push(row),
            _ => {}
        }
    }
    molecule
}

/// The atoms of a molecule, as many as it says that there are.
fn atoms(molecule: &Molecule<'_>) -> Result<Structure> {
    // Comments may stand before the name.
    let mut head = molecule
        .head
        .iter()
        .enumerate()
        .filter(|(_, l)| !l.starts_with('#'));
    let counts = head.nth(1);
    let line = molecule.line + 1 + counts.map_or(1, |(k, _)| k);
    let word = counts.and_then(|(_, l)| l.split_whitespace().next());
    let announced: usize = word.and_then(|w| w.parse().ok()).ok_or_else(|| {
        Error::input(format!(
            "line {line}: a number of atoms is wanted, in the second line after @<TRIPOS>MOLECULE"
        ))
    })?;
    let found = molecule.atoms.len();
    if announced != found {
        return Err(Error::input(format!(
            "line {line}: {announced} atoms are announced but {found} are there; the file is cut short, or \
             the number is wrong"
        )));
    }
    let mut names = Vec::with_capacity(found);
    let mut positions = Vec::with_capacity(found);
    let mut labels = Vec::with_capacity(found);
    for (line, words) in &molecule.atoms {
        let (name, position, kind) = atom(words).map_err(|e| e.within(format!("line {line}")))?;
        labels.push(TypedAtom {
            line: *line,
            kind,
            name: words[1],
            residue: name.residue.clone(),
        });
        names.push(name);
        positions.push(position);
    }
    let (found, note) = elements(&labels)?;
    let mut structure = Structure::default();
    for (element, position) in found.into_iter().zip(positions) {
        structure.push(element, position);
    }
    structure.notes.extend(note);
    let named = names.iter().any(|n| !n.residue.is_empty());
    structure.names = named.then_some(names);
    Ok(structure)
}

/// Name, position (angstrom) and type of an atom: its number, name, x, y, z, type, and perhaps number and
/// name of its substructure, charge and bits.
fn atom<'t>(words: &[&'t str]) -> Result<(AtomName, Vec3, &'t str)> {
    let [_, name, x, y, z, kind, rest @ ..] = words else {
        return Err(Error::input(format!(
            "{} values, six at least are wanted: number, name, x, y, z and type of an atom",
            words.len()
        )));
    };
    let position = Vec3::new(number(x, "x")?, number(y, "y")?, number(z, "z")?);
    let number = rest.first().and_then(|w| w.parse().ok());
    let residue = rest.get(1).copied().unwrap_or_default();
    // Names of substructures end with their number, by custom: ALA12.
    let bare = number.and_then(|n: i32| residue.strip_suffix(n.to_string().as_str()));
    let bare = bare.filter(|b| b.len() >= 2);
    let residue = match residue {
        "****" | "<0>" | "<1>" => "",
        _ => bare.unwrap_or(residue),
    };
    let name = AtomName {
        atom: (*name).to_owned(),
        residue: residue.to_owned(),
        number: number.unwrap_or(0),
        ..AtomName::default()
    };
    Ok((name, position, kind))
}

/// Lattice vectors as rows (angstrom); `None` where the edges mean that there are none.
fn cell(words: &[&str]) -> Result<Option<Mat3>> {
    let [a, b, c, alpha, beta, gamma, ..] = words else {
        return Err(Error::input("three edges and three angles are wanted"));
    };
    let edges = [number(a, "a")?, number(b, "b")?, number(c, "c")?];
    let angles = [
        number(alpha, "alpha")?,
        number(beta, "beta")?,
        number(gamma, "gamma")?,
    ];
    if edges == [0.0; 3] {
        return Ok(None);
    }
    if !edges.iter().all(|edge| *edge > 0.0) {
        let [a, b, c] = edges;
        return Err(Error::input(format!(
            "edges of {a}, {b} and {c} A make no cell"
        )));
    }
    Ok(real_cell(triclinic(edges, angles)?))
}

/// What to say of a crystal whose other copies are not in the file. The space group is given by its number.
fn symmetry_note(words: &[&str]) -> Option<String> {
    let group = words.get(6)?;
    (*group != "1").then(|| {
        format!(
            "CRYSIN names the space group {}, whose copies of the atoms are not made: the cell holds the \
             atoms in the file alone",
            shorten(group)
        )
    })
}
