//! Whether the model is a potential: forces are slopes, space has no preferred direction or origin, and nothing jumps
//! at the cutoff.

use super::table::{CheckTable, Grade};
use crate::assemble::{self, Model};
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice, MonitorPlan, Plan};
use crate::core::cell::oblique_rotation;
use crate::core::{Cell, Mat3, Spread, System, Vec3, elements};
use crate::diagnose::slope::{self, Agreement, Slopes};
use crate::forcefield::{ForceField, HostForceField};
use crate::neighbors::Pairs;
use crate::potential::{Evaluation, Precision};
use crate::text::{counted, significant};
use crate::units::MILLIELECTRONVOLT;
use crate::{Error, Result};

/// Largest change of the energy (eV) where symmetry wants none, for small energies.
const SYMMETRY_TOLERANCE: f64 = 1e-10;
/// Largest change of a large energy where symmetry wants none, in units of the rounding of one energy.
const SYMMETRY_ROUNDING: f64 = 64.0;
/// Largest jump of the energy (eV) where a pair enters the cutoff.
const CUTOFF_TOLERANCE: f64 = 1e-6;
/// Distance from the cutoff at which the jump is looked for (angstrom).
const CUTOFF_STEP: f64 = 1e-5;
/// Distance (angstrom) under which two atoms are closer than any bond.
const SHORTEST_BOND: f64 = 0.6;
/// What the run's own engine is compared with.
const JUDGE: DevicePlan = DevicePlan {
    kind: DeviceKind::Cpu,
    threads: None,
    engine: EngineChoice::Auto,
};

/// Adds what the physics of the model at the structure is.
///
/// # Errors
/// The energy of the structure is not finite, or the device failed.
pub(super) fn examine(table: &mut CheckTable, plan: &Plan, model: &Model) -> Result<()> {
    let start = &plan.start;
    let mut exact = field(model, &start.system)?;
    let reference = exact.at(&start.cell, &start.positions)?;
    contact(table, plan, exact.found());
    repulsion(table, plan, model, exact.found());
    let pairs = exact.found().len();
    let sound =
        reference.energy.is_finite() && reference.forces.iter().flatten().all(|x| x.is_finite());
    if !sound {
        return Err(Error::input(format!(
            "{}: the energy or a force of the structure is not a finite number",
            start.structure.display()
        )));
    }
    table
        .info("energy", format!("{:.6} eV", reference.energy))
        .value(reference.energy, "eV");
    largest_force(table, plan, &reference);
    committee(table, plan, &reference);

    let slopes = slope::examine_about(&mut exact, &start.cell, &start.positions, pairs)?;
    tell_slopes(table, &slopes);
    symmetry(table, plan, &mut exact, reference.energy)?;
    if model.leaves_cells_out() {
        images(table, plan, &mut exact, reference.energy)?;
    }
    if model.is_remote() {
        let found = "not looked at: a client computes these atoms, and no pair of them alone";
        table.info("cutoff is smooth", found);
    } else {
        let jump = cutoff_jump(plan, model)?;
        table.judge("cutoff is smooth", jump, CUTOFF_TOLERANCE, "eV");
    }
    let rounded = assemble::field_of(plan, model)?.at(&start.cell, &start.positions)?;
    rounding(table, plan, &rounded, &reference);
    Ok(())
}

/// How far the run's own numbers are from f64 on the CPU.
fn rounding(table: &mut CheckTable, plan: &Plan, rounded: &Evaluation, exact: &Evaluation) {
    let precision = assemble::precision(&plan.potential);
    let atoms = exact.forces.len().max(1) as f64;
    let energy = (rounded.energy - exact.energy) / MILLIELECTRONVOLT;
    let found = format!(
        "{precision} is off by {energy:+.1e} meV, {:.1e} meV/atom",
        energy.abs() / atoms
    );
    table.info("energy against f64", found).value(energy, "meV");
    let squares = (rounded.forces.iter().zip(&exact.forces)).map(|(a, b)| (a - b).norm_squared());
    let [sum, worst] = squares.fold([0.0, 0.0], |[sum, worst], one: f64| {
        [sum + one, f64::max(worst, one)]
    });
    let root_mean_square = (sum / (3.0 * atoms)).sqrt();
    let found = format!("components are off by {root_mean_square:.1e} eV/A (root mean square)");
    table
        .info("forces against f64", found)
        .value(root_mean_square, "eV/A");
    let worst = worst.sqrt();
    let limit = plan.monitor.numbers.and_then(|audit| audit.limit);
    let (grade, beyond) = match limit.filter(|limit| worst > *limit) {
        None => (Grade::Info, String::new()),
        Some(limit) => (
            Grade::Look,
            format!(", beyond the limit of {limit} eV/A ([monitor] precision)"),
        ),
    };
    let found = format!("forces differ by {worst:.1e} eV/A at most{beyond}");
    let finding = table.add("run against f64", found, grade);
    finding.value(worst, "eV/A");
    if let Some(limit) = limit {
        finding.limit(limit);
    }
}

/// The model in f64. Its list has no skin: what it is asked for is never near to what was asked before.
fn field(model: &Model, system: &System) -> Result<HostForceField> {
    model.in_host_memory(system, Precision::F64, &JUDGE, Some(0.0))
}

/// The two closest atoms.
fn contact(table: &mut CheckTable, plan: &Plan, pairs: &Pairs) {
    let nearest = pairs.distances.iter().copied().enumerate();
    let Some((pair, distance)) = nearest.min_by(|a, b| a.1.total_cmp(&b.1)) else {
        let found = "no two atoms are within the cutoff";
        table.add("closest contact", found, Grade::Look);
        return;
    };
    let MonitorPlan { contact, .. } = plan.monitor;
    let atoms = [pairs.receivers[pair], pairs.neighbors[pair]];
    let mut found = format!(
        "{distance:.3} A, atoms {} and {}",
        name(plan, atoms[0] as usize),
        name(plan, atoms[1] as usize)
    );
    let broken = contact.filter(|limit| distance < *limit);
    if let Some(limit) = broken {
        found += &format!(", under the limit of {limit} A ([monitor] contact)");
    }
    let grade = match broken {
        Some(_) => Grade::Bad,
        None if distance < SHORTEST_BOND => Grade::Look,
        None => Grade::Ok,
    };
    let finding = table.add("closest contact", found, grade);
    finding.value(distance, "A");
    if let Some(limit) = contact {
        finding.limit(limit);
    }
}

/// The starting pairs that a repulsion at short range acts on: none, where it touches no bond.
fn repulsion(table: &mut CheckTable, plan: &Plan, model: &Model, pairs: &Pairs) {
    let Some(term) = &model.repulsion else {
        return;
    };
    let species = &plan.start.system.species;
    let inside = term.inside(species, pairs);
    let Some(pair) = inside.deepest else {
        let found = "no starting pair is inside";
        table.add("repulsion", found, Grade::Ok).value(0.0, "");
        return;
    };
    let [i, j] = [pairs.receivers[pair], pairs.neighbors[pair]].map(|i| i as usize);
    let found = format!(
        "acts on {}, with {} eV: atoms {} and {} are {:.3} A apart, and it ends at {:.3} A; a model knows its bonds, which \
         it should not touch ([potential.repulsion] end)",
        counted(inside.count as u64, "starting pair"),
        significant(inside.energy, 3),
        name(plan, i),
        name(plan, j),
        pairs.distances[pair],
        term.end([species[i], species[j]]),
    );
    let finding = table.add("repulsion", found, Grade::Look);
    finding.value(inside.count as f64, "");
}

/// An atom by its number and element.
fn name(plan: &Plan, atom: usize) -> String {
    let symbol = elements::symbol(plan.start.system.species[atom]);
    format!("{atom} ({symbol})")
}

/// The largest force beside its limit, which a run is held to from its first state on.
fn largest_force(table: &mut CheckTable, plan: &Plan, reference: &Evaluation) {
    let norms = reference.forces.iter().map(|f| f.norm()).enumerate();
    let Some((atom, force)) = norms.max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return;
    };
    let limit = plan.monitor.force;
    let (grade, beyond) = match limit.filter(|limit| force > *limit) {
        None if limit.is_some() => (Grade::Ok, String::new()),
        None => (Grade::Info, String::new()),
        Some(limit) => (
            Grade::Bad,
            format!(
                ", over the limit of {limit} eV/A ([monitor] force): relax the structure first"
            ),
        ),
    };
    let found = format!(
        "{} eV/A, on atom {}{beyond}",
        significant(force, 4),
        name(plan, atom)
    );
    let finding = table.add("largest force", found, grade);
    finding.value(force, "eV/A");
    if let Some(limit) = limit {
        finding.limit(limit);
    }
}

/// How far the models of a committee are apart at the start, beside the limit to it.
fn committee(table: &mut CheckTable, plan: &Plan, reference: &Evaluation) {
    let Some(Spread { force, energy }) = reference.spread else {
        return;
    };
    let limit = plan.monitor.spread;
    let (grade, beyond) = match limit {
        None => (Grade::Info, String::new()),
        Some(limit) if force > limit => (
            Grade::Look,
            format!(", over the limit of {limit} eV/A ([monitor] spread)"),
        ),
        Some(_) => (Grade::Ok, String::new()),
    };
    let found = format!(
        "models are {} eV/A apart on the worst atom, {} meV/atom in the energy{beyond}",
        significant(force, 3),
        significant(energy / MILLIELECTRONVOLT, 3)
    );
    let finding = table.add("committee", found, grade);
    finding.value(force, "eV/A");
    if let Some(limit) = limit {
        finding.limit(limit);
    }
}

/// The differences of forces and slopes, and of the strain derivative and its slope.
fn tell_slopes(table: &mut CheckTable, slopes: &Slopes) {
    let along = format!("along {} directions", slopes.directions);
    agreement(
        table,
        ("forces are slopes", "eV/A"),
        &slopes.forces,
        slope::TOLERANCE,
        &along,
    );
    if let Some(strain) = &slopes.strain {
        agreement(
            table,
            ("stress is a slope", "eV"),
            strain,
            slopes.strain_tolerance,
            "along a strain",
        );
    }
}

/// A difference that is certainly beyond its limit is bad, one that may be is to be looked at.
fn agreement(
    table: &mut CheckTable,
    (what, unit): (&'static str, &'static str),
    found: &Agreement,
    limit: f64,
    along: &str,
) {
    let difference = found.difference.abs();
    let grade = match found.holds(limit) {
        Some(false) => Grade::Bad,
        Some(true) => Grade::Ok,
        None => Grade::Look,
    };
    let note = match grade {
        Grade::Look => "; the energy is too rough for its slopes to tell more",
        _ => "",
    };
    let text = format!(
        "differ by {difference:.1e} +- {:.1e} {unit} {along} (at most {limit:.0e}){note}",
        found.uncertainty
    );
    let finding = table.add(what, text, grade);
    finding.value(difference, unit).limit(limit);
}

/// Whether the energy is the same when all is turned, or an atom moved by a lattice vector.
fn symmetry(
    table: &mut CheckTable,
    plan: &Plan,
    exact: &mut dyn ForceField,
    reference: f64,
) -> Result<()> {
    let start = &plan.start;
    let rounding = f64::EPSILON * reference.abs();
    let tolerance = SYMMETRY_TOLERANCE.max(SYMMETRY_ROUNDING * rounding);
    let turn = oblique_rotation();
    let turned: Vec<Vec3> = start.positions.iter().map(|r| turn * r).collect();
    let cell = start.cell.turned(&turn)?;
    let energy = exact.at(&cell, &turned)?.energy;
    table.judge("rotation", (energy - reference).abs(), tolerance, "eV");
    if start.cell.is_periodic() && !start.positions.is_empty() {
        let mut moved = start.positions.clone();
        let axis = (0..3).find(|&k| start.cell.periodic()[k]).unwrap_or(0);
        moved[0] += start.cell.vector(axis);
        let energy = exact.at(&start.cell, &moved)?.energy;
        let change = (energy - reference).abs();
        table.judge("periodic images", change, tolerance, "eV");
    }
    Ok(())
}

/// What the images of a cell make of the energy, where the model's authors leave cells out: it was trained on energies without.
/// Of a structure without a cell, a box about it tells.
fn images(
    table: &mut CheckTable,
    plan: &Plan,
    exact: &mut dyn ForceField,
    reference: f64,
) -> Result<()> {
    /// Space (angstrom) between a structure and its images.
    const GAP: f64 = 2.5;
    let (cell, positions) = (&plan.start.cell, &plan.start.positions);
    let (with, without) = if cell.is_periodic() {
        let without = exact.at(&Cell::open(), positions)?.energy;
        (reference, without)
    } else {
        let first = positions.first().copied().unwrap_or_default();
        let [low, high] = positions
            .iter()
            .fold([first; 2], |[low, high], r| [low.inf(r), high.sup(r)]);
        let edges = (high - low).add_scalar(GAP);
        let around = Cell::new(Mat3::from_diagonal(&edges), [true; 3])?;
        (exact.at(&around, positions)?.energy, reference)
    };
    let change = (with - without).abs();
    let (grade, of) = match cell.is_periodic() {
        true => (Grade::Bad, "of the cell"),
        false => (
            Grade::Look,
            "of a box about the structure, which has no cell",
        ),
    };
    let found = format!(
        "images {of} change the energy by {} eV; the model's authors leave them out, it was not trained with them",
        significant(change, 2)
    );
    table
        .add("cell is known", found, grade)
        .value(change, "eV")
        .limit(0.0);
    Ok(())
}

/// Largest jump (eV) of the energy of two atoms that enter each other's range, over the elements of
/// the system.
fn cutoff_jump(plan: &Plan, model: &Model) -> Result<f64> {
    let mut kinds = plan.start.system.species.clone();
    kinds.sort_unstable();
    kinds.dedup();
    let mut worst: f64 = 0.0;
    for (n, &a) in kinds.iter().enumerate() {
        for &b in &kinds[n..] {
            let two = System {
                species: vec![a, b],
                masses: vec![1.0; 2],
            };
            let mut pair = field(model, &two)?;
            let mut at = |distance: f64| -> Result<f64> {
                let positions = [Vec3::zeros(), Vec3::new(distance, 0.0, 0.0)];
                Ok(pair.at(&Cell::open(), &positions)?.energy)
            };
            let jump = at(model.cutoff() + CUTOFF_STEP)? - at(model.cutoff() - CUTOFF_STEP)?;
            worst = worst.max(jump.abs());
        }
    }
    Ok(worst)
}
