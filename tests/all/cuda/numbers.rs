//! The numbers that a card computes in: how far from f64 each of them is, with every kind of kernels.

use std::sync::Arc;

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Mat3, Vec3};
use mdrun::dynamics::Program;
use mdrun::engine::cuda::{CudaEngine, DeviceForceField, Making};
use mdrun::engine::{Engine as _, Flags};
use mdrun::forcefield::{ForceField as _, HostForceField};
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::cuda::{CardNumbers, CudaPainn};
use mdrun::potential::painn::{Int8Weights, RadialBasis, Spec, Weights};
use mdrun::potential::{Evaluation, Precision};

use super::{Scene, WATCHED, gpu, random_scene};
use crate::support::models::{calm_model, shipped};

/// Numbers, and the largest error of their operands and features, half a unit in the last place; of f32 what tensor cores cut
/// off, 2^-23 of a sum at each of some twenty additions.
const NUMBERS: [(Precision, CardNumbers, f64); 5] = [
    (Precision::F32, CardNumbers::Single, 2.4e-6),
    (Precision::Tf32, CardNumbers::OnePart, 4.9e-4),
    (Precision::F16, CardNumbers::Half, 4.9e-4),
    (Precision::Bf16, CardNumbers::Bfloat, 3.9e-3),
    // Of the network that its weights in 8 bits make; the rest is in halves.
    (Precision::Int8, CardNumbers::Eight, 4.9e-4),
];

/// A force is made of intermediate numbers whose errors are independent and, through three layers both ways, some ten times
/// theirs; a largest one of a few dozen atoms is four times the root mean square. In units of the root mean square force.
const GROWTH: f64 = 40.0;

struct Subject<'a> {
    spec: &'a Spec,
    weights: &'a Weights,
    scene: &'a Scene,
}

impl Subject<'_> {
    fn exactly(&self, weights: &Weights) -> Evaluation {
        let species = &self.scene.system.species;
        let potential = FusedPainn::new(self.spec, weights, species, Precision::F64, 2).unwrap();
        let mut field = HostForceField::exhaustive(Box::new(potential));
        field.at(&self.scene.cell, &self.scene.positions).unwrap()
    }

    fn painn(&self, precision: Precision, int8: &Arc<Int8Weights>) -> CudaPainn<'_> {
        let painn = CudaPainn::new(self.spec, self.weights);
        match precision {
            Precision::Int8 => painn.in_int8(Arc::clone(int8)),
            _ => painn.in_numbers(precision),
        }
    }

    /// By every kind of kernels.
    fn on_the_card(&self, precision: Precision, numbers: CardNumbers) -> Vec<(String, Evaluation)> {
        let choices = self.scene.choices_in(numbers, self.spec, self.weights);
        let int8 = Arc::new(Int8Weights::nearest(self.weights));
        let evaluate = |choice| {
            let painn = self.painn(precision, &int8);
            let species = &self.scene.system.species;
            let mut field =
                DeviceForceField::new(Box::new(painn.with(choice)), species, 0).unwrap();
            let found = field.at(&self.scene.cell, &self.scene.positions).unwrap();
            (format!("{choice:?}"), found)
        };
        choices.into_iter().map(evaluate).collect()
    }

    fn compare(&self, name: &str) {
        let plain = self.exactly(self.weights);
        let widened = Int8Weights::nearest(self.weights).widened(self.weights);
        let in_8_bits = self.exactly(&widened.unwrap());
        let square = |f: &[Vec3]| f.iter().map(Vec3::norm_squared).sum::<f64>() / f.len() as f64;
        let size = square(&plain.forces).sqrt();
        let atoms = plain.forces.len() as f64;
        for (precision, numbers, unit) in NUMBERS {
            let exact = match precision {
                Precision::Int8 => &in_8_bits,
                _ => &plain,
            };
            for (choice, found) in self.on_the_card(precision, numbers) {
                let off: Vec<Vec3> = (found.forces.iter().zip(&exact.forces))
                    .map(|(a, b)| a - b)
                    .collect();
                let (rms, most) = (
                    square(&off).sqrt(),
                    off.iter().map(Vec3::norm).fold(0.0, f64::max),
                );
                let energy = (found.energy - exact.energy).abs() / atoms;
                println!(
                    "{name}, {precision}: {rms:.1e} eV/A, largest {most:.1e} of {size:.2}, {energy:.1e} eV/atom: {choice}"
                );
                let bar = GROWTH * unit * size;
                assert!(
                    most < bar,
                    "{name}, {precision}, {choice}: {most:e} of {bar:e}"
                );
                assert!(rms < 0.25 * bar, "{name}, {precision}, {choice}: {rms:e}");
                assert!(
                    energy < bar,
                    "{name}, {precision}, {choice}: {energy:e} eV/atom"
                );
            }
        }
    }
}

/// A model as training leaves it, on a molecule in the open.
#[test]
fn the_shipped_model_is_near_f64_in_all_numbers() {
    if !gpu() {
        return;
    }
    let (spec, weights) = shipped();
    let cell = Mat3::identity() * 9.0;
    let scene = Scene {
        cell: Cell::open(),
        ..random_scene(21, cell, [false; 3], 11)
    };
    let subject = Subject {
        spec: &spec,
        weights: &weights,
        scene: &scene,
    };
    subject.compare("shipped");
}

/// Widths that are padded, few and many radial functions, one layer and several, rows longer and shorter than what a warp
/// takes at once.
#[test]
fn random_models_are_near_f64_in_all_numbers() {
    if !gpu() {
        return;
    }
    let cases = [
        (32, 1, RadialBasis::gaussian(20, 5.0), 5),
        (50, 2, RadialBasis::gaussian(10, 5.0), 30),
        (96, 2, RadialBasis::bessel(20, 5.0), 24),
        (128, 3, RadialBasis::gaussian(40, 5.0), 24),
    ];
    for (k, (features, layers, basis, atoms)) in cases.into_iter().enumerate() {
        let (spec, weights) = calm_model(features, layers, basis);
        let cell = Mat3::from_row_slice(&[9.0, 0.0, 0.0, 2.5, 8.0, 0.0, -1.5, 1.2, 7.5]);
        let scene = random_scene(atoms, cell, [true, k % 2 == 0, true], 80 + k as u32);
        let subject = Subject {
            spec: &spec,
            weights: &weights,
            scene: &scene,
        };
        subject.compare(&format!("F = {features}, L = {layers}"));
    }
}

/// A few steps of the kernels of all numbers, pairs built anew among them: where each ends, made in all of these ways.
fn walk(ways: &[Making]) {
    let (spec, weights) = calm_model(32, 2, RadialBasis::gaussian(20, 5.0));
    let cell = Mat3::from_row_slice(&[9.0, 0.0, 0.0, 2.5, 8.0, 0.0, -1.5, 1.2, 7.5]);
    let scene = random_scene(36, cell, [true; 3], 70);
    let subject = Subject {
        spec: &spec,
        weights: &weights,
        scene: &scene,
    };
    let int8 = Arc::new(Int8Weights::nearest(&weights));
    for (precision, numbers, _) in NUMBERS {
        for choice in scene.choices_in(numbers, &spec, &weights) {
            let walked = |&making: &Making| {
                let painn = subject.painn(precision, &int8).with(choice);
                let mut engine =
                    CudaEngine::made(scene.start(), &painn, Noise::new(7), (0.6, 0), making)
                        .unwrap();
                engine.run(&Program::velocity_verlet(0.02), 0..2).unwrap();
                engine.rebuild().unwrap();
                let outcome = engine.run(&Program::velocity_verlet(0.02), 2..4).unwrap();
                assert_eq!((outcome.flags, outcome.step), (Flags::OK, 4));
                engine.snapshot(Fields::ALL).unwrap().positions
            };
            let ends: Vec<_> = ways.iter().map(walked).collect();
            assert!(
                ends.iter().all(|end| *end == ends[0]),
                "{precision}, {choice:?}"
            );
        }
    }
}

/// `compute-sanitizer --tool racecheck` on this test alone is how the kernels of all numbers are checked for races. Kernels that
/// are not made for it would be told races that they do not have: of a warp whose lanes wait for each other and of which one
/// arrives at a barrier, it follows that one.
#[test]
fn watched_kernels_of_all_numbers_step() {
    if gpu() {
        walk(&[WATCHED]);
    }
}

#[test]
fn kernels_of_all_numbers_step_to_the_same_bits_watched_or_not() {
    if gpu() {
        let plain = Making {
            watched: false,
            ..WATCHED
        };
        walk(&[WATCHED, plain]);
    }
}
