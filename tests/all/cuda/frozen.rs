//! Frozen atoms on a GPU: they keep every bit, and the others move as on the host, alone and as members of a batch.

use mdrun::core::observe::Thermometer;
use mdrun::core::rng::Noise;
use mdrun::core::{Fields, Snapshot, Vec3};
use mdrun::dynamics::{Csvr, Ensemble as _, Program, baoab};
use mdrun::engine::cuda::{CudaBatch, CudaEngine};
use mdrun::engine::{BatchEngine, BatchMember, Engine, HostEngine, Limits, Start};

use super::gpu;
use crate::groups::frozen::start;
use crate::physics::bodies;
use crate::physics::nve::back;
use crate::physics::subjects::{FS, argon};
use crate::support::calculators::{Numbers, lennard_jones};

const STEPS: u64 = 50;

fn programs(start: &Start) -> [Program; 3] {
    let subject = argon();
    let csvr = Csvr {
        kt: subject.kt,
        relaxation: 50.0 * FS,
        seed: 5,
    };
    let degrees = 3 * start.groups.moving(start.system.len());
    [
        Program::velocity_verlet(subject.timestep),
        baoab(subject.timestep, subject.kt, 1.0 / (100.0 * FS)),
        csvr.program(subject.timestep, &Thermometer::of_all(degrees)),
    ]
}

/// Checks that frozen atoms are where they were, and the others where they are on the host.
fn same_as_on_the_host(start: &Start, exact: &Snapshot, found: &Snapshot) {
    for i in (0..start.system.len()).filter(|&i| !start.groups.moves(i)) {
        assert_eq!(found.positions[i], start.positions[i], "atom {i}");
        assert_eq!(found.velocities[i], Vec3::zeros(), "atom {i}");
        assert!(found.forces[i].norm() > 0.0, "atom {i}");
    }
    let worst = (exact.positions.iter().zip(&found.positions))
        .map(|(a, b)| (a - b).norm())
        .fold(0.0, f64::max);
    println!("positions off by {worst:.1e} A after {STEPS} steps");
    assert!(worst < back(Numbers::RoundedPairs));
    let heat = (exact.observables.kept.heat - found.observables.kept.heat).abs();
    assert!(heat < 1e-6, "heat off by {heat:e} eV");
}

#[test]
fn frozen_atoms_stay_and_the_others_are_the_hosts() {
    if !gpu() {
        return;
    }
    let start = start(&argon());
    let noise = Noise::new(7);
    for program in programs(&start) {
        let mut host =
            HostEngine::new(start.clone(), noise, 1.0, Box::new(lennard_jones())).unwrap();
        bodies::run(&mut host, &program, 0..STEPS);
        let exact = host.snapshot(Fields::ALL).unwrap();
        let mut card = CudaEngine::new(start.clone(), &lennard_jones(), noise, 1.0, 0).unwrap();
        bodies::run(&mut card, &program, 0..STEPS);
        same_as_on_the_host(&start, &exact, &card.snapshot(Fields::ALL).unwrap());
        // Beside a member that is free.
        let member = |start: &Start| BatchMember {
            start: start.clone(),
            noise,
            program: program.clone(),
            limits: Limits::default(),
        };
        let members = vec![member(&argon().start(2)), member(&start)];
        let mut batch = CudaBatch::new(members, &lennard_jones(), 1.0, 0).unwrap();
        batch.run_beside(STEPS, &mut || {}).unwrap();
        let all = batch.request(Fields::ALL).unwrap().take().unwrap();
        same_as_on_the_host(&start, &exact, &all[1]);
        let moved = |i: usize| all[0].positions[i] != argon().positions[i];
        assert!((0..start.system.len()).all(moved));
    }
}
