//! What watches one member: its drift, its lines of the thermo table, its frames.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::plan::{Plan, TrajectoryFormat, TrajectoryPlan};
use crate::core::{Fields, Snapshot};
use crate::formats::write::topology;
use crate::formats::write::xyz::Xyz;
use crate::report::drift::{DriftMonitor, Energies};
use crate::report::file::{OutputFile, Verified, sync_directory};
use crate::report::names::{MEMBERS, TOPOLOGY, UNCERTAIN};
use crate::report::pool::FilePool;
use crate::report::table::Shows;
use crate::report::thermo::{Scope, Sheet};
use crate::report::trajectory::{self, PooledTrajectory, content};
use crate::report::{SpreadLimit, SpreadMonitor, view};
use crate::simulation::{FileMark, Reporter, Signal, next_multiple};
use crate::{Error, Result};

/// What watches one member.
pub(super) struct MemberDesk<'p> {
    number: usize,
    plan: &'p Plan,
    /// The folder of its own files within the run's directory.
    folder: PathBuf,
    energies: Energies,
    drift: DriftMonitor,
    sheet: Sheet,
    /// Its frames in the trajectory of all members.
    shared: Option<SharedFrames>,
    /// Writers of its own files, while it is in flight.
    own: Vec<Box<dyn Reporter>>,
    /// How far its own files had come when it ended.
    marks: Vec<FileMark>,
    /// Its own files as they were at the checkpoint, until it goes on.
    verified: Vec<Verified>,
    /// Whether the names of its files are not known to be on the disk, and its topology where that is new.
    new: bool,
    topology: Option<OutputFile>,
    /// Its line of the thermo table, and its frame in the trajectory of all, of the present moment.
    pub row: Vec<u8>,
    pub frame: Vec<u8>,
}

struct SharedFrames {
    every: u64,
    wants: Fields,
    frames: Xyz,
}

/// What a desk is made with: the member's number, its plan, its energies, and what is alike in all.
pub(super) struct DeskSetup<'p> {
    pub number: usize,
    pub plan: &'p Plan,
    pub folder: PathBuf,
    pub energies: Energies,
    /// Steps between samples of the drift.
    pub stretch: u64,
    /// Whether the trajectory is one of all members.
    pub together: bool,
}

/// What a plan's thermo table has.
pub(super) fn shows(plan: &Plan) -> Shows {
    Scope {
        cell: &plan.start.cell,
        pressed: plan.dynamics.ensemble.pressure().is_some(),
        committee: plan.potential.is_committee(),
        every: plan.output.thermo_every,
        end: plan.dynamics.steps,
        audited: false,
        external: plan.has_external(),
        stage: None,
    }
    .shows()
}

/// What a frame of a member is called.
fn tag(number: usize) -> String {
    format!("member={number}")
}

impl<'p> MemberDesk<'p> {
    pub fn new(setup: DeskSetup<'p>) -> Self {
        let DeskSetup {
            number,
            plan,
            folder,
            energies,
            stretch,
            together,
        } = setup;
        let text = |plan: &&TrajectoryPlan| plan.format == TrajectoryFormat::Xyz;
        let shared = plan.output.trajectories.iter().find(text);
        let shared = shared.filter(|_| together).map(|one| SharedFrames {
            every: one.every,
            wants: content(one).fields(),
            frames: Xyz::new(&plan.start.system, content(one)).tagged(&tag(number)),
        });
        Self {
            number,
            plan,
            folder,
            drift: DriftMonitor::new(energies.clone(), stretch, &plan.monitor),
            sheet: Sheet {
                shows: shows(plan),
                energies: energies.clone(),
                stage: None,
            },
            energies,
            shared,
            own: Vec::new(),
            marks: Vec::new(),
            verified: Vec::new(),
            new: false,
            topology: None,
            row: Vec::new(),
            frame: Vec::new(),
        }
    }

    /// Its energies.
    pub fn energies(&self) -> &Energies {
        &self.energies
    }

    /// The trajectories that are files of its own.
    fn own_trajectories(&self) -> impl Iterator<Item = &'p TrajectoryPlan> {
        let all = self.plan.output.trajectories.iter();
        let together = self.shared.is_some();
        all.filter(move |one| !together || one.format != TrajectoryFormat::Xyz)
    }

    /// Looks into its own files as they were at a checkpoint; nothing is altered.
    ///
    /// # Errors
    /// One is not what it was.
    pub fn verify(&mut self, directory: &Path, marks: &[FileMark]) -> Result<()> {
        let verified = marks
            .iter()
            .map(|mark| Ok(Verified::read(&directory.join(&mark.name), mark)?.closed()));
        self.verified = verified.collect::<Result<_>>()?;
        self.marks = marks.to_vec();
        Ok(())
    }

    /// Makes its own files, or goes on with those that were looked into.
    ///
    /// # Errors
    /// They cannot be made or written to.
    pub fn open(&mut self, directory: &Path, pool: &FilePool) -> Result<()> {
        let limit =
            (self.plan.monitor.spread.zip(self.plan.spread_every())).map(|(force, every)| {
                let action = self.plan.monitor.action;
                SpreadLimit {
                    force,
                    every,
                    action,
                }
            });
        let trajectories: Vec<&TrajectoryPlan> = self.own_trajectories().collect();
        if trajectories.is_empty() && limit.is_none() {
            return Ok(());
        }
        let folder = directory.join(&self.folder);
        let system = &self.plan.start.system;
        let mut verified = std::mem::take(&mut self.verified).into_iter();
        if verified.len() == 0 {
            make(&folder)?;
            self.new = true;
        }
        if !trajectories.is_empty() {
            self.write_topology(&folder, pool)?;
            self.write_view(directory);
        }
        let timestep = self.plan.dynamics.timestep;
        for one in trajectories {
            let path = folder.join(trajectory::name(one));
            self.own.push(Box::new(match verified.next() {
                None => PooledTrajectory::create((&path, pool), one, system, timestep)?,
                Some(file) => PooledTrajectory::resume((file, pool), one, system, timestep)?,
            }));
        }
        if let Some(limit) = limit {
            let path = folder.join(UNCERTAIN);
            let monitor = match verified.next() {
                None => SpreadMonitor::create_in(pool, &path, limit, system)?,
                Some(file) => SpreadMonitor::resume_in(pool, file, limit, system)?,
            };
            self.own.push(Box::new(monitor.in_folder(&self.folder)));
        }
        Ok(())
    }

    /// Writes the scripts for viewers, where there are trajectories to show.
    fn write_view(&self, directory: &Path) {
        let trajectories: Vec<&TrajectoryPlan> = self.own_trajectories().collect();
        if !trajectories.is_empty() {
            view::write_member(&directory.join(&self.folder), self.plan, &trajectories);
        }
    }

    /// Writes the topology that viewers want beside binary trajectories. One that is there is the one that it began with,
    /// unless it begins now.
    fn write_topology(&mut self, folder: &Path, pool: &FilePool) -> Result<()> {
        let path = folder.join(TOPOLOGY);
        if !self.new && path.is_file() {
            return Ok(());
        }
        let start = &self.plan.start;
        let text = topology::pdb(&topology::Scene {
            system: &start.system,
            names: start.names.as_deref(),
            cell: &start.cell,
            positions: &start.positions,
        })?;
        let mut file = OutputFile::create_in(Some(pool), &path, &[])?;
        file.append(text.as_bytes())?;
        // It is on the disk with the first mark: before that the member begins anew.
        self.topology = Some(file);
        Ok(())
    }

    /// The first step at or after `step` at which someone wants to look.
    pub fn next(&self, step: u64) -> u64 {
        let thermo = next_multiple(step, self.plan.output.thermo_every);
        let shared = self.shared.as_ref();
        let shared = shared.map_or(u64::MAX, |s| next_multiple(step, s.every));
        let own = self.own.iter().map(|own| own.next(step));
        let all = own.chain([self.drift.next(step), thermo, shared]);
        all.min().unwrap_or(u64::MAX)
    }

    /// The arrays that are wanted after `step` steps; `None` where nobody looks.
    pub fn wants(&self, step: u64) -> Option<Fields> {
        if self.next(step) != step {
            return None;
        }
        let own = self.own.iter().filter(|own| own.next(step) == step);
        let wants = own.fold(Fields::NONE, |wants, own| wants.union(own.wants()));
        Some(match self.frames_at(step) {
            Some(shared) => wants.union(shared.wants),
            None => wants,
        })
    }

    fn frames_at(&self, step: u64) -> Option<&SharedFrames> {
        let shared = self.shared.as_ref();
        shared.filter(|shared| next_multiple(step, shared.every) == step)
    }

    /// Whether a file of its own is written to after `step` steps.
    pub fn writes_at(&self, step: u64) -> bool {
        self.own.iter().any(|own| own.next(step) == step)
    }

    /// Takes in the present moment: the drift, then the line and the frame that are shared with other members, for tables
    /// that have the columns of `shows`. Adds what there is to say.
    ///
    /// # Errors
    /// There is none yet: reporters may have some.
    pub fn look(&mut self, state: &Snapshot, shows: Shows) -> Result<Option<Signal>> {
        let step = state.step;
        self.row.clear();
        self.frame.clear();
        let mut said = None;
        if self.drift.next(step) == step {
            said = Some(self.drift.report(state)?).filter(|said| *said != Signal::Continue);
        }
        if next_multiple(step, self.plan.output.thermo_every) == step {
            self.row
                .extend_from_slice(self.number.to_string().as_bytes());
            self.row.push(b',');
            self.sheet.line(state).write(shows, &mut self.row);
        }
        let mut frame = std::mem::take(&mut self.frame);
        if let Some(shared) = self.frames_at(step) {
            shared.frames.write_frame(state, &mut frame);
        }
        self.frame = frame;
        Ok(said)
    }

    /// Writes the present moment into its own files.
    ///
    /// # Errors
    /// A file could not be written.
    pub fn write(&mut self, state: &Snapshot) -> Result<Vec<Signal>> {
        let due = self
            .own
            .iter_mut()
            .filter(|own| own.next(state.step) == state.step);
        let said = due.map(|own| own.report(state));
        let said: Result<Vec<Signal>> = said.collect();
        Ok(said?
            .into_iter()
            .filter(|said| *said != Signal::Continue)
            .collect())
    }

    /// Waits until its own files are on the disk, and tells how far they have come.
    ///
    /// # Errors
    /// Some of it could not be written after all.
    pub fn mark(&mut self, directory: &Path) -> Result<Vec<FileMark>> {
        if self.own.is_empty() {
            return Ok(self.marks.clone());
        }
        let mut marks = Vec::with_capacity(self.own.len());
        for own in &mut self.own {
            if let Some(mut mark) = own.mark()? {
                mark.name = self.folder.join(&mark.name).to_string_lossy().into_owned();
                marks.push(mark);
            }
        }
        if let Some(mut topology) = self.topology.take() {
            topology.finish()?;
        }
        if std::mem::take(&mut self.new) {
            let folder = directory.join(&self.folder);
            sync_directory(&folder)
                .map_err(|e| Error::run(format!("cannot write to {}: {e}", folder.display())))?;
        }
        Ok(marks)
    }

    /// Completes its own files.
    ///
    /// # Errors
    /// One could not be completed.
    pub fn close(&mut self, directory: &Path) -> Result<()> {
        self.marks = self.mark(directory)?;
        if !self.own.is_empty() {
            // Once more what could not be written when it began.
            self.write_view(directory);
        }
        let mut finished = Ok(());
        for own in &mut self.own {
            finished = finished.and(own.finish());
        }
        self.own.clear();
        finished
    }

    /// Completes its own files as far as that goes, where something has failed.
    pub fn abandon(&mut self) -> Result<()> {
        let finish = |own: &mut Box<dyn Reporter>| own.finish();
        let finished = self.own.iter_mut().map(finish).fold(Ok(()), Result::and);
        self.own.clear();
        finished
    }
}

/// Makes the folder of a member and the one that they are all in.
fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)
        .map_err(|e| Error::input(format!("cannot make the folder {}: {e}", folder.display())))
}

/// The folder of a member's own files, of so many members, within the run's directory.
pub(crate) fn folder(number: usize, members: usize) -> PathBuf {
    /// Digits of a number, at least.
    const DIGITS: usize = 4;
    let digits = members.saturating_sub(1).to_string().len().max(DIGITS);
    Path::new(MEMBERS).join(format!("{number:0digits$}"))
}
