//! What the drift of a run's energy comes from.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::Result;
use crate::assemble::{self, Model};
use crate::config::plan::Plan;
use crate::core::Snapshot;
use crate::diagnose::{Case, Question, Report, diagnose, window};
use crate::engine::Start;
use crate::potential::Precision;
use crate::report::EnergyRecord;
use crate::report::series::Estimate;
use crate::simulation::Flight;
use crate::units::MEV_PER_PS;

/// Time that the end of a run may take to look for the cause of a drift.
const AUTOMATIC: Duration = Duration::from_secs(120);
/// A drift (meV/atom/ps) under this is nothing to explain where the run has no limit: it warms a solid by
/// 0.2 K in a picosecond.
const TOLERABLE: f64 = 0.05;

/// Diagnoses a run that has just been stopped by its drift.
///
/// # Errors
/// A replay failed.
pub(super) fn explain(
    plan: &Plan,
    model: &Model,
    flight: &Flight,
    energies: &EnergyRecord,
    interrupt: &AtomicBool,
) -> Result<Report> {
    let state = replay_from(flight, energies, plan.dynamics.timestep);
    let o = &state.observables;
    let start = Start::new(
        plan.start.system.clone(),
        state.cell.clone(),
        state.positions.clone(),
        state.velocities.clone(),
    )
    .after(state.step, o.kept);
    let last = flight.frames.last();
    let case = Case {
        start,
        timestep: plan.dynamics.timestep,
        thermometer: energies.thermometer(),
        question: question(
            plan,
            energies.drift(),
            flight.cause.step().saturating_sub(state.step),
        ),
        later: last.filter(|l| l.step > state.step).cloned(),
        double: assemble::precision(&plan.potential) != Precision::F64,
        budget: AUTOMATIC,
    };
    replay(plan, model, &case, interrupt)
}

/// The state to replay a drift from: the newest that leaves a window long enough to see it again.
pub(super) fn replay_from<'f>(
    flight: &'f Flight,
    energies: &EnergyRecord,
    timestep: f64,
) -> &'f Snapshot {
    let steps = (energies.conserved.span() / timestep) as u64;
    let wanted = energies.drift().map_or(steps, |seen| window(&seen, steps));
    let from = flight.cause.step().saturating_sub(wanted);
    let early = flight.kept.iter().rev().find(|s| s.step <= from);
    early.or(flight.kept.first()).unwrap_or(&flight.before)
}

/// The question of a drift that was seen, or that may be there.
pub(crate) fn question(plan: &Plan, seen: Option<Estimate>, window: u64) -> Question {
    let limit = plan.monitor.drift.unwrap_or(TOLERABLE * MEV_PER_PS);
    let tolerable = match seen {
        Some(seen) if seen.value.abs() > limit => 0.5 * seen.value.abs(),
        _ => limit,
    };
    Question::Drift {
        seen,
        window,
        tolerable,
    }
}

/// Replays a case of a plan.
///
/// # Errors
/// A replay failed.
pub(crate) fn replay(
    plan: &Plan,
    model: &Model,
    case: &Case,
    interrupt: &AtomicBool,
) -> Result<Report> {
    let build = |start, variant| assemble::variant(plan, model, start, variant);
    let judge = || assemble::judge(plan, model);
    diagnose(case, (&build, &judge), interrupt)
}
