//! How molecules move that constraints hold.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Snapshot, System, Vec3, observe};
use mdrun::dynamics::{Constraints, Program, baoab};
use mdrun::engine::{Engine as _, Flags, HostEngine, Watched};

use super::{Held, KEPT, TOLERANCE, assert_kept, held, state};
use crate::physics::bodies::run;
use crate::physics::doubles::{Free, Hole, Springs};
use crate::physics::subjects::{FS, KB};
use crate::support::atoms::farthest;

/// A dimer of 12 and 16 u that turns in a plane with an angular velocity, and its velocities.
fn dimer(length: f64, turning: f64) -> (Held, Vec<Vec3>) {
    let positions = vec![Vec3::zeros(), Vec3::x() * length];
    let [a, b] = [16.0 / 28.0, 12.0 / 28.0].map(|part| part * length * turning);
    let velocities = vec![-a * Vec3::y(), b * Vec3::y()];
    let held = Held {
        system: System {
            species: vec![6, 8],
            masses: vec![12.0, 16.0],
        },
        cell: Cell::open(),
        constraints: held(&[[0, 1]], &positions),
        positions,
    };
    (held, velocities)
}

/// The gas in the open.
fn open() -> Held {
    Held {
        cell: Cell::open(),
        ..Held::gas(12.0)
    }
}

/// Weak enough for molecules to swing through each other slowly.
const SPRINGS: Springs = Springs { stiffness: 2e-3 };

/// A dimer without forces turns evenly, with the energy that it has. In a step h it turns by asin(w h), since the drift is w h
/// long along the tangent, and the push that brings it back is along the old radius: the period is 2 pi / w but for (w h)^2 / 6
/// of it.
#[test]
fn a_dimer_turns_evenly() {
    const STEPS: u64 = 1000;
    let (length, turning) = (1.2, 0.35);
    let step = 2.0 * FS;
    let (dimer, velocities) = dimer(length, turning);
    let mut engine = dimer.engine(dimer.start(velocities), Free);
    let energy = state(&mut engine).observables.kinetic;
    let exact = 0.5 * (12.0 * 16.0 / 28.0) * (length * turning).powi(2);
    assert!((energy - exact).abs() < KEPT);
    let program = Program::velocity_verlet(step);
    let (mut angle, mut before) = (0.0, Vec3::x());
    for k in 0..STEPS {
        run(&mut engine, &program, k..k + 1);
        let now = state(&mut engine);
        assert_kept(&dimer.constraints, &now);
        let along = (now.positions[1] - now.positions[0]).normalize();
        angle += before.cross(&along).z.atan2(before.dot(&along));
        before = along;
        assert!((now.observables.kinetic / energy - 1.0).abs() < KEPT);
    }
    let each = angle / STEPS as f64;
    let exact = turning * step;
    let chord = exact.asin();
    println!("turned by {each:.12} a step; asin(w h) {chord:.12}, w h {exact:.12}");
    assert!((each - chord).abs() < KEPT);
    let off = each / exact - 1.0;
    assert!((off / (exact * exact / 6.0) - 1.0).abs() < 0.01, "{off:e}");
}

/// The way back is the way there.
#[test]
fn reversed_velocities_lead_back() {
    const STEPS: u64 = 200;
    let gas = open();
    let program = Program::velocity_verlet(2.0 * FS);
    let mut there = gas.engine(gas.start(gas.velocities(300.0 * KB, 1)), SPRINGS);
    run(&mut there, &program, 0..STEPS);
    let turn = state(&mut there);
    let mut start = gas.start(turn.velocities.iter().map(|v| -v).collect());
    start.positions.clone_from(&turn.positions);
    let mut back = gas.engine(start, SPRINGS);
    run(&mut back, &program, 0..STEPS);
    let moved = farthest(&turn.positions, &gas.positions);
    let missed = farthest(&state(&mut back).positions, &gas.positions);
    println!("moved {moved:.2} A, came back within {missed:.1e} A");
    // Each step leaves so much of a distance, and this over a step in a velocity: the sum over all steps of what each becomes.
    let most = TOLERANCE * 1.1 * (2 * STEPS).pow(2) as f64 / 2.0;
    assert!(moved > 1.0 && missed < most);
}

/// Momentum and angular momentum stay, and RATTLE is of second order: half the step makes a quarter of the energy's fluctuation.
#[test]
fn energy_is_conserved_to_second_order() {
    let gas = open();
    let turning =
        |s: &Snapshot| observe::angular_momentum(&gas.system, &s.positions, &s.velocities);
    let fluctuation = |step: f64, steps: u64| {
        let mut engine = gas.engine(gas.start(gas.velocities(300.0 * KB, 1)), SPRINGS);
        let program = Program::velocity_verlet(step);
        let first = state(&mut engine);
        let mut energies = Vec::new();
        for k in 0..steps {
            run(&mut engine, &program, k..k + 1);
            energies.push(state(&mut engine).observables.total());
        }
        let last = state(&mut engine);
        assert_kept(&gas.constraints, &last);
        let lost = (turning(&last) - turning(&first)).norm();
        assert!(lost < 1e-9 * turning(&first).norm(), "{lost:e}");
        assert!(last.observables.momentum.norm() < 1e-9);
        let mean = energies.iter().sum::<f64>() / energies.len() as f64;
        let square: f64 = energies.iter().map(|e| (e - mean).powi(2)).sum();
        (square / energies.len() as f64).sqrt()
    };
    let (whole, half) = (fluctuation(2.0 * FS, 200), fluctuation(1.0 * FS, 400));
    let ratio = whole / half;
    println!("fluctuations {whole:.2e} and {half:.2e} eV, ratio {ratio:.2}");
    assert!((3.5..4.5).contains(&ratio));
}

/// Atoms without constraints move to the bit as they would without any in the system.
#[test]
fn others_are_left_alone() {
    let gas = Held::gas(12.0);
    let pair = Constraints {
        bonds: gas.constraints.bonds[..1].to_vec(),
        ..gas.constraints.clone()
    };
    let with = (gas.start(gas.velocities(300.0 * KB, 1))).with_constraints(pair);
    let without = with.clone().with_constraints(Constraints::default());
    let program = baoab(2.0 * FS, 300.0 * KB, 0.05);
    let [a, b] = [with, without].map(|start| {
        let mut engine = gas.engine(start, Free);
        run(&mut engine, &program, 0..20);
        state(&mut engine)
    });
    assert_eq!(a.positions[2..], b.positions[2..]);
    assert_ne!(a.positions[..2], b.positions[..2]);
}

/// A state is walked again to the same bits from where it was saved, and from a snapshot.
#[test]
fn what_was_saved_is_walked_again() {
    let gas = open();
    let start = gas.start(gas.velocities(300.0 * KB, 1));
    let mut engine = gas.engine(start.clone(), SPRINGS);
    let program = baoab(2.0 * FS, 300.0 * KB, 0.05);
    run(&mut engine, &program, 0..10);
    engine.save().unwrap();
    let middle = state(&mut engine);
    run(&mut engine, &program, 10..30);
    let end = state(&mut engine);
    engine.rollback().unwrap();
    run(&mut engine, &program, 10..30);
    assert_eq!(state(&mut engine), end);
    let mut other = gas.engine(start, SPRINGS);
    other.restore(&middle).unwrap();
    run(&mut other, &program, 10..30);
    assert_eq!(state(&mut other), end);
}

/// What turns by more than a right angle in a step cannot be brought back: the block ends, and tells which atoms.
#[test]
fn a_step_that_is_too_long_ends_the_block() {
    let (dimer, velocities) = dimer(1.2, 30.0);
    let mut engine = dimer.engine(dimer.start(velocities), Free);
    let program = Program::velocity_verlet(2.0 * FS);
    let first = state(&mut engine);
    let outcome = engine.run(&program, 0..10).unwrap();
    assert_eq!(outcome.flags, Flags::CONSTRAINT);
    let mut breach = outcome.breach.unwrap();
    breach.atoms.sort_unstable();
    assert_eq!((breach.what, breach.step), (Watched::Constraint, 1));
    assert_eq!(breach.atoms, [0, 1]);
    // What it is put into is looked at anew.
    let rest = Snapshot {
        velocities: vec![Vec3::zeros(); 2],
        ..first
    };
    engine.restore(&rest).unwrap();
    run(&mut engine, &program, 0..10);
}

/// A number that is none is told as that.
#[test]
fn forces_that_are_no_numbers_are_told_first() {
    let (dimer, velocities) = dimer(1.2, 0.3);
    let hole = Hole {
        distance: 1.5,
        energy_only: false,
    };
    let start = dimer.start(velocities);
    let mut engine = HostEngine::new(start, Noise::new(1), 1.0, Box::new(hole)).unwrap();
    let outcome = (engine.run(&Program::velocity_verlet(2.0 * FS), 0..10)).unwrap();
    assert!(outcome.flags.contains(Flags::NONFINITE), "{outcome:?}");
}
