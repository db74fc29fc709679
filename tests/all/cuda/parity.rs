//! Energy, forces and strain derivative against f64: random models of all widths and depths.

use mdrun::core::rng::Noise;
use mdrun::core::{Fields, Mat3};
use mdrun::dynamics::Program;
use mdrun::engine::cuda::CudaEngine;
use mdrun::engine::{Engine, Flags};

use mdrun::potential::Evaluation;
use mdrun::potential::painn::cuda::CudaPainn;
use mdrun::potential::painn::{RadialBasis, Spec, Weights};

use super::{Scene, WATCHED, gpu, random_scene};
use crate::support::brute;
use crate::support::models::calm_model;
use crate::support::naive;

/// Largest error of a number computed in f32, over the largest of its kind: a force is a sum of some ten thousand
/// products through six layers of 2^-24 each, and the spline's slope is off by up to 1.6e-5 of its own.
const RELATIVE: f64 = 3e-5;

/// Compares an engine with the reference.
fn compare(name: &str, scene: &Scene, spec: &Spec, exact: &Evaluation, engine: &mut CudaEngine) {
    let found = engine.snapshot(Fields::ALL).unwrap();
    let largest = exact.forces.iter().map(|f| f.norm()).fold(0.0, f64::max);
    let errors = found
        .forces
        .iter()
        .zip(&exact.forces)
        .map(|(a, b)| (a - b).norm());
    let worst = errors.fold(0.0, f64::max);
    let inner = exact.energy - spec.offset(&scene.system.species);
    let energy = (found.observables.potential - exact.energy).abs() / (1.0 + inner.abs());
    let strain = (found.observables.strain_derivative - exact.strain_derivative)
        .abs()
        .max()
        / exact.strain_derivative.abs().max();
    println!(
        "{name}: force {:.1e} of {largest:.2}, energy {energy:.1e}, strain {strain:.1e}",
        worst / largest
    );
    assert_eq!(
        found.positions, scene.positions,
        "{name}: arrays come back in the user's order"
    );
    assert!(
        worst < RELATIVE * largest,
        "{name}: forces off by {worst:e} of {largest:e}"
    );
    assert!(
        energy < RELATIVE && strain < RELATIVE,
        "{name}: energy {energy:e}, strain {strain:e}"
    );
}

/// Energy, forces and strain derivative in f64, of all pairs within the cutoff.
fn exactly(scene: &Scene, spec: &Spec, weights: &Weights) -> Evaluation {
    let pairs = brute::pairs(&scene.cell, &scene.positions, spec.cutoff);
    naive::evaluate(spec, weights, &scene.system.species, &pairs)
}

fn triclinic() -> Mat3 {
    Mat3::from_row_slice(&[9.0, 0.0, 0.0, 2.5, 8.0, 0.0, -1.5, 1.2, 7.5])
}

#[test]
fn random_models_agree_with_f64() {
    if !gpu() {
        return;
    }
    let cases = [
        (32, 1, 20, true, [true; 3]),
        (32, 4, 12, false, [true, false, true]),
        (64, 2, 20, true, [false; 3]),
        (64, 3, 8, false, [true; 3]),
        (96, 2, 20, true, [true; 3]),
        (128, 3, 20, true, [true; 3]),
        (128, 4, 20, false, [false, true, false]),
        (256, 2, 20, true, [true; 3]),
        (50, 2, 10, true, [true; 3]),
    ];
    // Most of the time is the compiler's: the cases take it side by side.
    std::thread::scope(|scope| {
        for (k, case) in cases.into_iter().enumerate() {
            scope.spawn(move || random_model_agrees(k as u32, case));
        }
    });
}

/// Features, interactions and radial functions of a model, whether these are Gaussian, and the cell's periodic directions.
type Case = (usize, usize, usize, bool, [bool; 3]);

fn random_model_agrees(seed: u32, case: Case) {
    let (features, layers, functions, gaussian, periodic) = case;
    let basis = if gaussian {
        RadialBasis::gaussian(functions, 5.0)
    } else {
        RadialBasis::bessel(functions, 5.0)
    };
    let (spec, weights) = calm_model(features, layers, basis);
    // The reference is quadratic in the features.
    let count = if features < 128 { 37 } else { 21 };
    let scene = random_scene(count, triclinic(), periodic, seed);
    let exact = exactly(&scene, &spec, &weights);
    let painn = CudaPainn::new(&spec, &weights);
    let name = format!("F = {features}, L = {layers}, {periodic:?}");
    compare(
        &name,
        &scene,
        &spec,
        &exact,
        &mut scene.engine_of(painn.clone(), 0.6),
    );
    for choice in scene.choices(&spec, &weights) {
        let name = format!("{name}, {choice:?}");
        let mut engine = scene.engine_of(painn.clone().with(choice), 0.6);
        compare(&name, &scene, &spec, &exact, &mut engine);
    }
}

/// The kernels as compute-sanitizer's racecheck is shown them, each kind; and a few steps of each, with pairs built anew.
/// `compute-sanitizer --tool racecheck` on this test alone is how the kernels are checked for races.
#[test]
fn watched_kernels_agree_with_f64() {
    if !gpu() {
        return;
    }
    let (spec, weights) = calm_model(32, 2, RadialBasis::gaussian(20, 5.0));
    let scene = random_scene(36, triclinic(), [true; 3], 70);
    let exact = exactly(&scene, &spec, &weights);
    for choice in scene.choices(&spec, &weights) {
        let potential = CudaPainn::new(&spec, &weights).with(choice);
        let mut engine =
            CudaEngine::made(scene.start(), &potential, Noise::new(7), (0.6, 0), WATCHED).unwrap();
        compare(&format!("{choice:?}"), &scene, &spec, &exact, &mut engine);
        engine.run(&Program::velocity_verlet(0.02), 0..2).unwrap();
        engine.rebuild().unwrap();
        let outcome = engine.run(&Program::velocity_verlet(0.02), 2..4).unwrap();
        assert_eq!((outcome.flags, outcome.step), (Flags::OK, 4));
    }
}

#[test]
fn readouts_of_any_depth_agree_with_f64() {
    if !gpu() {
        return;
    }
    let (spec, _) = calm_model(32, 2, RadialBasis::gaussian(20, 5.0));
    let scene = random_scene(20, triclinic(), [true; 3], 40);
    for hidden in [&[][..], &[40, 20], &[16, 8, 64]] {
        let weights = Weights::random_with_readout(&spec, hidden, 5);
        let exact = exactly(&scene, &spec, &weights);
        compare(
            &format!("readout {hidden:?}"),
            &scene,
            &spec,
            &exact,
            &mut scene.engine(&spec, &weights, 0.6),
        );
    }
}

/// A cell smaller than the cutoff in all directions: many images of each atom, itself included.
#[test]
fn cells_smaller_than_the_cutoff_agree_with_f64() {
    if !gpu() {
        return;
    }
    let (spec, weights) = calm_model(32, 2, RadialBasis::gaussian(20, 5.0));
    let vectors = Mat3::from_row_slice(&[3.1, 0.0, 0.0, 0.9, 3.4, 0.0, -0.5, 0.4, 2.9]);
    for (count, periodic) in [(1, [true; 3]), (3, [true; 3]), (3, [true, true, false])] {
        let scene = random_scene(count, vectors, periodic, 50);
        let exact = exactly(&scene, &spec, &weights);
        // All forces of one atom alone vanish, so they are compared with the scale of an ordinary one.
        if count > 1 {
            compare(
                &format!("{count} atoms, {periodic:?}"),
                &scene,
                &spec,
                &exact,
                &mut scene.engine(&spec, &weights, 0.6),
            );
        } else {
            let mut engine = scene.engine(&spec, &weights, 0.6);
            let found = engine.snapshot(Fields::ALL).unwrap();
            assert!(found.forces[0].norm() < RELATIVE);
            let error = found.observables.strain_derivative - exact.strain_derivative;
            assert!(error.abs().max() < RELATIVE * exact.strain_derivative.abs().max());
        }
    }
}
