//! PDB, by its fixed columns.
//!
//! Version 3.3 of the format (<https://www.wwpdb.org/documentation/file-format>), and what programs make
//! of it: numbers of atoms and residues beyond the columns (hybrid-36, hexadecimal), residues of four
//! letters, frames ended by `END`, lines without elements, occupancies of zero.

use std::collections::HashSet;
use std::ops::Range;

use super::fields::{ascii, columns, coordinate, residue_number, shorten};
use super::labels::{
    WHOLE, alternate_location, charge_note, element_of_pdb_name, element_of_type, partly_occupied,
    unoccupied_note,
};
use super::lattice::{real_cell, triclinic};
use super::structure::{Structure, Wanted};
use crate::core::{AtomName, FormalElectrons, Mat3, Vec3};
use crate::{Error, Result};

/// A line and its number, from 1.
type Line<'t> = (usize, &'t str);

/// The atoms of a file and where its frames begin and end.
#[derive(Default)]
struct File<'t> {
    atoms: Vec<Line<'t>>,
    frames: Vec<PdbFrame<'t>>,
}

/// Atoms of one frame, the cell that holds for them, and the line that ended it.
struct PdbFrame<'t> {
    atoms: Range<usize>,
    cell: Option<Line<'t>>,
    end: usize,
}

/// Reads frames of a PDB file.
///
/// # Errors
/// No atoms, a line whose columns cannot be what they should be, or an atom that is there in part or in
/// several places. Messages begin with `line N`.
pub(super) fn read(text: &str, wanted: Wanted) -> Result<Vec<Structure>> {
    let text = ascii(text);
    let file = scan(&text)?;
    if file.frames.is_empty() {
        return Err(Error::input("there are no atoms (ATOM, HETATM) in it"));
    }
    let first_cell = file.frames.iter().find_map(|f| f.cell);
    wanted.read(file.frames.len(), |k| {
        let frame = &file.frames[k];
        of_frame(&file.atoms[frame.atoms.clone()], frame.cell, first_cell)
    })
}

/// Reads one frame: its atoms, the cell that holds for them, and the first one of all frames.
fn of_frame(
    atoms: &[Line<'_>],
    own_cell: Option<Line<'_>>,
    first_cell: Option<Line<'_>>,
) -> Result<Structure> {
    let mut reader = Reader::new(atoms);
    for &(line, row) in atoms {
        (reader.atom(row)).map_err(|e| e.within(format!("line {line}")))?;
    }
    let mut structure = reader.finish();
    if own_cell.is_none()
        && let Some((line, _)) = first_cell
    {
        structure.notes.push(format!(
            "no cell (CRYST1) stands before the end of this frame, though frames after line {line} have one: taken \
             without a cell"
        ));
    }
    if let Some((line, row)) = own_cell {
        let cell = cell(row).map_err(|e| e.within(format!("line {line}: CRYST1")))?;
        structure.set_cell(cell);
        structure
            .notes
            .extend(cell.and_then(|_| symmetry_note(row)));
    }
    Ok(structure)
}

/// Whether a line is a record of this name, in capitals or not.
fn is_record(line: &str, name: &str) -> bool {
    let head = line.get(..name.len());
    let after = line.as_bytes().get(name.len());
    head.is_some_and(|h| h.eq_ignore_ascii_case(name))
        && !after.is_some_and(u8::is_ascii_alphabetic)
}

/// Finds atoms, cells and frames. A cell holds until there is another one: for all models of a file that
/// has one, for each frame of a file that repeats it.
fn scan(text: &str) -> Result<File<'_>> {
    let mut file = File::default();
    let mut cell = None;
    let (mut open, mut models, mut joined) = (0, false, None);
    for (k, row) in text.lines().enumerate() {
        let line = k + 1;
        let is = |name: &str| is_record(row, name);
        if is("ATOM") || is("HETATM") {
            file.atoms.push((line, row));
        } else if is("CRYST1") {
            cell = Some((line, row));
        } else if is("MODEL") || is("ENDMDL") || is("END") {
            models |= !is("END");
            file.close(&mut open, cell, line);
        } else if row.starts_with([' ', '\t'])
            && ["ATOM", "HETATM"]
                .iter()
                .any(|n| is_record(row.trim_start(), n))
        {
            return Err(Error::input(format!(
                "line {line}: begins with blanks, so that all its columns are shifted"
            )));
        }
        if joined.is_none() && file.frames.len() == 1 && file.atoms.len() > open {
            joined = Some(line);
        }
    }
    file.close(&mut open, cell, text.lines().count());
    let first = file.frames.first().map_or(0, |f| f.atoms.len());
    let differ = file.frames.iter().any(|f| f.atoms.len() != first);
    match joined {
        Some(line) if differ && !models => Err(Error::input(format!(
            "line {line}: atoms follow after END (line {}), other ones than before it; if files were \
             joined into one structure, remove that END, and if these are frames, put each between MODEL \
             and ENDMDL",
            file.frames[0].end
        ))),
        _ => Ok(file),
    }
}

impl<'t> File<'t> {
    /// Ends a frame, if it has atoms.
    fn close(&mut self, open: &mut usize, cell: Option<Line<'t>>, end: usize) {
        if self.atoms.len() > *open {
            let atoms = *open..self.atoms.len();
            *open = atoms.end;
            self.frames.push(PdbFrame { atoms, cell, end });
        }
    }
}

/// What is read of a frame's atoms, one after another.
struct Reader {
    structure: Structure,
    names: Vec<AtomName>,
    /// Whether names are set by their elements: one-letter elements in column 14.
    aligned: bool,
    /// Atoms that are there already, if any are marked as alternates.
    places: Option<HashSet<(String, i32, String, String)>>,
    charges: Vec<i64>,
    by_name: usize,
    empty: usize,
    beyond_one: usize,
}

impl Reader {
    fn new(atoms: &[Line<'_>]) -> Self {
        let set_by_element = |row: &str| {
            let mut name = columns(row, 13, 14).bytes();
            let first = name.next();
            first.is_some_and(|b| b == b' ' || b.is_ascii_digit())
                && name.next().is_some_and(|b| b.is_ascii_alphabetic())
        };
        let alternates = atoms
            .iter()
            .any(|(_, row)| !columns(row, 17, 17).trim().is_empty());
        Self {
            structure: Structure::default(),
            names: Vec::with_capacity(atoms.len()),
            aligned: atoms.iter().any(|(_, row)| set_by_element(row)),
            places: alternates.then(HashSet::new),
            charges: Vec::with_capacity(atoms.len()),
            by_name: 0,
            empty: 0,
            beyond_one: 0,
        }
    }

    /// Reads the line of an atom.
    fn atom(&mut self, row: &str) -> Result<()> {
        if let Some(at) = row.find('\t') {
            return Err(Error::input(format!(
                "a tab in column {}, where columns count; write blanks",
                at + 1
            )));
        }
        let position = position(row)?;
        let name = self.name(row);
        self.once(row, &name)?;
        self.occupancy(row)?;
        let element = match element(row)? {
            Some(element) => element,
            None => {
                self.by_name += 1;
                element_of_pdb_name(columns(row, 13, 16), &name.residue, self.aligned)
                    .map_err(|why| nameless(&name, &why))?
            }
        };
        self.charges.push(charge(row)?);
        self.structure.push(element, position);
        self.names.push(name);
        Ok(())
    }

    /// What the line calls its atom. Numbers that cannot be read go on from the residue before.
    fn name(&self, row: &str) -> AtomName {
        let text = |from, to| columns(row, from, to).trim().to_owned();
        // Five digits, where the format has four and a letter.
        let wide = columns(row, 27, 27).bytes().all(|b| b.is_ascii_digit());
        let field = columns(row, 23, if wide { 27 } else { 26 });
        let (residue, chain) = (text(18, 21), text(22, 22));
        let last = self.names.last();
        let number = residue_number(field).unwrap_or_else(|| match last {
            Some(last) if last.residue == residue && last.chain == chain => last.number,
            Some(last) => last.number.saturating_add(1),
            None => 0,
        });
        AtomName {
            atom: text(13, 16),
            residue,
            number,
            insertion: if wide { String::new() } else { text(27, 27) },
            chain,
        }
    }

    /// Refuses an atom that is there already, in another place.
    fn once(&mut self, row: &str, name: &AtomName) -> Result<()> {
        let label = columns(row, 17, 17).trim();
        let Some(places) = &mut self.places else {
            return Ok(());
        };
        let key = (
            name.chain.clone(),
            name.number,
            name.insertion.clone(),
            name.atom.clone(),
        );
        match !places.insert(key) && !label.is_empty() {
            true => Err(Error::input(alternate_location(label))),
            false => Ok(()),
        }
    }

    /// Looks at occupancy and temperature factor.
    fn occupancy(&mut self, row: &str) -> Result<()> {
        let misplaced = |what: &str, from: usize, field: &str| {
            Error::input(format!(
                "columns {from} to {} ({what}) hold {field:?}; are the columns shifted, or is it a PQR \
                 file, which has charges there?",
                from + 5
            ))
        };
        let field = columns(row, 55, 60).trim();
        let part = match field {
            "" => 1.0,
            _ => (field.parse::<f64>().ok())
                .filter(|part| *part >= 0.0 && part.is_finite())
                .ok_or_else(|| misplaced("occupancy", 55, field))?,
        };
        let factor = columns(row, 61, 66).trim();
        if !factor.is_empty() && !factor.contains('*') && factor.parse::<f64>().is_err() {
            return Err(misplaced("temperature factor", 61, factor));
        }
        match part {
            0.0 => self.empty += 1,
            _ if part < WHOLE => return Err(Error::input(partly_occupied(part))),
            _ => self.beyond_one += usize::from(part > 2.0 - WHOLE),
        }
        Ok(())
    }

    /// The structure, with what is to be said of it.
    fn finish(mut self) -> Structure {
        let notes = &mut self.structure.notes;
        let atoms = self.names.len();
        notes.extend(unoccupied_note(self.empty, atoms));
        if self.beyond_one > 0 {
            notes.push(format!(
                "{} of {atoms} atoms have an occupancy over 1, which is something else than an occupancy; \
                 they are taken as there once",
                self.beyond_one
            ));
        }
        if self.by_name > 0 {
            notes.push(format!(
                "{} of {atoms} atoms have no element in columns 77 and 78; it is told from their names",
                self.by_name
            ));
        }
        let electrons = FormalElectrons::of_charges(self.charges);
        notes.extend(charge_note(electrons.charge()));
        self.structure.electrons = electrons;
        self.structure.names = Some(self.names);
        self.structure
    }
}

/// The position (angstrom).
fn position(row: &str) -> Result<Vec3> {
    let between = columns(row, 28, 30);
    if !between.trim().is_empty() {
        return Err(Error::input(format!(
            "columns 28 to 30 hold {between:?}, where nothing stands; are the columns shifted?"
        )));
    }
    Ok(Vec3::new(
        coordinate(row, "x", (31, 38))?,
        coordinate(row, "y", (39, 46))?,
        coordinate(row, "z", (47, 54))?,
    ))
}

/// Atomic number and mass of the element in columns 77 and 78, if there is one. Digits there are the line
/// numbers of files from before 1996.
fn element(row: &str) -> Result<Option<(u8, f64)>> {
    let after = columns(row, 79, 80);
    if after.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Err(Error::input(format!(
            "columns 79 and 80 (charge) hold {after:?}; an element's symbol is wanted in columns 77 and 78"
        )));
    }
    let field = columns(row, 77, 78).trim();
    if !field.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Ok(None);
    }
    element_of_type(field).map(Some).ok_or_else(|| {
        Error::input(format!(
            "columns 77 and 78: {field:?} is not an element's symbol"
        ))
    })
}

/// What to say of an atom whose name tells no element.
fn nameless(name: &AtomName, why: &str) -> Error {
    Error::input(format!(
        "the element cannot be told from the name {:?} in residue {:?}: {why}; put its symbol into columns \
         77 and 78",
        name.atom, name.residue
    ))
}

/// The formal charge: 2+, 1-, in columns 79 and 80. Lone digits there are no charge, but line numbers.
fn charge(row: &str) -> Result<i64> {
    let field = columns(row, 79, 80).trim();
    let digit = field.trim_matches(['+', '-']);
    let size: i64 = match digit {
        "" => i64::from(!field.is_empty()),
        _ => digit.parse().unwrap_or(0),
    };
    Ok(match (field.contains('+'), field.contains('-')) {
        (true, false) => size,
        (false, true) => -size,
        _ => 0,
    })
}

/// Lattice vectors as rows (angstrom) of a `CRYST1` record; `None` where it says that there are none.
fn cell(row: &str) -> Result<Option<Mat3>> {
    const FIELDS: [(&str, (usize, usize)); 6] = [
        ("a", (7, 15)),
        ("b", (16, 24)),
        ("c", (25, 33)),
        ("alpha", (34, 40)),
        ("beta", (41, 47)),
        ("gamma", (48, 54)),
    ];
    let mut values = [0.0; 6];
    for (value, (what, place)) in values.iter_mut().zip(FIELDS) {
        *value = coordinate(row, what, place)?;
    }
    let [a, b, c, alpha, beta, gamma] = values;
    // Programs write zeros for a molecule in empty space.
    if [a, b, c] == [0.0; 3] {
        return Ok(None);
    }
    if !(a > 0.0 && b > 0.0 && c > 0.0) {
        return Err(Error::input(format!(
            "edges of {a}, {b} and {c} A make no cell"
        )));
    }
    Ok(real_cell(triclinic([a, b, c], [alpha, beta, gamma])?))
}

/// What to say of a crystal whose other copies are not in the file.
fn symmetry_note(row: &str) -> Option<String> {
    let group = columns(row, 56, 66).trim();
    let letters: String = group.split_whitespace().collect();
    (!matches!(letters.as_str(), "" | "P1" | "p1" | "1")).then(|| {
        format!(
            "CRYST1 names the space group {:?}, whose copies of the atoms are not made: the cell holds the \
             atoms in the file alone",
            shorten(group)
        )
    })
}
