//! Distances, coordinates, densities and hydrogen bonds of arrangements whose answers are known.

use mdrun::analysis::FrameQuantity as _;
use mdrun::analysis::coordinates::{Coordinate, Coordinates, torsion};
use mdrun::analysis::density::DensityProfiles;
use mdrun::analysis::hydrogen_bonds::HydrogenBonds;
use mdrun::analysis::pair_distances::PairDistances;
use mdrun::core::{Cell, Mat3, Vec3, elements};
use mdrun::units::GRAM_PER_CM3;

use super::{show, studied};
use crate::support::atoms::Random;

/// Sums and products of numbers of order ten.
const ROUNDING: f64 = 1e-9;
/// Standard deviations that a count of independent pairs is never off by, of some 500 counts.
const SIGMAS: f64 = 5.0;

fn triclinic() -> Cell {
    let vectors = Mat3::new(18.0, 0.0, 0.0, 5.0, 17.0, 0.0, -4.0, 3.0, 19.0);
    Cell::new(vectors, [true; 3]).unwrap()
}

fn uniform(atoms: usize, cell: &Cell, seed: u32) -> Vec<Vec3> {
    let mut random = Random::new(seed);
    let place = |_| {
        // From -1 to 2 cells.
        let fractional = Vec3::from_fn(|_, _| 3.0 * random.unit() - 1.0);
        cell.cartesian(&fractional)
    };
    (0..atoms).map(place).collect()
}

/// An ideal gas in a skewed cell, whose atoms lie outside of it as well, has g = 1 for every pair of elements: each shell's count
/// is that of independent pairs.
#[test]
fn an_ideal_gas_has_no_structure() {
    const FRAMES: u32 = 40;
    let cell = triclinic();
    let species: Vec<u8> = (0..300).map(|i| if i < 100 { 8 } else { 18 }).collect();
    let first = uniform(300, &cell, 0);
    let mut rdf = PairDistances::new(&studied(&species, &cell, &first, 1), None).unwrap();
    for seed in 0..FRAMES {
        show(&mut rdf, &cell, &uniform(300, &cell, seed));
    }
    let volume = cell.volume().unwrap();
    let half = (0..3)
        .map(|k| 0.5 * cell.height(k))
        .fold(f64::MAX, f64::min);
    let pairs = [100.0 * 99.0 / 2.0, 100.0 * 200.0, 200.0 * 199.0 / 2.0];
    for (k, pairs) in pairs.into_iter().enumerate() {
        let g = rdf.distribution(k);
        let width = half / g.len() as f64;
        let (mut squares, mut counted) = (0.0, 0);
        for (bin, g) in g.iter().enumerate() {
            let edge = |bin: usize| bin as f64 * width;
            let shell = edge(bin + 1).powi(3) - edge(bin).powi(3);
            let shell = shell * 4.0 / 3.0 * std::f64::consts::PI;
            let expected = f64::from(FRAMES) * pairs * shell / volume;
            // The Poisson law is a normal one from here on.
            if expected > 25.0 {
                let off = (g - 1.0) * expected.sqrt();
                assert!(
                    off.abs() < SIGMAS,
                    "pair {k} shell {bin}: g = {g}, {off} deviations"
                );
                squares += off * off;
                counted += 1;
            }
        }
        assert!(counted > 100);
        // Mean square of n normal numbers: 1, with a deviation of sqrt(2 / n).
        let spread = (squares / f64::from(counted) - 1.0).abs();
        assert!(
            spread < SIGMAS * (2.0 / f64::from(counted)).sqrt(),
            "{spread}"
        );
    }
}

/// The shells of a face-centred cubic crystal: 12 neighbours at a / sqrt 2, 6 more at a, 24 at a sqrt(3/2), 12 at a sqrt 2.
#[test]
fn a_crystal_has_its_shells() {
    const EDGE: f64 = 4.1;
    const CELLS: usize = 4;
    let cell = Cell::new(Mat3::identity() * (EDGE * CELLS as f64), [true; 3]).unwrap();
    let mut positions = Vec::new();
    for index in 0..CELLS.pow(3) {
        let corner = [index % CELLS, index / CELLS % CELLS, index / CELLS / CELLS];
        let corner = Vec3::from(corner.map(|k| k as f64));
        for basis in [[0.0; 3], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]] {
            // Off the faces, where rounding decides.
            positions.push(EDGE * (corner + Vec3::from(basis)) + Vec3::repeat(0.3));
        }
    }
    let species = vec![18; positions.len()];
    let mut rdf = PairDistances::new(&studied(&species, &cell, &positions, 1), None).unwrap();
    show(&mut rdf, &cell, &positions);
    let g = rdf.distribution(0);
    let around = rdf.neighbors(0, false);
    let width = 0.5 * EDGE * CELLS as f64 / g.len() as f64;
    let mut total = 0.0;
    for (distance, count) in [(0.5_f64, 12.0), (1.0, 6.0), (1.5, 24.0), (2.0, 12.0)] {
        let bin = (EDGE * distance.sqrt() / width) as usize;
        total += count;
        assert!(
            (around[bin + 1] - total).abs() < ROUNDING,
            "{distance}: {}",
            around[bin + 1]
        );
        assert!((around[bin - 2] - (total - count)).abs() < ROUNDING);
        assert!(g[bin] + g[bin + 1] + g[bin - 1] > 1.0);
    }
    let found = rdf.finding().unwrap();
    let shell = &found.figures["pairs"][0];
    assert!(
        (shell["neighbors"].as_f64().unwrap() - 12.0).abs() < ROUNDING,
        "{shell}"
    );
    // No second atom may be seen twice.
    let far = PairDistances::new(&studied(&species, &cell, &positions, 1), Some(8.3));
    assert!(far.err().unwrap().to_string().contains("images"));
}

/// Without a cell, pairs are counted and nothing is said of a density.
#[test]
fn a_molecule_has_distances_alone() {
    let positions = [
        Vec3::zeros(),
        Vec3::new(0.96, 0.0, 0.0),
        Vec3::new(-0.24, 0.93, 0.0),
    ];
    let studied = studied(&[8, 1, 1], &Cell::open(), &positions, 1);
    let mut rdf = PairDistances::new(&studied, None).unwrap();
    show(&mut rdf, &Cell::open(), &positions);
    show(&mut rdf, &Cell::open(), &positions);
    let found = rdf.finding().unwrap();
    assert!(
        found.notes[0].contains("not normalised"),
        "{:?}",
        found.notes
    );
    // Two O-H pairs in each frame, in whichever shells they are.
    assert!((rdf.distribution(1).iter().sum::<f64>() - 2.0).abs() < ROUNDING);
    assert!(DensityProfiles::new(&studied).is_err());
}

/// A torsion of +60 degrees turns the far bond clockwise as one looks along the middle one; that of the mirror image is -60.
#[test]
fn torsions_have_their_sign() {
    for degrees in [60.0_f64, -60.0, 179.0, -179.0, 0.5] {
        let far = degrees.to_radians();
        // From the first atom to the second, along z, and to the fourth: clockwise as seen from below.
        let found = torsion(
            &Vec3::new(-1.0, 0.0, 0.0),
            &Vec3::new(0.0, 0.0, 1.5),
            &Vec3::new(far.cos(), far.sin(), 0.2),
        );
        assert!(
            (found - degrees).abs() < ROUNDING,
            "{found} is not {degrees}"
        );
    }
}

/// Hydrogen peroxide, cut by the face of its cell: lengths, angles and the torsion that it was built with.
#[test]
fn coordinates_are_those_that_a_molecule_was_built_with() {
    let cell = triclinic();
    let turn = 111.5_f64.to_radians();
    let bend = 94.8_f64.to_radians();
    let (oo, oh) = (1.474, 0.95);
    let shift = Vec3::new(-0.4, 0.1, 0.2);
    let first = Vec3::new(oh * bend.cos(), oh * bend.sin(), 0.0);
    let last = Vec3::new(
        oo - oh * bend.cos(),
        oh * bend.sin() * turn.cos(),
        oh * bend.sin() * turn.sin(),
    );
    let whole = [first, Vec3::zeros(), Vec3::new(oo, 0.0, 0.0), last];
    let positions: Vec<Vec3> = whole.iter().map(|r| cell.wrap(&(r + shift))).collect();
    assert!((positions[1] - positions[2]).norm() > 5.0, "it is cut");
    let studied = studied(&[1, 8, 8, 1], &cell, &positions, 1);
    for (coordinate, expected) in [
        (Coordinate::Bond, vec![("H-O", 2, oh), ("O-O", 1, oo)]),
        (Coordinate::Angle, vec![("H-O-O", 2, 94.8)]),
        (Coordinate::Torsion, vec![("H-O-O-H", 1, 111.5)]),
    ] {
        let mut found = Coordinates::new(&studied, coordinate).unwrap();
        show(&mut found, &cell, &positions);
        let mut summary = found.summary();
        summary.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(summary.len(), expected.len());
        for ((name, terms, [mean, _]), (right, count, value)) in summary.iter().zip(expected) {
            assert_eq!((name.as_str(), *terms), (right, count));
            assert!(
                (mean - value).abs() < ROUNDING,
                "{name}: {mean} is not {value}"
            );
        }
    }
}

/// All atoms in a slab of a skewed cell: its density is theirs, whatever multiple of the lattice they are away by.
#[test]
fn a_slab_has_its_density() {
    let cell = triclinic();
    let positions: Vec<Vec3> = (0..8)
        .map(|k| {
            cell.cartesian(&Vec3::new(
                0.1 + f64::from(k),
                0.5,
                f64::from(k) / 8.0 + 0.01,
            ))
        })
        .collect();
    let studied = studied(&[18; 8], &cell, &positions, 1);
    let mut density = DensityProfiles::new(&studied).unwrap();
    show(&mut density, &cell, &positions);
    let mean = 8.0 * elements::mass(18).unwrap() / cell.volume().unwrap() / GRAM_PER_CM3;
    let along_a = density.profile(0);
    let slab = (0.1 * along_a.len() as f64) as usize;
    for (k, found) in along_a.iter().enumerate() {
        let right = if k == slab {
            mean * along_a.len() as f64
        } else {
            0.0
        };
        assert!(
            (found - right).abs() < ROUNDING,
            "{k}: {found} is not {right}"
        );
    }
    for axis in 0..3 {
        let profile = density.profile(axis);
        let found = profile.iter().sum::<f64>() / profile.len() as f64;
        assert!((found - mean).abs() < ROUNDING);
    }
}

/// Two waters: the donor at the origin, whose hydrogen points along x but for `angle`; the acceptor `distance` away along x.
fn dimer(distance: f64, angle: f64) -> (Vec<u8>, Vec<Vec3>) {
    let (angle, opening) = (angle.to_radians(), 104.5_f64.to_radians());
    let water = |turn: f64| Vec3::new(0.96 * turn.cos(), 0.96 * turn.sin(), 0.0);
    let acceptor = Vec3::new(distance, 0.0, 0.0);
    let away = |turn: f64| acceptor + water(turn);
    let positions = vec![
        Vec3::zeros(),
        water(angle),
        water(angle + opening),
        acceptor,
        away(0.9),
        away(-0.9),
    ];
    (vec![8, 1, 1, 8, 1, 1], positions)
}

/// A hydrogen bond is one below 3.5 A and 30 degrees, and none beyond either, in the open and across the faces of a cell.
#[test]
fn a_dimer_has_the_hydrogen_bond_that_it_was_made_with() {
    let cells = [Cell::open(), triclinic()];
    for (distance, angle, right) in [
        (2.9, 0.0, 1),
        (2.9, 29.9, 1),
        (2.9, 30.1, 0),
        (3.49, 10.0, 1),
        (3.51, 10.0, 0),
        (2.9, -29.9, 1),
    ] {
        for cell in &cells {
            let (species, positions) = dimer(distance, angle);
            let moved: Vec<Vec3> = (positions.iter())
                .map(|r| cell.wrap(&(r - Vec3::new(1.5, 0.2, 0.0))))
                .collect();
            let studied = studied(&species, cell, &moved, 1);
            let bonds = HydrogenBonds::new(&studied).unwrap();
            let found = bonds
                .of_frame(&super::frame(0, cell, moved.clone()))
                .unwrap();
            assert_eq!(found.len(), right, "{distance} A, {angle} degrees");
            for bond in found {
                assert_eq!(bond.atoms, [0, 1, 3]);
                assert!((bond.distance - distance).abs() < ROUNDING);
                assert!((bond.angle - angle.abs()).abs() < 1e-6);
            }
        }
    }
}
