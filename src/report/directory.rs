//! The run's own directory: made with its parents, never shared by two runs, and gone again if the
//! run does not come to begin.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::store;
use super::lock::Lock;
use super::record;
use super::recorder;
use super::text::bytes;
use crate::{Error, Result};

/// Names of files that a run writes, besides trajectories.
const OWN: [&str; 8] = [
    record::NAME,
    THERMO,
    TOPOLOGY,
    LAST_GOOD,
    recorder::FRAMES,
    recorder::STATE,
    store::NEWEST,
    store::PREVIOUS,
];
/// The thermo table.
pub const THERMO: &str = "thermo.csv";
/// The topology for viewers.
pub const TOPOLOGY: &str = "topology.pdb";
/// The last good frame of a run that broke, as earlier versions wrote it.
pub const LAST_GOOD: &str = "last_good.xyz";
/// Where the files of the run before wait until the new one has begun.
const ASIDE: &str = ".replaced";
/// The same folder once the new run has begun: what is in it goes.
const REMOVED: &str = ".removed";

/// The directory of a run that is about to begin or to go on, locked against other runs. Dropped before
/// [`RunDirectory::keep`], it removes what a new run has written into it and puts back what was there
/// before.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Directories made for it, outermost first.
    made: Vec<PathBuf>,
    /// Files of the run before, moved aside.
    replaced: Vec<String>,
    /// Whether the files in it are those of a new run that has not begun yet.
    new: bool,
    lock: Option<Lock>,
}

/// The directory of a run that has begun. It stays locked as long as this lives.
#[derive(Debug)]
pub struct HeldDirectory {
    path: PathBuf,
    _lock: Option<Lock>,
}

impl HeldDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl RunDirectory {
    /// Makes the directory, or takes one that is there and holds no run. With `force` a run that it
    /// holds is replaced: its own files go when the new run begins, others stay.
    ///
    /// # Errors
    /// It holds a run (and `force` is not given), another run is going on in it, it is no directory, or
    /// cannot be made or written to.
    pub fn create(path: &Path, force: bool) -> Result<Self> {
        Self::open(path)?.begin(force)
    }

    /// Makes the directory, or takes one that is there, whatever it holds, and locks it.
    ///
    /// # Errors
    /// Another run is going on in it, it is no directory, or cannot be made or written to.
    pub fn open(path: &Path) -> Result<Self> {
        let mut directory = Self {
            path: path.to_owned(),
            made: make(path)?,
            replaced: Vec::new(),
            new: false,
            lock: None,
        };
        directory.lock = Some(Lock::take(path)?);
        directory.recover().map_err(|e| {
            let place = path.display();
            Error::input(format!("cannot put back the run in {place}: {e}"))
        })?;
        Ok(directory)
    }

    /// Puts back a run that another one was to replace when it was killed before it had begun; removes
    /// what was left of one that it did replace. Killed itself, it is completed the next time.
    fn recover(&self) -> io::Result<()> {
        remove(&self.path.join(REMOVED))?;
        let aside = self.path.join(ASIDE);
        if !aside.is_dir() {
            return Ok(());
        }
        // The new run's record is the first file that it makes, once all of the old ones are aside.
        let record = self.path.join(record::NAME);
        if record.exists() && aside.join(record::NAME).exists() {
            let new = self.own_files().map_err(io::Error::other)?;
            for name in new.iter().filter(|name| *name != record::NAME) {
                fs::remove_file(self.path.join(name))?;
            }
            fs::remove_file(record)?;
        }
        for entry in fs::read_dir(&aside)? {
            let entry = entry?;
            fs::rename(entry.path(), self.path.join(entry.file_name()))?;
        }
        fs::remove_dir(&aside)
    }

    /// Takes it for a new run; one that it holds goes, as for [`RunDirectory::create`].
    ///
    /// # Errors
    /// It holds a run (and `force` is not given), or cannot be written to.
    pub fn begin(mut self, force: bool) -> Result<Self> {
        let old = self.own_files()?;
        let record = old.iter().find(|name| *name == record::NAME);
        if let (Some(first), false) = (record.or(old.first()), force) {
            return Err(Error::input(format!(
                "{} holds a run already ({first}); choose another directory ([output] directory, \
                 or --out), go on with that run with --resume, or replace it with --force",
                self.path.display()
            )));
        }
        self.new = true;
        self.set_aside(old)?;
        self.claim()?;
        Ok(self)
    }

    /// Whether it holds no run, nor any part of one.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn is_free(&self) -> Result<bool> {
        Ok(self.own_files()?.is_empty())
    }

    /// Whether it has a record of a run, be it empty.
    pub fn has_record(&self) -> bool {
        self.path.join(record::NAME).is_file()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fails if the disk has less room than the run will need at least.
    ///
    /// # Errors
    /// It has less.
    pub fn check_room(&self, least: u64) -> Result<()> {
        let aside = self.path.join(ASIDE);
        let freed: u64 = (self.replaced.iter())
            .filter_map(|name| fs::metadata(aside.join(name)).ok())
            .map(|file| file.len())
            .sum();
        match free_space(&self.path).map(|free| free.saturating_add(freed)) {
            Some(free) if free < least => Err(Error::input(format!(
                "{}: the run will write at least {}, the disk has {} free; write fewer frames \
                 ([[output.trajectory]] every), choose XTC, or another directory",
                self.path.display(),
                bytes(least),
                bytes(free)
            ))),
            _ => Ok(()),
        }
    }

    /// The run has begun: its files stay, those of the run before go.
    ///
    /// # Errors
    /// A file of the run before cannot be removed.
    pub fn keep(mut self) -> Result<HeldDirectory> {
        self.new = false;
        self.made.clear();
        if !self.replaced.is_empty() {
            // By this one renaming the new run takes the place of the old one.
            let (aside, removed) = (self.path.join(ASIDE), self.path.join(REMOVED));
            fs::rename(&aside, &removed)
                .and_then(|()| remove(&removed))
                .map_err(|e| {
                    Error::run(format!(
                        "cannot remove the run before, {}: {e}",
                        aside.display()
                    ))
                })?;
        }
        Ok(HeldDirectory {
            path: self.path.clone(),
            _lock: self.lock.take(),
        })
    }

    /// Files of a run in the directory, sorted.
    fn own_files(&self) -> Result<Vec<String>> {
        let fault = |e| Error::input(format!("cannot list {}: {e}", self.path.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            // A folder of such a name is not ours.
            let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let Ok(name) = entry.file_name().into_string()
                && is_own(&name)
                && !folder
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Moves the files of the run before aside.
    fn set_aside(&mut self, names: Vec<String>) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let aside = self.path.join(ASIDE);
        let fault = |e| {
            let place = self.path.display();
            Error::input(format!("cannot replace the run in {place}: {e}"))
        };
        fs::create_dir(&aside).map_err(fault)?;
        for name in &names {
            fs::rename(self.path.join(name), aside.join(name)).map_err(fault)?;
            self.replaced.push(name.clone());
        }
        Ok(())
    }

    /// Puts down the record's file, which no one else can have put down: of two runs started at once
    /// one gets the directory. Shows too whether it can be written to.
    fn claim(&self) -> Result<()> {
        let path = self.path.join(record::NAME);
        let made = fs::File::create_new(&path).map(drop);
        made.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::input(format!(
                "{}: another run has just begun here; choose another directory",
                self.path.display()
            )),
            _ => Error::input(format!("cannot write to {}: {e}", self.path.display())),
        })
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        if self.new {
            self.undo();
        }
        self.lock = None;
        // Only directories made here, and only empty ones.
        for made in self.made.iter().rev() {
            let _ = fs::remove_dir(made);
        }
    }
}

impl RunDirectory {
    /// Removes what the new run has written, and puts back what was there before.
    fn undo(&self) {
        // The error that brought us here is the one to tell; what cannot be undone stays.
        for name in self.own_files().unwrap_or_default() {
            let _ = fs::remove_file(self.path.join(name));
        }
        let aside = self.path.join(ASIDE);
        for name in &self.replaced {
            let _ = fs::rename(aside.join(name), self.path.join(name));
        }
        if !self.replaced.is_empty() {
            let _ = fs::remove_dir(&aside);
        }
    }
}

/// Removes a folder of files that runs write, if it is there.
fn remove(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(is_own) {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// Whether a file of this name is one that runs write.
fn is_own(name: &str) -> bool {
    // A file that is written anew has this ending until it is complete.
    let name = name.strip_suffix(".part").unwrap_or(name);
    let trajectory = || {
        let (stem, extension) = name.split_once('.')?;
        let number = stem.strip_prefix("traj")?;
        let counted = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
        let numbered = number.is_empty() || number.strip_prefix('_').is_some_and(counted);
        (numbered && ["xyz", "dcd", "xtc"].contains(&extension)).then_some(())
    };
    OWN.contains(&name) || trajectory().is_some()
}

/// Makes a directory and the parents that are missing; returns those made, outermost first. Removes
/// them again if it fails.
fn make(path: &Path) -> Result<Vec<PathBuf>> {
    let missing = |p: &&Path| !p.as_os_str().is_empty() && !p.exists();
    let mut wanted: Vec<&Path> = path.ancestors().take_while(missing).collect();
    wanted.reverse();
    let mut made: Vec<PathBuf> = Vec::new();
    for folder in wanted {
        match fs::create_dir(folder) {
            Ok(()) => made.push(folder.to_owned()),
            // Someone else was faster: it is there.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => {
                for folder in made.iter().rev() {
                    let _ = fs::remove_dir(folder);
                }
                return Err(Error::input(format!(
                    "cannot make the output directory {}: {e}",
                    path.display()
                )));
            }
        }
    }
    if !path.is_dir() {
        return Err(Error::input(format!(
            "the output directory {} is a file; choose another one",
            path.display()
        )));
    }
    Ok(made)
}

/// Bytes that a file in `path` may still grow by; `None` where the system does not say.
fn free_space(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
