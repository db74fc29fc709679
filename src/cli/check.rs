//! `mdrun check`: everything but the run, and the physics of the model.

use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;

use super::opening::least_bytes;
use super::{CheckArgs, words};
use crate::assemble::{self, Model};
use crate::config;
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice, Plan};
use crate::core::rng::{Noise, Stream};
use crate::core::{Cell, Fields, Mat3, System, Vec3, elements};
use crate::engine::single_point;
use crate::memory;
use crate::potential::{Potential, Precision};
use crate::terminal::{Mood, Terminal, shown};
use crate::{Error, Result, streams, units};

/// Largest difference between a force and the slope of the energy (eV / angstrom), for small energies.
/// The five-point stencil is off by h^4 E''''' / 30. Stiff bonds have 1e4 eV / angstrom^5, but the root
/// in a vector feature's norm bends within 1e-3 angstrom where the feature nearly vanishes by symmetry:
/// 1e7 has been seen in water, 2e-8 here.
const FORCE_TOLERANCE: f64 = 1e-6;
/// The same in units of an energy's rounding error over [`STENCIL`], for large energies.
const FORCE_ROUNDING: f64 = 16.0;
/// Half-width of the stencil's inner points (angstrom).
const STENCIL: f64 = 5e-4;
/// Largest change of the energy (eV) where symmetry wants none, for small energies.
const SYMMETRY_TOLERANCE: f64 = 1e-10;
/// The same in units of the rounding error of one energy, for large ones.
const SYMMETRY_ROUNDING: f64 = 64.0;
/// Largest jump of the energy (eV) where a pair enters the cutoff.
const CUTOFF_TOLERANCE: f64 = 1e-6;
/// Distance from the cutoff at which the jump is looked for (angstrom).
const CUTOFF_STEP: f64 = 1e-5;
/// Distance (angstrom) under which two atoms are closer than any bond.
const SHORTEST_BOND: f64 = 0.6;
/// Atoms whose forces are compared.
const FORCE_ATOMS: usize = 4;
/// The estimate of speed takes about this long (seconds).
const SPEED_SECONDS: f64 = 2.0;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// What the run's own engine is compared with.
const JUDGE: DevicePlan = DevicePlan {
    kind: DeviceKind::Cpu,
    threads: None,
    engine: EngineChoice::Auto,
};
const FORCES: Fields = Fields {
    positions: false,
    velocities: false,
    forces: true,
};

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Info,
    Good,
    Doubt,
    Bad,
}

impl Verdict {
    fn mood(self) -> Option<Mood> {
        match self {
            Self::Info => None,
            Self::Good => Some(Mood::Good),
            Self::Doubt => Some(Mood::Doubt),
            Self::Bad => Some(Mood::Bad),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Info => "",
            Self::Good => "ok",
            Self::Doubt => "look",
            Self::Bad => "BAD",
        }
    }
}

/// One line of the table.
struct Finding {
    what: &'static str,
    found: String,
    verdict: Verdict,
}

/// The findings so far.
#[derive(Default)]
struct Table(Vec<Finding>);

impl Table {
    fn add(&mut self, what: &'static str, found: impl Into<String>, verdict: Verdict) {
        let found = found.into();
        self.0.push(Finding {
            what,
            found,
            verdict,
        });
    }

    fn info(&mut self, what: &'static str, found: impl Into<String>) {
        self.add(what, found, Verdict::Info);
    }

    /// Good if the value does not exceed its tolerance.
    fn judge(&mut self, what: &'static str, value: f64, tolerance: f64, unit: &str) {
        let verdict = if value <= tolerance {
            Verdict::Good
        } else {
            Verdict::Bad
        };
        self.add(
            what,
            format!("{value:.2e} {unit} (at most {tolerance:.0e})"),
            verdict,
        );
    }

    fn is_bad(&self) -> bool {
        self.0.iter().any(|f| f.verdict == Verdict::Bad)
    }
}

/// Runs the command; exit code 2 where a test came out bad.
///
/// # Errors
/// The run could not even be started: the error of the first thing that is wrong.
pub fn run(args: &CheckArgs) -> Result<ExitCode> {
    let plan = config::load(&args.config, &args.overrides, None)?;
    assemble::threads(&plan.device)?;
    let model = assemble::load(&plan)?;
    assemble::check_room(&plan, &model, Precision::F64)?;
    let mut table = Table::default();
    describe(&mut table, &plan, &model)?;
    physics(&mut table, &plan, &model)?;
    speed(&mut table, &plan, &model)?;
    print(&table, args)?;
    Ok(ExitCode::from(if table.is_bad() { 2 } else { 0 }))
}

fn print(table: &Table, args: &CheckArgs) -> Result<()> {
    if args.json {
        let rows: Vec<_> = (table.0.iter())
            .map(|f| json!({"what": f.what, "found": f.found, "verdict": f.verdict.word()}))
            .collect();
        let found = json!({"findings": rows, "good": !table.is_bad()});
        return streams::print_json(&found);
    }
    let terminal = Terminal::out();
    for f in &table.0 {
        let word = format!("{:4}", f.verdict.word());
        let word = (f.verdict.mood()).map_or(word.clone(), |mood| terminal.paint(mood, &word));
        let line = format!("{word} {:22} {}\n", f.what, shown(&f.found));
        words::show(&line)?;
    }
    Ok(())
}

/// What there is: system, cell, model, length of the run.
fn describe(table: &mut Table, plan: &Plan, model: &Model) -> Result<()> {
    let start = &plan.start;
    table.info("structure", start.structure.display().to_string());
    table.info(
        "atoms",
        format!(
            "{} ({})",
            start.system.len(),
            elements::formula(&start.system.species)
        ),
    );
    table.info("cell", words::cell(&start.cell));
    table.info("potential", model.describe());
    table.info("dynamics", words::dynamics(plan));
    let cutoff = model.cutoff();
    let narrow = (0..3)
        .filter(|&k| start.cell.periodic()[k])
        .map(|k| start.cell.height(k))
        .fold(f64::INFINITY, f64::min);
    if narrow.is_finite() {
        let (note, verdict) = if narrow >= 2.0 * cutoff {
            ("each pair has one image in range", Verdict::Good)
        } else if narrow >= cutoff {
            (
                "under twice the cutoff: some pairs count with several images; exact",
                Verdict::Good,
            )
        } else {
            (
                "narrower than the cutoff: atoms meet their own images; exact, but a larger cell is better physics",
                Verdict::Doubt,
            )
        };
        table.add(
            "narrowest width",
            format!("{narrow:.3} A, cutoff {cutoff} A: {note}"),
            verdict,
        );
    }
    Ok(())
}

/// Whether the model is a potential: forces are slopes, space has no preferred direction or origin.
fn physics(table: &mut Table, plan: &Plan, model: &Model) -> Result<()> {
    let start = &plan.start;
    let mut exact = model.bind(&start.system, Precision::F64, &JUDGE)?;
    let (reference, pairs) = single_point(exact.as_mut(), &start.cell, &start.positions)?;
    let contact = pairs
        .distances
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min);
    if contact.is_finite() {
        let verdict = if contact < SHORTEST_BOND {
            Verdict::Doubt
        } else {
            Verdict::Good
        };
        table.add("closest contact", format!("{contact:.3} A"), verdict);
    } else {
        table.add(
            "closest contact",
            "no two atoms are within the cutoff",
            Verdict::Doubt,
        );
    }
    if !reference.energy.is_finite() {
        return Err(Error::input(format!(
            "{}: the energy of the structure is not a finite number",
            start.structure.display()
        )));
    }
    table.info("energy", format!("{:.6} eV", reference.energy));
    let largest = reference
        .forces
        .iter()
        .map(|f| f.norm())
        .fold(0.0, f64::max);
    table.info("largest force", format!("{largest:.3} eV/A"));

    let rounding = f64::EPSILON * reference.energy.abs();
    let tolerance = SYMMETRY_TOLERANCE.max(SYMMETRY_ROUNDING * rounding);
    let slope = worst_slope(exact.as_mut(), plan, &reference.forces)?;
    let allowed = FORCE_TOLERANCE.max(FORCE_ROUNDING * rounding / STENCIL);
    table.judge("forces are slopes", slope, allowed, "eV/A");
    let turn = rotation();
    let turned: Vec<Vec3> = start.positions.iter().map(|r| turn * r).collect();
    let cell = turned_cell(&start.cell, &turn)?;
    let energy = single_point(exact.as_mut(), &cell, &turned)?.0.energy;
    table.judge(
        "rotation",
        (energy - reference.energy).abs(),
        tolerance,
        "eV",
    );
    if start.cell.is_periodic() && !start.positions.is_empty() {
        let mut moved = start.positions.clone();
        let axis = (0..3).find(|&k| start.cell.periodic()[k]).unwrap_or(0);
        moved[0] += start.cell.vector(axis);
        let energy = single_point(exact.as_mut(), &start.cell, &moved)?.0.energy;
        table.judge(
            "periodic images",
            (energy - reference.energy).abs(),
            tolerance,
            "eV",
        );
    }
    let jump = cutoff_jump(plan, model)?;
    table.judge("cutoff is smooth", jump, CUTOFF_TOLERANCE, "eV");
    let rounded = assemble::engine(plan, model)?.snapshot(FORCES)?.forces;
    let worst = (rounded.iter().zip(&reference.forces))
        .map(|(a, b)| (a - b).norm())
        .fold(0.0, f64::max);
    table.info(
        "run against f64",
        format!("forces differ by {worst:.1e} eV/A at most"),
    );
    Ok(())
}

/// Worst difference (eV / angstrom) between a force along a random direction and the slope of the
/// energy, over a few atoms spread over the system.
fn worst_slope(potential: &mut dyn Potential, plan: &Plan, forces: &[Vec3]) -> Result<f64> {
    let start = &plan.start;
    let atoms = start.positions.len();
    let noise = Noise::new(0, 0);
    let mut worst: f64 = 0.0;
    for k in 0..FORCE_ATOMS.min(atoms) {
        let atom = k * atoms / FORCE_ATOMS.min(atoms);
        let direction = noise
            .normal3(k as u64, atom as u32, Stream::Velocities)
            .normalize();
        let mut at = |offset: f64| -> Result<f64> {
            let mut moved = start.positions.clone();
            moved[atom] += offset * direction;
            Ok(single_point(potential, &start.cell, &moved)?.0.energy)
        };
        let inner = at(STENCIL)? - at(-STENCIL)?;
        let outer = at(2.0 * STENCIL)? - at(-2.0 * STENCIL)?;
        let slope = (8.0 * inner - outer) / (12.0 * STENCIL);
        worst = worst.max((slope + forces[atom].dot(&direction)).abs());
    }
    Ok(worst)
}

/// A rotation about no special axis by no special angle.
fn rotation() -> Mat3 {
    *nalgebra::Rotation3::from_euler_angles(0.3, -1.1, 2.3).matrix()
}

fn turned_cell(cell: &Cell, turn: &Mat3) -> Result<Cell> {
    if cell.is_periodic() {
        Cell::new(cell.vectors() * turn.transpose(), cell.periodic())
    } else {
        Ok(cell.clone())
    }
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
            let mut pair = model.bind(&two, Precision::F64, &JUDGE)?;
            let mut at = |distance: f64| -> Result<f64> {
                let positions = [Vec3::zeros(), Vec3::new(distance, 0.0, 0.0)];
                Ok(single_point(pair.as_mut(), &Cell::open(), &positions)?
                    .0
                    .energy)
            };
            let jump = at(model.cutoff() + CUTOFF_STEP)? - at(model.cutoff() - CUTOFF_STEP)?;
            worst = worst.max(jump.abs());
        }
    }
    Ok(worst)
}

/// Takes a few steps with the run's own engine: speed, memory, size of the outputs.
fn speed(table: &mut Table, plan: &Plan, model: &Model) -> Result<()> {
    let mut engine = assemble::engine(plan, model)?;
    table.info("device", engine.describe());
    let program = assemble::program(plan);
    let began = Instant::now();
    let mut steps = 0;
    while began.elapsed().as_secs_f64() < SPEED_SECONDS {
        engine.run(&program, steps..steps + 1)?;
        steps += 1;
    }
    let per_step = began.elapsed().as_secs_f64() / steps as f64;
    let ns_per_day = plan.dynamics.timestep / units::NANOSECOND * SECONDS_PER_DAY / per_step;
    table.info(
        "speed",
        format!(
            "{:.3} ms a step, {ns_per_day:.3} ns/day; the run of {} steps takes {}",
            per_step * 1e3,
            plan.dynamics.steps,
            indicatif::HumanDuration(std::time::Duration::from_secs_f64(
                per_step * plan.dynamics.steps as f64
            ))
        ),
    );
    if let Some(bytes) = memory::peak() {
        table.info("memory", format!("{}", indicatif::HumanBytes(bytes)));
    }
    table.info(
        "output",
        format!("at least {}", indicatif::HumanBytes(least_bytes(plan))),
    );
    Ok(())
}
