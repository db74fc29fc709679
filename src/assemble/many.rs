//! Force fields of many arrangements at once: over threads, or one after another on a card.

use std::sync::{Mutex, PoisonError};

use super::batch::SharedPotential;
use super::field::{self, resident};
use super::{Model, check_place};
use crate::Result;
use crate::config::plan::DevicePlan;
use crate::core::System;
use crate::forcefield::{Arrangement, ForceField, FoundPoint, HostForceFields, ManyForceField};
use crate::potential::Precision;

/// A force field of many arrangements of atoms of these elements (atomic numbers).
///
/// # Errors
/// The model does not know an element, the device is not there, or it cannot compute in these numbers.
pub fn many<'m>(
    model: &'m Model,
    elements: &[u8],
    precision: Precision,
    device: &DevicePlan,
) -> Result<Box<dyn ManyForceField + 'm>> {
    if model.is_network() {
        check_place(device, precision)?;
    }
    if resident(model, precision, device)?.is_some() {
        return Ok(Box::new(OneByOne {
            model,
            precision,
            device: *device,
            bound: None,
        }));
    }
    let all = System::of_species(elements);
    let shared = SharedPotential::new(model, [&all], precision, device)?;
    let shared = Mutex::new(shared);
    let bind = move |species: &[u8]| {
        let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.of(&System::of_species(species))
    };
    Ok(Box::new(HostForceFields::new(bind)))
}

/// One arrangement after another, where a device works on one at a time.
struct OneByOne<'m> {
    model: &'m Model,
    precision: Precision,
    device: DevicePlan,
    /// The force field that was used last, and its atoms.
    bound: Option<(Vec<u8>, Box<dyn ForceField + 'm>)>,
}

impl OneByOne<'_> {
    fn one(&mut self, at: &Arrangement<'_>) -> Result<FoundPoint> {
        let same = self
            .bound
            .take()
            .filter(|(species, _)| species == at.species);
        let bound = match same {
            Some(bound) => bound,
            None => {
                let system = System::of_species(at.species);
                let field = field::field(self.model, &system, self.precision, &self.device, 0.0)?;
                (system.species, field)
            }
        };
        let (_, field) = self.bound.insert(bound);
        Ok(FoundPoint {
            evaluation: field.at(at.cell, at.positions)?,
            pairs: field.pairs(),
        })
    }
}

impl ManyForceField for OneByOne<'_> {
    fn evaluate(&mut self, all: &[Arrangement<'_>]) -> Result<Vec<Result<FoundPoint>>> {
        Ok(all.iter().map(|at| self.one(at)).collect())
    }
}
