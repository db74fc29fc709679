//! Frames of a DCD as [`crate::formats::write::dcd`] lays it out: 32-bit record marks, little endian, all atoms in every frame.

use super::{Bytes, FrameRead, FrameSource, TrajectoryAbout, other_atoms};
use crate::core::{Cell, Snapshot, Vec3};
use crate::formats::lattice::triclinic;
use crate::{Error, Result};

/// Bytes of the first record.
const HEADER: usize = 84;
/// Most bytes of a title.
const LONGEST_TITLE: usize = 1 << 16;
/// Bytes of a cell and its marks.
const CELL: usize = 48 + 8;

/// Reads frames.
pub(super) struct DcdFrames {
    bytes: Bytes,
    about: TrajectoryAbout,
    has_cell: bool,
    /// Step of the first frame.
    first: u64,
    frames: u64,
    buffer: Vec<u8>,
}

impl DcdFrames {
    /// Reads the header.
    ///
    /// # Errors
    /// It is not one that a run of so many atoms has written.
    pub(super) fn open(bytes: Bytes, about: &TrajectoryAbout) -> Result<Self> {
        let mut open = Self {
            bytes,
            about: *about,
            has_cell: false,
            first: 0,
            frames: 0,
            buffer: Vec::new(),
        };
        // A run that has not yet written a frame has not yet written a header.
        let Some(header) = open.record(HEADER)? else {
            return Ok(open);
        };
        let number = |at: usize| i32_at(&header, at);
        if header.len() != HEADER || header[..4] != *b"CORD" || number(80) == 0 {
            return Err(Error::input(
                "it does not begin as a DCD of a run does (CHARMM's variant, little endian)",
            ));
        }
        open.has_cell = number(44) != 0;
        let unsigned = |n: i32| u64::try_from(n).unwrap_or(0);
        let (start, every) = (unsigned(number(8)), unsigned(number(12)));
        // Steps beyond 32 bits are counted in frames.
        open.first = match every == about.every {
            true => start,
            false => start.saturating_mul(about.every),
        };
        let title = open.record(LONGEST_TITLE)?;
        let count = title.and(open.record(4)?);
        let count = count.filter(|count| count.len() == 4);
        let count = count.ok_or_else(|| Error::input("its header is cut short"))?;
        if usize::try_from(i32_at(&count, 0)) != Ok(about.atoms) {
            return Err(other_atoms(i32_at(&count, 0), about.atoms));
        }
        Ok(open)
    }

    /// A record of at most so many bytes, or nothing where the file ends before.
    fn record(&mut self, most: usize) -> Result<Option<Vec<u8>>> {
        let mut mark = [0; 4];
        if self.bytes.fill(&mut mark)? < 4 {
            return Ok(None);
        }
        let length = u32::from_le_bytes(mark) as usize;
        if length > most {
            return Err(Error::input(
                "it does not begin as a DCD of a run does (CHARMM's variant, little endian)",
            ));
        }
        let mut record = vec![0; length];
        let whole = self.bytes.fill(&mut record)? == length;
        let mut end = [0; 4];
        let closed = self.bytes.fill(&mut end)? == 4 && end == mark;
        Ok((whole && closed).then_some(record))
    }
}

impl FrameSource for DcdFrames {
    fn next(&mut self, frame: &mut Snapshot) -> Result<FrameRead> {
        let atoms = self.about.atoms;
        let cell = if self.has_cell { CELL } else { 0 };
        let axis = 4 * atoms + 8;
        self.buffer.resize(cell + 3 * axis, 0);
        match self.bytes.fill(&mut self.buffer)? {
            0 => return Ok(FrameRead::End),
            n if n < self.buffer.len() => return Ok(FrameRead::Cut),
            _ => {}
        }
        frame.step = self.first + self.frames * self.about.every;
        frame.time = frame.step as f64 * self.about.timestep;
        frame.cell = match self.has_cell {
            true => read_cell(block(&self.buffer[..cell])?, self.about.periodic)?,
            false => Cell::open(),
        };
        frame.positions.resize(atoms, Vec3::zeros());
        for k in 0..3 {
            let numbers = block(&self.buffer[cell + k * axis..][..axis])?;
            for (position, bytes) in frame.positions.iter_mut().zip(numbers.chunks_exact(4)) {
                position[k] =
                    f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            }
        }
        frame.velocities.clear();
        self.frames += 1;
        Ok(FrameRead::One)
    }

    fn position(&self) -> u64 {
        self.bytes.position
    }
}

/// What is between the marks of a record that fills a slice.
fn block(bytes: &[u8]) -> Result<&[u8]> {
    let (mark, end) = (i32_at(bytes, 0), i32_at(bytes, bytes.len() - 4));
    let inside = &bytes[4..bytes.len() - 4];
    match usize::try_from(mark) == Ok(inside.len()) && mark == end {
        true => Ok(inside),
        false => Err(Error::input(
            "the marks around its numbers are not there: the file is damaged",
        )),
    }
}

/// A, gamma, B, beta, alpha, C.
fn read_cell(bytes: &[u8], periodic: [bool; 3]) -> Result<Cell> {
    let number = |k: usize| {
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[8 * k..8 * k + 8]);
        f64::from_le_bytes(eight)
    };
    let lengths = [number(0), number(2), number(5)];
    let angles = [number(4), number(3), number(1)];
    if !lengths.iter().chain(&angles).all(|x| x.is_finite()) {
        return Err(Error::input("its cell is not finite: the file is damaged"));
    }
    Cell::new(triclinic(lengths, angles)?, periodic)
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
