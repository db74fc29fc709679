//! Wrapping: the molecules of a frame moved into the cell.
//!
//! Molecules stay whole; their centres (of their atoms' positions, all of one weight) are in the cell. Single
//! atoms, and the atoms of what has no end (a crystal, a nanotube along its axis), are moved one by one
//! to fractional coordinates from 0 up to, but never at 1: also as numbers of the format, which may round
//! upwards. Molecules are found anew in every frame: where bonds break and form, what is bonded is kept
//! together.

use crate::core::{Cell, System, Vec3};
use crate::neighbors::Molecules;
use crate::units::NANOMETRE;

/// Fractional coordinates as a program reads them that count as inside: below 1 by twice the rounding
/// of f32, in which many keep the cell too.
const INSIDE: f64 = 1.0 - 1.0 / 4_194_304.0;

/// Most attempts at a position that stays inside when it is rounded: in a skewed cell what is moved along one
/// direction is rounded along others.
const ATTEMPTS: usize = 6;

/// What becomes of positions as numbers of a format.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rounding {
    kind: RoundingKind,
    /// Distance (angstrom) of neighbouring numbers.
    step: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum RoundingKind {
    /// They stay what they are.
    None,
    /// They are f32 in a unit of so many angstrom.
    F32(f64),
    /// They are f32 in nanometres, rounded to so many points in one.
    Grid(f32),
}

impl Rounding {
    /// Positions stay what they are, in f64.
    pub const NONE: Self = Self {
        kind: RoundingKind::None,
        step: 0.0,
    };

    /// Positions in `cell` become f32 in a unit of so many angstrom.
    pub fn to_f32(cell: &Cell, unit: f64) -> Self {
        // No position in the cell has a component beyond the sum of those of its vectors.
        let farthest = 3.0 * cell.vectors().amax();
        Self {
            kind: RoundingKind::F32(unit),
            step: farthest * f64::from(f32::EPSILON),
        }
    }

    /// Positions become multiples of a nanometre's part, of which there are `precision`.
    pub fn to_grid(precision: f32) -> Self {
        Self {
            kind: RoundingKind::Grid(precision),
            step: NANOMETRE / f64::from(precision),
        }
    }

    fn of(&self, position: &Vec3) -> Vec3 {
        match self.kind {
            RoundingKind::None => *position,
            RoundingKind::F32(unit) => position.map(|x| f64::from((x / unit) as f32) * unit),
            RoundingKind::Grid(precision) => position
                .map(|x| f64::from(((x / NANOMETRE) as f32 * precision).round()) * self.step),
        }
    }
}

/// Moves atoms at `positions` (angstrom) into the cell along its periodic directions; they are written in a
/// format that rounds in this way.
pub fn frame(system: &System, cell: &Cell, positions: &mut [Vec3], rounding: &Rounding) {
    let periodic = cell.periodic();
    if periodic == [false; 3] {
        return;
    }
    let molecules = Molecules::of(&system.species, cell, positions);
    molecules.make_whole(cell, positions);
    for (atoms, endless) in molecules.atoms.iter().zip(&molecules.endless) {
        let alone = atoms.len() == 1;
        let one_by_one = [0, 1, 2].map(|k| periodic[k] && (alone || endless[k]));
        let image = [0, 1, 2].map(|k| match periodic[k] && !one_by_one[k] {
            true => home(cell, positions, atoms, k),
            false => 0.0,
        });
        for &i in atoms {
            if image != [0.0; 3] {
                positions[i] += cell.cartesian(&Vec3::from(image));
            }
            positions[i] = settle(cell, &positions[i], one_by_one, rounding);
        }
    }
}

/// The number of cells by which a molecule's centre is to be moved along direction `k`.
fn home(cell: &Cell, positions: &[Vec3], atoms: &[usize], k: usize) -> f64 {
    let all: f64 = (atoms.iter())
        .map(|&i| cell.fractional(&positions[i])[k])
        .sum();
    -(all / atoms.len() as f64).floor()
}

/// The image of a position that is in the cell along some directions, once it is rounded too.
fn settle(cell: &Cell, position: &Vec3, along: [bool; 3], rounding: &Rounding) -> Vec3 {
    let mut at = cell.wrap_along(position, along);
    if rounding.kind == RoundingKind::None {
        return at;
    }
    // Where rounding leads out of one face, the position beyond the opposite one may be rounded inwards; else
    // the lower face itself is near enough; and where that is not on the grid, a step of the grid away.
    for attempt in 0..ATTEMPTS {
        let read = cell.fractional(&rounding.of(&at));
        let out = |k: &usize| along[*k] && !(0.0..INSIDE).contains(&read[*k]);
        for k in (0..3).filter(out) {
            let vector = cell.vector(k);
            if attempt == 0 {
                at -= vector * read[k].signum();
            } else {
                // A little more than nothing: zero itself may come out below zero.
                at -= vector * (cell.fractional(&at)[k] - 4.0 * f64::EPSILON);
            }
            if attempt > 1 {
                at += vector * (2.0 * rounding.step / cell.height(k));
            }
        }
    }
    at
}
