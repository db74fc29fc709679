//! The pressure of molecules that constraints hold: their forces are part of it.

use mdrun::core::{Cell, Mat3, Vec3, observe};
use mdrun::potential::Potential as _;

use super::{Held, held, state};
use crate::physics::doubles::Free;
use crate::physics::subjects::KB;
use crate::support::atoms::derivative;
use crate::support::brute;
use crate::support::calculators::lennard_jones;

/// So many times as large as those of [`Held::gas`] are molecules here.
const SIZE: f64 = 3.2;

/// Rigid molecules of a gas, and the atoms of each: dimers and triangles with bonds of 3 A, as argon may have.
fn rigid(edge: f64) -> (Held, Vec<Vec<usize>>) {
    let small = Held::gas(edge / SIZE);
    let gas = Held {
        cell: Cell::new(Mat3::identity() * edge, [true; 3]).unwrap(),
        positions: small.positions.iter().map(|r| r * SIZE).collect(),
        ..small
    };
    let (mut kept, mut molecules) = (Vec::new(), Vec::new());
    let mut first = 0;
    for k in 0..27 {
        let atoms = if k % 3 == 0 { 2 } else { 3 };
        if k % 3 < 2 {
            molecules.push((kept.len()..kept.len() + atoms).collect::<Vec<_>>());
            kept.extend(first..first + atoms);
        }
        first += atoms;
    }
    let mut system = gas.system.clone();
    system.species = kept.iter().map(|&i| gas.system.species[i]).collect();
    system.masses = kept.iter().map(|&i| gas.system.masses[i]).collect();
    let positions: Vec<Vec3> = kept.iter().map(|&i| gas.positions[i]).collect();
    let pairs: Vec<[usize; 2]> = (molecules.iter())
        .flat_map(|atoms| match *atoms.as_slice() {
            [a, b] => vec![[a, b]],
            [a, b, c] => vec![[a, b], [a, c], [b, c]],
            _ => unreachable!(),
        })
        .collect();
    let held = Held {
        constraints: held(&pairs, &positions),
        system,
        positions,
        ..gas
    };
    (held, molecules)
}

fn centre(held: &Held, atoms: &[usize], of: &[Vec3]) -> Vec3 {
    let mass: f64 = atoms.iter().map(|&i| held.system.masses[i]).sum();
    atoms
        .iter()
        .map(|&i| held.system.masses[i] * of[i])
        .sum::<Vec3>()
        / mass
}

/// Kinetic energy of the flights of molecules.
fn flights(held: &Held, molecules: &[Vec<usize>], velocities: &[Vec3]) -> f64 {
    let one = |atoms: &Vec<usize>| {
        let mass: f64 = atoms.iter().map(|&i| held.system.masses[i]).sum();
        0.5 * mass * centre(held, atoms, velocities).norm_squared()
    };
    molecules.iter().map(one).sum()
}

/// Rigid molecules that do not see each other press as so many points: turning presses on nothing, moment by moment. So
/// the mean pressure at a temperature is that of N molecules, N kT / V.
#[test]
fn a_gas_of_rigid_molecules_is_ideal() {
    let (gas, molecules) = rigid(40.0);
    let volume = gas.cell.volume().unwrap();
    for seed in 1..20 {
        let mut engine = gas.engine(gas.start(gas.velocities(300.0 * KB, seed)), Free);
        let now = state(&mut engine);
        let flights = flights(&gas, &molecules, &now.velocities);
        let exact = 2.0 * flights / (3.0 * volume);
        let pressure = observe::pressure(&now, &now.cell).unwrap();
        let atomic = 2.0 * now.observables.kinetic / (3.0 * volume);
        assert!(
            (pressure / exact - 1.0).abs() < 1e-9,
            "{pressure:e} {exact:e}"
        );
        // Without the forces of constraint it would be that of so many atoms.
        assert!(atomic > 1.3 * exact);
    }
}

/// With forces between molecules, what presses is how the energy changes where their centres move with the cell and they
/// stay as they are, found by differences.
#[test]
fn the_pressure_is_how_the_energy_changes_with_the_volume() {
    const EDGE: f64 = 22.0;
    let (gas, molecules) = rigid(EDGE);
    let volume = gas.cell.volume().unwrap();
    let mut engine = gas.engine(gas.start(gas.velocities(300.0 * KB, 4)), lennard_jones());
    let now = state(&mut engine);
    let energy = |strain: f64| {
        let cell = Cell::new(Mat3::identity() * (EDGE * (1.0 + strain)), [true; 3]).unwrap();
        let mut positions = gas.positions.clone();
        for atoms in &molecules {
            let shift = centre(&gas, atoms, &gas.positions) * strain;
            atoms.iter().for_each(|&i| positions[i] += shift);
        }
        let mut potential = lennard_jones();
        let pairs = brute::pairs(&cell, &positions, potential.cutoff());
        let mut out = mdrun::potential::Evaluation::zeros(0);
        potential.evaluate(&pairs, &mut out).unwrap();
        out.energy
    };
    let slope = derivative(1e-4, energy);
    let flights = flights(&gas, &molecules, &now.velocities);
    let exact = (2.0 * flights - slope) / (3.0 * volume);
    let pressure = observe::pressure(&now, &now.cell).unwrap();
    let off = (pressure / exact - 1.0).abs();
    println!("{pressure:.9e} eV/A^3, by differences {exact:.9e}: {off:.1e} apart");
    // Differences of the fourth order at 1e-4 of steep walls.
    assert!(off < 1e-7, "{off:e}");
}
