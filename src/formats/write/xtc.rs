//! XTC, GROMACS' compressed binary trajectory: step, time (ps), box (nm), positions (nm) rounded to
//! 0.001 nm. Up to nine atoms are stored unrounded, as f32. The box is one that GROMACS takes
//! ([`Standard::for_gromacs`]): of a very skewed cell it is another of the same lattice.
//!
//! The compression is molly's. Two faults of it are kept out of reach (see `fits`): it garbles
//! frames whose atoms are spread over more than 64 bits' worth of grid points, microns wide. Such
//! frames, which a fragment flying off an open system can cause, are written on a coarser grid; the
//! format holds the precision of every frame, and readers heed it.

use molly::{Frame, XTCWriter};

use super::encoder::{Encoder, beyond_f32};
use super::orient::Standard;
use super::wrap::{self, Rounding};
use crate::core::{Cell, Snapshot, System, Vec3};
use crate::units::{NANOMETRE, PICOSECOND};
use crate::{Error, Result};

/// Grid points per nanometre: what GROMACS writes.
const PRECISION: f32 = 1000.0;
/// Up to so many atoms are not compressed.
const UNCOMPRESSED: usize = 9;
/// Largest product of the three extents, in grid points, that molly packs rightly.
const MOST_POINTS: f64 = 9.0e18;
/// Largest coordinate, in grid points: differences of two stay within i32.
const MOST_COORDINATE: f32 = 5.0e8;
/// Largest distance (sum over x, y, z, in grid points) of the nearest two atoms in sequence for which
/// no code in molly's table of small distances exceeds 64 bits: its entry 8 x 2^(47/3), so that eight
/// places on, where the search ends, three numbers still make 64 bits.
const MOST_STRIDE: f32 = 400_000.0;

/// Encodes frames as XTC.
#[derive(Debug)]
pub struct Xtc {
    /// The atoms, where molecules are moved into the cell.
    wrap: Option<System>,
    frame: Frame,
}

impl Xtc {
    /// An encoder of frames; the molecules of the system `wrap` are moved into the cell.
    pub fn new(wrap: Option<&System>) -> Self {
        Self {
            wrap: wrap.cloned(),
            frame: Frame::default(),
        }
    }

    /// Fills in the positions (angstrom), as they are on the grid of the frame's precision.
    fn place(&mut self, mut positions: Vec<Vec3>, cell: &Cell) {
        if let Some(system) = &self.wrap {
            let rounding = match positions.len() > UNCOMPRESSED {
                true => Rounding::to_grid(self.frame.precision),
                false => Rounding::to_f32(cell, NANOMETRE),
            };
            wrap::frame(system, cell, &mut positions, &rounding);
        }
        let coordinates = positions.iter().flatten();
        self.frame.positions.clear();
        (self.frame.positions).extend(coordinates.map(|x| (x / NANOMETRE) as f32));
    }
}

impl Encoder for Xtc {
    fn encode(&mut self, frame: &Snapshot, out: &mut Vec<u8>) -> Result<()> {
        let standard = Standard::new(&frame.cell)?.for_gromacs()?;
        // The format counts steps in 32 bits, signed; the time goes on.
        self.frame.step = frame.step.min(i32::MAX as u64) as u32;
        self.frame.time = (frame.time / PICOSECOND) as f32;
        self.frame.boxvec = [0.0; 9];
        if standard.cell().is_periodic() {
            let vectors = standard.cell().vectors();
            for (k, entry) in self.frame.boxvec.iter_mut().enumerate() {
                *entry = (vectors[(k / 3, k % 3)] / NANOMETRE) as f32;
            }
        }
        let placed: Vec<Vec3> = frame.positions.iter().map(|r| standard.place(r)).collect();
        if !placed
            .iter()
            .flatten()
            .all(|x| ((x / NANOMETRE) as f32).is_finite())
        {
            return Err(beyond_f32(frame.step));
        }
        self.frame.precision = PRECISION;
        self.place(placed.clone(), standard.cell());
        if placed.len() > UNCOMPRESSED {
            while !fits(&self.frame.positions, self.frame.precision) {
                self.frame.precision /= 10.0;
                self.place(placed.clone(), standard.cell());
            }
        }
        (XTCWriter::new(out).write_frame(&self.frame))
            .map_err(|e| Error::run(format!("step {}: cannot compress: {e}", frame.step)))
    }
}

/// Whether molly encodes these coordinates (x, y, z of each atom in turn, nm) rightly on a grid of
/// `precision` points per nanometre.
fn fits(positions: &[f32], precision: f32) -> bool {
    let mut least = [f32::INFINITY; 3];
    let mut most = [f32::NEG_INFINITY; 3];
    let mut stride = f32::INFINITY;
    let mut before: Option<[f32; 3]> = None;
    for atom in positions.chunks_exact(3) {
        let grid = [0, 1, 2].map(|k| (atom[k] * precision).round());
        for k in 0..3 {
            least[k] = least[k].min(grid[k]);
            most[k] = most[k].max(grid[k]);
        }
        if let Some(before) = before {
            stride = stride.min((0..3).map(|k| (grid[k] - before[k]).abs()).sum());
        }
        before = Some(grid);
    }
    let points: f64 = (0..3)
        .map(|k| f64::from(most[k] - least[k]) + 1.0)
        .product();
    let farthest = (0..3)
        .map(|k| most[k].abs().max(least[k].abs()))
        .fold(0.0, f32::max);
    points <= MOST_POINTS && farthest <= MOST_COORDINATE && stride <= MOST_STRIDE
}
