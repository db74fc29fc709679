//! Trajectories under chains of thermostats beside those of ASE, which has its own integrators of them.

use std::process::Command;

use mdrun::core::observe::Thermometer;
use mdrun::core::{Fields, Snapshot, Vec3};
use mdrun::dynamics::nose_hoover::ChainMove;
use mdrun::dynamics::{Chain, Collective, Ensemble, Local, Mtk, NoseHoover, Op, Program};
use mdrun::engine::Start;
use serde_json::{Value, json};

use super::bodies::run;
use super::nose_hoover::chain;
use super::pressed::BAR;
use super::subjects::{EPSILON, FS, SIGMA, Subject, argon};
use crate::support::{python, root};

/// The time that trajectories are compared over.
const TIME: f64 = 400.0 * FS;
/// Of the chains, so short that they have a say in it.
const RELAXATION: f64 = 60.0 * FS;

/// ASE counts all degrees of freedom, and the motion of the whole among them, which is none here.
fn freedom(subject: &Subject) -> usize {
    3 * subject.system.len()
}

fn steps(timestep: f64) -> u64 {
    (TIME / timestep).round() as u64
}

/// A step in ASE's order: the chain acts at both ends.
fn at_the_ends(subject: &Subject, chain: Chain, timestep: f64) -> Program {
    let half = 0.5 * timestep;
    let chain = Op::Collective {
        every: 1,
        what: Collective::MoveChain(ChainMove {
            chain,
            time: half,
            kt: subject.kt,
            degrees_of_freedom: freedom(subject),
        }),
    };
    let kick = Op::Local(Local::Kick(half));
    let drift = Op::Local(Local::Drift(timestep));
    Program::of(vec![chain, kick, drift, Op::Forces, kick, chain])
}

fn in_the_middle(subject: &Subject, chain: Chain, timestep: f64) -> Program {
    let ensemble = NoseHoover {
        kt: subject.kt,
        chain,
    };
    ensemble.program(timestep, &Thermometer::of_all(freedom(subject)))
}

fn end(subject: &Subject, program: &Program, steps: u64) -> Snapshot {
    let mut engine = subject.engine(subject.start(5));
    run(&mut *engine, program, 0..steps);
    engine.snapshot(Fields::ALL).unwrap()
}

/// The largest distance between positions of two arrangements (angstrom).
fn apart(a: &[Vec3], b: &[Vec3]) -> f64 {
    let distances = a.iter().zip(b).map(|(a, b)| (a - b).norm());
    distances.fold(0.0, f64::max)
}

/// Where ASE comes from a start; `more` are keys of `chains.py` besides.
fn ase(subject: &Subject, chain: Chain, timestep: f64, more: Value) -> Option<Value> {
    let python = match python::environment() {
        Ok(python) => python,
        Err(why) => {
            python::skip(why);
            return None;
        }
    };
    let Start {
        positions,
        velocities,
        ..
    } = subject.start(5);
    let rows = |vectors: Vec<Vec3>| vectors.iter().map(|v| [v.x, v.y, v.z]).collect::<Vec<_>>();
    let mut start = json!({
        "masses": subject.system.masses,
        "positions": rows(positions),
        "velocities": rows(velocities),
        "edge": subject.cell.vector(0).x,
        "kt": subject.kt,
        "timestep": timestep,
        "steps": steps(timestep),
        "relaxation": chain.relaxation,
        "links": chain.links,
        "chain_steps": chain.steps,
        "epsilon": EPSILON,
        "sigma": SIGMA,
    });
    let own = start.as_object_mut().unwrap();
    own.extend(more.as_object().unwrap().clone());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("start.json");
    std::fs::write(&file, start.to_string()).unwrap();
    let output = Command::new(python)
        .arg(root().join("tests/python/chains.py"))
        .arg(&file)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn vectors(of: &Value) -> Vec<Vec3> {
    let rows: Vec<[f64; 3]> = serde_json::from_value(of.clone()).unwrap();
    rows.into_iter().map(Vec3::from).collect()
}

/// With the operators in its order, ASE goes the same way but for rounding, which grows by some e-fold a picosecond and more
/// from 1e-14 A; a mass, a half step or a degree of freedom that is not ASE's is 1e-3 A off and more.
#[test]
fn a_chain_goes_the_way_of_ase() {
    const ROUNDING: f64 = 1e-10;
    let subject = argon();
    let timestep = 4.0 * FS;
    let own = Chain {
        steps: 2,
        ..chain(RELAXATION, 3)
    };
    let Some(theirs) = ase(&subject, own, timestep, json!({})) else {
        return;
    };
    let ours = end(
        &subject,
        &at_the_ends(&subject, own, timestep),
        steps(timestep),
    );
    let positions = apart(&ours.positions, &vectors(&theirs["positions"]));
    let velocities = apart(&ours.velocities, &vectors(&theirs["velocities"]));
    println!("positions {positions:.1e} A off, velocities {velocities:.1e}");
    assert!(positions < ROUNDING && velocities < ROUNDING);
    // What it would be with a mass that is one degree of freedom off.
    let heavier = ChainMove {
        chain: own,
        time: 0.5 * timestep,
        kt: subject.kt,
        degrees_of_freedom: freedom(&subject) - 1,
    };
    let mut other = at_the_ends(&subject, own, timestep);
    for op in &mut other.ops {
        if let Op::Collective { what, .. } = op {
            *what = Collective::MoveChain(heavier);
        }
    }
    let other = end(&subject, &other, steps(timestep));
    let off = apart(&ours.positions, &other.positions);
    println!("one degree of freedom fewer: {off:.1e} A");
    assert!(off > 1e5 * ROUNDING);
}

/// In the middle of a step or at its ends, a chain goes the same way to second order: half of the step, a quarter of the
/// difference.
#[test]
fn the_middle_and_the_ends_of_a_step_agree_to_second_order() {
    let subject = argon();
    let own = chain(RELAXATION, 3);
    let off = |timestep: f64| {
        let programs = [
            at_the_ends(&subject, own, timestep),
            in_the_middle(&subject, own, timestep),
        ];
        let [a, b] = programs.map(|program| end(&subject, &program, steps(timestep)));
        apart(&a.positions, &b.positions)
    };
    let (whole, half) = (off(4.0 * FS), off(2.0 * FS));
    println!("{whole:.1e} and {half:.1e} A, ratio {:.2}", whole / half);
    assert!((3.5..4.5).contains(&(whole / half)) && whole < 1e-2);
}

/// ASE splits the steps of a piston otherwise, into parts of the same equations: its way and ours are apart by the second order of
/// the step, and beyond that, by what is left of the fourth where both are taken to no step at all.
#[test]
fn a_piston_goes_the_way_of_ase() {
    /// Of the difference at the shorter step: a sixteenth is one of fourth order, and there is room for the sixth.
    const LEFT: f64 = 0.1;
    const PRESSURE: f64 = -3000.0 * BAR;
    let subject = argon();
    let own = chain(RELAXATION, 3);
    let barostat_relaxation = 1500.0 * FS;
    let mut found = Vec::new();
    for timestep in [4.0 * FS, 2.0 * FS] {
        let more = json!({"pressure": PRESSURE, "barostat_relaxation": barostat_relaxation});
        let Some(theirs) = ase(&subject, own, timestep, more) else {
            return;
        };
        let ensemble = Mtk {
            kt: subject.kt,
            pressure: PRESSURE,
            chain: own,
            barostat_relaxation,
        };
        let program = ensemble.program(timestep, &Thermometer::of_all(freedom(&subject)));
        let ours = end(&subject, &program, steps(timestep));
        found.push((ours, theirs));
    }
    let edge = |k: usize| {
        let (ours, theirs) = &found[k];
        (ours.cell.vector(0).x, theirs["edge"].as_f64().unwrap())
    };
    let positions = |k: usize| {
        let (ours, theirs) = &found[k];
        (ours.positions.clone(), vectors(&theirs["positions"]))
    };
    let differences = [0, 1].map(|k| {
        let ((ours, theirs), (a, b)) = (positions(k), edge(k));
        (apart(&ours, &theirs), (a - b).abs())
    });
    let grown = edge(1).0 - subject.cell.vector(0).x;
    let ratio = differences[0].0 / differences[1].0;
    println!(
        "edge {grown:+.3} A; positions off by {:.1e} and {:.1e} A, edges by {:.1e} and {:.1e} A: ratio {ratio:.2}",
        differences[0].0, differences[1].0, differences[0].1, differences[1].1
    );
    assert!(grown.abs() > 0.1 && (3.5..4.5).contains(&ratio) && differences[0].0 < 1e-2);
    // To no step at all (Richardson).
    let limit = |long: &[Vec3], short: &[Vec3]| -> Vec<Vec3> {
        let both = long.iter().zip(short);
        both.map(|(a, b)| b + (b - a) / 3.0).collect()
    };
    let [(a, b), (c, d)] = [positions(0), positions(1)];
    let left = apart(&limit(&a, &c), &limit(&b, &d));
    println!("at no step: {left:.1e} A");
    assert!(left < LEFT * differences[1].0);
}
