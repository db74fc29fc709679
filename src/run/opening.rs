//! Where a run begins: in a directory of its own, at the start or at a checkpoint.

use std::path::Path;
use std::time::Duration;

use super::directory::RunDirectory;
use super::resume::{Before, Stopped};
use crate::Result;
use crate::config::plan::Plan;
use crate::report::{Checkpoint, Console, Description, Identity, RunRecord, trajectory};

/// Where a run begins: by default in a directory that is still to be made.
#[derive(Default)]
pub(super) struct Opening {
    directory: Option<RunDirectory>,
    before: Option<Before>,
}

impl Opening {
    /// Begins in place of a run that had hardly begun.
    pub fn anew(directory: RunDirectory, remark: &str, console: &Console) -> Self {
        console.note(remark);
        Self::within(directory)
    }

    /// Begins in a directory that has been taken.
    pub fn within(directory: RunDirectory) -> Self {
        Self {
            directory: Some(directory),
            before: None,
        }
    }

    /// Goes on from a checkpoint, with a run to step `end`.
    pub fn from(stopped: Stopped, end: u64, console: &Console) -> Self {
        let Stopped {
            directory,
            before,
            unsound,
        } = stopped;
        if let Some(why) = unsound {
            let instead = "the checkpoint before it is used";
            console.remark(&format!("warning: {why}; {instead}"));
        }
        let step = before.checkpoint.step;
        console.note(&format!("resumed from step {step} of {end}"));
        Self {
            directory: Some(directory),
            before: Some(before),
        }
    }

    /// What the run goes on from.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.before.as_ref().map(|before| &before.checkpoint)
    }

    /// The directory, made if it is still to be, once there is room in it for what the run will write.
    ///
    /// # Errors
    /// It holds a run and `force` is not given, cannot be made, or has too little room.
    pub fn place(self, plan: &Plan, force: bool) -> Result<(RunDirectory, Option<Before>)> {
        let files = self.checkpoint().map_or(&[][..], |c| &c.files);
        let there: u64 = files.iter().map(|file| file.length).sum();
        let directory = match self.directory {
            Some(directory) => directory,
            None => RunDirectory::create(&plan.output.directory, force)?,
        };
        directory.check_room(least_bytes(plan).saturating_sub(there))?;
        Ok((directory, self.before))
    }

    /// Says what will make the run go on with other bits than it would have had.
    pub fn compare(&self, identity: &Identity, console: &Console) {
        let Some(checkpoint) = self.checkpoint() else {
            return;
        };
        for other in checkpoint.identity.platform_differences(identity) {
            console.remark(&format!(
                "warning: {other}: the run goes on with other rounding than it would have had"
            ));
        }
    }
}

/// Begins the record of a run, or goes on with it; the state is the checkpoint's, or else what `anew` makes.
///
/// # Errors
/// The record cannot be written.
pub(super) fn begin(
    before: Option<Before>,
    anew: impl FnOnce() -> Checkpoint,
    directory: &Path,
    description: Description,
) -> Result<(Checkpoint, RunRecord)> {
    let Some(Before {
        checkpoint,
        earlier,
    }) = before
    else {
        return Ok((anew(), RunRecord::begin(directory, description)?));
    };
    let elapsed = Duration::try_from_secs_f64(checkpoint.elapsed).unwrap_or_default();
    let at = (checkpoint.step, elapsed);
    let record = RunRecord::resume(directory, description, at, earlier)?;
    Ok((checkpoint, record))
}

/// Bytes that the trajectories will take at the least.
pub fn least_bytes(plan: &Plan) -> u64 {
    let atoms = plan.start.system.len();
    (plan.output.trajectories.iter())
        .map(|t| trajectory::least_bytes(t, atoms, plan.dynamics.steps))
        .sum()
}
