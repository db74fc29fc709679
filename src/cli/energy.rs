//! `mdrun energy`: energy, forces and stress of one structure.

use std::process::ExitCode;

use serde_json::json;

use super::EnergyArgs;
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use crate::config::structure;
use crate::core::elements;
use crate::engine::single_point;
use crate::{Error, Result, assemble};

/// One structure is soon done: no other device is worth its start.
const DEVICE: DevicePlan = DevicePlan {
    kind: DeviceKind::Cpu,
    threads: None,
    engine: EngineChoice::Auto,
};

/// Runs the command.
///
/// # Errors
/// The model or the structure cannot be used, or the energy is not a finite number.
pub fn run(args: &EnergyArgs) -> Result<ExitCode> {
    let structure = structure::read(&args.structure)?;
    let system = structure.system();
    let cell = structure
        .cell()
        .map_err(|e| e.within(args.structure.display()))?;
    let model = assemble::load_painn(&args.model)?;
    let mut potential = model.bind(&system, args.precision, &DEVICE)?;
    let (evaluation, pairs) = single_point(potential.as_mut(), &cell, &structure.positions)?;
    if !evaluation.energy.is_finite() {
        return Err(Error::run(format!(
            "{}: the energy is not a finite number; two atoms may be at one place",
            args.structure.display()
        )));
    }
    let stress = cell
        .volume()
        .map(|volume| evaluation.strain_derivative / volume);
    let rows = |m: &nalgebra::Matrix3<f64>| -> Vec<Vec<f64>> {
        m.row_iter()
            .map(|row| row.iter().copied().collect())
            .collect()
    };
    if args.json {
        let mut out = json!({
            "energy_ev": evaluation.energy,
            "forces_ev_per_angstrom": evaluation.forces.iter().map(|f| [f.x, f.y, f.z]).collect::<Vec<_>>(),
            "pairs": pairs.len(),
        });
        if let Some(stress) = &stress {
            out["stress_ev_per_angstrom3"] = json!(rows(stress));
        }
        println!("{out}");
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "energy {:.9} eV, {} atoms, {} ordered pairs",
        evaluation.energy,
        structure.species.len(),
        pairs.len()
    );
    println!("forces (eV/A)");
    for (i, (z, f)) in structure.species.iter().zip(&evaluation.forces).enumerate() {
        println!(
            "{i:6} {:2} {:15.9} {:15.9} {:15.9}",
            elements::symbol(*z),
            f.x,
            f.y,
            f.z
        );
    }
    if let Some(stress) = &stress {
        println!("stress (eV/A^3), positive where the cell would contract");
        for row in rows(stress) {
            println!("{:15.9} {:15.9} {:15.9}", row[0], row[1], row[2]);
        }
    }
    Ok(ExitCode::SUCCESS)
}
