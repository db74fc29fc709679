//! The StudentForceField: the engine of the processor against its equations and against what its authors' code gives, its
//! files, and what the commands say of it.

mod command;
mod files;
mod naive;

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::neighbors::Pairs;
use mdrun::potential::fused::{Curves as _, Isa};
use mdrun::potential::student::{FusedStudent, Student, StudentFilters, import};
use mdrun::potential::{Evaluation, Potential, Precision};

use crate::support::atoms::{Atoms, Random, farthest};
use crate::support::data::Table;
use crate::support::{brute, reference};

/// Parity with what its authors' code gives (eV, eV / angstrom).
pub const PARITY: f64 = 1e-5;

/// The 427,292-parameter model as it lies there, with the hyper-parameters beside it; and arrangements of ethanol.
pub fn published() -> Option<(Student, Vec<Atoms>, Vec<Evaluation>)> {
    let model = reference("student_427k.safetensors")?;
    let data = reference("student_427k_reference.safetensors")?;
    let beside = std::fs::read_to_string(model.with_extension("json")).unwrap();
    let (student, ..) = import(&std::fs::read(model).unwrap(), Some(&beside)).unwrap();
    let table = Table::read(&std::fs::read(data).unwrap());
    let (species, positions) = (table.species("Z"), table.vectors("R"));
    let forces = table.vectors("F");
    let count = species.len();
    let atoms = (positions.chunks(count))
        .map(|positions| Atoms {
            species: species.clone(),
            cell: Cell::open(),
            positions: positions.to_vec(),
        })
        .collect();
    let expected = (table.get("E").iter().zip(forces.chunks(count)))
        .map(|(&energy, forces)| Evaluation {
            energy,
            forces: forces.to_vec(),
            strain_derivative: Mat3::zeros(),
            spread: None,
        })
        .collect();
    Some((student, atoms, expected))
}

fn engine(student: &Student, species: &[u8], precision: Precision, threads: usize) -> FusedStudent {
    FusedStudent::new(student, species, precision, threads).unwrap()
}

/// In f64 and in f32, energies and forces are those of the authors' code.
#[test]
fn agrees_with_its_authors_code() {
    let Some((student, atoms, expected)) = published() else {
        return;
    };
    assert_eq!(student.parameters(), 427_292);
    assert_eq!(atoms.len(), 10);
    for precision in [Precision::F64, Precision::F32] {
        let mut engine = engine(&student, &atoms[0].species, precision, 2);
        let mut worst = [0.0_f64; 2];
        for (atoms, expected) in atoms.iter().zip(&expected) {
            let found = atoms.evaluate(&mut engine);
            worst[0] = worst[0].max((found.energy - expected.energy).abs());
            worst[1] = worst[1].max(farthest(&found.forces, &expected.forces));
        }
        println!("{precision:?}: {} eV, {} eV/A", worst[0], worst[1]);
        assert!(
            worst.iter().all(|e| *e < PARITY),
            "{precision:?}: {worst:?}"
        );
    }
}

/// Atoms at random in a skew cell that is periodic along two directions, and smaller than the range along one.
fn scene(count: usize) -> Atoms {
    /// Edge of a cube for each atom (angstrom).
    const SPACING: f64 = 1.7;
    let columns = count.div_ceil(4) as f64;
    let vectors = Mat3::new(2.0, 0.3, 0.0, -0.2, 2.1, 0.4, 0.1, 0.2, columns) * SPACING;
    let cell = Cell::new(vectors, [true, false, true]).unwrap();
    Atoms::random(count, cell, &mut Random::new(1))
}

fn pairs(student: &Student, atoms: &Atoms) -> Pairs {
    brute::pairs(&atoms.cell, &atoms.positions, student.cutoff)
}

/// At any width, depth and readout, and with atoms enough to be put in another order in memory. That forces are slopes of this
/// energy is the contract's part.
#[test]
fn energies_are_those_of_the_equations() {
    /// Splines leave 1e-11 of a filter, and sums of a few thousand terms 1e-13 of theirs.
    const RELATIVE: f64 = 1e-9;
    for (features, layers, hidden, count) in [
        (8, 1, &[][..], 9),
        (33, 2, &[5], 9),
        (40, 3, &[40, 17], 12),
        (128, 3, &[64, 32], 8),
        (1, 2, &[3, 2, 2], 7),
        (12, 2, &[6], 600),
    ] {
        let student = Student::random(features, layers, hidden, features as u32);
        let atoms = scene(count);
        let pairs = pairs(&student, &atoms);
        let found = atoms.evaluate(&mut engine(&student, &atoms.species, Precision::F64, 2));
        let exact = naive::energy(&student, &atoms.species, &pairs);
        let error = (found.energy - exact).abs() / exact.abs();
        println!("{layers} x {features}, {count} atoms: off by {error:.1e} of {exact} eV");
        assert!(error < RELATIVE, "{error}");
    }
}

/// An atom alone has the energy of its embedding, and no force: |v| has no slope at v = 0.
#[test]
fn atoms_alone_have_no_forces() {
    let student = Student::random(16, 2, &[8], 1);
    let atoms = Atoms {
        species: vec![1, 6, 8],
        cell: Cell::open(),
        positions: (0..3)
            .map(|k| Vec3::new(10.0 * f64::from(k), 0.0, 0.0))
            .collect(),
    };
    for precision in [Precision::F32, Precision::F64] {
        let found = atoms.evaluate(&mut engine(&student, &atoms.species, precision, 2));
        let exact = naive::energy(&student, &atoms.species, &pairs(&student, &atoms));
        assert!((found.energy - exact).abs() < 1e-5, "{found:?}");
        assert_eq!(found.forces, vec![Vec3::zeros(); 3]);
        assert_eq!(found.strain_derivative, Mat3::zeros());
    }
}

/// Everything that an evaluation says, as bits.
fn bits(e: &Evaluation) -> Vec<u64> {
    let forces = e.forces.iter().flat_map(|f| f.iter().copied());
    let all = forces.chain(e.strain_derivative.iter().copied());
    all.chain([e.energy]).map(f64::to_bits).collect()
}

#[test]
fn bits_depend_neither_on_threads_nor_on_the_run() {
    let student = Student::random(32, 3, &[16], 5);
    for count in [3, 9, 60, 700] {
        let atoms = scene(count);
        let pairs = pairs(&student, &atoms);
        for precision in [Precision::F32, Precision::F64] {
            let mut first = None;
            for threads in [1, 2, 3, 8] {
                let mut engine = engine(&student, &atoms.species, precision, threads);
                for _ in 0..3 {
                    let mut out = Evaluation::zeros(count);
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

/// Largest |force| of an evaluation: the scale of its errors.
fn scale(e: &Evaluation) -> f64 {
    e.forces.iter().map(Vec3::amax).fold(0.0, f64::max)
}

#[test]
fn every_instruction_set_says_the_same_and_f32_is_f64_rounded() {
    /// Rounding of sums of some hundred terms that partly cancel.
    const ROUNDING: [(Precision, f64); 2] = [(Precision::F32, 2e-5), (Precision::F64, 1e-12)];
    let student = Student::random(40, 3, &[24, 12], 5);
    let atoms = scene(30);
    let exact = atoms.evaluate(&mut engine(&student, &atoms.species, Precision::F64, 1));
    for (precision, rounding) in ROUNDING {
        let with = |isa| {
            let engine = FusedStudent::with_isa(&student, &atoms.species, precision, 1, isa);
            atoms.evaluate(&mut engine.unwrap())
        };
        let portable = with(Isa::Portable);
        assert!(farthest(&portable.forces, &exact.forces) < 2e-5 * scale(&exact));
        for isa in Isa::available() {
            let off = farthest(&with(isa).forces, &portable.forces) / scale(&portable);
            println!("{isa:?}, {precision:?}: off by {off:.1e}");
            assert!(off < rounding, "{isa:?}: {off}");
        }
    }
}

/// In their order (of s, of the unit vector, of v), with their derivatives.
#[test]
fn filters_are_those_of_the_equations() {
    /// Step of central differences (angstrom) and what they leave of derivatives of order ten.
    const STEP: f64 = 1e-4;
    const LEFT: f64 = 1e-4;
    let student = Student::random(8, 2, &[4], 3);
    for layer in 0..2 {
        let filters = StudentFilters::new(&student, layer);
        for d in [0.7, 1.9, 3.3, 4.99] {
            let at = |d: f64| {
                let all = naive::filter(&student, layer, d);
                [&all[..8], &all[16..], &all[8..16]].concat()
            };
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
fn refuses_what_is_not_a_pair_list_and_passes_on_what_is_not_finite() {
    let student = Student::random(8, 2, &[4], 1);
    let atoms = scene(6);
    let mut engine = engine(&student, &atoms.species, Precision::F32, 2);
    let good = pairs(&student, &atoms);
    let mut out = Evaluation::zeros(6);
    for spoil in [
        (|p: &mut Pairs| p.neighbors[1] = 6) as fn(&mut Pairs),
        |p| p.reverse[2] = u32::MAX,
        |p| p.rows[3] = 0,
        |p| p.distances.truncate(3),
    ] {
        let mut pairs = good.clone();
        spoil(&mut pairs);
        assert!(engine.evaluate(&pairs, &mut out).is_err());
    }
    engine.evaluate(&good, &mut out).unwrap();
    assert!(out.energy.is_finite());
    let mut pairs = good;
    pairs.distances[0] = f64::NAN;
    engine.evaluate(&pairs, &mut out).unwrap();
    assert!(!out.energy.is_finite() || out.forces.iter().any(|f| !f.x.is_finite()));
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let good = Student::random(8, 2, &[4], 1);
    let refused = |spoil: fn(&mut Student), word: &str| {
        let mut student = good.clone();
        spoil(&mut student);
        let message = FusedStudent::new(&student, &[1], Precision::F64, 1);
        let message = message.err().expect("it is refused").to_string();
        assert!(message.contains(word), "{message}");
    };
    refused(|s| s.cutoff = 0.0, "cutoff");
    refused(|s| s.widths[0] = 0.0, "widths");
    refused(|s| s.layers.clear(), "layers");
    refused(|s| s.layers[0].update[0].weight.truncate(1), "layers");
    refused(|s| s.readout[0].inputs = 7, "readout");
    refused(|s| s.features = 0, "embedding");
    let unknown = FusedStudent::new(&good, &[1, 119], Precision::F64, 1);
    assert!(unknown.is_err());
}
