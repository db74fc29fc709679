//! Energies, forces and strain derivative that SchNetPack gives for its own models.

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::potential::Precision;
use mdrun::potential::painn::{Spec, Weights, import};

use super::engines::force_fields;
use crate::support::atoms::{Atoms, farthest};
use crate::support::data::Table;
use crate::support::reference;

/// eV per kcal/mol, from the definitions of the calorie, the mole and the electronvolt.
const KCAL_PER_MOL: f64 = 4184.0 / 6.022_140_76e23 / 1.602_176_634e-19;

/// In f64 (kcal/mol, kcal/mol/angstrom): two orders above the rounding of energies of 1e5 kcal/mol.
const DOUBLE: f64 = 1e-6;
/// In f32 (kcal/mol/angstrom): f32 against f64 in the reference itself differs by up to 1.1e-3.
const SINGLE: f64 = 2e-3;

/// Arrays of a file of the third-party reference data.
fn table(name: &str) -> Option<Table> {
    Some(Table::read(&std::fs::read(reference(name)?).unwrap()))
}

fn model(number: usize) -> (Spec, Weights) {
    let name = format!("painn_ethanol_{number}.safetensors");
    import(&std::fs::read(reference(&name).unwrap()).unwrap(), &name).unwrap()
}

fn in_kcal(forces: &[Vec3]) -> Vec<Vec3> {
    forces.iter().map(|f| f / KCAL_PER_MOL).collect()
}

#[test]
fn ethanol_of_three_models_in_twenty_geometries() {
    let Some(data) = table("ethanol.safetensors") else {
        return;
    };
    let species = data.species("Z");
    let positions = data.vectors("R");
    let arrangements: Vec<Atoms> = positions
        .chunks_exact(species.len())
        .map(|r| Atoms {
            species: species.clone(),
            cell: Cell::open(),
            positions: r.to_vec(),
        })
        .collect();
    assert_eq!(arrangements.len(), 20);
    for engine in force_fields() {
        for &precision in engine.precisions {
            let mut most = [0f64; 2];
            for number in 1..=3 {
                let model = model(number);
                let mut field = engine.field(&model, &species, precision);
                let energies = data.get(&format!("E_{number}"));
                let forces = data.vectors(&format!("F_{number}"));
                let forces = forces.chunks_exact(species.len());
                for ((atoms, energy), forces) in arrangements.iter().zip(energies).zip(forces) {
                    let out = field.at(&atoms.cell, &atoms.positions).unwrap();
                    let error = (out.energy / KCAL_PER_MOL - energy).abs();
                    most[0] = most[0].max(error);
                    most[1] = most[1].max(farthest(&in_kcal(&out.forces), forces));
                    assert!(out.energy.is_finite());
                }
            }
            let [energy, force] = most;
            println!(
                "{}, {precision:?}: energy {energy:.2e} kcal/mol, force {force:.2e} kcal/mol/A",
                engine.name
            );
            let bar = if precision == Precision::F64 {
                DOUBLE
            } else {
                SINGLE
            };
            assert!(energy < bar && force < bar, "{}: {most:?}", engine.name);
        }
    }
}

#[test]
fn triclinic_periodic_cell() {
    let Some(data) = table("ethanol_periodic_triclinic.safetensors") else {
        return;
    };
    let cell = Mat3::from_row_slice(data.get("cell"));
    let atoms = Atoms {
        species: data.species("Z"),
        cell: Cell::new(cell, [true; 3]).unwrap(),
        positions: data.vectors("R"),
    };
    let pairs = 1608_u32;
    assert_eq!(data.get("npairs"), [f64::from(pairs)]);
    let model = model(1);
    let strain = Mat3::from_row_slice(data.get("dEdstrain"));
    for engine in force_fields() {
        for &precision in engine.precisions {
            let mut field = engine.field(&model, &atoms.species, precision);
            let out = field.at(&atoms.cell, &atoms.positions).unwrap();
            assert_eq!(field.pairs(), u64::from(pairs), "{}", engine.name);
            let energy = (out.energy / KCAL_PER_MOL - data.get("E")[0]).abs();
            let force = farthest(&in_kcal(&out.forces), &data.vectors("F"));
            let strain = (out.strain_derivative / KCAL_PER_MOL - strain).amax();
            println!(
                "{}, {precision:?}: energy {energy:.2e}, force {force:.2e}, strain {strain:.2e} kcal/mol",
                engine.name
            );
            let bar = if precision == Precision::F64 {
                DOUBLE
            } else {
                SINGLE
            };
            // The strain derivative sums over all pairs, with lever arms of up to 5 angstrom.
            let strain_bar = bar * 5.0 * f64::from(pairs).sqrt();
            let sound = energy < bar && force < bar && strain < strain_bar;
            assert!(sound, "{}", engine.name);
        }
    }
}
