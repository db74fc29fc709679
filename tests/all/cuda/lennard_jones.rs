//! Lennard-Jones on a GPU: the second potential behind the engine's seam, against the host, and the physics bodies without a
//! network.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Mat3, System, Vec3};
use mdrun::dynamics::{Program, baoab};
use mdrun::engine::cuda::CudaEngine;
use mdrun::engine::{Engine, HostEngine, Start};
use mdrun::formats;

use mdrun::neighbors::Pairs;
use mdrun::potential::lennard_jones::LennardJones;
use mdrun::potential::{Evaluation, Potential};

use super::{gpu, random_scene};
use crate::physics::bodies::{self, Sampling};
use crate::physics::subjects::{CUTOFF, EPSILON, FS, SIGMA, Subject, argon, cluster};
use crate::physics::{members, pressed};
use crate::support::mdrun;

/// Rounding of a pair's gradient and of its direction to f32, relative to the largest force of a pair: 2^-24 each, of two
/// gradients and three components.
pub const RELATIVE: f64 = 4e-7;
/// What rounding to f32 on the way makes of the way back (angstrom): a force off by 1e-8 eV/A, now here and now there, moves an
/// argon atom by 4e-12 A in a step of 4 fs, 200 steps add up to 1e-9 A, and collisions multiply that by less than 100.
const BACK: f64 = 1e-6;
/// Forces are those between pairs, each exactly minus the other: rounding in f64.
const MOMENTUM: f64 = 1e-13;

fn potential() -> LennardJones {
    LennardJones::new(EPSILON, SIGMA, CUTOFF).unwrap()
}

/// The same subject on the first GPU.
fn on_a_gpu(subject: Subject) -> Subject {
    Subject {
        build: Box::new(|start, noise, skin| {
            let engine = CudaEngine::new(start, &potential(), noise, skin, 0);
            Box::new(engine.expect("the card takes argon"))
        }),
        ..subject
    }
}

/// The largest force of any pair (eV / angstrom), by which rounding is judged.
fn largest(pairs: &Pairs, potential: &LennardJones) -> f64 {
    let slopes = pairs.distances.iter().map(|&d| potential.pair(d).1.abs());
    slopes.fold(0.0, f64::max)
}

/// Energy, forces and strain derivative are the host's, in the open, periodic, and in a cell smaller than the cutoff.
#[test]
fn the_host_gives_the_same() {
    if !gpu() {
        return;
    }
    let skewed = Mat3::new(11.0, 0.0, 0.0, 2.5, 12.0, 0.0, -3.0, 1.2, 10.5);
    for (vectors, periodic, sigma, count) in [
        (skewed, [true; 3], 1.6, 60),
        (skewed, [true, false, true], 1.6, 60),
        (Mat3::identity() * 9.0, [false; 3], 1.6, 40),
        (Mat3::identity() * 4.5, [true; 3], 1.4, 9),
    ] {
        let scene = random_scene(count, vectors, periodic, 90);
        for cutoff in [4.0, 7.5] {
            let mut exact = LennardJones::new(0.02, sigma, cutoff).unwrap();
            let pairs = Pairs::within(&scene.cell, &scene.positions, cutoff).unwrap();
            let mut wanted = Evaluation::zeros(count);
            Potential::evaluate(&mut exact, &pairs, &mut wanted).unwrap();
            let noise = Noise::new(7);
            let mut engine = CudaEngine::new(scene.start(), &exact, noise, 0.7, 0).unwrap();
            let found = engine.snapshot(Fields::ALL).unwrap();
            assert_eq!(engine.statistics().pairs, pairs.len() as u64);
            let scale = largest(&pairs, &exact);
            let neighbors = pairs.len() as f64 / count as f64;
            let off = |a: &[Vec3], b: &[Vec3]| {
                let errors = a.iter().zip(b).map(|(a, b)| (a - b).norm());
                errors.fold(0.0, f64::max)
            };
            let force = off(&found.forces, &wanted.forces) / scale;
            let energy = (found.observables.potential / wanted.energy - 1.0).abs();
            let strain = found.observables.strain_derivative - wanted.strain_derivative;
            let strain = strain.abs().max() / (scale * cutoff * pairs.len() as f64);
            println!(
                "{periodic:?}, {cutoff} A: force {force:.1e}, energy {energy:.1e}, strain {strain:.1e}"
            );
            assert!(force < RELATIVE * neighbors.sqrt().max(1.0));
            // Of f64 throughout: sums in another order.
            assert!(energy < 1e-12);
            assert!(strain < RELATIVE);
        }
    }
}

/// The first steps of a trajectory are the host's, for both programs: forces off by rounding move nothing by more than it.
#[test]
fn trajectories_begin_as_on_the_host() {
    const STEPS: u64 = 50;
    if !gpu() {
        return;
    }
    let subject = argon();
    let ends = |engine: &mut dyn Engine, program: &Program| {
        bodies::run(engine, program, 0..STEPS);
        engine.snapshot(Fields::ALL).unwrap()
    };
    for program in [
        Program::velocity_verlet(subject.timestep),
        baoab(subject.timestep, subject.kt, 1.0 / (100.0 * FS)),
    ] {
        let noise = Noise::new(7);
        let mut host =
            HostEngine::new(subject.start(1), noise, 1.0, Box::new(potential())).unwrap();
        let mut card = CudaEngine::new(subject.start(1), &potential(), noise, 1.0, 0).unwrap();
        let (exact, found) = (ends(&mut host, &program), ends(&mut card, &program));
        let worst = (exact.positions.iter().zip(&found.positions))
            .map(|(a, b)| (a - b).norm())
            .fold(0.0, f64::max);
        println!("positions off by {worst:.1e} A after {STEPS} steps");
        assert!(worst < BACK);
        let heat = (exact.observables.heat - found.observables.heat).abs();
        assert!(heat < 1e-6, "heat off by {heat:e} eV");
    }
}

/// What takes all atoms together is the host's: velocities, cells, heat and work.
#[test]
fn collective_operators_are_the_hosts() {
    const STEPS: u64 = 50;
    if !gpu() {
        return;
    }
    let subject = argon();
    for (name, program) in pressed::programs(&subject) {
        let noise = Noise::new(7);
        let host = HostEngine::new(subject.start(1), noise, 1.0, Box::new(potential())).unwrap();
        let card = CudaEngine::new(subject.start(1), &potential(), noise, 1.0, 0).unwrap();
        let engines: [Box<dyn Engine>; 2] = [Box::new(host), Box::new(card)];
        let [exact, found] = engines.map(|mut engine| {
            bodies::run(&mut *engine, &program, 0..STEPS);
            engine.snapshot(Fields::ALL).unwrap()
        });
        let off = |a: &[Vec3], b: &[Vec3]| {
            let errors = a.iter().zip(b).map(|(a, b)| (a - b).norm());
            errors.fold(0.0, f64::max)
        };
        let (dr, dv) = (
            off(&exact.positions, &found.positions),
            off(&exact.velocities, &found.velocities),
        );
        let cell = (exact.cell.vectors() - found.cell.vectors()).amax();
        let (e, f) = (&exact.observables, &found.observables);
        let (heat, work) = ((e.heat - f.heat).abs(), (e.work - f.work).abs());
        println!(
            "{name}: off by {dr:.1e} A, {dv:.1e}, cell {cell:.1e} A, heat {heat:.1e}, work {work:.1e} eV of {:.3}",
            e.work
        );
        assert!(dr < BACK && dv < BACK && cell < BACK && heat < 1e-6 && work < 1e-6);
    }
}

#[test]
fn bits_of_collective_operators_do_not_depend_on_how_a_run_is_cut() {
    if gpu() {
        pressed::bits_do_not_depend_on_how_a_run_is_cut(&on_a_gpu(argon()));
    }
}

#[test]
fn a_member_draws_the_noise_of_its_replica() {
    if gpu() {
        members::a_member_draws_the_noise_of_its_replica(&on_a_gpu(argon()));
    }
}

#[test]
fn several_systems_at_once_are_refused() {
    if gpu() {
        let start = members::two_halves(&argon());
        let said = CudaEngine::new(start, &potential(), Noise::new(7), 1.0, 0).err();
        let said = said.unwrap().to_string();
        assert!(said.starts_with("2 systems at once"), "{said}");
    }
}

#[test]
fn a_cell_that_fails_ends_the_block() {
    if gpu() {
        pressed::a_cell_that_fails_ends_the_block(&on_a_gpu(argon()));
    }
}

#[test]
fn argon_conserves_energy_and_momentum_and_is_reversible() {
    if !gpu() {
        return;
    }
    let mut subject = on_a_gpu(argon());
    bodies::reversed_velocities_lead_back("argon", &subject, BACK);
    bodies::momenta_are_conserved("argon", &subject, 500, MOMENTUM);
    subject.timestep *= 2.0;
    bodies::energy_fluctuation_falls_fourfold("argon", &subject, 500);
}

#[test]
fn a_cluster_conserves_energy_and_momenta() {
    /// Directions are rounded to f32, so that torques are 2^-24 of force and distance: forces change a velocity by some 5 % of
    /// it in a step, over 500 steps in random directions by 7e-8 in all.
    const TORQUE: f64 = 1e-7;
    if !gpu() {
        return;
    }
    let subject = on_a_gpu(cluster());
    bodies::energy_fluctuation_falls_fourfold("cluster", &subject, 500);
    bodies::reversed_velocities_lead_back("cluster", &subject, BACK);
    bodies::momenta_are_conserved("cluster", &subject, 500, TORQUE);
}

#[test]
fn argon_has_the_kinetic_energy_of_its_temperature() {
    if !gpu() {
        return;
    }
    let plan = Sampling {
        friction: 1.0 / (100.0 * FS),
        settle: 2000,
        samples: 1500,
        every: 30,
    };
    bodies::kinetic_energy_is_canonical("argon", &on_a_gpu(argon()), &plan);
}

/// The bounds are those of the host (meV / ps / atom).
#[test]
fn energy_and_energy_less_heat_do_not_drift() {
    const DRIFT: f64 = 2e-4;
    if !gpu() {
        return;
    }
    let subject = on_a_gpu(argon());
    let friction = 1.0 / (500.0 * FS);
    let slopes = [
        bodies::slope_of_the_energy(&subject, 5000),
        bodies::slope_of_the_conserved_quantity(&subject, 4.0 * FS, friction, 5000),
    ];
    println!(
        "slopes {:.2e} and {:.2e} meV/ps/atom",
        1e3 * slopes[0],
        1e3 * slopes[1]
    );
    assert!(slopes.iter().all(|s| (1e3 * s).abs() < DRIFT));
}

/// Two atoms at a distance on either side of the switch's ends, and beyond the cutoff.
#[test]
fn two_atoms_pull_each_other_as_the_closed_form_says() {
    if !gpu() {
        return;
    }
    for distance in [3.0, 3.8, 6.39, 6.41, 7.0, 7.99, 8.01] {
        let positions = vec![Vec3::repeat(1.0), Vec3::new(1.0 + distance, 1.0, 1.0)];
        let system = System {
            species: vec![18; 2],
            masses: vec![39.948; 2],
        };
        let start = Start::new(system, Cell::open(), positions, vec![Vec3::zeros(); 2]);
        let mut engine = CudaEngine::new(start, &potential(), Noise::new(1), 0.5, 0).unwrap();
        let found = engine.snapshot(Fields::ALL).unwrap();
        let (energy, slope) = potential().pair(distance);
        assert!((found.observables.potential - energy).abs() <= 1e-13 * EPSILON.max(energy.abs()));
        let pull = Vec3::new(slope, 0.0, 0.0);
        let tolerance = RELATIVE * slope.abs();
        assert!((found.forces[0] - pull).norm() <= tolerance, "{distance}");
        assert!((found.forces[1] + pull).norm() <= tolerance, "{distance}");
    }
}

/// A run file chooses where it runs, and ends at the same place.
#[test]
fn a_run_file_runs_on_the_card() {
    /// Positions after 100 steps (angstrom): as for [`BACK`], and rounded to the digits of the file.
    const APART: f64 = 1e-5;
    if !gpu() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ends: Vec<_> = ["cpu", "cuda:0"]
        .into_iter()
        .map(|kind| {
            let out = folder.path().join(kind.replace(':', "_"));
            let device = format!("device={{kind=\"{kind}\"}}");
            let text = out.to_str().unwrap();
            let config = ["configs/argon_nve.toml", "-q", "--out", text];
            let changes = ["--set", "dynamics.duration=\"400 fs\"", "--set", &device];
            let ran = mdrun(&[&config[..], &changes].concat());
            assert!(
                ran.status.success(),
                "{}",
                String::from_utf8_lossy(&ran.stderr)
            );
            formats::read(&out.join("final.xyz")).unwrap().positions
        })
        .collect();
    let apart = (ends[0].iter().zip(&ends[1])).map(|(a, b)| (a - b).norm());
    let worst = apart.fold(0.0, f64::max);
    println!("positions off by {worst:.1e} A");
    assert!(worst < APART);
}
