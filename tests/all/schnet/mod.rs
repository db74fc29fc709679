//! SchNet against an independent implementation, its files, and the commands. What holds of any force field is the contract's part.

use mdrun::core::Vec3;
use mdrun::neighbors::Pairs;
use mdrun::potential::fused::{Curves as _, Isa};
use mdrun::potential::painn::RadialBasis;
use mdrun::potential::schnet::{FusedSchnet, Schnet, SchnetFilters, import};
use mdrun::potential::{Evaluation, Potential, Precision};
use safetensors::tensor::SafeTensors;

use crate::support::atoms::{Atoms, farthest};
use crate::support::data::{Arrangement, Table};
use crate::support::{brute, mdrun, root};

const MODEL: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/schnet.model.safetensors"
));
const DATA: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/schnet.safetensors"
));

/// The small model of `tests/data`.
pub fn model() -> Schnet {
    import(MODEL, None).unwrap().0
}

/// What PyTorch gives for it.
pub fn arrangements() -> Vec<Arrangement> {
    Table::read(DATA).arrangements()
}

/// How far energy (eV), forces (eV / angstrom) and strain derivative (eV) are off.
pub fn errors(found: &Evaluation, one: &Arrangement) -> [f64; 3] {
    let expected = &one.expected;
    [
        (found.energy - expected.energy).abs(),
        farthest(&found.forces, &expected.forces),
        (found.strain_derivative - expected.strain_derivative).amax(),
    ]
}

fn engine(species: &[u8], precision: Precision, threads: usize) -> FusedSchnet {
    FusedSchnet::new(&model(), species, precision, threads).unwrap()
}

fn pairs(one: &Arrangement) -> Pairs {
    brute::pairs(&one.cell, &one.positions, model().cutoff)
}

#[test]
fn agrees_with_another_implementation() {
    /// Splines leave 1e-11 of a filter in f64; in f32 energies of some eV are rounded to 1e-6.
    const BARS: [(Precision, f64); 2] = [(Precision::F64, 1e-10), (Precision::F32, 1e-5)];
    let all = arrangements();
    assert_eq!(all.len(), 5);
    for one in &all {
        let pairs = pairs(one);
        assert_eq!(pairs.len(), one.pairs, "{}", one.name);
        for (precision, bar) in BARS {
            let mut found = Evaluation::zeros(one.species.len());
            let mut engine = engine(&one.species, precision, 2);
            engine.evaluate(&pairs, &mut found).unwrap();
            let off = errors(&found, one);
            println!("{}, {precision:?}: {off:?}", one.name);
            assert!(off.iter().all(|e| *e < bar), "{}: {off:?}", one.name);
        }
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_the_run() {
    let water = Atoms::shipped("water64.xyz");
    let pairs = brute::pairs(&water.cell, &water.positions, model().cutoff);
    for precision in [Precision::F32, Precision::F64] {
        let mut first = None;
        for threads in [1, 2, 3, 8] {
            let mut engine = engine(&water.species, precision, threads);
            for _ in 0..2 {
                let mut out = Evaluation::zeros(water.species.len());
                engine.evaluate(&pairs, &mut out).unwrap();
                let forces: Vec<[u64; 3]> = (out.forces.iter())
                    .map(|f| [f.x, f.y, f.z].map(f64::to_bits))
                    .collect();
                let bits = (out.energy.to_bits(), forces);
                assert_eq!(
                    *first.get_or_insert(bits.clone()),
                    bits,
                    "{threads} threads"
                );
            }
        }
    }
}

/// Largest |force| of an evaluation: the scale of its errors.
fn scale(e: &Evaluation) -> f64 {
    e.forces.iter().map(Vec3::amax).fold(0.0, f64::max)
}

#[test]
fn every_instruction_set_and_shape_says_the_same() {
    /// Rounding of sums of some hundred terms that partly cancel.
    const ROUNDING: [(Precision, f64); 2] = [(Precision::F32, 2e-5), (Precision::F64, 1e-12)];
    let atoms = Atoms::shipped("ethanol.xyz").shaken(0.05, 1);
    for (features, layers, hidden) in [(1, 1, &[][..]), (33, 2, &[5]), (128, 3, &[64, 32])] {
        let basis = RadialBasis::bessel(8, 5.0);
        let model = Schnet::random(features, layers, basis, hidden, 3);
        for (precision, rounding) in ROUNDING {
            let with = |isa| {
                let engine = FusedSchnet::with_isa(&model, &atoms.species, precision, 1, isa);
                atoms.evaluate(&mut engine.unwrap())
            };
            let portable = with(Isa::Portable);
            for isa in Isa::available() {
                let off = farthest(&with(isa).forces, &portable.forces) / scale(&portable);
                assert!(off < rounding, "{layers} x {features}, {isa:?}: {off}");
            }
        }
    }
}

/// Derivatives of filters are those of their values.
#[test]
fn filters_have_their_derivatives() {
    const STEP: f64 = 1e-4;
    const LEFT: f64 = 1e-5;
    let model = model();
    let filters = SchnetFilters::new(&model, 1);
    for d in [0.7, 1.9, 3.3, 4.49] {
        let [low, middle, high] = [d - STEP, d, d + STEP].map(|d| filters.jets(d));
        for k in 0..middle.len() {
            let slope = (high[k][0] - low[k][0]) / (2.0 * STEP);
            let curvature = (high[k][1] - low[k][1]) / (2.0 * STEP);
            assert!((middle[k][1] - slope).abs() < LEFT);
            assert!((middle[k][2] - curvature).abs() < LEFT);
        }
    }
    // Biases included, they end at the cutoff with no slope.
    let end = filters.jets(model.cutoff);
    assert!(
        end.iter()
            .all(|jet| jet[0].abs() < 1e-15 && jet[1].abs() < 1e-15)
    );
}

/// The model's file with other hyper-parameters.
fn stated(from: &str, to: &str) -> String {
    let (_, header) = SafeTensors::read_metadata(MODEL).unwrap();
    let text = header.metadata().as_ref().unwrap()["schnet"].clone();
    assert!(text.contains(from), "{text}");
    text.replace(from, to)
}

#[test]
fn what_does_not_fit_is_refused() {
    let plain = |text: &str| {
        // The same tensors without metadata, and the text beside them.
        let file = SafeTensors::deserialize(MODEL).unwrap();
        let bytes = safetensors::serialize(file.tensors(), None).unwrap();
        import(&bytes, Some(text)).map(|read| read.0)
    };
    assert_eq!(plain(&stated("", "")).unwrap(), model());
    for (from, to, words) in [
        ("4.5", "5.0", &["cutoff", "4.5", "5"][..]),
        (
            "\"source\"",
            "\"n_filters\": 12, \"source\"",
            &["n_filters", "12", "24"],
        ),
        (
            "\"source\"",
            "\"activation\": \"tanh\", \"source\"",
            &["activation", "shifted_softplus"],
        ),
        ("\"source\"", "\"sauce\"", &["sauce", "not known"]),
        ("\"O\"", "\"Xx\"", &["elements", "Xx"]),
        ("\"O\"", "\"Ar\"", &["embedding"]),
        ("-1.5", "\"much\"", &["mean_per_atom", "much"]),
    ] {
        let message = plain(&stated(from, to)).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "no {word:?} in {message}");
        }
    }
    let unknown = FusedSchnet::new(&model(), &[18], Precision::F64, 1);
    let message = unknown.err().expect("argon is not known").to_string();
    assert!(
        message.contains("Ar") && message.contains("H, C, N, O"),
        "{message}"
    );
}

#[test]
fn the_commands_take_its_file() {
    let path = "tests/data/schnet.model.safetensors";
    assert!(root().join(path).is_file());
    let said = |args: &[&str]| {
        let output = mdrun(args);
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {text}{error}");
        text
    };
    let info = said(&["model", "info", path]);
    assert!(
        info.contains("SchNet, 2 interactions of 24 features"),
        "{info}"
    );
    let ethanol = "configs/structures/ethanol.xyz";
    let found = said(&["energy", "--model", path, "--structure", ethanol, "--json"]);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let energy = found["energy_ev"].as_f64().unwrap();
    assert!((energy + 17.5).abs() < 0.5, "{energy}");
    let model = format!("potential.model={:?}", root().join(path).to_str().unwrap());
    // Whether such a network is good for dynamics is another question.
    let output = mdrun(&[
        "check",
        "configs/ethanol_nve.toml",
        "--set",
        &model,
        "--json",
    ]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for what in ["forces are slopes", "rotation", "cutoff is smooth"] {
        let findings = found["findings"].as_array().unwrap();
        let row = findings.iter().find(|f| f["what"] == what).unwrap();
        assert_eq!(row["verdict"], "ok", "{row}");
    }
}
