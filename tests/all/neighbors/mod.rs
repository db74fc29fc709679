//! Pairs against brute force, and that they depend on nothing but the positions.

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::neighbors::{Pairs, VerletList};
use nalgebra::Rotation3;
use proptest::prelude::*;

use crate::support::brute;

/// A cell with edges from 0.4 to 5 cutoffs (of 1 A), skewed, turned, left- or right-handed.
fn cells() -> impl Strategy<Value = Cell> {
    let edge = || 0.4..5.0_f64;
    let tilt = || prop_oneof![Just(0.0), -1.2..1.2_f64];
    let periodic = prop::array::uniform3(any::<bool>());
    let turn = prop::array::uniform3(-3.0..3.0_f64);
    (
        (edge(), edge(), edge()),
        (tilt(), tilt(), tilt()),
        periodic,
        turn,
        any::<bool>(),
    )
        .prop_map(|((a, b, c), (ab, ac, bc), periodic, turn, mirrored)| {
            let sign = if mirrored { -1.0 } else { 1.0 };
            let upright = Mat3::new(a, 0.0, 0.0, ab * b, b, 0.0, ac * c, bc * c, sign * c);
            let turned = upright * Rotation3::new(Vec3::from(turn)).matrix();
            Cell::new(turned, periodic).expect("the cell is not singular")
        })
}

/// Fractional coordinates in and outside of the cell; some exactly on faces and on top of others.
fn fractions() -> impl Strategy<Value = Vec<Vec3>> {
    let grid = (-4..8_i32).prop_map(|k| 0.5 * f64::from(k));
    let coordinate = prop_oneof![4 => -3.0..4.0_f64, 1 => grid];
    prop::collection::vec(
        prop::array::uniform3(coordinate).prop_map(Vec3::from),
        0..30,
    )
}

/// A cell with atoms in it and around it.
fn arrangements() -> impl Strategy<Value = (Cell, Vec<Vec3>)> {
    (cells(), fractions()).prop_map(|(cell, fractions)| {
        let positions = fractions.iter().map(|f| cell.cartesian(f)).collect();
        (cell, positions)
    })
}

/// Displacements shorter than half of the skin.
fn moves(count: usize, skin: f64) -> impl Strategy<Value = Vec<Vec3>> {
    // Components up to this give a norm under half of the skin.
    let most = 0.5 * skin / 3.0_f64.sqrt();
    let one = prop::array::uniform3(-1.0..1.0_f64).prop_map(move |d| Vec3::from(d) * most);
    prop::collection::vec(one, count)
}

fn moved(positions: &[Vec3], by: &[Vec3]) -> Vec<Vec3> {
    positions.iter().zip(by).map(|(r, d)| r + d).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pairs_are_those_of_brute_force((cell, positions) in arrangements(), skin in 0.0..0.6_f64) {
        let expected = brute::pairs(&cell, &positions, 1.0);
        let mut pairs = Pairs::default();
        VerletList::build(&cell, &positions, 1.0, skin).unwrap().pairs(&cell, &positions, &mut pairs);
        prop_assert_eq!(&pairs, &expected);
        prop_assert_eq!(&Pairs::within(&cell, &positions, 1.0).unwrap(), &expected);
    }

    #[test]
    fn a_list_in_use_gives_what_a_new_one_would(
        (skin, cell, positions, steps) in (0.05..0.8_f64, arrangements()).prop_flat_map(|(skin, (cell, positions))| {
            let steps = prop::collection::vec(moves(positions.len(), skin), 3);
            (Just(skin), Just(cell), Just(positions), steps)
        })
    ) {
        let mut list = VerletList::build(&cell, &positions, 1.0, skin).unwrap();
        let mut pairs = Pairs::default();
        for step in &steps {
            let now = moved(&positions, step);
            prop_assert!(list.holds(&cell, &now));
            list.pairs(&cell, &now, &mut pairs);
            prop_assert_eq!(&pairs, &Pairs::within(&cell, &now, 1.0).unwrap());
            prop_assert_eq!(&pairs, &brute::pairs(&cell, &now, 1.0));
        }
    }
}

/// Strains of up to a few hundredths, a few of them without shear.
fn strains() -> impl Strategy<Value = Mat3> {
    let one = || -0.03..0.03_f64;
    let shear = || prop_oneof![Just(0.0), one()];
    ((one(), one(), one()), (shear(), shear(), shear()))
        .prop_map(|((x, y, z), (a, b, c))| Mat3::new(1.0 + x, a, b, c, 1.0 + y, -a, b, -c, 1.0 + z))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// A list that says that it holds in a strained cell has all pairs there, whatever atoms did beside the strain.
    #[test]
    fn a_list_that_holds_in_a_strained_cell_has_its_pairs(
        (skin, cell, positions, moves) in (0.05..0.8_f64, arrangements()).prop_flat_map(|(skin, (cell, positions))| {
            let moves = moves(positions.len(), skin);
            (Just(skin), Just(cell), Just(positions), moves)
        }),
        strain in strains(),
        part in 0.0..1.0_f64,
    ) {
        let mut list = VerletList::build(&cell, &positions, 1.0, skin).unwrap();
        let strained = cell.strained(&strain).unwrap();
        let follow: Vec<Vec3> = positions.iter().map(|r| strain * r).collect();
        let by: Vec<Vec3> = moves.iter().map(|d| d * part).collect();
        let now = moved(&follow, &by);
        let mut pairs = Pairs::default();
        if list.holds(&strained, &now) {
            list.pairs(&strained, &now, &mut pairs);
            prop_assert_eq!(&pairs, &brute::pairs(&strained, &now, 1.0));
        }
        // A wide skin holds where nothing but the strain has happened: all its stretches are within 3 in 100, all shears too.
        if skin > 0.3 && positions.len() > 1 && cell.is_periodic() {
            prop_assert!(list.holds(&strained, &follow));
        }
    }
}

/// How much of the skin a strain takes: compressing by 1 % brings atoms at the edge of cutoff and skin (6 A) closer by 0.06 A,
/// which leaves (1 - 0.06) / 2 A to each of two atoms; stretching leaves them more.
#[test]
fn a_strain_takes_its_part_of_the_skin() {
    let cell = Cell::new(Mat3::identity() * 40.0, [true; 3]).unwrap();
    let positions = [Vec3::zeros(), Vec3::new(20.0, 0.0, 0.0)];
    let list = VerletList::build(&cell, &positions, 5.0, 1.0).unwrap();
    for (factor, slack) in [(0.99, 0.47), (1.01, 0.53)] {
        let strain = Mat3::identity() * factor;
        let strained = cell.strained(&strain).unwrap();
        let with = |x: f64| {
            [
                Vec3::zeros(),
                strain * positions[1] + Vec3::new(0.0, x, 0.0),
            ]
        };
        assert!(list.holds(&strained, &with(slack - 1e-6)));
        assert!(!list.holds(&strained, &with(slack + 1e-6)));
    }
    let open = Cell::new(Mat3::identity() * 40.0, [true, true, false]).unwrap();
    assert!(!list.holds(&open, &positions), "another cell");
}

#[test]
fn a_list_is_rebuilt_when_an_atom_leaves_half_the_skin() {
    let positions = [Vec3::zeros(), Vec3::new(100.0, 0.0, 0.0)];
    let list = VerletList::build(&Cell::open(), &positions, 5.0, 1.0).unwrap();
    let with = |x: f64| [positions[0], positions[1] + Vec3::new(0.0, x, 0.0)];
    assert!(list.holds(&Cell::open(), &with(0.0)));
    assert!(list.holds(&Cell::open(), &with(0.499_999)));
    assert!(!list.holds(&Cell::open(), &with(0.500_001)));
    assert!(!list.holds(&Cell::open(), &with(f64::NAN)));
}

#[test]
fn no_atoms_and_one_atom() {
    let open = Pairs::within(&Cell::open(), &[], 5.0).unwrap();
    assert_eq!((open.len(), &open.rows[..]), (0, &[0][..]));
    let cell = Cell::new(Mat3::identity() * 4.0, [true; 3]).unwrap();
    assert_eq!(Pairs::within(&cell, &[], 5.0).unwrap().rows, [0]);
    assert!(
        Pairs::within(&Cell::open(), &[Vec3::repeat(3.0)], 5.0)
            .unwrap()
            .is_empty()
    );
    // 6 images of itself at 4 A; those across the faces' diagonals are at 5.66 A.
    let alone = Pairs::within(&cell, &[Vec3::repeat(-99.0)], 5.0).unwrap();
    assert_eq!(alone.len(), 6);
    assert_eq!(alone.reverse, [5, 4, 3, 2, 1, 0]);
    for p in 0..6 {
        assert_eq!(alone.vectors[p], -alone.vectors[alone.reverse[p] as usize]);
    }
}

#[test]
fn atoms_at_the_same_place_are_a_pair_at_distance_zero() {
    let pairs = Pairs::within(&Cell::open(), &[Vec3::repeat(1.0); 2], 5.0).unwrap();
    assert_eq!(pairs.distances, [0.0, 0.0]);
    assert_eq!(pairs.reverse, [1, 0]);
}

/// A cell list over the box of all atoms would need 10^24 bins here, or bins with everything in them.
#[test]
fn atoms_very_far_apart_cost_nothing() {
    const DIMERS: usize = 20_000;
    // Far out, and no two the same: dimers along a diagonal, 1e4 A apart, the last at 3.5e8 A.
    let positions: Vec<Vec3> = (0..DIMERS)
        .flat_map(|k| {
            let place = Vec3::new(1.0, 0.9, -1.1) * (1e4 * k as f64);
            [place, place + Vec3::new(0.0, 1.5, 0.0)]
        })
        .collect();
    let pairs = Pairs::within(&Cell::open(), &positions, 5.0).unwrap();
    assert_eq!(pairs.len(), 2 * DIMERS);
    assert!((0..2 * DIMERS).all(|i| pairs.neighbors[pairs.row(i)] == [(i ^ 1) as u32]));

    // A dense cluster and one atom that has left it: bins must not become so wide that all of the
    // cluster is in one (4e8 pairs to look at).
    let mut cluster: Vec<Vec3> = (0..20_000_u32)
        .map(|k| {
            Vec3::new(
                f64::from(k % 20),
                f64::from(k / 20 % 20),
                f64::from(k / 400),
            ) * 3.0
        })
        .collect();
    cluster.push(Vec3::repeat(1e9));
    let pairs = Pairs::within(&Cell::open(), &cluster, 3.5).unwrap();
    let bonds = 2 * (19 * 20 * 50 + 20 * 19 * 50 + 20 * 20 * 49);
    assert_eq!(pairs.len(), bonds);
}

/// Enough pairs that the work is shared between threads.
#[test]
fn the_number_of_threads_does_not_matter() {
    let cell = Cell::new(
        Mat3::new(25.0, 0.0, 0.0, 5.0, 24.0, 0.0, -7.0, 2.0, 26.0),
        [true, true, false],
    )
    .unwrap();
    let positions = scattered(&cell, 1500);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut pairs = Pairs::default();
            VerletList::build(&cell, &positions, 5.0, 1.0)
                .unwrap()
                .pairs(&cell, &positions, &mut pairs);
            pairs
        })
    };
    let one = run(1);
    assert!(one.len() > 50_000);
    assert_eq!(one, run(2));
    assert_eq!(one, run(7));
    assert_eq!(one, brute::pairs(&cell, &positions, 5.0));
}

/// Atoms without order, two cells to either side (the fractional parts of multiples of irrationals).
fn scattered(cell: &Cell, count: usize) -> Vec<Vec3> {
    (0..count)
        .map(|k| {
            let f = Vec3::new(0.754_877_666, 0.569_840_291, 0.438_579_021) * (k + 1) as f64;
            let far = Vec3::new((k % 5) as f64 - 2.0, (k % 3) as f64 - 1.0, 0.0);
            cell.cartesian(&(f.map(|x| x.fract()) + far))
        })
        .collect()
}

#[test]
fn memory_is_used_again() {
    let cell = Cell::new(Mat3::identity() * 20.0, [true; 3]).unwrap();
    let positions = scattered(&cell, 800);
    let mut list = VerletList::build(&cell, &positions, 5.0, 1.0).unwrap();
    let mut pairs = Pairs::default();
    list.pairs(&cell, &positions, &mut pairs);
    let place = |pairs: &Pairs| {
        (
            pairs.rows.as_ptr(),
            pairs.vectors.as_ptr(),
            pairs.reverse.as_ptr(),
        )
    };
    let before = place(&pairs);
    for k in 0..20 {
        let by = Vec3::new(0.4, 0.0, 0.0) * (f64::from(k) / 20.0);
        let shaken: Vec<Vec3> = (positions.iter().enumerate())
            .map(|(i, r)| if i % 2 == 0 { r + by } else { r - by })
            .collect();
        list.pairs(&cell, &shaken, &mut pairs);
        assert_eq!(place(&pairs), before);
    }
}

#[test]
fn what_cannot_be_listed_is_an_error() {
    let cell = Cell::new(Mat3::identity() * 10.0, [true; 3]).unwrap();
    let message = |cell: &Cell, positions: &[Vec3], cutoff: f64, skin: f64| {
        VerletList::build(cell, positions, cutoff, skin)
            .unwrap_err()
            .to_string()
    };
    let nan = [Vec3::zeros(), Vec3::new(0.0, f64::NAN, 0.0)];
    assert!(message(&cell, &nan, 5.0, 1.0).contains("atom 1 is at (0e0, NaN, 0e0) A"));
    assert!(message(&cell, &[Vec3::repeat(1e10)], 5.0, 1.0).contains("not farther than 5.4e9 A"));
    assert!(message(&Cell::open(), &[Vec3::repeat(1e13)], 5.0, 1.0).contains("1.0e12 A"));
    for (cutoff, skin) in [
        (0.0, 1.0),
        (f64::NAN, 1.0),
        (5.0, -0.1),
        (5.0, f64::INFINITY),
    ] {
        assert!(message(&cell, &nan, cutoff, skin).contains("the cutoff must be positive"));
    }
    let tiny = Cell::new(Mat3::identity() * 0.01, [true; 3]).unwrap();
    assert!(message(&tiny, &[Vec3::zeros()], 5.0, 1.0).contains("too small or too skewed"));
}

/// Atoms drift through many cells during a run: the images relative to unwrapped positions follow,
/// and vectors stay the same to the rounding of the positions.
#[test]
fn whole_atoms_far_out_of_the_cell() {
    let cell = Cell::new(
        Mat3::new(6.0, 0.0, 0.0, 2.0, 7.0, 0.0, -1.0, 1.5, 6.5),
        [true; 3],
    )
    .unwrap();
    let inside = scattered(&cell, 50);
    let near = Pairs::within(&cell, &inside, 5.0).unwrap();
    let outside: Vec<Vec3> = (inside.iter().enumerate())
        .map(|(i, r)| r + cell.shift([1000 * i as i32, -77_000 + i as i32, 12 * i as i32]))
        .collect();
    let far = Pairs::within(&cell, &outside, 5.0).unwrap();
    assert_eq!(near.rows, far.rows);
    assert_eq!(near.neighbors, far.neighbors);
    // Rows are ordered by image, and images differ by a constant for each (i, j): same order.
    assert_eq!(near.reverse, far.reverse);
    // Positions of up to 8e5 A carry 1e-10 A of rounding.
    const ROUNDING: f64 = 2e-9;
    for (a, b) in near.vectors.iter().zip(&far.vectors) {
        assert!((a - b).norm() < ROUNDING, "{a} {b}");
    }
}
