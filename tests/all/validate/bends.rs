//! Energies that bend within a step: found where a network's norm of a vector vanishes by symmetry, and nowhere else.

use mdrun::core::observe::Thermometer;
use mdrun::core::{Cell, System, Vec3};
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::{Potential, Precision};
use mdrun::units::PICOSECOND;
use mdrun::validate::{Judgement, PairSearch, Setup, Validated};

use super::{Faulty, SHORT, keys, line, setup, validated};
use crate::physics::subjects::{FS, KB, Subject, argon_potential, host};
use crate::support::models;

/// Length of a bond of CO2 (angstrom).
const BOND: f64 = 1.16;
/// What SchNetPack adds under the root, and what it would take to bend energies over 0.01 A.
const SHIPPED: f64 = 1e-8;
const SOFT: f64 = 1e-4;

/// The shipped model in f64 with another number under its roots.
fn model(epsilon: f64, system: &System) -> Box<dyn Potential> {
    let (mut spec, weights) = models::shipped();
    spec.epsilon.fill(epsilon);
    let fused = FusedPainn::new(&spec, &weights, &system.species, Precision::F64, 1);
    Box::new(fused.unwrap())
}

/// CO2 on a line.
fn carbon_dioxide() -> Subject {
    Subject {
        system: System {
            species: vec![8, 6, 8],
            masses: vec![15.999, 12.011, 15.999],
        },
        cell: Cell::open(),
        positions: [-BOND, 0.0, BOND].map(|z| Vec3::new(0.0, 0.0, z)).to_vec(),
        timestep: 0.5 * FS,
        kt: 300.0 * KB,
        build: host(argon_potential),
    }
}

/// The stiffness (eV / square angstrom) of the bend where the middle atom is so far off the line (angstrom).
fn stiffness(epsilon: f64, off: f64) -> f64 {
    let Subject {
        system,
        mut positions,
        ..
    } = carbon_dioxide();
    positions[1].x += off;
    let mut field = HostForceField::new(model(epsilon, &system), 0.0);
    -field.at(&Cell::open(), &positions).unwrap().forces[1].x / off
}

fn found(epsilon: f64) -> Validated {
    let subject = carbon_dioxide();
    let make = move |system: &System, _: PairSearch| model(epsilon, system);
    let workshop = Faulty {
        exact: Box::new(make),
        rounded: Box::new(make),
        thermometer: Thermometer::of_all(4),
        ..Faulty::sound(&subject)
    };
    let mut depth = SHORT;
    depth.constant_energy = 0.3 * PICOSECOND;
    let whole = setup(&subject, &workshop, subject.timestep);
    validated(&Setup { depth, ..whole })
}

/// The cause of what the next test finds: how stiff the bend is goes as one over the root of what is under the norms' roots,
/// and ends where atoms are farther off than that.
#[test]
fn a_linear_molecule_is_stiff_where_vectors_vanish() {
    let ratio = stiffness(SHIPPED, 1e-6) / stiffness(100.0 * SHIPPED, 1e-6);
    // The rest is the stiffness without roots, a hundredth of the whole.
    assert!((ratio / 10.0 - 1.0).abs() < 0.1, "{ratio}");
    assert!(stiffness(SHIPPED, 1e-6) > 50.0 * stiffness(SHIPPED, 0.1));
    assert!(stiffness(SOFT, 1e-6) < 3.0 * stiffness(SOFT, 0.1));
}

#[test]
fn a_linear_molecule_bends_within_a_step() {
    let bent = found(SHIPPED);
    assert!(keys(&bent, Judgement::Fail).contains(&"bends"));
    let told = line(&bent, "bends");
    assert!(told.found.contains("bends within the step"), "{told:?}");
    assert!(told.reason.contains("linear molecules"));
    if line(&bent, "order").judgement == Judgement::Fail {
        assert!(
            line(&bent, "order")
                .found
                .contains("forces bend within a step")
        );
    }
    // Nothing else is wrong with the molecule, the step or the test.
    let smooth = found(SOFT);
    assert_eq!(keys(&smooth, Judgement::Fail), [""; 0]);
    assert_eq!(line(&smooth, "bends").judgement, Judgement::Pass);
    assert!(line(&smooth, "order").value.unwrap() < 0.1);
}
