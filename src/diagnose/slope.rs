//! Forces against the slopes of the energy, by differences whose step is chosen by convergence.
//!
//! No step is right for every energy. A root in a network's norm of a vector bends the energy within 1e-4 A where
//! symmetry makes the vector vanish: a step must be much shorter there. Where rounding of a large energy is
//! divided by a short step, it must be long. So central differences are taken over a ladder of steps, each half
//! of the one before, and extrapolated to none (Richardson; Ridders, Adv. Eng. Software 4, 75 (1982)). What they
//! converge to is told with its uncertainty: how much the last extrapolations differ, and the rounding of the
//! energy over the step.

use crate::Result;
use crate::core::rng::{Noise, Stream};
use crate::core::{Cell, Mat3, Vec3};
use crate::forcefield::ForceField;
use crate::potential::Evaluation;

/// Longest step (angstrom): stiff bonds are smooth on it.
const WIDEST: f64 = 1e-3;
/// Steps on the ladder: the shortest is 5e-7 angstrom.
const RUNGS: usize = 12;
/// Rungs that are always taken, so that no bend on the scale of 1e-4 angstrom is missed.
const FEWEST_RUNGS: usize = 7;
/// Most extrapolations of one difference: those of higher order gain nothing in f64.
const ORDERS: usize = 5;
/// Rounding error of an energy, in units of its own last place.
const ROUNDING: f64 = 4.0;
/// An energy is summed from terms of this size (eV) for each atom, even where they cancel.
const TERM: f64 = 1.0;
/// Part of the tolerance at which the ladder ends: further down there is nothing more to tell.
const CLEAR: f64 = 0.1;

/// Largest difference between a force and the slope of the energy (eV / angstrom): right forces in f64 agree to 1e-9.
pub const TOLERANCE: f64 = 1e-7;
/// A difference is a fault where it exceeds the tolerance by so many times its uncertainty: where symmetry bends the
/// energy, short steps leave a few rounding errors more than are foreseen.
pub const SURE: f64 = 6.0;

/// A force beside the slope of the energy along the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Agreement {
    /// The slope and the force together (eV / angstrom; eV for a strain): zero if one is minus the other.
    pub difference: f64,
    /// Uncertainty of the slope (the same unit).
    pub uncertainty: f64,
}

impl Agreement {
    /// The part of the difference that is beyond doubt.
    pub fn certain(&self) -> f64 {
        (self.difference.abs() - SURE * self.uncertainty).max(0.0)
    }

    /// The largest difference that there may be.
    pub fn possible(&self) -> f64 {
        self.difference.abs() + SURE * self.uncertainty
    }

    /// Whichever of the two is worse.
    pub fn worse(self, other: Self) -> Self {
        let worse = (other.certain(), other.possible()) > (self.certain(), self.possible());
        if worse { other } else { self }
    }
}

/// The derivative of a function at 0, and its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Derivative {
    /// The derivative.
    pub value: f64,
    /// Its uncertainty.
    pub error: f64,
}

/// Takes the derivative of `energy` at 0 by differences: with steps from `widest` down, until it is known to
/// `enough`. `rounding` is the error of one energy.
///
/// # Errors
/// Those of the function.
pub fn derivative(
    energy: &mut dyn FnMut(f64) -> Result<f64>,
    widest: f64,
    (rounding, enough): (f64, f64),
) -> Result<Derivative> {
    let mut best: Option<Derivative> = None;
    let mut before: Vec<f64> = Vec::new();
    for rung in 0..RUNGS {
        let step = widest * 0.5_f64.powi(rung as i32);
        let difference = (energy(step)? - energy(-step)?) / (2.0 * step);
        let row = extrapolated(difference, &before);
        if let Some(found) = best_of(&row, &before, 2.0 * rounding / step) {
            best = Some(best.map_or(found, |best| narrower(best, found)));
        }
        before = row;
        if rung + 1 >= FEWEST_RUNGS && best.is_some_and(|best| best.error <= enough) {
            break;
        }
    }
    Ok(best.unwrap_or(Derivative {
        value: f64::NAN,
        error: f64::INFINITY,
    }))
}

/// Neville's scheme in powers of the step squared: the difference, and what it extrapolates to together with those
/// of longer steps.
fn extrapolated(difference: f64, before: &[f64]) -> Vec<f64> {
    let mut row = vec![difference];
    let mut weight = 1.0;
    for longer in before.iter().take(ORDERS) {
        weight *= 4.0;
        let last = row[row.len() - 1];
        row.push(last + (last - longer) / (weight - 1.0));
    }
    row
}

/// The entry of a row that differs least from its neighbours.
fn best_of(row: &[f64], before: &[f64], rounding: f64) -> Option<Derivative> {
    let entries = (1..row.len()).map(|k| {
        let change = (row[k] - row[k - 1])
            .abs()
            .max((row[k] - before[k - 1]).abs());
        Derivative {
            value: row[k],
            error: change + rounding,
        }
    });
    entries.min_by(|a, b| a.error.total_cmp(&b.error))
}

/// The better known of two; where they contradict each other, that of the shorter step, `found`.
fn narrower(best: Derivative, found: Derivative) -> Derivative {
    let contradict = (best.value - found.value).abs() > 2.0 * (best.error + found.error);
    if contradict || found.error < best.error {
        found
    } else {
        best
    }
}

/// Compares the forces along `directions` (angstrom, one vector for each atom; any length) with the slope of the
/// energy there. `energy` takes displaced positions; `here` is what it is without displacement (eV).
///
/// # Errors
/// Those of the energy.
pub fn along(
    directions: &[Vec3],
    (positions, forces): (&[Vec3], &[Vec3]),
    here: f64,
    energy: &mut dyn FnMut(&[Vec3]) -> Result<f64>,
) -> Result<Agreement> {
    let length = (directions.iter().map(Vec3::norm_squared))
        .sum::<f64>()
        .sqrt();
    let farthest = directions.iter().map(|d| d.norm()).fold(0.0, f64::max);
    if !(length > 0.0 && length.is_finite()) {
        return Ok(Agreement::default());
    }
    // Along a direction of unit length, the atom that moves farthest moves by farthest / length.
    let widest = WIDEST * length / farthest;
    let mut moved = positions.to_vec();
    let mut at = |s: f64| {
        for ((to, r), d) in moved.iter_mut().zip(positions).zip(directions) {
            *to = r + d * (s / length);
        }
        energy(&moved)
    };
    let rounding = rounding_of(here, positions, forces);
    let slope = derivative(&mut at, widest, (rounding, CLEAR * TOLERANCE))?;
    let push: f64 = (forces.iter().zip(directions)).map(|(f, d)| f.dot(d)).sum();
    Ok(Agreement {
        difference: slope.value + push / length,
        uncertainty: slope.error,
    })
}

/// Rounding error (eV) of an energy: its own, and that of positions, which forces make one of the energy.
fn rounding_of(energy: f64, positions: &[Vec3], forces: &[Vec3]) -> f64 {
    let largest = |vectors: &[Vec3]| vectors.iter().map(|v| v.norm()).fold(0.0, f64::max);
    let of_positions = largest(positions) * largest(forces);
    let of_energy = energy.abs() + TERM * positions.len() as f64;
    ROUNDING * f64::EPSILON * (of_energy + of_positions)
}

/// Evaluations times pairs that looking at atoms one by one may take: about a second for PaiNN in f64.
const WORK: usize = 40_000;
/// Fewest atoms that are looked at one by one, in systems of fewer pairs than [`LARGE`].
const FEWEST_ATOMS: usize = 4;
const LARGE: usize = 100_000;
/// Width (angstrom) by which atoms are shaken: of the order of vibrations at room temperature. There forces are those
/// of a run, and nothing vanishes by symmetry.
const SHAKEN: f64 = 0.05;
/// An uncertainty of slopes in units of their tolerance that a run would not see: the rounding of forces in f32.
const ROUGH: f64 = 1000.0;

impl Agreement {
    /// Whether force and slope agree to a tolerance (of its unit): `Some(false)` where they certainly do not, `None` where the
    /// energy is too rough to tell what a run would see.
    pub fn holds(&self, tolerance: f64) -> Option<bool> {
        if self.certain() > tolerance || !self.difference.is_finite() {
            return Some(false);
        }
        (self.possible() <= ROUGH * tolerance).then_some(true)
    }
}

/// Positions with every atom moved a little, each its own way.
pub fn shaken(positions: &[Vec3]) -> Vec<Vec3> {
    let noise = Noise::new(1);
    let moved =
        |(i, r): (usize, &Vec3)| r + SHAKEN * noise.normal3(0, i as u32, Stream::Velocities);
    positions.iter().enumerate().map(moved).collect()
}

/// What the slopes of the energy show at a place and, of systems that are not large, where its atoms are shaken; of as many
/// atoms one by one as `pairs` (the number of ordered pairs) leave time for.
///
/// # Errors
/// The device failed.
pub fn examine_about(
    field: &mut dyn ForceField,
    cell: &Cell,
    positions: &[Vec3],
    pairs: usize,
) -> Result<Slopes> {
    let atoms = match pairs {
        0..LARGE => (WORK / pairs.max(1)).max(FEWEST_ATOMS),
        _ => 0,
    };
    let here = examine(field, cell, positions, atoms)?;
    if atoms == 0 {
        return Ok(here);
    }
    let there = examine(field, cell, &shaken(positions), atoms)?;
    Ok(match there.forces.difference.is_finite() {
        true => here.worse(&there),
        false => here,
    })
}

/// What the slopes of a potential have shown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Slopes {
    /// The worst of the forces (eV / angstrom).
    pub forces: Agreement,
    /// Directions along which forces were compared.
    pub directions: usize,
    /// The strain derivative along a strain of unit norm (eV), for a cell.
    pub strain: Option<Agreement>,
    /// Largest difference of a right strain derivative and its slope (eV).
    pub strain_tolerance: f64,
}

impl Slopes {
    /// What two places have shown together.
    pub fn worse(self, other: &Self) -> Self {
        Self {
            forces: self.forces.worse(other.forces),
            directions: self.directions + other.directions,
            strain: (self.strain.zip(other.strain)).map(|(a, b)| a.worse(b)),
            strain_tolerance: self.strain_tolerance,
        }
    }
}

/// Holds the forces of a potential against the slopes of its energy at `positions` (angstrom): of `atoms` atoms,
/// spread evenly over all of them, each along a direction of its own, and where these are not all, of all atoms at
/// once; and the strain derivative where the cell is periodic.
///
/// # Errors
/// The device failed.
pub fn examine(
    field: &mut dyn ForceField,
    cell: &Cell,
    positions: &[Vec3],
    atoms: usize,
) -> Result<Slopes> {
    let all = positions.len();
    let here = field.at(cell, positions)?;
    let mut found = Slopes {
        strain_tolerance: TOLERANCE * field.cutoff() * (all as f64).sqrt(),
        ..Slopes::default()
    };
    let mut compare = |directions: &[Vec3]| -> Result<()> {
        let mut energy = |moved: &[Vec3]| Ok(field.at(cell, moved)?.energy);
        let now = along(
            directions,
            (positions, &here.forces),
            here.energy,
            &mut energy,
        )?;
        found.forces = found.forces.worse(now);
        found.directions += 1;
        Ok(())
    };
    let chosen = atoms.min(all);
    for k in 0..chosen {
        let atom = k * all / chosen;
        let mut directions = vec![Vec3::zeros(); all];
        directions[atom] = direction(atom);
        compare(&directions)?;
    }
    if all > chosen {
        compare(&(0..all).map(direction).collect::<Vec<_>>())?;
    }
    if cell.is_periodic() {
        found.strain = Some(strain(field, (cell, positions), &here)?);
    }
    Ok(found)
}

/// A direction that is no special one, for each atom another.
fn direction(atom: usize) -> Vec3 {
    (Noise::new(0))
        .normal3(0, atom as u32, Stream::Velocities)
        .normalize()
}

/// Holds the derivative with respect to a homogeneous strain (eV) against the slope of the energy.
fn strain(
    field: &mut dyn ForceField,
    (cell, positions): (&Cell, &[Vec3]),
    here: &Evaluation,
) -> Result<Agreement> {
    let [a, b] = [0, 1].map(direction);
    // Symmetric, without special directions: an antisymmetric part would only turn the system.
    let mut unit = a * b.transpose() + b * a.transpose() + Mat3::identity() * 0.5;
    unit /= unit.norm();
    let cutoff = field.cutoff();
    let mut at = |s: f64| {
        let stretch = Mat3::identity() + unit * s;
        let strained = Cell::new(cell.vectors() * stretch.transpose(), cell.periodic())?;
        let moved: Vec<Vec3> = positions.iter().map(|r| stretch * r).collect();
        Ok(field.at(&strained, &moved)?.energy)
    };
    // Two atoms at the cutoff move by the longest step.
    let rounding = rounding_of(here.energy, positions, &here.forces);
    let enough = CLEAR * TOLERANCE * cutoff * (positions.len() as f64).sqrt();
    let slope = derivative(&mut at, WIDEST / cutoff, (rounding, enough))?;
    Ok(Agreement {
        difference: slope.value - here.strain_derivative.dot(&unit),
        uncertainty: slope.error,
    })
}
