//! Committees: their mean, how far they are apart, and what runs make of that.

mod runs;

use mdrun::core::Vec3;
use mdrun::potential::committee::Committee;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::{RadialBasis, Spec, Weights};
use mdrun::potential::schnet::{FusedSchnet, Schnet};
use mdrun::potential::{Evaluation, Potential, Precision};

use crate::support::atoms::{Atoms, farthest};
use crate::support::models::random_model;
use crate::support::{brute, naive};

/// Range of the models (angstrom).
const CUTOFF: f64 = 4.0;
/// The fused engine's own approximation, in f64, of forces of models of random numbers (eV, eV / angstrom).
const FUSED: f64 = 1e-8;

/// Models of random numbers, of different sizes.
pub fn models() -> [(Spec, Weights); 3] {
    [(16, 2, 51), (24, 1, 52), (16, 3, 53)].map(|(features, layers, seed)| {
        let basis = RadialBasis::gaussian(9, CUTOFF);
        random_model(features, layers, basis, CUTOFF, seed)
    })
}

fn fused(model: &(Spec, Weights), species: &[u8]) -> Box<dyn Potential> {
    let potential = FusedPainn::new(&model.0, &model.1, species, Precision::F64, 2);
    Box::new(potential.unwrap())
}

/// The mean and the two standard deviations, written out here once more.
fn expected(members: &[Evaluation]) -> (Evaluation, [f64; 2]) {
    let (count, atoms) = (members.len() as f64, members[0].forces.len());
    let mut mean = Evaluation::zeros(atoms);
    for member in members {
        mean.energy += member.energy / count;
        mean.strain_derivative += member.strain_derivative / count;
        for (sum, force) in mean.forces.iter_mut().zip(&member.forces) {
            *sum += force / count;
        }
    }
    let deviation = |squares: f64| (squares / (count - 1.0)).sqrt();
    let of_atom = |i: usize| {
        let apart = members.iter().map(|m| m.forces[i] - mean.forces[i]);
        deviation(
            apart
                .flat_map(|d: Vec3| [d.x, d.y, d.z])
                .map(|x| x * x)
                .sum(),
        )
    };
    let force = (0..atoms).map(of_atom).fold(0.0, f64::max);
    let energy = deviation(
        members
            .iter()
            .map(|m| (m.energy - mean.energy).powi(2))
            .sum(),
    );
    (mean, [force, energy / atoms as f64])
}

/// Against the equations of PaiNN written out, in the open and in a cell smaller than the range.
#[test]
fn the_mean_and_the_spread_are_those_of_the_members() {
    let models = models();
    for (count, periodic) in [(7, [false; 3]), (6, [true; 3])] {
        let atoms = Atoms::crowded(count, periodic, 61);
        let pairs = brute::pairs(&atoms.cell, &atoms.positions, CUTOFF);
        let members: Vec<Evaluation> = (models.iter())
            .map(|(spec, weights)| naive::evaluate(spec, weights, &atoms.species, &pairs))
            .collect();
        let (mean, [force, energy]) = expected(&members);
        let potentials = models.iter().map(|model| fused(model, &atoms.species));
        let mut committee = Committee::new(potentials.collect()).unwrap();
        let found = atoms.evaluate(&mut committee);
        let scale = mean.forces.iter().map(|f| f.amax()).fold(1.0, f64::max);
        assert!((found.energy - mean.energy).abs() < FUSED * scale);
        assert!(farthest(&found.forces, &mean.forces) < FUSED * scale);
        let strain = found.strain_derivative - mean.strain_derivative;
        assert!(strain.amax() < FUSED * scale * CUTOFF * pairs.len() as f64);
        let spread = found.spread.unwrap();
        println!("spread {spread:?}, largest force {scale}");
        assert!(force > 0.01 && energy > 1e-4, "the members differ");
        assert!((spread.force - force).abs() < FUSED * scale);
        assert!((spread.energy - energy).abs() < FUSED * scale);
    }
}

/// A committee evaluates its members one by one: a potential that is none leaves no spread behind.
#[test]
fn a_single_potential_has_no_spread() {
    let model = &models()[0];
    let atoms = Atoms::crowded(5, [true; 3], 62);
    assert_eq!(
        atoms.evaluate(&mut *fused(model, &atoms.species)).spread,
        None
    );
}

/// Networks of different kinds are one committee where their range is the same.
#[test]
fn architectures_may_be_mixed() {
    let atoms = Atoms::crowded(6, [true; 3], 63);
    let schnet = || {
        let model = Schnet::random(12, 2, RadialBasis::gaussian(8, 5.0), &[6], 5);
        let potential = FusedSchnet::new(&model, &atoms.species, Precision::F64, 1);
        Box::new(potential.unwrap()) as Box<dyn Potential>
    };
    let range = schnet().cutoff();
    assert_ne!(range, CUTOFF);
    let painn = random_model(16, 2, RadialBasis::gaussian(9, range), range, 54);
    let both = || vec![fused(&painn, &atoms.species), schnet()];
    let alone: Vec<Evaluation> = (both().iter_mut())
        .map(|member| atoms.evaluate(&mut **member))
        .collect();
    let found = atoms.evaluate(&mut Committee::new(both()).unwrap());
    assert_eq!(found.energy, (alone[0].energy + alone[1].energy) / 2.0);
    // Of two, the standard deviation is the difference over the square root of two.
    let apart = (alone[0].energy - alone[1].energy).abs() / 2.0_f64.sqrt();
    let energy = found.spread.unwrap().energy * atoms.species.len() as f64;
    assert!((energy - apart).abs() < FUSED * apart.max(1.0));
    let mixed = vec![fused(&models()[0], &atoms.species), schnet()];
    assert!(Committee::new(mixed).is_err(), "ranges differ");
}
