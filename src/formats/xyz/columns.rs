//! The columns of extended XYZ, as `Properties` tells them, and what is read of them.

use super::INTERNAL;
use super::comment::Keys;
use crate::core::{AtomName, Vec3, elements};
use crate::formats::fields::{number, shorten};
use crate::formats::labels::element_of_label;
use crate::units::ANGSTROM_PER_FS;
use crate::{Error, Result};

/// Columns in which velocities stand: in internal units, to the very bit, and in angstrom / fs.
const VELOCITIES: [&str; 4] = [INTERNAL, "velo", "velocities", "vel"];

/// ASE's column of momenta in sqrt(u eV), which is u angstrom / internal time.
const MOMENTA: &str = "momenta";

/// How far velocities of two columns may be apart, of the largest one: standard masses differ by less from
/// program to program, and columns are rounded.
const SAME_VELOCITY: f64 = 1e-3;

/// A column of `Properties`.
struct PropertyColumn<'t> {
    name: &'t str,
    kind: &'t str,
    count: usize,
    at: usize,
}

/// Where in a line what stands.
pub(in crate::formats) struct Columns {
    species: usize,
    /// Whether the species are atomic numbers.
    numbers: bool,
    position: usize,
    /// Velocities or momenta: name and place. The first is taken, and all must agree.
    motion: Vec<(&'static str, usize)>,
    mass: Option<usize>,
    force: Option<usize>,
    names: Option<NameColumns>,
    /// Columns in all; `None` where plain XYZ may have more.
    count: Option<usize>,
}

/// Where atoms and residues are named.
#[derive(Default)]
struct NameColumns {
    atom: Option<usize>,
    residue: Option<usize>,
    number: Option<usize>,
    chain: Option<usize>,
}

/// What one line says of its atom.
pub(in crate::formats) struct Atom<'t> {
    pub label: &'t str,
    pub element: (u8, f64),
    pub position: Vec3,
    /// Angstrom / internal time.
    pub velocity: Option<Vec3>,
    pub name: Option<AtomName>,
}

impl Columns {
    /// Columns as `Properties` says, or those of plain XYZ.
    ///
    /// # Errors
    /// `Properties` is no list of columns, or lacks species or positions.
    pub fn new(keys: &Keys) -> Result<Self> {
        let Some(text) = keys.value("Properties")? else {
            return Ok(Self {
                species: 0,
                numbers: false,
                position: 1,
                motion: Vec::new(),
                mass: None,
                force: None,
                names: None,
                count: None,
            });
        };
        let (columns, count) = parse(text)?;
        let find = |names: &[&'static str], kind: &str, count: usize| {
            (names.iter()).find_map(|name| {
                (columns.iter())
                    .find(|c| {
                        c.name.eq_ignore_ascii_case(name)
                            && c.kind.eq_ignore_ascii_case(kind)
                            && c.count == count
                    })
                    .map(|c| (*name, c.at))
            })
        };
        let at = |names: &[&'static str], kind: &str| find(names, kind, 1).map(|c| c.1);
        let symbols = at(&["species", "element", "elements", "symbols"], "S");
        let numbers = at(&["Z", "numbers", "atomic_numbers"], "I");
        let missing =
            |what: &str| Error::input(format!("Properties={:?} has no {what}", shorten(text)));
        let names = NameColumns {
            atom: at(
                &["name", "names", "atomname", "atom_name", "atomtypes"],
                "S",
            ),
            residue: at(
                &["resname", "residuenames", "residue_name", "resnames"],
                "S",
            ),
            number: at(
                &[
                    "resid",
                    "residuenumbers",
                    "residue_number",
                    "resnum",
                    "resids",
                ],
                "I",
            ),
            chain: at(&["chain", "chainid", "chain_id", "chainids"], "S"),
        };
        let named = names.residue.is_some() || names.atom.is_some();
        Ok(Self {
            species: symbols.or(numbers).ok_or_else(|| missing("species:S:1"))?,
            numbers: symbols.is_none(),
            position: find(&["pos", "positions"], "R", 3)
                .ok_or_else(|| missing("pos:R:3"))?
                .1,
            motion: (VELOCITIES.iter().chain([&MOMENTA]))
                .filter_map(|name| find(&[name], "R", 3))
                .collect(),
            mass: at(&["masses", "mass"], "R"),
            force: find(&["forces", "force", "REF_forces"], "R", 3).map(|c| c.1),
            names: named.then_some(names),
            count: Some(count),
        })
    }

    /// Whether velocities come along.
    pub fn has_motion(&self) -> bool {
        !self.motion.is_empty()
    }

    /// Whether species are symbols, so that numbers in their place may be types.
    pub fn has_symbols(&self) -> bool {
        !self.numbers
    }

    /// The force that one line states for its atom, in the file's unit.
    ///
    /// # Errors
    /// There is none.
    pub fn force(&self, row: &str) -> Result<Vec3> {
        let words = split(row);
        let at = self.force.filter(|at| at + 3 <= words.len());
        let at = at.ok_or_else(|| Error::input("no forces are stated (a column forces:R:3)"))?;
        vector(&words, at, "force")
    }

    /// Reads the atom of one line.
    ///
    /// # Errors
    /// Too few columns, or one that is not what it should be.
    pub fn read<'t>(&self, row: &'t str) -> Result<Atom<'t>> {
        let words = split(row);
        let wanted = self.count.unwrap_or(self.position + 3);
        let fits = match self.count {
            Some(count) => words.len() == count,
            None => words.len() >= wanted,
        };
        if !fits {
            return Err(Error::input(format!(
                "{} columns, {wanted} are wanted: {:?}",
                words.len(),
                shorten(row.trim())
            )));
        }
        let label = words[self.species];
        let (z, standard) = self.element(label)?;
        let mass = match self.mass {
            Some(at) => number(words[at], "mass")?,
            None => standard,
        };
        let velocity = match self.motion.first() {
            Some(motion) => Some(velocity(&words, motion, mass)?),
            None => None,
        };
        Ok(Atom {
            label,
            element: (z, mass),
            position: vector(&words, self.position, "position")?,
            velocity,
            name: self.names.as_ref().map(|names| names.read(&words)),
        })
    }

    /// Reads where the atom of one line is and how it moves (angstrom / internal time), of an atom whose label and mass (u) are
    /// known from a frame before.
    ///
    /// # Errors
    /// As for [`Columns::read`]; or it is another atom.
    pub fn moved(&self, row: &str, label: &str, mass: f64) -> Result<(Vec3, Option<Vec3>)> {
        let words = split(row);
        if self.count.is_some_and(|count| words.len() != count) || words.len() < self.position + 3 {
            return Err(Error::input(format!(
                "{} columns, {} are wanted: {:?}",
                words.len(),
                self.count.unwrap_or(self.position + 3),
                shorten(row.trim())
            )));
        }
        if words[self.species] != label {
            return Err(Error::input(format!(
                "{:?} stands where frames before have {label:?}",
                shorten(words[self.species])
            )));
        }
        let motion = self.motion.first();
        let velocity = motion.map(|motion| velocity(&words, motion, mass));
        let position = vector(&words, self.position, "position")?;
        Ok((position, velocity.transpose()?))
    }

    /// Atomic number and standard mass (u) of a label.
    fn element(&self, label: &str) -> Result<(u8, f64)> {
        let number_alone = || {
            let z = label.parse().ok()?;
            Some((z, elements::mass(z)?))
        };
        let found = match self.numbers {
            true => number_alone(),
            false => element_of_label(label),
        };
        found.ok_or_else(|| {
            let hint = match label.to_ascii_uppercase().as_str() {
                "X" | "XX" | "BQ" | "DU" | "GH" => {
                    "; ghosts and dummies are no atoms: take them out"
                }
                "TV" | "VEC" | "VEC1" => "; lattice vectors stand in Lattice=\"...\"",
                _ => "",
            };
            Error::input(format!(
                "{:?} is not an element's symbol{hint}",
                shorten(label)
            ))
        })
    }

    /// Refuses columns of velocities and momenta that disagree, such as old velocities beside new momenta.
    ///
    /// # Errors
    /// The message names the columns and the first line, of `rows` that begin at line `first`.
    pub fn agree(&self, rows: &[&str], masses: &[f64], first: usize) -> Result<()> {
        let Some((taken, others)) = self.motion.split_first() else {
            return Ok(());
        };
        if others.is_empty() {
            return Ok(());
        }
        let read = |motion: &(&'static str, usize)| -> Result<Vec<Vec3>> {
            (rows.iter().zip(masses))
                .map(|(row, mass)| velocity(&split(row), motion, *mass))
                .collect()
        };
        let own = read(taken)?;
        let largest = own.iter().map(|v| v.amax()).fold(0.0, f64::max);
        for other in others {
            let found = read(other)?;
            let largest = found.iter().map(|v| v.amax()).fold(largest, f64::max);
            let differs = |(a, b): (&Vec3, &Vec3)| (a - b).amax() > SAME_VELOCITY * largest;
            if let Some(k) = own.iter().zip(&found).position(differs) {
                return Err(Error::input(format!(
                    "line {}: the columns {} and {} say different velocities of atom {k}, counted from 0; \
                     one of them is out of date: remove it",
                    first + k,
                    taken.0,
                    other.0
                )));
            }
        }
        Ok(())
    }
}

impl NameColumns {
    fn read(&self, words: &[&str]) -> AtomName {
        let text = |at: Option<usize>| at.map_or_else(String::new, |at| words[at].to_owned());
        AtomName {
            atom: text(self.atom),
            residue: text(self.residue),
            number: self
                .number
                .and_then(|at| words[at].parse().ok())
                .unwrap_or(0),
            insertion: String::new(),
            chain: text(self.chain),
        }
    }
}

/// The columns of `Properties`, and how many words they are.
fn parse(text: &str) -> Result<(Vec<PropertyColumn<'_>>, usize)> {
    let parts: Vec<&str> = text.split(':').collect();
    if !parts.len().is_multiple_of(3) {
        return Err(Error::input(format!(
            "Properties={:?} is not a list of name:type:count",
            shorten(text)
        )));
    }
    let mut at = 0;
    let mut columns = Vec::with_capacity(parts.len() / 3);
    for part in parts.chunks(3) {
        let count: usize = (part[2].parse().ok())
            .filter(|n| (1..=1000).contains(n))
            .ok_or_else(|| {
                Error::input(format!(
                    "Properties: {:?} is not a number of columns for {}",
                    shorten(part[2]),
                    shorten(part[0]).escape_debug()
                ))
            })?;
        columns.push(PropertyColumn {
            name: part[0],
            kind: part[1],
            count,
            at,
        });
        at += count;
    }
    Ok((columns, at))
}

/// Words of a line; those with blanks are in double quotes.
fn split(row: &str) -> Vec<&str> {
    if !row.contains('"') {
        return row.split_whitespace().collect();
    }
    let mut words = Vec::new();
    let mut rest = row.trim_start();
    while !rest.is_empty() {
        let quoted = rest
            .strip_prefix('"')
            .and_then(|inner| inner.split_once('"'));
        let (word, after) = quoted
            .unwrap_or_else(|| rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())));
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn vector(words: &[&str], at: usize, what: &str) -> Result<Vec3> {
    Ok(Vec3::new(
        number(words[at], what)?,
        number(words[at + 1], what)?,
        number(words[at + 2], what)?,
    ))
}

/// The velocity (angstrom / internal time) in a column.
fn velocity(words: &[&str], (name, at): &(&'static str, usize), mass: f64) -> Result<Vec3> {
    let value = vector(words, *at, name)?;
    Ok(match *name {
        INTERNAL => value,
        MOMENTA => value / mass,
        _ => value * ANGSTROM_PER_FS,
    })
}
