//! `final.xyz`: the last state of a run, from which another one begins.
//!
//! Extended XYZ in which every number reads back as the same f64: unwrapped positions, velocities (`velo_internal`
//! are the very bits), masses, the cell, and how far the thermostat's noise has come. A run that begins from it is,
//! bit for bit, the run that would have gone on.

use std::fs;
use std::io;
use std::path::Path;

use crate::core::rng::NoiseCourse;
use crate::core::{Fields, Snapshot, System};
use crate::formats::write::xyz::{Content, Xyz};
use crate::report::file;
use crate::report::names::FINAL;
use crate::{Error, Result};

/// The arrays that a last state is made of.
pub const WANTS: Fields = Fields {
    positions: true,
    velocities: true,
    forces: false,
};

/// Writes the last state into a run's directory, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write(
    directory: &Path,
    system: &System,
    state: &Snapshot,
    noise: Option<NoiseCourse>,
) -> Result<()> {
    let mut text = Vec::new();
    frame((system, ""), state, noise, &mut text);
    put(directory, &text)
}

/// Appends the frame of a last state, with further keys and values in its comment, such as `member=7`, unless there are none.
pub fn frame(
    (system, tag): (&System, &str),
    state: &Snapshot,
    noise: Option<NoiseCourse>,
    text: &mut Vec<u8>,
) {
    let content = Content {
        forces: false,
        exact: true,
        noise,
        ..Content::ALL
    };
    let writer = Xyz::new(system, content);
    let writer = match tag {
        "" => writer,
        tag => writer.tagged(tag),
    };
    writer.write_frame(state, text);
}

/// Puts the text of last states into a run's directory, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn put(directory: &Path, text: &[u8]) -> Result<()> {
    let path = directory.join(FINAL);
    file::replace(&path, text)?;
    file::sync_directory(directory)
        .map_err(|e| Error::run(format!("cannot write {}: {e}", path.display())))
}

/// Removes the last state of a run that goes on: it is not the last one any more.
///
/// # Errors
/// It cannot be removed.
pub fn remove(directory: &Path) -> Result<()> {
    let path = directory.join(FINAL);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::run(format!(
            "cannot remove {}, which is not the last state any more: {e}",
            path.display()
        ))),
        _ => Ok(()),
    }
}
