//! Models from the bytes of files: what is read.

use mdrun::potential::painn::{RadialBasis, Spec, Weights, export, import, import_noted};
use safetensors::tensor::Dtype;

use super::model_file::{File, refused, small};
use crate::support::{reference, root};

/// eV per kcal/mol, from the definitions of the calorie, the mole and the electronvolt.
const KCAL_PER_MOL: f64 = 4184.0 / 6.022_140_76e23 / 1.602_176_634e-19;

#[test]
fn export_and_import_are_inverse() {
    let (spec, weights) = small();
    let bessel = Spec {
        epsilon: vec![1e-8, 1e-6, 3e-7],
        mean_per_atom: -1.0 / 3.0,
        reference_energies: vec![-13.7, 0.1, -99.0],
        energy_scale: KCAL_PER_MOL,
        ..Spec::new(12, 3, RadialBasis::bessel(5, 5.3), 5.3, &[6, 1, 14])
    };
    let deep = Weights::random_with_readout(&bessel, &[7, 5, 3], 2);
    for (spec, weights) in [(spec, weights), (bessel, deep)] {
        let bytes = export(&spec, &weights).unwrap();
        let (read, numbers) = import(&bytes, "x").unwrap();
        assert_eq!(read, spec);
        assert_eq!(numbers, weights);
    }
}

#[test]
fn random_weights_are_those_of_the_seed() {
    let (spec, weights) = small();
    assert_eq!(Weights::random(&spec, 1), weights);
    assert_ne!(Weights::random(&spec, 2).embedding, weights.embedding);
    let all = weights.layers[0].context[1].weight.iter();
    let (min, max) = all.fold((0f64, 0f64), |(a, b), &x| (a.min(x), b.max(x)));
    assert!(min < -0.4 && max > 0.4 && weights.layers[0].filter != weights.layers[1].filter);
}

#[test]
fn schnetpack_metadata_are_read() {
    let (expected, numbers) = small();
    let (spec, weights) = File::schnetpack().read();
    assert_eq!(weights, numbers);
    assert_eq!((spec.features, spec.layers), (8, 2));
    assert_eq!(spec.basis, expected.basis);
    assert_eq!(spec.cutoff, 4.0);
    assert_eq!(spec.epsilon, [1e-8; 2]);
    assert_eq!(spec.energy_scale, KCAL_PER_MOL);
    assert_eq!(spec.mean_per_atom, -2.5 * KCAL_PER_MOL);
    // Nothing in the file says which elements: all rows of the embedding but the first.
    assert_eq!(spec.elements, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(spec.reference_energies, [0.0; 9]);
}

#[test]
fn mean_and_reference_energies_come_from_tensors() {
    let mut atomref = [0.0; 10];
    atomref[1] = -0.5;
    atomref[8] = -75.0;
    let (spec, _) = File::schnetpack()
        .tensor("postprocessors.1.mean", &[1], &[-7.25])
        .tensor("postprocessors.1.atomref", &[10], &atomref)
        .set("add_atomrefs", "true")
        .set("mean_per_atom", "-7.25")
        .set("units", "{\"energy\": \"Hartree\", \"distance\": \"Bohr\"}")
        .read();
    const HARTREE: f64 = 27.211_386_245_981;
    const BOHR: f64 = 0.529_177_210_544;
    assert_eq!(spec.mean_per_atom, -7.25 * HARTREE);
    assert_eq!(spec.elements, [1, 8]);
    assert_eq!(spec.reference_energies, [-0.5 * HARTREE, -75.0 * HARTREE]);
    assert_eq!(spec.cutoff, 4.0 * BOHR);
    let RadialBasis::Gaussian { centers, widths } = &spec.basis else {
        panic!("not Gaussian")
    };
    assert!((centers[5] - 4.0 * BOHR).abs() < 1e-15 && (widths[0] - 0.8 * BOHR).abs() < 1e-15);
    let offset = spec.offset(&[8, 1, 1]);
    assert!((offset - HARTREE * (3.0 * -7.25 - 76.0)).abs() < 1e-11);
}

#[test]
fn bessel_functions_keep_their_values_in_other_units() {
    const BOHR: f64 = 0.529_177_210_544;
    let file = File::schnetpack()
        .without("representation.radial_basis.offsets")
        .without("representation.radial_basis.widths")
        .set("radial_basis", "BesselRBF")
        .set("units", "{\"energy\": \"eV\", \"distance\": \"Bohr\"}");
    let stored: Vec<f64> = (1..=6)
        .map(|k| f64::from(k) * std::f64::consts::PI / 4.0)
        .collect();
    let with = file
        .clone()
        .tensor("representation.radial_basis.freqs", &[6], &stored);
    for (spec, _) in [file.read(), with.read()] {
        for (k, frequency) in stored.iter().enumerate() {
            let d = 2.3;
            let value = (frequency * d).sin() / d;
            let [found, _] = spec.basis.evaluate(k, d * BOHR);
            assert!((found - value).abs() < 1e-14, "{k}: {found} {value}");
        }
    }
}

#[test]
fn basis_that_is_not_stored_is_computed() {
    let file = File::schnetpack()
        .without("representation.radial_basis.offsets")
        .without("representation.radial_basis.widths");
    let (spec, _) = file.clone().set("rbf_start", "1.0").read();
    let RadialBasis::Gaussian { centers, widths } = &spec.basis else {
        panic!("not Gaussian")
    };
    assert!((centers[0], centers[5]) == (1.0, 4.0) && (widths[3] - 0.6).abs() < 1e-15);
    let (spec, _) = file.set("radial_basis", "GaussianRBFCentered").read();
    let RadialBasis::Gaussian { centers, widths } = &spec.basis else {
        panic!("not Gaussian")
    };
    assert!(centers == &[0.0; 6] && (widths[0], widths[5]) == (1.0, 4.0));
}

#[test]
fn derivatives_of_basis_and_cutoff_are_those_of_their_values() {
    /// Step of the central difference, whose error is h^2 f''' / 6, under 1e-8 here.
    const H: f64 = 1e-5;
    const TOLERANCE: f64 = 1e-8;
    let spec = Spec::new(4, 1, RadialBasis::gaussian(7, 5.0), 5.0, &[1]);
    let bessel = RadialBasis::Bessel {
        frequencies: vec![0.7, 1.9, 3.1],
        scale: 0.53,
    };
    for d in [0.4, 1.3, 3.7, 4.9] {
        for basis in [&spec.basis, &bessel] {
            for k in 0..basis.len() {
                let [_, slope] = basis.evaluate(k, d);
                let difference = basis.evaluate(k, d + H)[0] - basis.evaluate(k, d - H)[0];
                assert!((difference / (2.0 * H) - slope).abs() < TOLERANCE);
            }
        }
        let difference = spec.cutoff_function(d + H)[0] - spec.cutoff_function(d - H)[0];
        assert!((difference / (2.0 * H) - spec.cutoff_function(d)[1]).abs() < TOLERANCE);
    }
    assert_eq!(spec.cutoff_function(0.0), [1.0, 0.0]);
    assert_eq!(spec.cutoff_function(5.0), [0.0, 0.0]);
}

#[test]
fn shared_filters_and_interactions_are_copied_to_every_layer() {
    let mut file = File::schnetpack()
        .set("shared_filters", "true")
        .set("shared_interactions", "true");
    let one = |values: &[f64], rows: usize| values[..rows].to_vec();
    let (_, numbers) = small();
    let filter = &numbers.layers[0].filter;
    file = file
        .tensor(
            "representation.filter_net.weight",
            &[24, 6],
            &one(&filter.weight, 24 * 6),
        )
        .tensor(
            "representation.filter_net.bias",
            &[24],
            &one(&filter.bias, 24),
        );
    let second = |n: &str| n.contains("interactions.1.") || n.contains("mixing.1.");
    file.tensors.retain(|name, _| !second(name));
    let (_, weights) = file.read();
    assert_eq!(weights.layers.len(), 2);
    assert_eq!(weights.layers[0], numbers.layers[0]);
    assert_eq!(weights.layers[1], numbers.layers[0]);
}

#[test]
fn half_precision_is_read() {
    let shape = [10, 8];
    let name = "representation.embedding.weight";
    // 1.5, -2, the smallest subnormal and the largest number of each type.
    let cases: [(Dtype, [u16; 4], [f64; 4]); 2] = [
        (
            Dtype::F16,
            [0x3e00, 0xc000, 0x0001, 0x7bff],
            [1.5, -2.0, 2f64.powi(-24), 65504.0],
        ),
        (
            Dtype::BF16,
            [0x3fc0, 0xc000, 0x0001, 0x7f7f],
            [1.5, -2.0, 2f64.powi(-133), 255.0 * 2f64.powi(120)],
        ),
    ];
    for (dtype, words, values) in cases {
        let mut file = File::schnetpack();
        let data = words.iter().cycle().take(80).flat_map(|w| w.to_le_bytes());
        let tensor = (dtype, shape.to_vec(), data.collect());
        file.tensors.insert(name.into(), tensor);
        assert_eq!(file.read().1.embedding[..4], values);
        let infinite = if dtype == Dtype::F16 {
            0x7c00u16
        } else {
            0x7f80
        };
        let data = &mut file.tensors.get_mut(name).unwrap().2;
        data[18..20].copy_from_slice(&infinite.to_le_bytes());
        refused(&file.bytes(), &[name, "holds inf at index [1, 1]"]);
    }
}

#[test]
fn names_may_have_a_prefix() {
    let mut file = File::schnetpack();
    file.tensors = (file.tensors.into_iter())
        .map(|(name, tensor)| (format!("model.{name}"), tensor))
        .collect();
    assert_eq!(file.read().1, small().1);
}

#[test]
fn the_shipped_model_is_read() {
    let bytes = std::fs::read(root().join("models/painn_hcno_gfn2.safetensors")).unwrap();
    let (spec, weights) = import(&bytes, "painn_hcno_gfn2.safetensors").unwrap();
    assert_eq!((spec.features, spec.layers, spec.cutoff), (128, 3, 5.0));
    assert_eq!(spec.elements, [1, 6, 7, 8]);
    assert_eq!(spec.reference_energies[3], -110.4428077091866);
    assert_eq!((spec.energy_scale, spec.mean_per_atom), (1.0, 0.0));
    assert_eq!(weights.parameters(), 589_057);
    assert!(spec.check_species(&[8, 1, 1]).is_ok());
    let error = spec.check_species(&[1, 17]).unwrap_err().to_string();
    for part in [
        "does not know Cl",
        "first met as atom 1, counted from 0",
        "knows H, C, N, O",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

/// Every model in `models/` is read without a word, and models/README.md tells its elements and its test error.
#[test]
fn all_shipped_models_are_read_and_accounted_for() {
    let readme = std::fs::read_to_string(root().join("models/README.md")).unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("models")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let model = import_noted(&std::fs::read(&path).unwrap(), &name).unwrap();
        assert_eq!(model.notes, Vec::<String>::new(), "{name}");
        assert_eq!(model.weights.parameters(), 589_057, "{name}");
        let metadata: serde_json::Value =
            serde_json::from_str(&File::open(&std::fs::read(&path).unwrap()).metadata["painn"])
                .unwrap();
        let (_, account) = readme
            .split_once(&format!("## {name}"))
            .unwrap_or_else(|| panic!("no account of {name}"));
        let account = account.split("\n## ").next().unwrap();
        for z in &model.spec.elements {
            let symbol = mdrun::core::elements::symbol(*z);
            let mut words = account.split(|c: char| !c.is_ascii_alphanumeric());
            assert!(
                words.any(|word| word == symbol),
                "{name}: {symbol} is not in its account"
            );
        }
        for (key, digits) in [
            ("test_mae_meV_per_atom", 2),
            ("test_mae_meV_per_angstrom", 1),
        ] {
            let error = format!("{:.digits$} meV/", metadata[key].as_f64().unwrap());
            assert!(
                account.contains(&error),
                "{name}: {error} is not in its account"
            );
        }
        names.push(name);
    }
    names.sort();
    assert_eq!(
        names,
        [
            "painn_hcno_gfn2.safetensors",
            "painn_organic_gfn2.safetensors"
        ]
    );
}

#[test]
fn reference_models_are_read() {
    for (k, mean) in [
        (1, -10786.226809289834),
        (2, -10786.226092843319),
        (3, -10786.22284815866),
    ] {
        let name = format!("painn_ethanol_{k}.safetensors");
        let Some(path) = reference(&name) else { return };
        let (spec, weights) = import(&std::fs::read(&path).unwrap(), &name).unwrap();
        assert_eq!(spec.mean_per_atom, mean * KCAL_PER_MOL);
        assert_eq!(weights.parameters(), 589_057);
        assert_eq!(spec.elements.len(), 99);
        let notes = import_noted(&std::fs::read(&path).unwrap(), &name)
            .unwrap()
            .notes;
        assert!(
            notes.len() == 1 && notes[0].contains("does not say which elements"),
            "{notes:?}"
        );
    }
}
