//! Reporters: what watches a run and writes it down. They say when they want to look and at what.
//!
//! A run makes a [`RunDirectory`], an [`EnergyRecord`] shared through [`Energies`] and a [`Console`];
//! from these the reporters: [`DriftMonitor`] keeps the record, [`Thermo`] and [`Progress`] show it,
//! a [`Trajectory`] each writes frames. [`topology`] stands beside the trajectories, [`RunRecord`]
//! (`run.json`) around all of it, and [`Summary`] closes. [`recorder`] writes the steps before a fault.

mod aside;
pub mod checkpoint;
pub mod console;
pub mod dcd;
pub mod directory;
pub mod drift;
mod file;
pub mod history;
pub mod keeper;
mod labels;
pub mod last;
pub mod lock;
pub mod orient;
mod own;
pub mod progress;
pub mod record;
pub mod recorder;
pub mod series;
pub mod summary;
mod table;
pub mod text;
pub mod thermo;
pub mod topology;
pub mod trajectory;
mod unbegun;
mod verdict;
pub mod wrap;
pub mod xtc;
pub mod xyz;

use crate::Result;
use crate::core::{Fields, Snapshot};

pub use checkpoint::{Checkpoint, FileMark, Identity};
pub use console::{Console, Verbosity};
pub use directory::{HeldDirectory, RunDirectory};
pub use drift::{DriftMonitor, Energies, EnergyRecord};
pub use file::Verified;
pub use keeper::Keeper;
pub use progress::Progress;
pub use record::{Description, Earlier, RunRecord, Source};
pub use recorder::Recorded;
pub use summary::{Course, Status, Summary};
pub use thermo::Thermo;
pub use trajectory::Trajectory;

/// What a reporter makes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Go on.
    Continue,
    /// Tell the user, then go on.
    Warn(String),
    /// A limit was broken that does not end the run: record the steps before, tell the user, go on.
    Alarm(String),
    /// End the run as failed, for this reason.
    Stop(String),
}

/// Something that looks at a run now and then.
pub trait Reporter {
    /// The first step at or after `step` at which it wants to look; `u64::MAX` for never. It may be asked for a
    /// later step before it is shown the present one, and is shown none at which it no longer wants to look.
    fn next(&self, step: u64) -> u64;

    /// The arrays it wants then.
    fn wants(&self) -> Fields;

    /// Looks.
    ///
    /// # Errors
    /// A file could not be written: the run ends, all other reporters are finished.
    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal>;

    /// Waits until all that it has written is on the disk, and tells how far its file has come; `None`
    /// where it has none. A run goes on from a checkpoint with the file cut back to there.
    ///
    /// # Errors
    /// Some of it could not be written after all.
    fn mark(&mut self) -> Result<Option<FileMark>> {
        Ok(None)
    }

    /// Completes what it writes. Called once, also when the run failed.
    ///
    /// # Errors
    /// A file could not be completed.
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The first multiple of `every` at or after `step`; never if `every` is 0.
pub fn next_multiple(step: u64, every: u64) -> u64 {
    if every == 0 {
        return u64::MAX;
    }
    step.checked_next_multiple_of(every).unwrap_or(u64::MAX)
}
