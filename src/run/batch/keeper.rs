//! When checkpoints of a batch are written, and of what.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::seconds;
use crate::Result;
use crate::config::plan::{BatchPlan, CheckpointPlan};
use crate::potential::About;
use crate::report::checkpoint::{BatchCheckpoint, MemberState, store};
use crate::report::{Console, Energies, Identity};
use crate::simulation::batch::{BatchKeeping, BatchMarks, MemberCourse, MemberStage};
use crate::simulation::next_multiple;

/// Writes checkpoints of one batch.
pub(super) struct BatchKeeper<'p> {
    plan: &'p BatchPlan,
    directory: PathBuf,
    every: CheckpointPlan,
    identities: Vec<Identity>,
    energies: Vec<Energies>,
    places: usize,
    stretch: u64,
    platform: BatchPlatform,
    kept: bool,
    /// Time that the steps had taken when this sitting began.
    before: Duration,
    began: Instant,
    last: Instant,
}

/// What does not change over a batch.
pub(super) struct KeeperSetup<'s> {
    pub identities: Vec<Identity>,
    pub energies: &'s [Energies],
    pub places: usize,
    pub stretch: u64,
}

/// What computes a batch: it is known once there is an engine.
#[derive(Debug, Clone, Default)]
pub(super) struct BatchPlatform {
    now: Arc<Mutex<Vec<(String, String)>>>,
    /// That of the checkpoint that is gone on from.
    before: Option<Vec<(String, String)>>,
}

impl BatchPlatform {
    /// Notes what computes it; says what will make the batch go on with other bits than it would have had.
    pub fn tell(&self, about: &About, console: &Console) {
        let of = |platform: Vec<(String, String)>| Identity {
            run: Vec::new(),
            platform,
        };
        let now = Identity::default().on(about);
        let mut known = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let first = known.is_empty();
        known.clone_from(&now.platform);
        if let Some(before) = self.before.as_ref().filter(|_| first) {
            for other in of(before.clone()).platform_differences(&now) {
                console.remark(&format!(
                    "warning: {other}: the run goes on with other rounding than it would have had"
                ));
            }
        }
    }

    /// What computes it; where no member has been in flight yet, what computed it before.
    fn now(&self) -> Vec<(String, String)> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        match (now.is_empty(), &self.before) {
            (true, Some(before)) => before.clone(),
            _ => now.clone(),
        }
    }
}

impl<'p> BatchKeeper<'p> {
    /// Keeps checkpoints in `directory`; of a batch that goes on, `from` is the one that it goes on from.
    pub fn new(
        plan: &'p BatchPlan,
        directory: &Path,
        setting: KeeperSetup<'_>,
        from: Option<&BatchCheckpoint>,
    ) -> Self {
        let now = Instant::now();
        Self {
            plan,
            directory: directory.to_owned(),
            every: plan.members[0].plan.output.checkpoint,
            identities: setting.identities,
            energies: setting.energies.to_vec(),
            places: setting.places,
            stretch: setting.stretch,
            platform: BatchPlatform {
                now: Arc::default(),
                before: from.map(|from| from.platform.clone()),
            },
            kept: from.is_some(),
            before: from.map_or(Duration::ZERO, |from| seconds(from.elapsed)),
            began: now,
            last: now,
        }
    }

    /// Time that earlier sittings took.
    pub fn before(&self) -> Duration {
        self.before
    }

    /// What is to be told of each engine.
    pub fn platform(&self) -> BatchPlatform {
        self.platform.clone()
    }

    /// What there is to keep of a member.
    fn state(
        &self,
        member: usize,
        course: &MemberCourse,
        files: Vec<crate::simulation::FileMark>,
    ) -> MemberState {
        let begun = course.stage != MemberStage::Waiting || course.state.is_some();
        MemberState {
            course: course.clone(),
            identity: self.identities[member].run.clone(),
            energies: begun.then(|| self.energies[member].read(Clone::clone)),
            files: if begun { files } else { Vec::new() },
            system: match course.state {
                Some(_) => self.plan.members[member].plan.start.system.clone(),
                None => crate::core::System::default(),
            },
        }
    }
}

impl BatchKeeping for BatchKeeper<'_> {
    fn begin(&mut self) {
        self.began = Instant::now();
        self.last = self.began;
    }

    /// Where the clock on the wall says when, no step does.
    fn next(&self, clock: u64) -> u64 {
        match self.every {
            CheckpointPlan::Steps(every) => next_multiple(clock, every),
            CheckpointPlan::Clock(_) | CheckpointPlan::Off => u64::MAX,
        }
    }

    fn is_due(&self, clock: u64) -> bool {
        match self.every {
            CheckpointPlan::Steps(_) => self.next(clock) == clock,
            CheckpointPlan::Clock(every) => self.last.elapsed() >= every,
            CheckpointPlan::Off => false,
        }
    }

    fn keeps(&self) -> bool {
        self.every != CheckpointPlan::Off
    }

    fn has_kept(&self) -> bool {
        self.kept
    }

    fn elapsed(&self) -> Duration {
        self.before + self.began.elapsed()
    }

    fn keep(&mut self, clock: u64, members: &[MemberCourse], marks: BatchMarks) -> Result<()> {
        let files = marks.members.into_iter();
        let states = members.iter().zip(files).enumerate();
        let checkpoint = BatchCheckpoint {
            clock,
            places: self.places,
            stretch: self.stretch,
            elapsed: self.elapsed().as_secs_f64(),
            platform: self.platform.now(),
            files: marks.shared,
            members: states
                .map(|(member, (course, files))| self.state(member, course, files))
                .collect(),
        };
        store::write_batch(&self.directory, &checkpoint)?;
        self.kept = true;
        self.last = Instant::now();
        Ok(())
    }
}
