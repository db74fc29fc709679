//! Extended XYZ, read exactly.
//!
//! The format is that of libAtoms/extxyz (<https://github.com/libAtoms/extxyz>) as ASE writes it: a
//! count, a line of `key=value` pairs of which `Lattice` (three lattice vectors, one after another),
//! `pbc` and `Properties` (columns as name:type:count) have a meaning here, and a line an atom. Plain
//! XYZ is the same without keys.

pub(super) mod columns;
pub(super) mod comment;

use std::collections::BTreeSet;

use super::fields::{number, shorten};
use super::structure::{Labelled, Structure, Wanted};
use crate::core::rng::NoiseMark;
use crate::{Error, Result};
use columns::Columns;
use comment::Keys;

/// Keys of the frames that runs with a thermostat write: its seed, and the steps drawn of its noise.
pub const NOISE_SEED: &str = "noise_seed";
/// See [`NOISE_SEED`].
pub const NOISE_STEP: &str = "noise_step";
/// The column of velocities in internal units, exact to the bit, that mdrun writes.
pub const INTERNAL: &str = "velo_internal";

/// One frame's lines: number of its first line (from 1), comment, and the atoms' lines.
struct XyzFrame<'t> {
    line: usize,
    comment: &'t str,
    rows: &'t [&'t str],
}

/// Reads frames of extended XYZ.
///
/// # Errors
/// The text is not XYZ, is cut short, or lacks the frame. Messages begin with `line N`.
pub(super) fn read(text: &str, wanted: Wanted) -> Result<Vec<Structure>> {
    let lines: Vec<&str> = text.lines().collect();
    let blocks = split(&lines)?;
    wanted.read(blocks.len(), |k| of_block(&blocks[k], blocks.len()))
}

/// Reads all frames with the energies and forces that are stated for them.
///
/// # Errors
/// As [`read`], or a frame lacks either of them.
pub(super) fn labelled(text: &str) -> Result<Vec<Labelled>> {
    let lines: Vec<&str> = text.lines().collect();
    let blocks = split(&lines)?;
    let labels = |block: &XyzFrame<'_>| {
        let structure = of_block(block, blocks.len())?;
        let at_comment = |e: Error| e.within(format!("line {}", block.line + 1));
        let keys = Keys::parse(block.comment).map_err(at_comment)?;
        let columns = Columns::new(&keys).map_err(at_comment)?;
        let mut forces = Vec::with_capacity(block.rows.len());
        for (k, row) in block.rows.iter().enumerate() {
            let force = columns.force(row);
            forces.push(force.map_err(|e| e.within(format!("line {}", block.line + 2 + k)))?);
        }
        Ok(Labelled {
            structure,
            energy: energy(&keys).map_err(at_comment)?,
            forces,
        })
    };
    blocks.iter().map(labels).collect()
}

/// The energy that a comment line states.
fn energy(keys: &Keys) -> Result<f64> {
    for key in ["energy", "Energy", "REF_energy"] {
        if let Some(text) = keys.value(key)? {
            return number(text, key);
        }
    }
    Err(Error::input(
        "no energy is stated (energy=...), as ASE writes it for a structure with a calculator",
    ))
}

/// Reads the lines of one frame of so many.
fn of_block(block: &XyzFrame<'_>, frames: usize) -> Result<Structure> {
    let at_comment = |e: Error| e.within(format!("line {}", block.line + 1));
    let keys = Keys::parse(block.comment).map_err(at_comment)?;
    let columns = Columns::new(&keys).map_err(at_comment)?;
    let vectors = keys.lattice().map_err(at_comment)?;
    let periodic = keys.periodic(vectors.is_some()).map_err(at_comment)?;
    let mut structure = Structure {
        vectors,
        periodic,
        frames,
        noise: noise(&keys).map_err(at_comment)?,
        ..Structure::default()
    };
    let first = block.line + 2;
    let mut velocities = Vec::new();
    let mut names = Vec::new();
    let mut numbers = Some(BTreeSet::new());
    for (k, row) in block.rows.iter().enumerate() {
        let at_line = |e: Error| e.within(format!("line {}: atom {k}, counted from 0", first + k));
        let atom = columns.read(row).map_err(at_line)?;
        numbers = numbers
            .zip(atom.label.parse::<u8>().ok())
            .map(|(mut set, n)| {
                set.insert(n);
                set
            });
        structure.push(atom.element, atom.position);
        velocities.extend(atom.velocity);
        names.extend(atom.name);
    }
    columns.agree(block.rows, &structure.masses, first)?;
    structure.velocities = columns.has_motion().then_some(velocities);
    structure.names = (!names.is_empty()).then_some(names);
    if let Some(numbers) = numbers.filter(|_| columns.has_symbols()) {
        let note =
            numbers_or_types(&numbers, &keys).map_err(|e| e.within(format!("line {first}")))?;
        structure.notes.push(note);
    }
    Ok(structure)
}

/// Judges labels that are all numbers: atomic numbers or the types of a force field. Types count from 1
/// without a gap, as the numbers of hydrogen alone, or of hydrogen and helium, do.
///
/// # Errors
/// They are, or may be, types.
fn numbers_or_types(numbers: &BTreeSet<u8>, keys: &Keys) -> Result<String> {
    let list: Vec<String> = numbers.iter().take(6).map(u8::to_string).collect();
    let list = list.join(", ");
    let from_one = numbers.iter().zip(1..).all(|(n, k)| *n == k);
    if from_one || keys.is_from_lammps() {
        return Err(Error::input(format!(
            "the atoms' labels are numbers ({list}), which may be atom types; write symbols in their place, \
             or say Properties=Z:I:1:pos:R:3 in the comment line if they are atomic numbers"
        )));
    }
    Ok(format!(
        "the atoms' labels ({list}) are taken as atomic numbers"
    ))
}

/// How far the thermostat's noise had come in the run that wrote the frame.
fn noise(keys: &Keys) -> Result<Option<NoiseMark>> {
    let (Some(seed), Some(step)) = (keys.value(NOISE_SEED)?, keys.value(NOISE_STEP)?) else {
        return Ok(None);
    };
    match (seed.parse(), step.parse()) {
        (Ok(seed), Ok(step)) => Ok(Some(NoiseMark { seed, step })),
        _ => Err(Error::input(format!(
            "{NOISE_SEED}={seed:?} {NOISE_STEP}={step:?} are not two whole numbers"
        ))),
    }
}

/// Cuts the lines into frames. Blank lines may stand between them.
fn split<'t>(lines: &'t [&'t str]) -> Result<Vec<XyzFrame<'t>>> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while let Some(count) = lines.get(at) {
        let count = count.trim();
        if count.is_empty() {
            at += 1;
            continue;
        }
        let line = at + 1;
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
        blocks.push(XyzFrame {
            line,
            comment: lines[at + 1],
            rows: &lines[at + 2..at + 2 + atoms],
        });
        at += 2 + atoms;
    }
    Ok(blocks)
}
