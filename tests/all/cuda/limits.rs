//! Limits and numbers that are not finite, found on the GPU after the step at fault.

use mdrun::core::{Cell, Fields, System, Vec3};
use mdrun::dynamics::Program;
use mdrun::engine::{Engine, Flags, Limits, Watched};

use mdrun::potential::painn::RadialBasis;

use super::{Scene, gpu};
use crate::support::models::calm_model;

/// Two atoms on their way to each other from 3 A at 0.1 A per unit of time each.
fn collision() -> Scene {
    Scene {
        system: System {
            species: vec![6, 6],
            masses: vec![12.0, 12.0],
        },
        cell: Cell::open(),
        positions: vec![Vec3::zeros(), Vec3::new(3.0, 0.0, 0.0)],
        velocities: vec![Vec3::new(0.1, 0.0, 0.0), Vec3::new(-0.1, 0.0, 0.0)],
    }
}

#[test]
fn a_contact_is_found_in_its_step() {
    if !gpu() {
        return;
    }
    let (mut spec, weights) = calm_model(32, 1, RadialBasis::gaussian(8, 5.0));
    spec.energy_scale = 1e-9;
    let mut engine = collision().engine(&spec, &weights, 0.5);
    // They come 0.02 A nearer in a step of 0.1: under 2.5 A after 26 steps.
    engine.watch(Limits {
        contact: Some(2.495),
        stop: true,
        ..Limits::default()
    });
    let outcome = engine.run(&Program::velocity_verlet(0.1), 0..100).unwrap();
    assert_eq!((outcome.flags, outcome.step), (Flags::LIMIT, 26));
    let breach = outcome.breach.unwrap();
    assert_eq!(
        (breach.step, breach.what, breach.atoms),
        (26, Watched::Contact, vec![0, 1])
    );
    assert!((breach.value - 2.48).abs() < 1e-6, "{}", breach.value);
    let state = engine.snapshot(Fields::ALL).unwrap();
    assert_eq!(state.step, 26);
    assert!(
        (state.positions[0].x - 0.26).abs() < 1e-6,
        "the block ends with that step"
    );
}

#[test]
fn a_limit_that_does_not_stop_is_told_once() {
    if !gpu() {
        return;
    }
    let (mut spec, weights) = calm_model(32, 1, RadialBasis::gaussian(8, 5.0));
    spec.energy_scale = 1e-9;
    let mut engine = collision().engine(&spec, &weights, 0.5);
    engine.watch(Limits {
        kinetic: Some(0.1),
        contact: Some(2.495),
        ..Limits::default()
    });
    let outcome = engine.run(&Program::velocity_verlet(0.1), 0..40).unwrap();
    assert_eq!((outcome.flags, outcome.step), (Flags::LIMIT, 40));
    // Two atoms of 12 u at 0.1 have 0.12 eV: over the limit from the first step on.
    let breach = outcome.breach.unwrap();
    assert_eq!((breach.step, breach.what), (1, Watched::Kinetic));
    assert!((breach.value - 0.12).abs() < 1e-6);
}

/// Flight of the whole does not count where the centre of mass is held.
#[test]
fn the_kinetic_energy_of_a_held_centre_does_not_count() {
    if !gpu() {
        return;
    }
    let (mut spec, weights) = calm_model(32, 1, RadialBasis::gaussian(8, 5.0));
    spec.energy_scale = 1e-9;
    let mut scene = collision();
    for v in &mut scene.velocities {
        *v += Vec3::new(0.3, -0.5, 0.2);
    }
    let mut engine = scene.engine(&spec, &weights, 0.5);
    let mut watch = |kinetic: f64, held_mass: Option<f64>| {
        engine.watch(Limits {
            kinetic: Some(kinetic),
            held_mass,
            stop: true,
            ..Limits::default()
        });
        engine.run(&Program::velocity_verlet(0.1), 0..2).unwrap()
    };
    // 0.12 eV inside, and 24 u / 2 (0.3^2 + 0.5^2 + 0.2^2) = 4.56 eV of flight.
    assert_eq!(watch(0.13, Some(24.0)).flags, Flags::OK);
    let held = watch(0.11, Some(24.0)).breach.unwrap();
    assert!(held.what == Watched::Kinetic && (held.value - 0.12).abs() < 1e-6);
    let all = watch(0.13, None).breach.unwrap();
    assert!((all.value - 4.68).abs() < 1e-6, "{}", all.value);
}

#[test]
fn forces_are_held_to_their_limit() {
    if !gpu() {
        return;
    }
    let (spec, weights) = calm_model(32, 2, RadialBasis::gaussian(8, 5.0));
    let mut engine = collision().engine(&spec, &weights, 0.5);
    let force = engine.snapshot(Fields::ALL).unwrap().forces[0].norm();
    engine.watch(Limits {
        force: Some(0.99 * force),
        stop: true,
        ..Limits::default()
    });
    let outcome = engine.run(&Program::velocity_verlet(0.01), 5..5).unwrap();
    assert_eq!((outcome.flags, outcome.step), (Flags::LIMIT, 5));
    let breach = outcome.breach.unwrap();
    assert_eq!(breach.what, Watched::Force);
    assert!((breach.value - force).abs() < 1e-12);
}

/// Two atoms in one place have no direction between them.
#[test]
fn numbers_that_are_not_finite_end_the_block() {
    if !gpu() {
        return;
    }
    let (spec, weights) = calm_model(32, 1, RadialBasis::gaussian(8, 5.0));
    let mut scene = collision();
    scene.positions[1] = Vec3::zeros();
    let mut engine = scene.engine(&spec, &weights, 0.5);
    let outcome = engine.run(&Program::velocity_verlet(0.01), 0..0).unwrap();
    assert_eq!(outcome.flags, Flags::NONFINITE);
    let breach = outcome.breach.unwrap();
    assert_eq!((breach.what, breach.atoms), (Watched::Finite, vec![0, 1]));
}
