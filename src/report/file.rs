//! A file that grows by whole records: what is in it is complete, whatever happens to the run.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A file written in whole records (frames, lines). A record that cannot be written leaves no part
/// of itself behind, so that the file can be read up to the last complete one.
#[derive(Debug)]
pub(super) struct OutputFile {
    file: File,
    path: PathBuf,
    length: u64,
    records: u64,
}

impl OutputFile {
    /// Creates the file, or empties the one that is there.
    ///
    /// # Errors
    /// It cannot be created: an error of the input, since nothing has been run yet.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path)
            .map_err(|e| Error::input(format!("cannot create {}: {e}", path.display())))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length: 0,
            records: 0,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one record.
    ///
    /// # Errors
    /// It could not be written in full (a full disk, an exceeded quota).
    pub(super) fn append(&mut self, record: &[u8]) -> Result<()> {
        if let Err(error) = self.file.write_all(record) {
            // Best effort: the error that matters is the one above.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(self.fault(&error));
        }
        self.length += record.len() as u64;
        self.records += 1;
        Ok(())
    }

    /// Writes over bytes that are there already.
    ///
    /// # Errors
    /// They could not be written.
    pub(super) fn amend(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = SeekFrom::Start(self.length);
        (self.file.seek(SeekFrom::Start(offset)))
            .and_then(|_| self.file.write_all(bytes))
            .and_then(|()| self.file.seek(end))
            .map(|_| ())
            .map_err(|e| self.fault(&e))
    }

    /// Waits until all of it is on the disk: network file systems and quotas report late.
    ///
    /// # Errors
    /// Some of it could not be written after all.
    pub(super) fn finish(&mut self) -> Result<()> {
        match self.file.sync_all() {
            // Pipes and devices cannot be synchronised.
            Err(e) if e.kind() != io::ErrorKind::InvalidInput => Err(self.fault(&e)),
            _ => Ok(()),
        }
    }

    fn fault(&self, error: &io::Error) -> Error {
        Error::run(format!(
            "cannot write {}: {error}; it is complete up to its record {}",
            self.path.display(),
            self.records
        ))
    }
}

/// Writes a whole file such that it is there either entirely or not at all: under another name
/// first, renamed when complete.
///
/// # Errors
/// It cannot be written.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let part = write_part(path, content)?;
    std::fs::rename(&part, path).map_err(|e| {
        let _ = std::fs::remove_file(&part);
        Error::run(format!("cannot write {}: {e}", path.display()))
    })
}

/// Writes what is to become the file `path` under another name, flushed to the disk; returns that
/// name's path.
///
/// # Errors
/// It cannot be written; no part of it is left.
pub(super) fn write_part(path: &Path, content: &[u8]) -> Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
    match written {
        Ok(()) => Ok(part),
        Err(e) => {
            let _ = std::fs::remove_file(&part);
            Err(Error::run(format!("cannot write {}: {e}", path.display())))
        }
    }
}

/// Waits until the names in a directory are on the disk.
///
/// # Errors
/// It cannot be opened, or the disk failed.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some file systems have no such thing for directories.
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}
