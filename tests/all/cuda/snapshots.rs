//! Snapshots that are requested, and taken when the card has long gone on: those of the moment of the request.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::AtomicBool;

use mdrun::core::{Fields, Snapshot, Vec3};
use mdrun::dynamics::{Program, baoab};
use mdrun::engine::cuda::CudaEngine;
use mdrun::engine::{Engine, Flags, Limits};
use mdrun::report::thermo::Scope;

use mdrun::report::{Console, Energies, EnergyRecord, Thermo};
use mdrun::simulation::{Cause, Finish, Guard, Ring, Signal, Simulation};

use super::dynamics::{gentle, scene};
use super::gpu;
use crate::physics::doubles::{Recorder, bits};
use crate::support::double::pass_on;

/// Every choice of arrays.
fn choices() -> impl Iterator<Item = Fields> {
    (0..8).map(|k| Fields {
        positions: k & 1 != 0,
        velocities: k & 2 != 0,
        forces: k & 4 != 0,
    })
}

fn program() -> Program {
    baoab(0.08, 0.04, 0.1).remove_drift(7)
}

fn engine() -> CudaEngine {
    let (spec, weights) = gentle();
    scene().engine(&spec, &weights, 0.3)
}

fn advance(engine: &mut CudaEngine, steps: Range<u64>) {
    let end = steps.end;
    let outcome = engine.run(&program(), steps).unwrap();
    assert_eq!((outcome.flags, outcome.step), (Flags::OK, end));
}

/// The snapshots of an engine that waits for each, at these steps.
fn waited(want: Fields, at: &[u64]) -> Vec<Vec<u64>> {
    let (mut engine, mut step) = (engine(), 0);
    let mut look = |&to: &u64| {
        advance(&mut engine, step..to);
        step = to;
        bits(&engine.snapshot(want).unwrap())
    };
    at.iter().map(&mut look).collect()
}

/// The arrays that are wanted hold what a snapshot of all of them has, and the rest is empty.
#[test]
fn each_choice_of_arrays_is_part_of_all() {
    if !gpu() {
        return;
    }
    let mut engine = engine();
    advance(&mut engine, 0..10);
    let all = engine.snapshot(Fields::ALL).unwrap();
    assert_eq!(
        [all.positions.len(), all.velocities.len(), all.forces.len()],
        [60; 3]
    );
    for want in choices() {
        let part =
            |wanted: bool, array: &Vec<Vec3>| if wanted { array.clone() } else { Vec::new() };
        let wanted = Snapshot {
            positions: part(want.positions, &all.positions),
            velocities: part(want.velocities, &all.velocities),
            forces: part(want.forces, &all.forces),
            ..all.clone()
        };
        assert_eq!(
            bits(&engine.snapshot(want).unwrap()),
            bits(&wanted),
            "{want:?}"
        );
    }
}

/// Two under way at once, taken after further steps, rebuilds and further snapshots, in the other order.
#[test]
fn what_is_taken_later_is_of_the_moment_of_the_request() {
    if !gpu() {
        return;
    }
    let at = [10, 13, 110];
    for want in choices() {
        let wanted = waited(want, &at);
        let mut engine = engine();
        advance(&mut engine, 0..10);
        let first = engine.request(want).unwrap();
        let rebuilds = engine.statistics().rebuilds;
        advance(&mut engine, 10..13);
        let second = engine.request(want).unwrap();
        advance(&mut engine, 13..110);
        let third = engine.snapshot(want).unwrap();
        let rebuilds = engine.statistics().rebuilds - rebuilds;
        assert!(rebuilds > 0, "atoms change their slots on the way");
        let second = second.take().unwrap();
        let first = first.take().unwrap();
        assert_eq!([first.step, second.step, third.step], at);
        let found = [first, second, third].map(|s| bits(&s));
        assert_eq!(found.to_vec(), wanted, "{want:?}");
    }
}

/// Snapshots that nobody takes leave their place to others, and one that is taken may outlive its engine.
#[test]
fn pending_snapshots_can_be_dropped_and_outlive_the_engine() {
    if !gpu() {
        return;
    }
    let wanted = waited(Fields::ALL, &[20, 30]);
    let mut engine = engine();
    let memory = engine.memory();
    advance(&mut engine, 0..20);
    for _ in 0..100 {
        drop(engine.request(Fields::ALL).unwrap());
    }
    assert_eq!(engine.memory(), memory, "dropped ones take no memory");
    let early = engine.request(Fields::ALL).unwrap();
    advance(&mut engine, 20..30);
    drop(engine.request(Fields::ALL).unwrap());
    let late = engine.request(Fields::ALL).unwrap();
    drop(engine);
    assert_eq!(bits(&early.take().unwrap()), wanted[0]);
    assert_eq!(bits(&late.take().unwrap()), wanted[1]);
}

/// The host's work is done once, beside the block; broken off, the block leaves nothing behind once it is undone.
#[test]
fn a_block_broken_off_leaves_no_trace() {
    if !gpu() {
        return;
    }
    let wanted = waited(Fields::ALL, &[15, 90]);
    let mut engine = engine();
    advance(&mut engine, 0..15);
    for _ in 0..3 {
        engine.save().unwrap();
        let mut calls = 0;
        let mut stop = || {
            calls += 1;
            ControlFlow::Break(())
        };
        let ran = engine.run_beside(&program(), 15..90, &mut stop).unwrap();
        assert_eq!(ran, None);
        assert_eq!(calls, 1);
        engine.rollback().unwrap();
    }
    assert_eq!(bits(&engine.snapshot(Fields::ALL).unwrap()), wanted[0]);
    let mut calls = 0;
    let mut go_on = || {
        calls += 1;
        ControlFlow::Continue(())
    };
    let outcome = engine.run_beside(&program(), 15..90, &mut go_on).unwrap();
    assert_eq!((calls, outcome.unwrap().step), (1, 90));
    assert_eq!(bits(&engine.snapshot(Fields::ALL).unwrap()), wanted[1]);
}

/// The engine without what goes on by itself: every report is waited for.
struct Waiting(CudaEngine);

impl Engine for Waiting {
    pass_on!(0: run save rollback rebuild restore listed watch snapshot statistics about);
}

fn simulation(engine: Box<dyn Engine>) -> Simulation {
    Simulation {
        engine,
        program: program(),
        limits: Limits::default(),
        reporters: Vec::new(),
        guard: Guard::new(Some(Ring::new(60)), 40),
        step: 0,
        end: 150,
        keeper: None,
        successor: None,
    }
}

/// A thermo table with a line for every step, the drift in it, and what a reporter sees of all arrays every 10 steps.
fn table(engine: Box<dyn Engine>) -> (Vec<u8>, Vec<Vec<u64>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thermo.csv");
    let mut simulation = simulation(engine);
    let energies = Energies::new(EnergyRecord::new(60, 180));
    let (cell, console) = (scene().cell, Console::silent());
    let thermo =
        Thermo::create(&path, &Scope::unpressed(&cell, 1, 150), &energies, &console).unwrap();
    simulation.reporters.push(Box::new(thermo));
    let (recorder, seen) = Recorder::new(10);
    simulation.reporters.push(Box::new(recorder));
    let finish = simulation.run(&AtomicBool::new(false), &mut |_| {});
    assert_eq!(finish.unwrap(), Finish::Complete);
    drop(simulation);
    let seen = seen.lock().unwrap().snapshots.iter().map(bits).collect();
    (std::fs::read(path).unwrap(), seen)
}

#[test]
fn a_table_of_every_step_is_that_of_a_run_that_waits() {
    if !gpu() {
        return;
    }
    let waits = table(Box::new(Waiting(engine())));
    let lines = waits.0.iter().filter(|b| **b == b'\n').count();
    assert_eq!(
        (lines, waits.1.len()),
        (152, 16),
        "a heading, and a line for each step"
    );
    assert!(waits == table(Box::new(engine())));
}

/// A stop at step 40 leaves the state of step 40, forces included, though the card was far ahead.
#[test]
fn a_stop_leaves_the_state_of_its_step() {
    if !gpu() {
        return;
    }
    let wanted = waited(Fields::ALL, &[40, 70]);
    let mut simulation = simulation(Box::new(engine()));
    simulation.guard = Guard::default();
    let (mut recorder, seen) = Recorder::new(40);
    recorder.answer = |step| {
        Ok(match step {
            40 => Signal::Stop("enough".into()),
            _ => Signal::Continue,
        })
    };
    simulation.reporters.push(Box::new(recorder));
    let finish = simulation
        .run(&AtomicBool::new(false), &mut |_| {})
        .unwrap();
    let cause = Cause::Alarm {
        step: 40,
        reason: "enough".into(),
    };
    let stopped = Finish::Fault {
        cause,
        flight: None,
    };
    assert_eq!((finish, simulation.step), (stopped, 40));
    assert_eq!(seen.lock().unwrap().snapshots.len(), 2);
    let mut engine = simulation.engine;
    assert_eq!(bits(&engine.snapshot(Fields::ALL).unwrap()), wanted[0]);
    engine.run(&program(), 40..70).unwrap();
    assert_eq!(bits(&engine.snapshot(Fields::ALL).unwrap()), wanted[1]);
}
