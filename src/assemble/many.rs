//! Force fields of many arrangements at once: over threads, or as batches on a card.

use std::sync::{Mutex, PoisonError};

use super::batch::SharedPotential;
use super::field::resident;
use super::{Model, card, check_place};
use crate::Result;
use crate::config::plan::DevicePlan;
use crate::core::System;
use crate::forcefield::{HostForceFields, ManyForceField};
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
    if let Some(at) = resident(model, precision, device)? {
        return card::many(model, elements, at);
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
