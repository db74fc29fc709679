//! Tests of the potential itself, in f64 on the CPU, and of the run's own numbers against it.

use super::line::{Judgement, ValidationLine, short};
use super::{Course, PairSearch, Setup, cutoff, largest_difference};
use crate::Result;
use crate::core::cell::oblique_rotation;
use crate::core::{Cell, System, Vec3};
use crate::diagnose::slope::{self, Agreement, Slopes};
use crate::engine::Start;
use crate::forcefield::ForceField;
use crate::potential::{Evaluation, Precision};
use crate::units::MILLIELECTRONVOLT;

/// Largest change of the energy (eV) where symmetry wants none, for small energies.
const ENERGY_BAR: f64 = 1e-10;
/// Largest change of a large energy where symmetry wants none, in units of the rounding of one energy.
const ENERGY_ROUNDING: f64 = 64.0;
/// Largest change of a force (eV / angstrom) where symmetry wants none: rounding in f64 makes 1e-12 of forces of some eV / A.
const FORCE_BAR: f64 = 1e-9;
/// Most atoms whose pairs are all found by brute force.
const MOST_EXHAUSTED: usize = 3000;
/// Drift (eV per atom and time) that errors of forces may make: 0.05 meV/atom/ps warms a
/// solid by 0.2 K in a picosecond.
const TOLERABLE_DRIFT: f64 = 0.05 * crate::units::MEV_PER_PS;
/// Space (angstrom) between two copies of molecules, beyond the range of the potential.
const APART: f64 = 2.0;

/// The potential at the start.
struct Here<'s> {
    setup: &'s Setup<'s>,
    cell: &'s Cell,
    positions: &'s [Vec3],
    /// In f64.
    exact: Evaluation,
    energy_bar: f64,
}

impl Here<'_> {
    /// A test of a symmetry: energy and forces beside those that it should leave.
    fn same(
        &self,
        name: (&'static str, &'static str),
        found: &Evaluation,
        expected: (f64, &[Vec3]),
        reason: &'static str,
    ) -> ValidationLine {
        let energy = (found.energy - expected.0).abs();
        let force = largest_difference(&found.forces, expected.1);
        let judgement = match Judgement::of(energy, self.energy_bar) {
            Judgement::Pass => Judgement::of(force, FORCE_BAR),
            failed => failed,
        };
        let text = format!(
            "energy by {} eV, forces by {} eV/A",
            short(energy),
            short(force)
        );
        ValidationLine::measured(name, (force, "eV/A", FORCE_BAR), reason)
            .saying(text)
            .judged(judgement)
    }
}

/// Makes the tests.
pub(super) fn examine(setup: &Setup<'_>, course: &mut Course<'_>) -> Result<()> {
    let (cell, positions) = place(&setup.start)?;
    let system = &setup.start.system;
    let mut field = setup.workshop.exact(system, PairSearch::Listed)?;
    let exact = field.at(cell, positions)?;
    let pairs = field.pairs() as usize;
    let energy_bar = ENERGY_BAR.max(ENERGY_ROUNDING * f64::EPSILON * exact.energy.abs());
    let here = Here {
        setup,
        cell,
        positions,
        exact,
        energy_bar,
    };
    slopes(&here, field.as_mut(), pairs, course)?;
    if course.is_interrupted() {
        return Ok(());
    }
    course.add(rotation(&here, field.as_mut())?);
    course.add(translation(&here, field.as_mut())?);
    if setup.remote {
        return rest_of_a_remote(&here, field, course);
    }
    drop(field);
    course.add(permutation(&here)?);
    cutoff::examine(setup, course)?;
    if course.is_interrupted() {
        return Ok(());
    }
    course.add(extensivity(&here)?);
    course.add(brute_force(&here)?);
    numbers(&here, course)
}

/// Tests of a potential that another program computes, which knows the run's own atoms alone.
fn rest_of_a_remote(
    here: &Here<'_>,
    mut field: Box<dyn ForceField + '_>,
    course: &mut Course<'_>,
) -> Result<()> {
    const WHY: &str = "another program computes these atoms, and no others";
    cutoff::examine_in_place(here.setup, field.as_mut(), course)?;
    drop(field);
    for name in [PERMUTATION, EXTENSIVITY] {
        course.add(ValidationLine::told(
            name,
            WHY,
            "",
            Judgement::NotApplicable,
        ));
    }
    course.add(brute_force(here)?);
    numbers(here, course)
}

/// The cell and the positions of a start of one system.
pub(super) fn place(start: &Start) -> Result<(&Cell, &[Vec3])> {
    Ok((&start.members.only()?.cell, &start.positions))
}

/// Forces, and the stress of a cell, against the slopes of the energy.
fn slopes(
    here: &Here<'_>,
    field: &mut dyn ForceField,
    pairs: usize,
    course: &mut Course<'_>,
) -> Result<()> {
    let found = slope::examine_about(field, here.cell, here.positions, pairs)?;
    tell_slopes(here, &found, course);
    Ok(())
}

fn tell_slopes(here: &Here<'_>, found: &Slopes, course: &mut Course<'_>) {
    const STRESS: (&str, &str) = ("stress_is_a_slope", "stress is a slope");
    let along = format!(", {} directions", found.directions);
    course.add(agreement(
        ("forces_are_slopes", "forces are slopes"),
        (&found.forces, "eV/A", slope::TOLERANCE),
        &along,
        "forces must be minus the gradient of the energy, or no energy is conserved; differences extrapolated to none (Ridders)",
    ));
    course.add(match &found.strain {
        Some(strain) => agreement(
            STRESS,
            (strain, "eV", found.strain_tolerance),
            "",
            "the stress must be the slope of the energy with strain, or the pressure is wrong",
        ),
        None => {
            let why = match here.cell.is_periodic() {
                true => "not told",
                false => "there is no cell",
            };
            ValidationLine::told(STRESS, why, "", Judgement::NotApplicable)
        }
    });
}

/// A difference that is certainly beyond its bar fails; one that a run would not see passes.
fn agreement(
    name: (&'static str, &'static str),
    (found, unit, bar): (&Agreement, &'static str, f64),
    along: &str,
    reason: &'static str,
) -> ValidationLine {
    let difference = found.difference.abs();
    let judgement = match found.holds(bar) {
        Some(false) => Judgement::Fail,
        Some(true) => Judgement::Pass,
        None => Judgement::Undecided,
    };
    ValidationLine::measured(name, (difference, unit, bar), reason)
        .saying(format!("off by {} {unit}{along}", short(difference)))
        .give_or_take(found.uncertainty)
        .judged(judgement)
}

fn rotation(here: &Here<'_>, field: &mut dyn ForceField) -> Result<ValidationLine> {
    let turn = oblique_rotation();
    let turned = |vectors: &[Vec3]| vectors.iter().map(|v| turn * v).collect::<Vec<_>>();
    let cell = here.cell.turned(&turn)?;
    let found = field.at(&cell, &turned(here.positions))?;
    let expected = turned(&here.exact.forces);
    Ok(here.same(
        ("rotation", "rotation"),
        &found,
        (here.exact.energy, &expected),
        "space has no preferred direction: turned, the energy stays and forces turn along",
    ))
}

fn translation(here: &Here<'_>, field: &mut dyn ForceField) -> Result<ValidationLine> {
    let along = Vec3::new(7.31, -11.17, 3.53);
    let mut moved: Vec<Vec3> = here.positions.iter().map(|r| r + along).collect();
    // In a cell, an atom may be at any of its images.
    let axis = (0..3).find(|&k| here.cell.periodic()[k]);
    if let (Some(axis), Some(first)) = (axis, moved.first_mut()) {
        *first -= here.cell.vector(axis);
    }
    let found = field.at(here.cell, &moved)?;
    Ok(here.same(
        ("translation", "translation"),
        &found,
        (here.exact.energy, &here.exact.forces),
        "space has no origin, and an atom of a cell may be at any of its images",
    ))
}

const PERMUTATION: (&str, &str) = ("permutation", "permutation");

/// Energy and forces of the atoms in another order.
fn permutation(here: &Here<'_>) -> Result<ValidationLine> {
    let backwards = |vectors: &[Vec3]| vectors.iter().rev().copied().collect::<Vec<_>>();
    let Start { system, .. } = &here.setup.start;
    let reversed = System {
        species: system.species.iter().rev().copied().collect(),
        masses: system.masses.iter().rev().copied().collect(),
    };
    let mut field = (here.setup.workshop).exact(&reversed, PairSearch::Listed)?;
    let found = field.at(here.cell, &backwards(here.positions))?;
    let expected = backwards(&here.exact.forces);
    Ok(here.same(
        PERMUTATION,
        &found,
        (here.exact.energy, &expected),
        "atoms of one element are alike: their order changes nothing",
    ))
}

const EXTENSIVITY: (&str, &str) = ("extensivity", "extensivity");

/// Two copies of the system: side by side as a cell that is twice as long, or out of each other's sight.
fn extensivity(here: &Here<'_>) -> Result<ValidationLine> {
    let Start { system, .. } = &here.setup.start;
    let twice = |values: &[f64]| [values, values].concat();
    let both = System {
        species: [&system.species[..], &system.species[..]].concat(),
        masses: twice(&system.masses),
    };
    let mut field = (here.setup.workshop).exact(&both, PairSearch::Listed)?;
    let (cell, shift) = doubled(here, field.cutoff())?;
    let copy = here.positions.iter().map(|r| r + shift);
    let positions: Vec<Vec3> = here.positions.iter().copied().chain(copy).collect();
    let mut found = field.at(&cell, &positions)?;
    found.energy *= 0.5;
    let expected = [&here.exact.forces[..], &here.exact.forces[..]].concat();
    Ok(here.same(
        EXTENSIVITY,
        &found,
        (here.exact.energy, &expected),
        "two copies have twice the energy: a supercell is the same crystal, molecules out of range do not know each other",
    ))
}

/// The cell of two copies, and where the second one is.
fn doubled(here: &Here<'_>, cutoff: f64) -> Result<(Cell, Vec3)> {
    if let Some(axis) = (0..3).find(|&k| here.cell.periodic()[k]) {
        let mut vectors = *here.cell.vectors();
        let shift = here.cell.vector(axis);
        vectors.set_row(axis, &(2.0 * shift).transpose());
        return Ok((Cell::new(vectors, here.cell.periodic())?, shift));
    }
    let first = here.positions.first().copied().unwrap_or_default();
    let [low, high] =
        (here.positions.iter()).fold([first; 2], |[low, high], r| [low.inf(r), high.sup(r)]);
    let shift = Vec3::x() * (high.x - low.x + cutoff + APART);
    Ok((here.cell.clone(), shift))
}

/// The potential with its pairs by brute force.
fn brute_force(here: &Here<'_>) -> Result<ValidationLine> {
    const NAME: (&str, &str) = ("pairs", "pairs by brute force");
    const WHY: &str = "the cell list must find every pair in range, once: brute force tries every image of every atom";
    let system = &here.setup.start.system;
    if system.len() > MOST_EXHAUSTED {
        let found = format!("looked at in steps alone: over {MOST_EXHAUSTED} atoms");
        return Ok(ValidationLine::told(
            NAME,
            found,
            WHY,
            Judgement::NotApplicable,
        ));
    }
    let mut field = (here.setup.workshop).exact(system, PairSearch::Exhaustive)?;
    let found = field.at(here.cell, here.positions)?;
    let expected = (here.exact.energy, &here.exact.forces[..]);
    Ok(here.same(NAME, &found, expected, WHY))
}

/// The run's own numbers against f64, at the start and where atoms are shaken.
fn numbers(here: &Here<'_>, course: &mut Course<'_>) -> Result<()> {
    let setup = here.setup;
    let places = [here.positions.to_vec(), slope::shaken(here.positions)];
    let rounded = {
        let mut field = setup.workshop.rounded()?;
        [
            field.at(here.cell, &places[0])?,
            field.at(here.cell, &places[1])?,
        ]
    };
    let shaken = {
        let mut field = (setup.workshop).exact(&setup.start.system, PairSearch::Listed)?;
        field.at(here.cell, &places[1])?
    };
    let [mut squares, mut most, mut energy] = [0.0_f64; 3];
    for (found, exact) in rounded.iter().zip([&here.exact, &shaken]) {
        let norms = (found.forces.iter().zip(&exact.forces)).map(|(a, b)| (a - b).norm_squared());
        squares += norms.sum::<f64>();
        most = most.max(largest_difference(&found.forces, &exact.forces));
        energy = energy.max((found.energy - exact.energy).abs());
    }
    let components = 6.0 * here.positions.len().max(1) as f64;
    let error = (squares / components).sqrt();
    let bar = noise_bar(setup);
    let mut judgement = Judgement::of(error, bar);
    if setup.force_error.is_some_and(|limit| most > limit) {
        judgement = Judgement::Fail;
    }
    let atoms = here.positions.len().max(1) as f64;
    let text = format!(
        "{}: forces by {} meV/A (root mean square), {} at most; energy by {} meV/atom",
        setup.precision,
        short(error / MILLIELECTRONVOLT),
        short(most / MILLIELECTRONVOLT),
        short(energy / atoms / MILLIELECTRONVOLT),
    );
    let reason = match setup.precision {
        Precision::F64 => "the run is in f64: what is left is the order of sums",
        _ => {
            "errors of this size, new at each step, would warm the system as fast as the drift allowed: 3/2 error^2 dt <1/m>"
        }
    };
    let unit = MILLIELECTRONVOLT;
    course.add(
        ValidationLine::measured(
            ("precision", "numbers against f64"),
            (error / unit, "meV/A", bar / unit),
            reason,
        )
        .saying(text)
        .with_bar(format!("{} meV/A root mean square", short(bar / unit)))
        .judged(judgement),
    );
    Ok(())
}

/// The slope of the energy (eV per atom and time) that is tolerable: the run's own limit, where that is less than usual.
pub(super) fn drift_bar(setup: &Setup<'_>) -> f64 {
    setup.drift.unwrap_or(TOLERABLE_DRIFT).min(TOLERABLE_DRIFT)
}

/// The error of force components (eV / angstrom) that, made anew at each step, warms the system by the drift that it may have:
/// each step adds the variance (error dt)^2 to each component of a momentum.
fn noise_bar(setup: &Setup<'_>) -> f64 {
    let masses = &setup.start.system.masses;
    let inverse = masses.iter().map(|m| 1.0 / m).sum::<f64>() / masses.len().max(1) as f64;
    let drift = drift_bar(setup);
    (2.0 * drift / (3.0 * setup.timestep * inverse)).sqrt()
}
