//! What swings where distances are held: a pendulum, and the shortest vibration, which `mdrun check` and `mdrun validate` judge a
//! step by.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, System, Vec3};
use mdrun::diagnose::vibration::{Vibrating, shortest_period};
use mdrun::dynamics::{Constraints, Program};
use mdrun::engine::{Engine, GroupRules, HostEngine, Start};
use mdrun::forcefield::external::{ExternalLaw, ExternalTerm};

use super::held;
use crate::physics::bodies::run;
use crate::physics::doubles::{Free, Springs};

fn pair(masses: [f64; 2], length: f64) -> (System, Vec<Vec3>) {
    let system = System {
        species: vec![6, 8],
        masses: masses.to_vec(),
    };
    (system, vec![Vec3::zeros(), Vec3::z() * length])
}

/// A rigid dipole swings about a field of constant forces F at either end by omega^2 = F / (reduced mass times length), although no
/// force depends on a place: the curvature is that of the circle. Without the constraint nothing vibrates.
#[test]
fn a_dipole_swings_about_a_field() {
    const FORCE: f64 = 0.7;
    const LENGTH: f64 = 1.3;
    let (system, positions) = pair([2.0, 6.0], LENGTH);
    let pulled = |atom: usize, sign: f64| ExternalTerm {
        atoms: vec![atom],
        law: ExternalLaw::Force(Vec3::z() * (sign * FORCE)),
    };
    let rules = GroupRules {
        terms: vec![pulled(0, -1.0), pulled(1, 1.0)],
        ..GroupRules::default()
    };
    let constraints = held(&[[0, 1]], &positions);
    for (constraints, wanted) in [(Constraints::default(), None), (constraints, Some(1.5))] {
        let start = Start::new(
            system.clone(),
            Cell::open(),
            positions.clone(),
            vec![Vec3::zeros(); 2],
        );
        let start = start
            .with_groups(rules.clone())
            .with_constraints(constraints.clone());
        let mut engine = HostEngine::new(start, Noise::new(1), 2.0, Box::new(Free)).unwrap();
        let state = engine.snapshot(Fields::ALL).unwrap();
        let vibrating = Vibrating::new(&system, &constraints);
        let period = shortest_period(&mut engine, &vibrating, &state).unwrap();
        let Some(reduced) = wanted else {
            assert_eq!(period, None);
            continue;
        };
        let right = std::f64::consts::TAU / (FORCE / (reduced * LENGTH)).sqrt();
        let off = period.unwrap() / right - 1.0;
        // A swing of 0.01 A about 1.3 A has the next term of the sine: (0.01 / 1.3)^2 / 6.
        assert!(off.abs() < 3e-5, "{off}");
        assert_eq!(
            engine.snapshot(Fields::ALL).unwrap().positions,
            state.positions
        );
    }
}

/// Of two pairs that are rigid, on springs from each atom to each, the centres swing against each other by
/// omega^2 = 4 k (1 / M + 1 / M'), and the stretches of the pairs are gone.
#[test]
fn rigid_pairs_swing_with_their_centres() {
    const STIFFNESS: f64 = 2.0;
    let masses = [1.0, 1.0, 3.0, 3.0];
    let system = System {
        species: vec![6; 4],
        masses: masses.to_vec(),
    };
    let positions = vec![
        Vec3::z() * 0.5,
        Vec3::z() * -0.5,
        Vec3::new(4.0, 0.5, 0.0),
        Vec3::new(4.0, -0.5, 0.0),
    ];
    let constraints = held(&[[0, 1], [2, 3]], &positions);
    let start = Start::new(
        system.clone(),
        Cell::open(),
        positions,
        vec![Vec3::zeros(); 4],
    );
    let start = start.with_constraints(constraints.clone());
    let springs = Box::new(Springs {
        stiffness: STIFFNESS,
    });
    let mut engine = HostEngine::new(start, Noise::new(1), 2.0, springs).unwrap();
    let state = engine.snapshot(Fields::ALL).unwrap();
    let vibrating = Vibrating::new(&system, &constraints);
    let period = shortest_period(&mut engine, &vibrating, &state)
        .unwrap()
        .unwrap();
    let squared = 4.0 * STIFFNESS * (1.0 / 2.0 + 1.0 / 6.0);
    let off = period / (std::f64::consts::TAU / squared.sqrt()) - 1.0;
    println!("{off:.1e}");
    assert!(off.abs() < 1e-4, "{off}");
}

/// Where a pendulum is that was let go from the side (90 degrees) a quarter of its period ago, and how fast.
///
/// Its period is 2 pi sqrt(length / g) / agm(1, cos(45 degrees)), by the arithmetic-geometric mean (Gauss).
fn pendulum(steps: u64) -> (f64, f64) {
    const HEAVY: f64 = 1e9;
    const LENGTH: f64 = 1.5;
    let (mass, pull) = (2.0, 0.3);
    let (system, positions) = pair([HEAVY, mass], LENGTH);
    let constraints = held(&[[0, 1]], &positions);
    let pulled = GroupRules {
        terms: vec![ExternalTerm {
            atoms: vec![1],
            law: ExternalLaw::Force(-Vec3::x() * pull),
        }],
        ..GroupRules::default()
    };
    let start = Start::new(system, Cell::open(), positions, vec![Vec3::zeros(); 2]);
    let start = start.with_groups(pulled).with_constraints(constraints);
    let mut engine = HostEngine::new(start, Noise::new(1), 2.0, Box::new(Free)).unwrap();
    let (mut a, mut b) = (1.0_f64, 0.5_f64.sqrt());
    for _ in 0..6 {
        (a, b) = (0.5 * (a + b), (a * b).sqrt());
    }
    let gravity = pull / mass;
    let period = std::f64::consts::TAU * (LENGTH / gravity).sqrt() / a;
    let timestep = 0.25 * period / steps as f64;
    run(&mut engine, &Program::velocity_verlet(timestep), 0..steps);
    let end = engine.snapshot(Fields::ALL).unwrap();
    (
        end.positions[1].z,
        end.velocities[1].z + (2.0 * gravity * LENGTH).sqrt(),
    )
}

/// It is at the bottom, with all of the energy in its speed, to second order in the step.
#[test]
fn a_pendulum_has_its_period() {
    let (coarse, fine) = (pendulum(200), pendulum(400));
    println!("off at the bottom: {coarse:?}, {fine:?}");
    // The phase is off by some (w t)^2 / 24 of a quarter: 1e-5 of the length.
    assert!(fine.0.abs() < 2e-5 && fine.1.abs() < 2e-5, "{fine:?}");
    let ratio = coarse.0 / fine.0;
    assert!((3.9..4.1).contains(&ratio), "{ratio}");
}
