//! Extended XYZ, read exactly.
//!
//! The format is that of libAtoms/extxyz (<https://github.com/libAtoms/extxyz>) as ASE writes it: a
//! count, a line of `key=value` pairs of which `Lattice` (three lattice vectors, one after another),
//! `pbc` and `Properties` (columns as name:type:count) have a meaning here, and a line an atom. Plain
//! XYZ is the same without keys. chemfiles reads it too, but rounds the last bits of every number,
//! drops a Lattice without Properties, refuses left-handed cells and does not look at pbc.

use std::path::PathBuf;

use super::labels::element_of_label;
use super::structure::{Structure, pick};
use crate::core::rng::NoiseMark;
use crate::core::{Mat3, Vec3, elements};
use crate::units::ANGSTROM_PER_FS;
use crate::{Error, Result};

/// Keys of the frames that runs with a thermostat write: its seed, and the steps drawn of its noise.
pub const NOISE_SEED: &str = "noise_seed";
/// See [`NOISE_SEED`].
pub const NOISE_STEP: &str = "noise_step";
/// The column of velocities in internal units, exact to the bit, that mdrun writes.
pub const INTERNAL: &str = "velo_internal";

/// One frame's lines: number of its first line (from 1), atoms, comment, and the atoms' lines.
struct Block<'t> {
    line: usize,
    atoms: usize,
    comment: &'t str,
    rows: &'t [&'t str],
}

/// Reads one frame (negative: from the end) of extended XYZ.
///
/// # Errors
/// The text is not XYZ, is cut short, or lacks the frame. Messages begin with `line N`.
pub(super) fn read(text: &str, frame: i64) -> Result<Structure> {
    let lines: Vec<&str> = text.lines().collect();
    let blocks = split(&lines)?;
    let block = &blocks[pick(frame, blocks.len())?];
    let keys = parse_keys(block.comment);
    let at_comment = |e: Error| e.within(format!("line {}", block.line + 1));
    let columns = Columns::new(&keys).map_err(at_comment)?;
    let vectors = lattice(&keys).map_err(at_comment)?;
    let periodic = periodic(&keys, vectors.is_some()).map_err(at_comment)?;
    let mut structure = Structure {
        path: PathBuf::new(),
        species: Vec::with_capacity(block.atoms),
        masses: Vec::with_capacity(block.atoms),
        positions: Vec::with_capacity(block.atoms),
        names: None,
        velocities: columns.motion.map(|_| Vec::with_capacity(block.atoms)),
        noise: noise(&keys).map_err(at_comment)?,
        vectors,
        periodic,
        frames: blocks.len(),
        notes: Vec::new(),
    };
    for (k, row) in block.rows.iter().enumerate() {
        (columns.read(row, &mut structure)).map_err(|e| {
            e.within(format!(
                "line {}: atom {k}, counted from 0",
                block.line + 2 + k
            ))
        })?;
    }
    Ok(structure)
}

/// Cuts the lines into frames.
fn split<'t>(lines: &'t [&'t str]) -> Result<Vec<Block<'t>>> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while lines[at..].iter().any(|l| !l.trim().is_empty()) {
        let line = at + 1;
        let count = lines[at].trim();
        let atoms: usize = count.parse().map_err(|_| {
            Error::input(format!(
                "line {line}: {:?} is not a number of atoms, with which a frame of XYZ begins",
                shorten(count)
            ))
        })?;
        let left = lines.len().saturating_sub(at + 2);
        if atoms > left {
            return Err(Error::input(format!(
                "line {line}: {atoms} atoms are announced but {left} lines follow; \
                 the file is cut short, or the number is wrong"
            )));
        }
        if atoms == 0 {
            return Err(Error::input(format!("line {line}: a frame of 0 atoms")));
        }
        blocks.push(Block {
            line,
            atoms,
            comment: lines[at + 1],
            rows: &lines[at + 2..at + 2 + atoms],
        });
        at += 2 + atoms;
    }
    Ok(blocks)
}

/// A long text, cut so that it fits into a message.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// `key=value` pairs of a comment line, in their order. Values may be in quotes or brackets; words
/// without a value are left out, so that free text gives no pairs.
fn parse_keys(comment: &str) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    let mut rest = comment.trim_start();
    while !rest.is_empty() {
        let (key, after) = take_word(rest);
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix('=') {
            let (value, after) = take_word(after.trim_start());
            keys.push((key.to_owned(), value.to_owned()));
            rest = after.trim_start();
        }
    }
    keys
}

/// A word, or what stands between quotes or brackets, and the rest.
fn take_word(text: &str) -> (&str, &str) {
    let inner = text.get(1..).unwrap_or("");
    let end = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => inner.find(quote),
        Some('{') => inner.find('}'),
        Some('[') => closing_bracket(inner),
        _ => {
            let end = text.find(|c: char| c.is_whitespace() || c == '=');
            // A stray sign is a word of its own, so that the scan moves on.
            return text.split_at(end.unwrap_or(text.len()).max(text.len().min(1)));
        }
    };
    match end {
        Some(end) => (&inner[..end], &inner[end + 1..]),
        None => (inner, ""),
    }
}

/// Where the bracket that was just opened closes; brackets nest: [[1, 0, 0], ...].
fn closing_bracket(inner: &str) -> Option<usize> {
    let mut depth = 1;
    inner.char_indices().find_map(|(at, c)| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(at)
    })
}

fn value<'k>(keys: &'k [(String, String)], key: &str) -> Option<&'k str> {
    (keys.iter())
        .find(|(k, _)| k.eq_ignore_ascii_case(key))
        .map(|(_, v)| v.as_str())
}

/// Words of a value, brackets and commas of array notation taken away.
fn words(value: &str) -> Vec<&str> {
    value
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}'))
        .filter(|w| !w.is_empty())
        .collect()
}

/// How far the thermostat's noise had come in the run that wrote the frame.
fn noise(keys: &[(String, String)]) -> Result<Option<NoiseMark>> {
    let (Some(seed), Some(step)) = (value(keys, NOISE_SEED), value(keys, NOISE_STEP)) else {
        return Ok(None);
    };
    match (seed.parse(), step.parse()) {
        (Ok(seed), Ok(step)) => Ok(Some(NoiseMark { seed, step })),
        _ => Err(Error::input(format!(
            "{NOISE_SEED}={seed:?} {NOISE_STEP}={step:?} are not two whole numbers"
        ))),
    }
}

/// Lattice vectors as rows (angstrom).
fn lattice(keys: &[(String, String)]) -> Result<Option<Mat3>> {
    let Some(text) = value(keys, "Lattice") else {
        return Ok(None);
    };
    let numbers: Vec<f64> = words(text)
        .iter()
        .map(|w| number(w, "Lattice"))
        .collect::<Result<_>>()?;
    match numbers[..] {
        [a, b, c] => Ok(Some(Mat3::from_diagonal(&Vec3::new(a, b, c)))),
        _ if numbers.len() == 9 => Ok(Some(Mat3::from_row_slice(&numbers))),
        _ => Err(Error::input(format!(
            "Lattice has {} numbers; nine are wanted, the vectors a, b and c one after another",
            numbers.len()
        ))),
    }
}

/// The periodic directions; all of them where there is a Lattice and nothing is said.
fn periodic(keys: &[(String, String)], lattice: bool) -> Result<[bool; 3]> {
    let Some(text) = value(keys, "pbc") else {
        return Ok([lattice; 3]);
    };
    let flags: Vec<bool> = words(text)
        .iter()
        .map(|w| match *w {
            "T" | "True" | "true" | "TRUE" | "1" => Ok(true),
            "F" | "False" | "false" | "FALSE" | "0" => Ok(false),
            _ => Err(Error::input(format!(
                "pbc={text:?}: {w:?} is neither T nor F"
            ))),
        })
        .collect::<Result<_>>()?;
    match flags[..] {
        [all] => Ok([all; 3]),
        [a, b, c] => Ok([a, b, c]),
        _ => Err(Error::input(format!(
            "pbc={text:?} has {} flags; three are wanted, such as pbc=\"T T F\"",
            flags.len()
        ))),
    }
}

/// A finite number.
fn number(word: &str, what: &str) -> Result<f64> {
    // Fortran writes exponents with a D.
    let parsed = word
        .parse()
        .or_else(|_| word.replace(['D', 'd'], "e").parse());
    match parsed {
        Ok(number) if f64::is_finite(number) => Ok(number),
        Ok(_) => Err(Error::input(format!(
            "{what}: {word} is not a finite number"
        ))),
        Err(_) => Err(Error::input(format!(
            "{what}: {:?} is not a number",
            shorten(word)
        ))),
    }
}

/// What a motion column holds.
#[derive(Clone, Copy)]
enum Motion {
    /// Velocities in internal units: the very bits of a run.
    Internal(usize),
    /// Velocities in angstrom / fs.
    Velocities(usize),
    /// ASE's momenta in sqrt(u eV), which is u angstrom / internal time.
    Momenta(usize),
}

/// Where in a line what stands.
struct Columns {
    species: usize,
    /// Whether the species are atomic numbers.
    numbers: bool,
    position: usize,
    motion: Option<Motion>,
    mass: Option<usize>,
    /// Columns in all; `None` where plain XYZ may have more.
    count: Option<usize>,
}

impl Columns {
    /// Columns as `Properties` says, or those of plain XYZ.
    fn new(keys: &[(String, String)]) -> Result<Self> {
        let Some(text) = value(keys, "Properties") else {
            return Ok(Self {
                species: 0,
                numbers: false,
                position: 1,
                motion: None,
                mass: None,
                count: None,
            });
        };
        let parts: Vec<&str> = text.split(':').collect();
        if !parts.len().is_multiple_of(3) {
            return Err(Error::input(format!(
                "Properties={text:?} is not a list of name:type:count"
            )));
        }
        let mut at = 0;
        let mut found: Vec<(&str, &str, usize, usize)> = Vec::new();
        for part in parts.chunks(3) {
            let count: usize = part[2]
                .parse()
                .ok()
                .filter(|n| (1..=1000).contains(n))
                .ok_or_else(|| {
                    Error::input(format!(
                        "Properties: {:?} is not a number of columns for {}",
                        part[2], part[0]
                    ))
                })?;
            found.push((part[0], part[1], count, at));
            at += count;
        }
        let find = |names: &[&str], kind: &str, count: usize| {
            (found.iter())
                .find(|f| names.contains(&f.0) && f.1 == kind && f.2 == count)
                .map(|f| f.3)
        };
        let symbols = find(&["species", "element"], "S", 1);
        let numbers = find(&["Z", "numbers"], "I", 1);
        let missing = |what: &str| Error::input(format!("Properties={text:?} has no {what}"));
        Ok(Self {
            species: symbols.or(numbers).ok_or_else(|| missing("species:S:1"))?,
            numbers: symbols.is_none(),
            position: find(&["pos", "positions"], "R", 3).ok_or_else(|| missing("pos:R:3"))?,
            motion: (find(&[INTERNAL], "R", 3).map(Motion::Internal))
                .or(find(&["velocities", "velo", "vel"], "R", 3).map(Motion::Velocities))
                .or(find(&["momenta"], "R", 3).map(Motion::Momenta)),
            mass: find(&["masses", "mass"], "R", 1),
            count: Some(at),
        })
    }

    /// Adds the atom of one line to a structure.
    fn read(&self, row: &str, structure: &mut Structure) -> Result<()> {
        let words: Vec<&str> = row.split_whitespace().collect();
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
        let number_alone = || {
            let z = label.parse().ok()?;
            Some((z, elements::mass(z)?))
        };
        let (z, standard) = match self.numbers {
            true => number_alone(),
            false => element_of_label(label),
        }
        .ok_or_else(|| Error::input(format!("{:?} is not an element's symbol", shorten(label))))?;
        let mass = match self.mass {
            Some(at) => number(words[at], "mass")?,
            None => standard,
        };
        let vector = |at: usize, what: &str| -> Result<Vec3> {
            Ok(Vec3::new(
                number(words[at], what)?,
                number(words[at + 1], what)?,
                number(words[at + 2], what)?,
            ))
        };
        structure.positions.push(vector(self.position, "position")?);
        if let Some(velocities) = &mut structure.velocities {
            velocities.push(match self.motion {
                Some(Motion::Internal(at)) => vector(at, "velocity")?,
                Some(Motion::Momenta(at)) => vector(at, "momentum")? / mass,
                Some(Motion::Velocities(at)) => vector(at, "velocity")? * ANGSTROM_PER_FS,
                None => Vec3::zeros(),
            });
        }
        structure.species.push(z);
        structure.masses.push(mass);
        Ok(())
    }
}
