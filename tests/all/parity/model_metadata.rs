//! The metadata of a model file: everything that is missing or wrong is told at once, units are applied, and what is
//! documented is what is read.

use mdrun::potential::painn::import::metadata_tables;
use mdrun::potential::painn::import_noted;

use super::model_file::{File, refused, small};
use super::strict_models::{KCAL_PER_MOL, painn};
use crate::support::root;

/// eV per hartree (CODATA 2022).
const HARTREE: f64 = 27.211_386_245_981;

#[test]
fn everything_that_is_missing_is_told_at_once() {
    let file = painn()
        .painn("\"n_rbf\": 6, ", "")
        .painn("\"epsilon\"", "\"epsilom\"")
        .painn("\"length_unit\": \"angstrom\", ", "")
        .painn("\"cutoff_angstrom\": 4.0", "\"cutoff_angstrom\": \"4 A\"");
    let all = [
        "lack 'n_rbf', 'epsilon', 'length_unit'",
        "'epsilom' (did you mean 'epsilon'?)",
        "'cutoff_angstrom' in the metadata must be a finite number, not \"4 A\"",
        "a whole example",
        "painn = {\"architecture\": \"painn\", \"n_atom_basis\": 128",
    ];
    refused(&file.bytes(), &all);
    let file = File::schnetpack()
        .without("n_rbf")
        .without("units")
        .without("cutoff_fn")
        .set("epsilon", "0");
    refused(
        &file.bytes(),
        &[
            "lack 'n_rbf', 'cutoff_fn', 'units'",
            "'epsilon' in the metadata must be",
            "a whole example",
            "units = {",
        ],
    );
    let mut empty = painn();
    empty.metadata.clear();
    refused(&empty.bytes(), &["no hyper-parameters", "a whole example"]);
    refused(&empty.set("PaiNN", "{}").bytes(), &["there is 'PaiNN'"]);
    let file = painn()
        .without("representation.filter_net.bias")
        .without("representation.mixing.1.intraatomic_context_net.0.bias")
        .tensor(
            "representation.mixing.0.mu_channel_mix.weight",
            &[8, 16],
            &[0.0; 128],
        )
        .tensor("representation.filter_net.biases", &[1], &[0.0]);
    refused(
        &file.bytes(),
        &[
            "'representation.filter_net.bias' is missing",
            "'representation.mixing.1.intraatomic_context_net.0.bias' is missing",
            "has shape [8, 16], expected [16, 8]",
            "no place for tensor 'representation.filter_net.biases'",
        ],
    );
}

/// The example that a message shows is one that is read.
#[test]
fn the_example_is_a_whole_one() {
    let mut bare = painn();
    bare.metadata.clear();
    let message = import_noted(&bare.bytes(), "m").unwrap_err().to_string();
    let (_, example) = message.split_once("painn = ").unwrap();
    // Its sizes are those of a real model; with this one's it fits.
    let example = (example.replace("\"n_atom_basis\": 128", "\"n_atom_basis\": 8"))
        .replace("\"n_interactions\": 3", "\"n_interactions\": 2")
        .replace("\"n_rbf\": 20", "\"n_rbf\": 6")
        .replace("5.0", "4.0");
    let (spec, weights) = painn().set("painn", &example).read();
    assert_eq!(weights, small().1);
    assert_eq!(spec.elements, [1, 6, 7, 8]);
    assert_eq!(spec.offset(&[1]), -13.6);
}

#[test]
fn keys_that_are_there_twice_are_refused() {
    let twice = "the key 'cutoff_angstrom' is there twice";
    refused(
        &painn().more("cutoff_angstrom", "5.0").bytes(),
        &["not valid JSON", twice],
    );
    let twice = "the key 'energy' is there twice";
    let units = "{\"energy\": \"eV\", \"energy\": \"kcal/mol\", \"distance\": \"Ang\"}";
    refused(
        &File::schnetpack().set("units", units).bytes(),
        &["'units'", twice],
    );
    refused(
        &painn()
            .painn("\"1\": -13.5", "\"1\": -13.5, \"H\": -13.6")
            .bytes(),
        &["two energies for H"],
    );
    refused(
        &painn()
            .painn("\"1\": -13.5", "\"1\": -13.5, \"01\": -13.6")
            .bytes(),
        &["two energies for H"],
    );
    refused(
        &painn().painn("[1, 8, 9]", "[1, 8, 9, \"O\"]").bytes(),
        &["lists O twice"],
    );
    // The file's own header: two sets of metadata, or of the same tensor.
    let bytes = painn().bytes();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length])
        .unwrap()
        .trim_end();
    let name = "\"representation.filter_net.bias\"";
    let start = header.find(name).unwrap();
    let entry = &header[start..start + header[start..].find('}').unwrap() + 1];
    let more = [format!("{{{entry},"), "{\"__metadata__\":{},".into()];
    for more in more {
        let header = format!("{more}{}", &header[1..]);
        let padded = header.len().next_multiple_of(8);
        let header = format!("{header:padded$}");
        let file = [
            &(padded as u64).to_le_bytes(),
            header.as_bytes(),
            &bytes[8 + length..],
        ]
        .concat();
        refused(&file, &["damaged"]);
    }
    let header = header.replacen("\"painn\":", "\"painn\":\"{}\",\"painn\":", 1);
    let padded = header.len().next_multiple_of(8);
    let header = format!("{header:padded$}");
    let file = [
        &(padded as u64).to_le_bytes(),
        header.as_bytes(),
        &bytes[8 + length..],
    ]
    .concat();
    refused(
        &file,
        &["the header is damaged", "the key 'painn' is there twice"],
    );
}

#[test]
fn values_of_another_type_are_refused() {
    for (from, to, message) in [
        (
            "\"n_atom_basis\": 8",
            "\"n_atom_basis\": 8.5",
            "'n_atom_basis' in the metadata must be a whole number",
        ),
        (
            "\"n_atom_basis\": 8",
            "\"n_atom_basis\": \"8\"",
            "'n_atom_basis' in the metadata must be a whole number",
        ),
        (
            "\"n_rbf\": 6",
            "\"n_rbf\": true",
            "'n_rbf' in the metadata must be a whole number",
        ),
        ("-0.25", "NaN", "NaN is no number of JSON"),
        ("-0.25", "-Infinity", "Infinity is no number of JSON"),
        (
            "-0.25",
            "\"-0.25\"",
            "'mean_per_atom_eV' in the metadata must be a finite number",
        ),
        ("-0.25", "-1e999", "not valid JSON"),
        (
            "-13.5",
            "\"-13.5\"",
            "an object of energies by atomic number",
        ),
        (
            "\"1\": -13.5",
            "\"Xy\": -13.5",
            "an object of energies by atomic number",
        ),
        (
            "\"energy_unit\": 1.0",
            "\"energy_unit\": \"MeV\"",
            "energy \"MeV\" is not known",
        ),
        (
            "\"energy_unit\": 1.0",
            "\"energy_unit\": [\"eV\"]",
            "the name of a unit, or a number of eV",
        ),
        (
            "\"length_unit\": \"angstrom\"",
            "\"length_unit\": 0.529",
            "'length_unit' in the metadata must be the name",
        ),
        (
            "\"gaussian\"",
            "6",
            "'radial_basis' in the metadata must be text",
        ),
        (
            "\"epsilon\": [1e-8, 1e-8]",
            "\"epsilon\": [1e-8]",
            "a list of 2 (one per interaction)",
        ),
        (
            "\"epsilon\": [1e-8, 1e-8]",
            "\"epsilon\": []",
            "'epsilon' in the metadata must be a positive number",
        ),
    ] {
        refused(&painn().painn(from, to).bytes(), &[message]);
    }
}

#[test]
fn units_are_applied() {
    for (name, unit) in [
        ("\"kcal/mol\"", KCAL_PER_MOL),
        ("\"kJ/mol\"", KCAL_PER_MOL / 4.184),
        ("\"Hartree\"", HARTREE),
        ("\"meV\"", 1e-3),
        ("0.5", 0.5),
    ] {
        let (spec, _) = painn()
            .painn("\"energy_unit\": 1.0", &format!("\"energy_unit\": {name}"))
            .read();
        assert!((spec.energy_scale / unit - 1.0).abs() < 1e-14, "{name}");
        // What has eV in its name is in eV whatever the unit of the network is.
        assert_eq!(
            (spec.mean_per_atom, spec.reference_energies[0]),
            (-0.25, -13.5),
            "{name}"
        );
    }
    let lengths = [
        ("\"bohr\"", 0.529_177_210_544),
        ("\"nm\"", 10.0),
        ("\"\u{212b}\"", 1.0),
        ("\"Ang\"", 1.0),
    ];
    for (name, unit) in lengths {
        let file = painn().painn(
            "\"length_unit\": \"angstrom\"",
            &format!("\"length_unit\": {name}"),
        );
        let (spec, _) = file
            .clone()
            .painn("\"cutoff_angstrom\"", "\"cutoff\"")
            .read();
        assert!(
            (spec.cutoff - 4.0 * unit).abs() < 1e-14,
            "{name}: {}",
            spec.cutoff
        );
        assert!((file.read().0.cutoff - 4.0).abs() < 1e-14, "{name}");
    }
}

#[test]
fn control_characters_are_shown_escaped() {
    let red = "\\u001b[31mred\\u0007";
    for file in [
        painn().more(red, "1"),
        painn().painn("\"gaussian\"", &format!("\"{red}\"")),
        painn().painn(
            "\"energy_unit\": 1.0",
            &format!("\"energy_unit\": \"{red}\""),
        ),
        painn().painn("[1, 8, 9]", &format!("[\"{red}\"]")),
        painn().set("\u{1b}[31mred\u{7}", "1"),
        painn().tensor("\u{1b}[31mred\u{7}", &[1], &[0.0]),
        painn().with_copy("\u{1b}[31mred\u{7}."),
        File::schnetpack().set(
            "units",
            &format!("{{\"energy\": \"{red}\", \"distance\": \"Ang\"}}"),
        ),
        File::schnetpack().set("\u{1b}[31mred\u{7}", "1"),
    ] {
        let message = import_noted(&file.bytes(), "m").unwrap_err().to_string();
        assert!(message.contains("[31mred"), "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}

#[test]
fn the_readme_of_the_models_has_every_key() {
    let readme = std::fs::read_to_string(root().join("models/README.md")).unwrap();
    for table in metadata_tables() {
        assert!(
            readme.contains(&table),
            "models/README.md should have this table:\n{table}"
        );
    }
}
