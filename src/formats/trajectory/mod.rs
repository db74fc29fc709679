//! Trajectories as runs write them, read one frame after another: memory holds one frame, whatever the length of the file.
//!
//! A file that ends within a frame is that of a run that goes on, or was killed: what is whole is read, and what is left is told
//! ([`TrajectoryReader::cut_short`]). Everything else that is not as it should be is an error that names the frame.

mod dcd;
mod xtc;
mod xyz;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::core::Snapshot;
use crate::{Error, Result, input};

/// Bytes that are read from the disk at once.
const BUFFER: usize = 1 << 18;

/// What a trajectory's reader has to know of the run that wrote it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrajectoryAbout {
    /// Number of atoms.
    pub atoms: usize,
    /// Periodic directions: binary formats do not have them.
    pub periodic: [bool; 3],
    /// Time step (internal time).
    pub timestep: f64,
    /// Steps between frames.
    pub every: u64,
}

/// A trajectory that is open.
pub struct TrajectoryReader {
    path: PathBuf,
    bytes: u64,
    frames: u64,
    cut: bool,
    format: Box<dyn FrameSource>,
}

/// What became of an attempt to read a frame.
enum FrameRead {
    /// It is there.
    One,
    /// The file ends before it.
    End,
    /// The file ends within it.
    Cut,
}

/// Reads frames of one format.
trait FrameSource: Send {
    /// Reads the next frame: step, time, cell, positions, and velocities where there are any.
    fn next(&mut self, frame: &mut Snapshot) -> Result<FrameRead>;

    /// Bytes that have been read.
    fn position(&self) -> u64;
}

impl TrajectoryReader {
    /// Opens a trajectory; its name's ending tells the format: xyz, dcd or xtc.
    ///
    /// # Errors
    /// It cannot be read, or its header is not that of a run of so many atoms.
    pub fn open(path: &Path, about: &TrajectoryAbout) -> Result<Self> {
        let within = |e: Error| e.within(path.display());
        let (file, bytes) =
            input::open(path).map_err(|e| Error::input(e.to_string()).within(path.display()))?;
        let bytes_in = Bytes::new(file);
        let ending = path.extension().and_then(|ending| ending.to_str());
        let format: Box<dyn FrameSource> = match ending {
            Some("xyz") => Box::new(xyz::XyzFrames::new(bytes_in, about)),
            Some("dcd") => Box::new(dcd::DcdFrames::open(bytes_in, about).map_err(within)?),
            Some("xtc") => Box::new(xtc::XtcFrames::new(bytes_in, about)),
            _ => {
                return Err(Error::input(format!(
                    "{} is no trajectory of a run: one that ends with .xyz, .dcd or .xtc is wanted",
                    path.display()
                )));
            }
        };
        Ok(Self {
            path: path.to_owned(),
            bytes,
            frames: 0,
            cut: false,
            format,
        })
    }

    /// Reads the next frame into `frame`, whose room is used again; false where the file has no more that are whole.
    ///
    /// # Errors
    /// What is there is no frame of this run. The message names file and frame.
    pub fn next(&mut self, frame: &mut Snapshot) -> Result<bool> {
        let read = self.format.next(frame).map_err(|e| {
            e.within(format!("frame {}, counted from 0", self.frames))
                .within(self.path.display())
        })?;
        match read {
            FrameRead::One => self.frames += 1,
            FrameRead::End => return Ok(false),
            FrameRead::Cut => {
                self.cut = true;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the file ended within a frame, which was left out.
    pub fn cut_short(&self) -> bool {
        self.cut
    }

    /// Part of the file that has been read.
    pub fn progress(&self) -> f64 {
        self.format.position() as f64 / self.bytes.max(1) as f64
    }
}

/// A file's bytes, counted.
struct Bytes {
    file: BufReader<File>,
    position: u64,
}

impl Bytes {
    fn new(file: File) -> Self {
        Self {
            file: BufReader::with_capacity(BUFFER, file),
            position: 0,
        }
    }

    /// Fills a buffer as far as the file goes, and says how far that is.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(unreadable(&e)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }
}

fn unreadable(error: &io::Error) -> Error {
    Error::run(format!("cannot be read: {error}"))
}

/// The error of another number of atoms than the run's.
fn other_atoms(found: impl std::fmt::Display, wanted: usize) -> Error {
    Error::input(format!(
        "it has {found} atoms, and the run has {wanted}: it is not this run's, or is damaged"
    ))
}
