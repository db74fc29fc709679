//! Degrees of freedom, and velocities of a temperature.

use mdrun::core::observe::{self, WholeMotion};
use mdrun::core::rng::Noise;
use mdrun::core::velocities::{Temperature, thermal};
use mdrun::core::{Cell, Mat3, System, Vec3};
use nalgebra::Rotation3;

use super::subjects::KB;

const KT: f64 = 300.0 * KB;

/// Rounding of sums over some ten atoms, relative.
const ROUNDING: f64 = 1e-13;

fn system(masses: &[f64]) -> System {
    System {
        species: vec![6; masses.len()],
        masses: masses.to_vec(),
    }
}

fn box_of(periodic: [bool; 3]) -> Cell {
    Cell::new(Mat3::identity() * 10.0, periodic).unwrap()
}

/// Carbon dioxide, turned so that it lies along no axis and away from the origin.
fn linear() -> (System, Vec<Vec3>) {
    let turn = Rotation3::new(Vec3::new(0.3, -0.8, 1.7));
    let place = |x: f64| turn * Vec3::new(x, 0.0, 0.0) + Vec3::new(40.0, -3.0, 7.0);
    (
        system(&[15.999, 12.011, 15.999]),
        [-1.16, 0.0, 1.16].map(place).to_vec(),
    )
}

fn bent() -> (System, Vec<Vec3>) {
    let positions = vec![
        Vec3::new(5.0, 0.0, 0.1),
        Vec3::new(5.76, 0.59, 0.1),
        Vec3::new(4.24, 0.59, 0.1),
    ];
    (system(&[15.999, 1.008, 1.008]), positions)
}

#[test]
fn degrees_of_freedom_by_boundary_and_bath() {
    use WholeMotion::{Conserved, Held, Thermal};
    let (water, bent) = bent();
    let (carbon_dioxide, linear) = linear();
    let (atom, place) = (system(&[39.948]), vec![Vec3::repeat(2.0)]);
    let (dimer, places) = (system(&[1.0, 2.0]), vec![Vec3::zeros(), Vec3::repeat(0.6)]);
    let (none, nowhere) = (system(&[]), Vec::new());
    let open = Cell::open();
    let slab = box_of([true, true, false]);
    let cases = [
        (&water, &bent, &open, Conserved, 3),
        (&water, &bent, &slab, Conserved, 6),
        (&water, &bent, &open, Thermal, 9),
        (&water, &bent, &slab, Thermal, 9),
        (&water, &bent, &open, Held, 6),
        (&carbon_dioxide, &linear, &open, Conserved, 4),
        (&carbon_dioxide, &linear, &slab, Conserved, 6),
        (&dimer, &places, &open, Conserved, 1),
        (&atom, &place, &open, Conserved, 3),
        (&atom, &place, &slab, Conserved, 3),
        (&atom, &place, &open, Thermal, 3),
        (&atom, &place, &open, Held, 0),
        (&none, &nowhere, &open, Conserved, 0),
    ];
    for (system, positions, cell, whole, expected) in cases {
        let found = observe::degrees_of_freedom(system, cell, positions, whole);
        assert_eq!(found, expected, "{} atoms, {whole:?}", system.len());
    }
}

/// Velocities that come from elsewhere: what moves at the start moves for good and counts.
#[test]
fn constant_energy_counts_the_motion_of_the_whole_where_there_is_any() {
    let (system, positions) = bent();
    let slab = box_of([true, true, false]);
    let (rest, _) = drawn(&system, &Cell::open(), &positions, KT);
    let count = |cell: &Cell, add: &dyn Fn(&Vec3) -> Vec3| {
        let velocities: Vec<Vec3> = rest
            .iter()
            .zip(&positions)
            .map(|(v, r)| v + add(r))
            .collect();
        let whole = WholeMotion::of_constant_energy(&system, cell, &positions, &velocities);
        observe::degrees_of_freedom(&system, cell, &positions, whole)
    };
    let centre = observe::centre_of_mass(&system, &positions);
    let thermal = (KT / 18.0).sqrt();
    let push = |_: &Vec3| Vec3::x() * thermal;
    let turn = |r: &Vec3| Vec3::z().cross(&(r - centre)) * thermal;
    // The last of some six digits.
    let digits = |r: &Vec3| Vec3::repeat(1e-6 * thermal * r.x);
    assert_eq!(count(&Cell::open(), &|_| Vec3::zeros()), 3);
    assert_eq!(count(&Cell::open(), &digits), 3);
    assert_eq!(count(&Cell::open(), &turn), 6);
    assert_eq!(count(&Cell::open(), &push), 9);
    assert_eq!(count(&slab, &digits), 6);
    assert_eq!(count(&slab, &turn), 6);
    assert_eq!(count(&slab, &push), 9);
}

/// Draws velocities and returns them with their temperature kT in the degrees of freedom of NVE.
fn drawn(system: &System, cell: &Cell, positions: &[Vec3], kt: f64) -> (Vec<Vec3>, f64) {
    let degrees_of_freedom =
        observe::degrees_of_freedom(system, cell, positions, WholeMotion::Conserved);
    let temperature = Temperature {
        kt,
        degrees_of_freedom,
    };
    let velocities = thermal(system, cell, positions, temperature, Noise::new(3));
    let kinetic = observe::kinetic_energy(system, &velocities);
    (velocities, observe::kt(kinetic, degrees_of_freedom))
}

#[test]
fn the_temperature_is_exact_and_the_whole_does_not_move() {
    let dimer = (
        system(&[1.008, 35.45]),
        vec![Vec3::zeros(), Vec3::new(0.4, 0.9, -0.8)],
    );
    for (system, positions) in [bent(), linear(), dimer] {
        for cell in [
            Cell::open(),
            box_of([true; 3]),
            box_of([false, true, false]),
        ] {
            let (velocities, kt) = drawn(&system, &cell, &positions, KT);
            assert!((kt / KT - 1.0).abs() < ROUNDING, "{kt}");
            let scale: f64 = (velocities.iter().zip(&system.masses))
                .map(|(v, m)| m * v.norm())
                .sum();
            assert!(observe::momentum(&system, &velocities).norm() < ROUNDING * scale);
            let spin = observe::angular_momentum(&system, &positions, &velocities).norm();
            // Positions are some 40 A from the origin: the centre is known to 1e-14 A.
            let turns = spin > 1e3 * ROUNDING * scale;
            assert_eq!(turns, cell.is_periodic(), "angular momentum {spin}");
        }
    }
}

#[test]
fn one_atom_keeps_flying_and_zero_kelvin_stands_still() {
    let atom = (system(&[39.948]), vec![Vec3::repeat(2.0)]);
    for cell in [Cell::open(), box_of([true; 3])] {
        let (velocities, kt) = drawn(&atom.0, &cell, &atom.1, KT);
        assert!((kt / KT - 1.0).abs() < ROUNDING);
        assert!(velocities[0].norm() > 0.0);
        let (velocities, kt) = drawn(&atom.0, &cell, &atom.1, 0.0);
        assert_eq!((velocities[0], kt), (Vec3::zeros(), 0.0));
    }
    let (system, positions) = bent();
    let (velocities, _) = drawn(&system, &Cell::open(), &positions, 0.0);
    assert_eq!(velocities, [Vec3::zeros(); 3]);
    let nothing = System {
        species: Vec::new(),
        masses: Vec::new(),
    };
    assert!(drawn(&nothing, &Cell::open(), &[], KT).0.is_empty());
    // Two atoms at one place have no rotation to take away.
    let (velocities, _) = drawn(
        &System {
            species: vec![1; 2],
            masses: vec![1.0; 2],
        },
        &Cell::open(),
        &[Vec3::zeros(); 2],
        KT,
    );
    assert!(velocities.iter().all(|v| v.iter().all(|x| x.is_finite())));
}

/// What an atom draws does not depend on the atoms around it, nor on the temperature but by a factor.
#[test]
fn seeds_give_velocities_and_atoms_their_own() {
    let two = mdrun::core::velocities::maxwell_boltzmann(&system(&[1.0; 2]), KT, Noise::new(3));
    let five = mdrun::core::velocities::maxwell_boltzmann(&system(&[1.0; 5]), KT, Noise::new(3));
    assert_eq!(two, five[..2]);
    let other = mdrun::core::velocities::maxwell_boltzmann(&system(&[1.0; 2]), KT, Noise::new(4));
    assert_ne!(two, other);
}

/// A rigid rotation about the centre of mass is taken away whole, a vibration not at all.
#[test]
fn rotation_is_taken_away_and_vibration_is_not() {
    let (system, positions) = bent();
    let centre = observe::centre_of_mass(&system, &positions);
    let spin = Vec3::new(0.3, -0.2, 0.5);
    let stretch = |i: usize| (positions[i] - centre) * 0.1;
    let mut velocities: Vec<Vec3> = (0..3)
        .map(|i| stretch(i) + spin.cross(&(positions[i] - centre)))
        .collect();
    mdrun::core::velocities::remove_angular_momentum(&system, &positions, &mut velocities);
    for (i, v) in velocities.iter().enumerate() {
        assert!((v - stretch(i)).norm() < ROUNDING, "{v}");
    }
}
