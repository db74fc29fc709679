//! What watches a batch: each member as a lone run is watched, in files of its own or in one for all.
//!
//! | file | what |
//! |---|---|
//! | `members.csv` | how far each member has come, and how it ended ([`table`]) |
//! | `thermo.csv` | the thermo tables of all, with a first column `member` |
//! | `members/0007/traj.xyz`, `.dcd`, `.xtc` | trajectories of a member, with its `topology.pdb` |
//! | `traj.xyz` | those of all members together, in place of theirs, where that is asked for |
//!
//! Lines and frames of one moment are in the order of members; moments are in the order in which they were run. Most files
//! are closed between frames: few may be open at once.

mod desk;
mod progress;
pub mod summary;
pub mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::console::Console;
use super::drift::Energies;
use super::file::{OutputFile, Verified};
use super::names::{MEMBERS_TABLE, THERMO, TRAJECTORY};
use super::pool::FilePool;
use super::table::Shows;
use crate::config::plan::BatchPlan;
use crate::core::{Fields, Snapshot};
use crate::simulation::batch::{BatchMarks, MemberCourse};
use crate::simulation::{BatchObserver, FileMark, Signal};
use crate::{Error, Result};
pub(crate) use desk::folder;
use desk::{DeskSetup, MemberDesk};
use progress::BatchProgress;
use table::MembersTable;

/// Files of members that stay open. Others are opened for a frame, at most [`WRITERS`] at a time; with those of all members and
/// what the process has besides, that is less than 64.
const OPEN_FILES: usize = 32;
/// Most threads that write at once.
const WRITERS: usize = 8;
/// Members from which threads share them: one takes about a microsecond.
const WORTH_THREADS: usize = 64;
/// Shortest time between two tables of members that are written while the batch goes on.
const TABLE_EVERY: Duration = Duration::from_secs(1);

/// What watches a batch.
pub struct BatchReport<'p> {
    directory: PathBuf,
    desks: Vec<MemberDesk<'p>>,
    shows: Shows,
    thermo: OutputFile,
    /// The trajectory of all members, where it is one.
    frames: Option<OutputFile>,
    pool: FilePool,
    table: MembersTable,
    progress: BatchProgress,
    /// Whether members have ended since the table was written, and when that was.
    outdated: bool,
    written: Instant,
}

/// What a report on a batch is made with.
pub struct BatchScope<'p> {
    /// The batch.
    pub plan: &'p BatchPlan,
    /// Where its files are.
    pub directory: &'p Path,
    /// The energies of each member.
    pub energies: &'p [Energies],
    /// Steps between samples of the drift.
    pub stretch: u64,
}

impl<'p> BatchReport<'p> {
    /// Creates the files of all members; those of one are created when it begins. With `marks` it goes on with those that are
    /// there, cut back to them: all of them are looked into before the first is cut.
    ///
    /// # Errors
    /// A file cannot be created, or is not what it was at the checkpoint.
    pub fn open(
        scope: &BatchScope<'p>,
        marks: Option<&BatchMarks>,
        console: &Console,
    ) -> Result<Self> {
        let plan = scope.plan;
        let mut desks = desks(scope);
        let shows = (plan.members.iter()).map(|member| desk::shows(&member.plan));
        let shows = shows.reduce(Shows::union).unwrap_or_default();
        let shared = match marks {
            None => Vec::new(),
            Some(marks) => {
                verify(&mut desks, scope.directory, marks)?;
                let read =
                    |mark: &FileMark| Verified::read(&scope.directory.join(&mark.name), mark);
                marks.shared.iter().map(read).collect::<Result<_>>()?
            }
        };
        let mut shared = shared.into_iter();
        let mut file = |name: &str| match shared.next() {
            Some(verified) => verified.cut(),
            None => OutputFile::create(&scope.directory.join(name), &[]),
        };
        let mut thermo = file(THERMO)?;
        let is_text = |plan: &BatchPlan| !plan.members[0].plan.output.trajectories.is_empty();
        let frames = (plan.together && is_text(plan))
            .then(|| file(TRAJECTORY))
            .transpose()?;
        if marks.is_none() {
            thermo.append(format!("member,{}", shows.header()).as_bytes())?;
        }
        Ok(Self {
            directory: scope.directory.to_owned(),
            desks,
            shows,
            thermo,
            frames,
            pool: FilePool::new(OPEN_FILES),
            table: MembersTable::of(plan, scope.directory.join(MEMBERS_TABLE)),
            progress: BatchProgress::new(console, plan),
            outdated: true,
            written: Instant::now(),
        })
    }

    fn write_table(&mut self, members: &[MemberCourse], ended: bool) -> Result<()> {
        let energies = self.desks.iter().map(MemberDesk::energies);
        self.table.write(members, energies, ended)?;
        self.outdated = false;
        self.written = Instant::now();
        Ok(())
    }

    /// Writes lines and frames that members share files for, in their order.
    fn write_shared(&mut self, shown: &[(usize, Snapshot)]) -> Result<()> {
        let (mut rows, mut lines) = (Vec::new(), 0);
        let (mut texts, mut frames) = (Vec::new(), 0);
        for (member, _) in shown {
            let desk = &self.desks[*member];
            lines += u64::from(!desk.row.is_empty());
            rows.extend_from_slice(&desk.row);
            frames += u64::from(!desk.frame.is_empty());
            texts.extend_from_slice(&desk.frame);
        }
        if lines > 0 {
            self.thermo.append_all(&rows, lines)?;
        }
        match &mut self.frames {
            Some(file) if frames > 0 => file.append_all(&texts, frames),
            _ => Ok(()),
        }
    }
}

fn desks<'p>(scope: &BatchScope<'p>) -> Vec<MemberDesk<'p>> {
    let members = &scope.plan.members;
    let desk = |(number, energies): (usize, &Energies)| {
        MemberDesk::new(DeskSetup {
            number,
            plan: &members[number].plan,
            folder: desk::folder(number, members.len()),
            energies: energies.clone(),
            stretch: scope.stretch,
            together: scope.plan.together,
        })
    };
    scope.energies.iter().enumerate().map(desk).collect()
}

/// Looks into the files of all members as they were at a checkpoint.
fn verify(desks: &mut [MemberDesk<'_>], directory: &Path, marks: &BatchMarks) -> Result<()> {
    let mut pairs: Vec<_> = desks.iter_mut().zip(&marks.members).collect();
    by_writers(&mut pairs, |(desk, marks)| desk.verify(directory, marks)).map(drop)
}

/// Does something with each of many that opens files: a few at a time. Gives what comes of it, or the first error, in their
/// order.
fn by_writers<T: Send, R: Send>(
    all: &mut [T],
    act: impl Fn(&mut T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let share = all.len().div_ceil(WRITERS).max(1);
    let shares = all.par_chunks_mut(share);
    let shares = shares.map(|share| share.iter_mut().map(&act).collect::<Result<Vec<R>>>());
    let shares: Vec<Result<Vec<R>>> = shares.collect();
    let mut results = Vec::with_capacity(all.len());
    for share in shares {
        results.extend(share?);
    }
    Ok(results)
}

impl BatchObserver for BatchReport<'_> {
    fn begin(&mut self, member: usize) -> Result<()> {
        self.desks[member].open(&self.directory, &self.pool)
    }

    fn next(&self, member: usize, step: u64) -> u64 {
        self.desks[member].next(step)
    }

    fn wants(&self, member: usize, step: u64) -> Option<Fields> {
        self.desks[member].wants(step)
    }

    fn report(&mut self, shown: Vec<(usize, Snapshot)>) -> Result<Vec<(usize, Signal)>> {
        let shows = self.shows;
        let mut states: Vec<Option<&Snapshot>> = vec![None; self.desks.len()];
        for (member, state) in &shown {
            states[*member] = Some(state);
        }
        let desks = self.desks.iter_mut().enumerate();
        let mut due: Vec<_> = desks
            .filter_map(|(member, desk)| Some((member, desk, states[member]?)))
            .collect();
        let look = |(member, desk, state): &mut (usize, &mut MemberDesk<'_>, &Snapshot)| {
            let said = desk.look(state, shows)?;
            Ok(said.map(|said| (*member, said)))
        };
        let said: Vec<Result<Option<(usize, Signal)>>> = match due.len() < WORTH_THREADS {
            true => due.iter_mut().map(look).collect(),
            false => due.par_iter_mut().with_min_len(WRITERS).map(look).collect(),
        };
        let mut said: Vec<(usize, Signal)> = said
            .into_iter()
            .filter_map(Result::transpose)
            .collect::<Result<_>>()?;
        due.retain(|(_, desk, state)| desk.writes_at(state.step));
        let written = by_writers(&mut due, |(member, desk, state)| {
            let said = desk.write(state)?.into_iter();
            Ok(said.map(|said| (*member, said)).collect::<Vec<_>>())
        })?;
        said.extend(written.into_iter().flatten());
        // Of one member in the order in which they looked.
        said.sort_by_key(|(member, _)| *member);
        self.write_shared(&shown)?;
        Ok(said)
    }

    fn end(&mut self, member: usize) -> Result<()> {
        self.outdated = true;
        self.desks[member].close(&self.directory)
    }

    fn passed(&mut self, members: &[MemberCourse]) -> Result<()> {
        self.progress.show(members);
        if self.outdated && self.written.elapsed() >= TABLE_EVERY {
            self.write_table(members, false)?;
        }
        Ok(())
    }

    fn marks(&mut self, members: &[MemberCourse]) -> Result<BatchMarks> {
        let directory = &self.directory;
        let own = by_writers(&mut self.desks, |desk| desk.mark(directory))?;
        let mut shared = vec![self.thermo.mark()?];
        if let Some(frames) = &mut self.frames {
            shared.push(frames.mark()?);
        }
        self.write_table(members, false)?;
        let folder = directory_of_members(&self.directory);
        if folder.is_dir() {
            super::file::sync_directory(&folder)
                .map_err(|e| Error::run(format!("cannot write to {}: {e}", folder.display())))?;
        }
        Ok(BatchMarks {
            shared,
            members: own,
        })
    }

    fn finish(&mut self, members: &[MemberCourse]) -> Result<()> {
        let own = by_writers(&mut self.desks, MemberDesk::abandon).map(drop);
        let thermo = self.thermo.finish();
        let frames = self.frames.as_mut().map_or(Ok(()), OutputFile::finish);
        let table = self.write_table(members, true);
        self.progress.clear();
        own.and(thermo).and(frames).and(table)
    }
}

fn directory_of_members(directory: &Path) -> PathBuf {
    directory.join(super::names::MEMBERS)
}
