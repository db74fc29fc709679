//! Files that others write into a run's directory while it goes on, by way of its own process: those of PLUMED.
//!
//! They are known by being open. At a checkpoint their lengths are kept, and a run that goes on cuts them back to these, as it
//! does with its own. What is closed, or written over as a whole, is not among them.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::file::{PIECE, Verified};
use super::own;
use crate::simulation::FileMark;
use crate::text::hexadecimal;
use crate::{Error, Result};

/// Where a process sees its open files.
const OPEN: &str = "/proc/self/fd";

/// The files of others in a run's directory.
#[derive(Debug, Clone)]
pub struct ForeignFiles {
    directory: PathBuf,
}

impl ForeignFiles {
    /// Those in a directory, which is there.
    ///
    /// # Errors
    /// It is not there.
    pub fn new(directory: &Path) -> Result<Self> {
        let directory = (directory.canonicalize())
            .map_err(|e| Error::input(format!("{}: {e}", directory.display())))?;
        Ok(Self { directory })
    }

    /// How far those that are open have come, in the order of their names; all of it is on the disk then.
    ///
    /// # Errors
    /// One of them cannot be read, or not be brought to the disk.
    pub fn marks(&self) -> Result<Vec<FileMark>> {
        let mut names = self.open();
        names.sort();
        names.dedup();
        names.iter().map(|name| self.mark(name)).collect()
    }

    /// Cuts files back to what they were.
    ///
    /// # Errors
    /// One of them is not there, is shorter, was altered, or cannot be written to.
    pub fn cut(&self, marks: &[FileMark]) -> Result<()> {
        let verified = marks
            .iter()
            .map(|mark| Verified::read(&self.directory.join(&mark.name), mark));
        // All of them are looked at before the first is cut back.
        let verified: Vec<Verified> = verified.collect::<Result<_>>()?;
        (verified.into_iter()).try_for_each(|file| file.cut().map(drop))
    }

    /// Names of the plain files in the directory that the process has open, and that no run calls its own.
    fn open(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(OPEN) else {
            return Vec::new();
        };
        let paths = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let here = paths.filter(|path| path.parent() == Some(&self.directory) && path.is_file());
        let names = here.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
        names
            .filter(|name| !own::is_own(name) && !name.starts_with('.'))
            .collect()
    }

    fn mark(&self, name: &str) -> Result<FileMark> {
        let path = self.directory.join(name);
        let unreadable = |e| Error::run(format!("{}: {e}", path.display()));
        let mut file = File::open(&path).map_err(unreadable)?;
        file.sync_all().map_err(unreadable)?;
        let (mut hash, mut length) = (Sha256::new(), 0);
        let mut piece = vec![0; PIECE];
        loop {
            let count = file.read(&mut piece).map_err(unreadable)?;
            if count == 0 {
                break;
            }
            hash.update(&piece[..count]);
            length += count as u64;
        }
        Ok(FileMark {
            name: name.to_owned(),
            length,
            records: 0,
            amended: Vec::new(),
            sha256: hexadecimal(&hash.finalize()),
        })
    }
}
