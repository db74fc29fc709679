//! Trajectories with constraints beside those of ASE, which has its own RATTLE.

use std::process::Command;

use mdrun::core::Vec3;
use mdrun::dynamics::Program;
use serde_json::{Value, json};

use super::{Held, TOLERANCE, assert_kept, held, state};
use crate::physics::bodies::run;
use crate::physics::subjects::{EPSILON, FS, SIGMA, argon};
use crate::support::atoms::farthest;
use crate::support::calculators::lennard_jones;
use crate::support::{python, root};

const STEPS: u64 = 100;

fn vectors(of: &Value) -> Vec<Vec3> {
    let rows: Vec<[f64; 3]> = serde_json::from_value(of.clone()).unwrap();
    rows.into_iter().map(Vec3::from).collect()
}

fn rows(vectors: &[Vec3]) -> Vec<[f64; 3]> {
    vectors.iter().map(|v| [v.x, v.y, v.z]).collect()
}

/// Argon in pairs, in chains of three and in triangles goes the way of ASE's `FixBondLengths` under `VelocityVerlet`.
///
/// Both leave a part of 1e-12 or less of each distance (4 A), anew in each step: a velocity that is off by 4e-12 A over a step,
/// and positions by at most the sum of 1 to 100 of it. Two atoms that were not held are off by an angstrom, half a step by 1e-3.
#[test]
fn constrained_argon_goes_the_way_of_ase() {
    let tolerance = 4.1 * TOLERANCE * (STEPS * STEPS) as f64 / 2.0;
    let python = match python::environment() {
        Ok(python) => python,
        Err(why) => return python::skip(why),
    };
    let argon = argon();
    let mut pairs = Vec::new();
    for first in (0..argon.positions.len()).step_by(4) {
        let own: &[[usize; 2]] = match first / 4 % 3 {
            0 => &[[0, 1], [2, 3]],
            1 => &[[0, 1], [1, 2]],
            _ => &[[0, 1], [0, 2], [1, 2]],
        };
        pairs.extend(own.iter().map(|pair| pair.map(|i| first + i)));
    }
    let subject = Held {
        constraints: held(&pairs, &argon.positions),
        system: argon.system.clone(),
        cell: argon.cell.clone(),
        positions: argon.positions.clone(),
    };
    let velocities = subject.velocities(argon.kt, 5);
    let start = json!({
        "masses": argon.system.masses,
        "positions": rows(&argon.positions),
        "velocities": rows(&velocities),
        "edge": argon.cell.vector(0).x,
        "timestep": 4.0 * FS,
        "steps": STEPS,
        "pairs": pairs,
        "tolerance": TOLERANCE,
        "epsilon": EPSILON,
        "sigma": SIGMA,
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("start.json");
    std::fs::write(&file, start.to_string()).unwrap();
    let output = Command::new(python)
        .arg(root().join("tests/python/constrained.py"))
        .arg(&file)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut engine = subject.engine(subject.start(velocities), lennard_jones());
    run(&mut engine, &Program::velocity_verlet(4.0 * FS), 0..STEPS);
    let ours = state(&mut engine);
    assert_kept(&subject.constraints, &ours);
    let moved = farthest(&ours.positions, &subject.positions);
    let positions = farthest(&ours.positions, &vectors(&theirs["positions"]));
    let velocities = farthest(&ours.velocities, &vectors(&theirs["velocities"]));
    println!("moved {moved:.2} A; positions {positions:.1e} A apart, velocities {velocities:.1e}");
    assert!(moved > 0.5 && positions < tolerance && velocities < tolerance);
}
