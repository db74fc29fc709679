//! Saved files of others, converted, against what their authors' code gives: see `reference` in the tests of parity.

use std::path::Path;

use mdrun::convert::{Converted, ModelAnswers, convert};
use mdrun::core::{Cell, Mat3};
use mdrun::neighbors::Pairs;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::{Evaluation, Potential as _, Precision};

use crate::support::atoms::{Atoms, farthest};
use crate::support::data::Table;
use crate::support::reference;

/// eV per kcal/mol, from the definitions of the calorie, the mole and the electronvolt.
const KCAL_PER_MOL: f64 = 4184.0 / 6.022_140_76e23 / 1.602_176_634e-19;

/// Of an energy, relative to what the network gives without offsets: rounding in 64 bits.
const ENERGY: f64 = 1e-9;
/// Of a force (eV / angstrom).
const FORCE: f64 = 1e-8;

fn converted(name: &str, elements: &str) -> Option<Converted> {
    let bytes = std::fs::read(reference(name)?).unwrap();
    let answers = ModelAnswers {
        energy_unit: Some("kcal/mol".into()),
        length_unit: Some("angstrom".into()),
        elements: Some(elements.into()),
        ..ModelAnswers::default()
    };
    Some(
        convert(
            &bytes,
            Path::new(name),
            Path::new("out.safetensors"),
            &answers,
        )
        .unwrap(),
    )
}

/// Holds energies (kcal/mol) and forces against those expected.
fn compare(
    model: &Converted,
    atoms: &Atoms,
    pairs: &Pairs,
    energy: f64,
    forces: &[mdrun::core::Vec3],
) {
    let model = &model.model;
    let mut out = Evaluation::zeros(0);
    let network = FusedPainn::new(
        &model.spec,
        &model.weights,
        &atoms.species,
        Precision::F64,
        2,
    );
    network.unwrap().evaluate(pairs, &mut out).unwrap();
    let offset = model.spec.offset(&atoms.species);
    let expected = energy * KCAL_PER_MOL;
    let error = (out.energy - expected).abs() / (expected - offset).abs();
    let own: Vec<_> = forces.iter().map(|f| f * KCAL_PER_MOL).collect();
    let force = farthest(&out.forces, &own);
    println!("energy {error:.1e} relative, force {force:.1e} eV/A");
    assert!(error < ENERGY && force < FORCE, "{error:e} {force:e}");
}

fn ethanol(file: &str, data: &str, [energies, forces]: [&str; 2]) {
    let (Some(model), Some(data)) = (converted(file, "H,C,O"), reference(data)) else {
        return;
    };
    let data = Table::read(&std::fs::read(data).unwrap());
    let species = data.species("Z");
    let (positions, forces) = (data.vectors("R"), data.vectors(forces));
    let count = species.len();
    for (k, energy) in data.get(energies).iter().enumerate() {
        let atoms = Atoms {
            species: species.clone(),
            cell: Cell::open(),
            positions: positions[k * count..(k + 1) * count].to_vec(),
        };
        let pairs = Pairs::within(&atoms.cell, &atoms.positions, model.model.spec.cutoff).unwrap();
        compare(
            &model,
            &atoms,
            &pairs,
            *energy,
            &forces[k * count..(k + 1) * count],
        );
    }
}

#[test]
fn ethanol_as_schnetpack_saves_it() {
    ethanol(
        "painn_ethanol_1.schnetpack.pt",
        "ethanol.safetensors",
        ["E_1", "F_1"],
    );
}

#[test]
fn ethanol_of_an_older_class() {
    ethanol(
        "pickles/md_ethanol.model",
        "pickles/md_ethanol.safetensors",
        ["E", "F"],
    );
}

/// The network alone, which is what the reference has; the excluded volume is read beside it.
#[test]
fn strontium_titanate_of_neural_force_field() {
    let name = "pickles/nff_SrTiO3_1";
    let (Some(model), Some(data)) = (
        converted(&format!("{name}.best_model"), "O,Ti,Sr"),
        reference(&format!("{name}.safetensors")),
    ) else {
        return;
    };
    let law = model.model.repulsion.expect("an excluded volume");
    assert_eq!(law.shape(), (1.5, 12));
    let data = Table::read(&std::fs::read(data).unwrap());
    for k in 0..13 {
        let of = |what: &str| format!("{k}.{what}");
        let atoms = Atoms {
            species: data.species(&of("Z")),
            cell: Cell::new(Mat3::from_row_slice(data.get(&of("cell"))), [true; 3]).unwrap(),
            positions: data.vectors(&of("R")),
        };
        let pairs = Pairs::within(&atoms.cell, &atoms.positions, 5.0).unwrap();
        assert_eq!(pairs.len() as f64, data.get(&of("pairs"))[0]);
        compare(
            &model,
            &atoms,
            &pairs,
            data.get(&of("E"))[0],
            &data.vectors(&of("F")),
        );
    }
}
