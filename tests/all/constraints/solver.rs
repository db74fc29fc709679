//! SETTLE and RATTLE find the same, and do not push the whole.

use mdrun::core::Vec3;
use mdrun::dynamics::{BondConstraint, ConstraintSolver, Constraints};

use super::{KEPT, TIP3P, TOLERANCE, WATER_MASSES, held, water};
use crate::support::atoms::{Random, farthest};

/// Molecules that are tried.
const MOLECULES: usize = 500;

/// Molecules of water by SETTLE, and by RATTLE for its three distances.
fn both() -> [ConstraintSolver; 2] {
    let settle = Constraints {
        waters: vec![[0, 1, 2]],
        shape: TIP3P,
        tolerance: TOLERANCE,
        ..Constraints::default()
    };
    let rattle = Constraints {
        bonds: settle.pairs().collect::<Vec<BondConstraint>>(),
        tolerance: TOLERANCE,
        ..Constraints::default()
    };
    [settle, rattle].map(|constraints| ConstraintSolver::new(&constraints, &WATER_MASSES))
}

/// Momentum and angular momentum.
fn momenta(positions: &[Vec3], velocities: &[Vec3]) -> [Vec3; 2] {
    let atoms = || WATER_MASSES.iter().zip(positions).zip(velocities);
    [
        atoms().map(|((m, _), v)| *m * v).sum(),
        atoms().map(|((m, r), v)| *m * r.cross(v)).sum(),
    ]
}

#[test]
fn settle_is_rattle_for_water() {
    let solvers = both();
    let mut random = Random::new(11);
    let mut worst = [0.0_f64; 4];
    for _ in 0..MOLECULES {
        let before = water(&TIP3P, &mut random);
        // A femtosecond is 0.1 in these units: atoms of hydrogen fly 0.02 A in it, and 0.1 A here.
        let time = 0.1;
        let free: Vec<Vec3> = (0..3).map(|_| random.vector()).collect();
        let found = solvers.each_ref().map(|solver| {
            let mut velocities = free.clone();
            let mut positions: Vec<Vec3> = (before.iter().zip(&free))
                .map(|(r, v)| r + v * time)
                .collect();
            let [p, _] = momenta(&positions, &velocities);
            let drifted = momenta(&before, &velocities);
            (solver.place(&before, (&mut positions, &mut velocities), time)).unwrap();
            // Pushes act at the old positions.
            let pushed = momenta(&before, &velocities);
            assert!((pushed[0] - p).norm() < KEPT && (pushed[1] - drifted[1]).norm() < KEPT);
            let placed = velocities.clone();
            solver.project(&positions, &mut velocities).unwrap();
            let kept = momenta(&positions, &velocities);
            let mut expected = momenta(&positions, &placed);
            expected[0] = p;
            assert!((kept[0] - expected[0]).norm() < KEPT && (kept[1] - expected[1]).norm() < KEPT);
            let off = solver.constraints().worst(&positions).unwrap().deviation;
            let rate = solver.constraints().fastest(&positions, &velocities);
            assert!(off < KEPT && rate < KEPT, "{off:e} {rate:e}");
            let forces: Vec<Vec3> = free.iter().map(|v| v * 5.0).collect();
            let virial = solver.virial(&positions, &velocities, &forces).unwrap();
            (positions, placed, velocities, virial)
        });
        let [settle, rattle] = &found;
        let apart = [
            farthest(&settle.0, &rattle.0),
            farthest(&settle.1, &rattle.1),
            farthest(&settle.2, &rattle.2),
            (settle.3 - rattle.3).amax(),
        ];
        for (worst, apart) in worst.iter_mut().zip(apart) {
            *worst = worst.max(apart);
        }
    }
    println!("positions, velocities of both halves, virial apart by {worst:.1?}");
    assert!(worst.iter().all(|apart| *apart < KEPT), "{worst:?}");
}

/// Far from the origin, where numbers are coarse, SETTLE keeps what it has to.
#[test]
fn far_away_numbers_are_enough() {
    let [settle, _] = both();
    let mut random = Random::new(12);
    let away = Vec3::new(2000.0, -3000.0, 1000.0);
    let before = water(&TIP3P, &mut random).map(|r| r + away);
    let mut velocities: Vec<Vec3> = (0..3).map(|_| 0.3 * random.vector()).collect();
    let mut positions: Vec<Vec3> = (before.iter().zip(&velocities))
        .map(|(r, v)| r + v * 0.2)
        .collect();
    let found = settle.place(&before, (&mut positions, &mut velocities), 0.2);
    assert_eq!(found, Ok(()));
}

/// A projection is the nearest: projecting again changes nothing, and what is taken off is at right angles over masses.
#[test]
fn a_projection_is_orthogonal() {
    let mut random = Random::new(5);
    let positions: Vec<Vec3> = (0..5).map(|_| random.vector()).collect();
    let constraints = held(&[[0, 1], [1, 2], [2, 3], [3, 4], [0, 4]], &positions);
    let masses = [1.0, 12.0, 16.0, 2.0, 14.0];
    let solver = ConstraintSolver::new(&constraints, &masses);
    let free: Vec<Vec3> = (0..5).map(|_| random.vector()).collect();
    let mut once = free.clone();
    solver.project(&positions, &mut once).unwrap();
    let product: f64 = (masses.iter().zip(free.iter().zip(&once)))
        .map(|(m, (free, once))| m * (free - once).dot(once))
        .sum();
    assert!(product.abs() < KEPT, "{product:e}");
    let taken: f64 = constraints.taken(&masses, &positions).iter().sum();
    assert!((taken - 5.0).abs() < 1e-9, "{taken}");
}

#[test]
fn what_cannot_be_placed_is_an_error() {
    for solver in both() {
        let before = water(&TIP3P, &mut Random::new(1));
        for far in [30.0, f64::NAN] {
            let mut positions = before.to_vec();
            positions[1] += Vec3::new(far, far, far);
            let mut velocities = vec![Vec3::zeros(); 3];
            let found = solver.place(&before, (&mut positions, &mut velocities), 0.1);
            assert!(found.is_err(), "{far}");
        }
    }
}

#[test]
fn constraints_that_follow_from_others_are_refused() {
    let line = [0.0, 1.0, 2.0].map(|x| Vec3::new(x, 0.0, 0.0));
    let mut random = Random::new(2);
    let five: Vec<Vec3> = (0..5).map(|_| random.vector()).collect();
    let all: Vec<[usize; 2]> = (0..5).flat_map(|j| (0..j).map(move |i| [i, j])).collect();
    let refused = |pairs: &[[usize; 2]], positions: &[Vec3]| {
        let error = held(pairs, positions).check(&vec![1.0; positions.len()], positions);
        error.err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(refused(&[[0, 1], [1, 2]], &line), "");
    // Nine of ten distances hold five atoms.
    assert_eq!(refused(&all[1..], &five), "");
    for (pairs, positions, says) in [
        (
            &[[0, 1], [1, 2], [0, 2]][..],
            &line[..],
            "the 3 constraints of atoms 0, 1, 2 follow",
        ),
        (
            &all,
            &five,
            "the 10 constraints of atoms 0, 1, 2, 3, 4 follow",
        ),
        (&[[0, 1], [1, 0]], &line, "atoms 1 and 0 are named twice"),
        (&[[0, 0]], &line, "atom 0 is constrained to itself"),
    ] {
        let error = refused(pairs, positions);
        assert!(error.contains(says), "{error}");
    }
}
