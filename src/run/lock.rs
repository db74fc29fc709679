//! One run at a time in a directory: a lock that the system lets go of when its process ends, however it
//! ends.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::report::own;
use crate::{Error, Result};

/// The name of the lock's file.
pub const NAME: &str = ".lock";
/// What the lock's file begins with: one that begins otherwise is another program's.
const OWNER: &str = "process ";
/// Most bytes that are read of it.
const LONGEST: u64 = 1024;
/// Tries more at a lock that another process holds, and the time between them.
const TRIES: u32 = 3;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// A directory that is this process's alone as long as this lives.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Held open: the lock goes with it.
    file: File,
    /// Whether the file is this process's to remove.
    ours: bool,
    /// Whether it keeps others out.
    held: bool,
}

impl Lock {
    /// Locks a directory.
    ///
    /// # Errors
    /// Another run is going on in it, nothing can be written there, or what bears the lock's name is
    /// none. Nothing is left behind then.
    pub fn take(directory: &Path) -> Result<Self> {
        let path = directory.join(NAME);
        let fault =
            |e: io::Error| Error::input(format!("cannot write to {}: {e}", directory.display()));
        let mut tries = 0;
        loop {
            let (file, made) = open(&path).map_err(fault)?;
            let mut lock = Self {
                path: path.clone(),
                file,
                ours: false,
                held: false,
            };
            match lock.file.try_lock() {
                Ok(()) => lock.held = true,
                // Whoever looks whether there is a run holds it for a moment.
                Err(TryLockError::WouldBlock) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(BETWEEN_TRIES);
                    continue;
                }
                Err(TryLockError::WouldBlock) => return Err(busy(directory, &path)),
                // A file system that knows no locks: then there is no better than none.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => {
                    if made {
                        let _ = fs::remove_file(&path);
                    }
                    return Err(Error::input(format!(
                        "cannot lock {}: {e}; choose a directory on another disk",
                        directory.display()
                    )));
                }
            }
            if !is_at(&lock.file, &path).map_err(fault)? {
                // Whoever had it removed the file between the opening and the locking.
                continue;
            }
            lock.ours = true;
            let owner = format!("{}\n", owner());
            // For people only: a full disk does not matter here. At the start of the file: it may have been read.
            let _ =
                (lock.file.set_len(0)).and_then(|()| lock.file.write_all_at(owner.as_bytes(), 0));
            return Ok(lock);
        }
    }

    /// Whether others are kept out: some file systems know no locks.
    pub fn is_held(&self) -> bool {
        self.held
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked: whoever opened it meanwhile sees that it is not there any more. In a
        // directory that was removed and made anew it is another run's.
        if self.ours && is_at(&self.file, &self.path).unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a run holds the lock of a directory; `None` where that cannot be told, as on a file system that knows no locks.
/// Nothing is written; the lock, where it is free, is held for a moment.
pub fn is_held(directory: &Path) -> Option<bool> {
    let path = directory.join(NAME);
    let file = match own::open(File::options().read(true), &path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Some(false),
        Err(_) => return None,
    };
    match file.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Opens the lock's file, made if it is not there; whether it was made.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let mut options = File::options();
    options.read(true).write(true);
    match own::open(options.clone().create_new(true), path) {
        Ok(file) => return Ok((file, true)),
        Err(e) if own::kind(path)?.is_none() => return Err(e),
        Err(_) => {}
    }
    let foreign = |why: &str| {
        io::Error::other(format!(
            "{} {why}: it is no lock of mdrun; move it away, or choose another directory",
            path.display()
        ))
    };
    let file = match own::open(&mut options, path) {
        // Removed meanwhile.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return open(path),
        opened => opened.map_err(|e| foreign(&format!("cannot be opened ({e})")))?,
    };
    let found = file.metadata()?;
    if !found.is_file() || found.nlink() > 1 {
        return Err(foreign("is not a plain file of one name"));
    }
    let mut text = Vec::new();
    (&file).take(LONGEST).read_to_end(&mut text)?;
    // A loss of power may have left a part of it, or room without anything in it.
    let ours = text.starts_with(OWNER.as_bytes())
        || OWNER.as_bytes().starts_with(&text)
        || text.iter().all(|byte| *byte == 0);
    if !ours {
        return Err(foreign("belongs to another program"));
    }
    Ok((file, false))
}

fn busy(directory: &Path, path: &Path) -> Error {
    let mut owner = String::new();
    let opened = own::open(File::options().read(true), path);
    // Where it cannot be read there is nothing to say of its owner.
    let _ = opened.and_then(|file| file.take(LONGEST).read_to_string(&mut owner));
    let owner = match owner.trim() {
        "" => String::new(),
        owner => format!(" ({owner})"),
    };
    Error::input(format!(
        "another mdrun{owner} is running in {}: wait until it has ended, or choose another directory",
        directory.display()
    ))
}

/// Who holds the lock, for people.
fn owner() -> String {
    let process = format!("{OWNER}{}", std::process::id());
    match fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(host) => format!("{process} on {}", host.trim()),
        Err(_) => process,
    }
}

/// Whether an open file is the one that has this name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
