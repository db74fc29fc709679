//! Batches: members from their plans, the engine that steps them together, and how many of them there is memory for.

use super::{Model, card, limits, precision, program, reachable, replica, start, thermostat_noise};
use crate::config::plan::{DevicePlan, Plan};
use crate::core::{Cell, System, Vec3, elements};
use crate::engine::{BatchEngine, BatchMember, HostBatch, batch};
use crate::memory;
use crate::potential::{Potential, Precision};
use crate::{Error, Result};

/// Part of the memory that is left which members in flight may take: what is foreseen is the least that they need, and others
/// take memory too.
const PART_OF_MEMORY: f64 = 0.75;

/// What a plan's system does as a member of a batch.
pub fn batch_member(plan: &Plan) -> BatchMember {
    BatchMember {
        start: start(plan).of_replica(replica(plan)),
        noise: thermostat_noise(plan),
        program: program(plan),
        limits: limits(plan),
    }
}

/// The engine of members that share what `plan` says of potential, device and skin, ready to run.
///
/// # Errors
/// Members do not take the same steps; the model does not know an element of one, which is named; the device is not there; there
/// is no room for all of them at once; or the potential is another program's, which serves one system.
pub fn batch_engine(
    plan: &Plan,
    model: &Model,
    members: Vec<BatchMember>,
) -> Result<Box<dyn BatchEngine>> {
    batch::check_batch(&members)?;
    let precision = precision(&plan.potential);
    if let Some(at) = reachable(plan, model, precision)? {
        return card::batch(plan, model, at, members);
    }
    check_members(plan, model, &members)?;
    let systems = members.iter().map(|member| &member.start.system);
    let shared = SharedPotential::new(model, systems, precision, &plan.device)?;
    let bind = |system: &System| shared.of(system);
    Ok(Box::new(HostBatch::new(members, plan.dynamics.skin, bind)?))
}

/// Checks that a batch in host memory can be made of members.
fn check_members(plan: &Plan, model: &Model, members: &[BatchMember]) -> Result<()> {
    if model.is_remote() {
        return Err(Error::input(
            "a client at a socket computes one system: run the members one at a time, with --member",
        )
        .within(plan.places.of("potential.socket")));
    }
    for (k, member) in members.iter().enumerate() {
        (model.check_species(&member.start.system)).map_err(|e| e.within(format!("member {k}")))?;
    }
    let mut bytes = 0.0;
    for BatchMember { start, .. } in members {
        let cell = &start.members.only()?.cell;
        bytes += needed(plan, model, (cell, &start.positions))?;
    }
    memory::require(bytes, || format!("{} systems at once", members.len()))
        .map_err(|e| e.advise("[device] in_flight takes fewer at a time"))
}

/// Memory (bytes) that a member, in its cell at its positions, takes in that of the host, at the least.
fn needed(plan: &Plan, model: &Model, (cell, positions): (&Cell, &[Vec3])) -> Result<f64> {
    let reach = (model.cutoff(), plan.dynamics.skin);
    let appetite = model.appetite(precision(&plan.potential), &plan.device);
    memory::of_system(cell, positions, reach, appetite)
}

/// How many of the members of a batch, whichever they are, there is memory for at once, where they run: one at the least.
///
/// # Errors
/// There is no room for one of them, or its positions or cell are of no use for a search; or the device is not there.
pub fn in_flight<'p>(plans: impl IntoIterator<Item = &'p Plan>, model: &Model) -> Result<usize> {
    let mut plans = plans.into_iter().peekable();
    let Some(&first) = plans.peek() else {
        return Ok(1);
    };
    if let Some(at) = reachable(first, model, precision(&first.potential))? {
        let (needs, free) = card::needs(plans, model, at)?;
        return Ok(most_at_once(needs, PART_OF_MEMORY * free));
    }
    let mut needs = Vec::new();
    for plan in plans {
        super::check_room(plan, model, precision(&plan.potential))?;
        needs.push(needed(
            plan,
            model,
            (&plan.start.cell, &plan.start.positions),
        )?);
    }
    let left = memory::available().map_or(f64::INFINITY, |bytes| bytes as f64);
    Ok(most_at_once(needs, PART_OF_MEMORY * left))
}

/// How many of what needs so much memory each, whichever they are, fit into what is left (bytes): one at the least.
fn most_at_once(mut needs: Vec<f64>, left: f64) -> usize {
    needs.sort_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    let fit = needs.iter().take_while(|bytes| {
        sum += **bytes;
        sum <= left
    });
    fit.count().max(1)
}

/// The potential of many systems in host memory, each of which it is bound to on one thread. They share what does not depend on
/// the atoms.
pub struct SharedPotential<'m> {
    model: &'m Model,
    precision: Precision,
    device: DevicePlan,
    /// Bound to the elements of all.
    all: Box<dyn Potential>,
}

impl<'m> SharedPotential<'m> {
    /// The potential of these systems.
    ///
    /// # Errors
    /// The model does not know an element of one, or is another program's.
    pub fn new<'s>(
        model: &'m Model,
        systems: impl IntoIterator<Item = &'s System>,
        precision: Precision,
        device: &DevicePlan,
    ) -> Result<Self> {
        let systems = systems.into_iter();
        let present = elements::present(systems.map(|system| system.species.as_slice()));
        let device = DevicePlan {
            threads: Some(1),
            ..*device
        };
        Ok(Self {
            all: model.bind(&System::of_species(&present), precision, &device)?,
            model,
            precision,
            device,
        })
    }

    /// It, for the atoms of one of the systems.
    ///
    /// # Errors
    /// The system is none of them.
    pub fn of(&self, system: &System) -> Result<Box<dyn Potential>> {
        match self.all.bound_to(&system.species)? {
            Some(potential) => Ok(potential),
            None => self.model.bind(system, self.precision, &self.device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::most_at_once;

    /// Also when the largest of them come together.
    #[test]
    fn any_that_are_in_flight_fit() {
        for (left, count) in [(0.0, 1), (5.0, 1), (9.0, 2), (9.9, 2), (10.0, 3), (99.0, 4)] {
            assert_eq!(
                most_at_once(vec![1.0, 5.0, 1.0, 4.0], left),
                count,
                "{left}"
            );
        }
        assert_eq!(most_at_once(vec![1e9; 7], f64::INFINITY), 7);
    }
}
