//! A file that grows by whole records: what is in it is complete, whatever happens to the run.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::checkpoint::FileMark;
use super::text::hexadecimal;
use crate::{Error, Result};

/// Bytes at the end of a file that a checkpoint remembers the hash of: all of a small file, the last frames
/// of a large one, which is not to be read as a whole when a run goes on.
const TAIL: u64 = 1 << 16;

/// A file written in whole records (frames, lines). A record that cannot be written leaves no part
/// of itself behind, so that the file can be read up to the last complete one.
#[derive(Debug)]
pub(super) struct OutputFile {
    file: File,
    path: PathBuf,
    length: u64,
    records: u64,
    /// End of the part that is written over now and then.
    amended: u64,
}

impl OutputFile {
    /// Creates the file, or empties the one that is there.
    ///
    /// # Errors
    /// It cannot be created: an error of the input, since nothing has been run yet.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = (File::options().read(true).write(true))
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(|e| Error::input(format!("cannot create {}: {e}", path.display())))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length: 0,
            records: 0,
            amended: 0,
        })
    }

    /// Goes on with the file as it was at a checkpoint: what was written later is cut off.
    ///
    /// # Errors
    /// It is not there, has lost what it had, or cannot be written to.
    pub(super) fn resume(path: &Path, mark: &FileMark) -> Result<Self> {
        let mut file = verify(path, mark)?;
        (file.set_len(mark.length))
            .and_then(|()| file.seek(SeekFrom::Start(mark.length)))
            .map_err(|e| Error::input(format!("cannot write {}: {e}", path.display())))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length: mark.length,
            records: mark.records,
            amended: 0,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one record.
    ///
    /// # Errors
    /// It could not be written in full (a full disk, an exceeded quota), or the file was removed.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<()> {
        let written = (self.file.write_all(record)).and_then(|()| self.still_there());
        if let Err(error) = written {
            // Best effort: the error that matters is the one above.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(self.fault(&error));
        }
        self.length += record.len() as u64;
        self.records += 1;
        Ok(())
    }

    /// That the file has a name: what is written to a removed one is lost without a word.
    fn still_there(&self) -> io::Result<()> {
        match self.file.metadata()?.nlink() {
            0 => Err(io::Error::other("it was removed while the run went on")),
            _ => Ok(()),
        }
    }

    /// Writes over bytes that are there already.
    ///
    /// # Errors
    /// They could not be written.
    pub(super) fn amend(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = SeekFrom::Start(self.length);
        self.amended = self.amended.max(offset + bytes.len() as u64);
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

    /// Waits until all of it is on the disk, and tells how far it has come.
    ///
    /// # Errors
    /// Some of it could not be written after all, or not be read back.
    pub(super) fn mark(&mut self) -> Result<FileMark> {
        self.finish()?;
        let least = self.amended.min(self.length);
        let tail = self.length.saturating_sub(TAIL).max(least);
        let sha256 = hash(&self.file, tail, self.length).map_err(|e| self.fault(&e))?;
        let name = self.path.file_name().unwrap_or_default();
        Ok(FileMark {
            name: name.to_string_lossy().into_owned(),
            length: self.length,
            records: self.records,
            tail,
            sha256,
        })
    }

    fn fault(&self, error: &io::Error) -> Error {
        Error::run(format!(
            "cannot write {}: {error}; it is complete up to its record {}",
            self.path.display(),
            self.records
        ))
    }
}

/// Opens a file that a run is to go on with, if it has what it had at the checkpoint.
///
/// # Errors
/// It is not there, is shorter, or was altered.
pub(super) fn verify(path: &Path, mark: &FileMark) -> Result<File> {
    let fault = |why: String| {
        Error::input(format!(
            "{} {why}: put it back as it was, or begin anew with --force",
            path.display()
        ))
    };
    let unreadable = |e: io::Error| fault(format!("cannot be opened to go on with it ({e})"));
    let meta = match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(fault(format!(
                "is missing, which had {} bytes at the checkpoint",
                mark.length
            )));
        }
        found => found.map_err(unreadable)?,
    };
    if !meta.is_file() {
        return Err(fault("is no file".to_owned()));
    }
    if meta.len() < mark.length {
        return Err(fault(format!(
            "has {} bytes, fewer than the {} at the checkpoint",
            meta.len(),
            mark.length
        )));
    }
    let file = (File::options().read(true).write(true).open(path)).map_err(unreadable)?;
    // From a checkpoint that anyone may have written: no more is read than is ever hashed.
    let tail = mark.tail.max(mark.length.saturating_sub(TAIL));
    let found = hash(&file, tail, mark.length).map_err(unreadable)?;
    if found != mark.sha256 {
        return Err(fault(format!(
            "was altered: its bytes {tail} to {} are not those of the checkpoint",
            mark.length
        )));
    }
    Ok(file)
}

/// SHA-256 of the bytes of a file from `start` to `end`, in hexadecimal.
fn hash(file: &File, start: u64, end: u64) -> io::Result<String> {
    let mut bytes = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
    file.read_exact_at(&mut bytes, start)?;
    Ok(hexadecimal(&Sha256::digest(&bytes)))
}

/// Writes a whole file such that it is there either entirely or not at all: under another name
/// first, renamed when complete.
///
/// # Errors
/// It cannot be written.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let part = write_part(path, content)?;
    fs::rename(&part, path).map_err(|e| {
        let _ = fs::remove_file(&part);
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
            let _ = fs::remove_file(&part);
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
