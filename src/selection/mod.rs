//! The selection language: texts such as `element O and within 5 A of index 7`, which name atoms.
//!
//! `docs/groups.md` has the language. A text is taken apart once ([`Selection::parse`]) and looked up in any arrangement
//! ([`Selection::atoms`]); errors of both say at which character of the text they are.

mod parse;

use std::fmt;

use crate::core::{Cell, Vec3, elements};
use crate::neighbors::{Molecules, Near};
use crate::{Error, Result};

/// An arrangement of atoms in which a selection is looked up.
#[derive(Debug, Clone, Copy)]
pub struct SelectionScene<'a> {
    /// Atomic number of each atom.
    pub species: &'a [u8],
    /// Cell and periodic directions.
    pub cell: &'a Cell,
    /// Positions (angstrom), one for each atom.
    pub positions: &'a [Vec3],
}

/// A selection, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    text: String,
    root: Node,
}

/// A part of a selection.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// Every atom.
    All,
    /// Those of any of some words.
    Words(Vec<Word>),
    /// Those of the molecules of some numbers.
    Molecules(Vec<Word>),
    /// Those nearer than a distance (angstrom) to one of others, and these.
    Within {
        distance: f64,
        of: Box<Node>,
        place: usize,
    },
    /// The others.
    Not(Box<Node>),
    /// Those of all of some parts.
    And(Vec<Node>),
    /// Those of any of some parts.
    Or(Vec<Node>),
}

/// An element, or numbers from first to last, and the character of the text where it stands (from 0).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Word {
    Element { number: u8, place: usize },
    Numbers { ends: [usize; 2], place: usize },
}

impl Selection {
    /// Takes a text apart.
    ///
    /// # Errors
    /// It is not of the language; the message says at which character.
    pub fn parse(text: &str) -> Result<Self> {
        let root = parse::root(text)?;
        let text = text.to_owned();
        Ok(Self { text, root })
    }

    /// Numbers of the atoms that it names in an arrangement, counted from 0, ascending.
    ///
    /// # Errors
    /// It names an element, an atom or a molecule that there is not; it names no atom; or the cell is far smaller than a
    /// distance in it.
    pub fn atoms(&self, scene: &SelectionScene<'_>) -> Result<Vec<usize>> {
        let mut look = Lookup {
            text: &self.text,
            scene,
            molecules: None,
        };
        let named = look.of(&self.root)?;
        let atoms: Vec<usize> = (0..named.len()).filter(|&i| named[i]).collect();
        match atoms.is_empty() {
            true => Err(Error::input(format!(
                "{} names no atom: give some, such as \"element O\" or \"index 0:63\", counted from 0",
                shown(&self.text, 0)
            ))),
            false => Ok(atoms),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Looks parts up in one arrangement.
struct Lookup<'a> {
    text: &'a str,
    scene: &'a SelectionScene<'a>,
    /// Found where they are asked for.
    molecules: Option<Molecules>,
}

impl Lookup<'_> {
    /// Whether each atom is of a part.
    fn of(&mut self, node: &Node) -> Result<Vec<bool>> {
        let count = self.scene.species.len();
        match node {
            Node::All => Ok(vec![true; count]),
            Node::Words(words) => self.words(words),
            Node::Molecules(words) => self.molecules(words),
            Node::Within {
                distance,
                of,
                place,
            } => {
                let others = self.of(of)?;
                self.within(*distance, others)
                    .map_err(|e| fault(self.text, *place, &e.to_string()))
            }
            Node::Not(of) => Ok(self.of(of)?.iter().map(|named| !named).collect()),
            Node::And(parts) => self.joined(parts, true),
            Node::Or(parts) => self.joined(parts, false),
        }
    }

    /// Atoms of all of the parts, or of any.
    fn joined(&mut self, parts: &[Node], all: bool) -> Result<Vec<bool>> {
        let mut sum = vec![all; self.scene.species.len()];
        for part in parts {
            let named = self.of(part)?;
            for (sum, named) in sum.iter_mut().zip(named) {
                *sum = if all { *sum && named } else { *sum || named };
            }
        }
        Ok(sum)
    }

    fn words(&self, words: &[Word]) -> Result<Vec<bool>> {
        let species = self.scene.species;
        let mut named = vec![false; species.len()];
        for word in words {
            match *word {
                Word::Element { number, place } => {
                    if !species.contains(&number) {
                        return Err(fault(self.text, place, &no_such_element(number, species)));
                    }
                    let same = species
                        .iter()
                        .zip(&mut named)
                        .filter(|(z, _)| **z == number);
                    same.for_each(|(_, named)| *named = true);
                }
                Word::Numbers { ends, place } => {
                    let [first, last] = self.numbers(ends, place, ("atoms", species.len()))?;
                    named[first..=last].fill(true);
                }
            }
        }
        Ok(named)
    }

    fn molecules(&mut self, words: &[Word]) -> Result<Vec<bool>> {
        let SelectionScene {
            species,
            cell,
            positions,
        } = *self.scene;
        let found = self.molecules.take();
        let found = found.unwrap_or_else(|| Molecules::of(species, cell, positions));
        let mut named = vec![false; species.len()];
        for word in words {
            if let Word::Numbers { ends, place } = *word {
                let [first, last] = self.numbers(ends, place, ("molecules", found.atoms.len()))?;
                for &atom in found.atoms[first..=last].iter().flatten() {
                    named[atom] = true;
                }
            }
        }
        self.molecules = Some(found);
        Ok(named)
    }

    /// A range of numbers, of which there are so many.
    fn numbers(&self, ends: [usize; 2], place: usize, of: (&str, usize)) -> Result<[usize; 2]> {
        let (what, count) = of;
        let [first, last] = ends;
        match first <= last && last < count {
            true => Ok(ends),
            false => Err(fault(
                self.text,
                place,
                &match count {
                    0 => format!("there are no {what}"),
                    _ => format!("{what} are 0 to {}", count - 1),
                },
            )),
        }
    }

    /// Atoms nearer than `distance` (angstrom) to one of others, any image of it, and these.
    fn within(&self, distance: f64, others: Vec<bool>) -> Result<Vec<bool>> {
        let SelectionScene {
            cell, positions, ..
        } = *self.scene;
        // Nothing is farther than this from an atom and all of its images, so that no search goes on without end.
        let near = Near::new(cell, positions, distance.min(farthest(cell, positions)))?;
        let count = others.iter().filter(|other| **other).count();
        let mut named = others.clone();
        // Looks around the fewer: nearness is mutual.
        let around = 2 * count <= others.len();
        for i in (0..others.len()).filter(|&i| others[i] == around) {
            near.each(i, |j, _| match around {
                true => named[j] = true,
                false => named[i] |= others[j],
            });
        }
        Ok(named)
    }
}

/// More than the distance (angstrom) of any two atoms by the shortest way.
fn farthest(cell: &Cell, positions: &[Vec3]) -> f64 {
    let first = positions.first().copied().unwrap_or_default();
    let spread = positions.iter().map(|r| (r - first).norm());
    let spread = 2.0 * spread.fold(0.0, f64::max);
    let edges = (0..3).map(|k| 0.5 * cell.vector(k).norm()).sum::<f64>();
    1.0 + match cell.periodic() {
        [true, true, true] => edges,
        _ if cell.is_periodic() => edges + spread,
        _ => spread,
    }
}

/// Says that there are no atoms of an element, and which there are.
fn no_such_element(number: u8, species: &[u8]) -> String {
    let there = elements::kinds(species).into_iter().map(elements::symbol);
    format!(
        "there is no {} in this run; it has {}",
        elements::symbol(number),
        there.collect::<Vec<_>>().join(", ")
    )
}

/// The text, or the part of a long one around a character.
fn shown(text: &str, place: usize) -> String {
    /// Characters that are shown of a text at most.
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return format!("{text:?}");
    }
    let first = place.saturating_sub(MOST / 2);
    let part: String = text.chars().skip(first).take(MOST).collect();
    let before = if first > 0 { ".." } else { "" };
    let after = match text.chars().nth(first + MOST) {
        Some(_) => "..",
        None => "",
    };
    format!("{:?}", format!("{before}{part}{after}"))
}

/// An error at a character of a text (from 0).
fn fault(text: &str, place: usize, why: &str) -> Error {
    let rest: String = (text.chars().skip(place)).take(12).collect();
    let at = match rest.trim().is_empty() {
        true => "at its end".to_owned(),
        false => format!("at character {} ({:?})", place + 1, rest.trim_end()),
    };
    Error::input(format!("{}, {at}: {why}", shown(text, place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATERS: [u8; 6] = [8, 1, 1, 8, 1, 1];

    /// Two molecules of water across a face of a cell of 10 A, 2 A apart by the shortest way.
    fn positions() -> Vec<Vec3> {
        [
            [0.5, 0.0, 0.0],
            [1.1, 0.75, 0.0],
            [1.1, -0.75, 0.0],
            [8.5, 0.0, 0.0],
            [7.9, 0.75, 0.0],
            [7.9, -0.75, 0.0],
        ]
        .map(Vec3::from)
        .to_vec()
    }

    fn chosen(text: &str) -> Result<Vec<usize>> {
        let cell = Cell::new(crate::core::Mat3::identity() * 10.0, [true; 3])?;
        Selection::parse(text)?.atoms(&SelectionScene {
            species: &WATERS,
            cell: &cell,
            positions: &positions(),
        })
    }

    #[test]
    fn each_form_names_its_atoms() -> Result<()> {
        for (text, atoms) in [
            ("all", vec![0, 1, 2, 3, 4, 5]),
            ("element O", vec![0, 3]),
            ("element O H", vec![0, 1, 2, 3, 4, 5]),
            ("element O,H", vec![0, 1, 2, 3, 4, 5]),
            ("index 0:2,5", vec![0, 1, 2, 5]),
            ("index 4-5 0", vec![0, 4, 5]),
            ("molecule 1", vec![3, 4, 5]),
            ("molecule 0:1 and element O", vec![0, 3]),
            ("not element H", vec![0, 3]),
            ("within 2.1 A of index 0", vec![0, 1, 2, 3]),
            ("within 0.21 nm of index 0 and element O", vec![0, 3]),
            ("within 2.1 A of (index 0) and not index 0", vec![1, 2, 3]),
            ("within 1.9A of index 3", vec![3, 4, 5]),
            ("element O or index 1 and not index 1", vec![0, 3]),
            ("(element O or index 1) and not index 1", vec![0, 3]),
            ("index 0 or index 1 and element O", vec![0]),
            ("(((index 0)))", vec![0]),
            // What was valid before there was more of it.
            ("O", vec![0, 3]),
            ("O,1-2", vec![0, 1, 2, 3]),
            (" 5 4,", vec![4, 5]),
            ("O,,H", vec![0, 1, 2, 3, 4, 5]),
            ("O and 0:1", vec![0]),
        ] {
            assert_eq!(chosen(text)?, atoms, "{text}");
        }
        Ok(())
    }

    #[test]
    fn errors_point_at_the_place() {
        for (text, says) in [
            (
                "Fe",
                "at character 1 (\"Fe\"): there is no Fe in this run; it has H, O",
            ),
            (
                "element O or element Q",
                "at character 22 (\"Q\"): \"Q\" is no element",
            ),
            ("element o", "did you mean \"O\"?"),
            ("Q", "neither the symbol of an element"),
            ("6", "atoms are 0 to 5"),
            ("3-1", "atoms are 0 to 5"),
            (
                "molecule 2",
                "at character 10 (\"2\"): molecules are 0 to 1",
            ),
            ("", "names no atom"),
            ("not all", "names no atom"),
            ("element", "at its end: the symbol of an element"),
            ("index O", "at character 7 (\"O\")"),
            ("(index 0", "at its end: a parenthesis is open"),
            ("index 0)", "at character 8 (\")\")"),
            ("index 0 or", "at its end"),
            (
                "index 0 index 1",
                "at character 9 (\"index 1\"): \"and\" or \"or\"",
            ),
            ("elemnt O", "did you mean \"element\"?"),
            ("within 5 of index 0", "needs a unit"),
            ("within 5 eV of index 0", "is an energy"),
            ("within -1 A of index 0", "above 0"),
            ("within 5 A index 0", "\"of\""),
            ("within", "at its end: a distance"),
            ("index 99999999999999999999", "a number"),
        ] {
            let error = chosen(text).err().map(|e| e.to_string());
            let error = error.unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains('\n'), "{text}: {error}");
        }
    }

    /// A text that nests without end is refused before the stack ends.
    #[test]
    fn depth_has_an_end() {
        for part in ["(", "not ", "within 1 A of "] {
            let error = Selection::parse(&part.repeat(100_000));
            assert!(error.is_err_and(|e| e.to_string().contains("deep")));
        }
        let flat = vec!["index 0"; 50_000].join(" or ");
        assert_eq!(chosen(&flat).ok(), Some(vec![0]));
    }
}
