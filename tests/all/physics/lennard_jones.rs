//! Lennard-Jones against its own closed form and against finite differences.

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::neighbors::Pairs;
use mdrun::potential::Evaluation;
use mdrun::potential::lennard_jones::LennardJones;

use super::subjects::{CUTOFF, EPSILON, SIGMA, argon_potential};

/// Relative rounding of a few operations.
const ROUNDING: f64 = 1e-14;

fn evaluate(cell: &Cell, positions: &[Vec3]) -> Evaluation {
    let mut potential = argon_potential();
    let pairs = Pairs::within(cell, positions, potential.cutoff()).unwrap();
    let mut out = Evaluation::zeros(positions.len());
    potential.evaluate(&pairs, &mut out).unwrap();
    out
}

#[test]
fn the_well_is_where_it_should_be() {
    let potential = LennardJones::new(EPSILON, SIGMA, CUTOFF).unwrap();
    let bottom = 2.0_f64.powf(1.0 / 6.0) * SIGMA;
    let (energy, slope) = potential.pair(bottom);
    assert!((energy / EPSILON + 1.0).abs() < ROUNDING);
    assert!(slope.abs() < 100.0 * ROUNDING * EPSILON / SIGMA);
    let (energy, slope) = potential.pair(SIGMA);
    assert!(energy.abs() < 100.0 * ROUNDING * EPSILON);
    assert!((slope * SIGMA / EPSILON + 24.0).abs() < 100.0 * ROUNDING);
    // The curvature at the bottom: 72 / 2^(1/3) epsilon / sigma^2.
    let h = 1e-4;
    let curvature = (potential.pair(bottom + h).1 - potential.pair(bottom - h).1) / (2.0 * h);
    let expected = 72.0 / 2.0_f64.cbrt() * EPSILON / SIGMA.powi(2);
    // The error of the difference is h^2 / 6 of the fourth derivative: 1e-8 of 1500 / sigma^2 of it.
    assert!((curvature / expected - 1.0).abs() < 1e-6);
}

/// Energy, slope and curvature have no jump where the switch begins and where it ends.
#[test]
fn the_switch_is_smooth() {
    let potential = LennardJones::new(EPSILON, SIGMA, CUTOFF).unwrap();
    let h = 1e-6;
    for place in [0.8 * CUTOFF, CUTOFF] {
        let (below, above) = (potential.pair(place - h), potential.pair(place + h));
        // What a smooth function changes by over 2 h, with room to spare.
        assert!((below.0 - above.0).abs() < 10.0 * h * EPSILON / SIGMA);
        assert!((below.1 - above.1).abs() < 100.0 * h * EPSILON / SIGMA.powi(2));
        let curvature = |r: f64| (potential.pair(r + h).1 - potential.pair(r - h).1) / (2.0 * h);
        let jump = (curvature(place - 2.0 * h) - curvature(place + 2.0 * h)).abs();
        assert!(jump < 1e-3 * EPSILON / SIGMA.powi(2), "{jump}");
    }
    assert_eq!(potential.pair(CUTOFF), (0.0, 0.0));
    assert!(potential.pair(0.9 * CUTOFF).0 < 0.0);
}

#[test]
fn two_atoms_pull_each_other() {
    let potential = LennardJones::new(EPSILON, SIGMA, CUTOFF).unwrap();
    let (energy, slope) = potential.pair(4.5);
    assert!(energy < 0.0 && slope > 0.0);
    let away = Vec3::new(4.5, 0.0, 0.0);
    let found = evaluate(
        &Cell::open(),
        &[Vec3::repeat(1.0), Vec3::repeat(1.0) + away],
    );
    assert_eq!(found.energy, energy);
    let pull = Vec3::new(slope, 0.0, 0.0);
    assert!(
        (found.forces[0] - pull).norm() < ROUNDING && (found.forces[1] + pull).norm() < ROUNDING
    );
    let strain = found.strain_derivative;
    assert!((strain[(0, 0)] - 4.5 * slope).abs() < ROUNDING);
    assert_eq!(strain.iter().filter(|x| **x != 0.0).count(), 1);
}

/// A small cell with several images in the cutoff, periodic along two directions.
fn arrangement() -> (Mat3, [bool; 3], Vec<Vec3>) {
    let vectors = Mat3::new(6.5, 0.0, 0.0, 1.5, 7.0, 0.0, -2.0, 1.0, 9.0);
    let positions = vec![
        Vec3::new(0.3, 0.1, 0.2),
        Vec3::new(3.9, 0.4, 1.0),
        Vec3::new(1.9, 3.8, 0.6),
        Vec3::new(2.2, 1.9, 4.1),
        Vec3::new(8.1, 3.7, 3.2),
    ];
    (vectors, [true, true, false], positions)
}

/// Differences of energies of about 0.1 eV over 2 h are off by 1e-17 / h and by h^2 times the third
/// derivative, 1e3 eV / A^3 at most.
const DIFFERENCE: f64 = 1e-5;
const DIFFERENCE_ERROR: f64 = 1e3 * DIFFERENCE * DIFFERENCE;

#[test]
fn forces_are_minus_the_gradient() {
    let (vectors, periodic, positions) = arrangement();
    let cell = Cell::new(vectors, periodic).unwrap();
    let found = evaluate(&cell, &positions);
    for i in 0..positions.len() {
        for axis in 0..3 {
            let energy = |h: f64| {
                let mut moved = positions.clone();
                moved[i][axis] += h;
                evaluate(&cell, &moved).energy
            };
            let force = (energy(-DIFFERENCE) - energy(DIFFERENCE)) / (2.0 * DIFFERENCE);
            let off = (found.forces[i][axis] - force).abs();
            assert!(off < DIFFERENCE_ERROR, "atom {i}, {axis}: off by {off:e}");
        }
    }
    let total: Vec3 = found.forces.iter().sum();
    assert!(total.norm() < 1e-13);
}

#[test]
fn the_strain_derivative_is_that_of_the_energy() {
    let (vectors, periodic, positions) = arrangement();
    let found = evaluate(&Cell::new(vectors, periodic).unwrap(), &positions).strain_derivative;
    for a in 0..3 {
        for b in 0..3 {
            let energy = |h: f64| {
                // Row vectors: r (1 + strain), so that r_b grows by strain r_a.
                let mut deform = Mat3::identity();
                deform[(a, b)] += h;
                let cell = Cell::new(vectors * deform, periodic).unwrap();
                let moved: Vec<Vec3> = positions.iter().map(|r| deform.transpose() * r).collect();
                evaluate(&cell, &moved).energy
            };
            let expected = (energy(DIFFERENCE) - energy(-DIFFERENCE)) / (2.0 * DIFFERENCE);
            let off = (found[(a, b)] - expected).abs();
            // Lengths of up to 8 A make the third derivative larger.
            assert!(off < 100.0 * DIFFERENCE_ERROR, "{a} {b}: off by {off:e}");
        }
    }
}

#[test]
fn threads_do_not_matter_and_nonsense_is_refused() {
    let positions = super::subjects::face_centred(8, 5.4);
    let cell = Cell::new(Mat3::identity() * 43.2, [true; 3]).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| evaluate(&cell, &positions))
    };
    assert_eq!(run(1), run(3));
    for (epsilon, sigma, cutoff) in [(0.0, 3.4, 8.0), (0.01, f64::NAN, 8.0), (0.01, 3.4, -8.0)] {
        let error = LennardJones::new(epsilon, sigma, cutoff).unwrap_err();
        assert!(error.to_string().contains("must be a positive number"));
    }
}
