//! `mdrun energy`: energy, forces and stress of one structure.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::EnergyArgs;
use super::energy_of_all;
use super::subject::{FrameChoice, Prepared};
use crate::core::{Cell, Mat3, Spread, Vec3, elements};
use crate::formats::Structure;
use crate::potential::Evaluation;
use crate::run::words;
use crate::terminal::Terminal;
use crate::text::counted;
use crate::{Error, Result, streams};

/// Runs the command.
///
/// # Errors
/// The model or the structure cannot be used, or the energy is not a finite number.
pub fn run(args: &EnergyArgs) -> Result<ExitCode> {
    if args.subject.frame == Some(FrameChoice::All) {
        return energy_of_all::run(args);
    }
    if args.out.is_some() {
        return Err(Error::input(
            "--out is for all frames of a structure file: add --frame all, or redirect standard output",
        ));
    }
    let prepared = args.subject.prepare(0.0)?;
    let Prepared {
        structure, cell, ..
    } = &prepared;
    let mut field = prepared.field()?;
    let evaluation = field.at(cell, &structure.positions)?;
    if !evaluation.energy.is_finite() {
        return Err(Error::run(format!(
            "{}: the energy is not a finite number; two atoms may be at one place",
            args.subject.structure.display()
        )));
    }
    let found = SinglePoint {
        cell,
        structure,
        notes: &prepared.notes,
        evaluation: &evaluation,
        pairs: field.pairs(),
    };
    streams::print(&if args.json {
        format!("{}\n", found.json())
    } else {
        Terminal::out().fit(&found.table())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Heading of the forces.
const FORCES: &str = "forces (eV/A)\n";

/// What is printed.
pub(super) struct SinglePoint<'a> {
    pub(super) cell: &'a Cell,
    pub(super) structure: &'a Structure,
    pub(super) notes: &'a [String],
    pub(super) evaluation: &'a Evaluation,
    pub(super) pairs: u64,
}

impl SinglePoint<'_> {
    /// eV / angstrom^3, where the cell is periodic in all directions.
    fn stress(&self) -> Option<Mat3> {
        let volume = self.cell.volume()?;
        Some(self.evaluation.stress(volume))
    }

    /// All of it.
    pub(super) fn json(&self) -> Value {
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
        if let Some(stress) = &self.stress() {
            out["stress_ev_per_angstrom3"] = json!(rows(stress));
        }
        if let Some(spread) = &self.evaluation.spread {
            out["force_spread_ev_per_angstrom"] = json!(spread.force);
            out["energy_spread_ev_per_atom"] = json!(spread.energy);
        }
        out
    }

    fn table(&self) -> String {
        let species = &self.structure.species;
        let mut text = format!(
            "energy {:.9} eV\n{}, {}, {} ordered pairs; {}\n{FORCES}",
            self.evaluation.energy,
            elements::formula(species),
            counted(species.len() as u64, "atom"),
            self.pairs,
            words::cell(self.cell)
        );
        if let Some(Spread { force, energy }) = self.evaluation.spread {
            let spread = format!(
                "models are apart by {energy:.6} eV/atom, and by {force:.6} eV/A on the worst atom\n"
            );
            text.insert_str(text.len() - FORCES.len(), &spread);
        }
        for (i, (z, f)) in species.iter().zip(&self.evaluation.forces).enumerate() {
            let symbol = elements::symbol(*z);
            text += &format!("{i:6} {symbol:2} {:15.9} {:15.9} {:15.9}\n", f.x, f.y, f.z);
        }
        if let Some(stress) = &self.stress() {
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
