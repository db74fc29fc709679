//! What a directory holds of a run in stages that is to go on, and whether it is this run.

use std::path::Path;

use crate::config::plan::{Plan, StageBeginning, StagedPlan};
use crate::report::checkpoint::{Checkpoint, Identity, StageMark, store};
use crate::report::names::{self, FINAL, NEWEST};
use crate::report::{Console, Earlier, Status, look_at};
use crate::run::directory::RunDirectory;
use crate::run::resume::{Before, CheckpointSearch, is_of, keep_defaults};
use crate::{Error, Result};

/// Where a run in stages is.
pub(super) enum StagedPlace {
    /// At the start of the first one.
    Start {
        directory: Option<RunDirectory>,
        replaces: bool,
    },
    /// At a checkpoint.
    At(Box<FoundStage>),
    /// At the end of the last one, as its record says.
    Complete(String, u64),
}

/// What a run in stages goes on from.
pub(super) struct FoundStage {
    pub directory: RunDirectory,
    pub before: Before,
    /// The stage that the checkpoint is in, and whether that has ended with it.
    pub stage: usize,
    pub ended: bool,
    /// Whether what was written for later stages goes.
    pub anew: bool,
}

/// The plan of a stage that a checkpoint is in.
pub(super) fn began(plan: &Plan, checkpoint: &Checkpoint) -> Plan {
    let mark = checkpoint.stage.as_ref();
    plan.begun_at(mark.map_or_else(StageBeginning::default, StageMark::beginning))
}

/// The state at the end of a stage, as its file has it.
pub(super) fn end_of(path: &Path, plan: &Plan) -> Result<Checkpoint> {
    let name = plan.stage_name().unwrap_or_default();
    let file = path.join(names::end_of_stage(name));
    if !file.is_file() {
        return Err(Error::input(format!(
            "{} is not there: the state at the end of stage {name:?}, which the stage behind it begins from; put it back, or \
             begin anew with --force",
            file.display()
        )));
    }
    store::read(&file)
}

/// Whose run a stage is, which has begun.
pub(super) fn identity(all: &StagedPlan, plan: &Plan, sha256: &[String]) -> Identity {
    let index = plan.stage.as_ref().map_or(0, |stage| stage.index);
    let asked = |plan: &Plan| {
        let stage = plan.stage.as_ref();
        format!(
            "{:?}",
            stage.map(|stage| (&stage.velocities, stage.until, stage.minimizer))
        )
    };
    let mut before = String::new();
    for one in &all.stages[..index] {
        let run = Identity::of(one, sha256).run;
        before += &format!("{run:?} {} {}\n", one.dynamics.steps, asked(one));
    }
    let now = Identity::of(plan, sha256).with_stage(plan.stage_name().unwrap_or_default(), &before);
    now.with("stage (velocities, until, minimisation)", &asked(plan))
}

/// Looks into the directory of a run in stages that is to go on.
pub(super) fn look(
    plan: &mut StagedPlan,
    sha256: &[String],
    console: &Console,
) -> Result<StagedPlace> {
    let path = plan.stages[0].output.directory.clone();
    let place = path.display();
    let (directory, earlier, found) = match CheckpointSearch::within(&path, &plan.resolved)? {
        CheckpointSearch::Nothing { directory, remark } => {
            console.note(&remark);
            return Ok(StagedPlace::Start {
                directory: Some(directory),
                replaces: false,
            });
        }
        CheckpointSearch::Found(found) => *found,
    };
    if let Some(why) = &found.remark {
        console.remark(&format!("warning: {why}; the checkpoint before it is used"));
    }
    let checkpoint = found.checkpoint;
    let stage = stage_of(plan, &checkpoint)?;
    keep_defaults(&mut plan.stages[stage], &checkpoint.identity);
    let begun = began(&plan.stages[stage], &checkpoint);
    same_run((plan, &begun), sha256, &checkpoint)?;
    let (step, end) = (checkpoint.step, begun.dynamics.steps);
    let settled = checkpoint.energies.settle.settled() == Some(step);
    if step > end {
        let name = begun.stage_name().unwrap_or_default();
        return Err(Error::input(format!(
            "{}: stage {name:?} has gone past the steps asked for: it has come to step {step} already, and was to end at {end}",
            plan.source.display()
        )));
    }
    let ended = settled || step == end;
    let complete = earlier.status == Some(Status::Complete) && path.join(FINAL).is_file();
    if ended && !begun.has_next_stage() && complete {
        let remark = format!(
            "the run in {place} is complete: all stages have ended, at step {step}; --from goes on from the beginning of one"
        );
        return Ok(StagedPlace::Complete(remark, step));
    }
    for mark in &checkpoint.files {
        look_at(mark, &path)?;
    }
    store::promote(&path, &found.path)?;
    Ok(StagedPlace::At(Box::new(FoundStage {
        directory,
        before: Before {
            checkpoint,
            earlier,
        },
        stage,
        // The last stage, at its end, goes on for no step, and writes its last state.
        ended: ended && begun.has_next_stage(),
        anew: false,
    })))
}

/// What a run goes on from that is to go on from the beginning of a stage.
pub(super) fn from(plan: &StagedPlan, sha256: &[String], name: &str) -> Result<StagedPlace> {
    let stage = plan.number(name)?;
    let Some(previous) = stage.checked_sub(1) else {
        return Err(Error::input(format!(
            "--from {name}: it is the first stage: leave --from out, or replace the run with --force"
        )));
    };
    let path = plan.stages[0].output.directory.clone();
    let directory = RunDirectory::open(&path)?;
    let checkpoint = end_of(&path, &plan.stages[previous])?;
    let begun = began(&plan.stages[previous], &checkpoint);
    same_run((plan, &begun), sha256, &checkpoint)?;
    for mark in &checkpoint.files {
        look_at(mark, &path)?;
    }
    let mut earlier = Earlier::read(&path);
    if let Some(stages) = &mut earlier.stages {
        stages.truncate(stage);
    }
    Ok(StagedPlace::At(Box::new(FoundStage {
        directory,
        before: Before {
            checkpoint,
            earlier,
        },
        stage: previous,
        ended: true,
        anew: true,
    })))
}

/// The number of the stage that a checkpoint is in.
pub(super) fn stage_of(plan: &StagedPlan, checkpoint: &Checkpoint) -> Result<usize> {
    let place = plan.stages[0].output.directory.display();
    let Some(mark) = &checkpoint.stage else {
        return Err(Error::input(format!(
            "{place} holds a run without stages ({NEWEST}): choose another directory, or replace it with --force"
        )));
    };
    plan.number(&mark.name)
        .map_err(|e| e.within(format!("{place} holds a run in its stage {:?}", mark.name)))
}

/// Checks that a checkpoint is one of this run.
pub(super) fn same_run(
    (all, plan): (&StagedPlan, &Plan),
    sha256: &[String],
    checkpoint: &Checkpoint,
) -> Result<()> {
    let now = identity(all, plan, sha256);
    let now = match checkpoint.identity.int8() {
        Some(sha256) => now.with_int8(sha256),
        None => now,
    };
    is_of(plan, &now, checkpoint)
}
