//! Models from the bytes of files: what is read, and what is refused with which message.

use std::collections::{BTreeMap, HashMap};

use mdrun::Error;
use mdrun::potential::painn::{RadialBasis, Spec, Weights, export, import};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::support::{reference, root};

/// eV per kcal/mol, from the definitions of the calorie, the mole and the electronvolt.
const KCAL_PER_MOL: f64 = 4184.0 / 6.022_140_76e23 / 1.602_176_634e-19;

/// A file that can be taken apart, changed, and put together again.
#[derive(Clone)]
struct File {
    metadata: HashMap<String, String>,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl File {
    fn open(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
        let file = SafeTensors::deserialize(bytes).unwrap();
        let part = |v: &TensorView| (v.dtype(), v.shape().to_vec(), v.data().to_vec());
        Self {
            metadata: header.metadata().clone().unwrap_or_default(),
            tensors: file.iter().map(|(n, v)| (n.to_owned(), part(&v))).collect(),
        }
    }

    /// A small model in SchNetPack's style: 8 features, 2 interactions, 6 functions, 10 embedding rows.
    fn schnetpack() -> Self {
        let (spec, weights) = small();
        let mut file = Self::open(&export(&spec, &weights).unwrap());
        file.metadata = [
            ("representation", "PaiNN"),
            ("n_atom_basis", "8"),
            ("n_interactions", "2"),
            ("n_rbf", "6"),
            ("radial_basis", "GaussianRBF"),
            ("cutoff", "4.0"),
            ("cutoff_fn", "CosineCutoff"),
            ("epsilon", "[1e-08, 1e-08]"),
            ("shared_filters", "false"),
            ("shared_interactions", "false"),
            ("activation_mixing", "silu"),
            ("add_mean", "true"),
            ("mean_per_atom", "-2.5"),
            ("add_atomrefs", "false"),
            ("is_extensive", "true"),
            ("output_modules", "[\"Atomwise\", \"Forces\"]"),
            ("postprocessors", "[\"CastTo64\", \"AddOffsets\"]"),
            ("units", "{\"energy\": \"kcal/mol\", \"distance\": \"Ang\"}"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
        file
    }

    fn set(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    fn without(mut self, key: &str) -> Self {
        assert!(self.metadata.remove(key).is_some() || self.tensors.remove(key).is_some());
        self
    }

    fn tensor(mut self, name: &str, shape: &[usize], values: &[f64]) -> Self {
        let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensor = (Dtype::F64, shape.to_vec(), data);
        self.tensors.insert(name.into(), tensor);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let views = (self.tensors.iter())
            .map(|(n, (d, s, b))| (n, TensorView::new(*d, s.clone(), b).unwrap()));
        serialize(views, Some(self.metadata.clone())).unwrap()
    }

    fn read(&self) -> (Spec, Weights) {
        import(&self.bytes(), "model.safetensors").unwrap()
    }
}

fn small() -> (Spec, Weights) {
    let spec = Spec::new(8, 2, RadialBasis::gaussian(6, 4.0), 4.0, &[1, 8, 9]);
    let weights = Weights::random(&spec, 1);
    (spec, weights)
}

/// Asserts that the bytes are refused with a message that has all the parts, the file's name first.
#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) {
    match import(bytes, "model.safetensors") {
        Err(Error::Input(message)) => {
            assert!(message.starts_with("model.safetensors: "), "{message}");
            for part in parts {
                assert!(message.contains(part), "no \"{part}\" in: {message}");
            }
        }
        other => panic!("expected an input error with {parts:?}, got {other:?}"),
    }
}

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
fn foreign_files_are_recognised() {
    refused(b"", &["the file is empty"]);
    refused(b"abc", &["only 3 bytes"]);
    refused(
        b"PK\x03\x04 and so on",
        &["zip archive", "PyTorch", "safetensors"],
    );
    refused(b"\x80\x02ctorch\nmodel", &["Python pickle", "PyTorch"]);
    refused(b"\x89HDF\r\n\x1a\n....", &["HDF5"]);
    refused(b"<!DOCTYPE html>", &["web page"]);
    refused(
        b"version https://git-lfs.github.com/spec/v1\n",
        &["git lfs pull"],
    );
    refused(b"Z 1 2 3 4 5 6 7 8", &["not a safetensors file"]);
    refused(
        b"\x03\0\0\0\0\0\0\0{]}",
        &["not a safetensors file, or a damaged one"],
    );
    let other = File {
        metadata: HashMap::new(),
        tensors: BTreeMap::new(),
    };
    let other = |name: &str| other.clone().tensor(name, &[1], &[0.0]).bytes();
    refused(
        &other("energy_head.0.bias"),
        &["not those of a PaiNN", "energy_head.0.bias"],
    );
    refused(
        &other("representation.interactions.0.cfconv.in2f.weight"),
        &["SchNet,"],
    );
    refused(
        &File::schnetpack()
            .without("representation.embedding.weight")
            .bytes(),
        &["the embedding ('representation.embedding.weight')"],
    );
    if let Some(path) = reference("student_427k.safetensors") {
        refused(&std::fs::read(path).unwrap(), &["StudentForceField"]);
    }
    if let Some(path) = reference("painn_ethanol_1.schnetpack.pt") {
        refused(&std::fs::read(path).unwrap(), &["PyTorch checkpoint"]);
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = File::schnetpack().bytes();
    for length in 0..bytes.len() {
        let cut = import(&bytes[..length], "model.safetensors");
        assert!(matches!(cut, Err(Error::Input(_))), "{length}");
    }
    let whole = bytes.len();
    refused(&bytes[..100], &["cut short", "inside its header"]);
    let promised = format!("its header promises {whole}");
    refused(&bytes[..whole - 1], &["cut short", &promised]);
    let longer = [&bytes[..], b"x"].concat();
    refused(&longer, &["more bytes"]);
}

#[test]
fn forged_sizes_allocate_nothing() {
    let header = |json: &str| [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
    let huge = u64::MAX / 8;
    refused(
        &header(&format!(
            "{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{huge},{huge}],\"data_offsets\":[0,8]}}}}"
        )),
        &["the header is damaged"],
    );
    refused(
        &header(
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1099511627776],\"data_offsets\":[0,4398046511104]}}",
        ),
        &["cut short"],
    );
    refused(
        &[&u64::MAX.to_le_bytes()[..], b"{}"].concat(),
        &["not a safetensors file"],
    );
    refused(
        &[&99_999_999u64.to_le_bytes()[..], b"{}"].concat(),
        &["cut short"],
    );
    for (key, value) in [
        ("n_atom_basis", "1e18"),
        ("n_interactions", "4000000000"),
        ("n_rbf", "-3"),
    ] {
        let file = File::schnetpack().set(key, value).set("epsilon", "1e-8");
        refused(&file.bytes(), &[key, "whole number from 1 to"]);
    }
}

#[test]
fn tensors_are_checked() {
    let file = File::schnetpack;
    let mix = "representation.mixing.1.mu_channel_mix.weight";
    refused(
        &file().without(mix).bytes(),
        &[mix, "is missing", "[16, 8]"],
    );
    refused(
        &file().tensor(mix, &[8, 16], &[0.0; 128]).bytes(),
        &[mix, "has shape [8, 16], expected [16, 8]"],
    );
    let mut values = [0.0; 128];
    values[19] = f64::NAN;
    refused(
        &file().tensor(mix, &[16, 8], &values).bytes(),
        &[mix, "holds NaN at index [2, 3]"],
    );
    let mut whole = file();
    whole.tensors.get_mut(mix).unwrap().0 = Dtype::I32;
    refused(&whole.bytes(), &[mix, "type I32"]);
    let bias = "output_modules.0.outnet.1.bias";
    refused(&file().without(bias).bytes(), &[bias, "is missing"]);
    refused(
        &file()
            .without(bias)
            .without("output_modules.0.outnet.1.weight")
            .bytes(),
        &["4 outputs, expected 1"],
    );
    refused(
        &file()
            .tensor("representation.embedding.weight", &[80], &[0.0; 80])
            .bytes(),
        &["has shape [80], expected [atomic numbers, 8]"],
    );
    refused(
        &file()
            .tensor("representation.radial_basis.widths", &[6], &[0.0; 6])
            .bytes(),
        &["representation.radial_basis.widths", "zero at index [0]"],
    );
    let extra = "representation.electronic_embeddings.0.weight";
    refused(
        &file().tensor(extra, &[1], &[0.0]).bytes(),
        &[extra, "has no place"],
    );
    refused(
        &file()
            .set("n_interactions", "1")
            .set("epsilon", "1e-8")
            .tensor("representation.filter_net.weight", &[24, 6], &[0.0; 144])
            .tensor("representation.filter_net.bias", &[24], &[0.0; 24])
            .bytes(),
        &["1 interactions", "interactions.1.", "has no place"],
    );
    refused(
        &file()
            .tensor("representation.cutoff_fn.cutoff", &[1], &[5.0])
            .bytes(),
        &[
            "representation.cutoff_fn.cutoff",
            "is 5, but the metadata say 4",
        ],
    );
}

#[test]
fn metadata_are_checked() {
    let file = File::schnetpack;
    for key in [
        "n_atom_basis",
        "n_interactions",
        "n_rbf",
        "cutoff",
        "cutoff_fn",
        "epsilon",
        "units",
    ] {
        refused(&file().without(key).bytes(), &["lack", key]);
    }
    let mut bare = file();
    bare.metadata.clear();
    refused(&bare.bytes(), &["no hyper-parameters"]);
    for (key, value, message) in [
        (
            "activation_mixing",
            "tanh",
            "\"tanh\", which is not built in; known: silu",
        ),
        (
            "cutoff_fn",
            "MollifierCutoff",
            "\"MollifierCutoff\", which is not built in; known: cosine",
        ),
        ("radial_basis", "Chebyshev", "known: gaussian"),
        ("representation", "SchNet", "known: painn"),
        ("aggregation", "avg", "known: sum"),
        ("postprocessors", "[\"ScaleProperty\"]", "\"ScaleProperty\""),
        (
            "output_modules",
            "[\"Atomwise\", \"ZBLRepulsionEnergy\"]",
            "\"ZBLRepulsionEnergy\"",
        ),
        (
            "output_modules",
            "[\"Atomwise\", \"Atomwise\"]",
            "more than one Atomwise",
        ),
        ("is_extensive", "false", "'is_extensive' is false"),
        (
            "units",
            "{\"energy\": \"BTU\", \"distance\": \"Ang\"}",
            "energy \"BTU\" is not known",
        ),
        (
            "units",
            "{\"energy\": \"eV\", \"distance\": \"furlong\"}",
            "length \"furlong\"",
        ),
        ("units", "{\"energy\": \"eV\"}", "lack 'units: distance'"),
        (
            "cutoff",
            "-5.0",
            "'cutoff' in the metadata must be positive, not -5",
        ),
        ("cutoff", "NaN", "must be a finite number, not \"NaN\""),
        ("epsilon", "[1e-8]", "a list of 2 (one per interaction)"),
        ("epsilon", "[1e-8, 0.0]", "positive"),
        ("n_rbf", "7", "has shape [48, 6], expected [48, 7]"),
        ("shared_filters", "maybe", "must be true or false"),
        ("elements", "[1, 250]", "a list of atomic numbers"),
        (
            "elements",
            "[1, 17]",
            "atomic number 17, but the embedding has rows up to 9",
        ),
        (
            "add_atomrefs",
            "true",
            "no tensor 'postprocessors.1.atomref'",
        ),
    ] {
        refused(&file().set(key, value).bytes(), &[message]);
    }
    refused(
        &file().without("mean_per_atom").bytes(),
        &["add_mean", "neither"],
    );
    refused(
        &file()
            .without("add_mean")
            .tensor("postprocessors.1.mean", &[1], &[-1.0])
            .bytes(),
        &["lack 'add_mean'"],
    );
}

#[test]
fn painn_metadata_are_checked() {
    let (spec, weights) = small();
    let file = File::open(&export(&spec, &weights).unwrap());
    let painn = file.metadata["painn"].clone();
    let change = |from: &str, to: &str| {
        assert!(painn.contains(from), "{painn}");
        file.clone()
            .set("painn", &painn.replacen(from, to, 1))
            .bytes()
    };
    refused(&file.clone().set("painn", "{").bytes(), &["not valid JSON"]);
    refused(
        &file.clone().set("painn", "[1]").bytes(),
        &["not a JSON object"],
    );
    refused(&change("\"1\": 0.0, ", ""), &["none for atomic number 1"]);
    refused(
        &change("\"1\": 0.0", "\"2\": 0.0, \"1\": 0.0"),
        &["atomic number 2", "not list"],
    );
    refused(
        &change("\"architecture\": \"painn\"", "\"architecture\": \"mace\""),
        &["mace"],
    );
    refused(
        &change("\"energy_unit\": 1.0", "\"energy_unit\": 0"),
        &["positive"],
    );
    refused(
        &change("\"length_unit\": \"angstrom\", ", ""),
        &["lack 'length_unit'"],
    );
    refused(
        &change("cutoff_angstrom", "cut"),
        &["lack 'cutoff_angstrom'"],
    );
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
    assert!(error.contains("atom 2") && error.contains("17"), "{error}");
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
        let (spec, weights) = import(&std::fs::read(path).unwrap(), &name).unwrap();
        assert_eq!(spec.mean_per_atom, mean * KCAL_PER_MOL);
        assert_eq!(weights.parameters(), 589_057);
        assert_eq!(spec.elements.len(), 99);
    }
}
