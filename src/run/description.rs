//! What a run is, for its record and for the console.

use crate::assemble::{self, Model, Place};
use crate::config::plan::{Plan, VelocityPlan};
use crate::core::elements;
use crate::report::{Console, Description, OriginFile};
use crate::text;

use super::words;

/// Describes a run that is about to begin on an engine with these words.
pub(super) fn of(
    plan: &Plan,
    models: Vec<OriginFile>,
    structure: OriginFile,
    engine: String,
) -> Description {
    let mut seeds = Vec::new();
    if let VelocityPlan::Thermal { seed, .. } = plan.start.velocities {
        seeds.push(("velocities".to_owned(), seed));
    }
    if let Some(seed) = (plan.dynamics.ensemble.bath()).and_then(|bath| bath.seed) {
        seeds.push(("thermostat".to_owned(), seed));
    }
    Description {
        config: plan.resolved.clone(),
        config_file: plan.source.clone(),
        models,
        structure: Some(structure),
        formula: elements::formula(&plan.start.system.species),
        atoms: plan.start.system.len(),
        members: None,
        degrees_of_freedom: assemble::degrees_of_freedom(plan),
        device: device(plan),
        engine,
        threads: assemble::thread_count(&plan.device),
        seeds,
        versions: versions(),
        files: assemble::files(plan),
    }
}

/// Versions of the libraries that results may depend on, from the lock file that they were built with.
fn versions() -> Vec<(String, String)> {
    const LOCK: &str = include_str!("../../Cargo.lock");
    let of = |name: &&str| {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let version = LOCK.split_once(&entry)?.1.split('"').next()?;
        Some(((*name).to_owned(), version.to_owned()))
    };
    ["burn", "molly", "rayon"].iter().filter_map(of).collect()
}

fn device(plan: &Plan) -> String {
    match assemble::place(&plan.device, assemble::precision(&plan.potential)) {
        Place::Cuda(index) => format!("cuda:{index}"),
        Place::Cpu => "cpu".to_owned(),
    }
}

/// Says which stage of a run is about to begin.
pub(super) fn introduce_stage(console: &Console, plan: &Plan) {
    let Some(stage) = &plan.stage else {
        return;
    };
    let (number, of) = (stage.index + 1, stage.of);
    console.line(&format!("\nstage      {} ({number} of {of})", stage.name));
    console.line(&format!("dynamics   {}", words::dynamics(plan)));
}

/// Says what is about to run.
pub(super) fn introduce(console: &Console, plan: &Plan, model: &Model, about: &Description) {
    for note in plan.notes.iter().cloned().chain(model.notes()) {
        console.note(&note);
    }
    for doubt in model.doubts_of(&plan.start) {
        console.remark(&format!("warning: {doubt}"));
    }
    if let Some(note) = words::whole_motion(plan) {
        console.note(&note);
    }
    console.line(&format!(
        "system     {}: {}, {}",
        about.formula,
        text::counted(about.atoms as u64, "atom"),
        words::cell(&plan.start.cell)
    ));
    console.line(&format!("potential  {}", model.describe()));
    console.line(&format!("engine     {}", about.engine));
    if let Some(stage) = &plan.stage {
        let (number, of) = (stage.index + 1, stage.of);
        console.line(&format!("stage      {} ({number} of {of})", stage.name));
    }
    console.line(&format!("dynamics   {}", words::dynamics(plan)));
    console.line(&format!("output     {}", plan.output.directory.display()));
}
