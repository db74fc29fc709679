//! One run at a time in a directory: a lock that the system lets go of when its process ends, however it
//! ends.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The name of the lock's file.
pub const NAME: &str = ".lock";

/// A directory that is this process's alone as long as this lives.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Held open: the lock goes with it.
    file: File,
}

impl Lock {
    /// Locks a directory.
    ///
    /// # Errors
    /// Another run is going on in it, or nothing can be written there.
    pub fn take(directory: &Path) -> Result<Self> {
        let path = directory.join(NAME);
        let fault =
            |e: io::Error| Error::input(format!("cannot write to {}: {e}", directory.display()));
        loop {
            let mut file = (File::options().read(true).write(true))
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(fault)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(busy(directory, &path)),
                // A file system that knows no locks: then there is no better than none.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(fault(e)),
            }
            if !is_at(&file, &path).map_err(fault)? {
                // Whoever had it removed the file between the opening and the locking.
                continue;
            }
            let owner = format!("{}\n", owner());
            // For people only: a full disk does not matter here.
            let _ = file
                .set_len(0)
                .and_then(|()| file.write_all(owner.as_bytes()));
            return Ok(Self { path, file });
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still locked: whoever opened it meanwhile sees that it is not there any more. In a
        // directory that was removed and made anew it is another run's.
        if is_at(&self.file, &self.path).unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn busy(directory: &Path, path: &Path) -> Error {
    let owner = fs::read_to_string(path).unwrap_or_default();
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
    let process = format!("process {}", std::process::id());
    match fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(host) => format!("{process} on {}", host.trim()),
        Err(_) => process,
    }
}

/// Whether an open file is the one that has this name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
