//! `mdrun check`: everything but the run, the physics of the model, and the time step.

mod members;
mod physics;
mod speed;
mod steps;
mod table;

use std::process::ExitCode;

use super::{CheckArgs, hints};
use crate::assemble::{self, Int8Scene, Model, ModelKind};
use crate::config::plan::{BatchPlan, DevicePlan, MemberPlan, Plan, StagedPlan};
use crate::config::{self, Asked};
use crate::core::{elements, observe};
use crate::potential::{Precision, TrainedOn};
use crate::run::batch::check_batch_numbers;
use crate::run::{least_bytes, words};
use crate::text::significant;
use crate::units::KELVIN;
use crate::{Error, Result, memory, streams};
use table::{CheckTable, Grade};

/// Runs the command; exit code 2 where a test came out bad.
///
/// # Errors
/// The run could not even be started: the error of the first thing that is wrong.
pub fn run(args: &CheckArgs) -> Result<ExitCode> {
    hints::expect_run_file(&args.config)?;
    let mut table = CheckTable::default();
    let (config, overrides) = (&args.config, &args.overrides);
    match (config::load_any(config, overrides, None)?, args.member) {
        (Asked::Staged(staged), None) => stages(&mut table, &staged, args.stage.as_deref())?,
        (asked, _) if args.stage.is_some() => {
            drop(asked);
            let why = format!("{}: has no stages: leave --stage out", config.display());
            return Err(Error::input(why));
        }
        (Asked::Several(batch), chosen) => many(&mut table, *batch, chosen)?,
        (Asked::One(plan), None) => {
            let plan = *plan;
            let bytes = least_bytes(&plan);
            examine(&mut table, plan)?;
            let found = format!("at least {}", indicatif::HumanBytes(bytes));
            table.info("output", found).value(bytes as f64, "B");
        }
        (Asked::One(_) | Asked::Staged(_), Some(member)) => {
            return Err(config::no_members(config, member));
        }
    }
    if args.json {
        streams::print_json(&table.json())?
    } else {
        table.print()?
    }
    Ok(ExitCode::from(if table.is_bad() { 2 } else { 0 }))
}

/// Looks at many systems: what they are, the physics of one of them, and what all of them take.
fn many(table: &mut CheckTable, mut batch: BatchPlan, chosen: Option<usize>) -> Result<()> {
    if let (None, Some(first)) = (chosen, batch.members.first()) {
        check_batch_numbers(&first.plan)?;
    }
    members::describe(table, &batch);
    let (number, why) = match chosen {
        Some(number) => (number, ""),
        None => (members::largest(&batch), ", the largest"),
    };
    let MemberPlan { name, plan } = batch.member(number)?.clone();
    let found = format!("member {number}{why} ({name}): what follows is of it");
    table.info("examined", found);
    // Its notes are among those of all.
    let notes = Vec::new();
    let (device, model) = examine(table, Plan { notes, ..plan })?;
    for member in &mut batch.members {
        member.plan.device = device;
    }
    members::cost(table, &batch, &model)
}

/// Looks at a run in stages: what they are, and the physics of one of them.
fn stages(table: &mut CheckTable, staged: &StagedPlan, chosen: Option<&str>) -> Result<()> {
    for plan in &staged.stages {
        let name = plan.stage_name().unwrap_or_default();
        table.info("stage", format!("{name}: {}", words::dynamics(plan)));
    }
    let number = match chosen {
        Some(name) => staged.number(name)?,
        None => staged.stages.len() - 1,
    };
    let mut plan = staged.stages[number].clone();
    plan.notes.clone_from(&staged.notes);
    let name = plan.stage_name().unwrap_or_default();
    let found = format!("stage {name}, as if it began from the structure: what follows is of it");
    table.info("examined", found);
    let bytes = staged.stages.iter().map(least_bytes).sum::<u64>();
    examine(table, plan)?;
    let found = format!("at least {}", indicatif::HumanBytes(bytes));
    table.info("output", found).value(bytes as f64, "B");
    Ok(())
}

/// Looks at one system; returns what computes it.
fn examine(table: &mut CheckTable, mut plan: Plan) -> Result<(DevicePlan, Model)> {
    assemble::threads(&plan.device)?;
    let model = assemble::load(&mut plan)?;
    assemble::check_room(&plan, &model, Precision::F64)?;
    describe(table, &plan, &model);
    let precision = assemble::precision(&plan.potential);
    if precision == Precision::Int8 {
        assemble::check_plan_numbers(&plan, &model)?;
        assemble::find_int8(&model, precision, &plan.device, &[Int8Scene::of(&plan)])?;
    }
    physics::examine(table, &plan, &model)?;
    steps::examine(table, &plan, &model)?;
    if let Some(bytes) = memory::peak() {
        table
            .info("memory", indicatif::HumanBytes(bytes).to_string())
            .value(bytes as f64, "B");
    }
    Ok((plan.device, model))
}

/// What there is: system, cell, model, length of the run.
fn describe(table: &mut CheckTable, plan: &Plan, model: &Model) {
    let start = &plan.start;
    for note in &plan.notes {
        table.info("note", note);
    }
    table.info("structure", start.structure.display().to_string());
    let formula = elements::formula(&start.system.species);
    let atoms = start.system.len();
    table
        .info("atoms", format!("{atoms} ({formula})"))
        .value(atoms as f64, "");
    table.info("cell", words::cell(&start.cell));
    table.info("potential", model.describe());
    for note in model.notes() {
        table.info("note", note.clone());
    }
    trained_on(table, plan, model);
    if plan.plumed.is_some() {
        let without = "acts in the run; what is checked is the system without it";
        table.info("PLUMED", without);
    }
    table.info("dynamics", words::dynamics(plan));
    width(table, plan, model.cutoff());
    temperature(table, plan);
    if let Some(note) = words::whole_motion(plan) {
        table.add("whole motion", note, Grade::Look);
    }
}

/// What the models were trained on beside what they are to be used for.
fn trained_on(table: &mut CheckTable, plan: &Plan, model: &Model) {
    let mut told: Vec<TrainedOn> = (model.members.iter())
        .filter_map(ModelKind::trained_on)
        .collect();
    told.dedup();
    for told in &told {
        tell_trained_on(table, told);
    }
    let doubts = model.doubts_of(&plan.start);
    if doubts.is_empty() && told.iter().any(|told| told.words().is_some()) {
        table.add(
            "electrons",
            "no charge and no open shell is seen",
            Grade::Ok,
        );
    }
    for doubt in doubts {
        table.add("electrons", doubt, Grade::Look);
    }
}

fn tell_trained_on(table: &mut CheckTable, told: &TrainedOn) {
    let elements = match told.elements {
        true => "the structure's elements",
        false => "its file does not say which elements",
    };
    let electrons = told.words();
    let unsaid = "; nor whether on molecules that are neutral with closed shells";
    let electrons = electrons.map_or_else(|| unsaid.to_owned(), |words| format!("; {words}"));
    let grade = if told.elements {
        Grade::Ok
    } else {
        Grade::Look
    };
    table.add("trained on", format!("{elements}{electrons}"), grade);
}

/// The narrowest width of the cell beside the range of the potential.
fn width(table: &mut CheckTable, plan: &Plan, cutoff: f64) {
    let cell = &plan.start.cell;
    let narrow = (0..3)
        .filter(|&k| cell.periodic()[k])
        .map(|k| cell.height(k))
        .fold(f64::INFINITY, f64::min);
    if !narrow.is_finite() {
        return;
    }
    let (note, grade) = if narrow >= 2.0 * cutoff {
        ("each pair has one image in range", Grade::Ok)
    } else if narrow >= cutoff {
        (
            "under twice the cutoff: some pairs count with several images; exact",
            Grade::Ok,
        )
    } else {
        (
            "narrower than the cutoff: atoms meet their own images; exact, but a larger cell is better physics",
            Grade::Look,
        )
    };
    let found = format!("{narrow:.3} A, cutoff {cutoff} A: {note}");
    table
        .add("narrowest width", found, grade)
        .value(narrow, "A");
}

/// The temperature of a start (K).
fn starting_temperature(plan: &Plan) -> f64 {
    let start = assemble::start(plan);
    let thermometer = assemble::thermometer(plan);
    let momentum = observe::momentum(&start.system, &start.velocities);
    let kinetic = observe::kinetic_energy(&start.system, &start.velocities)
        - thermometer
            .held_mass
            .map_or(0.0, |mass| 0.5 * momentum.norm_squared() / mass);
    observe::kt(kinetic, thermometer.degrees_of_freedom) / KELVIN
}

/// The temperature of the start beside its limit, which a run is held to from its first state on.
fn temperature(table: &mut CheckTable, plan: &Plan) {
    let kelvin = starting_temperature(plan);
    tell_temperature(table, ("starting temperature", ""), kelvin, plan);
}

/// Adds a temperature (K) beside the limit of its plan; `of` stands before it.
fn tell_temperature(
    table: &mut CheckTable,
    (what, of): (&'static str, &str),
    kelvin: f64,
    plan: &Plan,
) {
    let limit = plan.monitor.temperature.map(|kt| kt / KELVIN);
    let (grade, beyond) = match limit.filter(|limit| kelvin > *limit) {
        None => (Grade::Info, String::new()),
        Some(limit) => (
            Grade::Bad,
            format!(
                ", over the limit of {} K ([monitor] temperature)",
                significant(limit, 6)
            ),
        ),
    };
    let found = format!("{of}{} K{beyond}", significant(kelvin, 4));
    let finding = table.add(what, found, grade);
    finding.value(kelvin, "K");
    if let Some(limit) = limit {
        finding.limit(limit);
    }
}
