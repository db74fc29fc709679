//! Crystals whose cell may change: constants of the lattice, pressures, what each coupling keeps.

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::dynamics::cell_rescaling::Coupling;
use mdrun::minimize::{MinimizerSettings, Minimum};
use mdrun::potential::lennard_jones::LennardJones;

use super::{METHODS, converged, found, unit_lennard_jones};
use crate::physics::subjects::face_centred;
use crate::support::atoms::{Random, derivative};

/// Beyond the cutoff a face-centred cubic crystal lacks a thousandth of its cohesion.
const CUTOFF: f64 = 6.0;
/// Edge of the cube of the uncut potential (diameters), to within what is cut: sums of Lennard-Jones and Ingham, Proc. R. Soc. A
/// 107, 636 (1925): a nearest distance of 1.0902 diameters.
const EDGE: f64 = 1.0902 * std::f64::consts::SQRT_2;
const CUT: f64 = 2e-3;
/// A stress that is left strains by itself over the modulus of 75 wells / diameter^3.
const STRESS: f64 = 1e-7;
const STRAIN: f64 = 1e-8;

/// Energy of one atom (eV) in a crystal of this edge (angstrom), summed over its shells.
fn energy_of_an_atom(edge: f64) -> f64 {
    let potential = LennardJones::new(1.0, 1.0, CUTOFF).unwrap();
    let sites = face_centred(14, edge);
    let centre = face_centred(14, edge)[4 * (7 + 14 * 7 + 196 * 7)];
    let distances = sites.iter().map(|r| (r - centre).norm());
    let near = distances.filter(|r| (1e-9..CUTOFF).contains(r));
    0.5 * near.map(|r| potential.pair(r).0).sum::<f64>()
}

/// The edge (angstrom) at which the enthalpy of an atom is least, by halving of its slope.
fn edge_at(pressure: f64) -> f64 {
    let slope = |edge: f64| {
        derivative(1e-3, |d| {
            energy_of_an_atom(edge + d) + pressure * (edge + d).powi(3) / 4.0
        })
    };
    let (mut low, mut high) = (1.3, 1.7);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        match slope(middle) > 0.0 {
            true => high = middle,
            false => low = middle,
        }
    }
    0.5 * (low + high)
}

/// A crystal of 32 atoms, out of shape and shaken, in a cell that is turned.
fn crystal(strain: &Mat3, rotation: &Mat3, shaken: f64) -> (Cell, Vec<Vec3>) {
    let mut random = Random::new(4);
    let map = rotation * strain;
    let cube = Cell::new(Mat3::identity() * (2.0 * EDGE), [true; 3]).unwrap();
    let positions = face_centred(2, EDGE).into_iter();
    let positions = positions.map(|r| map * (r + shaken * random.vector()));
    (cube.strained(&map).unwrap(), positions.collect())
}

fn settings(coupling: Coupling, pressure: f64) -> MinimizerSettings {
    MinimizerSettings::of_positions(1e-6, 10_000).with_cell(coupling, pressure, STRESS)
}

/// Lengths of the edges of the cube, and cosines between them.
fn shape(minimum: &Minimum) -> ([f64; 3], [f64; 3]) {
    let edges = [0, 1, 2].map(|k| minimum.cell.vector(k));
    let cosine = |a: usize, b: usize| edges[a].normalize().dot(&edges[b].normalize());
    (
        [0, 1, 2].map(|k| 0.5 * edges[k].norm()),
        [cosine(0, 1), cosine(0, 2), cosine(1, 2)],
    )
}

#[test]
fn a_crystal_out_of_shape_becomes_a_cube_of_the_known_edge() {
    /// The slope of a five-point formula at 1e-3 is off by the fifth derivative times 1e-12 / 30.
    const SLOPE: f64 = 2e-8;
    let skew = Mat3::new(1.05, 0.03, -0.02, 0.0, 0.97, 0.04, 0.0, 0.0, 1.02);
    let rotation = Random::new(8).rotation();
    let (cell, positions) = crystal(&skew, &rotation, 0.03);
    for pressure in [0.0, 5.0, -2.0] {
        let edge = edge_at(pressure);
        assert!(pressure != 0.0 || (edge - EDGE).abs() < CUT, "{edge}");
        for method in METHODS {
            let settings = MinimizerSettings {
                method,
                ..settings(Coupling::Triclinic, pressure)
            };
            let mut field = unit_lennard_jones(CUTOFF);
            let minimum = converged(&mut field, &settings, &cell, &positions);
            let (edges, cosines) = shape(&minimum);
            println!(
                "{} at {pressure}: {edges:?}, {}",
                method.name(),
                minimum.evaluations
            );
            for found in edges {
                assert!(
                    (found - edge).abs() < SLOPE + STRAIN * EDGE,
                    "{found} {edge}"
                );
            }
            assert!(
                cosines.iter().all(|c| c.abs() < 10.0 * STRAIN),
                "{cosines:?}"
            );
            let atoms = positions.len() as f64;
            let enthalpy = energy_of_an_atom(edge) + pressure * edge.powi(3) / 4.0;
            assert!((minimum.enthalpy / atoms - enthalpy).abs() < 1e-10);
            // Positive pressure is a compression: the stress of the minimum is its negative.
            let volume = minimum.cell.volume().unwrap();
            let stress = minimum.evaluation.strain_derivative.trace() / 3.0 / volume;
            assert!((stress + pressure).abs() < 3.0 * STRESS, "{stress}");
        }
    }
}

#[test]
fn a_coupling_changes_what_it_may_and_nothing_else() {
    let edge = edge_at(0.0);
    let stretch = Mat3::from_diagonal(&Vec3::new(1.04, 0.98, 1.01));
    let turns = [Mat3::identity(), Random::new(8).rotation()];
    for rotation in turns {
        let (cell, positions) = crystal(&stretch, &rotation, 0.0);
        let end = |coupling| {
            let mut field = unit_lennard_jones(CUTOFF);
            converged(&mut field, &settings(coupling, 0.0), &cell, &positions)
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 3e-8, "{a} {b}");
        let (edges, cosines) = shape(&end(Coupling::Anisotropic));
        edges.into_iter().for_each(|found| close(found, edge));
        cosines.into_iter().for_each(|found| close(found, 0.0));
        let (edges, cosines) = shape(&end(Coupling::Isotropic));
        close(edges[0] / edges[1], 1.04 / 0.98);
        close(edges[2] / edges[1], 1.01 / 0.98);
        cosines.into_iter().for_each(|found| close(found, 0.0));
        let (edges, _) = shape(&end(Coupling::Plane));
        close(edges[0] / edges[1], 1.04 / 0.98);
        close(edges[2], 1.01 * EDGE);
        assert!((edges[0] - 1.04 * EDGE).abs() > 1e-3);
    }
    // Edges of a cell along the axes stay there to the last bit.
    let (cell, positions) = crystal(&stretch, &Mat3::identity(), 0.01);
    for coupling in [Coupling::Isotropic, Coupling::Anisotropic] {
        let mut field = unit_lennard_jones(CUTOFF);
        let minimum = found(&mut field, &settings(coupling, 1.0), &cell, &positions);
        let vectors = minimum.cell.vectors();
        for (a, b) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            assert_eq!(vectors[(a, b)], 0.0, "{coupling:?}");
        }
    }
}

/// Fractional coordinates follow the cell, and lattice vectors are not turned.
#[test]
fn a_cell_is_stretched_and_not_turned() {
    let skew = Mat3::new(1.02, 0.05, 0.0, 0.0, 1.0, 0.03, 0.0, 0.0, 0.97);
    let (cell, positions) = crystal(&skew, &Random::new(2).rotation(), 0.0);
    let mut field = unit_lennard_jones(CUTOFF);
    let minimum = converged(
        &mut field,
        &settings(Coupling::Triclinic, 0.0),
        &cell,
        &positions,
    );
    let strain = cell.strain_to(&minimum.cell);
    assert!((strain - strain.transpose()).amax() < 1e-12, "{strain}");
    for (from, to) in positions.iter().zip(&minimum.positions) {
        let off = cell.fractional(from) - minimum.cell.fractional(to);
        assert!(off.amax() < 1e-7, "{off}");
    }
}
