//! What a validation of a run makes its engines and force fields with.

use super::loaded::Model;
use super::{engine_at, field_of, precision, program, start, thermometer};
use crate::Result;
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice, Plan, VelocityPlan};
use crate::core::System;
use crate::dynamics::{Bath, Dynamics, Program, Ramps};
use crate::engine::{Engine, Start};
use crate::forcefield::ForceField;
use crate::potential::Precision;
use crate::validate::{Depth, PairSearch, PhysicsWorkshop, Setup};

/// What the run's own numbers are compared with.
const JUDGE: DevicePlan = DevicePlan {
    kind: DeviceKind::Cpu,
    threads: None,
    engine: EngineChoice::Auto,
};

/// A run's plan and model.
pub struct PlanWorkshop<'p> {
    plan: &'p Plan,
    model: &'p Model,
}

impl<'p> PlanWorkshop<'p> {
    /// Of a plan and its model.
    pub fn new(plan: &'p Plan, model: &'p Model) -> Self {
        Self { plan, model }
    }

    /// What is to be validated of the run, so deeply.
    pub fn setup(&self, depth: Depth) -> Setup<'_> {
        let plan = self.plan;
        Setup {
            workshop: self,
            start: start(&heated(plan)),
            ensemble: plan.dynamics.ensemble,
            timestep: plan.dynamics.timestep,
            thermometer: thermometer(plan),
            precision: precision(&plan.potential),
            drift: plan.monitor.drift,
            force_error: plan.monitor.numbers.and_then(|audit| audit.limit),
            remote: self.model.is_remote(),
            depth,
        }
    }
}

impl PhysicsWorkshop for PlanWorkshop<'_> {
    fn exact(&self, system: &System, search: PairSearch) -> Result<Box<dyn ForceField + '_>> {
        // What is asked for is seldom near to what was asked before: the list has no skin.
        let skin = (search == PairSearch::Listed).then_some(0.0);
        let field = (self.model).in_host_memory(system, Precision::F64, &JUDGE, skin)?;
        Ok(Box::new(field))
    }

    fn rounded(&self) -> Result<Box<dyn ForceField + '_>> {
        field_of(self.plan, self.model)
    }

    fn engine(&self, start: Start, replica: u32) -> Result<Box<dyn Engine>> {
        let mut plan = self.plan.clone();
        // Noise of its own, and not that which the run's other members have.
        plan.start.replica = Some(u32::MAX - replica);
        engine_at(&plan, self.model, start)
    }

    fn ensemble(&self, ensemble: &Dynamics, timestep: f64) -> Program {
        let mut plan = self.plan.clone();
        plan.dynamics.ensemble = *ensemble;
        plan.dynamics.timestep = timestep;
        // An ensemble is of one temperature and pressure.
        plan.dynamics.ramps = Ramps::default();
        program(&plan)
    }
}

/// The plan with the velocities of its thermostat's temperature, at which the run will be whatever it starts from.
pub fn heated(plan: &Plan) -> Plan {
    let mut heated = plan.clone();
    if let Some(Bath { kt, seed }) = plan.dynamics.ensemble.bath()
        && kt > 0.0
    {
        let seed = seed.unwrap_or(0);
        heated.start.velocities = VelocityPlan::Thermal { kt, seed };
    }
    heated
}
