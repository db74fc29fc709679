//! When checkpoints are written, and of what: every so many steps or so much time on the clock, and when a
//! run ends.
//!
//! Neither alters the run: engines' states do not depend on where blocks of steps end, nor does anything
//! that is written.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Result;
use crate::config::plan::CheckpointPlan;
use crate::core::{Fields, Snapshot};
use crate::plumed;
use crate::potential::About;
use crate::report::checkpoint::{self, Checkpoint};
use crate::report::pace::RunPace;
use crate::report::{Energies, ForeignFiles};
use crate::simulation::{Checkpointing, FileMark, next_multiple};

/// Writes checkpoints of one run.
#[derive(Debug)]
pub struct Keeper {
    directory: PathBuf,
    every: CheckpointPlan,
    /// The newest checkpoint written or gone on from; before the first one, what does not change.
    state: Checkpoint,
    energies: Energies,
    /// The step of the newest checkpoint.
    kept: Option<u64>,
    /// Time that the steps had taken when this sitting began.
    before: Duration,
    began: Instant,
    last: Instant,
    pauses: Pauses,
    pace: RunPace,
    /// How far files of other stages had come.
    others: Vec<FileMark>,
    /// Files of others in the directory; `None` where there are none.
    foreign: Option<ForeignFiles>,
}

/// Time in which a run took no steps and was not asked to, shared by who makes it wait and by the clock of its steps.
#[derive(Debug, Clone, Default)]
pub struct Pauses(Arc<AtomicU64>);

impl Pauses {
    /// Takes in one more.
    pub fn add(&self, pause: Duration) {
        let nanoseconds = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// All of them.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Keeper {
    /// Keeps checkpoints in `directory`. `state` has all that does not change; with `resumed` it is the
    /// checkpoint that the run goes on from.
    pub fn new(
        directory: PathBuf,
        every: CheckpointPlan,
        (state, resumed): (Checkpoint, bool),
        energies: &Energies,
    ) -> Self {
        let now = Instant::now();
        Self {
            directory,
            every,
            kept: resumed.then_some(state.step),
            before: Duration::try_from_secs_f64(state.elapsed).unwrap_or_default(),
            state,
            energies: energies.clone(),
            began: now,
            last: now,
            pauses: Pauses::default(),
            pace: RunPace::default(),
            others: Vec::new(),
            foreign: None,
        }
    }

    /// Keeps how far files had come that the run does not write now.
    pub fn with_others(self, others: Vec<FileMark>) -> Self {
        Self { others, ..self }
    }

    /// Keeps how far files of others in the directory have come.
    pub fn with_foreign(self, foreign: Option<ForeignFiles>) -> Self {
        Self { foreign, ..self }
    }

    /// Leaves pauses out of the time that the steps take.
    pub fn with_pauses(self, pauses: Pauses) -> Self {
        Self { pauses, ..self }
    }

    /// Starts the clock of a run's pace with its own.
    pub fn with_pace(self, pace: RunPace) -> Self {
        Self { pace, ..self }
    }
}

impl Checkpointing for Keeper {
    fn begin(&mut self) {
        self.began = Instant::now();
        self.last = self.began;
        self.pace.begin();
    }

    /// Where the clock says when, no step does.
    fn next(&self, step: u64) -> u64 {
        match self.every {
            CheckpointPlan::Steps(every) => next_multiple(step, every),
            CheckpointPlan::Clock(_) | CheckpointPlan::Off => u64::MAX,
        }
    }

    fn is_due(&self, step: u64) -> bool {
        match self.every {
            CheckpointPlan::Steps(_) => self.next(step) == step,
            CheckpointPlan::Clock(every) => self.last.elapsed() >= every,
            CheckpointPlan::Off => false,
        }
    }

    fn is_due_at_end(&self, step: u64) -> bool {
        self.every != CheckpointPlan::Off && self.kept != Some(step)
    }

    fn kept(&self) -> Option<u64> {
        self.kept
    }

    fn computed_by(&mut self, about: &About) {
        self.state.identity = self.state.identity.clone().on(about);
    }

    fn elapsed(&self) -> Duration {
        let spent = self.began.elapsed().saturating_sub(self.pauses.total());
        self.before + spent
    }

    fn wants(&self) -> Fields {
        Fields::PHASE
    }

    fn keep(&mut self, snapshot: Snapshot, files: Vec<FileMark>) -> Result<()> {
        let elapsed = self.elapsed().as_secs_f64();
        let state = &mut self.state;
        state.step = snapshot.step;
        state.kept = snapshot.observables.kept;
        state.cell = snapshot.cell;
        state.positions = snapshot.positions;
        state.velocities = snapshot.velocities;
        state.energies = self.energies.read(Clone::clone);
        state.files = files;
        state.files.extend_from_slice(&self.others);
        if let Some(foreign) = &self.foreign {
            plumed::flush()?;
            state.foreign = foreign.marks()?;
        }
        state.elapsed = elapsed;
        checkpoint::write(&self.directory, state)?;
        self.kept = Some(state.step);
        self.last = Instant::now();
        Ok(())
    }
}
