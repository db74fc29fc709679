//! Temperatures of molecules that constraints hold.

use mdrun::core::observe::Thermometer;
use mdrun::core::{Vec3, observe};
use mdrun::dynamics::{Csvr, Ensemble as _, Program, baoab};

use super::{Held, TIP3P, TOLERANCE, WATER_MASSES, assert_kept, state, water};
use crate::physics::bodies::{SIGMAS, run};
use crate::physics::doubles::Free;
use crate::physics::statistics::deviation;
use crate::physics::subjects::{FS, KB};
use crate::support::atoms::Random;
use mdrun::core::{Cell, Mat3, Snapshot, System};
use mdrun::dynamics::Constraints;

const KT: f64 = 300.0 * KB;

/// Molecules of rigid water that do not see each other.
fn waters(count: usize) -> Held {
    let mut random = Random::new(8);
    let positions: Vec<Vec3> = (0..count)
        .flat_map(|_| water(&TIP3P, &mut random))
        .collect();
    Held {
        system: System {
            species: [8, 1, 1].repeat(count),
            masses: WATER_MASSES.repeat(count),
        },
        cell: Cell::new(Mat3::identity() * 20.0, [true; 3]).unwrap(),
        positions,
        constraints: Constraints {
            waters: (0..count).map(|k| [3 * k, 3 * k + 1, 3 * k + 2]).collect(),
            shape: TIP3P,
            tolerance: TOLERANCE,
            ..Constraints::default()
        },
    }
}

/// Kinetic energies of the flights of molecules, and of all else.
fn parts(held: &Held, molecules: &[Vec<usize>], state: &Snapshot) -> [f64; 2] {
    let flight = |atoms: &Vec<usize>| {
        let mass: f64 = atoms.iter().map(|&i| held.system.masses[i]).sum();
        let momentum: Vec3 = atoms
            .iter()
            .map(|&i| held.system.masses[i] * state.velocities[i])
            .sum();
        0.5 * momentum.norm_squared() / mass
    };
    let flights = molecules.iter().map(flight).sum();
    [flights, state.observables.kinetic - flights]
}

/// Atoms that hang together.
fn molecules(held: &Held) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    for pair in held.constraints.pairs() {
        match found
            .iter_mut()
            .find(|atoms| pair.atoms.iter().any(|i| atoms.contains(i)))
        {
            Some(atoms) => atoms.extend(pair.atoms),
            None => found.push(pair.atoms.to_vec()),
        }
    }
    for atoms in &mut found {
        atoms.sort_unstable();
        atoms.dedup();
    }
    found
}

/// Noise keeps every degree of freedom that is left at kT / 2: the flights, and turns and what bends together.
fn equipartition(name: &str, held: &Held) {
    const SAMPLES: u64 = 1500;
    const APART: u64 = 10;
    let molecules = molecules(held);
    let mut engine = held.engine(held.start(held.velocities(KT, 1)), Free);
    // exp(-friction t) between samples is exp(-4): they do not know of each other.
    let program = baoab(2.0 * FS, KT, 4.0 / (2.0 * FS * APART as f64));
    let mut energies = [Vec::new(), Vec::new()];
    for k in 0..SAMPLES {
        run(&mut engine, &program, k * APART..(k + 1) * APART);
        let now = state(&mut engine);
        for (all, one) in energies.iter_mut().zip(parts(held, &molecules, &now)) {
            all.push(one);
        }
    }
    let end = state(&mut engine);
    assert_kept(&held.constraints, &end);
    let freedom = 3 * held.system.len() - held.constraints.count();
    let flights = 3 * molecules.len();
    let wanted = [flights, freedom - flights].map(|f| 0.5 * f as f64 * KT);
    let off = [0, 1].map(|k| deviation(&energies[k], wanted[k]));
    println!("{name}: {off:.2?} standard errors off");
    assert!(off.iter().all(|x| x.abs() < SIGMAS), "{off:?}");
}

#[test]
fn noise_gives_bonds_and_chains_their_temperature() {
    equipartition("dimers, triangles, chains", &Held::gas(30.0));
}

#[test]
fn noise_gives_rigid_water_its_temperature() {
    equipartition("rigid water", &waters(10));
}

/// Without forces, drifts keep the kinetic energy of rigid molecules to rounding: what changes it is noise, all of which is heat
/// but for what the projection takes.
#[test]
fn heat_is_what_noise_puts_in() {
    let water = waters(10);
    let mut engine = water.engine(water.start(water.velocities(KT, 1)), Free);
    let first = state(&mut engine).observables;
    run(&mut engine, &baoab(2.0 * FS, KT, 0.02), 0..400);
    let last = state(&mut engine).observables;
    let off = (last.conserved() - first.conserved()).abs();
    let heat = last.kept.heat;
    println!("{heat:+.4} eV of heat; {off:.1e} eV off");
    assert!(heat.abs() > 1e-3 && off < 1e-9);
}

/// Scaling sees the degrees of freedom that are left, and disturbs no constraint.
#[test]
fn scaling_gives_the_temperature() {
    const SAMPLES: u64 = 1500;
    let gas = Held::gas(30.0);
    let freedom = 3 * gas.system.len() - gas.constraints.count() - 3;
    let csvr = Csvr {
        kt: KT,
        relaxation: 5.0 * FS,
        seed: 5,
    };
    let program: Program = csvr.program(2.0 * FS, &Thermometer::of_all(freedom));
    let mut engine = gas.engine(gas.start(gas.velocities(KT, 1)), Free);
    let mut energies = Vec::new();
    for k in 0..SAMPLES {
        run(&mut engine, &program, k * 8..(k + 1) * 8);
        energies.push(state(&mut engine).observables.kinetic);
    }
    let end = state(&mut engine);
    assert_kept(&gas.constraints, &end);
    let off = deviation(&energies, 0.5 * freedom as f64 * KT);
    println!("{off:.2} standard errors off");
    assert!(off.abs() < SIGMAS);
    assert!(observe::momentum(&gas.system, &end.velocities).norm() < 1e-9);
}
