//! Whether the time step is short enough, and how fast steps are: a short run with the run's own engine.

use std::time::{Duration, Instant};

use super::speed::BlockTimer;
use super::table::{CheckTable, Grade};
use crate::Result;
use crate::assemble::{self, Model};
use crate::config::plan::Plan;
use crate::core::{Fields, Snapshot};
use crate::diagnose::trial::{self, Attempt, Trial};
use crate::diagnose::vibration::{Vibrating, shortest_period};
use crate::engine::{Engine, Flags};
use crate::run::words;
use crate::text::{duration, round, significant};
use crate::units::{FEMTOSECOND, KELVIN, MEV_PER_PS, PICOSECOND, ns_per_day};

/// Steps that the fastest vibration should have, and the fewest with which it can be integrated.
const STEPS_A_PERIOD: f64 = 10.0;
const FEWEST_STEPS_A_PERIOD: f64 = 6.0;
/// Largest sound fluctuation of the energy over that of the kinetic energy, and the largest that is borne.
const FLUCTUATION: f64 = 0.05;
const MOST_FLUCTUATION: f64 = 0.1;
/// Simulated time (ps) and fewest steps of the trial, and the time that it may take.
const TRIAL_PS: f64 = 1.0;
const TRIAL_STEPS: u64 = 1000;
const TRIAL_TIME: Duration = Duration::from_secs(20);
/// How the speed is measured.
const SPEED: BlockTimer = BlockTimer {
    blocks: 9,
    block_time: Duration::from_millis(40),
    most_steps: 1 << 16,
    patience: Duration::from_secs(8),
};
/// A step faster than this (s) tells nothing about a run: writing and watching take longer.
const TOO_FAST: f64 = 20e-6;

/// Adds how short the time step is, and how fast steps are.
///
/// # Errors
/// The engine cannot be made, or the device failed.
pub(super) fn examine(table: &mut CheckTable, plan: &Plan, model: &Model) -> Result<()> {
    let heated = assemble::heated(plan);
    let mut engine = assemble::engine_at(&heated, model, assemble::start(&heated))?;
    table.info("device", engine.about().to_string());
    let state = engine.snapshot(Fields::ALL)?;
    let vibrating = Vibrating::new(&plan.start.system, &plan.constraints);
    let period = shortest_period(engine.as_mut(), &vibrating, &state)?;
    tell_period(table, plan, period);
    let how = Attempt {
        timestep: plan.dynamics.timestep,
        steps: trial_steps(plan.dynamics.timestep),
        deadline: Instant::now() + TRIAL_TIME,
        limits: assemble::limits(plan),
        thermometer: assemble::thermometer(plan),
    };
    let found = trial::attempt(engine.as_mut(), &state, &how)?;
    tell_trial(table, plan, &found);
    tell_drift(table, plan, &found);
    if found.breach.is_none() {
        speed(table, plan, engine.as_mut(), &state)?;
    }
    Ok(())
}

/// Steps of the trial.
fn trial_steps(timestep: f64) -> u64 {
    let steps = (TRIAL_PS * PICOSECOND / timestep).round() as u64;
    steps.max(TRIAL_STEPS)
}

/// Steps in the shortest period of a vibration.
fn tell_period(table: &mut CheckTable, plan: &Plan, period: Option<f64>) {
    const WHAT: &str = "steps a vibration";
    let timestep = plan.dynamics.timestep;
    let Some(period) = period else {
        table.info(WHAT, "nothing vibrates: no curvature binds the atoms");
        return;
    };
    let steps = period / timestep;
    let grade = match steps {
        steps if steps >= STEPS_A_PERIOD => Grade::Ok,
        steps if steps >= FEWEST_STEPS_A_PERIOD => Grade::Look,
        _ => Grade::Bad,
    };
    let advice = match grade {
        Grade::Ok => String::new(),
        _ => format!(
            "; use at most {} fs",
            significant(period / STEPS_A_PERIOD / FEMTOSECOND, 2)
        ),
    };
    let found = format!(
        "{}, of {} fs each, in the shortest ({} fs; at least {STEPS_A_PERIOD}){advice}",
        significant(steps, 3),
        significant(timestep / FEMTOSECOND, 4),
        significant(period / FEMTOSECOND, 3),
    );
    table
        .add(WHAT, found, grade)
        .value(steps, "")
        .limit(STEPS_A_PERIOD);
}

/// What the short run at constant energy came to.
fn tell_trial(table: &mut CheckTable, plan: &Plan, trial: &Trial) {
    const WHAT: &str = "energy fluctuation";
    if let Some(breach) = &trial.breach {
        let found = format!(
            "the trial at constant energy breaks off at {}",
            words::breach(breach, plan)
        );
        table.add(WHAT, found, Grade::Bad).limit(FLUCTUATION);
        return;
    }
    let Some(ratio) = trial.fluctuation else {
        let found = format!(
            "not tried: too little moves in {} steps ({} K)",
            trial.steps,
            significant(trial.kt / KELVIN, 3)
        );
        table.info(WHAT, found).limit(FLUCTUATION);
        return;
    };
    let grade = Grade::of(ratio, FLUCTUATION, MOST_FLUCTUATION);
    let found = format!(
        "{} % of the kinetic energy's in {} steps at {} K (at most {:.0} %){}",
        significant(100.0 * ratio, 2),
        trial.steps,
        significant(trial.kt / KELVIN, 3),
        100.0 * FLUCTUATION,
        match grade {
            Grade::Ok => "",
            _ => "; use a smaller timestep",
        }
    );
    table
        .add(WHAT, found, grade)
        .value(ratio, "")
        .limit(FLUCTUATION);
}

/// The slope of the energy in the trial, which is in the run's own numbers.
fn tell_drift(table: &mut CheckTable, plan: &Plan, trial: &Trial) {
    const WHAT: &str = "energy drift";
    /// Standard errors by which a drift is certainly beyond its limit.
    const CERTAIN: f64 = 4.0;
    if trial.breach.is_some() {
        return;
    }
    let Some(drift) = trial.drift else {
        let found = format!("not tried: {} steps are too few", trial.steps);
        table.info(WHAT, found);
        return;
    };
    let atoms = plan.start.system.len() as f64;
    let drift = drift.scaled(1.0 / atoms / MEV_PER_PS);
    let limit = plan.monitor.drift.map(|limit| limit / MEV_PER_PS);
    let certainly = drift.value.abs() - CERTAIN * drift.error;
    let (grade, beyond) = match limit.filter(|limit| certainly > *limit) {
        None => (Grade::Info, String::new()),
        Some(limit) => (
            Grade::Look,
            format!(", beyond the limit of {} ([monitor] drift)", round(limit)),
        ),
    };
    let simulated = trial.steps as f64 * plan.dynamics.timestep / PICOSECOND;
    let cut = match trial.steps < trial_steps(plan.dynamics.timestep) {
        true => format!(
            ", as much as {} s allow of {TRIAL_PS} ps",
            TRIAL_TIME.as_secs()
        ),
        false => String::new(),
    };
    let found = format!(
        "{:+.4} +- {:.4}{} meV/atom/ps over {} ps at constant energy in {}{cut}{beyond}",
        drift.value,
        drift.error,
        if drift.converged { "" } else { " or more" },
        significant(simulated, 3),
        assemble::precision(&plan.potential),
    );
    let finding = table.add(WHAT, found, grade);
    finding.value(drift.value, "meV/atom/ps");
    if let Some(limit) = limit {
        finding.limit(limit);
    }
}

/// How fast steps are, and how long the run will take.
fn speed(
    table: &mut CheckTable,
    plan: &Plan,
    engine: &mut dyn Engine,
    state: &Snapshot,
) -> Result<()> {
    let Some(per_step) = seconds_a_step(plan, engine, state)? else {
        table.info("speed", "not measured: the steps broke off");
        return Ok(());
    };
    if per_step < TOO_FAST {
        let found = format!(
            "under {} ms a step: too small a system to tell, what is written will take longer",
            TOO_FAST * 1e3
        );
        table.info("speed", found).value(per_step * 1e3, "ms");
        return Ok(());
    }
    let steps = plan.dynamics.steps;
    let whole = Duration::try_from_secs_f64(per_step * steps as f64).unwrap_or(Duration::MAX);
    let found = format!(
        "{} ms a step, {} ns/day; the run of {steps} steps takes {}",
        significant(per_step * 1e3, 3),
        significant(ns_per_day(1.0 / per_step, plan.dynamics.timestep), 3),
        duration(whole)
    );
    table.info("speed", found).value(per_step * 1e3, "ms");
    Ok(())
}

/// The median time of a step (s) over blocks of them, all from the same state; `None` where a number ceases to be
/// finite.
fn seconds_a_step(plan: &Plan, engine: &mut dyn Engine, state: &Snapshot) -> Result<Option<f64>> {
    let program = assemble::program(plan);
    SPEED.median(|steps| {
        engine.restore(state)?;
        let began = Instant::now();
        let outcome = engine.run(&program, state.step..state.step + steps)?;
        let fatal = outcome.flags.intersects(Flags::FATAL);
        Ok((!fatal).then(|| began.elapsed()))
    })
}
