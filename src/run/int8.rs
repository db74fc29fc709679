//! The weights in 8 bits of a run: found when it begins, kept beside its checkpoints, and read again where it goes on.
//!
//! What is found depends on the processor to rounding: a run that goes on elsewhere goes on with the same weights. Checkpoints
//! and flight records have the hash of the file.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::assemble::{self, Int8Scene, Model, ModelKind};
use crate::config::plan::Plan;
use crate::potential::Precision;
use crate::potential::painn::Int8Weights;
use crate::report::names::INT8;
use crate::report::{Identity, file};
use crate::text::hexadecimal;
use crate::{Error, Result, input};

/// Longest file that is read: beyond any network that an atom's worth of memory could be found for.
const LONGEST: u64 = 1 << 30;

/// A file of weights that a run begins with.
pub(super) struct Int8File {
    bytes: Vec<u8>,
    /// Its hash.
    pub(super) sha256: String,
}

impl Int8File {
    /// Writes it into the directory of the run, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        file::replace(&directory.join(INT8), &self.bytes)
    }
}

/// Finds the weights of a plan that begins; `None` where its numbers are others.
///
/// # Errors
/// The network has none, or cannot compute the forces on the atoms.
pub(super) fn find(plan: &Plan, model: &Model) -> Result<Option<Int8File>> {
    if assemble::precision(&plan.potential) != Precision::Int8 {
        return Ok(None);
    }
    assemble::check_plan_numbers(plan, model)?;
    assemble::find_int8_anew(model, &plan.device, &[Int8Scene::of(plan)])?;
    let found: Vec<_> = model.members.iter().filter_map(ModelKind::int8).collect();
    let bytes = Int8Weights::encode(found.iter().map(|one| &**one))?;
    Ok(Some(Int8File {
        sha256: hexadecimal(&Sha256::digest(&bytes)),
        bytes,
    }))
}

/// Reads the weights of a run that has begun, whose numbers `plan` has, where they are those.
///
/// # Errors
/// The file is not there, is another one, or is not of the model.
pub fn read(directory: &Path, plan: &Plan, model: &Model, whose: &Identity) -> Result<()> {
    if assemble::precision(&plan.potential) != Precision::Int8 {
        return Ok(());
    }
    let path = directory.join(INT8);
    let fault = |why: String| {
        Error::input(format!(
            "{}: the weights in 8 bits that the run began with: {why}; put the file back, or begin anew with --force",
            path.display()
        ))
    };
    let bytes = input::read(&path, LONGEST).map_err(|e| fault(e.to_string()))?;
    let sha256 = hexadecimal(&Sha256::digest(&bytes));
    if whose.int8() != Some(&sha256) {
        return Err(fault("it is not the file that was written".to_owned()));
    }
    let networks = Int8Weights::decode(&bytes).map_err(|e| fault(e.to_string()))?;
    if networks.len() != model.members.len() {
        return Err(fault("it is of other networks".to_owned()));
    }
    for (member, found) in model.members.iter().zip(networks) {
        if let ModelKind::Painn { weights, int8, .. } = member {
            found.widened(weights).map_err(|e| fault(e.to_string()))?;
            int8.set(found);
        }
    }
    Ok(())
}
