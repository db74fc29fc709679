//! Which checkpoint a run goes on from, and whether it is one of this run.

use std::path::Path;

use super::directory::RunDirectory;
use crate::assemble;
use crate::config::plan::Plan;
use crate::report::checkpoint::{Checkpoint, Identity, store};
use crate::report::look_at;
use crate::report::names::{FINAL, NEWEST, PREVIOUS};
use crate::report::{Earlier, Status};
use crate::{Error, Result};

/// What a directory holds of a run that is to go on.
pub(super) enum Standing {
    /// Nothing: the run begins, in place of one that had hardly begun if there is one.
    Nothing {
        /// Its directory, taken for it.
        directory: RunDirectory,
        /// Why, for the user.
        remark: String,
    },
    /// A run that has stopped before its end.
    Stopped(Box<Stopped>),
    /// A run that has taken all its steps.
    Complete(Box<Complete>),
}

/// A run that has taken all its steps.
pub(super) struct Complete {
    /// Its record.
    pub earlier: Earlier,
    /// Tells the user that it is complete.
    pub remark: String,
}

/// What a run goes on from.
pub(super) struct Before {
    /// The state.
    pub checkpoint: Checkpoint,
    /// What the record of the run says so far.
    pub earlier: Earlier,
}

/// A run that has stopped before its end.
pub(super) struct Stopped {
    /// Its directory, locked.
    pub directory: RunDirectory,
    /// What it goes on from.
    pub before: Before,
    /// What is wrong with the newest checkpoint, where this is the one before it.
    pub unsound: Option<String>,
}

/// Whether a directory holds a checkpoint to go on from.
pub(super) enum CheckpointSearch {
    /// None: the run begins, as in [`Standing::Nothing`].
    Nothing {
        directory: RunDirectory,
        remark: String,
    },
    /// The directory, locked, the record of the run in it, and its newest sound checkpoint.
    Found(Box<(RunDirectory, Earlier, store::Newest)>),
}

impl CheckpointSearch {
    /// Looks into the directory of a run whose keys are `resolved`.
    ///
    /// # Errors
    /// What is there is another run, has no sound checkpoint, or another process is at work in it.
    pub(super) fn within(path: &Path, resolved: &toml::Table) -> Result<Self> {
        let directory = RunDirectory::open(path)?;
        let begin = |directory: RunDirectory, why: &str| {
            let place = path.display();
            let remark = format!("{place} {why}: the run starts from the beginning");
            let directory = directory.begin(true)?;
            Ok(Self::Nothing { directory, remark })
        };
        if directory.is_free()? {
            return begin(directory, "holds no run to resume");
        }
        let earlier = Earlier::read(path);
        let found = store::newest(path)
            .map_err(|e| Error::input(format!("{e}; begin anew with --force")))?;
        match found {
            Some(found) => Ok(Self::Found(Box::new((directory, earlier, found)))),
            None => {
                hardly_begun((path, resolved), &earlier, directory.is_unbegun()?)?;
                begin(directory, "holds no checkpoint yet")
            }
        }
    }
}

/// Looks into the directory of a plan. A value that the plan leaves to a default which depends on the
/// duration stays what it was.
///
/// # Errors
/// What is there is another run, has no sound checkpoint, or another process is at work in it.
pub(super) fn look(plan: &mut Plan, models: &[String]) -> Result<Standing> {
    let path = plan.output.directory.clone();
    let place = path.display();
    let (directory, earlier, found) = match CheckpointSearch::within(&path, &plan.resolved)? {
        CheckpointSearch::Nothing { directory, remark } => {
            return Ok(Standing::Nothing { directory, remark });
        }
        CheckpointSearch::Found(found) => *found,
    };
    let checkpoint = found.checkpoint;
    keep_defaults(plan, &checkpoint.identity);
    same_run(plan, models, &checkpoint)?;
    let (step, end) = (checkpoint.step, plan.dynamics.steps);
    if step > end {
        let given = if plan.places.0.contains_key("dynamics.steps") {
            "dynamics.steps"
        } else {
            "dynamics.duration"
        };
        return Err(Error::input(format!(
            "{}: the run has gone past the steps asked for: {place} has come to step {step} already, and {end} are \
             asked for",
            plan.places.of(given)
        )));
    }
    // A run of an earlier version has no last state yet: it goes on for no step, and writes it.
    let complete = earlier.status == Some(Status::Complete) && path.join(FINAL).is_file();
    if step == end && complete {
        let remark = format!(
            "the run in {place} is complete: all {end} steps are taken; it goes on with a longer [dynamics] \
             duration"
        );
        return Ok(Standing::Complete(Box::new(Complete { earlier, remark })));
    }
    let marks = assemble::marks(plan, &checkpoint)?;
    for mark in marks.into_iter().flatten().chain(&checkpoint.foreign) {
        look_at(mark, &path)?;
    }
    store::promote(&path, &found.path)?;
    Ok(Standing::Stopped(Box::new(Stopped {
        directory,
        before: Before {
            checkpoint,
            earlier,
        },
        unsound: found.remark,
    })))
}

/// Checks that a run without a checkpoint is this one, and that it had written nothing beyond its first state:
/// any other is not replaced, however it came to have none.
pub(super) fn hardly_begun(
    (path, resolved): (&Path, &toml::Table),
    earlier: &Earlier,
    unbegun: bool,
) -> Result<()> {
    let place = path.display();
    let without = earlier.config.as_ref().is_some_and(|before| {
        let every = &before["output"]["checkpoint_every"];
        every.is_null() || every == "off"
    });
    if without {
        return Err(Error::input(format!(
            "{place} holds a run without checkpoints ([output] checkpoint_every), which cannot go on: choose \
             another directory, or replace it with --force"
        )));
    }
    if !unbegun {
        return Err(Error::input(format!(
            "{place} holds files of a run beyond its first step, and the checkpoints to go on from, {NEWEST} and \
             {PREVIOUS}, are not there: put them back, choose another directory, or replace the run with --force"
        )));
    }
    let now = serde_json::to_value(resolved).unwrap_or_default();
    let other = earlier.config.as_ref().and_then(|before| {
        ["system", "potential", "dynamics", "group"]
            .into_iter()
            .find(|table| {
                let of = |config: &serde_json::Value| {
                    let mut table = config[table].clone();
                    for free in ["steps", "duration", "skin"] {
                        table.as_object_mut().map(|t| t.remove(free));
                    }
                    table
                };
                of(before) != of(&now)
            })
    });
    match other {
        Some(table) => Err(Error::input(format!(
            "{place} holds another run, its [{table}] is not this one's: choose another directory, or replace \
             it with --force"
        ))),
        None => Ok(()),
    }
}

/// The interval of the thermo table, where it is not given, follows from the duration that the run
/// began with.
pub(super) fn keep_defaults(plan: &mut Plan, before: &Identity) {
    const KEY: &str = "output.thermo_every";
    let value = before.get(KEY).and_then(|text| text.parse::<u32>().ok());
    let Some(every) = value.filter(|_| !plan.places.0.contains_key(KEY)) else {
        return;
    };
    plan.output.thermo_every = u64::from(every.max(1));
    if let Some(toml::Value::Table(output)) = plan.resolved.get_mut("output") {
        output.insert("thermo_every".to_owned(), i64::from(every.max(1)).into());
    }
}

/// Checks that a checkpoint is one of this run.
fn same_run(plan: &Plan, models: &[String], checkpoint: &Checkpoint) -> Result<()> {
    is_of(plan, &identity(plan, models, Some(checkpoint)), checkpoint)
}

/// Checks that a checkpoint is of the run that a plan is `now`.
pub(super) fn is_of(plan: &Plan, now: &Identity, checkpoint: &Checkpoint) -> Result<()> {
    let differences = checkpoint.identity.run_differences(now);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::input(format!(
        "{}: the checkpoint in {} is of another run and cannot be resumed: {}; put back what it was, or begin \
         anew with --force",
        plan.places.of("output.directory"),
        plan.output.directory.display(),
        differences.join("; ")
    )))
}

/// Whose run a plan is that goes on from a checkpoint, or begins. What a start has that is none is the checkpoint's.
pub(super) fn identity(plan: &Plan, models: &[String], from: Option<&Checkpoint>) -> Identity {
    let now = Identity::of(plan, models);
    // Weights in 8 bits stay those that the run began with.
    let now = match from.and_then(|checkpoint| checkpoint.identity.int8()) {
        Some(sha256) => now.with_int8(sha256),
        None => now,
    };
    match from.filter(|_| plan.start.degrees_of_freedom.is_some()) {
        Some(checkpoint) => now.with_system_of(&checkpoint.identity),
        None => now,
    }
}
