//! How fast: energy and forces of fixed pairs, and whole NVE steps, of the water boxes that `torch_painn.py` times.
//! And what reports cost beside them. What is timed is checked: the steps are taken, the reports are there, energy is conserved. Run with MDRUN_BENCH=1; MDRUN_BENCH_SIZES and MDRUN_MODEL (a safetensors file)
//! choose sizes and weights.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mdrun::bench::water;
use mdrun::core::Fields;
use mdrun::core::rng::Noise;
use mdrun::core::velocities::maxwell_boltzmann;
use mdrun::dynamics::Program;
use mdrun::engine::{Engine, Flags, Limits};
use mdrun::report::thermo::Scope;

use mdrun::potential::painn::cuda::{CardNumbers, Choice, CudaPainn};
use mdrun::potential::painn::{RadialBasis, Spec, Weights, import};
use mdrun::report::{Console, Energies, EnergyRecord, Thermo};
use mdrun::simulation::{Finish, Guard, Simulation};

use super::{Scene, gpu};
use crate::support::models::calm_model;

/// Temperature kT of the starting velocities (eV): 300 K.
const KT: f64 = 0.025_852;
/// Most that the energy of an atom changes in 300 steps of a network that is not a wild one (eV): a hundredth of its kinetic
/// energy.
const MOST_DRIFT: f64 = 1e-2 * 1.5 * KT;
/// 0.5 fs in angstrom sqrt(u / eV).
const TIMESTEP: f64 = 0.049_113_5;

/// The box that `mdrun bench` measures on, at 300 K.
fn water(atoms: usize) -> Scene {
    let start = water::start(atoms).unwrap();
    Scene {
        velocities: maxwell_boltzmann(&start.system, KT, Noise::new(1)),
        cell: start.members.only().unwrap().cell.clone(),
        system: start.system,
        positions: start.positions,
    }
}

/// Ways to choose the kernels, by name; MDRUN_BENCH_WAYS has parts of the names wanted, between semicolons.
fn ways(scene: &Scene, spec: &Spec, weights: &Weights) -> Vec<(String, Option<Choice>)> {
    let Ok(wanted) = std::env::var("MDRUN_BENCH_WAYS") else {
        return vec![("default".into(), None)];
    };
    let choices = scene.choices(spec, weights);
    let pairs = choices
        .iter()
        .flat_map(|one| choices.iter().map(|other| (one.division, other.messages)));
    let mut all: Vec<_> = pairs
        .map(|(division, messages)| {
            let name = format!("{division:?}, {messages:?}");
            let numbers = CardNumbers::Single;
            let choice = Choice {
                division,
                messages,
                numbers,
            };
            (name, Some(choice))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.dedup_by(|a, b| a.0 == b.0);
    all.retain(|(name, _)| wanted.split(';').any(|part| name.contains(part)));
    all
}

/// Whether to measure.
fn wanted() -> bool {
    if std::env::var_os("MDRUN_BENCH").is_none() {
        eprintln!("skipped: set MDRUN_BENCH=1 to measure");
        return false;
    }
    gpu()
}

/// The model of MDRUN_MODEL, or one of random weights.
fn model() -> (Spec, Weights) {
    match std::env::var("MDRUN_MODEL") {
        Ok(path) => import::import(&std::fs::read(path).unwrap(), "model").unwrap(),
        Err(_) => calm_model(128, 3, RadialBasis::gaussian(20, 5.0)),
    }
}

/// What a step takes (ms) in a run of `steps` steps with a thermo table; no lines where `every` is 0.
fn step_with_reports(scene: &Scene, model: &(Spec, Weights), every: u64, steps: u64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let energies = Energies::new(EnergyRecord::new(
        scene.system.len(),
        3 * scene.system.len(),
    ));
    let path = folder.path().join("thermo.csv");
    let thermo = Thermo::create(
        &path,
        &Scope::unpressed(&scene.cell, every, u64::MAX),
        &energies,
        &Console::silent(),
    );
    let skin = if scene.system.len() < 500 { 2.0 } else { 1.0 };
    let mut simulation = Simulation {
        engine: Box::new(scene.engine(&model.0, &model.1, skin)),
        program: Program::velocity_verlet(TIMESTEP),
        limits: Limits::default(),
        reporters: vec![Box::new(thermo.unwrap())],
        guard: Guard::default(),
        step: 0,
        end: steps / 4,
        keeper: None,
        successor: None,
    };
    let never = AtomicBool::new(false);
    let mut run = |end: u64| {
        simulation.end = end;
        let began = Instant::now();
        let finish = simulation.run(&never, &mut |_| {}).unwrap();
        assert_eq!(finish, Finish::Complete);
        began.elapsed().as_secs_f64() * 1e3
    };
    run(steps / 4);
    let step = run(steps / 4 + steps) / steps as f64;
    let lines = std::fs::read_to_string(&path).unwrap().lines().count() as u64;
    // The header, the start of each of the two stretches, and every step that is due.
    let due = (steps / 4 + steps).checked_div(every).map_or(1, |n| n + 3);
    assert_eq!(lines, due, "a line every {every} steps");
    step
}

#[test]
fn reports_beside_steps() {
    if !wanted() {
        return;
    }
    let (scene, model) = (water(192), model());
    let bare = step_with_reports(&scene, &model, 0, 4000);
    println!(
        "{} atoms: {bare:.4} ms a step without reports",
        scene.system.len()
    );
    for every in [100, 10, 1] {
        let step = step_with_reports(&scene, &model, every, 4000);
        let cost = (step - bare) * every as f64 * 1e3;
        println!("a line every {every} steps: {step:.4} ms a step, {cost:.0} us a line");
    }
}

#[test]
fn steps_per_second() {
    if !wanted() {
        return;
    }
    let sizes = std::env::var("MDRUN_BENCH_SIZES").unwrap_or("21,102,192,1536,12288,98304".into());
    let (spec, weights) = model();
    println!(
        "atoms | way | energy and forces (ms) | NVE step (ms) | rebuilds per step | drift (meV/atom) | MiB | start (s)"
    );
    for size in sizes.split(',').map(|s| s.parse::<usize>().unwrap()) {
        let scene = water(size);
        for (way, choice) in ways(&scene, &spec, &weights) {
            let began = Instant::now();
            // Pairs in the skin cost little, a build costs as much as two steps of a small system.
            let skin = if size < 500 { 2.0 } else { 1.0 };
            let painn = CudaPainn::new(&spec, &weights);
            let potential = match choice {
                Some(choice) => painn.with(choice),
                None => painn,
            };
            let mut engine = scene.engine_of(potential, skin);
            let start = began.elapsed().as_secs_f64();
            let count = (2_000_000 / size).clamp(5, 300) as u32;
            engine.evaluate_in_a_row(count.div_ceil(10)).unwrap();
            let began = Instant::now();
            engine.evaluate_in_a_row(count).unwrap();
            let evaluation = began.elapsed().as_secs_f64() * 1e3 / f64::from(count);
            let program = Program::velocity_verlet(TIMESTEP);
            let steps = u64::from(count);
            engine.run(&program, 0..steps / 3 + 2).unwrap();
            let before = (
                engine.snapshot(Fields::NONE).unwrap(),
                engine.statistics().rebuilds,
            );
            let began = Instant::now();
            let first = before.0.step;
            let outcome = engine.run(&program, first..first + steps).unwrap();
            let step = began.elapsed().as_secs_f64() * 1e3 / (outcome.step - first) as f64;
            let after = engine.snapshot(Fields::NONE).unwrap();
            let drift = (after.observables.total() - before.0.observables.total())
                / scene.system.len() as f64;
            assert_eq!(
                (outcome.flags, outcome.step),
                (Flags::OK, first + steps),
                "{way}"
            );
            assert!(drift.abs() < MOST_DRIFT, "{way}: {drift} eV/atom");
            let rebuilds = (engine.statistics().rebuilds - before.1) as f64 / steps as f64;
            println!(
                "{size} | {way} | {evaluation:.4} | {step:.4} | {rebuilds:.3} | {:.4} | {:.0} | {start:.2} | {:?}",
                drift * 1e3,
                engine.memory() as f64 / f64::from(1 << 20),
                outcome.flags,
            );
        }
    }
}
