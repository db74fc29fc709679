//! Smoothness where a pair crosses the cutoff: neither the energy nor a force may jump there.
//!
//! Two atoms of each pair of elements are moved across the cutoff, and so are atoms of the system itself that have another one
//! near to it. A jump of the energy is what is left of its change without the work of the forces. A kink is a jump of the
//! force: differences D(h) of the force from h within to h beyond the cutoff are h F' of a smooth one, so that 2 D(h/2) - D(h)
//! leaves the jump alone.

use super::line::{Judgement, ValidationLine, short};
use super::potential::place;
use super::{Course, PairSearch, Setup};
use crate::Result;
use crate::core::{Cell, System, Vec3, elements};
use crate::forcefield::ForceField;
use crate::neighbors::Pairs;
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::text::counted;

/// Distance (angstrom) from the cutoff at which differences are taken.
const EDGE: f64 = 1e-4;
/// Largest jump of the energy (eV): 1000 crossings in a picosecond then make 1 meV at the most.
pub(super) const JUMP: f64 = 1e-6;
/// Largest jump of the force (eV / angstrom). A step across it is wrong by up to 1/8 of it times the way of a step, 0.01 A.
const KINK: f64 = 1e-4;
/// Pairs this near to the cutoff (angstrom) are moved across it, and so many of them at the most.
const NEAR: f64 = 0.3;
const MOST_PAIRS: usize = 8;
/// Points of the drawn curve on each side, and how far it goes (angstrom).
const POINTS: usize = 60;
const DRAWN: f64 = 0.5;

const JUMP_NAME: (&str, &str) = ("cutoff_jump", "energy at the cutoff");
const KINK_NAME: (&str, &str) = ("cutoff_kink", "force at the cutoff");

/// What a crossing shows: jumps of energy (eV) and of force (eV / angstrom), by magnitude.
#[derive(Debug, Clone, Copy, Default)]
struct Crossing {
    jump: f64,
    kink: f64,
}

impl Crossing {
    fn worse(self, other: Self) -> Self {
        Self {
            jump: larger(self.jump, other.jump),
            kink: larger(self.kink, other.kink),
        }
    }
}

/// The larger of two; one that is no number is the largest.
fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// Energy (eV) and force on the moving atom along its way (eV / angstrom) at a distance (angstrom).
type AtDistance<'d> = dyn FnMut(f64) -> Result<[f64; 2]> + 'd;

/// Moves a pair across the cutoff.
fn cross(cutoff: f64, at: &mut AtDistance<'_>) -> Result<Crossing> {
    let mut differences = [0.0; 2];
    let mut jump = 0.0;
    for (k, edge) in [EDGE, 0.5 * EDGE].into_iter().enumerate() {
        let ([before, push], [after, pull]) = (at(cutoff - edge)?, at(cutoff + edge)?);
        differences[k] = push - pull;
        jump = after - before + edge * (push + pull);
    }
    let kink = 2.0 * differences[1] - differences[0];
    Ok(Crossing {
        jump: jump.abs(),
        kink: kink.abs(),
    })
}

/// Makes the tests on pairs of elements and on the system itself.
pub(super) fn examine(setup: &Setup<'_>, course: &mut Course<'_>) -> Result<()> {
    let mut worst = Crossing::default();
    let mut curves = Vec::new();
    let mut kinds = setup.start.system.species.clone();
    kinds.sort_unstable();
    kinds.dedup();
    let mut crossings = 0;
    let mut cutoff = 0.0;
    for (n, &a) in kinds.iter().enumerate() {
        for &b in &kinds[n..] {
            let two = System {
                species: vec![a, b],
                masses: vec![1.0; 2],
            };
            let mut field = setup.workshop.exact(&two, PairSearch::Listed)?;
            cutoff = field.cutoff();
            let mut at = |distance: f64| pair_at(field.as_mut(), distance);
            worst = worst.worse(cross(cutoff, &mut at)?);
            let name = format!("{}-{}", elements::symbol(a), elements::symbol(b));
            curves.push(curve(name, curves.len(), cutoff, &mut at)?);
            crossings += 1;
        }
    }
    let mut field = (setup.workshop).exact(&setup.start.system, PairSearch::Listed)?;
    let (own, count) = in_place(setup, field.as_mut())?;
    tell(worst.worse(own), crossings + count, course);
    course.draw(Plot {
        title: format!("Two atoms at the cutoff of {cutoff} A"),
        x: PlotAxis::close("distance (A)"),
        y: PlotAxis::linear("energy beyond it left out (meV)"),
        series: curves,
    });
    Ok(())
}

/// Makes the tests on the system itself alone.
pub(super) fn examine_in_place(
    setup: &Setup<'_>,
    field: &mut dyn ForceField,
    course: &mut Course<'_>,
) -> Result<()> {
    let (found, count) = in_place(setup, field)?;
    tell(found, count, course);
    Ok(())
}

fn tell(found: Crossing, count: usize, course: &mut Course<'_>) {
    const JUMP_WHY: &str =
        "an energy that jumps where a pair comes into range is not conserved by any step";
    const KINK_WHY: &str = "a force that jumps costs accuracy of the integrator at every crossing";
    if count == 0 {
        for name in [JUMP_NAME, KINK_NAME] {
            let found = "no pair is near to it";
            course.add(ValidationLine::told(
                name,
                found,
                JUMP_WHY,
                Judgement::NotApplicable,
            ));
        }
        return;
    }
    let said = |size: f64, unit: &str| {
        format!(
            "jumps by {} {unit} at most, {} moved across",
            short(size),
            counted(count as u64, "pair")
        )
    };
    let jump = ValidationLine::measured(JUMP_NAME, (found.jump, "eV", JUMP), JUMP_WHY);
    course.add(jump.saying(said(found.jump, "eV")));
    let kink = ValidationLine::measured(KINK_NAME, (found.kink, "eV/A", KINK), KINK_WHY);
    course.add(kink.saying(said(found.kink, "eV/A")));
}

/// Two atoms alone, the second at a distance.
fn pair_at(field: &mut dyn ForceField, distance: f64) -> Result<[f64; 2]> {
    let positions = [Vec3::zeros(), Vec3::new(distance, 0.0, 0.0)];
    let found = field.at(&Cell::open(), &positions)?;
    Ok([found.energy, found.forces[1].x])
}

/// The energy of two atoms about the cutoff, less that beyond it.
fn curve(name: String, colour: usize, cutoff: f64, at: &mut AtDistance<'_>) -> Result<PlotSeries> {
    let beyond = at(cutoff + DRAWN)?[0];
    let mut points = Vec::new();
    for k in 0..=2 * POINTS {
        let distance = cutoff + DRAWN * (k as f64 / POINTS as f64 - 1.0);
        let energy = at(distance)?[0] - beyond;
        points.push([distance, energy / crate::units::MILLIELECTRONVOLT, 0.0]);
    }
    Ok(PlotSeries {
        name,
        colour,
        points,
        drawn: Drawn::Line,
    })
}

/// Moves atoms of the system that have another one near to the cutoff; what they show, and how many they were.
fn in_place(setup: &Setup<'_>, field: &mut dyn ForceField) -> Result<(Crossing, usize)> {
    let (cell, positions) = place(&setup.start)?;
    let cutoff = field.cutoff();
    let pairs = Pairs::within(cell, positions, cutoff + NEAR)?;
    let near: Vec<usize> = (0..pairs.len())
        .filter(|&p| pairs.distances[p] > cutoff - NEAR && pairs.receivers[p] < pairs.neighbors[p])
        .collect();
    let stride = near.len().div_ceil(MOST_PAIRS).max(1);
    let mut worst = Crossing::default();
    let mut count = 0;
    let mut moved = positions.to_vec();
    for &p in near.iter().step_by(stride) {
        let atom = pairs.neighbors[p] as usize;
        let (distance, vector) = (pairs.distances[p], pairs.vectors[p]);
        let along = vector / distance;
        let mut at = |wanted: f64| {
            moved[atom] = positions[atom] + along * (wanted - distance);
            let found = field.at(cell, &moved)?;
            Ok([found.energy, found.forces[atom].dot(&along)])
        };
        worst = worst.worse(cross(cutoff, &mut at)?);
        moved[atom] = positions[atom];
        count += 1;
    }
    Ok((worst, count))
}
