//! Trajectories: a reporter that hands frames to a thread, which encodes and writes them while the
//! run goes on.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::file::{OutputFile, Verified};
use super::pool::FilePool;
use crate::config::plan::{TrajectoryFormat, TrajectoryPlan};
use crate::core::{Cell, Fields, Snapshot, System};
use crate::formats::write::Encoder;
use crate::formats::write::dcd::Dcd;
use crate::formats::write::xtc::Xtc;
use crate::formats::write::xyz::{Content, Xyz};
use crate::simulation::{FileMark, Reporter, Signal, next_multiple};
use crate::{Error, Result};

/// Frames on their way to the file: one being written, one waiting. The run waits when there are more.
const FRAMES_IN_FLIGHT: usize = 2;

/// What the run hands to the thread.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are frames, whose memory is used again"
)]
enum Order {
    /// A frame to write.
    Frame(Snapshot),
    /// A request to flush the file and to tell how far it has come.
    Mark(SyncSender<FileMark>),
}

/// A trajectory file, written by a thread of its own. The file is complete after every frame.
pub struct Trajectory {
    path: PathBuf,
    every: u64,
    wants: Fields,
    frames: Option<SyncSender<Order>>,
    used: Receiver<Snapshot>,
    writer: Option<JoinHandle<Result<()>>>,
}

impl Trajectory {
    /// Creates the file at `path`, for frames of `system` in steps of `timestep` (internal time).
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(
        path: &Path,
        plan: &TrajectoryPlan,
        system: &System,
        timestep: f64,
    ) -> Result<Self> {
        Self::start(Frames::create((path, None), plan, system, timestep)?, plan)
    }

    /// Goes on with a file as it was at a checkpoint; the rest as for [`Trajectory::create`].
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn resume(
        file: Verified,
        plan: &TrajectoryPlan,
        system: &System,
        timestep: f64,
    ) -> Result<Self> {
        Self::start(Frames::resume((file, None), plan, system, timestep)?, plan)
    }

    fn start(writer: Frames, plan: &TrajectoryPlan) -> Result<Self> {
        let path = writer.file.path().to_owned();
        let (frames, inbox) = sync_channel(FRAMES_IN_FLIGHT - 1);
        let (recycle, used) = sync_channel(FRAMES_IN_FLIGHT + 1);
        let writer = std::thread::Builder::new()
            .name("trajectory".to_owned())
            .spawn(move || write_all(writer, &inbox, &recycle))
            .map_err(|e| Error::run(format!("cannot start a thread: {e}")))?;
        Ok(Self {
            path,
            every: plan.every,
            wants: content(plan).fields(),
            frames: Some(frames),
            used,
            writer: Some(writer),
        })
    }

    /// Hands something to the thread. Where that ended early, it has an error to tell.
    fn send(&mut self, order: Order) -> Result<()> {
        let accepted = (self.frames.as_ref()).is_some_and(|frames| frames.send(order).is_ok());
        if accepted { Ok(()) } else { self.close() }
    }

    /// Closes the channel and waits for the thread; its error is told once.
    fn close(&mut self) -> Result<()> {
        self.frames = None;
        match self.writer.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::run(format!(
                "writing {} failed unexpectedly",
                self.path.display()
            ))),
        }
    }
}

/// What of a frame a plan wants; formats other than XYZ hold positions alone.
pub(super) fn content(plan: &TrajectoryPlan) -> Content {
    let text = plan.format == TrajectoryFormat::Xyz;
    Content {
        velocities: plan.velocities && text,
        forces: plan.forces && text,
        energy: true,
        wrap: plan.wrap,
        exact: false,
        noise: plan.noise,
    }
}

fn encoder(plan: &TrajectoryPlan, system: &System, timestep: f64) -> Box<dyn Encoder> {
    let wrap = plan.wrap.then_some(system);
    match plan.format {
        TrajectoryFormat::Xyz => Box::new(Xyz::new(system, content(plan))),
        TrajectoryFormat::Dcd => Box::new(Dcd::new(plan.every, timestep, wrap)),
        TrajectoryFormat::Xtc => Box::new(Xtc::new(wrap)),
    }
}

impl Reporter for Trajectory {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, self.every)
    }

    fn wants(&self) -> Fields {
        self.wants
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        let mut frame = self
            .used
            .try_recv()
            .unwrap_or_else(|_| Snapshot::blank(0, 0.0, Cell::open()));
        copy(snapshot, self.wants, &mut frame);
        self.send(Order::Frame(frame))?;
        Ok(Signal::Continue)
    }

    fn mark(&mut self) -> Result<Option<FileMark>> {
        let (answer, asked) = sync_channel(1);
        self.send(Order::Mark(answer))?;
        match asked.recv() {
            Ok(mark) => Ok(Some(mark)),
            Err(_) => {
                self.close()?;
                Err(Error::run(format!("{} is closed", self.path.display())))
            }
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.close()
    }
}

impl Drop for Trajectory {
    /// A run that failed before it began: the file must be closed before anyone removes it.
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// A trajectory's file and what makes frames into bytes.
struct Frames {
    file: OutputFile,
    encoder: Box<dyn Encoder>,
    bytes: Vec<u8>,
}

impl Frames {
    /// Creates the file, one of many where there is a pool.
    fn create(
        (path, pool): (&Path, Option<&FilePool>),
        plan: &TrajectoryPlan,
        system: &System,
        timestep: f64,
    ) -> Result<Self> {
        let encoder = encoder(plan, system, timestep);
        let amended = encoder.amendments().into_iter();
        let fields: Vec<_> = amended
            .map(|(at, bytes)| [at, bytes.len() as u64])
            .collect();
        let file = OutputFile::create_in(pool, path, &fields)?;
        Ok(Self::with(file, encoder))
    }

    /// Goes on with the file, one of many where there is a pool.
    fn resume(
        (file, pool): (Verified, Option<&FilePool>),
        plan: &TrajectoryPlan,
        system: &System,
        timestep: f64,
    ) -> Result<Self> {
        let frames = file.records();
        let mut file = file.cut_in(pool)?;
        let mut encoder = encoder(plan, system, timestep);
        if frames > 0 {
            encoder.resume(frames);
            for (offset, bytes) in encoder.amendments() {
                file.amend(offset, &bytes)?;
            }
        }
        Ok(Self::with(file, encoder))
    }

    fn with(file: OutputFile, encoder: Box<dyn Encoder>) -> Self {
        Self {
            file,
            encoder,
            bytes: Vec::new(),
        }
    }

    /// Encodes and writes a frame.
    fn write(&mut self, frame: &Snapshot) -> Result<()> {
        let Self {
            file,
            encoder,
            bytes,
        } = self;
        bytes.clear();
        (encoder.encode(frame, bytes)).map_err(|e| e.within(file.path().display()))?;
        file.append(bytes)?;
        for (offset, bytes) in encoder.amendments() {
            file.amend(offset, &bytes)?;
        }
        Ok(())
    }
}

/// A trajectory without a thread of its own, one of many: frames are written where they are shown.
pub(super) struct PooledTrajectory {
    frames: Frames,
    every: u64,
    wants: Fields,
}

impl PooledTrajectory {
    /// Creates the file, as [`Trajectory::create`].
    ///
    /// # Errors
    /// The file cannot be created.
    pub(super) fn create(
        file: (&Path, &FilePool),
        plan: &TrajectoryPlan,
        system: &System,
        timestep: f64,
    ) -> Result<Self> {
        let frames = Frames::create((file.0, Some(file.1)), plan, system, timestep)?;
        Ok(Self::with(frames, plan))
    }

    /// Goes on with a file as it was at a checkpoint, as [`Trajectory::resume`].
    ///
    /// # Errors
    /// The file cannot be written to.
    pub(super) fn resume(
        file: (Verified, &FilePool),
        plan: &TrajectoryPlan,
        system: &System,
        timestep: f64,
    ) -> Result<Self> {
        let frames = Frames::resume((file.0, Some(file.1)), plan, system, timestep)?;
        Ok(Self::with(frames, plan))
    }

    fn with(frames: Frames, plan: &TrajectoryPlan) -> Self {
        Self {
            frames,
            every: plan.every,
            wants: content(plan).fields(),
        }
    }
}

impl Reporter for PooledTrajectory {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, self.every)
    }

    fn wants(&self) -> Fields {
        self.wants
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        self.frames.write(snapshot)?;
        Ok(Signal::Continue)
    }

    fn mark(&mut self) -> Result<Option<FileMark>> {
        self.frames.file.mark().map(Some)
    }

    fn finish(&mut self) -> Result<()> {
        self.frames.file.finish()
    }
}

/// The thread: encodes and writes every frame, then completes the file.
fn write_all(
    mut frames: Frames,
    inbox: &Receiver<Order>,
    recycle: &SyncSender<Snapshot>,
) -> Result<()> {
    for order in inbox {
        let frame = match order {
            Order::Frame(frame) => frame,
            Order::Mark(answer) => {
                // Nobody waits for it where the run is over.
                let _ = answer.send(frames.file.mark()?);
                continue;
            }
        };
        frames.write(&frame)?;
        // Nobody takes it back where the run is over.
        let _ = recycle.try_send(frame);
    }
    frames.file.finish()
}

/// Copies the wanted part of a snapshot, into the memory that `to` has already.
fn copy(from: &Snapshot, wants: Fields, to: &mut Snapshot) {
    to.step = from.step;
    to.time = from.time;
    to.cell.clone_from(&from.cell);
    to.observables = from.observables;
    for (wanted, source, target) in [
        (wants.positions, &from.positions, &mut to.positions),
        (wants.velocities, &from.velocities, &mut to.velocities),
        (wants.forces, &from.forces, &mut to.forces),
    ] {
        target.clear();
        if wanted {
            target.extend_from_slice(source);
        }
    }
}

/// File names for trajectories, in their order: there is one of each format at most.
pub fn names(plans: &[TrajectoryPlan]) -> Vec<String> {
    plans.iter().map(name).collect()
}

/// The file name of a trajectory.
pub(super) fn name(plan: &TrajectoryPlan) -> String {
    let extension = extension(plan.format);
    match &plan.stage {
        None => format!("traj.{extension}"),
        Some(stage) => format!("traj.{stage}.{extension}"),
    }
}

/// The usual ending of a format's files.
pub fn extension(format: TrajectoryFormat) -> &'static str {
    match format {
        TrajectoryFormat::Xyz => "xyz",
        TrajectoryFormat::Dcd => "dcd",
        TrajectoryFormat::Xtc => "xtc",
    }
}

/// Bytes that a trajectory of `atoms` atoms over `steps` steps takes at least. Text is taken at 17
/// characters a number, XTC at 3.5 bytes an atom, which dense liquids come down to.
pub fn least_bytes(plan: &TrajectoryPlan, atoms: usize, steps: u64) -> u64 {
    let columns = match plan.format {
        TrajectoryFormat::Xyz => {
            51 + 106 * u64::from(plan.velocities) + 51 * u64::from(plan.forces)
        }
        TrajectoryFormat::Dcd => 12,
        TrajectoryFormat::Xtc if atoms <= 9 => 12,
        TrajectoryFormat::Xtc => 4,
    };
    let frames = steps.checked_div(plan.every).unwrap_or(0).saturating_add(1);
    frames.saturating_mul(columns.saturating_mul(atoms as u64))
}
