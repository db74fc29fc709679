//! Forces and strain derivative against automatic differentiation and against differences of the
//! energy.

use mdrun::core::Mat3;
use mdrun::potential::painn::{RadialBasis, reference};
use mdrun::potential::{Potential, Precision};

use super::engines::double;
use crate::support::atoms::{Atoms, Random, derivative, farthest};
use crate::support::models::{random_model, shipped};

/// Adjoint against automatic differentiation, both in f64, as a part of the largest number: some
/// thousand roundings on the way.
const ADJOINT: f64 = 1e-11;

/// Forces against differences (eV / angstrom).
const DIFFERENCE: f64 = 1e-6;
/// Step (angstrom, or strain): h^4 / 30 times a fifth derivative of 1e7 eV / angstrom^5, which the
/// narrow basis functions have, is 3e-9; rounding of an energy of 1e4 eV over h is 6e-9.
const STEP: f64 = 3e-4;

#[test]
fn adjoint_is_the_derivative_of_the_forward_pass() {
    let cutoff = 4.2;
    let cases = [
        (8, 1, RadialBasis::gaussian(6, cutoff), [true; 3]),
        (16, 2, RadialBasis::bessel(8, cutoff), [true, true, false]),
        (
            24,
            3,
            RadialBasis::gaussian(20, cutoff),
            [false, true, false],
        ),
        (48, 4, RadialBasis::bessel(5, cutoff), [true; 3]),
        (64, 2, RadialBasis::gaussian(11, cutoff), [false; 3]),
        (128, 3, RadialBasis::gaussian(20, cutoff), [true; 3]),
    ];
    for (seed, (features, layers, basis, periodic)) in (1..).zip(cases) {
        let model = random_model(features, layers, basis, cutoff, seed);
        let atoms = Atoms::crowded(4 + 2 * layers, periodic, seed);
        let mut check = reference::by_autodiff(&model.0, &model.1, &atoms.species).unwrap();
        let expected = atoms.evaluate(check.as_mut());
        let size = expected.forces.iter().fold(0f64, |m, f| m.max(f.amax()));
        let virial = expected.strain_derivative.amax();
        assert!(size > 1e-2 && virial > 1e-2, "a subject without forces");
        for engine in double() {
            let mut potential = engine.make(&model, &atoms.species, Precision::F64);
            let out = atoms.evaluate(potential.as_mut());
            let errors = [
                (out.energy - expected.energy).abs() / expected.energy.abs(),
                farthest(&out.forces, &expected.forces) / size,
                (out.strain_derivative - expected.strain_derivative).amax() / virial,
            ];
            println!("{features} x {layers}: {errors:?}");
            let bad = errors.iter().any(|e| e.is_nan() || *e > ADJOINT);
            assert!(!bad, "{}, {features} x {layers}: {errors:?}", engine.name);
        }
    }
}

/// Asserts that forces on the given atoms are differences of the energy.
#[track_caller]
fn check_forces(potential: &mut dyn Potential, atoms: &Atoms, tried: &[usize]) {
    let forces = atoms.evaluate(potential).forces;
    let mut worst = 0f64;
    for &i in tried {
        for (a, force) in forces[i].iter().enumerate() {
            let slope = derivative(STEP, |h| {
                let mut moved = atoms.clone();
                moved.positions[i][a] += h;
                moved.energy(potential)
            });
            worst = worst.max((slope + force).abs());
        }
    }
    println!("forces against differences: {worst:.1e} eV/A");
    assert!(worst < DIFFERENCE, "{worst}");
}

#[test]
fn forces_of_the_shipped_model_are_differences_of_its_energy() {
    let model = shipped();
    let ethanol: Vec<usize> = (0..9).collect();
    for engine in double() {
        for (name, tried) in [
            ("ethanol.xyz", &ethanol[..]),
            ("aspirin.xyz", &[0, 7, 15, 20]),
            ("water64.xyz", &[0, 100]),
        ] {
            let atoms = Atoms::shipped(name).shaken(0.05, 3);
            let mut potential = engine.make(&model, &atoms.species, Precision::F64);
            check_forces(potential.as_mut(), &atoms, tried);
        }
    }
}

#[test]
fn forces_in_small_cells_are_differences_of_the_energy() {
    for (seed, periodic) in [(5, [true; 3]), (6, [true, false, true])] {
        let model = random_model(12, 2, RadialBasis::bessel(6, 4.5), 4.5, seed);
        let atoms = Atoms::crowded(5, periodic, seed);
        for engine in double() {
            let mut potential = engine.make(&model, &atoms.species, Precision::F64);
            check_forces(potential.as_mut(), &atoms, &[0, 1, 2, 3, 4]);
        }
    }
}

/// Asserts that the strain derivative is a difference of the energy, all nine components.
#[track_caller]
fn check_strain(potential: &mut dyn Potential, atoms: &Atoms, bar: f64) {
    let analytic = atoms.evaluate(potential).strain_derivative;
    let numeric = Mat3::from_fn(|a, b| {
        derivative(STEP, |h| {
            // R_b grows with R_a: dE = sum r_a dE/dr_b.
            let mut strain = Mat3::zeros();
            strain[(b, a)] = h;
            atoms.strained(&strain).energy(potential)
        })
    });
    let error = (analytic - numeric).amax();
    println!(
        "strain derivative against differences: {error:.1e} eV of {:.1e}",
        analytic.amax()
    );
    assert!(error < bar, "{analytic} {numeric}");
}

#[test]
fn strain_derivative_is_a_difference_of_the_energy() {
    let shipped = shipped();
    let random = random_model(16, 3, RadialBasis::gaussian(9, 4.0), 4.0, 8);
    let small = Atoms::crowded(6, [true; 3], 8);
    let water = Atoms::shipped("water64.xyz");
    for engine in double() {
        let mut potential = engine.make(&random, &small.species, Precision::F64);
        check_strain(potential.as_mut(), &small, DIFFERENCE);
        let ethanol = Atoms::shipped("ethanol.xyz").shaken(0.05, 4);
        let mut potential = engine.make(&shipped, &ethanol.species, Precision::F64);
        check_strain(potential.as_mut(), &ethanol, 10.0 * DIFFERENCE);
        // All components at once, in steps so small that no pair crosses the cutoff, where the second
        // derivative of the energy jumps.
        const SMALL: f64 = 2e-5;
        let mut potential = engine.make(&shipped, &water.species, Precision::F64);
        let analytic = water.evaluate(potential.as_mut()).strain_derivative;
        let mut random = Random::new(4);
        let direction = Mat3::from_fn(|_, _| 2.0 * random.unit() - 1.0);
        let slope = derivative(SMALL, |h| {
            let strained = water.strained(&(h * direction.transpose()));
            strained.energy(potential.as_mut())
        });
        let error = (slope - analytic.component_mul(&direction).sum()).abs();
        println!("strain of water: {error:.1e} eV of {:.1e}", slope.abs());
        assert!(error < DIFFERENCE);
    }
}
