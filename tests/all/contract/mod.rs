//! What every force field must satisfy, whatever computes it and where: a new one is an entry of the list in
//! `tests/all/support/calculators.rs`.

mod shapes;
mod threads;

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::diagnose::slope;
use mdrun::forcefield::ForceField;

use crate::physics::subjects::CUTOFF;
use crate::support::atoms::{Atoms, Random, farthest};
use crate::support::brute;
use crate::support::calculators::{
    Calculator, Matter, Numbers, PAIR_ROUNDING, for_every_calculator, lennard_jones,
};

for_every_calculator!([Argon, Molecules, Tried]: every_force_field_keeps_the_contract);

/// Largest force between two atoms of [`argon_like`] (eV / angstrom).
const STRONGEST: f64 = 2.5;
/// What a flaw of a definition makes of an energy of some hundredths of an eV an atom, at the least (eV).
const SHOWN: f64 = 1e-5;
/// Skin (angstrom): what is evaluated is near to what was, and far from it.
const SKIN: f64 = 0.5;

/// Makes a force field for atoms of some species.
type Make<'c> = Box<dyn Fn(&[u8]) -> Box<dyn ForceField> + 'c>;

/// A force field, and how well its numbers are known.
struct Subject<'c> {
    make: Make<'c>,
    name: String,
    /// What it is tried on.
    scenes: Vec<Atoms>,
    /// Largest change of an energy (eV) and of a force (eV / angstrom) where there is to be none.
    same: [f64; 2],
    /// Largest difference of a force from the slope of the energy (eV / angstrom), where energies are smooth enough to tell.
    slopes: Option<f64>,
    /// Whether its definition has a preferred direction of space, and jumps where a pair comes into range.
    flawed: bool,
}

impl<'c> Subject<'c> {
    fn of(calculator: &'c Calculator) -> Self {
        /// Rounding of single terms in f64; that of their sums is added where they are compared.
        const DOUBLE: f64 = 1e-10;
        /// In f32 an atom's energy of some 0.1 eV in the network's numbers is rounded to 1e-8, for 200 atoms at random;
        /// forces are sums over pairs, good to the 2e-3 kcal/mol/A that parity allows.
        const SINGLE: f64 = 1e-4;
        /// Neighbours of an atom that pull it nearly as strongly as the nearest one, at most.
        const CLOSE: f64 = 4.0;
        /// On both sides of a comparison.
        const ROUNDED: f64 = 2.0 * CLOSE * PAIR_ROUNDING * STRONGEST;
        let (same, slopes) = match calculator.numbers {
            Numbers::Double => ([DOUBLE; 2], Some(slope::TOLERANCE)),
            Numbers::RoundedPairs => ([DOUBLE, ROUNDED], Some(ROUNDED)),
            Numbers::Single => ([SINGLE; 2], None),
        };
        Self {
            make: Box::new(|species| calculator.field(species, SKIN)),
            name: calculator.name.to_owned(),
            scenes: match calculator.matter {
                Matter::Argon => argon_like(),
                Matter::Molecules | Matter::Tried => molecular(),
            }
            .to_vec(),
            same,
            slopes,
            flawed: calculator.flawed,
        }
    }

    fn make(&self, species: &[u8]) -> Box<dyn ForceField> {
        (self.make)(species)
    }
}

/// A molecule, and a small periodic box, shaken so that nothing vanishes by symmetry.
fn molecular() -> [Atoms; 2] {
    [
        Atoms::shipped("ethanol.xyz").shaken(0.05, 1),
        Atoms::shipped("water64.xyz").shaken(0.02, 2),
    ]
}

/// The same spread threefold, since argon's diameter is three times a bond's length.
fn argon_like() -> [Atoms; 2] {
    /// That of a bond to argon's diameter.
    const SPREAD: f64 = 3.0;
    molecular().map(|atoms| atoms.strained(&(Mat3::identity() * (SPREAD - 1.0))))
}

fn every_force_field_keeps_the_contract(calculator: &Calculator) {
    keeps_the_contract(&Subject::of(calculator));
}

fn keeps_the_contract(subject: &Subject<'_>) {
    for atoms in &subject.scenes {
        println!("{}, {} atoms", subject.name, atoms.species.len());
        repeats(subject, atoms);
        shares_its_energy(subject, atoms);
        follows_motions(subject, atoms);
        knows_no_order(subject, atoms);
        is_extensive(subject, atoms);
        // Where an energy jumps as pairs come into range, a box with some at it has no slopes.
        let jumps = subject.flawed && atoms.cell.is_periodic();
        if let Some(tolerance) = subject.slopes.filter(|_| !jumps) {
            has_forces_that_are_slopes(subject, atoms, tolerance);
        }
    }
    is_smooth_at_its_range(subject);
}

/// No two atoms pull each other more strongly than the tolerances of f32 are derived for, and some nearly so.
#[test]
fn pairs_are_as_strong_as_tolerances_assume() {
    let potential = lennard_jones();
    let strongest = (argon_like().iter())
        .flat_map(|atoms| brute::pairs(&atoms.cell, &atoms.positions, CUTOFF).distances)
        .map(|distance| potential.pair(distance).1.abs())
        .fold(0.0, f64::max);
    println!("{strongest} eV/A");
    assert!((0.3 * STRONGEST..STRONGEST).contains(&strongest));
}

/// The same arrangement gives the same bits, whatever was evaluated before, in another cell too.
fn repeats(subject: &Subject<'_>, atoms: &Atoms) {
    let mut field = subject.make(&atoms.species);
    let first = field.at(&atoms.cell, &atoms.positions).unwrap();
    let strained = atoms.strained(&(Mat3::identity() * 0.01));
    let other = field.at(&strained.cell, &strained.positions).unwrap();
    assert_ne!(first.energy, other.energy, "{}", subject.name);
    let mut moved = atoms.positions.clone();
    moved[0] += Vec3::new(0.1, 0.0, 0.0);
    field.at(&atoms.cell, &moved).unwrap();
    let again = field.at(&atoms.cell, &atoms.positions).unwrap();
    assert_eq!(first, again, "{}", subject.name);
    let mut anew = subject.make(&strained.species);
    let alone = anew.at(&strained.cell, &strained.positions).unwrap();
    assert_eq!(other, alone, "{}: another cell", subject.name);
}

/// Energies of atoms, where they are told, are those of the arrangement evaluated last: they add up to its energy, and those of
/// a system do not change beside another one that is out of range.
fn shares_its_energy(subject: &Subject<'_>, atoms: &Atoms) {
    let mut field = subject.make(&atoms.species);
    let found = field.at(&atoms.cell, &atoms.positions).unwrap();
    let Some(energies) = field.atom_energies() else {
        return;
    };
    let count = atoms.species.len();
    let tolerance =
        subject.same[0] * count as f64 + f64::EPSILON * found.energy.abs() * count as f64;
    assert_eq!(energies.len(), count);
    let sum: f64 = energies.iter().sum();
    let off = (sum - found.energy).abs();
    assert!(off <= tolerance, "{}: off by {off:e} eV", subject.name);
    if atoms.cell.is_periodic() {
        return;
    }
    let away = Vec3::new(1000.0, 0.0, 0.0);
    let positions = [0.0, 1.0].map(|far| atoms.positions.iter().map(move |r| r + far * away));
    let positions: Vec<Vec3> = positions.into_iter().flatten().collect();
    let mut double = subject.make(&atoms.species.repeat(2));
    double.at(&atoms.cell, &positions).unwrap();
    let beside = double.atom_energies().unwrap();
    for (k, energy) in beside.iter().enumerate() {
        let off = (energy - energies[k % count]).abs();
        assert!(
            off <= tolerance,
            "{}: atom {k} is off by {off:e} eV",
            subject.name
        );
    }
}

/// Turned, mirrored and moved with all that is in it, a system has the same energy, and forces that go with it. One whose
/// definition has a preferred direction follows where it is moved alone, and its energy shows that direction.
fn follows_motions(subject: &Subject<'_>, atoms: &Atoms) {
    let mut field = subject.make(&atoms.species);
    let before = field.at(&atoms.cell, &atoms.positions).unwrap();
    let mut random = Random::new(5);
    for sign in [1.0_f64, -1.0] {
        let mut turn: Mat3 = random.rotation() * sign;
        if subject.flawed {
            let turned = atoms.strained(&(turn - Mat3::identity()));
            let after = field.at(&turned.cell, &turned.positions).unwrap();
            let change = (after.energy - before.energy).abs();
            assert!(change > SHOWN, "{}: {change} eV", subject.name);
            turn = Mat3::identity();
        }
        let shift = 20.0 * random.vector();
        let mut turned = atoms.strained(&(turn - Mat3::identity()));
        turned.positions.iter_mut().for_each(|r| *r += shift);
        let after = field.at(&turned.cell, &turned.positions).unwrap();
        let forces: Vec<Vec3> = before.forces.iter().map(|f| turn * f).collect();
        same(
            subject,
            "turned",
            [before.energy, after.energy],
            [&forces, &after.forces],
        );
    }
}

/// Atoms in another order, each in another image of itself, have the same energy and their own forces.
fn knows_no_order(subject: &Subject<'_>, atoms: &Atoms) {
    let count = atoms.species.len();
    let order: Vec<usize> = (0..count).rev().collect();
    let image = |k: usize| match atoms.cell.is_periodic() {
        true => atoms.cell.shift([k as i32 % 3 - 1, 1, -(k as i32 % 2)]),
        false => Vec3::zeros(),
    };
    let species: Vec<u8> = order.iter().map(|&k| atoms.species[k]).collect();
    let positions: Vec<Vec3> = (order.iter())
        .map(|&k| atoms.positions[k] + image(k))
        .collect();
    let mut field = subject.make(&atoms.species);
    let before = field.at(&atoms.cell, &atoms.positions).unwrap();
    let mut field = subject.make(&species);
    let after = field.at(&atoms.cell, &positions).unwrap();
    let forces: Vec<Vec3> = order.iter().map(|&k| before.forces[k]).collect();
    same(
        subject,
        "reordered",
        [before.energy, after.energy],
        [&forces, &after.forces],
    );
}

/// Twice of it has twice the energy: two molecules out of each other's reach, or two cells of a crystal.
fn is_extensive(subject: &Subject<'_>, atoms: &Atoms) {
    let mut field = subject.make(&atoms.species);
    let one = field.at(&atoms.cell, &atoms.positions).unwrap();
    let twice = [&atoms.species[..], &atoms.species].concat();
    let mut rows = *atoms.cell.vectors();
    let (away, cell) = match atoms.cell.is_periodic() {
        true => {
            let away = atoms.cell.vector(0);
            rows.set_row(0, &(2.0 * away.transpose()));
            (away, Cell::new(rows, [true; 3]).unwrap())
        }
        false => (Vec3::new(100.0, 0.0, 0.0), Cell::open()),
    };
    let second = atoms.positions.iter().map(|r| r + away);
    let positions: Vec<Vec3> = atoms.positions.iter().copied().chain(second).collect();
    let mut field = subject.make(&twice);
    let two = field.at(&cell, &positions).unwrap();
    let forces = [&one.forces[..], &one.forces].concat();
    same(
        subject,
        "twice",
        [2.0 * one.energy, two.energy],
        [&forces, &two.forces],
    );
}

/// Forces and strain derivative are slopes of the energy, within a tolerance of forces (eV / angstrom).
fn has_forces_that_are_slopes(subject: &Subject<'_>, atoms: &Atoms, tolerance: f64) {
    /// Atoms that are moved one by one, beside all at once.
    const ALONE: usize = 3;
    let mut field = subject.make(&atoms.species);
    let found = slope::examine(field.as_mut(), &atoms.cell, &atoms.positions, ALONE).unwrap();
    let worst = found.forces.certain();
    assert!(worst <= tolerance, "{}: {found:?}", subject.name);
    assert_eq!(found.strain.is_some(), atoms.cell.is_periodic());
    if let Some(strain) = found.strain {
        // It is a sum over the same pairs.
        let bar = found.strain_tolerance * (tolerance / slope::TOLERANCE);
        assert!(strain.certain() <= bar, "{}: {found:?}", subject.name);
    }
}

/// A pair that comes into range changes the energy by as much as its distance, and no more; beyond it does nothing.
fn is_smooth_at_its_range(subject: &Subject<'_>) {
    /// Distance from the range (angstrom): an energy that begins with its square has changed by 1e-10 of an eV.
    const EDGE: f64 = 1e-5;
    const JUMP: f64 = 1e-6;
    let mut field = subject.make(&[8, 8]);
    let range = field.cutoff();
    let mut at = |distance: f64| {
        let positions = [Vec3::zeros(), Vec3::new(0.0, distance, 0.0)];
        field.at(&Cell::open(), &positions).unwrap()
    };
    let (within, beyond, far) = (at(range - EDGE), at(range + EDGE), at(3.0 * range));
    let jump = (within.energy - beyond.energy).abs();
    match subject.flawed {
        true => assert!(jump > SHOWN, "{}: {jump}", subject.name),
        false => assert!(jump < JUMP, "{}: {jump}", subject.name),
    }
    assert_eq!(beyond, far, "{}", subject.name);
    assert_eq!(beyond.forces, vec![Vec3::zeros(); 2], "{}", subject.name);
    assert_ne!(at(0.8 * range).energy, far.energy, "{}", subject.name);
}

/// Energies and forces that are to be the same.
#[track_caller]
fn same(subject: &Subject<'_>, what: &str, energies: [f64; 2], forces: [&[Vec3]; 2]) {
    let energy = (energies[0] - energies[1]).abs();
    let force = farthest(forces[0], forces[1]);
    // A sum of n terms of one sign in another order is off by n roundings of itself at most.
    let rounding = forces[0].len() as f64 * f64::EPSILON * energies[0].abs();
    assert!(
        energy <= subject.same[0] + rounding && force <= subject.same[1],
        "{}, {what}: energies differ by {energy:e} eV, forces by {force:e} eV/A",
        subject.name
    );
}
