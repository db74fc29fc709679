//! Whether forces bend within a step: whether they are smooth on its way.
//!
//! A step of velocity Verlet changes the total energy by what the trapezoidal rule misses of the forces' work,
//! U' - U + (F + F') (r' - r) / 2, and by a term that the next step gives back. Where forces are smooth on its way, what is
//! missed is of third order: two halves of the way miss a quarter. Where they bend within it, it is not, whatever the step:
//! then the order of the integrator and the drift are those of chance. A root in a network's norm of a vector (SchNetPack
//! adds 1e-8 under it) turns forces within 1e-4 A where symmetry makes the vector vanish, as in linear molecules. So the step
//! that misses most is taken in halves, in f64. This needs one way alone, where walks with different steps part from each
//! other.

use super::cutoff::JUMP;
use super::line::{ValidationLine, short};
use super::potential::place;
use super::{PairSearch, Setup};
use crate::Result;
use crate::core::{Snapshot, Vec3, elements};
use crate::text::significant;
use crate::units::FEMTOSECOND;

/// How far four times what the halves miss may be from what the step misses, as a part of that: an order between 1.7 and 2.4.
/// With 8 steps in a vibration terms of the next order make 4 % of it.
const BENT: f64 = 0.25;

/// The step of a walk that misses most of the forces' work.
#[derive(Debug, Clone, Default)]
pub(super) struct RoughestStep {
    before: Option<Snapshot>,
    /// What it misses in the run's numbers (eV).
    missed: f64,
    /// How long after the beginning of the walk it ends (internal time).
    time: f64,
    /// Where it begins and ends (angstrom).
    ends: Option<[Vec<Vec3>; 2]>,
}

impl RoughestStep {
    /// Takes the next state of the walk, with positions and forces, at its time (internal).
    pub fn look(&mut self, state: Snapshot, time: f64) {
        if let Some(before) = &self.before {
            let missed = missed([PlaceOnTheWay::of(before), PlaceOnTheWay::of(&state)]).abs();
            if missed > self.missed {
                self.missed = missed;
                self.time = time;
                self.ends = Some([before, &state].map(|s| s.positions.clone()));
            }
        }
        self.before = Some(state);
    }

    /// What the step shows in f64; `None` where none missed anything, and of what another program computes.
    ///
    /// # Errors
    /// The device failed.
    pub fn line(&self, setup: &Setup<'_>) -> Result<Option<ValidationLine>> {
        // What another program computes is at the other end of the engine's own connection.
        let ends = self.ends.as_ref().filter(|_| !setup.remote);
        let Some([from, to]) = ends else {
            return Ok(None);
        };
        let species = &setup.start.system.species;
        let mut field = (setup.workshop).exact(&setup.start.system, PairSearch::Listed)?;
        let (cell, _) = place(&setup.start)?;
        let mut at = |positions: &[Vec3]| {
            let found = field.at(cell, positions)?;
            Ok((found.energy, found.forces))
        };
        let halved = halved(&mut at, [from, to])?;
        let name = format!(
            "{} ({})",
            halved.atom,
            elements::symbol(species[halved.atom])
        );
        Ok(Some(self.told(&halved, &name)))
    }

    fn told(&self, halved: &HalvedStep, atom: &str) -> ValidationLine {
        let [whole, halves] = halved.missed.map(f64::abs);
        // Of a step that rounding has chosen nothing follows but that others miss less than rounding.
        let off = match whole.max(self.missed) {
            most if whole.max(halves) > JUMP => halved.off() / most,
            _ => 0.0,
        };
        let text = format!(
            "the step that misses most misses {} eV, its halves {} eV",
            short(whole),
            short(halves)
        );
        let text = match off > BENT {
            true => format!(
                "{text}, and not a quarter: the force on atom {atom} bends within the step, {} fs on",
                significant(self.time / FEMTOSECOND, 3)
            ),
            false => text,
        };
        ValidationLine::measured(
            ("bends", "bends within a step"),
            (off, "", BENT),
            "forces that are smooth on the way of a step leave a quarter of what it misses of their work to its halves. Where \
             they bend within it, the energy jumps, and order and drift are those of chance, whatever the step. A network's \
             norm of a vector does so where symmetry makes the vector vanish, as in linear molecules (the 1e-8 under \
             SchNetPack's root)",
        )
        .saying(text)
        .with_bar("")
    }
}

/// Energy (eV), positions (angstrom) and forces (eV / angstrom) somewhere on the way.
#[derive(Clone, Copy)]
struct PlaceOnTheWay<'p> {
    energy: f64,
    positions: &'p [Vec3],
    forces: &'p [Vec3],
}

impl<'p> PlaceOnTheWay<'p> {
    fn of(state: &'p Snapshot) -> Self {
        Self {
            energy: state.observables.potential,
            positions: &state.positions,
            forces: &state.forces,
        }
    }
}

/// What the trapezoidal rule misses of the forces' work (eV) between two places.
fn missed([from, to]: [PlaceOnTheWay<'_>; 2]) -> f64 {
    let ways = from.positions.iter().zip(to.positions).map(|(a, b)| b - a);
    let pushes = from
        .forces
        .iter()
        .zip(to.forces)
        .map(|(a, b)| (a + b) / 2.0);
    let work: f64 = ways.zip(pushes).map(|(way, push)| way.dot(&push)).sum();
    to.energy - from.energy + work
}

/// A step's way, and its halves.
#[derive(Debug, Clone, Copy)]
struct HalvedStep {
    /// What it misses, and its halves together (eV).
    missed: [f64; 2],
    /// The atom whose force is farthest from a line.
    atom: usize,
}

impl HalvedStep {
    /// How far four times what the halves miss are from what the step misses (eV).
    fn off(&self) -> f64 {
        (self.missed[0] - 4.0 * self.missed[1]).abs()
    }
}

/// Energy (eV) and forces (eV / angstrom) at positions (angstrom).
type AtPositions<'p> = dyn FnMut(&[Vec3]) -> Result<(f64, Vec<Vec3>)> + 'p;

fn halved(at: &mut AtPositions<'_>, [from, to]: [&[Vec3]; 2]) -> Result<HalvedStep> {
    let between: Vec<Vec3> = from.iter().zip(to).map(|(a, b)| (a + b) / 2.0).collect();
    let found = [at(from)?, at(&between)?, at(to)?];
    let place = |k: usize, positions| PlaceOnTheWay {
        energy: found[k].0,
        positions,
        forces: &found[k].1,
    };
    let [first, middle, last] = [place(0, from), place(1, &between), place(2, to)];
    let curved = |i: &usize| {
        let [a, b, c] = [first, middle, last].map(|place| place.forces[*i]);
        (a - 2.0 * b + c).norm()
    };
    let atoms = 0..from.len();
    Ok(HalvedStep {
        missed: [
            missed([first, last]),
            missed([first, middle]) + missed([middle, last]),
        ],
        atom: atoms
            .max_by(|i, j| curved(i).total_cmp(&curved(j)))
            .unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One atom that moves along x, with an energy of x and its slope: by how much of what a step misses its halves are off.
    fn off([from, to]: [f64; 2], energy: impl Fn(f64) -> [f64; 2]) -> f64 {
        let place = |x: f64| vec![Vec3::new(x, 0.0, 0.0)];
        let mut at = |positions: &[Vec3]| {
            let [energy, slope] = energy(positions[0].x);
            Ok((energy, place(-slope)))
        };
        let found = halved(&mut at, [&place(from), &place(to)]).unwrap();
        found.off() / found.missed[0].abs()
    }

    #[test]
    fn a_root_bends_steps_across_it_and_no_short_ones() {
        // The norm of a vector with 1e-8 under the root turns its slope within some 1e-4.
        let root = |x: f64| {
            let norm = (x * x + 1e-8).sqrt();
            [norm, x / norm]
        };
        assert!(off([-3e-3, 2e-3], root) > 2.0 * BENT);
        assert!(off([-4e-4, 9e-4], root) > BENT);
        assert!(off([-2e-6, 4e-6], root) < 0.01);
        assert!(off([2e-3, 4e-3], root) < BENT);
    }

    #[test]
    fn an_eighth_of_a_vibration_does_not_bend() {
        let spring = |x: f64| [x.cos(), -x.sin()];
        for from in [0.0_f64, 0.3, 1.1, 2.0] {
            let found = off([from, from + std::f64::consts::TAU / 8.0], spring);
            assert!(found < 0.05, "{from}: {found}");
        }
    }
}
