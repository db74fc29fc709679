//! Energy, forces and strain derivative against f64: random models of all widths and depths, and the reference data.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Mat3, System, Vec3};
use mdrun::dynamics::Program;
use mdrun::engine::cuda::CudaEngine;
use mdrun::engine::{Engine, Flags};

use mdrun::potential::Evaluation;
use mdrun::potential::painn::cuda::CudaPainn;
use mdrun::potential::painn::{RadialBasis, Spec, Weights, import};
use safetensors::SafeTensors;

use super::{Scene, gpu, random_scene};
use crate::support::brute;
use crate::support::data::own;
use crate::support::models::calm_model;
use crate::support::naive;

/// Largest error of a number computed in f32, over the largest of its kind: a force is a sum of some ten thousand
/// products through six layers of 2^-24 each, and the spline's slope is off by up to 1.6e-5 of its own.
const RELATIVE: f64 = 3e-5;

/// Compares an engine with the reference and returns the largest error of a force.
fn compare(
    name: &str,
    scene: &Scene,
    spec: &Spec,
    exact: &Evaluation,
    engine: &mut CudaEngine,
) -> f64 {
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
    worst
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
        &mut scene.engine_of(painn, 0.6),
    );
    for choice in scene.choices(&spec, &weights) {
        let name = format!("{name}, {choice:?}");
        let mut engine = scene.engine_of(painn.with(choice), 0.6);
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
            CudaEngine::watched(scene.start(), &potential, Noise::new(7), 0.6, 0).unwrap();
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

/// The arrangements of `tests/data`, which an independent implementation computed in f64. Molecules near their minimum have small
/// forces of bonds that pull with several eV / angstrom: what their rounding leaves is not held against what remains.
#[test]
fn an_independent_implementation_gives_the_same() {
    /// The bar of third-party reference data for f32: 2e-3 kcal/mol/A.
    const FORCE: f64 = 2e-3 * KCAL_PER_MOL;
    if !gpu() {
        return;
    }
    for subject in own() {
        let (spec, weights) = &subject.model;
        let mut worst = 0f64;
        for atoms in &subject.arrangements {
            let name = format!("{}, {}", subject.name, atoms.name);
            let (species, positions) = (atoms.species.clone(), atoms.positions.clone());
            let scene = at_rest(species, atoms.cell.clone(), positions);
            let found = scene
                .engine(spec, weights, 0.6)
                .snapshot(Fields::ALL)
                .unwrap();
            let expected = &atoms.expected;
            let pairs = found.forces.iter().zip(&expected.forces);
            let force = pairs.map(|(a, b)| (a - b).amax()).fold(0.0, f64::max);
            let inner = expected.energy - spec.offset(&atoms.species);
            let energy =
                (found.observables.potential - expected.energy).abs() / (1.0 + inner.abs());
            let strain = (found.observables.strain_derivative - expected.strain_derivative).amax();
            // A sum over pairs with lever arms of up to the cutoff, whose errors are independent.
            let strain_bar = FORCE * spec.cutoff * (atoms.pairs as f64).sqrt().max(1.0);
            assert!(force < FORCE, "{name}: forces off by {force:e} eV/A");
            assert!(energy < RELATIVE, "{name}: energy off by {energy:e}");
            assert!(
                strain < strain_bar,
                "{name}: strain derivative off by {strain:e} eV"
            );
            assert!(
                atoms.pairs > 0 || force == 0.0,
                "{name}: forces out of reach"
            );
            worst = worst.max(force);
        }
        println!("{}: force {worst:.1e} eV/A at most", subject.name);
    }
}

/// A file of the reference data.
fn file(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(crate::support::reference(name)?).unwrap())
}

fn numbers(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let view = tensors.tensor(name).unwrap();
    let words = view.data().chunks_exact(8);
    words
        .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

fn atomic_numbers(tensors: &SafeTensors<'_>) -> Vec<u8> {
    let view = tensors.tensor("Z").unwrap();
    let width = view.data().len() / view.shape()[0];
    view.data().chunks_exact(width).map(|b| b[0]).collect()
}

fn at_rest(species: Vec<u8>, cell: Cell, positions: Vec<Vec3>) -> Scene {
    let masses = species
        .iter()
        .map(|&z| f64::from(z) * 2.0 - f64::from(z == 1))
        .collect();
    Scene {
        velocities: vec![Vec3::zeros(); species.len()],
        system: System { species, masses },
        cell,
        positions,
    }
}

fn vectors(numbers: &[f64]) -> Vec<Vec3> {
    numbers
        .chunks_exact(3)
        .map(Vec3::from_column_slice)
        .collect()
}

/// eV of 1 kcal/mol, CODATA 2018.
const KCAL_PER_MOL: f64 = 0.043_364_104_241_800_934;

#[test]
fn trained_models_agree_with_their_authors_code() {
    /// The bar of the reference data for f32: 2e-3 kcal/mol/A.
    const FORCE: f64 = 2e-3 * KCAL_PER_MOL;
    if !gpu() {
        return;
    }
    let Some(data) = file("ethanol.safetensors") else {
        return;
    };
    let data = SafeTensors::deserialize(&data).unwrap();
    let species = atomic_numbers(&data);
    for model in 1..=3 {
        let Some(bytes) = file(&format!("painn_ethanol_{model}.safetensors")) else {
            return;
        };
        let (spec, weights) = load(&bytes);
        let (all, forces) = (numbers(&data, "R"), numbers(&data, &format!("F_{model}")));
        let energies = numbers(&data, &format!("E_{model}"));
        let mut worst = [0.0f64; 2];
        for (frame, energy) in energies.iter().enumerate() {
            let part = frame * 27..(frame + 1) * 27;
            let scene = at_rest(species.clone(), Cell::open(), vectors(&all[part.clone()]));
            let found = scene
                .engine(&spec, &weights, 0.5)
                .snapshot(Fields::ALL)
                .unwrap();
            worst[0] = worst[0].max((found.observables.potential - energy * KCAL_PER_MOL).abs());
            for (a, b) in found.forces.iter().zip(vectors(&forces[part])) {
                worst[1] = worst[1].max((a - b * KCAL_PER_MOL).abs().max());
            }
        }
        let [energy, force] = worst.map(|x| x / KCAL_PER_MOL);
        println!("ethanol {model}: energy {energy:.1e} kcal/mol, force {force:.1e} kcal/mol/A");
        assert!(
            worst[1] < FORCE,
            "model {model}: forces off by {force:e} kcal/mol/A"
        );
        assert!(
            worst[0] < FORCE,
            "model {model}: energy off by {energy:e} kcal/mol"
        );
    }
}

#[test]
fn a_small_triclinic_cell_agrees_with_its_authors_code() {
    if !gpu() {
        return;
    }
    let (Some(data), Some(bytes)) = (
        file("ethanol_periodic_triclinic.safetensors"),
        file("painn_ethanol_1.safetensors"),
    ) else {
        return;
    };
    let data = SafeTensors::deserialize(&data).unwrap();
    let (spec, weights) = load(&bytes);
    let cell = Cell::new(Mat3::from_row_slice(&numbers(&data, "cell")), [true; 3]).unwrap();
    let scene = at_rest(atomic_numbers(&data), cell, vectors(&numbers(&data, "R")));
    let scaled = |name| {
        numbers(&data, name)
            .into_iter()
            .map(|x| x * KCAL_PER_MOL)
            .collect::<Vec<_>>()
    };
    let exact = Evaluation {
        energy: scaled("E")[0],
        forces: vectors(&scaled("F")),
        strain_derivative: Mat3::from_row_slice(&scaled("dEdstrain")),
    };
    let worst = compare(
        "triclinic ethanol",
        &scene,
        &spec,
        &exact,
        &mut scene.engine(&spec, &weights, 0.6),
    );
    println!(
        "triclinic ethanol: force {:.1e} kcal/mol/A",
        worst / KCAL_PER_MOL
    );
    assert!(worst < 2e-3 * KCAL_PER_MOL);
}

fn load(bytes: &[u8]) -> (Spec, Weights) {
    import::import(bytes, "the reference model").unwrap()
}
