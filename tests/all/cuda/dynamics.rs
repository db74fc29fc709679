//! Steps on the GPU: the same as the operators written out in f64, and independent of how they are run.

use mdrun::core::rng::{Noise, Stream};
use mdrun::core::{Fields, Mat3, Snapshot, Vec3};
use mdrun::dynamics::{Collective, Local, Op, Program, baoab};
use mdrun::engine::cuda::CudaEngine;
use mdrun::engine::{Engine, Flags};

use mdrun::potential::painn::cuda::{CudaPainn, Division};
use mdrun::potential::painn::{RadialBasis, Spec, Weights};

use super::{Scene, WATCHED, gpu, random_scene};
use crate::support::brute;
use crate::support::models::calm_model;
use crate::support::naive;

/// A model with gentle forces, so that atoms that start at random stay together for a few hundred steps.
pub fn gentle() -> (Spec, Weights) {
    let (mut spec, weights) = calm_model(32, 2, RadialBasis::gaussian(12, 5.0));
    spec.energy_scale = 0.02;
    (spec, weights)
}

pub fn scene() -> Scene {
    let vectors = Mat3::from_row_slice(&[11.0, 0.0, 0.0, 2.5, 9.0, 0.0, -1.5, 1.2, 10.0]);
    random_scene(60, vectors, [true, true, false], 77)
}

/// A program, operator by operator, on forces in f64.
fn by_hand(
    scene: &Scene,
    spec: &Spec,
    weights: &Weights,
    program: &Program,
    steps: u64,
) -> (Vec<Vec3>, Vec<Vec3>, f64) {
    let (masses, noise) = (&scene.system.masses, Noise::new(7));
    let forces = |r: &[Vec3]| {
        let pairs = brute::pairs(&scene.cell, r, spec.cutoff);
        naive::evaluate(spec, weights, &scene.system.species, &pairs).forces
    };
    let (mut r, mut v, mut heat) = (scene.positions.clone(), scene.velocities.clone(), 0.0);
    let mut f = forces(&r);
    for step in 0..steps {
        for op in &program.ops {
            match *op {
                Op::Local(Local::Kick(t)) => {
                    (0..r.len()).for_each(|i| v[i] += f[i] * (t / masses[i]))
                }
                Op::Local(Local::Drift(t)) => (0..r.len()).for_each(|i| r[i] += v[i] * t),
                Op::Local(Local::Noise { c, kt }) => {
                    for i in 0..r.len() {
                        let xi = noise.normal3(step, i as u32, Stream::Thermostat);
                        let before = v[i].norm_squared();
                        v[i] = v[i] * c + xi * ((1.0 - c * c) * kt / masses[i]).sqrt();
                        heat += 0.5 * masses[i] * (v[i].norm_squared() - before);
                    }
                }
                Op::Forces => f = forces(&r),
                Op::Collective {
                    every,
                    what: Collective::RemoveDrift,
                } if (step + 1) % every == 0 => {
                    let mass: f64 = masses.iter().sum();
                    let p: Vec3 = masses.iter().zip(&v).map(|(m, v)| *m * v).sum();
                    v.iter_mut().for_each(|v| *v -= p / mass);
                    heat -= 0.5 * p.norm_squared() / mass;
                }
                Op::Collective { .. } => {}
            }
        }
    }
    (r, v, heat)
}

/// Forces differ by f32 rounding, some 1e-6 eV/A here; over 20 steps of 0.05 that moves a hydrogen by 5e-7 A and
/// its velocity by 1e-6. A wrong operator, time or noise is off by 1e-4 and more.
#[test]
fn programs_are_those_written_out() {
    const STEPS: u64 = 20;
    const POSITION: f64 = 3e-6;
    const VELOCITY: f64 = 1e-5;
    if !gpu() {
        return;
    }
    let (spec, weights) = gentle();
    let scene = scene();
    let programs = [
        ("velocity Verlet", Program::velocity_verlet(0.05)),
        ("BAOAB", baoab(0.05, 0.025, 0.2)),
        (
            "BAOAB without drift",
            baoab(0.05, 0.025, 0.2).remove_drift(3),
        ),
    ];
    for (name, program) in programs {
        let (r, v, heat) = by_hand(&scene, &spec, &weights, &program, STEPS);
        let mut engine = scene.engine(&spec, &weights, 0.4);
        let outcome = engine.run(&program, 0..STEPS).unwrap();
        assert_eq!((outcome.flags, outcome.step), (Flags::OK, STEPS), "{name}");
        let found = engine.snapshot(Fields::ALL).unwrap();
        let worst = |a: &[Vec3], b: &[Vec3]| {
            a.iter()
                .zip(b)
                .map(|(a, b)| (a - b).norm())
                .fold(0.0, f64::max)
        };
        let (dr, dv) = (worst(&found.positions, &r), worst(&found.velocities, &v));
        println!("{name}: positions off by {dr:.1e}, velocities by {dv:.1e}");
        assert!(dr < POSITION && dv < VELOCITY, "{name}: {dr:e} {dv:e}");
        assert!(
            (found.observables.kept.heat - heat).abs() < 1e-4,
            "{name}: heat {heat}"
        );
        assert_eq!(found.step, STEPS);
        assert!((found.time - 0.05 * STEPS as f64).abs() < 1e-12);
    }
}

fn bits(s: &Snapshot) -> Vec<u64> {
    let o = &s.observables;
    let arrays = s.positions.iter().chain(&s.velocities).chain(&s.forces);
    let scalars = [o.potential, o.kinetic, o.kept.heat]
        .into_iter()
        .chain(o.momentum.iter().copied());
    (arrays.flat_map(|v| [v.x, v.y, v.z]))
        .chain(scalars)
        .chain(o.strain_derivative.iter().copied())
        .map(f64::to_bits)
        .collect()
}

fn run(engine: &mut CudaEngine, program: &Program, cuts: &[u64]) -> Vec<u64> {
    let mut from = 0;
    for &to in cuts {
        let outcome = engine.run(program, from..to).unwrap();
        assert_eq!((outcome.flags, outcome.step), (Flags::OK, to));
        from = to;
    }
    bits(&engine.snapshot(Fields::ALL).unwrap())
}

/// The same bits from run to run, however steps are cut into blocks, whenever pairs are rebuilt.
#[test]
fn bits_do_not_depend_on_how_it_is_run() {
    if !gpu() {
        return;
    }
    let (spec, weights) = gentle();
    let scene = scene();
    let program = baoab(0.08, 0.04, 0.1).remove_drift(7);
    // Tools that watch every access take minutes for many steps of the tiled kernels: fewer, with a thinner skin.
    for choice in scene.choices(&spec, &weights) {
        let slow = matches!(
            choice.division,
            Division::Tiles { .. } | Division::Strips { .. }
        );
        let (end, thin) = if slow { (60, 0.1) } else { (150, 0.3) };
        let potential = CudaPainn::new(&spec, &weights).with(choice);
        let engine = |skin| scene.engine_of(potential.clone(), skin);
        let mut first = engine(thin);
        let whole = run(&mut first, &program, &[end]);
        assert!(first.statistics().rebuilds > 3, "atoms leave a thin skin");
        first.rebuild().unwrap();
        let same = first.snapshot(Fields::ALL).unwrap();
        assert_eq!(whole, bits(&same), "pairs built anew");
        assert_eq!(
            whole,
            run(&mut engine(thin), &program, &[end]),
            "run to run"
        );
        assert_eq!(
            whole,
            run(&mut engine(thin), &program, &[1, 2, 30, 31, 47, end]),
            "blocks"
        );
        assert_eq!(whole, run(&mut engine(1.1), &program, &[40, end]), "skin");
        let mut apart =
            CudaEngine::made(scene.start(), &potential, Noise::new(7), (thin, 0), WATCHED).unwrap();
        assert_eq!(whole, run(&mut apart, &program, &[end]), "watched");
        let mut again = engine(0.5);
        run(&mut again, &program, &[20]);
        again.save().unwrap();
        again.run(&program, 20..50).unwrap();
        again.rollback().unwrap();
        again.rebuild().unwrap();
        again.run(&program, 20..end).unwrap();
        assert_eq!(
            whole,
            bits(&again.snapshot(Fields::ALL).unwrap()),
            "rollback"
        );
    }
}

/// A run taken up from its state and heat goes on with the same bits.
#[test]
fn a_run_can_be_taken_up() {
    if !gpu() {
        return;
    }
    let (spec, weights) = gentle();
    let scene = scene();
    let program = baoab(0.08, 0.04, 0.1);
    let whole = run(&mut scene.engine(&spec, &weights, 0.4), &program, &[100]);
    let mut first = scene.engine(&spec, &weights, 0.4);
    first.run(&program, 0..40).unwrap();
    let middle = first.snapshot(Fields::ALL).unwrap();
    let mut start = scene.start().after(middle.step, middle.observables.kept);
    (start.positions, start.velocities) = (middle.positions, middle.velocities);
    let mut second = CudaEngine::new(
        start,
        &CudaPainn::new(&spec, &weights),
        Noise::new(7),
        0.4,
        0,
    )
    .unwrap();
    second.run(&program, 40..100).unwrap();
    assert_eq!(whole, bits(&second.snapshot(Fields::ALL).unwrap()));
}

/// Without a thermostat the energy is kept: its fluctuation falls with the square of the step (velocity Verlet).
#[test]
fn energy_is_conserved_to_second_order() {
    if !gpu() {
        return;
    }
    let (spec, weights) = gentle();
    let scene = scene();
    let wobble = |dt: f64| {
        let mut engine = scene.engine(&spec, &weights, 0.5);
        let start = engine.snapshot(Fields::NONE).unwrap().observables.total();
        let program = Program::velocity_verlet(dt);
        let steps = (4.0 / dt) as u64;
        let mut worst = 0.0f64;
        for step in 0..steps / 4 {
            engine.run(&program, 4 * step..4 * step + 4).unwrap();
            let total = engine.snapshot(Fields::NONE).unwrap().observables.total();
            worst = worst.max((total - start).abs());
        }
        worst
    };
    let (coarse, fine) = (wobble(0.1), wobble(0.05));
    println!("energy off by {coarse:.2e} eV at 0.1, {fine:.2e} eV at 0.05");
    // A quarter if the order is two; f32 rounding of the energy (some 1e-6 eV) is the floor.
    assert!(fine < 0.35 * coarse + 1e-5, "{coarse:e} {fine:e}");
}
