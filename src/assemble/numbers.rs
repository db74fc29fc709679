//! Audits of a network's numbers: what computes beside a run, and what takes over in finer ones.

use std::sync::Arc;

use super::{Model, check_numbers, check_room, engine_at, place, precision};
use crate::Result;
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice, Plan, PotentialPlan};
use crate::core::Snapshot;
use crate::engine::{Engine, Start};
use crate::potential::Precision;
use crate::report::{Energies, EnergyRecord, NumbersMonitor, Rungs};
use crate::simulation::Successor;

/// A plan in the numbers that its run has gone on in, where audits have raised them.
pub fn in_present_numbers(plan: &Plan, record: &EnergyRecord) -> Plan {
    let mut plan = plan.clone();
    if let (PotentialPlan::Network { precision, .. }, Some(raised)) =
        (&mut plan.potential, record.numbers.raised_to())
    {
        *precision = raised;
    }
    plan
}

/// What audits the numbers of a plan's network, if that is asked for: it looks before the thermo table, which has what it
/// finds.
///
/// # Errors
/// The network cannot be computed in f64 on the processor, there is no memory for it, or no thread can be started.
pub fn numbers_monitor(
    plan: &Plan,
    model: &Model,
    energies: &Energies,
) -> Result<Option<NumbersMonitor>> {
    let Some(audit) = plan.monitor.numbers else {
        return Ok(None);
    };
    let mut judged = plan.clone();
    judged.device = DevicePlan {
        kind: DeviceKind::Cpu,
        threads: Some(1),
        engine: EngineChoice::Auto,
    };
    check_room(&judged, model, Precision::F64)?;
    let (system, skin) = (&plan.start.system, Some(plan.dynamics.skin));
    let judge = model.in_host_memory(system, Precision::F64, &judged.device, skin)?;
    let present = energies.read(|record| in_present_numbers(plan, record));
    let rungs = rungs(&present, model);
    NumbersMonitor::new(energies, audit, rungs, Box::new(judge)).map(Some)
}

/// The numbers of a plan, and those above that its engine has where it is.
fn rungs(plan: &Plan, model: &Model) -> Rungs {
    let (present, device) = (precision(&plan.potential), &plan.device);
    let here = place(device, present);
    let above = std::iter::successors(present.finer(), |one| one.finer());
    let there =
        |one: &Precision| place(device, *one) == here && check_numbers(model, device, *one).is_ok();
    Rungs {
        present,
        finer: above.filter(there).collect(),
    }
}

/// Makes the engine of a plan in the numbers that its run's audits have raised it to.
pub struct FinerEngine {
    plan: Plan,
    model: Arc<Model>,
    energies: Energies,
}

impl FinerEngine {
    /// For a run of this plan, whose record of energies has what audits found.
    pub fn new(plan: &Plan, model: &Arc<Model>, energies: &Energies) -> Self {
        Self {
            plan: plan.clone(),
            model: Arc::clone(model),
            energies: energies.clone(),
        }
    }
}

impl Successor for FinerEngine {
    fn take_over(&mut self, state: &Snapshot) -> Result<Box<dyn Engine>> {
        let plan = (self.energies).read(|record| in_present_numbers(&self.plan, record));
        let start = Start::new(
            plan.start.system.clone(),
            state.cell.clone(),
            state.positions.clone(),
            state.velocities.clone(),
        );
        let start = start.after(state.step, state.observables.kept);
        engine_at(&plan, &self.model, start)
    }
}
