//! The StudentForceField on a GPU: the third potential behind the engine's seam, against the host and its authors' code.

use mdrun::core::rng::Noise;
use mdrun::core::{Fields, Mat3};
use mdrun::engine::Engine as _;
use mdrun::engine::cuda::{CudaEngine, DeviceForceField};
use mdrun::forcefield::ForceField as _;
use mdrun::neighbors::Pairs;
use mdrun::potential::student::{CudaStudent, FusedStudent, Student};
use mdrun::potential::{Evaluation, Potential, Precision};

use super::{gpu, random_scene};
use crate::student::{PARITY, published};
use crate::support::atoms::farthest;

/// Energies and forces are those of the authors' code.
#[test]
fn agrees_with_its_authors_code() {
    let Some((student, atoms, expected)) = published() else {
        return;
    };
    if !gpu() {
        return;
    }
    let potential = Box::new(CudaStudent::new(&student));
    let mut field = DeviceForceField::new(potential, &atoms[0].species, 0).unwrap();
    let mut worst = [0.0_f64; 2];
    for (atoms, expected) in atoms.iter().zip(&expected) {
        let found = field.at(&atoms.cell, &atoms.positions).unwrap();
        worst[0] = worst[0].max((found.energy - expected.energy).abs());
        worst[1] = worst[1].max(farthest(&found.forces, &expected.forces));
    }
    println!("{} eV, {} eV/A", worst[0], worst[1]);
    assert!(worst.iter().all(|e| *e < PARITY), "{worst:?}");
}

/// Of every shape, in the open, periodic, and in a cell smaller than the cutoff, the host gives the same; twice the same bits.
#[test]
fn the_host_gives_the_same() {
    /// f32 rounding (6e-8) through some hundred operations in a row.
    const ROUNDING: f64 = 5e-5;
    if !gpu() {
        return;
    }
    let skewed = Mat3::new(11.0, 0.0, 0.0, 2.5, 12.0, 0.0, -3.0, 1.2, 10.5);
    for (vectors, periodic, count) in [
        (skewed, [true; 3], 60),
        (skewed, [true, false, true], 60),
        (Mat3::identity() * 9.0, [false; 3], 40),
        (Mat3::identity() * 4.5, [true; 3], 9),
        (Mat3::identity() * 32.0, [true; 3], 2100),
    ] {
        let scene = random_scene(count, vectors, periodic, 90);
        for (features, layers, hidden) in [
            (128, 3, &[64, 32][..]),
            (20, 1, &[]),
            (96, 2, &[160]),
            (33, 4, &[33, 8, 3]),
        ] {
            let student = Student::random(features, layers, hidden, 3);
            let species = &scene.system.species;
            let pairs = Pairs::within(&scene.cell, &scene.positions, student.cutoff).unwrap();
            let mut wanted = Evaluation::zeros(count);
            FusedStudent::new(&student, species, Precision::F64, 2)
                .unwrap()
                .evaluate(&pairs, &mut wanted)
                .unwrap();
            let potential = CudaStudent::new(&student);
            let look = || {
                let noise = Noise::new(7);
                let mut engine = CudaEngine::new(scene.start(), &potential, noise, 0.7, 0).unwrap();
                let found = engine.snapshot(Fields::ALL).unwrap();
                assert_eq!(engine.statistics().pairs, pairs.len() as u64);
                found
            };
            let found = look();
            let scale = wanted.forces.iter().map(|f| f.norm()).fold(0.0, f64::max);
            let force = farthest(&found.forces, &wanted.forces) / scale;
            let energy = (found.observables.potential / wanted.energy - 1.0).abs();
            let strain = found.observables.strain_derivative - wanted.strain_derivative;
            let strain = strain.abs().max() / (scale * student.cutoff * count as f64);
            println!(
                "{layers} x {features}, {count} atoms, {periodic:?}: force {force:.1e}, energy {energy:.1e}, strain {strain:.1e}"
            );
            assert!(force < ROUNDING && energy < ROUNDING && strain < ROUNDING);
            let again = look();
            assert_eq!(found.forces, again.forces);
            assert_eq!(found.observables.potential, again.observables.potential);
        }
    }
}
