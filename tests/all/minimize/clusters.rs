//! Springs and clusters, whose minima are known.

use mdrun::core::{Cell, Vec3};
use mdrun::forcefield::ForceField as _;
use mdrun::minimize::{DescentMethod, MinimizerSettings};

use super::{FunctionField, METHODS, converged, unit_lennard_jones};
use crate::support::atoms::Random;

/// Energies of the lowest clusters of 13 and 38 atoms, in wells (Wales and Doye, J. Phys. Chem. A 101, 5111 (1997)), to the digits
/// printed.
const LJ13: f64 = -44.326_801;
const LJ38: f64 = -173.928_427;
const PRINTED: f64 = 1e-6;
/// Beyond the size of these clusters: the potential is the pure 12-6 one up to 0.8 of it.
const UNCUT: f64 = 20.0;
/// At a force F the energy is F^2 / 2k above the minimum: 1e-11 for a softest mode of 10 wells / diameter^2.
const FORCE: f64 = 1e-5;

/// A vertex in the middle, and the twelve of an icosahedron whose edge is about a bond.
fn icosahedron() -> Vec<Vec3> {
    let golden = 0.5 * (1.0 + 5.0_f64.sqrt());
    let mut corners = vec![Vec3::zeros()];
    for (a, b) in [
        (1.0, golden),
        (1.0, -golden),
        (-1.0, golden),
        (-1.0, -golden),
    ] {
        for shift in 0..3 {
            let mut corner = Vec3::zeros();
            corner[shift] = a;
            corner[(shift + 1) % 3] = b;
            corners.push(0.56 * corner);
        }
    }
    corners
}

/// The truncated octahedron of a face-centred cubic crystal, about the middle of an octahedral hole.
fn truncated_octahedron() -> Vec<Vec3> {
    let mut sites = Vec::new();
    for k in 0..512 {
        let site = Vec3::from([k % 8, k / 8 % 8, k / 64].map(|n| f64::from(n - 4) + 0.5));
        let doubled = site * 2.0;
        let sum = doubled.iter().map(|x| (x + 7.0) as i64 / 2).sum::<i64>();
        if sum % 2 == 0 {
            sites.push(site * std::f64::consts::FRAC_1_SQRT_2 * 1.1);
        }
    }
    // A hole is a place of the cubic grid without an atom.
    let hole = Vec3::repeat(0.5 * std::f64::consts::FRAC_1_SQRT_2 * 1.1);
    let mut best: Vec<Vec3> = Vec::new();
    for centre in [hole, -hole] {
        let mut near: Vec<Vec3> = sites.iter().map(|r| r - centre).collect();
        near.sort_by(|a, b| a.norm_squared().total_cmp(&b.norm_squared()));
        let gap = near[38].norm() - near[37].norm();
        if gap > 0.1 {
            best = near[..38].to_vec();
        }
    }
    assert_eq!(best.len(), 38, "a closed shell of 38 atoms");
    best
}

fn shaken(positions: &[Vec3], most: f64, seed: u32) -> Vec<Vec3> {
    let mut random = Random::new(seed);
    positions
        .iter()
        .map(|r| r + most * random.vector())
        .collect()
}

#[test]
fn clusters_have_their_published_energies() {
    let mut field = unit_lennard_jones(UNCUT);
    for (start, energy, most) in [
        (icosahedron(), LJ13, [60, 400]),
        (truncated_octahedron(), LJ38, [120, 600]),
    ] {
        for (method, most) in METHODS.into_iter().zip(most) {
            let settings = MinimizerSettings {
                method,
                ..MinimizerSettings::of_positions(FORCE, 10_000)
            };
            let start = shaken(&start, 0.08, 3);
            let minimum = converged(&mut field, &settings, &Cell::open(), &start);
            let off = minimum.evaluation.energy - energy;
            println!(
                "{}: {} evaluations, off by {off:e}",
                method.name(),
                minimum.evaluations
            );
            assert!(off.abs() < PRINTED, "{off}");
            assert!(minimum.evaluations < most, "{}", minimum.evaluations);
        }
    }
}

/// Springs between a place and each atom, of very different stiffness, all coupled by a rotation: the minimum is known.
#[test]
fn springs_of_very_different_stiffness_come_to_rest() {
    const ATOMS: usize = 10;
    /// Distance left of a force of 1e-6 in the softest spring.
    const LEFT: f64 = 1e-5;
    let mut random = Random::new(5);
    let rest: Vec<Vec3> = (0..ATOMS).map(|_| 3.0 * random.vector()).collect();
    let turns: Vec<_> = (0..ATOMS).map(|_| random.rotation()).collect();
    let stiffness = |i: usize, a: usize| 0.1 * 3000_f64.powf((3 * i + a) as f64 / 29.0);
    let places = rest.clone();
    let mut field = FunctionField(
        move |positions: &[Vec3], out: &mut mdrun::potential::Evaluation| {
            out.energy = -1000.0;
            for (i, r) in positions.iter().enumerate() {
                let turned = turns[i] * (r - places[i]);
                let pull = Vec3::from_fn(|a, _| stiffness(i, a) * turned[a]);
                out.energy += 0.5 * turned.dot(&pull);
                out.forces[i] = -(turns[i].transpose() * pull);
            }
        },
    );
    let start = shaken(&rest, 0.5, 6);
    for method in METHODS {
        let settings = MinimizerSettings {
            method,
            ..MinimizerSettings::of_positions(1e-6, 10_000)
        };
        let minimum = converged(&mut field, &settings, &Cell::open(), &start);
        println!("{}: {} evaluations", method.name(), minimum.evaluations);
        let far = minimum
            .positions
            .iter()
            .zip(&rest)
            .map(|(a, b)| (a - b).norm());
        let far = far.fold(0.0, f64::max);
        assert!(far < LEFT, "{far}");
        assert!((minimum.evaluation.energy + 1000.0).abs() < 1e-10);
    }
}

/// Atoms nearly on top of each other, with forces up to 1e15 of a usual one, come apart and into a minimum; none flies away.
#[test]
fn atoms_that_are_pushed_into_each_other_come_apart() {
    let mut field = unit_lennard_jones(UNCUT);
    for seed in 0..5 {
        for method in METHODS {
            let mut random = Random::new(seed);
            let start: Vec<Vec3> = (0..13).map(|_| 0.8 * random.vector()).collect();
            let before = field.at(&Cell::open(), &start).unwrap();
            let settings = MinimizerSettings {
                method,
                ..MinimizerSettings::of_positions(FORCE, 20_000)
            };
            let minimum = converged(&mut field, &settings, &Cell::open(), &start);
            println!(
                "{} from {:.1e}: {:.6} after {}",
                method.name(),
                before.energy,
                minimum.evaluation.energy,
                minimum.evaluations
            );
            // No minimum of 13 atoms that hold together lies above; none lies below the lowest one.
            assert!(
                minimum.evaluation.energy < -25.0,
                "{}",
                minimum.evaluation.energy
            );
            assert!(minimum.evaluation.energy > LJ13 - PRINTED);
        }
    }
    assert_eq!(DescentMethod::default(), METHODS[0]);
}

/// The way does not depend on where the system is, how it is turned, or in what order its atoms come.
#[test]
fn a_turned_start_ends_turned() {
    /// Rounding of forces, which steps near a minimum carry on.
    const ROUNDING: f64 = 1e-7;
    let mut field = unit_lennard_jones(UNCUT);
    let start = shaken(&truncated_octahedron(), 0.05, 9);
    let mut random = Random::new(10);
    let (rotation, shift) = (random.rotation(), Vec3::new(3.0, -7.0, 0.5));
    let moved: Vec<Vec3> = start.iter().rev().map(|r| rotation * r + shift).collect();
    for method in METHODS {
        let settings = MinimizerSettings {
            method,
            ..MinimizerSettings::of_positions(1e-8, 10_000)
        };
        let mut end = |start: &[Vec3]| converged(&mut field, &settings, &Cell::open(), start);
        let (one, other) = (end(&start), end(&moved));
        let ends = one.positions.iter().zip(other.positions.iter().rev());
        let off = ends
            .map(|(a, b)| (rotation * a + shift - b).norm())
            .fold(0.0, f64::max);
        assert!(off < ROUNDING, "{}: {off}", method.name());
    }
}
