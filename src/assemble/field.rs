//! Force fields of models: on the card where a run's engine would be there, else in host memory.

use super::loaded::Model;
use super::model::{ModelKind, Place, Residence, check_place, place};
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice, Plan};
use crate::core::System;
use crate::forcefield::ForceField;
use crate::potential::{Precision, fused};
use crate::{Error, Result};

/// A force field for the atoms of a system. `skin` (angstrom) is that of its list in host memory: 0 where what it is asked for is
/// seldom near to what was asked before.
///
/// # Errors
/// The model does not know an element, the device is not there, or it cannot compute in these numbers.
pub fn field<'m>(
    model: &'m Model,
    system: &System,
    precision: Precision,
    device: &DevicePlan,
    skin: f64,
) -> Result<Box<dyn ForceField + 'm>> {
    if model.is_network() {
        check_place(device, precision)?;
    }
    match resident(model, precision, device)? {
        Some(residence) => on_a_card(model, system, residence),
        None => in_host_memory(model, system, precision, device, skin),
    }
}

/// Checks that a network's engine, where it is to be, computes in these numbers.
///
/// # Errors
/// It does not.
pub fn check_numbers(model: &Model, device: &DevicePlan, precision: Precision) -> Result<()> {
    match resident(model, precision, device)? {
        Some(at) => check_kernels(model, at),
        None => Ok(()),
    }
}

/// Checks that kernels on a card have a model's numbers.
#[cfg(feature = "cuda")]
fn check_kernels(model: &Model, at: Residence) -> Result<()> {
    let none = System::default();
    model.on_a_card(&none, at.precision).map(drop)
}

#[cfg(not(feature = "cuda"))]
fn check_kernels(_: &Model, at: Residence) -> Result<()> {
    Err(super::model::built_without(at.index))
}

/// The force field of a plan's run.
///
/// # Errors
/// As for [`field`].
pub fn field_of<'m>(plan: &Plan, model: &'m Model) -> Result<Box<dyn ForceField + 'm>> {
    let (system, precision) = (&plan.start.system, super::precision(&plan.potential));
    match super::reachable(plan, model, precision)? {
        Some(residence) => on_a_card(model, system, residence),
        None => in_host_memory(model, system, precision, &plan.device, 0.0),
    }
}

fn in_host_memory<'m>(
    model: &'m Model,
    system: &System,
    precision: Precision,
    device: &DevicePlan,
    skin: f64,
) -> Result<Box<dyn ForceField + 'm>> {
    let field = model.in_host_memory(system, precision, device, Some(skin))?;
    Ok(Box::new(field))
}

/// The place on a card where a model's atoms, pairs and network are, if that is where they are.
///
/// # Errors
/// The engine, there or on the CPU, does not compute in these numbers.
pub(super) fn resident(
    model: &Model,
    precision: Precision,
    device: &DevicePlan,
) -> Result<Option<Residence>> {
    let asked = matches!(device.kind, DeviceKind::Cuda(_));
    match (&model.members[0], place(device, precision)) {
        (ModelKind::Socket(_), _) => Ok(None),
        (ModelKind::LennardJones { .. }, Place::Cpu) => Ok(None),
        (ModelKind::LennardJones { .. }, Place::Cuda(_)) if !asked => Ok(None),
        (ModelKind::LennardJones { .. }, Place::Cuda(index)) => {
            Ok(Some(Residence { index, precision }))
        }
        (_, Place::Cpu) => check_on_the_host(model, precision, device).map(|()| None),
        (_, Place::Cuda(_)) if device.engine == EngineChoice::Burn => Ok(None),
        (_, Place::Cuda(_)) if precision == Precision::F64 => Err(Error::input(
            "the CUDA engine computes in f32 and less, not in f64",
        )
        .advise("set precision = \"f32\", or [device] kind = \"cpu\"")),
        (_, Place::Cuda(index)) => Ok(Some(Residence { index, precision })),
    }
}

/// Checks that networks are computed in these numbers on the CPU.
///
/// # Errors
/// One of them is not.
fn check_on_the_host(model: &Model, precision: Precision, device: &DevicePlan) -> Result<()> {
    fused::check_precision(precision)?;
    if precision != Precision::Int8 {
        return Ok(());
    }
    if device.engine == EngineChoice::Burn {
        return Err(Error::input(
            "Burn computes in f64 and f32, not in int8: set precision = \"f32\", or leave out [device] engine",
        ));
    }
    let other = (model.members.iter()).find(|member| !matches!(member, ModelKind::Painn { .. }));
    other.map_or(Ok(()), |other| {
        Err(Error::input(format!(
            "{} is computed in f64 or f32 on the CPU, not in int8, which PaiNN alone has: set precision = \"f32\"",
            other.describe()
        )))
    })
}

#[cfg(feature = "cuda")]
fn on_a_card<'m>(
    model: &'m Model,
    system: &System,
    at: Residence,
) -> Result<Box<dyn ForceField + 'm>> {
    let potential = model.on_a_card(system, at.precision)?;
    let field = crate::engine::cuda::DeviceForceField::new(potential, &system.species, at.index)?;
    Ok(Box::new(field))
}

#[cfg(not(feature = "cuda"))]
fn on_a_card<'m>(_: &'m Model, _: &System, at: Residence) -> Result<Box<dyn ForceField + 'm>> {
    Err(super::model::built_without(at.index))
}
