//! DCD, the binary trajectory of CHARMM, NAMD and X-PLOR, in CHARMM's variant with 32-bit record marks.
//!
//! Written here and not through a library: the one at hand maps the file into memory, so that a full
//! disk kills the process with a bus error, leaves the time step out of the header and the file
//! padded with zeros until it is closed. This writer's header is right from the first frame on, and
//! its file is complete after every frame.
//!
//! Layout: every Fortran record stands between two marks of its length in bytes (i32, little endian):
//! a header of 84 bytes, a title of lines of 80, the number of atoms, then per frame the cell (f64: A,
//! gamma, B, beta, alpha, C, in angstrom and degrees; left out where nothing is periodic) and x, y, z
//! of all atoms (f32, angstrom). Header, as offsets in the file:
//!
//! | offset | what | |
//! |---|---|---|
//! | 4 | `CORD` | |
//! | 8 | i32 | number of frames (NSET) |
//! | 12 | i32 | step of the first frame (ISTART) |
//! | 16 | i32 | steps between frames (NSAVC) |
//! | 20 | i32 | steps covered (NSTEP) |
//! | 44 | f32 | time step (DELTA) in AKMA units |
//! | 48 | i32 | 1 where frames have a cell |
//! | 84 | i32 | CHARMM's version, 24 |
//!
//! Readers take the time of a frame to be (ISTART / NSAVC + frame) NSAVC DELTA.

use super::encoder::{Encoder, beyond_f32};
use super::orient::{Standard, lengths_and_angles};
use super::wrap::{self, Rounding};
use crate::core::{Snapshot, System, Vec3};
use crate::units::PICOSECOND;
use crate::{Error, Result};

/// CHARMM's unit of time, angstrom sqrt(u mol / kcal), as every reader of DCD has it (ps).
const AKMA_PICOSECONDS: f64 = 0.048_888_21;
/// The version that says: there may be a cell, stored as lengths and angles.
const CHARMM_VERSION: i32 = 24;
/// Length of a line of the title.
const TITLE_LINE: usize = 80;
/// Where the number of frames is.
const FRAMES_AT: u64 = 8;
/// Where the number of steps covered is.
const STEPS_AT: u64 = 20;

/// Encodes frames as DCD.
#[derive(Debug, Clone)]
pub struct Dcd {
    /// The atoms, where molecules are moved into the cell.
    wrap: Option<System>,
    every: u64,
    timestep: f64,
    frames: u64,
    has_cell: bool,
    atoms: usize,
    placed: Vec<Vec3>,
}

impl Dcd {
    /// An encoder of frames `every` so many steps of `timestep` (internal time); the molecules of the
    /// system `wrap` are moved into the cell.
    pub fn new(every: u64, timestep: f64, wrap: Option<&System>) -> Self {
        Self {
            wrap: wrap.cloned(),
            every,
            timestep,
            frames: 0,
            has_cell: false,
            atoms: 0,
            placed: Vec::new(),
        }
    }

    fn header(&self, first: &Snapshot, out: &mut Vec<u8>) -> Result<()> {
        let atoms = i32::try_from(4 * self.atoms)
            .map(|bytes| bytes / 4)
            .map_err(|_| Error::run("a DCD cannot hold so many atoms: write XTC"))?;
        let (start, every, delta) = self.timing(first.step);
        let mut header = [0_u8; 84];
        let mut put = |at: usize, bytes: [u8; 4]| header[at..at + 4].copy_from_slice(&bytes);
        put(0, *b"CORD");
        put(4, 0_i32.to_le_bytes());
        put(8, start.to_le_bytes());
        put(12, every.to_le_bytes());
        put(40, delta.to_le_bytes());
        put(44, i32::from(self.has_cell).to_le_bytes());
        put(80, CHARMM_VERSION.to_le_bytes());
        record(out, &header);
        let lines = [
            format!("Created by mdrun {}", env!("CARGO_PKG_VERSION")),
            "Coordinates in angstrom, time step in AKMA units (0.04888821 ps)".to_owned(),
        ];
        let mut title = (lines.len() as i32).to_le_bytes().to_vec();
        for line in lines {
            title.extend_from_slice(format!("{line:<TITLE_LINE$}").as_bytes());
        }
        record(out, &title);
        record(out, &atoms.to_le_bytes());
        Ok(())
    }

    /// ISTART, NSAVC and DELTA. Steps beyond 32 bits are counted in frames instead, with a time step
    /// as long: the times of frames stay the same.
    fn timing(&self, first: u64) -> (i32, i32, f32) {
        let delta = self.timestep / PICOSECOND / AKMA_PICOSECONDS;
        match (i32::try_from(first), i32::try_from(self.every)) {
            (Ok(start), Ok(every)) => (start, every, delta as f32),
            _ => {
                let frames = first / self.every.max(1);
                let start = i32::try_from(frames).unwrap_or(i32::MAX);
                (start, 1, (delta * self.every as f64) as f32)
            }
        }
    }
}

impl Encoder for Dcd {
    fn encode(&mut self, frame: &Snapshot, out: &mut Vec<u8>) -> Result<()> {
        let standard = Standard::new(&frame.cell)?;
        self.has_cell = standard.cell().is_periodic();
        self.atoms = frame.positions.len();
        if self.frames == 0 {
            self.header(frame, out)?;
        }
        if self.has_cell {
            let (l, a) = lengths_and_angles(standard.cell());
            let cell = [l[0], a[2], l[1], a[1], a[0], l[2]].map(f64::to_le_bytes);
            record(out, cell.as_flattened());
        }
        self.placed.clear();
        (self.placed).extend(frame.positions.iter().map(|r| standard.place(r)));
        if let Some(system) = &self.wrap {
            let rounding = Rounding::to_f32(standard.cell(), 1.0);
            wrap::frame(system, standard.cell(), &mut self.placed, &rounding);
        }
        let mark = (4 * self.atoms as u32).to_le_bytes();
        for axis in 0..3 {
            out.extend_from_slice(&mark);
            for position in &self.placed {
                let value = position[axis] as f32;
                if !value.is_finite() {
                    return Err(beyond_f32(frame.step));
                }
                out.extend_from_slice(&value.to_le_bytes());
            }
            out.extend_from_slice(&mark);
        }
        self.frames += 1;
        Ok(())
    }

    fn resume(&mut self, frames: u64) {
        self.frames = frames;
    }

    fn amendments(&self) -> Vec<(u64, [u8; 4])> {
        let count = |n: u64| i32::try_from(n).unwrap_or(i32::MAX).to_le_bytes();
        let steps = self.frames.saturating_sub(1).saturating_mul(self.every);
        vec![(FRAMES_AT, count(self.frames)), (STEPS_AT, count(steps))]
    }
}

/// One Fortran record.
fn record(out: &mut Vec<u8>, bytes: &[u8]) {
    let mark = (bytes.len() as u32).to_le_bytes();
    out.extend_from_slice(&mark);
    out.extend_from_slice(bytes);
    out.extend_from_slice(&mark);
}
