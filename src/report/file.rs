//! A file that grows by whole records: what is in it is complete, whatever happens to the run.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::own;
use super::pool::{FilePool, Permit};
use crate::simulation::FileMark;
use crate::text::hexadecimal;
use crate::{Error, Result};

/// Bytes that are read at once to hash a file.
pub(super) const PIECE: usize = 1 << 20;

/// A file written in whole records (frames, lines). A record that cannot be written leaves no part
/// of itself behind, so that the file can be read up to the last complete one.
#[derive(Debug)]
pub(super) struct OutputFile {
    handle: Handle,
    path: PathBuf,
    length: u64,
    records: u64,
    hash: Hash,
}

/// An output file, open, or closed until the next record: a batch has more files than may be open at once.
#[derive(Debug)]
struct Handle {
    /// `None` while it is closed.
    file: Option<File>,
    /// Which file it is: one that was put in its place meanwhile is not written to.
    identity: (u64, u64),
    /// Whether it stays open between records.
    stays: Stays,
    /// Whether something was written since all of it was on the disk.
    dirty: bool,
}

/// Whether a file stays open between records.
#[derive(Debug)]
enum Stays {
    Always,
    /// As long as this lives, one of the few that may.
    Permitted {
        _permit: Permit,
    },
    Never,
}

impl Handle {
    /// Of a file that stays open, or, of many, where the pool has room for it.
    fn new(file: File, pool: Option<&FilePool>) -> io::Result<Self> {
        let found = file.metadata()?;
        let stays = match pool {
            None => Stays::Always,
            Some(pool) => match pool.permit() {
                Some(permit) => Stays::Permitted { _permit: permit },
                None => Stays::Never,
            },
        };
        let open = !matches!(stays, Stays::Never);
        Ok(Self {
            file: open.then_some(file),
            identity: (found.dev(), found.ino()),
            stays,
            dirty: true,
        })
    }

    /// Does something with the open file, whose records end at `end`.
    fn with<T>(
        &mut self,
        (path, end): (&Path, u64),
        act: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        if let Some(file) = &mut self.file {
            return act(file);
        }
        let mut file = self.reopen(path)?;
        file.seek(SeekFrom::Start(end))?;
        let done = act(&mut file);
        if !matches!(self.stays, Stays::Never) {
            self.file = Some(file);
        }
        done
    }

    fn reopen(&self, path: &Path) -> io::Result<File> {
        let file = own::open(File::options().read(true).write(true), path)?;
        let found = file.metadata()?;
        match (found.dev(), found.ino()) == self.identity {
            true => Ok(file),
            false => Err(io::Error::other(
                "another file was put in its place while the run went on",
            )),
        }
    }
}

/// A part of a file that is written over as the file grows: offset and length (bytes).
pub(super) type AmendedPart = [u64; 2];

/// The running hash of a file from its beginning. Fields that are written over count as zeros.
#[derive(Debug, Clone)]
struct Hash {
    sha256: Sha256,
    fields: Vec<AmendedPart>,
    /// Where the last field ends.
    beyond: u64,
}

impl Hash {
    fn new(fields: &[AmendedPart]) -> Self {
        let ends = fields.iter().map(|[at, length]| at.saturating_add(*length));
        Self {
            sha256: Sha256::new(),
            fields: fields.to_vec(),
            beyond: ends.max().unwrap_or(0),
        }
    }

    /// Takes the bytes that follow, which begin at `offset`.
    fn update(&mut self, offset: u64, bytes: &[u8]) {
        let head = self.beyond.saturating_sub(offset).min(bytes.len() as u64) as usize;
        let (head, rest) = bytes.split_at(head);
        let mut head = head.to_vec();
        for [at, length] in &self.fields {
            let place = |x: u64| (x.saturating_sub(offset) as usize).min(head.len());
            let (start, end) = (place(*at), place(at.saturating_add(*length)));
            head[start..end].fill(0);
        }
        self.sha256.update(&head);
        self.sha256.update(rest);
    }

    fn value(&self) -> String {
        hexadecimal(&self.sha256.clone().finalize())
    }
}

impl OutputFile {
    /// Creates the file, or empties the one that is there. Only `fields` may be written over.
    ///
    /// # Errors
    /// It cannot be created: an error of the input, since nothing has been run yet.
    pub(super) fn create(path: &Path, fields: &[AmendedPart]) -> Result<Self> {
        Self::create_in(None, path, fields)
    }

    /// Does as [`OutputFile::create`], for a file that is one of many where there is a pool: it is closed between records where
    /// that has no room for it.
    ///
    /// # Errors
    /// As for [`OutputFile::create`].
    pub(super) fn create_in(
        pool: Option<&FilePool>,
        path: &Path,
        fields: &[AmendedPart],
    ) -> Result<Self> {
        let mut options = File::options();
        let new = options.read(true).write(true).create(true).truncate(true);
        let handle = own::open(new, path)
            .and_then(|file| Handle::new(file, pool))
            .map_err(|e| Error::input(format!("cannot create {}: {e}", path.display())))?;
        Ok(Self {
            handle,
            path: path.to_owned(),
            length: 0,
            records: 0,
            hash: Hash::new(fields),
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
        self.append_all(record, 1)
    }

    /// Adds so many records at once: all of them or none.
    ///
    /// # Errors
    /// As for [`OutputFile::append`].
    pub(super) fn append_all(&mut self, records: &[u8], count: u64) -> Result<()> {
        let length = self.length;
        self.handle.dirty = true;
        let write = |file: &mut File| {
            let written = file.write_all(records).and_then(|()| still_there(file));
            if written.is_err() {
                // Best effort: the error that matters is the one above.
                let _ = file.set_len(length);
                let _ = file.seek(SeekFrom::Start(length));
            }
            written
        };
        let written = self.handle.with((&self.path, length), write);
        written.map_err(|error| self.fault(&error))?;
        self.hash.update(length, records);
        self.length += records.len() as u64;
        self.records += count;
        Ok(())
    }

    /// Writes over a field that is there already.
    ///
    /// # Errors
    /// It could not be written, or is none of the fields that may be.
    pub(super) fn amend(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let length = self.length;
        if !self.hash.fields.contains(&[offset, bytes.len() as u64]) {
            return Err(self.fault(&io::Error::other("a part was to be altered that is fixed")));
        }
        self.handle.dirty = true;
        let amend = |file: &mut File| {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(bytes)?;
            file.seek(SeekFrom::Start(length)).map(drop)
        };
        let amended = self.handle.with((&self.path, length), amend);
        amended.map_err(|e| self.fault(&e))
    }

    /// Waits until all of it is on the disk: network file systems and quotas report late.
    ///
    /// # Errors
    /// Some of it could not be written after all.
    pub(super) fn finish(&mut self) -> Result<()> {
        if self.handle.file.is_none() && !self.handle.dirty {
            return Ok(());
        }
        let sync = |file: &mut File| file.sync_all();
        match self.handle.with((&self.path, self.length), sync) {
            // Pipes and devices cannot be synchronised.
            Err(e) if e.kind() != io::ErrorKind::InvalidInput => Err(self.fault(&e)),
            _ => {
                self.handle.dirty = false;
                Ok(())
            }
        }
    }

    /// Waits until all of it is on the disk, and tells how far it has come.
    ///
    /// # Errors
    /// Some of it could not be written after all, or not be read back.
    pub(super) fn mark(&mut self) -> Result<FileMark> {
        self.finish()?;
        let name = self.path.file_name().unwrap_or_default();
        Ok(FileMark {
            name: name.to_string_lossy().into_owned(),
            length: self.length,
            records: self.records,
            amended: self.hash.fields.clone(),
            sha256: self.hash.value(),
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

/// Checks that a file has a name: what is written to a removed one is lost without a word.
fn still_there(file: &File) -> io::Result<()> {
    match file.metadata()?.nlink() {
        0 => Err(io::Error::other("it was removed while the run went on")),
        _ => Ok(()),
    }
}

/// A file that a run is to go on with, found to have what it had at the checkpoint. Nothing of it is altered yet.
#[derive(Debug)]
pub struct Verified {
    /// `None` of one that is opened again when it is gone on with.
    file: Option<File>,
    path: PathBuf,
    mark: FileMark,
    hash: Hash,
}

impl Verified {
    /// Reads the file up to where it had come at the checkpoint.
    ///
    /// # Errors
    /// It is not there, is shorter, was altered, or is not a file of the run's own.
    pub fn read(path: &Path, mark: &FileMark) -> Result<Self> {
        let file = open_to_go_on(path, mark)?;
        let mut hash = Hash::new(&mark.amended);
        let mut piece = vec![0; PIECE.min(usize::try_from(mark.length).unwrap_or(PIECE))];
        let mut at = 0;
        while at < mark.length {
            let count = (mark.length - at).min(PIECE as u64) as usize;
            (file.read_exact_at(&mut piece[..count], at))
                .map_err(|e| unfit(path, format!("cannot be read ({e})")))?;
            hash.update(at, &piece[..count]);
            at += count as u64;
        }
        if hash.value() != mark.sha256 {
            let why = format!(
                "was altered: its first {} bytes are not those of the checkpoint",
                mark.length
            );
            return Err(unfit(path, why));
        }
        Ok(Self {
            file: Some(file),
            path: path.to_owned(),
            mark: mark.clone(),
            hash,
        })
    }

    /// Closes the file until it is gone on with: one of many.
    pub(super) fn closed(self) -> Self {
        Self { file: None, ..self }
    }

    /// Cuts off what was written after the checkpoint, and goes on from there.
    ///
    /// # Errors
    /// It cannot be written to.
    pub(super) fn cut(self) -> Result<OutputFile> {
        self.cut_in(None)
    }

    /// Does as [`Verified::cut`], for a file that is one of many where there is a pool.
    ///
    /// # Errors
    /// As for [`Verified::cut`]; or it is not there any more.
    pub(super) fn cut_in(self, pool: Option<&FilePool>) -> Result<OutputFile> {
        let Self {
            file,
            path,
            mark,
            hash,
        } = self;
        let mut file = file.map_or_else(|| open_to_go_on(&path, &mark), Ok)?;
        let handle = (file.set_len(mark.length))
            .and_then(|()| file.seek(SeekFrom::Start(mark.length)))
            .and_then(|_| Handle::new(file, pool))
            .map_err(|e| Error::input(format!("cannot write {}: {e}", path.display())))?;
        Ok(OutputFile {
            handle,
            path,
            length: mark.length,
            records: mark.records,
            hash,
        })
    }

    /// Records (lines, frames) that it had at the checkpoint.
    pub(super) fn records(&self) -> u64 {
        self.mark.records
    }
}

/// Checks that a file in a run's directory is there and as long as it was. What is in it is checked where it is
/// gone on with ([`Verified::read`]).
///
/// # Errors
/// It is not there, is shorter, or is not a file of the run's own.
pub fn look_at(mark: &FileMark, directory: &Path) -> Result<()> {
    open_to_go_on(&directory.join(&mark.name), mark).map(drop)
}

/// Opens a file that a run is to go on with, if it is as long as it was at the checkpoint.
///
/// # Errors
/// It is not there, is shorter, or is not a file of the run's own.
fn open_to_go_on(path: &Path, mark: &FileMark) -> Result<File> {
    let unreadable = |e| unfit(path, format!("cannot be opened to go on with it ({e})"));
    if own::kind(path).map_err(unreadable)?.is_none() {
        let why = format!(
            "is missing, which had {} bytes at the checkpoint",
            mark.length
        );
        return Err(unfit(path, why));
    }
    let file = own::open_alone(File::options().read(true).write(true), path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length < mark.length {
        let had = mark.length;
        let why = format!("has {length} bytes, fewer than the {had} at the checkpoint");
        return Err(unfit(path, why));
    }
    Ok(file)
}

/// The error of a file that a run cannot go on with.
fn unfit(path: &Path, why: String) -> Error {
    Error::input(format!(
        "{} {why}: put it back as it was, or begin anew with --force",
        path.display()
    ))
}

/// A file that is written piece by piece, such that it is there either entirely or not at all: it has another name until it is
/// complete. What was there before stays until then.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    part: PathBuf,
    file: io::BufWriter<File>,
    complete: bool,
}

impl WholeFile {
    /// Begins the file.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin(path: &Path) -> Result<Self> {
        let part = own::unfinished(path);
        let file = create_new(&part)
            .map_err(|e| Error::run(format!("cannot write {}: {e}", path.display())))?;
        Ok(Self {
            path: path.to_owned(),
            part,
            file: io::BufWriter::with_capacity(PIECE, file),
            complete: false,
        })
    }

    /// Writes what comes next.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|e| self.fault(&e))
    }

    /// Gives the complete file its name.
    ///
    /// # Errors
    /// The rest of it cannot be written, or the file cannot be given its name.
    pub fn finish(mut self) -> Result<()> {
        let written = (self.file.flush())
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| fs::rename(&self.part, &self.path));
        written.map_err(|e| self.fault(&e))?;
        self.complete = true;
        sync_directory(folder_of(&self.path)).map_err(|e| self.fault(&e))
    }

    fn fault(&self, error: &io::Error) -> Error {
        Error::run(format!("cannot write {}: {error}", self.path.display()))
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.complete {
            // There is nothing else to be done about it.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// The folder that a file is in.
fn folder_of(path: &Path) -> &Path {
    let parent = path.parent();
    let named = parent.filter(|folder| !folder.as_os_str().is_empty());
    named.unwrap_or(Path::new("."))
}

/// Makes a folder, with those that it is in, where it is not there.
///
/// # Errors
/// It cannot be made; of the input, where a file has its name or that of one that it is in.
pub fn make_folder(folder: &Path) -> Result<()> {
    use std::io::ErrorKind;
    fs::create_dir_all(folder).map_err(|error| {
        let place = folder.display();
        let file = folder
            .ancestors()
            .find(|path| path.exists() && !path.is_dir());
        match (error.kind(), file) {
            (ErrorKind::AlreadyExists | ErrorKind::NotADirectory, Some(file)) => {
                Error::input(format!(
                    "{place} cannot be made: {} is a file; name another folder with --out",
                    file.display()
                ))
            }
            _ => Error::run(format!(
                "{place} cannot be made: {error}; name another folder with --out"
            )),
        }
    })
}

/// Writes a whole file such that it is there either entirely or not at all: under another name
/// first, renamed when complete.
///
/// # Errors
/// It cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let part = write_part(path, content)?;
    fs::rename(&part, path)
        .inspect_err(|_| drop(fs::remove_file(&part)))
        .and_then(|()| sync_directory(folder_of(path)))
        .map_err(|e| Error::run(format!("cannot write {}: {e}", path.display())))
}

/// Writes what is to become the file `path` under another name, flushed to the disk; returns that
/// name's path.
///
/// # Errors
/// It cannot be written; no part of it is left.
pub(super) fn write_part(path: &Path, content: &[u8]) -> Result<PathBuf> {
    let part = own::unfinished(path);
    let fault = |e| Error::run(format!("cannot write {}: {e}", path.display()));
    let written = create_new(&part).map_err(fault)?;
    let written = (&written)
        .write_all(content)
        .and_then(|()| written.sync_all());
    written.map(|()| part.clone()).map_err(|e| {
        let _ = fs::remove_file(&part);
        fault(e)
    })
}

/// Makes a file that was not there; a plain file that a killed run left at its name goes.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    if own::kind(path)?.is_some_and(|kind| kind.is_file()) {
        fs::remove_file(path)?;
    }
    own::open(&mut options, path)
}

/// Waits until the names in a directory are on the disk.
///
/// # Errors
/// It cannot be opened, or the disk failed.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some file systems have no such thing for directories.
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}
