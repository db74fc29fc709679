//! A term of pairs beside a network: the sum of both, on the host and on a card.

use std::sync::Arc;

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::forcefield::{ForceField as _, HostForceField};
use mdrun::neighbors::Pairs;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::{RadialBasis, Spec, Weights};
use mdrun::potential::pair::{Beside, PairEnergy, PowerLaw};
use mdrun::potential::{Evaluation, Potential, Precision};

use crate::support::atoms::{Atoms, Random, derivative, farthest};
use crate::support::models::calm_model;
use crate::support::naive;

fn model() -> (Spec, Weights) {
    calm_model(16, 2, RadialBasis::bessel(8, 5.0))
}

/// Strong enough to be seen beside the network.
pub fn law() -> PowerLaw {
    PowerLaw::new(0.5, 1.6, 12).unwrap()
}

fn both(atoms: &Atoms) -> Box<dyn Potential> {
    let (spec, weights) = model();
    let network = FusedPainn::new(&spec, &weights, &atoms.species, Precision::F64, 2).unwrap();
    Box::new(Beside::new(
        Box::new(network),
        Arc::new(law()),
        &atoms.species,
    ))
}

/// A small skewed cell, so that atoms meet several images of others, and of themselves.
fn crowd() -> Atoms {
    let vectors = Mat3::new(7.0, 0.0, 0.0, 1.5, 6.5, 0.0, -1.0, 0.8, 7.5);
    Atoms::random(
        24,
        Cell::new(vectors, [true; 3]).unwrap(),
        &mut Random::new(8),
    )
}

/// The sum over ordered pairs of half of energy, force and strain derivative, written out.
fn by_hand(atoms: &Atoms, pairs: &Pairs) -> Evaluation {
    let mut out = Evaluation::zeros(atoms.species.len());
    for p in 0..pairs.len() {
        let (i, j) = (pairs.receivers[p] as usize, pairs.neighbors[p] as usize);
        let d = pairs.distances[p];
        let energy = 0.5 * (1.6f64 / d).powi(12);
        let slope = -12.0 * energy / d;
        let pull: Vec3 = pairs.vectors[p] * (slope / d);
        out.energy += 0.5 * energy;
        out.forces[i] += 0.5 * pull;
        out.forces[j] -= 0.5 * pull;
        out.strain_derivative += 0.5 * pairs.vectors[p] * pull.transpose();
    }
    out
}

#[test]
fn the_sum_of_both_is_that_of_the_equations() {
    let atoms = crowd();
    let pairs = Pairs::within(&atoms.cell, &atoms.positions, 5.0).unwrap();
    let (spec, weights) = model();
    let network = naive::evaluate(&spec, &weights, &atoms.species, &pairs);
    let term = by_hand(&atoms, &pairs);
    let mut out = Evaluation::zeros(0);
    let mut potential = both(&atoms);
    potential.evaluate(&pairs, &mut out).unwrap();
    // Rounding of some hundred numbers of this size.
    let scale = 1e-12 * (network.energy.abs() + term.energy);
    assert!((out.energy - network.energy - term.energy).abs() < scale);
    let forces: Vec<Vec3> = network
        .forces
        .iter()
        .zip(&term.forces)
        .map(|(a, b)| a + b)
        .collect();
    let largest = forces.iter().map(|f| f.amax()).fold(0.0, f64::max);
    assert!(farthest(&out.forces, &forces) < 1e-11 * largest);
    let strain = network.strain_derivative + term.strain_derivative;
    assert!((out.strain_derivative - strain).amax() < 1e-11 * strain.amax());
    assert_ne!(term.energy, 0.0);
    let words = potential.about().to_string();
    assert!(
        words.contains("PaiNN, 2 layers of 16 and 0.5 eV (1.6 A / r)^12"),
        "{words}"
    );
}

#[test]
fn its_forces_are_slopes_and_its_bits_do_not_depend_on_threads() {
    let atoms = crowd();
    let pairs = Pairs::within(&atoms.cell, &atoms.positions, 5.0).unwrap();
    let mut potential = both(&atoms);
    let mut out = Evaluation::zeros(0);
    potential.evaluate(&pairs, &mut out).unwrap();
    let [mut first, mut second] = [0, 1].map(|_| Evaluation::zeros(0));
    potential.evaluate(&pairs, &mut first).unwrap();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    pool.install(|| both(&atoms).evaluate(&pairs, &mut second))
        .unwrap();
    assert_eq!(first, out);
    assert_eq!(second, out);
    for atom in [0, 7, 23] {
        for axis in 0..3 {
            let slope = derivative(1e-4, |h| {
                let mut moved = atoms.clone();
                moved.positions[atom][axis] += h;
                moved.energy(potential.as_mut())
            });
            let force = -out.forces[atom][axis];
            // Of a difference of this step, with energies of some hundred eV.
            assert!(
                (slope - force).abs() < 1e-6 * (1.0 + force.abs()),
                "{slope} {force}"
            );
        }
    }
}

/// Evaluated through a force field, which finds the pairs.
#[test]
fn a_force_field_takes_it() {
    let atoms = crowd();
    let mut field = HostForceField::exhaustive(both(&atoms));
    let found = field.at(&atoms.cell, &atoms.positions).unwrap().clone();
    let pairs = Pairs::within(&atoms.cell, &atoms.positions, 5.0).unwrap();
    let mut out = Evaluation::zeros(0);
    both(&atoms).evaluate(&pairs, &mut out).unwrap();
    assert!((found.energy - out.energy).abs() < 1e-12 * out.energy.abs());
}

/// The card's gradients of pairs are f32, as the network's are.
#[cfg(feature = "cuda")]
#[test]
fn the_card_gives_the_same() {
    use mdrun::engine::cuda::DeviceForceField;
    use mdrun::potential::painn::cuda::CudaPainn;
    use mdrun::potential::pair::CudaBeside;

    if !crate::cuda::gpu() {
        return;
    }
    let atoms = crowd();
    let (spec, weights) = model();
    let evaluate = |term: Option<PowerLaw>| {
        let network = Box::new(CudaPainn::new(&spec, &weights));
        let term = term.map(|law| Arc::new(law) as Arc<dyn PairEnergy>);
        let mut field = match term {
            None => DeviceForceField::new(network, &atoms.species, 0).unwrap(),
            Some(term) => {
                DeviceForceField::new(Box::new(CudaBeside::new(network, term)), &atoms.species, 0)
                    .unwrap()
            }
        };
        field.at(&atoms.cell, &atoms.positions).unwrap().clone()
    };
    let (with, without) = (evaluate(Some(law())), evaluate(None));
    let pairs = Pairs::within(&atoms.cell, &atoms.positions, 5.0).unwrap();
    let term = by_hand(&atoms, &pairs);
    let largest = pairs
        .distances
        .iter()
        .map(|d| 6.0 / d * (1.6 / d).powi(12))
        .fold(0.0, f64::max);
    // Energies of the term are f64; its gradients are rounded to f32 where they are added to the network's.
    assert!((with.energy - without.energy - term.energy).abs() < 1e-9 * term.energy);
    let forces: Vec<Vec3> = without
        .forces
        .iter()
        .zip(&term.forces)
        .map(|(a, b)| a + b)
        .collect();
    let error = farthest(&with.forces, &forces);
    println!("forces differ by {error:.1e} eV/A; the largest of a pair is {largest:.1e}");
    assert!(error < 1e-6 * largest + 1e-5);
}
