//! The run's own directory: made with its parents, never shared by two runs, and gone again if the
//! run does not come to begin.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::lock::Lock;
use super::{aside, unbegun};
use crate::report::file::sync_directory;
use crate::report::{names, own};
use crate::text::bytes;
use crate::{Error, Result};

/// The directory of a run that is about to begin or to go on, locked against other runs. Dropped before
/// [`RunDirectory::keep`], it removes what a new run has written into it and puts back what was there
/// before.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Directories made for it, outermost first.
    made: Vec<PathBuf>,
    /// Whether files of the run before are set aside.
    replaces: bool,
    /// Whether the files in it are those of a new run that has not begun yet.
    new: bool,
    lock: Option<Lock>,
}

/// The directory of a run that has begun. It stays locked as long as this lives.
#[derive(Debug)]
pub struct HeldDirectory {
    path: PathBuf,
    /// What is left of the run before, where it could not be removed.
    pub remark: Option<String>,
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
    /// It holds a run (and `force` is not given), another run is going on in it, it is no directory,
    /// cannot be made or written to, or has what is no plain file at the name of one.
    pub fn create(path: &Path, force: bool) -> Result<Self> {
        Self::open(path)?.begin(force)
    }

    /// Makes the directory, or takes one that is there, whatever it holds, and locks it.
    ///
    /// # Errors
    /// Another run is going on in it, it is no directory, cannot be made or written to, or has what is no
    /// plain file at the name of one.
    pub fn open(path: &Path) -> Result<Self> {
        let mut directory = Self {
            path: path.to_owned(),
            made: make(path)?,
            replaces: false,
            new: false,
            lock: None,
        };
        directory.lock = Some(Lock::take(path)?);
        own::check(path)?;
        aside::recover(path)?;
        Ok(directory)
    }

    /// Takes it for a new run; one that it holds goes, as for [`RunDirectory::create`]. A run that had
    /// written nothing beyond its first state is in nobody's way.
    ///
    /// # Errors
    /// It holds a run (and `force` is not given), or cannot be written to.
    pub fn begin(mut self, force: bool) -> Result<Self> {
        let old = own::files(&self.path)?;
        let record = old.iter().find(|name| *name == names::RECORD);
        // Where no lock is to be had, another process may just be at it.
        let locked = self.lock.as_ref().is_some_and(Lock::is_held);
        let replace = force || locked && unbegun::is_unbegun(&self.path)?;
        if let (Some(first), false) = (record.or(old.first()), replace) {
            return Err(Error::input(format!(
                "{} holds a run already ({first}); choose another directory ([output] directory, \
                 or --out), go on with that run with --resume, or replace it with --force",
                self.path.display()
            )));
        }
        if !old.is_empty() {
            own::check_members(&self.path)?;
            aside::set(&self.path, &old).map_err(|e| {
                let place = self.path.display();
                Error::input(format!("cannot replace the run in {place}: {e}"))
            })?;
            self.replaces = true;
        }
        // From here on what is in it is the new run's.
        self.claim()?;
        self.new = true;
        Ok(self)
    }

    /// Whether it holds no run, nor any part of one.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn is_free(&self) -> Result<bool> {
        Ok(own::files(&self.path)?.is_empty())
    }

    /// Whether the run that it holds had written nothing beyond its first state.
    ///
    /// # Errors
    /// A file of the run cannot be looked at.
    pub fn is_unbegun(&self) -> Result<bool> {
        unbegun::is_unbegun(&self.path)
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
        let freed = if self.replaces {
            aside::size(&self.path)
        } else {
            0
        };
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
    /// It cannot take the place of the run before, which is there again.
    pub fn keep(mut self) -> Result<HeldDirectory> {
        self.hold()
    }

    /// Does as [`RunDirectory::keep`]. Where it fails, this still is the directory of a run that has not begun.
    ///
    /// # Errors
    /// As for [`RunDirectory::keep`].
    pub fn hold(&mut self) -> Result<HeldDirectory> {
        let mut remark = None;
        if self.replaces {
            let place = self.path.display();
            let gone = aside::dismiss(&self.path)
                .map_err(|e| Error::run(format!("cannot replace the run in {place}: {e}")))?;
            remark = (!gone).then(|| {
                format!("what is left of the run before in {place} is removed by the next one")
            });
        }
        self.new = false;
        self.replaces = false;
        self.made.clear();
        Ok(HeldDirectory {
            path: self.path.clone(),
            remark,
            _lock: self.lock.take(),
        })
    }

    /// Puts down the record's file, which no one else can have put down: of two runs started at once
    /// one gets the directory. Shows too whether it can be written to.
    fn claim(&self) -> Result<()> {
        let path = self.path.join(names::RECORD);
        let made = fs::File::create_new(&path).map(drop);
        made.map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::input(format!(
                "{}: another run has just begun here; choose another directory",
                self.path.display()
            )),
            _ => Error::input(format!("cannot write to {}: {e}", self.path.display())),
        })?;
        // The name is on the disk before any other file of the new run.
        sync_directory(&self.path).map_err(|e| {
            let _ = fs::remove_file(&path);
            Error::input(format!("cannot write to {}: {e}", self.path.display()))
        })
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        // The error that brought us here is the one to tell; what cannot be undone is undone by the next
        // run that comes here.
        let emptied = !self.new || aside::discard(&self.path).is_ok();
        if self.replaces && emptied {
            let _ = aside::restore(&self.path);
        }
        self.lock = None;
        // Only directories made here, and only empty ones.
        for made in self.made.iter().rev() {
            let _ = fs::remove_dir(made);
        }
    }
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
            Ok(()) => {
                made.push(folder.to_owned());
                // Its name is on the disk before what a run puts into it; where that cannot be waited for it is
                // there soon all the same.
                let above = folder
                    .parent()
                    .filter(|above| !above.as_os_str().is_empty());
                let _ = sync_directory(above.unwrap_or(Path::new(".")));
            }
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
