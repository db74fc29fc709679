//! Networks of every shape that is claimed: their kernels compile, and on a card they say what the host says.

use std::collections::BTreeSet;

use mdrun::cuda::Card;
use mdrun::engine::cuda::DeviceForceField;
use mdrun::forcefield::{ForceField as _, HostForceField};
use mdrun::potential::Precision;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::cuda::{CardNumbers, Choice, CudaPainn, Shape};

use super::compile::compiles;
use super::{gpu, random_scene};
use crate::support::atoms::farthest;
use crate::support::shapes::SHAPES;

/// Cards whose kernels are compiled.
const CARDS: [Card; 3] = [
    Card {
        capability: 80,
        processors: 108,
        shared: 166_912,
    },
    Card {
        capability: 90,
        processors: 132,
        shared: 232_448,
    },
    Card {
        capability: 100,
        processors: 148,
        shared: 232_448,
    },
];
/// Few, some and many atoms: other kernels are chosen.
const ATOMS: [usize; 3] = [9, 1_000, 30_000];

/// All numbers that a card computes in.
const NUMBERS: [CardNumbers; 5] = [
    CardNumbers::Single,
    CardNumbers::OnePart,
    CardNumbers::Bfloat,
    CardNumbers::Half,
    CardNumbers::Eight,
];

/// Every card with f32; for one shape of three, which is minutes less, one card with all other numbers.
fn cases(shape: usize) -> impl Iterator<Item = (Card, usize, CardNumbers)> {
    let cards = CARDS.into_iter().enumerate().flat_map(move |(k, card)| {
        let all = match k == 1 && shape.is_multiple_of(3) {
            true => &NUMBERS[..],
            false => &NUMBERS[..1],
        };
        all.iter().map(move |&numbers| (card, numbers))
    });
    cards.flat_map(|(card, numbers)| ATOMS.map(|atoms| (card, atoms, numbers)))
}

/// Those that are chosen for any card, number of atoms and numbers. Compiling them shows that registers and shared memory last.
#[test]
fn kernels_of_every_shape_compile() {
    let mut compiled = 0;
    for (k, shape) in SHAPES.iter().enumerate() {
        let (spec, weights) = shape.model();
        let mut seen = BTreeSet::new();
        for (card, atoms, numbers) in cases(k) {
            let choice = Choice::for_card(card, &spec, &weights, atoms, numbers);
            let kernels = Shape::new(&spec, &weights, choice, false);
            if !seen.insert(format!("{kernels:?}")) {
                continue;
            }
            if !compiles(&kernels, card.capability) {
                return;
            }
            compiled += 1;
        }
        println!("{}: {} choices", shape.name(), seen.len());
    }
    assert!(compiled >= 3 * SHAPES.len(), "{compiled}");
}

/// Energies and forces of a few atoms in a cell smaller than the range, by each kind of kernels that a shape allows.
#[test]
fn the_card_says_the_same_of_every_shape() {
    /// f32 rounding (6e-8) through some thousand operations in a row, in units of the largest force.
    const SINGLE: f64 = 1e-4;
    if !gpu() {
        return;
    }
    for shape in SHAPES {
        let (spec, weights) = shape.model();
        let vectors = mdrun::core::Mat3::new(6.1, 0.0, 0.0, 0.7, 6.4, 0.0, -0.5, 0.6, 6.8);
        let scene = random_scene(20, vectors, [true; 3], 3);
        let species = &scene.system.species;
        let exact = FusedPainn::new(&spec, &weights, species, Precision::F64, 2).unwrap();
        let mut exact = HostForceField::exhaustive(Box::new(exact));
        let exact = exact.at(&scene.cell, &scene.positions).unwrap();
        let size = exact.forces.iter().map(|f| f.amax()).fold(0.0, f64::max);
        for choice in scene.choices(&spec, &weights) {
            let potential = CudaPainn::new(&spec, &weights).with(choice);
            let mut card = DeviceForceField::new(Box::new(potential), species, 0).unwrap();
            let found = card.at(&scene.cell, &scene.positions).unwrap();
            let worst = farthest(&found.forces, &exact.forces) / size;
            let energy = (found.energy - exact.energy).abs() / exact.energy.abs().max(1.0);
            println!("{}, {choice:?}: {worst:.1e}, {energy:.1e}", shape.name());
            assert!(
                worst < SINGLE && energy < SINGLE,
                "{}, {choice:?}",
                shape.name()
            );
        }
    }
}
