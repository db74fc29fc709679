//! The files that runs call their own: their names, and what may stand at them.
//!
//! A run writes, moves and removes plain files and nothing else. Whatever else stands at one of its names (a
//! link, a pipe, a device, a folder) is somebody else's: it is refused by name, before anything is touched.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::names::{
    FINAL, FLIGHT, FLIGHT_STATE, FOLDERS, NEWEST, PREVIOUS, RECORD, THERMO, TOPOLOGY, UNCERTAIN,
};
use crate::{Error, Result};

/// Names of files that a run writes, besides trajectories.
const OWN: [&str; 10] = [
    RECORD,
    THERMO,
    TOPOLOGY,
    FINAL,
    LAST_GOOD,
    FLIGHT,
    FLIGHT_STATE,
    UNCERTAIN,
    NEWEST,
    PREVIOUS,
];
/// The last good frame of a run that broke, as earlier versions wrote it.
const LAST_GOOD: &str = "last_good.xyz";
/// What the name of a file ends with until it is complete.
const UNFINISHED: &str = ".part";

/// Whether a file of this name is one that runs write.
pub(crate) fn is_own(name: &str) -> bool {
    let name = name.strip_suffix(UNFINISHED).unwrap_or(name);
    OWN.contains(&name) || is_trajectory(name)
}

/// Whether a file of this name is a trajectory of a run; earlier versions numbered further ones of a format.
pub(crate) fn is_trajectory(name: &str) -> bool {
    let known = || {
        let (stem, extension) = name.split_once('.')?;
        let number = stem.strip_prefix("traj")?;
        let counted = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
        let numbered = number.is_empty() || number.strip_prefix('_').is_some_and(counted);
        (numbered && ["xyz", "dcd", "xtc"].contains(&extension)).then_some(())
    };
    known().is_some()
}

/// The path at which a file is written until it is complete.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(UNFINISHED);
    path.with_file_name(name)
}

/// Names of the run's files in a folder, sorted.
///
/// # Errors
/// It cannot be listed, or something that is no plain file has the name of one.
pub(crate) fn files(folder: &Path) -> Result<Vec<String>> {
    let fault = |e| Error::input(format!("cannot list {}: {e}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if is_own(&name) {
            let kind = entry.file_type().map_err(fault)?;
            if !kind.is_file() {
                return Err(foreign(&entry.path(), kind, "a plain file"));
            }
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Checks that all that stands at a run's names in its directory is of the kind that runs leave there.
///
/// # Errors
/// Something else has one of these names, or the directory cannot be listed.
pub(crate) fn check(directory: &Path) -> Result<()> {
    files(directory)?;
    for name in FOLDERS {
        check_folder(&directory.join(name))?;
    }
    Ok(())
}

/// Checks a folder of a run's files that wait to be put back or to be removed, if it is there.
fn check_folder(folder: &Path) -> Result<()> {
    let fault = |e| Error::input(format!("cannot look at {}: {e}", folder.display()));
    let Some(kind) = kind(folder).map_err(fault)? else {
        return Ok(());
    };
    if !kind.is_dir() {
        return Err(foreign(folder, kind, "a folder of a run's files"));
    }
    files(folder)?;
    for entry in fs::read_dir(folder).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        if !name.to_str().is_some_and(is_own) {
            return Err(Error::input(format!(
                "{} is no file of a run, and is where a replaced run's files wait: move it away, or choose \
                 another directory",
                folder.join(name).display()
            )));
        }
    }
    Ok(())
}

/// What stands at a path; links are not followed.
pub(crate) fn kind(path: &Path) -> io::Result<Option<fs::FileType>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.file_type())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The error of something that is not what a run would have put there.
pub(crate) fn foreign(path: &Path, kind: fs::FileType, wanted: &str) -> Error {
    let is = if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_file() {
        "a file"
    } else {
        "a device or socket"
    };
    Error::input(format!(
        "{} is {is}, not {wanted} of mdrun: it is neither followed nor removed; move it away, or choose \
         another directory",
        path.display()
    ))
}

/// Opens a file of a run: no link is followed, no pipe waited for.
///
/// # Errors
/// It cannot be opened so; a link is one of the reasons.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).map_err(io::Error::other)?;
    match options.custom_flags(flags).open(path) {
        Err(_) if kind(path)?.is_some_and(|kind| kind.is_symlink()) => {
            Err(io::Error::other("it is a symbolic link"))
        }
        opened => opened,
    }
}

/// Opens a plain file of a run that has no other name: what is written to it is written to nothing else.
///
/// # Errors
/// It is a link or a device, has another name as well (a hard link), or cannot be opened.
pub(crate) fn open_alone(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = open(options, path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    if found.nlink() > 1 {
        return Err(io::Error::other(
            "it has another name as well (a hard link), and what is written to one is written to both: \
             put a copy in its place",
        ));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_write_is_theirs() {
        for name in ["traj.dcd", "traj_2.xyz", "run.json.part", "state.ckpt"] {
            assert!(is_own(name), "{name}");
        }
        for name in ["traj_.dcd", "traj_b.xyz", "trajectory.xyz", "run.json~"] {
            assert!(!is_own(name), "{name}");
        }
    }
}
