//! What turns frames into the bytes of a trajectory format.

use crate::core::Snapshot;
use crate::{Error, Result};

/// Turns frames into the bytes of a file format.
pub trait Encoder: Send {
    /// Appends the bytes of one frame, for the first one with the file's header before it.
    ///
    /// # Errors
    /// The format cannot hold the frame.
    fn encode(&mut self, frame: &Snapshot, out: &mut Vec<u8>) -> Result<()>;

    /// Goes on with a file that has so many frames.
    fn resume(&mut self, frames: u64) {
        let _ = frames;
    }

    /// What a new frame changes in the header: offsets in the file and the bytes there.
    fn amendments(&self) -> Vec<(u64, [u8; 4])> {
        Vec::new()
    }
}

/// The error of a coordinate that a 32-bit format cannot hold.
pub(super) fn beyond_f32(step: u64) -> Error {
    Error::run(format!(
        "step {step}: a coordinate is not a finite 32-bit number"
    ))
}
