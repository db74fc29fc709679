//! Files of a StudentForceField: what they say, and what is refused.

use std::borrow::Cow;
use std::collections::HashMap;

use mdrun::potential::Linear;
use mdrun::potential::student::{Student, import};
use safetensors::tensor::{Dtype, TensorView, serialize};

/// Tensors by name, with their shapes.
type Tensors = Vec<(String, Vec<usize>, Vec<u8>)>;

/// The tensors of a model by its authors' names.
fn tensors(student: &Student) -> Tensors {
    let mut all = Tensors::new();
    let mut put = |name: &str, shape: &[usize], numbers: &[f64]| {
        let bytes = numbers.iter().flat_map(|x| (*x as f32).to_le_bytes());
        all.push((name.to_owned(), shape.to_vec(), bytes.collect()));
    };
    let (f, k) = (student.features, student.centers.len());
    put(
        "embedding.weight",
        &[student.embedding.len() / f, f],
        &student.embedding,
    );
    put("rbf.centers", &[k], &student.centers);
    put("rbf.widths", &[k], &student.widths);
    let mut linear = |name: String, l: &Linear| {
        put(&format!("{name}.weight"), &[l.outputs, l.inputs], &l.weight);
        put(&format!("{name}.bias"), &[l.outputs], &l.bias);
    };
    for (n, layer) in student.layers.iter().enumerate() {
        for (m, one) in layer.filter.iter().enumerate() {
            linear(
                format!("interactions.{n}.message.rbf_to_scalar.{}", 2 * m),
                one,
            );
        }
        for (m, one) in layer.update.iter().enumerate() {
            linear(format!("interactions.{n}.update.update_mlp.{}", 2 * m), one);
        }
    }
    for (m, one) in student.readout.iter().enumerate() {
        linear(format!("energy_head.{}", 2 * m), one);
    }
    for (n, layer) in student.layers.iter().enumerate() {
        let name = format!("interactions.{n}.update.mixing_matrix");
        put(&name, &[3, 3], layer.mixing.as_flattened());
    }
    all
}

fn file(tensors: &Tensors, metadata: Option<&str>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (Cow::from(name.as_str()), view)
    });
    let metadata = metadata.map(|text| HashMap::from([("student".to_owned(), text.to_owned())]));
    serialize(views, metadata).unwrap()
}

const BESIDE: &str = r#"{"cutoff": 5.0, "energy_unit": "eV", "distance_unit": "Ang", "hidden_dim": 12, "source": "a test"}"#;

fn model() -> Student {
    Student {
        energy_scale: 1.0,
        // As f32 has them.
        widths: vec![f64::from(0.3_f32); 12],
        centers: (0..12)
            .map(|k| f64::from((5.0 * f64::from(k) / 11.0) as f32))
            .collect(),
        ..Student::random(12, 2, &[6, 4], 9)
    }
}

/// What is written is read, with hyper-parameters beside the file or in it, and under a prefix.
#[test]
fn a_file_says_what_was_written() {
    let wanted = model();
    let plain = tensors(&wanted);
    let (read, notes, remarks) = import(&file(&plain, None), Some(BESIDE)).unwrap();
    assert_eq!(read, wanted);
    assert_eq!(remarks["source"], "a test");
    assert!(
        notes[0].contains("does not say which elements"),
        "{notes:?}"
    );
    assert!(notes[1].contains("leaves cells out"), "{notes:?}");
    assert_eq!(import(&file(&plain, Some(BESIDE)), None).unwrap().0, wanted);
    let prefixed: Tensors = (plain.iter().cloned())
        .map(|(name, shape, bytes)| (format!("model.{name}"), shape, bytes))
        .collect();
    assert_eq!(
        import(&file(&prefixed, None), Some(BESIDE)).unwrap().0,
        wanted
    );
}

/// Other units are brought to eV and angstrom.
#[test]
fn units_are_applied() {
    let stated = BESIDE
        .replace("\"eV\"", "\"Hartree\"")
        .replace("\"Ang\"", "\"Bohr\"");
    let (read, ..) = import(&file(&tensors(&model()), None), Some(&stated)).unwrap();
    let bohr = 0.529_177_210_544;
    assert!((read.cutoff - 5.0 * bohr).abs() < 1e-12);
    assert!((read.widths[0] - f64::from(0.3_f32) * bohr).abs() < 1e-12);
    assert!((read.energy_scale - 27.211_386_245_981).abs() < 1e-9);
}

/// Each damage is named.
#[test]
fn what_does_not_fit_is_refused() {
    let good = tensors(&model());
    let refused = |tensors: &Tensors, beside: Option<&str>, words: &[&str]| {
        let message = import(&file(tensors, None), beside)
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(message.contains(word), "no {word:?} in {message}");
        }
    };
    refused(
        &good,
        None,
        &["cutoff", "energy_unit", "distance_unit", ".json", "\"eV\""],
    );
    refused(&good, Some("{}"), &["cutoff, energy_unit, distance_unit"]);
    refused(&good, Some("5.0"), &["no JSON object"]);
    refused(&good, Some("{"), &["no JSON"]);
    for (from, to, words) in [
        ("5.0", "6.0", &["cutoff", "rbf.centers"][..]),
        ("5.0", "-5.0", &["cutoff", "positive"]),
        ("12", "13", &["hidden_dim", "13", "12"]),
        ("12", "1.5", &["hidden_dim", "whole"]),
        ("Ang", "furlong", &["distance_unit", "furlong"]),
        ("\"source\"", "\"sauce\"", &["sauce", "not known"]),
        ("{", "{\"cutoff\": 5.0, ", &["twice"]),
    ] {
        refused(&good, Some(&BESIDE.replace(from, to)), words);
    }
    let without =
        |name: &str| -> Tensors { good.iter().filter(|t| t.0 != name).cloned().collect() };
    for name in [
        "embedding.weight",
        "rbf.widths",
        "interactions.1.update.update_mlp.2.bias",
        "energy_head.0.weight",
    ] {
        refused(&without(name), Some(BESIDE), &[name]);
    }
    let mut more = good.clone();
    more.push(("out_forces.weight".to_owned(), vec![1], vec![0; 4]));
    refused(&more, Some(BESIDE), &["no place", "out_forces.weight"]);
    let mut broken = good.clone();
    broken[0].2[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    refused(&broken, Some(BESIDE), &["embedding.weight", "NaN"]);
    let both = import(
        &file(&good, Some(BESIDE)),
        Some(&BESIDE.replace("a test", "another")),
    );
    assert!(both.unwrap_err().to_string().contains("differ"));
}
