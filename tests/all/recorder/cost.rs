//! What recording and auditing cost beside a step. Long: `make validate`.

use std::time::Instant;

use mdrun::assemble;
use mdrun::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Snapshot, System, Vec3};
use mdrun::dynamics::Program;
use mdrun::engine::{Engine, HostEngine, Start};
use mdrun::formats;
use mdrun::neighbors::audit;
use mdrun::potential::Precision;
use mdrun::simulation::Ring;

use crate::physics::subjects::FS;
use crate::support::root;

/// Largest part of a run that audits may take: the bar.
const BAR: f64 = 0.01;
/// Steps between audits, and between states kept, on the CPU.
const EVERY: f64 = 200.0;

/// Seconds of one call, the least of a few means of many.
fn seconds(mut call: impl FnMut()) -> f64 {
    let began = Instant::now();
    call();
    let once = began.elapsed().as_secs_f64();
    let count = (0.2 / once).clamp(1.0, 10_000.0) as u32;
    let mean = |_| {
        let began = Instant::now();
        (0..count).for_each(|_| call());
        began.elapsed().as_secs_f64() / f64::from(count)
    };
    (0..3).map(mean).fold(f64::INFINITY, f64::min)
}

/// A box of water repeated so many times along each axis; or the first molecules of it, in the open.
fn water(repeats: usize, open: Option<usize>) -> Start {
    let path = root().join("configs/structures/water64.xyz");
    let one = formats::read(&path).expect("the structure is shipped");
    let cell = one.cell().expect("the cell is sound");
    let (mut species, mut masses, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    for k in 0..repeats.pow(3) {
        let image = [k % repeats, k / repeats % repeats, k / repeats / repeats].map(|n| n as i32);
        positions.extend(one.positions.iter().map(|r| r + cell.shift(image)));
        species.extend(&one.species);
        masses.extend(&one.masses);
    }
    let cell = match open {
        Some(atoms) => {
            positions.truncate(atoms);
            species.truncate(atoms);
            masses.truncate(atoms);
            Cell::open()
        }
        None => Cell::new(cell.vectors() * repeats as f64, [true; 3]).unwrap(),
    };
    let rest = vec![Vec3::zeros(); positions.len()];
    Start::new(System { species, masses }, cell, positions, rest)
}

#[test]
fn recorder_and_audits_cost_less_than_a_hundredth() {
    if std::env::var_os("MDRUN_VALIDATE").is_none() {
        eprintln!("skipped: set MDRUN_VALIDATE=1 to measure");
        return;
    }
    let file = root().join("models/painn_hcno_gfn2.safetensors");
    let model = assemble::load_networks(&[file]).unwrap();
    let device = DevicePlan {
        kind: DeviceKind::Cpu,
        threads: None,
        engine: EngineChoice::Auto,
    };
    for (repeats, open) in [(1, Some(21)), (1, None), (4, None)] {
        let start = water(repeats, open);
        let atoms = start.system.len();
        let potential = model.bind(&start.system, Precision::F32, &device).unwrap();
        let mut engine = HostEngine::new(start, Noise::new(1), 0.5, potential).unwrap();
        let program = Program::velocity_verlet(0.5 * FS);
        let mut at = 0;
        let step = seconds(|| {
            engine.run(&program, at..at + 1).unwrap();
            at += 1;
        });
        let phase = Fields {
            forces: false,
            ..Fields::ALL
        };
        let mut ring = Ring::new(atoms);
        let keep = seconds(|| ring.push(&engine.snapshot(phase).unwrap()));
        let state: Snapshot = engine.snapshot(phase).unwrap();
        let mut k = 0;
        let check = seconds(|| {
            let chosen = audit::choose(k, atoms, 4);
            let listed = engine.listed(&chosen).unwrap();
            assert_eq!(
                audit::compare(&state.cell, &state.positions, &chosen, &listed),
                None
            );
            k += 1;
        });
        let part = |cost: f64| cost / (EVERY * step);
        println!(
            "{atoms} atoms: step {:.3} ms; state kept {:.4} ms, {:.5} % of {EVERY} steps; audit {:.4} ms, {:.5} %",
            1e3 * step,
            1e3 * keep,
            100.0 * part(keep),
            1e3 * check,
            100.0 * part(check)
        );
        assert!(part(keep) + part(check) < BAR);
    }
}
