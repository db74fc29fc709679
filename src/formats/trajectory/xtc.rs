//! Frames of an XTC: positions on a grid of 0.01 A. What is compressed is taken apart by molly, one frame's bytes at a time.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use molly::{Frame, XTCReader};

use super::{Bytes, FrameRead, FrameSource, TrajectoryAbout, other_atoms};
use crate::core::{Cell, Mat3, Snapshot, Vec3};
use crate::units::NANOMETRE;
use crate::{Error, Result};

/// What a frame begins with.
const MAGIC: i32 = 1995;
/// Magic, atoms, step, time, box, and atoms once more.
const HEADER: usize = 56;
/// Up to so many atoms are not compressed.
const UNCOMPRESSED: usize = 9;
/// Precision, least and largest coordinates, index of small differences, and bytes of what follows.
const PRELUDE: usize = 36;
/// Indices of small differences that there are.
const SMALL: std::ops::Range<i32> = 9..73;

/// Reads frames.
pub(super) struct XtcFrames {
    bytes: Bytes,
    about: TrajectoryAbout,
    buffer: Vec<u8>,
    frame: Frame,
    /// Step of the frame before.
    before: Option<u64>,
}

impl XtcFrames {
    pub(super) fn new(bytes: Bytes, about: &TrajectoryAbout) -> Self {
        Self {
            bytes,
            about: *about,
            buffer: Vec::new(),
            frame: Frame::default(),
            before: None,
        }
    }

    /// Reads all bytes of the next frame.
    fn gather(&mut self) -> Result<FrameRead> {
        self.buffer.resize(HEADER, 0);
        match self.bytes.fill(&mut self.buffer)? {
            0 => return Ok(FrameRead::End),
            HEADER => {}
            _ => return Ok(FrameRead::Cut),
        }
        if self.number(0) != MAGIC {
            return Err(Error::input(
                "it does not begin as a frame of XTC: the file is damaged",
            ));
        }
        for at in [4, HEADER - 4] {
            if usize::try_from(self.number(at)) != Ok(self.about.atoms) {
                return Err(other_atoms(self.number(at), self.about.atoms));
            }
        }
        if self.about.atoms <= UNCOMPRESSED {
            return self.more(12 * self.about.atoms);
        }
        if let cut @ FrameRead::Cut = self.more(PRELUDE)? {
            return Ok(cut);
        }
        let damaged = || Error::input("its numbers cannot be unpacked: the file is damaged");
        let small = self.number(HEADER + PRELUDE - 8);
        let packed = u32::try_from(self.number(HEADER + PRELUDE - 4)).map_err(|_| damaged())?;
        // Three whole numbers an atom are not packed into more than this.
        if !SMALL.contains(&small) || packed as usize > 32 * self.about.atoms + 64 {
            return Err(damaged());
        }
        self.more(packed.next_multiple_of(4) as usize)
    }

    /// Reads so many more bytes of a frame.
    fn more(&mut self, count: usize) -> Result<FrameRead> {
        let start = self.buffer.len();
        self.buffer.resize(start + count, 0);
        Ok(match self.bytes.fill(&mut self.buffer[start..])? == count {
            true => FrameRead::One,
            false => FrameRead::Cut,
        })
    }

    fn number(&self, at: usize) -> i32 {
        let b = &self.buffer[at..at + 4];
        i32::from_be_bytes([b[0], b[1], b[2], b[3]])
    }

    fn unpack(&mut self) -> Result<()> {
        let mut reader = XTCReader::new(Cursor::new(&self.buffer));
        let frame = &mut self.frame;
        // Numbers that were not packed by the same rules make it panic.
        let unpacked = catch_unwind(AssertUnwindSafe(|| reader.read_frame(frame)));
        match unpacked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Error::input(format!(
                "its numbers cannot be unpacked: {e}: the file is damaged"
            ))),
            Err(_) => Err(Error::input(
                "its numbers cannot be unpacked: the file is damaged",
            )),
        }
    }
}

impl FrameSource for XtcFrames {
    fn next(&mut self, frame: &mut Snapshot) -> Result<FrameRead> {
        match self.gather()? {
            FrameRead::One => {}
            other => return Ok(other),
        }
        self.unpack()?;
        // The format counts steps in 32 bits, signed.
        let told = u64::from(self.frame.step);
        frame.step = match self.before {
            Some(before) if told >= i32::MAX as u64 => before + self.about.every,
            _ => told,
        };
        self.before = Some(frame.step);
        frame.time = frame.step as f64 * self.about.timestep;
        let vectors = Mat3::from_row_slice(&self.frame.boxvec.map(|x| f64::from(x) * NANOMETRE));
        frame.cell = match vectors == Mat3::zeros() {
            true => Cell::open(),
            false => Cell::new(vectors, self.about.periodic)?,
        };
        frame.positions.clear();
        (frame.positions).extend(
            self.frame
                .positions
                .chunks_exact(3)
                .map(|atom| Vec3::new(atom[0].into(), atom[1].into(), atom[2].into()) * NANOMETRE),
        );
        frame.velocities.clear();
        match frame.positions.iter().flatten().all(|x| x.is_finite()) {
            true => Ok(FrameRead::One),
            false => Err(Error::input(
                "a position is not finite: the file is damaged",
            )),
        }
    }

    fn position(&self) -> u64 {
        self.bytes.position
    }
}
