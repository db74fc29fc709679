//! The run that another one replaces: its files are set aside, and go only when the new run has begun.
//!
//! Files are moved into the folder `.replacing`, which becomes `.replaced` once it has all of them, and
//! `.removed` once the new run has begun, both by one renaming. So the names tell at any moment, whoever is
//! killed where, whose the files beside the folder are: those of the old run beside `.replacing`, those of
//! a new run that has not begun beside `.replaced`, and those of a run that has begun beside `.removed`.

use std::fs;
use std::io;
use std::path::Path;

use crate::report::file::sync_directory;
use crate::report::names::{GATHERED, MEMBERS, RECORD, REMOVED, WHOLE};
use crate::report::{Earlier, Status, own};
use crate::{Error, Result};

/// Sets the files of a run in `directory` aside, all of them or none.
///
/// # Errors
/// They cannot be moved. They are where they were, or, where that failed too, are put back by the next
/// [`recover`].
pub(super) fn set(directory: &Path, names: &[String]) -> io::Result<()> {
    let (gathered, whole) = (directory.join(GATHERED), directory.join(WHOLE));
    fs::create_dir(&gathered)?;
    let moved = (names.iter())
        .try_for_each(|name| fs::rename(directory.join(name), gathered.join(name)))
        .and_then(|()| sync_directory(&gathered))
        .and_then(|()| sync_directory(directory))
        .and_then(|()| fs::rename(&gathered, &whole))
        .and_then(|()| sync_directory(directory));
    if moved.is_err() {
        // The error that is told is the one that came first.
        let _ = restore(directory);
    }
    moved
}

/// Puts the files that are set aside back, once those of the new run are gone.
///
/// # Errors
/// One cannot be moved; what is still aside is put back by the next [`recover`].
pub(super) fn restore(directory: &Path) -> io::Result<()> {
    let (gathered, whole) = (directory.join(GATHERED), directory.join(WHOLE));
    if own::kind(&whole)?.is_some() {
        fs::rename(&whole, &gathered)?;
        sync_directory(directory)?;
    }
    if own::kind(&gathered)?.is_none() {
        return Ok(());
    }
    for entry in fs::read_dir(&gathered)? {
        let entry = entry?;
        let back = directory.join(entry.file_name());
        if own::kind(&back)?.is_some() {
            let (there, aside) = (back.display(), entry.path());
            return Err(io::Error::other(format!(
                "both {there} and {} are there: move one of them away",
                aside.display()
            )));
        }
        fs::rename(entry.path(), back)?;
    }
    sync_directory(directory)?;
    fs::remove_dir(&gathered)
}

/// Lets the files that are set aside go: the new run has begun. `true` where they are removed from the disk too; else the next
/// [`recover`] does that.
///
/// # Errors
/// The new run cannot take the place of the old one, which is still aside.
pub(super) fn dismiss(directory: &Path) -> io::Result<bool> {
    let (whole, removed) = (directory.join(WHOLE), directory.join(REMOVED));
    fs::rename(whole, &removed)?;
    Ok(sync_directory(directory)
        .and_then(|()| remove(&removed))
        .is_ok())
}

/// Puts back a run that another one was to replace when it was killed before it had begun; removes what
/// was left of one that it did replace. Killed itself, it is completed the next time.
///
/// # Errors
/// A file cannot be moved or removed, or it is not sure which of two runs is the older one.
pub(super) fn recover(directory: &Path) -> Result<()> {
    let fault = |e| {
        let place = directory.display();
        Error::input(format!("cannot put back the run in {place}: {e}"))
    };
    remove(&directory.join(REMOVED)).map_err(fault)?;
    let whole = directory.join(WHOLE);
    if own::kind(&whole).map_err(fault)?.is_some() && !own::files(&whole)?.is_empty() {
        let place = directory.display();
        // An earlier version gathered them under this name already.
        let earlier = Earlier::read(directory);
        let ended = earlier
            .status
            .is_some_and(|status| status != Status::Running);
        if earlier.begun.is_none() && ended {
            return Err(Error::input(format!(
                "{place} holds a run that has come to its end, and {} another one: move one of them away",
                whole.display()
            )));
        }
        discard(directory)?;
    }
    restore(directory).map_err(fault)
}

/// Removes the files of a run that has not begun; its record, which makes the directory one of a run, last.
///
/// # Errors
/// One cannot be removed.
pub(super) fn discard(directory: &Path) -> Result<()> {
    let mut names = own::files(directory)?;
    names.sort_by_key(|name| name == RECORD);
    for name in names {
        let path = directory.join(name);
        own::remove(&path)
            .map_err(|e| Error::input(format!("cannot remove {}: {e}", path.display())))?;
    }
    Ok(())
}

/// Bytes of the files that are set aside.
pub(super) fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory.join(WHOLE)).into_iter().flatten();
    let sizes = entries.filter_map(|entry| Some(own::size(&entry.ok()?.path())));
    sizes.sum()
}

/// Removes a folder of files that runs write, if it is there.
fn remove(folder: &Path) -> io::Result<()> {
    if own::kind(folder)?.is_none() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == MEMBERS || name.to_str().is_some_and(own::is_own) {
            own::remove(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
