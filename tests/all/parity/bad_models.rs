//! Model files that are refused, and what is said of them.

use std::collections::{BTreeMap, HashMap};

use mdrun::Error;
use mdrun::potential::painn::{export, import};
use safetensors::tensor::Dtype;

use super::model_file::{File, refused, small};
use crate::support::reference;

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
            "atomic number 17 (Cl), but the embedding has rows up to 9",
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
