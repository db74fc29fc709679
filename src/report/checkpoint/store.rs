//! Checkpoints in a run's directory: two generations, each there as a whole or not at all.
//!
//! A new one is written as `state.ckpt.part` and flushed to the disk. Then what was the newest becomes
//! `state_prev.ckpt` and the new one `state.ckpt`, both by renaming. Whenever the process or the machine
//! dies, at least one sound generation is there, but for those that the disk spoilt.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::report::names::{NEWEST, PREVIOUS};

use super::batch::{self, BatchCheckpoint};
use super::{ATOM, Checkpoint, HASH, Header, PREFIX, header_length, short};
use crate::report::file;
use crate::{Error, Result};

/// A checkpoint that was looked for and found.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest<C = Checkpoint> {
    /// The checkpoint.
    pub checkpoint: C,
    /// Its file.
    pub path: PathBuf,
    /// What is wrong with the newest one, where this is the one before it.
    pub remark: Option<String>,
}

/// Writes a checkpoint into the run's directory; what was the newest is kept as the one before.
///
/// # Errors
/// It cannot be written (a full disk, a directory that is gone). Those that were there are as before.
pub fn write(directory: &Path, checkpoint: &Checkpoint) -> Result<()> {
    put(directory, &checkpoint.encode()?)
}

/// Does as [`write()`] with the checkpoint of a batch.
///
/// # Errors
/// As for [`write()`].
pub fn write_batch(directory: &Path, checkpoint: &BatchCheckpoint) -> Result<()> {
    put(directory, &checkpoint.encode()?)
}

/// Puts bytes down as the newest checkpoint.
fn put(directory: &Path, bytes: &[u8]) -> Result<()> {
    let [newest, previous] = [NEWEST, PREVIOUS].map(|name| directory.join(name));
    let part = file::write_part(&newest, bytes)?;
    let renamed = match fs::rename(&newest, &previous) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => fs::rename(&part, &newest),
    };
    renamed
        .and_then(|()| file::sync_directory(directory))
        .map_err(|e| Error::run(format!("cannot write {}: {e}", newest.display())))
}

/// Writes a checkpoint as a file of its own, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn save(path: &Path, checkpoint: &Checkpoint) -> Result<()> {
    file::replace(path, &checkpoint.encode()?)
}

/// The newest sound checkpoint in a run's directory; `None` where there is no checkpoint at all.
///
/// # Errors
/// There are checkpoints, and none of them is sound.
pub fn newest(directory: &Path) -> Result<Option<Newest>> {
    newest_by(directory, present)
}

/// Does as [`newest()`] where a batch was run.
///
/// # Errors
/// As for [`newest`].
pub fn newest_of_batch(directory: &Path) -> Result<Option<Newest<BatchCheckpoint>>> {
    newest_by(directory, batch::present)
}

/// The newest of checkpoints that `present` reads.
fn newest_by<C>(
    directory: &Path,
    present: impl Fn(&Path) -> Result<Option<C>>,
) -> Result<Option<Newest<C>>> {
    let [newest, previous] = [NEWEST, PREVIOUS].map(|name| directory.join(name));
    let first = match present(&newest) {
        Ok(Some(checkpoint)) => {
            return Ok(Some(Newest {
                checkpoint,
                path: newest,
                remark: None,
            }));
        }
        // Killed between the two renames, or the newest was removed.
        Ok(None) => None,
        Err(e) => Some(e.to_string()),
    };
    match (present(&previous), first) {
        (Ok(Some(checkpoint)), remark) => Ok(Some(Newest {
            checkpoint,
            path: previous,
            remark,
        })),
        (Ok(None), None) => Ok(None),
        (Ok(None), Some(first)) => Err(Error::input(format!(
            "{first}; there is no checkpoint before it"
        ))),
        (Err(second), None) => Err(second),
        (Err(second), Some(first)) => Err(Error::input(format!("{first}; {second}"))),
    }
}

/// Makes the checkpoint of this path the newest one: an unsound one in its place must not become the
/// one before the next.
///
/// # Errors
/// It cannot be renamed.
pub fn promote(directory: &Path, path: &Path) -> Result<()> {
    let newest = directory.join(NEWEST);
    if *path == newest {
        return Ok(());
    }
    fs::rename(path, &newest)
        .and_then(|()| file::sync_directory(directory))
        .map_err(|e| Error::input(format!("cannot write {}: {e}", newest.display())))
}

/// Reads one checkpoint.
///
/// # Errors
/// It cannot be read or is not sound.
pub fn read(path: &Path) -> Result<Checkpoint> {
    present(path)?.ok_or_else(|| Error::input(format!("{}: no such file", path.display())))
}

/// Reads a checkpoint that may be there.
fn present(path: &Path) -> Result<Option<Checkpoint>> {
    let place = &path.display().to_string();
    let unreadable = |e| Error::input(format!("{place}: cannot be read: {e}"));
    let Some(file) = super::open(path)? else {
        return Ok(None);
    };
    let meta = file.metadata().map_err(unreadable)?;
    let mut bytes = Vec::new();
    (&file)
        .take(PREFIX as u64)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let header = header_length(&bytes).map_err(|e| e.within(place))?;
    (&file)
        .take(header as u64)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let whole = announced(&bytes, header, meta.len()).map_err(|e| e.within(place))?;
    // As long as the file says and its length confirms, and no longer.
    (&file)
        .take(whole.saturating_sub(bytes.len() as u64))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let decoded = Checkpoint::decode(&bytes).map_err(|e| e.within(place))?;
    Ok(Some(decoded))
}

/// The length of a file that begins with `bytes`, prefix and header; an error where it has another.
fn announced(bytes: &[u8], header: usize, length: u64) -> Result<u64> {
    let text = bytes.get(PREFIX..PREFIX + header).ok_or_else(short)?;
    let besides = (PREFIX + header + HASH) as u64;
    let arrays = length.checked_sub(besides).ok_or_else(short)?;
    // A flipped bit may be anywhere in the header: what the hash would say is said here already.
    let atoms = Header::parse(text)?.atoms(arrays)? as u64;
    Ok(besides + atoms * ATOM as u64)
}
