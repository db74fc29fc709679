//! What must not change the energy, where it must be smooth, and what must not change a bit.

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::neighbors::Pairs;
use mdrun::potential::painn::reference;
use mdrun::potential::painn::{RadialBasis, Spec, Weights};
use mdrun::potential::{Evaluation, Precision};

use super::engines::{double, engines};
use crate::support::atoms::{Atoms, Random, farthest};
use crate::support::brute;
use crate::support::models::{random_model, shipped};

/// Energies of up to 1e4 eV in f64 are rounded to 2e-12 eV (eV, eV / angstrom).
const INVARIANT: f64 = 1e-10;

fn subjects() -> [Atoms; 3] {
    [
        Atoms::shipped("ethanol.xyz").shaken(0.1, 1),
        Atoms::shipped("aspirin.xyz").shaken(0.1, 2),
        Atoms::shipped("water64.xyz"),
    ]
}

#[test]
fn rotation_and_reflection() {
    let model = shipped();
    let mut random = Random::new(11);
    for atoms in subjects() {
        for engine in double() {
            let mut potential = engine.make(&model, &atoms.species, Precision::F64);
            let before = atoms.evaluate(potential.as_mut());
            for sign in [1.0, -1.0] {
                let turn = sign * random.rotation();
                let after = atoms
                    .strained(&(turn - Mat3::identity()))
                    .evaluate(potential.as_mut());
                let turned: Vec<Vec3> = before.forces.iter().map(|f| turn * f).collect();
                let strain = turn * before.strain_derivative * turn.transpose();
                assert!(
                    (after.energy - before.energy).abs() < INVARIANT,
                    "{}",
                    engine.name
                );
                assert!(
                    farthest(&after.forces, &turned) < INVARIANT,
                    "{}",
                    engine.name
                );
                // Sums over thousands of pairs with lever arms of 5 angstrom.
                let error = (after.strain_derivative - strain).amax();
                assert!(error < 100.0 * INVARIANT, "{}: {error}", engine.name);
            }
        }
    }
}

#[test]
fn translation_permutation_and_images() {
    let model = shipped();
    let mut random = Random::new(12);
    for atoms in subjects() {
        let count = atoms.species.len();
        let mut order: Vec<usize> = (0..count).collect();
        for k in (1..count).rev() {
            order.swap(k, (random.unit() * k as f64) as usize);
        }
        let shift = 30.0 * random.vector();
        let image = |k: usize| match atoms.cell.is_periodic() {
            true => atoms.cell.shift([k as i32 % 3 - 1, 2, -(k as i32 % 2)]),
            false => Vec3::zeros(),
        };
        let changed = Atoms {
            species: order.iter().map(|&k| atoms.species[k]).collect(),
            cell: atoms.cell.clone(),
            positions: order
                .iter()
                .map(|&k| atoms.positions[k] + shift + image(k))
                .collect(),
        };
        for engine in double() {
            let mut potential = engine.make(&model, &atoms.species, Precision::F64);
            let before = atoms.evaluate(potential.as_mut());
            let mut potential = engine.make(&model, &changed.species, Precision::F64);
            let after = changed.evaluate(potential.as_mut());
            let forces: Vec<Vec3> = order.iter().map(|&k| before.forces[k]).collect();
            let error = (after.energy - before.energy).abs();
            assert!(error < INVARIANT, "{}: {error:e} eV", engine.name);
            assert!(
                farthest(&after.forces, &forces) < INVARIANT,
                "{}",
                engine.name
            );
        }
    }
}

#[test]
fn forces_sum_to_zero() {
    let model = shipped();
    for atoms in subjects() {
        for engine in engines() {
            for &precision in engine.precisions {
                let mut potential = engine.make(&model, &atoms.species, precision);
                let out = atoms.evaluate(potential.as_mut());
                let total: Vec3 = out.forces.iter().sum();
                // Each pair's pull is taken from one atom and given to the other in f64.
                assert!(total.amax() < INVARIANT, "{}: {total}", engine.name);
            }
        }
    }
}

#[test]
fn a_pair_at_the_cutoff_does_nothing() {
    /// How far inside the cutoff (angstrom).
    const INSIDE: f64 = 1e-6;
    let cutoff = 4.0;
    for basis in [
        RadialBasis::gaussian(9, cutoff),
        RadialBasis::bessel(7, cutoff),
    ] {
        let model = random_model(16, 3, basis, cutoff, 21);
        // A pair, and an atom that comes to one of them from outside.
        let at = |d: f64| Atoms {
            species: vec![8, 1, 6],
            cell: Cell::open(),
            positions: vec![
                Vec3::zeros(),
                Vec3::new(0.3, 1.0, 0.0),
                Vec3::new(-d, 0.0, 0.0),
            ],
        };
        for engine in double() {
            let mut potential = engine.make(&model, &at(1.0).species, Precision::F64);
            let apart = at(cutoff + 1.0).evaluate(potential.as_mut());
            let near = at(cutoff - INSIDE).evaluate(potential.as_mut());
            let far = at(0.8 * cutoff).evaluate(potential.as_mut());
            assert_eq!(apart.forces[2], Vec3::zeros());
            // The cutoff function is (pi x / 2 r_c)^2 there, x from the cutoff: the energy goes like
            // x^2, the force like x, with factors of the size of the force at 0.8 r_c.
            let scale = far.forces[2].amax();
            assert!(scale > 1e-3, "the atom is not felt");
            assert!((near.energy - apart.energy).abs() < 100.0 * scale * INSIDE * INSIDE);
            assert!(near.forces[2].amax() < 100.0 * scale * INSIDE);
            assert!(near.forces[2].amax() > 0.0);
            assert!(farthest(&near.forces, &apart.forces) < 100.0 * scale * INSIDE);
        }
    }
}

#[test]
fn atoms_without_neighbours() {
    let model = random_model(8, 2, RadialBasis::gaussian(5, 3.0), 3.0, 31);
    let alone = |z: u8| Atoms {
        species: vec![z],
        cell: Cell::open(),
        positions: vec![Vec3::new(1.0, -2.0, 0.5)],
    };
    let apart = Atoms {
        species: vec![1, 8, 6],
        cell: Cell::open(),
        positions: (0..3)
            .map(|k| Vec3::new(10.0 * f64::from(k), 0.0, 0.0))
            .collect(),
    };
    for engine in engines() {
        for &precision in engine.precisions {
            let energy = |z| {
                let mut potential = engine.make(&model, &[z], precision);
                let out = alone(z).evaluate(potential.as_mut());
                assert_eq!(
                    (out.forces, out.strain_derivative),
                    (vec![Vec3::zeros()], Mat3::zeros())
                );
                out.energy
            };
            let sum = energy(1) + energy(8) + energy(6);
            let mut potential = engine.make(&model, &apart.species, precision);
            let out = apart.evaluate(potential.as_mut());
            let rounding = if precision == Precision::F64 {
                1e-12
            } else {
                1e-5
            };
            assert!((out.energy - sum).abs() < rounding, "{} {sum}", out.energy);
            assert_eq!(out.forces, [Vec3::zeros(); 3]);
        }
    }
}

#[test]
fn the_same_pairs_give_the_same_bits_on_any_number_of_threads() {
    let model = shipped();
    let atoms = Atoms::shipped("water64.xyz");
    let pairs = brute::pairs(&atoms.cell, &atoms.positions, 5.0);
    for engine in engines() {
        for &precision in engine.precisions {
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                pool.build().unwrap().install(|| {
                    let mut potential = engine.make(&model, &atoms.species, precision);
                    let mut out = Evaluation::zeros(3);
                    potential.evaluate(&pairs, &mut out).unwrap();
                    let first = out.clone();
                    potential.evaluate(&pairs, &mut out).unwrap();
                    assert_eq!(out, first, "{}", engine.name);
                    out
                })
            };
            assert_eq!(run(1), run(3), "{}", engine.name);
        }
    }
}

#[test]
fn overlapping_atoms_give_no_finite_number_and_no_panic() {
    let model = random_model(8, 2, RadialBasis::gaussian(5, 3.0), 3.0, 31);
    let pairs = Pairs {
        rows: vec![0, 1, 2],
        receivers: vec![0, 1],
        neighbors: vec![1, 0],
        reverse: vec![1, 0],
        vectors: vec![Vec3::zeros(); 2],
        distances: vec![0.0; 2],
    };
    for engine in engines() {
        for &precision in engine.precisions {
            let mut potential = engine.make(&model, &[1, 1], precision);
            let mut out = Evaluation::zeros(2);
            potential.evaluate(&pairs, &mut out).unwrap();
            assert!(!out.forces[0][0].is_finite(), "{}", engine.name);
        }
    }
}

#[test]
fn a_readout_of_any_depth() {
    let spec = Spec::new(10, 2, RadialBasis::gaussian(6, 4.0), 4.0, &[1, 6, 7, 8]);
    let atoms = Atoms::crowded(6, [true; 3], 41);
    for hidden in [&[][..], &[7], &[9, 4, 6]] {
        let weights = Weights::random_with_readout(&spec, hidden, 5);
        let mut check = reference::by_autodiff(&spec, &weights, &atoms.species).unwrap();
        let expected = atoms.evaluate(check.as_mut());
        for engine in double() {
            let model = (spec.clone(), weights.clone());
            let mut potential = engine.make(&model, &atoms.species, Precision::F64);
            let out = atoms.evaluate(potential.as_mut());
            assert!((out.energy - expected.energy).abs() < INVARIANT);
            assert!(farthest(&out.forces, &expected.forces) < INVARIANT);
        }
    }
}
