//! The potential itself: whether its forces are the slopes of its energy, and whether its energy jumps where a
//! pair passes the cutoff; and what drift either of them makes.
//!
//! # Forces that are not slopes
//!
//! Along the motion the energy changes by v . grad U, and the forces do the work -v . F. What is left,
//! (dU/ds + F . u) |v| with u the direction of all velocities, is the rate at which energy is made from
//! nothing: its mean over moments, per atom, is the drift that such forces cause. See [`super::slope`].
//!
//! # A jump at the cutoff
//!
//! A pair that enters the range changes the energy by J without a force ever having done the work. J is the
//! difference of the energies with one atom moved so that the pair is just within and just beyond the cutoff,
//! less the work of the forces in between; a drift of J times the rate at which the number of pairs in range
//! changes follows (in equilibrium that number goes up and down, and J makes noise, not drift).

use std::time::Instant;

use serde::Serialize;

use super::slope::{self, Agreement};
use super::{Case, SEEN};
use crate::Result;
use crate::core::{Snapshot, Vec3};
use crate::forcefield::ForceField;
use crate::neighbors::Pairs;
use crate::report::series::{Estimate, Series};

/// Distance from the cutoff (angstrom) at which the energies of a jump are taken.
const EDGE: f64 = 1e-6;
/// Pairs this near to the cutoff (angstrom) are moved across it.
const NEAR: f64 = 0.3;
/// Moments in which pairs are moved across the cutoff, and pairs in each.
const MOMENTS: usize = 16;
const PAIRS: usize = 4;
/// Forces that differ by more than this (eV / angstrom), for certain, from the slopes of the energy are no slopes.
pub(super) const FORCE: f64 = slope::TOLERANCE;
/// What forces make of the energy agrees with a drift if it does so within this many standard errors.
const AGREES: f64 = 3.0;
/// A jump smaller than this (eV) is none: as in `mdrun check`.
pub(super) const JUMP: f64 = 1e-6;

/// What was found.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Findings {
    /// Moments looked at.
    pub moments: usize,
    /// Drift (eV per atom and time) that forces cause which are not the slopes of the energy.
    pub force_drift: Option<Estimate>,
    /// Largest difference of force and slope along the motion (eV / angstrom), as far as it is certain.
    pub force_error: f64,
    /// Pairs moved across the cutoff.
    pub crossings: usize,
    /// Mean change of the energy (eV) as a pair enters the range.
    pub jump: Option<Estimate>,
    /// The largest such change (eV), by magnitude.
    pub largest_jump: f64,
    /// Drift (eV per atom and time) that the jump makes while the number of pairs in range changes.
    pub jump_drift: Option<Estimate>,
}

/// Looks at moments of a run with a force field that is in f64, its pairs beyond doubt.
pub(super) fn examine(
    case: &Case,
    field: &mut dyn ForceField,
    moments: &[Snapshot],
    deadline: Instant,
) -> Result<Findings> {
    let cutoff = field.cutoff();
    let atoms = case.start.system.len() as f64;
    let (mut powers, mut jumps) = (Vec::new(), Vec::new());
    let mut findings = Findings::default();
    let stride = moments.len().div_ceil(MOMENTS).max(1);
    for moment in moments.iter().step_by(stride) {
        jumps.extend(crossings(field, moment, cutoff)?);
        findings.moments += 1;
        if Instant::now() > deadline {
            break;
        }
    }
    findings.crossings = jumps.len();
    findings.largest_jump = jumps.iter().fold(0.0, |a, j| a.max(j.abs()));
    for moment in moments {
        let jumps = findings.largest_jump > JUMP;
        if let Some((found, speed)) = against_slope(field, moment, jumps)? {
            findings.force_error = findings.force_error.max(found.certain());
            powers.push(found.difference * speed / atoms);
        }
        if Instant::now() > deadline {
            break;
        }
    }
    findings.force_drift = mean(&powers);
    findings.jump = mean(&jumps);
    if let (Some(jump), Some(rate)) = (findings.jump, entering(moments, cutoff)?) {
        let value = jump.value * rate.value / atoms;
        let error = (jump.value * rate.error).hypot(jump.error * rate.value) / atoms;
        findings.jump_drift = Some(Estimate {
            value,
            error,
            converged: rate.converged,
        });
    }
    Ok(findings)
}

/// Mean and standard error of independent numbers.
fn mean(values: &[f64]) -> Option<Estimate> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let value = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
    Some(Estimate {
        value,
        error: (squares / (n - 1.0) / n).sqrt(),
        converged: true,
    })
}

/// Pairs that enter the range, per time.
fn entering(moments: &[Snapshot], cutoff: f64) -> Result<Option<Estimate>> {
    let mut series = Series::default();
    for moment in moments {
        let pairs = Pairs::within(&moment.cell, &moment.positions, cutoff)?;
        series.add(moment.time, pairs.len() as f64 / 2.0);
    }
    Ok(series.slope())
}

/// The force along the motion beside the slope of the energy, and the speed along it. None where nothing moves, or
/// where a pair passes the cutoff and the energy jumps there.
fn against_slope(
    field: &mut dyn ForceField,
    moment: &Snapshot,
    jumps: bool,
) -> Result<Option<(Agreement, f64)>> {
    let speed = (moment.velocities.iter().map(Vec3::norm_squared))
        .sum::<f64>()
        .sqrt();
    if !(speed > 0.0 && speed.is_finite()) {
        return Ok(None);
    }
    let here = field.at(&moment.cell, &moment.positions)?;
    let pairs = field.pairs();
    let mut same = true;
    let mut energy = |moved: &[Vec3]| -> Result<f64> {
        let there = field.at(&moment.cell, moved)?;
        same &= field.pairs() == pairs;
        Ok(there.energy)
    };
    let state = (&moment.positions[..], &here.forces[..]);
    let found = slope::along(&moment.velocities, state, here.energy, &mut energy)?;
    Ok((same || !jumps).then_some((found, speed)))
}

/// Changes of the energy (eV) as pairs near the cutoff are moved into it.
fn crossings(field: &mut dyn ForceField, moment: &Snapshot, cutoff: f64) -> Result<Vec<f64>> {
    let near = Pairs::within(&moment.cell, &moment.positions, cutoff + NEAR)?;
    let far = |p: &usize| (near.distances[*p] - cutoff).abs();
    let mut pairs: Vec<usize> = (0..near.len())
        .filter(|p| near.receivers[*p] < near.neighbors[*p] && far(p) < NEAR)
        .collect();
    pairs.sort_by(|a, b| far(a).total_cmp(&far(b)));
    pairs.truncate(PAIRS);
    let mut jumps = Vec::new();
    for p in pairs {
        let atom = near.receivers[p] as usize;
        let towards = near.vectors[p] / near.distances[p];
        let mut with = |distance: f64| -> Result<(f64, f64)> {
            let mut positions = moment.positions.clone();
            positions[atom] += towards * (near.distances[p] - distance);
            let there = field.at(&moment.cell, &positions)?;
            let push = there.forces[atom].dot(&towards);
            Ok((there.energy, push))
        };
        let (within, push_within) = with(cutoff - EDGE)?;
        let (beyond, push_beyond) = with(cutoff + EDGE)?;
        // The work of the forces on the way of 2 EDGE is no jump.
        jumps.push(within - beyond + (push_within + push_beyond) * EDGE);
    }
    Ok(jumps)
}

impl Findings {
    /// Whether the energy jumps at the cutoff.
    pub fn jumps(&self) -> bool {
        self.largest_jump > JUMP
    }

    /// Which of the two explains a drift: forces that are not slopes (they make a drift that agrees with it), or
    /// a jump at the cutoff (it makes at least half of it, and not by chance).
    pub(super) fn explain(&self, drift: &Estimate) -> [bool; 2] {
        let forces = self.force_drift.is_some_and(|made| {
            let error = made.error.hypot(drift.error);
            made.error < drift.value.abs() && (made.value - drift.value).abs() < AGREES * error
        });
        let jump = self.jump_drift.is_some_and(|made| {
            made.value.abs() > SEEN * made.error
                && made.value * drift.value.signum() > 0.5 * drift.value.abs()
        });
        [self.force_error > FORCE && forces, self.jumps() && jump]
    }
}
