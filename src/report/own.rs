//! The files that runs call their own: their names, and what may stand at them.
//!
//! A run writes, moves and removes plain files and nothing else, but for one folder: that of a batch's members, which has a
//! folder of such files for each. Whatever else stands at one of its names (a link, a pipe, a device, a folder) is somebody
//! else's: it is refused by name, before anything is touched.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::names::{
    FINAL, FLIGHT, FLIGHT_STATE, FOLDERS, INT8, MEMBERS, MEMBERS_TABLE, NEWEST, PLUMED_LOG,
    PREVIOUS, RECORD, REPORT, THERMO, TOPOLOGY, UNCERTAIN, VIEW_PYMOL, VIEW_VMD,
};
use crate::{Error, Result};

/// Names of files that a run writes, besides trajectories.
const OWN: [&str; 16] = [
    RECORD,
    REPORT,
    THERMO,
    TOPOLOGY,
    VIEW_VMD,
    VIEW_PYMOL,
    FINAL,
    LAST_GOOD,
    FLIGHT,
    FLIGHT_STATE,
    UNCERTAIN,
    MEMBERS_TABLE,
    NEWEST,
    PREVIOUS,
    INT8,
    PLUMED_LOG,
];
/// The last good frame of a run that broke, as earlier versions wrote it.
const LAST_GOOD: &str = "last_good.xyz";
/// What the name of a file ends with until it is complete.
const UNFINISHED: &str = ".part";

/// Whether a file of this name is one that runs write.
pub(crate) fn is_own(name: &str) -> bool {
    let name = name.strip_suffix(UNFINISHED).unwrap_or(name);
    OWN.contains(&name) || is_trajectory(name) || is_end_of_stage(name)
}

/// Whether a file of this name is the state at the end of a stage.
pub(crate) fn is_end_of_stage(name: &str) -> bool {
    let inner = name
        .strip_prefix("state.")
        .and_then(|rest| rest.strip_suffix(".ckpt"));
    inner.is_some_and(is_stage)
}

/// Whether a stage can be called so.
fn is_stage(name: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !name.is_empty() && name.bytes().all(sound)
}

/// Whether a file of this name is a trajectory of a run; earlier versions numbered further ones of a format.
pub(crate) fn is_trajectory(name: &str) -> bool {
    let known = || {
        let (stem, extension) = name.split_once('.')?;
        let number = stem.strip_prefix("traj")?;
        let counted = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
        let (stage, extension) = extension.rsplit_once('.').unwrap_or(("", extension));
        if !(stage.is_empty() || number.is_empty() && is_stage(stage)) {
            return None;
        }
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
        let kind = entry.file_type().map_err(fault)?;
        if is_own(&name) {
            if !kind.is_file() {
                return Err(foreign(&entry.path(), kind, "a plain file"));
            }
            names.push(name);
        } else if name == MEMBERS {
            if !kind.is_dir() {
                return Err(foreign(&entry.path(), kind, "a folder of members' files"));
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
        let path = folder.join(&name);
        let foreign = match name.to_str() {
            Some(MEMBERS) => foreign_among_members(&path)?,
            name => (!name.is_some_and(is_own)).then_some(path),
        };
        if let Some(path) = foreign {
            return Err(Error::input(format!(
                "{} is no file of a run, and is where a replaced run's files wait: move it away, or choose \
                 another directory",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Checks that the folder of a batch's members, where a run's directory has one, has nothing in it but what batches write: it
/// is about to go.
///
/// # Errors
/// It has, or cannot be listed.
pub(crate) fn check_members(directory: &Path) -> Result<()> {
    match foreign_among_members(&directory.join(MEMBERS))? {
        None => Ok(()),
        Some(path) => Err(Error::input(format!(
            "{} is no file of a run, and would go with the run's own: move it away, or choose another directory",
            path.display()
        ))),
    }
}

/// The first that no batch has written of what is in the folder of a batch's members.
fn foreign_among_members(folder: &Path) -> Result<Option<PathBuf>> {
    let fault = |e| Error::input(format!("cannot look at {}: {e}", folder.display()));
    let mut found = None;
    let foreign = |path: &Path, own: bool| {
        if !own {
            found.get_or_insert(path.to_owned());
        }
        Ok(())
    };
    walk(folder, foreign).map_err(fault)?;
    Ok(found)
}

/// Shows every file of the folder of a batch's members, and whether it is one that batches write; then every folder in it
/// that is named by a number.
fn walk(folder: &Path, mut see: impl FnMut(&Path, bool) -> io::Result<()>) -> io::Result<()> {
    if kind(folder)?.is_none() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        let numbered = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        if !(entry.file_type()?.is_dir() && name.to_str().is_some_and(numbered)) {
            see(&path, false)?;
            continue;
        }
        for file in fs::read_dir(&path)? {
            let file = file?;
            let own = file.file_name().to_str().is_some_and(is_own) && file.file_type()?.is_file();
            see(&file.path(), own)?;
        }
        see(&path, true)?;
    }
    Ok(())
}

/// Removes what is at one of a run's names: a plain file, or the folder of a batch's members with the files that batches write.
///
/// # Errors
/// It cannot be removed; or something else is in that folder.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if path.file_name().is_none_or(|name| name != MEMBERS) {
        return fs::remove_file(path);
    }
    walk(path, |path, own| match own {
        true if path.is_dir() => fs::remove_dir(path),
        true => fs::remove_file(path),
        false => Ok(()),
    })?;
    fs::remove_dir(path)
}

/// Bytes of what is at one of a run's names.
pub(crate) fn size(path: &Path) -> u64 {
    if path.file_name().is_none_or(|name| name != MEMBERS) {
        return fs::symlink_metadata(path).map_or(0, |file| file.len());
    }
    let mut bytes = 0;
    let _ = walk(path, |path, _| {
        bytes += fs::symlink_metadata(path).map_or(0, |file| file.len());
        Ok(())
    });
    bytes
}

/// The longest trajectory of a batch's members (bytes).
pub(crate) fn longest_of_members(directory: &Path) -> io::Result<u64> {
    let mut longest = 0;
    walk(&directory.join(MEMBERS), |path, own| {
        let name = path.file_name().and_then(|name| name.to_str());
        if own && name.is_some_and(is_trajectory) {
            longest = longest.max(fs::symlink_metadata(path)?.len());
        }
        Ok(())
    })?;
    Ok(longest)
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
