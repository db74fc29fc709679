//! Networks behind PaiNN on a GPU, against the host and against what others give: the StudentForceField and SchNet.

use mdrun::core::rng::Noise;
use mdrun::core::{Fields, Mat3};
use mdrun::engine::Engine as _;
use mdrun::engine::cuda::{CudaEngine, DeviceForceField};
use mdrun::forcefield::ForceField as _;
use mdrun::neighbors::Pairs;
use mdrun::potential::device::DevicePotential;
use mdrun::potential::painn::RadialBasis;
use mdrun::potential::schnet::{CudaSchnet, FusedSchnet, Schnet};
use mdrun::potential::student::{CudaStudent, FusedStudent, Student};
use mdrun::potential::{Evaluation, Potential, Precision};

use super::{Scene, gpu, random_scene};
use crate::schnet;
use crate::student::{PARITY, published};
use crate::support::atoms::farthest;

/// f32 rounding (6e-8) through some hundred operations in a row.
const ROUNDING: f64 = 5e-5;

/// Energies and forces of the published student are those of its authors' code.
#[test]
fn the_student_agrees_with_its_authors_code() {
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

/// Energies, forces and strain derivatives of a SchNet are those of another implementation.
#[test]
fn a_schnet_agrees_with_another_implementation() {
    if !gpu() {
        return;
    }
    let model = schnet::model();
    for one in schnet::arrangements() {
        let potential = Box::new(CudaSchnet::new(&model));
        let mut field = DeviceForceField::new(potential, &one.species, 0).unwrap();
        let found = field.at(&one.cell, &one.positions).unwrap();
        let off = schnet::errors(&found, &one);
        println!("{}: {off:?}", one.name);
        assert!(off.iter().all(|e| *e < PARITY), "{}: {off:?}", one.name);
    }
}

/// Scenes in the open, periodic, and in a cell smaller than the cutoff; few atoms, and enough for blocks of many.
fn scenes() -> [Scene; 5] {
    let skewed = Mat3::new(11.0, 0.0, 0.0, 2.5, 12.0, 0.0, -3.0, 1.2, 10.5);
    [
        (skewed, [true; 3], 60),
        (skewed, [true, false, true], 60),
        (Mat3::identity() * 9.0, [false; 3], 40),
        (Mat3::identity() * 4.5, [true; 3], 9),
        (Mat3::identity() * 32.0, [true; 3], 2100),
    ]
    .map(|(vectors, periodic, count)| random_scene(count, vectors, periodic, 90))
}

/// Checks a potential against the same in host memory; twice it gives the same bits.
fn check(name: &str, scene: &Scene, potential: &dyn DevicePotential, host: &mut dyn Potential) {
    let cutoff = potential.cutoff();
    let count = scene.positions.len();
    let pairs = Pairs::within(&scene.cell, &scene.positions, cutoff).unwrap();
    let mut wanted = Evaluation::zeros(count);
    host.evaluate(&pairs, &mut wanted).unwrap();
    let look = || {
        let noise = Noise::new(7);
        let mut engine = CudaEngine::new(scene.start(), potential, noise, 0.7, 0).unwrap();
        let found = engine.snapshot(Fields::ALL).unwrap();
        assert_eq!(engine.statistics().pairs, pairs.len() as u64);
        found
    };
    let found = look();
    let scale = wanted.forces.iter().map(|f| f.norm()).fold(0.0, f64::max);
    let force = farthest(&found.forces, &wanted.forces) / scale;
    let energy = (found.observables.potential / wanted.energy - 1.0).abs();
    let strain = found.observables.strain_derivative - wanted.strain_derivative;
    let strain = strain.abs().max() / (scale * cutoff * count as f64);
    println!("{name}, {count} atoms: force {force:.1e}, energy {energy:.1e}, strain {strain:.1e}");
    assert!(force < ROUNDING && energy < ROUNDING && strain < ROUNDING);
    let again = look();
    assert_eq!(found.forces, again.forces);
    assert_eq!(found.observables.potential, again.observables.potential);
}

/// Of every shape.
#[test]
fn the_host_gives_the_same() {
    if !gpu() {
        return;
    }
    for scene in scenes() {
        let species = &scene.system.species;
        for (features, layers, hidden) in [
            (128, 3, &[64, 32][..]),
            (20, 1, &[]),
            (96, 2, &[160]),
            (33, 4, &[33, 8, 3]),
        ] {
            let name = format!("{layers} x {features}");
            let student = Student::random(features, layers, hidden, 3);
            let mut host = FusedStudent::new(&student, species, Precision::F64, 2).unwrap();
            check(
                &format!("student {name}"),
                &scene,
                &CudaStudent::new(&student),
                &mut host,
            );
            let basis = RadialBasis::gaussian(14, 5.0);
            let model = Schnet::random(features, layers, basis, hidden, 3);
            let mut host = FusedSchnet::new(&model, species, Precision::F64, 2).unwrap();
            check(
                &format!("SchNet {name}"),
                &scene,
                &CudaSchnet::new(&model),
                &mut host,
            );
        }
    }
}
