//! Which checkpoint a batch goes on from, and whether it is one of this batch.

use super::BatchEnding;
use crate::config::plan::BatchPlan;
use crate::report::checkpoint::{BatchCheckpoint, Identity, store};
use crate::report::names::FINAL;
use crate::report::{Earlier, Status, look_at};
use crate::run::directory::RunDirectory;
use crate::run::resume::{hardly_begun, keep_defaults};
use crate::simulation::batch::{MemberCourse, MemberStage};
use crate::text::counted;
use crate::{Error, Result};

/// What a directory holds of a batch that is to go on.
pub(super) enum BatchStanding {
    /// Nothing: the batch begins, in place of one that had hardly begun if there is one.
    Nothing {
        /// Its directory, taken for it.
        directory: RunDirectory,
        /// Why, for the user.
        remark: String,
    },
    /// A batch that has stopped before its end.
    Stopped(Box<StoppedBatch>),
    /// A batch whose members have all come to their ends.
    Ended(Box<EndedBatch>),
}

/// A batch that has stopped before its end.
pub(super) struct StoppedBatch {
    /// Its directory, locked.
    pub directory: RunDirectory,
    /// What it goes on from.
    pub checkpoint: BatchCheckpoint,
    /// What the record of it says so far.
    pub earlier: Earlier,
    /// What is wrong with the newest checkpoint, where this is the one before it.
    pub unsound: Option<String>,
}

/// A batch whose members have all come to their ends.
pub(super) struct EndedBatch {
    /// Its record.
    pub earlier: Earlier,
    /// Tells the user.
    pub remark: String,
    /// How it ended.
    pub ending: BatchEnding,
}

/// Looks into the directory of a batch's plan. Members that are complete go on where the plan has more steps for them; those
/// that failed do not. A value that the plan leaves to a default which depends on the duration stays what it was.
///
/// # Errors
/// What is there is another run, has no sound checkpoint, or another process is at work in it.
pub(super) fn look(plan: &mut BatchPlan, models: &[String]) -> Result<BatchStanding> {
    let path = plan.members[0].plan.output.directory.clone();
    let place = path.display();
    let directory = RunDirectory::open(&path)?;
    let begin = |directory: RunDirectory, why: &str| {
        let remark = format!("{place} {why}: the run starts from the beginning");
        let directory = directory.begin(true)?;
        Ok(BatchStanding::Nothing { directory, remark })
    };
    if directory.is_free()? {
        return begin(directory, "holds no run to resume");
    }
    let earlier = Earlier::read(&path);
    let found = store::newest_of_batch(&path)
        .map_err(|e| Error::input(format!("{e}; begin anew with --force")))?;
    let Some(found) = found else {
        hardly_begun((&path, &plan.resolved), &earlier, directory.is_unbegun()?)?;
        return begin(directory, "holds no checkpoint yet");
    };
    let mut checkpoint = found.checkpoint;
    same_batch(plan, models, &checkpoint)?;
    let steps = plan.members[0].plan.dynamics.steps;
    not_past(plan, &checkpoint, steps)?;
    for member in &mut checkpoint.members {
        go_on(&mut member.course, steps);
    }
    let ended = checkpoint
        .members
        .iter()
        .all(|member| member.course.has_ended());
    let told = matches!(earlier.status, Some(Status::Complete | Status::Failed));
    if ended && told && path.join(FINAL).is_file() {
        let ended = ended_already(&place.to_string(), &checkpoint, earlier);
        return Ok(BatchStanding::Ended(Box::new(ended)));
    }
    let own = checkpoint.members.iter().flat_map(|member| &member.files);
    for mark in own.chain(&checkpoint.files) {
        look_at(mark, &path)?;
    }
    store::promote(&path, &found.path)?;
    Ok(BatchStanding::Stopped(Box::new(StoppedBatch {
        directory,
        checkpoint,
        earlier,
        unsound: found.remark,
    })))
}

/// Puts a member that was complete in line again where there are more steps for it.
fn go_on(course: &mut MemberCourse, steps: u64) {
    if course.stage == MemberStage::Complete && course.step < steps {
        course.stage = MemberStage::Waiting;
    }
}

/// What is to be said of a batch in which nothing is left to do.
fn ended_already(place: &str, checkpoint: &BatchCheckpoint, earlier: Earlier) -> EndedBatch {
    let courses = checkpoint.members.iter().map(|member| &member.course);
    let failed = courses
        .clone()
        .filter(|course| course.stage == MemberStage::Failed)
        .count();
    let longer = "those that are complete go on with a longer [dynamics] duration";
    let (status, remark) = match failed {
        0 => (
            Status::Complete,
            format!(
                "the run in {place} is complete: all steps of all members are taken; it goes on with a longer [dynamics] duration"
            ),
        ),
        failed => (
            Status::Failed,
            format!(
                "the run in {place} has come to its end: {} of {} failed (members.csv says why); {longer}",
                failed,
                counted(checkpoint.members.len() as u64, "member")
            ),
        ),
    };
    EndedBatch {
        earlier,
        remark,
        ending: BatchEnding {
            status,
            steps: courses.map(|course| course.step).sum(),
            summary: None,
        },
    }
}

/// Checks that no member has gone past the steps asked for.
fn not_past(plan: &BatchPlan, checkpoint: &BatchCheckpoint, steps: u64) -> Result<()> {
    let most = checkpoint
        .members
        .iter()
        .map(|member| member.course.step)
        .max();
    let Some(most) = most.filter(|most| *most > steps) else {
        return Ok(());
    };
    let first = &plan.members[0].plan;
    let given = if first.places.0.contains_key("dynamics.steps") {
        "dynamics.steps"
    } else {
        "dynamics.duration"
    };
    Err(Error::input(format!(
        "{}: the run has gone past the steps asked for: a member in {} has come to step {most} already, and {steps} are \
         asked for",
        first.places.of(given),
        first.output.directory.display()
    )))
}

/// Checks that a checkpoint is one of this batch.
fn same_batch(plan: &mut BatchPlan, models: &[String], checkpoint: &BatchCheckpoint) -> Result<()> {
    let directory = plan.members[0].plan.output.directory.display().to_string();
    let at = plan.members[0].plan.places.of("output.directory");
    let other = |why: String| {
        Error::input(format!(
            "{at}: the checkpoint in {directory} is of another run and cannot be resumed: {why}; put back what it was, or begin \
             anew with --force"
        ))
    };
    let [before, now] = [checkpoint.members.len(), plan.members.len()];
    if before != now {
        return Err(other(format!(
            "it has {} and the plan {now}",
            counted(before as u64, "member")
        )));
    }
    for (k, (member, state)) in plan.members.iter_mut().zip(&checkpoint.members).enumerate() {
        let before = Identity {
            run: state.identity.clone(),
            platform: Vec::new(),
        };
        keep_defaults(&mut member.plan, &before);
        let differences = before.run_differences(&Identity::of(&member.plan, models));
        if !differences.is_empty() {
            let name = super::words::member(k, &member.name);
            return Err(other(format!("{name}: {}", differences.join("; "))));
        }
    }
    // The interval of the thermo table is alike in all.
    let kept = plan.members[0]
        .plan
        .resolved
        .get("output")
        .and_then(|o| o.get("thermo_every"));
    if let (Some(every), Some(toml::Value::Table(output))) =
        (kept.cloned(), plan.resolved.get_mut("output"))
    {
        output.insert("thermo_every".to_owned(), every);
    }
    Ok(())
}

/// Whose runs the members are.
pub(super) fn identities(plan: &BatchPlan, models: &[String]) -> Vec<Identity> {
    let members = plan.members.iter();
    members
        .map(|member| Identity::of(&member.plan, models))
        .collect()
}
