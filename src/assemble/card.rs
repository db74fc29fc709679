//! Engines on a card: of one system, or of the members of a batch.

use super::{Model, Residence};
use crate::Result;
use crate::config::plan::Plan;
use crate::core::System;
use crate::core::rng::Noise;
use crate::cuda::Device;
use crate::engine::cuda::{CudaBatch, CudaEngine, DeviceForceFields, Making};
use crate::engine::{BatchEngine, BatchMember, Engine, Start};
use crate::forcefield::ManyForceField;

/// The engine that lives at a place on a card, at `start`; `skin` in angstrom.
///
/// # Errors
/// The model does not know an element, or the device is not there or has no room.
pub fn cuda_engine(
    start: Start,
    model: &Model,
    noise: Noise,
    skin: f64,
    at: Residence,
) -> Result<CudaEngine> {
    made(start, model, noise, (skin, at), Making::default())
}

fn made(
    start: Start,
    model: &Model,
    noise: Noise,
    (skin, at): (f64, Residence),
    making: Making,
) -> Result<CudaEngine> {
    let potential = model.on_a_card(&start.system, at.precision)?;
    let skin = cuda_skin(skin, start.system.len());
    CudaEngine::made(start, &*potential, noise, (skin, at.index), making)
}

/// The skin (angstrom) that a GPU uses where `skin` is asked for: a build of a small system's pairs costs as much as two of
/// its steps, and pairs in the skin next to nothing. Results do not depend on it.
pub fn cuda_skin(skin: f64, atoms: usize) -> f64 {
    /// Atoms that leave a GPU idle, and their skin.
    const FEW: usize = 1000;
    const WIDE: f64 = 1.5;
    if atoms < FEW { skin.max(WIDE) } else { skin }
}

/// The same for a batch whose largest member has so many atoms: the fastest atom of all decides when pairs are built.
pub fn cuda_batch_skin(skin: f64, largest: usize) -> f64 {
    /// Atoms of a molecule all of which are near each other anyway.
    const MOLECULE: usize = 64;
    const OF_MOLECULES: f64 = 3.0;
    const OF_BOXES: f64 = 1.0;
    skin.max(match largest {
        ..=MOLECULE => OF_MOLECULES,
        _ => OF_BOXES,
    })
}

/// The engine of a plan. One that is a member of a batch has the batch's kernels.
pub(super) fn engine(
    plan: &Plan,
    model: &Model,
    at: Residence,
    start: Start,
) -> Result<Box<dyn Engine>> {
    let making = Making {
        as_member: plan.start.replica.is_some(),
        ..Making::default()
    };
    let noise = super::thermostat_noise(plan);
    let skin = plan.dynamics.skin;
    let engine = made(start, model, noise, (skin, at), making)?;
    Ok(Box::new(engine))
}

/// The engine of a batch.
pub(super) fn batch(
    plan: &Plan,
    model: &Model,
    at: Residence,
    members: Vec<BatchMember>,
) -> Result<Box<dyn BatchEngine>> {
    let batch = cuda_batch(members, model, plan.dynamics.skin, at)?;
    Ok(Box::new(batch))
}

/// The engine of a batch that lives at a place on a card; `skin` in angstrom.
///
/// # Errors
/// The model does not know an element; members do not take the same steps; the device is not there or has no room.
pub fn cuda_batch(
    members: Vec<BatchMember>,
    model: &Model,
    skin: f64,
    at: Residence,
) -> Result<CudaBatch> {
    let (mut largest, mut all) = (0, System::default());
    for member in &members {
        let system = &member.start.system;
        largest = largest.max(system.len());
        all.species.extend(&system.species);
        all.masses.extend(&system.masses);
    }
    let potential = model.on_a_card(&all, at.precision)?;
    let skin = cuda_batch_skin(skin, largest);
    CudaBatch::new(members, &*potential, skin, at.index)
}

/// Force fields of many arrangements of atoms of these elements.
pub(super) fn many<'m>(
    model: &'m Model,
    elements: &[u8],
    at: Residence,
) -> Result<Box<dyn ManyForceField + 'm>> {
    Device::open(at.index)?;
    let potential = model.on_a_card(&System::of_species(elements), at.precision)?;
    Ok(Box::new(DeviceForceFields::new(potential, at.index)))
}

/// Memory (bytes) of each of some plans' systems on a card as members of a batch, and what is free there.
pub(super) fn needs<'p>(
    plans: impl IntoIterator<Item = &'p Plan>,
    model: &Model,
    at: Residence,
) -> Result<(Vec<f64>, f64)> {
    let free = Device::open(at.index)?.memory()?[0];
    let mut needs = Vec::new();
    for plan in plans {
        let start = &plan.start;
        let atoms = start.system.len();
        let range = model.cutoff() + cuda_batch_skin(plan.dynamics.skin, atoms);
        let potential = model.on_a_card(&start.system, at.precision)?;
        let pairs = crate::neighbors::expected_neighbors(&start.cell, &start.positions, range)?;
        needs.push(CudaBatch::foreseen_memory(atoms, pairs as usize, &*potential) as f64);
    }
    Ok((needs, free as f64))
}
