//! MDL molfiles (`.mol`) and SD files (`.sdf`), V2000 and V3000.
//!
//! Format: "CTfile Formats", BIOVIA (2020). V2000 has fixed columns; V3000 has words after `M  V30`. Bonds and
//! data items are of no use here.

mod v3000;

use super::fields::{ascii, columns, coordinate, shorten};
use super::isotopes::{isotope_mass, usual_mass_number};
use super::labels::{charge_note, flat_note};
use super::structure::{Structure, Wanted};
use crate::core::{FormalElectrons, Vec3, elements};
use crate::{Error, Result};

/// Lines of a molecule before its atoms: name, program, comment, counts.
const HEADER: usize = 4;

/// Codes of atoms with one and with two unpaired electrons; 1 is a carbene's pair.
const DOUBLET: i64 = 2;
const TRIPLET: i64 = 3;

/// What is read of a molecule's atoms, whichever version it is of.
#[derive(Default)]
struct Atoms {
    structure: Structure,
    /// Formal charge of each atom.
    charges: Vec<i64>,
    /// Atoms with unpaired electrons.
    radicals: Vec<usize>,
}

/// Reads molecules of a molfile or SD file.
///
/// # Errors
/// The file is cut short, a line has not what it should, or an atom is no element (a query, a group).
pub(super) fn read(text: &str, wanted: Wanted) -> Result<Vec<Structure>> {
    let text = ascii(text);
    let lines: Vec<&str> = text.lines().collect();
    let molecules = split(&lines);
    wanted.read(molecules.len(), |k| {
        let (start, end) = molecules[k];
        of_molecule(&lines[start..end], start)
    })
}

/// Reads the lines of one molecule, the first of which is `start`, counted from 0.
fn of_molecule(molecule: &[&str], start: usize) -> Result<Structure> {
    let counts = molecule.get(HEADER - 1).copied().unwrap_or_default();
    let mut atoms = match counts.contains("V3000") {
        true => v3000::read(molecule, start)?,
        false => v2000(molecule, start)?,
    };
    let notes = charge_note(atoms.charges.iter().sum())
        .into_iter()
        .chain(flat_note(
            columns(molecule[1], 21, 22),
            &atoms.structure.positions,
        ));
    atoms.structure.notes.extend(notes);
    atoms.structure.electrons = FormalElectrons {
        radicals: atoms.radicals,
        ..FormalElectrons::of_charges(atoms.charges)
    };
    Ok(atoms.structure)
}

/// First line and end of each molecule; `$$$$` ends one, and after the last only blank lines may stand.
fn split(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = 0;
    for (k, line) in lines.iter().enumerate() {
        if line.starts_with("$$$$") {
            found.push((start, k));
            start = k + 1;
        }
    }
    if found.is_empty() || lines[start..].iter().any(|l| !l.trim().is_empty()) {
        found.push((start, lines.len()));
    }
    found
}

/// Reads the atoms of a V2000 molecule, whose first line is `start`, counted from 0.
fn v2000(molecule: &[&str], start: usize) -> Result<Atoms> {
    let counts = molecule.get(HEADER - 1).copied().unwrap_or_default();
    let count = |from, to| columns(counts, from, to).trim().parse::<usize>().ok();
    let at = |k: usize| format!("line {}", start + k + 1);
    let (Some(announced), Some(_)) = (count(1, 3), count(4, 6)) else {
        return Err(Error::input(format!(
            "{}: numbers of atoms and bonds are wanted, in three columns each",
            at(HEADER - 1)
        )));
    };
    let rows = molecule.get(HEADER..HEADER + announced).ok_or_else(|| {
        Error::input(format!(
            "{}: {announced} atoms are announced but {} lines follow; the file is cut short, or the number \
             is wrong",
            at(HEADER - 1),
            molecule.len() - HEADER
        ))
    })?;
    let mut atoms = Atoms::default();
    let mut isotopes = Vec::with_capacity(announced);
    for (k, row) in rows.iter().enumerate() {
        let shift = atom(row, &mut atoms).map_err(|e| e.within(at(HEADER + k)))?;
        isotopes.push(shift);
    }
    let rest = &molecule[HEADER + announced..];
    let properties =
        Properties::of(rest, announced).map_err(|(k, e)| e.within(at(HEADER + announced + k)))?;
    if let Some(charges) = properties.charges {
        atoms.charges = charges;
        atoms.radicals = properties.radicals;
    }
    // Absolute mass numbers replace all differences.
    let masses = properties.isotopes.unwrap_or_else(|| {
        (atoms.structure.species.iter().zip(isotopes))
            .map(|(z, shift)| (shift != 0).then(|| usual_mass_number(*z) + shift))
            .collect()
    });
    for (k, mass) in masses.into_iter().enumerate() {
        if let Some(mass) = mass {
            (atoms.set_isotope(k, mass)).map_err(|e| e.within(at(HEADER + k)))?;
        }
    }
    Ok(atoms)
}

/// Adds the atom of one line, and gives its difference from the usual mass number.
fn atom(row: &str, atoms: &mut Atoms) -> Result<i64> {
    let position = Vec3::new(
        coordinate(row, "x", (1, 10))?,
        coordinate(row, "y", (11, 20))?,
        coordinate(row, "z", (21, 30))?,
    );
    let symbol = columns(row, 31, 34).trim();
    atoms.push(symbol, position)?;
    let small = |what: &str, (from, to): (usize, usize)| {
        let field = columns(row, from, to).trim();
        match field {
            "" => Ok(0),
            _ => field.parse::<i64>().map_err(|_| {
                Error::input(format!(
                    "columns {from} to {to} ({what}) hold {field:?}, which is no whole number"
                ))
            }),
        }
    };
    // 1 to 7 stand for +3 to -3, but 4, which is a radical of one electron.
    let code = small("charge", (37, 39))?;
    if !(0..=7).contains(&code) {
        return Err(Error::input(format!(
            "columns 37 to 39 (charge) hold {code}; 0 to 7 are wanted"
        )));
    }
    if code == 4 {
        atoms.radicals.push(atoms.charges.len());
    }
    atoms.charges.push(if code == 0 { 0 } else { 4 - code });
    small("mass difference", (35, 36))
}

/// Properties of a molecule that replace what its atoms' lines say.
#[derive(Default)]
struct Properties {
    charges: Option<Vec<i64>>,
    /// Atoms with unpaired electrons.
    radicals: Vec<usize>,
    isotopes: Option<Vec<Option<i64>>>,
}

impl Properties {
    /// Reads `M  CHG`, `M  RAD` and `M  ISO`. Errors come with the line's place in `lines`.
    fn of(lines: &[&str], atoms: usize) -> Result<Self, (usize, Error)> {
        let mut all = Self::default();
        for (k, line) in lines.iter().enumerate() {
            match columns(line, 1, 6) {
                "M  END" => break,
                "M  CHG" | "M  RAD" => {
                    // Either replaces charges and radicals of the atoms' lines.
                    let charges = all.charges.get_or_insert_with(|| vec![0; atoms]);
                    for (atom, value) in pairs(line, atoms).map_err(|e| (k, e))? {
                        match (line.starts_with("M  CHG"), value) {
                            (true, charge) => charges[atom] = charge,
                            (false, DOUBLET | TRIPLET) => all.radicals.push(atom),
                            (false, _) => {}
                        }
                    }
                }
                "M  ISO" => {
                    let isotopes = all.isotopes.get_or_insert_with(|| vec![None; atoms]);
                    for (atom, value) in pairs(line, atoms).map_err(|e| (k, e))? {
                        isotopes[atom] = Some(value);
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }
}

/// Atoms (from 0) and values of a property line: a count, then as many pairs.
fn pairs(line: &str, atoms: usize) -> Result<Vec<(usize, i64)>> {
    let words: Vec<i64> = (columns(line, 7, line.len()).split_whitespace())
        .map(|w| w.parse().ok())
        .collect::<Option<_>>()
        .unwrap_or_default();
    let fault = || {
        Error::input(format!(
            "{:?} is not a number of pairs and as many pairs of an atom's number and a value",
            shorten(line)
        ))
    };
    let (count, values) = words.split_first().ok_or_else(fault)?;
    if usize::try_from(*count) != Ok(values.len() / 2) || !values.len().is_multiple_of(2) {
        return Err(fault());
    }
    (values.chunks(2))
        .map(|pair| {
            let atom = usize::try_from(pair[0] - 1).ok().filter(|k| *k < atoms);
            atom.map(|k| (k, pair[1])).ok_or_else(fault)
        })
        .collect()
}

impl Atoms {
    /// Adds an atom of a symbol, at a position (angstrom).
    fn push(&mut self, symbol: &str, position: Vec3) -> Result<()> {
        let element = elements::number_and_mass(symbol).ok_or_else(|| {
            Error::input(match symbol {
                "A" | "Q" | "X" | "M" | "AH" | "QH" | "XH" | "MH" | "*" | "L" | "LP" | "R" | "R#" => {
                    format!("{symbol:?} stands for a choice of atoms or a group, not for an element; put atoms in its place")
                }
                _ => format!("{:?} is not an element's symbol", shorten(symbol)),
            })
        })?;
        self.structure.push(element, position);
        Ok(())
    }

    /// Gives an atom the mass of an isotope.
    fn set_isotope(&mut self, atom: usize, mass_number: i64) -> Result<()> {
        let z = self.structure.species[atom];
        let (mass, note) = isotope_mass(z, mass_number)?;
        self.structure.masses[atom] = mass;
        if note {
            let symbol = elements::symbol(z);
            let note = format!("isotope {mass_number} of {symbol} is given the mass {mass} u");
            if !self.structure.notes.contains(&note) && self.structure.notes.len() < 8 {
                self.structure.notes.push(note);
            }
        }
        Ok(())
    }
}
