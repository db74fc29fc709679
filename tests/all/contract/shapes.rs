//! Networks of every shape that is claimed, in both implementations on the host.

use mdrun::core::{Cell, Mat3};
use mdrun::diagnose::slope;
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::reference::{self, BurnDevice};
use mdrun::potential::painn::{Spec, Weights, export, import};
use mdrun::potential::{Potential, Precision};

use super::{SKIN, Subject, keeps_the_contract};
use crate::support::atoms::{Atoms, Random, farthest};
use crate::support::shapes::SHAPES;

/// A molecule, and a few atoms in a skewed cell smaller than the range.
fn scenes() -> Vec<Atoms> {
    let vectors = Mat3::new(4.1, 0.0, 0.0, 0.7, 4.4, 0.0, -0.5, 0.6, 4.8);
    let cell = Cell::new(vectors, [true; 3]).unwrap();
    vec![
        Atoms::shipped("ethanol.xyz").shaken(0.05, 1),
        Atoms::random(4, cell, &mut Random::new(8)),
    ]
}

type Network = fn(&Spec, &Weights, &[u8]) -> Box<dyn Potential>;

const FUSED: Network = |spec, weights, species| {
    Box::new(FusedPainn::new(spec, weights, species, Precision::F64, 1).unwrap())
};
const REFERENCE: Network = |spec, weights, species| {
    reference::potential(spec, weights, species, Precision::F64, BurnDevice::Cpu).unwrap()
};

/// The model with energies in a unit in which the largest force of the scenes is 1 eV/A: tolerances are of such forces.
fn gauged(mut spec: Spec, weights: &Weights) -> Spec {
    let largest = |atoms: Atoms| {
        let network = FUSED(&spec, weights, &atoms.species);
        let mut field = HostForceField::exhaustive(network);
        let found = field.at(&atoms.cell, &atoms.positions).unwrap();
        found.forces.iter().map(|f| f.amax()).fold(0.0, f64::max)
    };
    let largest = scenes().into_iter().map(largest).fold(0.0, f64::max);
    assert!(largest.is_finite() && largest > 0.0, "{largest}");
    spec.energy_scale = 1.0 / largest;
    spec
}

fn every_shape_keeps_the_contract(network: Network, what: &str) {
    /// Rounding of sums that partly cancel, in units of the largest force.
    const DOUBLE: f64 = 1e-10;
    for shape in SHAPES {
        let (spec, weights) = shape.model();
        let spec = gauged(spec, &weights);
        let make = |species: &[u8]| -> Box<dyn ForceField> {
            let network = network(&spec, &weights, species);
            Box::new(HostForceField::new(network, SKIN))
        };
        keeps_the_contract(&Subject {
            make: Box::new(make),
            name: format!("{what}, {}", shape.name()),
            scenes: scenes(),
            same: [DOUBLE; 2],
            slopes: Some(slope::TOLERANCE),
            flawed: false,
        });
    }
}

#[test]
fn every_shape_keeps_the_contract_fused() {
    every_shape_keeps_the_contract(FUSED, "fused");
}

#[test]
fn every_shape_keeps_the_contract_in_the_reference() {
    every_shape_keeps_the_contract(REFERENCE, "reference");
}

/// Both implementations say the same of every shape, in f64 and, as far as it goes, in f32; and so do models that were written to
/// a file and read.
#[test]
fn every_shape_is_the_same_in_both_and_from_a_file() {
    /// Splines leave 1e-11 of a filter and of its slope.
    const DOUBLE: f64 = 1e-9;
    /// f32 rounding (6e-8) through some thousand operations in a row.
    const SINGLE: f64 = 5e-5;
    for shape in SHAPES {
        let (spec, weights) = shape.model();
        let spec = gauged(spec, &weights);
        let (read, same) = import(&export(&spec, &weights).unwrap(), "a file").unwrap();
        assert_eq!((&read, &same), (&spec, &weights), "{}", shape.name());
        for atoms in scenes() {
            let evaluate = |network: Box<dyn Potential>| {
                let mut field = HostForceField::exhaustive(network);
                field.at(&atoms.cell, &atoms.positions).unwrap()
            };
            let species = &atoms.species;
            let fused = evaluate(FUSED(&spec, &weights, species));
            let reference = evaluate(REFERENCE(&spec, &weights, species));
            let single = FusedPainn::new(&spec, &weights, species, Precision::F32, 2).unwrap();
            let single = evaluate(Box::new(single));
            let [double, rounded] =
                [&reference, &single].map(|e| farthest(&e.forces, &fused.forces));
            println!("{}: {double:.1e}, f32 {rounded:.1e} of 1", shape.name());
            assert!(
                double < DOUBLE && rounded < SINGLE,
                "{}: {double} {rounded}",
                shape.name()
            );
            let size = fused.energy.abs().max(1.0);
            assert!(
                (reference.energy - fused.energy).abs() < DOUBLE * size,
                "{}",
                shape.name()
            );
            assert!(
                (single.energy - fused.energy).abs() < SINGLE * size,
                "{}",
                shape.name()
            );
        }
    }
}
