//! Lennard-Jones on a GPU: the second potential behind the engine's seam, against the host.

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
use crate::physics::nve::back;
use crate::physics::pressed::BAR;
use crate::physics::subjects::{EPSILON, FS, argon};
use crate::physics::{bodies, members, pressed};
use crate::support::calculators::{Matter, Numbers, PAIR_ROUNDING, lennard_jones, on_a_gpu};
use crate::support::mdrun;

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
            assert!(force < PAIR_ROUNDING * neighbors.sqrt().max(1.0));
            // Of f64 throughout: sums in another order.
            assert!(energy < 1e-12);
            assert!(strain < PAIR_ROUNDING);
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
            HostEngine::new(subject.start(1), noise, 1.0, Box::new(lennard_jones())).unwrap();
        let mut card = CudaEngine::new(subject.start(1), &lennard_jones(), noise, 1.0, 0).unwrap();
        let (exact, found) = (ends(&mut host, &program), ends(&mut card, &program));
        let worst = (exact.positions.iter().zip(&found.positions))
            .map(|(a, b)| (a - b).norm())
            .fold(0.0, f64::max);
        println!("positions off by {worst:.1e} A after {STEPS} steps");
        assert!(worst < back(Numbers::RoundedPairs));
        let heat = (exact.observables.kept.heat - found.observables.kept.heat).abs();
        assert!(heat < 1e-6, "heat off by {heat:e} eV");
    }
}

/// What takes all atoms together is the host's: velocities, cells, heat and work.
#[test]
fn collective_operators_are_the_hosts() {
    const STEPS: u64 = 50;
    /// Of a difference of two pressures, each rounded like pairs in f32.
    const RESPONSE: f64 = 1e-2;
    if !gpu() {
        return;
    }
    let subject = argon();
    for (name, program) in pressed::programs(&subject) {
        let noise = Noise::new(7);
        let host =
            HostEngine::new(subject.start(1), noise, 1.0, Box::new(lennard_jones())).unwrap();
        let card = CudaEngine::new(subject.start(1), &lennard_jones(), noise, 1.0, 0).unwrap();
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
        let (e, f) = (e.kept, f.kept);
        let (heat, work) = ((e.heat - f.heat).abs(), (e.work - f.work).abs());
        let (response, most) = ((e.response - f.response).amax(), e.response.amax());
        println!(
            "{name}: off by {dr:.1e} A, {dv:.1e}, cell {cell:.1e} A, heat {heat:.1e}, work {work:.1e} eV of {:.3}, \
             response {:.1e} of {:.1} bar",
            e.work,
            response / BAR,
            most / BAR
        );
        assert!(response <= RESPONSE * most);
        let bar = back(Numbers::RoundedPairs);
        assert!(dr < bar && dv < bar && cell < bar && heat < 1e-6 && work < 1e-6);
    }
}

#[test]
fn bits_of_collective_operators_do_not_depend_on_how_a_run_is_cut() {
    for calculator in on_a_gpu().iter().filter(|c| c.matter == Matter::Argon) {
        pressed::bits_do_not_depend_on_how_a_run_is_cut(&argon().by(calculator));
    }
}

#[test]
fn several_systems_at_once_are_refused() {
    if gpu() {
        let start = members::two_halves(&argon());
        let said = CudaEngine::new(start, &lennard_jones(), Noise::new(7), 1.0, 0).err();
        let said = said.unwrap().to_string();
        assert!(said.starts_with("2 systems at once"), "{said}");
    }
}

#[test]
fn a_cell_that_fails_ends_the_block() {
    for calculator in on_a_gpu().iter().filter(|c| c.matter == Matter::Argon) {
        pressed::a_cell_that_fails_ends_the_block(&argon().by(calculator));
    }
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
        let mut engine = CudaEngine::new(start, &lennard_jones(), Noise::new(1), 0.5, 0).unwrap();
        let found = engine.snapshot(Fields::ALL).unwrap();
        let (energy, slope) = lennard_jones().pair(distance);
        assert!((found.observables.potential - energy).abs() <= 1e-13 * EPSILON.max(energy.abs()));
        let pull = Vec3::new(slope, 0.0, 0.0);
        let tolerance = PAIR_ROUNDING * slope.abs();
        assert!((found.forces[0] - pull).norm() <= tolerance, "{distance}");
        assert!((found.forces[1] + pull).norm() <= tolerance, "{distance}");
    }
}

/// A run file chooses where it runs, and ends at the same place.
#[test]
fn a_run_file_runs_on_the_card() {
    /// Positions after 100 steps (angstrom): as for [`back`], and rounded to the digits of the file.
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
