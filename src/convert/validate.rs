//! A converted model compared with energies and forces that the model itself gave, elsewhere.

use std::path::Path;
use std::sync::Arc;

use super::Converted;
use crate::core::{Vec3, elements};
use crate::forcefield::{ForceField as _, HostForceField};
use crate::formats::{self, Labelled};
use crate::potential::painn::cpu::FusedPainn;
use crate::potential::pair::{Beside, PairEnergy};
use crate::potential::{Potential, Precision};
use crate::{Error, Result};

/// Most difference, relative to the largest force, and to the largest energy without what is added for each atom.
const MOST: f64 = 1e-6;

/// Differences from there to [`MOST`] are those of 32-bit numbers.
const SINGLE: f64 = 3e-4;

/// A comparison that went well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// How many structures.
    pub frames: usize,
    /// The largest difference of energies, relative.
    pub energy: f64,
    /// The same of force components.
    pub force: f64,
}

/// Compares a model with the energies and forces of an extended XYZ file: positions in angstrom, energies in eV and forces in
/// eV / angstrom, or both in the model's own units.
///
/// # Errors
/// The file cannot be read, lacks energies or forces, or says something else.
pub fn validate(converted: &Converted, path: &Path) -> Result<Validation> {
    let frames = formats::read_labelled(path)?;
    compare(converted, &frames).map_err(|e| e.within(path.display()))
}

fn compare(converted: &Converted, frames: &[Labelled]) -> Result<Validation> {
    let found: Result<Vec<ComparedFrame>> = frames
        .iter()
        .map(|frame| evaluate(converted, frame))
        .collect();
    let found = found?;
    let [energy, length] = converted.units;
    let units = [[1.0, 1.0], [energy, energy / length]];
    let differences = units.map(|units| difference(&found, units));
    let best = match differences[0][1] <= differences[1][1] {
        true => differences[0],
        false => differences[1],
    };
    let worst = best[0].max(best[1]);
    if worst <= MOST {
        return Ok(Validation {
            frames: frames.len(),
            energy: best[0],
            force: best[1],
        });
    }
    let hint = match worst < SINGLE {
        true => {
            "; differences of this size come of 32-bit numbers: let the model compute them in 64 bits (model.double())"
        }
        false => "; it is another network, or its units are others",
    };
    Err(Error::input(format!(
        "the model does not give these energies and forces: relative to the largest, energies differ by {:.1e} and forces by \
         {:.1e}; {MOST:e} is the most; nothing was written{hint}",
        best[0], best[1]
    )))
}

/// What the file and the model say of one structure.
struct ComparedFrame {
    /// Energies (the file's unit, and eV), and what the model adds for its atoms (eV).
    energy: [f64; 2],
    offset: f64,
    forces: [Vec<Vec3>; 2],
}

fn evaluate(converted: &Converted, frame: &Labelled) -> Result<ComparedFrame> {
    let Labelled {
        structure,
        energy,
        forces,
    } = frame;
    let model = &converted.model;
    let species = &structure.species;
    model.spec.check_species(species)?;
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let network = FusedPainn::new(
        &model.spec,
        &model.weights,
        species,
        Precision::F64,
        threads,
    )?;
    let mut potential: Box<dyn Potential> = Box::new(network);
    if let Some(law) = model.repulsion {
        let term: Arc<dyn PairEnergy> = Arc::new(law);
        potential = Box::new(Beside::new(potential, term, species));
    }
    let mut field = HostForceField::exhaustive(potential);
    let own = field.at(&structure.cell()?, &structure.positions)?;
    if !own.energy.is_finite() {
        return Err(Error::input(format!(
            "the energy of {} is no number",
            elements::formula(species)
        )));
    }
    Ok(ComparedFrame {
        energy: [*energy, own.energy],
        offset: model.spec.offset(species),
        forces: [forces.clone(), own.forces.clone()],
    })
}

/// The largest differences of energies and of force components, relative to the largest of each, where the file has these units
/// (eV, eV / angstrom).
fn difference(found: &[ComparedFrame], [energy, force]: [f64; 2]) -> [f64; 2] {
    let (mut most, mut largest) = ([0.0_f64; 2], [0.0_f64; 2]);
    for one in found {
        let [stated, own] = [one.energy[0] * energy, one.energy[1]];
        most[0] = most[0].max((stated - own).abs());
        largest[0] = largest[0].max((own - one.offset).abs());
        for (stated, own) in one.forces[0].iter().zip(&one.forces[1]) {
            most[1] = most[1].max((stated * force - own).amax());
            largest[1] = largest[1].max(own.amax());
        }
    }
    // Where nothing acts on anything, nothing is compared.
    [0, 1].map(|k| match largest[k] > 0.0 {
        true => most[k] / largest[k],
        false => f64::INFINITY,
    })
}
