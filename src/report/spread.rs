//! How far the models of a committee are apart, watched while a run goes on: frames beyond the limit are written, to be labelled.
//!
//! `uncertain.xyz` has structures alone, without the energies and forces of the run: what a calculation of reference gives them
//! is to be the only label that they have.

use std::path::Path;

use super::file::{OutputFile, Verified};
use super::names::UNCERTAIN;
use super::pool::FilePool;
use crate::Result;
use crate::config::plan::Action;
use crate::core::{Fields, Snapshot, System};
use crate::formats::write::xyz::{Content, Xyz};
use crate::simulation::{FileMark, Reporter, Signal, next_multiple};
use crate::text::{round, significant};

/// Structures alone.
const STRUCTURES: Content = Content {
    velocities: false,
    forces: false,
    energy: false,
    ..Content::ALL
};

/// A limit to how far models may be apart, and what happens beyond it.
#[derive(Debug, Clone, Copy)]
pub struct SpreadLimit {
    /// Largest standard deviation of the force on an atom (eV / angstrom).
    pub force: f64,
    /// Steps between looks.
    pub every: u64,
    /// What happens.
    pub action: Action,
}

/// Compares the spread with its limit, and writes what is beyond.
pub struct SpreadMonitor {
    file: OutputFile,
    frames: Xyz,
    limit: SpreadLimit,
    /// The file's name in the run's directory.
    name: String,
    told: bool,
}

impl SpreadMonitor {
    /// Creates the file at `path`, for frames of `system`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path, limit: SpreadLimit, system: &System) -> Result<Self> {
        Ok(Self::with(OutputFile::create(path, &[])?, limit, system))
    }

    /// Goes on with a file as it was at a checkpoint.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn resume(file: Verified, limit: SpreadLimit, system: &System) -> Result<Self> {
        Ok(Self::with(file.cut()?, limit, system))
    }

    /// Does as [`SpreadMonitor::create`], with one of many files.
    ///
    /// # Errors
    /// The file cannot be created.
    pub(super) fn create_in(
        pool: &FilePool,
        path: &Path,
        limit: SpreadLimit,
        system: &System,
    ) -> Result<Self> {
        let file = OutputFile::create_in(Some(pool), path, &[])?;
        Ok(Self::with(file, limit, system))
    }

    /// Does as [`SpreadMonitor::resume`], with one of many files.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub(super) fn resume_in(
        pool: &FilePool,
        file: Verified,
        limit: SpreadLimit,
        system: &System,
    ) -> Result<Self> {
        Ok(Self::with(file.cut_in(Some(pool))?, limit, system))
    }

    fn with(file: OutputFile, limit: SpreadLimit, system: &System) -> Self {
        Self {
            file,
            frames: Xyz::new(system, STRUCTURES),
            limit,
            name: UNCERTAIN.to_owned(),
            told: false,
        }
    }

    /// Tells of its file as one in a folder of the run's directory.
    pub(super) fn in_folder(self, folder: &Path) -> Self {
        Self {
            name: folder.join(UNCERTAIN).display().to_string(),
            ..self
        }
    }
}

impl Reporter for SpreadMonitor {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, self.limit.every)
    }

    fn wants(&self) -> Fields {
        STRUCTURES.fields()
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        let limit = self.limit.force;
        let Some(spread) = snapshot.observables.spread.filter(|s| s.force > limit) else {
            return Ok(Signal::Continue);
        };
        let mut text = Vec::new();
        self.frames.write_frame(snapshot, &mut text);
        self.file.append(&text)?;
        if std::mem::replace(&mut self.told, true) {
            return Ok(Signal::Continue);
        }
        let fault = format!(
            "step {}: the models' forces on an atom are {} eV/A apart, beyond the limit of {} ([monitor] spread)",
            snapshot.step,
            significant(spread.force, 3),
            round(limit)
        );
        Ok(match self.limit.action {
            Action::Warn => Signal::Alarm(format!(
                "{fault}; this frame and further ones are written to {}",
                self.name
            )),
            Action::Stop => Signal::Stop(fault),
        })
    }

    fn mark(&mut self) -> Result<Option<FileMark>> {
        self.file.mark().map(Some)
    }

    fn finish(&mut self) -> Result<()> {
        self.file.finish()
    }
}
