//! Committees on a GPU: against the host, alone and in steps, and how long their steps take.

use mdrun::core::rng::Noise;
use mdrun::core::{Fields, Mat3, Snapshot};
use mdrun::dynamics::Program;
use mdrun::engine::Engine as _;
use mdrun::engine::cuda::CudaEngine;
use mdrun::neighbors::Pairs;
use mdrun::potential::committee::{Committee, CudaCommittee};
use mdrun::potential::device::DevicePotential;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::cuda::CudaPainn;
use mdrun::potential::painn::{RadialBasis, Spec, Weights};
use mdrun::potential::{Evaluation, Potential, Precision};

use super::{Scene, WATCHED, gpu, random_scene};
use crate::support::atoms::farthest;
use crate::support::models::calm_model;

/// f32 rounding of members, whose gradients of pairs are rounded once more (`cuda::parity::RELATIVE`).
const RELATIVE: f64 = 3e-5;

/// Models of different sizes, so that their kernels and the parts of their gradients differ.
fn models() -> [(Spec, Weights); 4] {
    [(32, 2), (64, 3), (128, 2), (50, 1)]
        .map(|(features, layers)| calm_model(features, layers, RadialBasis::gaussian(20, 5.0)))
}

fn on_a_card(models: &[(Spec, Weights)]) -> CudaCommittee<'_> {
    let member =
        |(spec, weights)| Box::new(CudaPainn::new(spec, weights)) as Box<dyn DevicePotential>;
    CudaCommittee::new(models.iter().map(|m| member((&m.0, &m.1))).collect()).unwrap()
}

fn engine(scene: &Scene, potential: &dyn DevicePotential) -> CudaEngine {
    CudaEngine::new(scene.start(), potential, Noise::new(7), 0.6, 0).unwrap()
}

/// Few atoms in a cell of any shape, and enough for blocks of many.
fn scenes() -> [Scene; 2] {
    let skewed = Mat3::new(9.0, 0.0, 0.0, 2.5, 8.0, 0.0, -1.5, 1.2, 7.5);
    [(37, skewed, 90), (900, Mat3::identity() * 24.0, 91)]
        .map(|(count, vectors, seed)| random_scene(count, vectors, [true; 3], seed))
}

#[test]
fn the_host_gives_the_same() {
    if !gpu() {
        return;
    }
    let models = models();
    for scene in scenes() {
        let species = &scene.system.species;
        let pairs = Pairs::within(&scene.cell, &scene.positions, 5.0).unwrap();
        let members = models.iter().map(|(spec, weights)| {
            let potential = FusedPainn::new(spec, weights, species, Precision::F64, 2);
            Box::new(potential.unwrap()) as Box<dyn Potential>
        });
        let mut exact = Evaluation::zeros(0);
        let mut host = Committee::new(members.collect()).unwrap();
        host.evaluate(&pairs, &mut exact).unwrap();
        let found = engine(&scene, &on_a_card(&models))
            .snapshot(Fields::ALL)
            .unwrap();
        let scale = exact.forces.iter().map(|f| f.norm()).fold(0.0, f64::max);
        let o = &found.observables;
        let force = farthest(&found.forces, &exact.forces) / scale;
        let energy = (o.potential / exact.energy - 1.0).abs();
        let strain = (o.strain_derivative - exact.strain_derivative).amax();
        let strain = strain / exact.strain_derivative.amax();
        let (wanted, spread) = (exact.spread.unwrap(), o.spread.unwrap());
        println!(
            "force {force:.1e}, energy {energy:.1e}, strain {strain:.1e}, {spread:?} {wanted:?}"
        );
        assert!(force < RELATIVE && energy < RELATIVE && strain < RELATIVE);
        // Members differ by as much as they are large.
        assert!(wanted.force > 0.1 * scale);
        assert!((spread.force - wanted.force).abs() < RELATIVE * scale);
        assert!((spread.energy / wanted.energy - 1.0).abs() < RELATIVE);
    }
}

/// The state after some steps, cut into blocks as told, with pairs built anew between two of them.
fn after(scene: &Scene, potential: &dyn DevicePotential, blocks: &[u64]) -> Snapshot {
    let mut engine = engine(scene, potential);
    let mut step = 0;
    for (k, until) in blocks.iter().enumerate() {
        if k == 1 {
            engine.rebuild().unwrap();
        }
        let outcome = engine
            .run(&Program::velocity_verlet(0.02), step..*until)
            .unwrap();
        assert_eq!(outcome.step, *until);
        step = *until;
    }
    engine.snapshot(Fields::ALL).unwrap()
}

#[test]
fn no_bit_depends_on_how_steps_are_cut() {
    if !gpu() {
        return;
    }
    let models = models();
    for scene in scenes() {
        let potential = on_a_card(&models);
        let whole = after(&scene, &potential, &[40]);
        assert_eq!(after(&scene, &potential, &[40]), whole);
        assert_eq!(after(&scene, &potential, &[3, 20, 31, 40]), whole);
        assert_ne!(whole.positions, scene.positions);
    }
}

/// As compute-sanitizer's racecheck is shown it.
#[test]
fn watched_kernels_give_the_same() {
    if !gpu() {
        return;
    }
    let models = models();
    let [scene, _] = scenes();
    let potential = on_a_card(&models);
    let mut watched =
        CudaEngine::made(scene.start(), &potential, Noise::new(7), (0.6, 0), WATCHED).unwrap();
    let mut free = engine(&scene, &potential);
    let program = Program::velocity_verlet(0.02);
    for engine in [&mut watched, &mut free] {
        engine.run(&program, 0..4).unwrap();
    }
    let [a, b] = [watched, free].map(|mut engine| engine.snapshot(Fields::ALL).unwrap());
    assert_eq!(a, b);
}
