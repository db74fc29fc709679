//! Whether a run that is found in a directory had hardly begun: whoever takes its place loses nothing.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use crate::report::names::{self, THERMO};
use crate::report::{Earlier, Status, own};
use crate::{Error, Result};

/// Lines of the thermo table after the first state: its header, and one line.
const LINES: usize = 2;
/// Longest first frame of a trajectory: bytes for each atom, with velocities and forces as text, and those
/// of a header.
const FRAME: (u64, u64) = (400, 8192);

/// Whether a run has left nothing in a directory beyond its first state. A run writes a checkpoint before
/// its first step, and says in its record that it has: one without either has not come to it.
///
/// # Errors
/// A file of the run cannot be looked at.
pub(super) fn is_unbegun(directory: &Path) -> Result<bool> {
    let fault = |e| {
        Error::input(format!(
            "cannot look at the run in {}: {e}",
            directory.display()
        ))
    };
    look(directory).map_err(fault)
}

fn look(directory: &Path) -> io::Result<bool> {
    let there = |name: &str| own::kind(&directory.join(name)).map(|kind| kind.is_some());
    if !there(names::RECORD)? {
        return Ok(false);
    }
    for name in [names::NEWEST, names::PREVIOUS, names::FLIGHT_STATE] {
        if there(name)? {
            return Ok(false);
        }
    }
    // An empty record belongs to a run that had only claimed the directory.
    let claimed = fs::symlink_metadata(directory.join(names::RECORD))?.len() == 0;
    let earlier = Earlier::read(directory);
    let going = matches!(earlier.status, Some(Status::Running | Status::Failed));
    let recorded = going && earlier.begun == Some(false) && earlier.resumed_from.is_empty();
    if !claimed && !recorded {
        return Ok(false);
    }
    // Of a batch, a line and a frame for each member.
    let members = earlier.members.unwrap_or(1).max(1);
    let (lines, longest) = if claimed {
        (LINES - 1, 0)
    } else {
        let frames = members.saturating_mul(FRAME.1);
        (
            LINES.saturating_add(usize::try_from(members).unwrap_or(usize::MAX) - 1),
            (earlier.atoms.unwrap_or(0).saturating_mul(FRAME.0)).saturating_add(frames),
        )
    };
    if own::longest_of_members(directory)? > longest {
        return Ok(false);
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(own::is_trajectory) && entry.metadata()?.len() > longest {
            return Ok(false);
        }
    }
    has_at_most(
        &directory.join(THERMO),
        lines,
        members.saturating_mul(FRAME.1),
    )
}

/// Whether a text has so many lines and bytes at most; one that is not there has none.
fn has_at_most(path: &Path, lines: usize, bytes: u64) -> io::Result<bool> {
    let file = match own::open(fs::File::options().read(true), path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        opened => opened?,
    };
    // Some lines have some hundred bytes.
    if file.metadata()?.len() > bytes {
        return Ok(false);
    }
    for (n, line) in BufReader::new(file).split(b'\n').enumerate() {
        line?;
        if n >= lines {
            return Ok(false);
        }
    }
    Ok(true)
}
