//! The fused CPU engine against the equations of the paper written out, and against itself on other
//! threads and instructions.

mod int8;

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::neighbors::Pairs;
use mdrun::potential::fused::Curves as _;
use mdrun::potential::painn::cpu::{Filters, FusedPainn, Isa};
use mdrun::potential::painn::{RadialBasis, Spec, Weights};
use mdrun::potential::{Evaluation, Potential, Precision};

use crate::support::atoms::{Atoms, Random, farthest};
use crate::support::{brute, naive};

/// A model and some atoms in a cell.
struct Case {
    spec: Spec,
    weights: Weights,
    atoms: Atoms,
}

impl Case {
    fn pairs(&self) -> Pairs {
        brute::pairs(&self.atoms.cell, &self.atoms.positions, self.spec.cutoff)
    }

    fn engine(&self, precision: Precision, threads: usize) -> FusedPainn {
        let species = &self.atoms.species;
        FusedPainn::new(&self.spec, &self.weights, species, precision, threads).unwrap()
    }

    fn evaluate(&self, engine: &mut FusedPainn) -> Evaluation {
        self.atoms.evaluate(engine)
    }

    /// What the equations say.
    fn exact(&self) -> Evaluation {
        naive::evaluate(
            &self.spec,
            &self.weights,
            &self.atoms.species,
            &self.pairs(),
        )
    }
}

fn gaussian(count: usize, cutoff: f64) -> RadialBasis {
    let step = cutoff / (count - 1) as f64;
    RadialBasis::Gaussian {
        centers: (0..count).map(|k| k as f64 * step).collect(),
        widths: vec![step; count],
    }
}

fn bessel(count: usize, cutoff: f64) -> RadialBasis {
    RadialBasis::Bessel {
        frequencies: (1..=count)
            .map(|k| k as f64 * std::f64::consts::PI / cutoff)
            .collect(),
        scale: 1.0,
    }
}

/// A model of random weights, and atoms at random in a skew cell that is periodic along two directions, and smaller than the
/// cutoff along one.
fn case(features: usize, layers: usize, basis: RadialBasis, cutoff: f64, atoms: usize) -> Case {
    /// Edge of a cube for each atom (angstrom).
    const SPACING: f64 = 1.7;
    let columns = atoms.div_ceil(4);
    let vectors = Mat3::new(2.0, 0.3, 0.0, -0.2, 2.1, 0.4, 0.1, 0.2, columns as f64) * SPACING;
    let cell = Cell::new(vectors, [true, false, true]).unwrap();
    let spec = Spec::new(features, layers, basis, cutoff, &[1, 6, 7, 8]);
    Case {
        weights: Weights::random(&spec, features as u32 * 31 + layers as u32),
        spec: Spec {
            mean_per_atom: -1.25,
            energy_scale: 0.7,
            ..spec
        },
        atoms: Atoms::random(atoms, cell, &mut Random::new(1)),
    }
}

/// Largest |force| of an evaluation: the scale of its errors.
fn scale(e: &Evaluation) -> f64 {
    e.forces.iter().map(Vec3::amax).fold(1.0, f64::max)
}

/// Checks energy, all forces and the strain derivative against the equations.
fn check_against_equations(case: &Case) {
    /// Splines leave 1e-11 of a filter and of its slope, and sums of a few thousand terms 1e-13 of theirs.
    const RELATIVE: f64 = 1e-9;
    let found = case.evaluate(&mut case.engine(Precision::F64, 2));
    let exact = case.exact();
    let name = format!("{} x {}", case.spec.layers, case.spec.features);
    // A strain moves pairs by up to the cutoff.
    let virial = scale(&exact) * case.spec.cutoff * case.atoms.species.len() as f64;
    let errors = [
        (found.energy - exact.energy).abs() / exact.energy.abs().max(1.0),
        farthest(&found.forces, &exact.forces) / scale(&exact),
        (found.strain_derivative - exact.strain_derivative).amax() / virial,
    ];
    println!("{name}: energy, forces, strain off by {errors:?}");
    assert!(errors.iter().all(|e| *e < RELATIVE), "{name}: {errors:?}");
}

#[test]
fn equals_the_equations_at_any_width_depth_and_basis() {
    for (features, layers) in [
        (8, 1),
        (24, 2),
        (33, 3),
        (64, 4),
        (128, 3),
        (256, 1),
        (1, 2),
    ] {
        check_against_equations(&case(features, layers, gaussian(20, 5.0), 5.0, 9));
        check_against_equations(&case(features, layers, bessel(8, 4.0), 4.0, 7));
    }
}

#[test]
fn equals_the_equations_with_many_atoms() {
    // Enough for atoms to be put in another order in memory.
    check_against_equations(&case(8, 2, gaussian(10, 4.0), 4.0, 600));
}

#[test]
fn equals_the_equations_with_any_readout() {
    for hidden in [&[][..], &[5], &[40, 17], &[33, 8, 3]] {
        let mut case = case(24, 2, gaussian(12, 4.0), 4.0, 8);
        case.weights = Weights::random_with_readout(&case.spec, hidden, 5);
        check_against_equations(&case);
    }
}

#[test]
fn equals_the_equations_without_neighbors() {
    let mut case = case(16, 2, gaussian(12, 4.0), 4.0, 3);
    case.atoms.cell = Cell::open();
    case.atoms.positions = (0..3)
        .map(|k| Vec3::new(10.0 * f64::from(k), 0.0, 0.0))
        .collect();
    let found = case.evaluate(&mut case.engine(Precision::F64, 2));
    assert!((found.energy - case.exact().energy).abs() < 1e-12);
    assert_eq!(found.forces, vec![Vec3::zeros(); 3]);
    assert_eq!(found.strain_derivative, Mat3::zeros());
}

/// Everything that an evaluation says, as bits.
fn bits(e: &Evaluation) -> Vec<u64> {
    let forces = e.forces.iter().flat_map(|f| f.iter().copied());
    let all = forces
        .chain(e.strain_derivative.iter().copied())
        .chain([e.energy]);
    all.map(f64::to_bits).collect()
}

#[test]
fn bits_depend_neither_on_threads_nor_on_the_run() {
    // From one block of atoms up to where blocks are taken through chains of stages by every number
    // of threads but the largest.
    for atoms in [3, 9, 60, 700] {
        let case = case(32, 3, gaussian(20, 5.0), 5.0, atoms);
        let pairs = case.pairs();
        for precision in [Precision::F32, Precision::F64] {
            let mut first = None;
            for threads in [1, 2, 3, 8] {
                let mut engine = case.engine(precision, threads);
                for _ in 0..3 {
                    let mut out = Evaluation::zeros(atoms);
                    engine.evaluate(&pairs, &mut out).unwrap();
                    let bits = bits(&out);
                    assert_eq!(
                        *first.get_or_insert(bits.clone()),
                        bits,
                        "{threads} threads"
                    );
                }
            }
        }
    }
}

#[test]
fn every_instruction_set_says_the_same() {
    /// Rounding of sums of some hundred terms that partly cancel.
    const ROUNDING_F32: f64 = 2e-5;
    const ROUNDING_F64: f64 = 1e-12;
    let case = case(40, 3, gaussian(20, 5.0), 5.0, 30);
    for (precision, rounding) in [
        (Precision::F32, ROUNDING_F32),
        (Precision::F64, ROUNDING_F64),
    ] {
        let with = |isa| {
            let (spec, weights) = (&case.spec, &case.weights);
            let engine =
                FusedPainn::with_isa(spec, weights, &case.atoms.species, precision, 1, isa);
            case.evaluate(&mut engine.unwrap())
        };
        let portable = with(Isa::Portable);
        for isa in Isa::available() {
            let found = with(isa);
            let size = scale(&found);
            for (a, b) in found.forces.iter().zip(&portable.forces) {
                assert!(
                    (a - b).amax() < rounding * size,
                    "{isa:?}: {a} against {b} of {size}"
                );
            }
        }
    }
}

#[test]
fn f32_is_f64_rounded() {
    /// f32 rounding (6e-8) through some hundred operations in a row.
    const ROUNDING: f64 = 2e-5;
    let case = case(128, 3, gaussian(20, 5.0), 5.0, 40);
    let exact = case.evaluate(&mut case.engine(Precision::F64, 2));
    let found = case.evaluate(&mut case.engine(Precision::F32, 2));
    let size = scale(&exact);
    for (a, b) in found.forces.iter().zip(&exact.forces) {
        assert!(
            (a - b).amax() < ROUNDING * size,
            "{a} against {b} of {size}"
        );
    }
    assert!((found.energy - exact.energy).abs() < ROUNDING * exact.energy.abs());
}

/// What is said of the splines' error at the start is what the energy shows: in f64 it is the only error that is not rounding.
#[test]
fn the_error_that_is_told_of_splines_is_under_what_was_asked_for() {
    const BOUNDS: [(Precision, f64); 2] = [(Precision::F32, 1e-6), (Precision::F64, 1e-11)];
    for basis in [gaussian(20, 5.0), bessel(20, 5.0)] {
        let case = case(16, 2, basis, 5.0, 4);
        for (precision, bound) in BOUNDS {
            let engine = case.engine(precision, 1);
            let error = engine.spline_error();
            assert!(error.value <= bound && error.slope <= bound, "{error:?}");
            assert!(error.value > 0.0, "a spline cannot be exact");
            let described = engine.about().to_string();
            let told = format!("{:.0e} of a filter", error.value);
            assert!(
                described.contains(&told),
                "{described} does not tell {told}"
            );
        }
    }
}

#[test]
fn filters_are_those_of_the_equations() {
    /// Step of central differences (angstrom) and what they leave of derivatives of order ten.
    const STEP: f64 = 1e-4;
    const LEFT: f64 = 1e-4;
    for basis in [gaussian(20, 5.0), bessel(6, 5.0)] {
        let case = case(8, 1, basis, 5.0, 4);
        let linear = &case.weights.layers[0].filter;
        let filters = Filters::new(&case.spec.basis, case.spec.cutoff, linear);
        for d in [0.7, 1.9, 3.3, 4.99] {
            let at = |d: f64| naive::filter(&case.spec, linear, d)[0].clone();
            let (low, middle, high) = (at(d - STEP), at(d), at(d + STEP));
            for (k, jet) in filters.jets(d).into_iter().enumerate() {
                let slope = (high[k] - low[k]) / (2.0 * STEP);
                let curvature = (high[k] - 2.0 * middle[k] + low[k]) / (STEP * STEP);
                assert!((jet[0] - middle[k]).abs() < 1e-12);
                assert!((jet[1] - slope).abs() < LEFT);
                assert!(
                    (jet[2] - curvature).abs() < 100.0 * LEFT,
                    "{} {curvature}",
                    jet[2]
                );
            }
        }
    }
}

#[test]
fn refuses_what_is_not_a_pair_list() {
    let case = case(8, 1, gaussian(8, 4.0), 4.0, 6);
    let mut engine = case.engine(Precision::F32, 2);
    let good = case.pairs();
    let mut out = Evaluation::zeros(6);
    let mut refused = |spoil: fn(&mut Pairs)| {
        let mut pairs = good.clone();
        spoil(&mut pairs);
        assert!(engine.evaluate(&pairs, &mut out).is_err());
    };
    refused(|p| p.neighbors[1] = 6);
    refused(|p| p.reverse[2] = u32::MAX);
    refused(|p| p.rows[3] = 0);
    refused(|p| p.rows.truncate(3));
    refused(|p| p.distances.truncate(3));
    engine.evaluate(&good, &mut out).unwrap();
    assert!(out.energy.is_finite());
}

#[test]
fn passes_on_what_is_not_finite() {
    let case = case(8, 2, gaussian(8, 4.0), 4.0, 6);
    let mut pairs = case.pairs();
    pairs.distances[0] = f64::NAN;
    let mut out = Evaluation::zeros(6);
    case.engine(Precision::F32, 2)
        .evaluate(&pairs, &mut out)
        .unwrap();
    assert!(!out.energy.is_finite() || out.forces.iter().any(|f| !f.x.is_finite()));
}
