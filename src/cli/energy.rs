//! `mdrun energy`: energy, forces and stress of one structure.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::EnergyArgs;
use crate::config::check_overlaps;
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use crate::core::{Cell, Fitted, Mat3, Vec3, elements};
use crate::formats::{self, Structure};
use crate::models::ModelFile;
use crate::potential::{ElectronScene, Evaluation, Precision};
use crate::run::words;
use crate::terminal::Terminal;
use crate::text::counted;
use crate::{Error, Result, assemble, memory, streams};

/// Runs the command.
///
/// # Errors
/// The model or the structure cannot be used, or the energy is not a finite number.
pub fn run(args: &EnergyArgs) -> Result<ExitCode> {
    let device = DevicePlan {
        kind: args.device,
        threads: None,
        engine: EngineChoice::Auto,
    };
    let precision = args.precision.unwrap_or(match args.device {
        DeviceKind::Cuda(_) => Precision::F32,
        DeviceKind::Auto | DeviceKind::Cpu => Precision::F64,
    });
    assemble::threads(&device)?;
    let structure = formats::read_frame(&args.structure, args.frame.unwrap_or(0))?;
    let fitted = structure.fitted();
    let notes = notes(args, &structure, fitted.as_ref().ok());
    for note in &notes {
        streams::tell(&Terminal::err().message(&format!("note: {note}")));
    }
    let Fitted { cell, .. } = fitted.map_err(|e| e.within(args.structure.display()))?;
    let system = structure.system();
    check_overlaps(&system, &structure.positions, &cell)
        .map_err(|e| e.within(args.structure.display()))?;
    let model = assemble::load_network(&ModelFile::find(&args.model, Path::new(""))?)?;
    for note in model.notes() {
        streams::tell(&Terminal::err().message(&format!("note: {note}")));
    }
    for doubt in model.doubts(&ElectronScene {
        species: &structure.species,
        cell: &cell,
        positions: &structure.positions,
        electrons: &structure.electrons,
    }) {
        streams::tell(&Terminal::err().message(&format!("warning: {doubt}")));
    }
    let appetite = model.appetite(precision, &device);
    memory::check(&cell, &structure.positions, (model.cutoff(), 0.0), appetite)
        .map_err(|e| e.within(args.structure.display()))?;
    let mut field =
        assemble::field(&model, &system, precision, &device).map_err(|e| match args.device {
            DeviceKind::Cuda(_) => e.advise("--device cpu does without a GPU, in f64 too"),
            DeviceKind::Auto | DeviceKind::Cpu => e,
        })?;
    let evaluation = field.at(&cell, &structure.positions)?;
    if !evaluation.energy.is_finite() {
        return Err(Error::run(format!(
            "{}: the energy is not a finite number; two atoms may be at one place",
            args.structure.display()
        )));
    }
    let stress = cell
        .volume()
        .map(|volume| evaluation.strain_derivative / volume);
    let found = SinglePoint {
        cell: &cell,
        structure: &structure,
        notes,
        evaluation,
        pairs: field.pairs(),
        stress,
    };
    streams::print(&if args.json {
        found.json()
    } else {
        Terminal::out().fit(&found.table())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What a run would say of the structure and its cell, and which frame it is.
fn notes(args: &EnergyArgs, structure: &Structure, fitted: Option<&Fitted>) -> Vec<String> {
    let mut notes = structure.notes.clone();
    notes.extend(fitted.iter().flat_map(|fitted| fitted.notes.clone()));
    if structure.frames > 1 && args.frame.is_none() {
        notes.push(format!(
            "{} has {} frames; this is the first, --frame -1 takes the last",
            args.structure.display(),
            structure.frames
        ));
    }
    notes
}

/// What is printed.
struct SinglePoint<'a> {
    cell: &'a Cell,
    structure: &'a Structure,
    notes: Vec<String>,
    evaluation: Evaluation,
    pairs: u64,
    /// eV / angstrom^3, where the cell is periodic in all directions.
    stress: Option<Mat3>,
}

impl SinglePoint<'_> {
    fn json(&self) -> String {
        let arrays =
            |vectors: &[Vec3]| -> Vec<[f64; 3]> { vectors.iter().map(|&v| v.into()).collect() };
        let symbols = self.structure.species.iter().map(|&z| elements::symbol(z));
        let cell = self.cell.is_periodic().then(|| rows(self.cell.vectors()));
        let mut out = json!({
            "energy_ev": self.evaluation.energy,
            "forces_ev_per_angstrom": arrays(&self.evaluation.forces),
            "pairs": self.pairs,
            "elements": symbols.collect::<Vec<_>>(),
            "positions_angstrom": arrays(&self.structure.positions),
            "cell_angstrom": cell,
            "periodic": self.cell.periodic(),
            "frames": self.structure.frames,
            "notes": self.notes,
        });
        if let Some(stress) = &self.stress {
            out["stress_ev_per_angstrom3"] = json!(rows(stress));
        }
        format!("{out}\n")
    }

    fn table(&self) -> String {
        let species = &self.structure.species;
        let mut text = format!(
            "energy {:.9} eV\n{}, {}, {} ordered pairs; {}\nforces (eV/A)\n",
            self.evaluation.energy,
            elements::formula(species),
            counted(species.len() as u64, "atom"),
            self.pairs,
            words::cell(self.cell)
        );
        for (i, (z, f)) in species.iter().zip(&self.evaluation.forces).enumerate() {
            let symbol = elements::symbol(*z);
            text += &format!("{i:6} {symbol:2} {:15.9} {:15.9} {:15.9}\n", f.x, f.y, f.z);
        }
        if let Some(stress) = &self.stress {
            text += "stress (eV/A^3), positive where the cell would contract\n";
            for [x, y, z] in rows(stress) {
                text += &format!("{x:15.9} {y:15.9} {z:15.9}\n");
            }
        }
        text
    }
}

fn rows(matrix: &Mat3) -> [[f64; 3]; 3] {
    [0, 1, 2].map(|a| [0, 1, 2].map(|b| matrix[(a, b)]))
}
