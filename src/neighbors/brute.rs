//! Pairs by trying every image of every atom: O(N) for one receiver, O(N^2) for all. What the pairs of a run
//! are compared with, and what a run is replayed with when they are in doubt. It shares nothing with the
//! grid and the Verlet list but the formula of a pair's vector.

use rayon::prelude::*;

use super::Pairs;
use crate::core::{Cell, Vec3};

/// Widening of the range of images, in cells: far above the rounding of fractional coordinates.
const MARGIN: f64 = 1e-6;

/// Receivers that one task goes through.
const CHUNK: usize = 32;

/// A neighbour: its atom, its image, and r_j - r_i + shift(image).
pub(super) type BruteNeighbor = (u32, [i32; 3], Vec3);

/// Appends the neighbours of `receiver` closer than `cutoff` (angstrom), in canonical order: by atom, then
/// by image.
pub(super) fn row(
    cell: &Cell,
    positions: &[Vec3],
    receiver: usize,
    cutoff: f64,
    found: &mut Vec<BruteNeighbor>,
) {
    let periodic = cell.periodic();
    // Nearer than the cutoff means less than so many cells away along each direction.
    let reach = [0, 1, 2].map(|k| cutoff / cell.height(k) + MARGIN);
    for (j, position) in positions.iter().enumerate() {
        let direct = position - positions[receiver];
        let fractional = match cell.is_periodic() {
            true => cell.fractional(&direct),
            false => Vec3::zeros(),
        };
        let images = [0, 1, 2].map(|k| match periodic[k] {
            true => images(fractional[k], reach[k]),
            false => (0, 0),
        });
        for a in images[0].0..=images[0].1 {
            for b in images[1].0..=images[1].1 {
                for c in images[2].0..=images[2].1 {
                    let image = [a, b, c];
                    let vector = direct + cell.shift(image);
                    let itself = j == receiver && image == [0; 3];
                    if !itself && vector.norm() < cutoff {
                        found.push((j as u32, image, vector));
                    }
                }
            }
        }
    }
}

/// First and last image that can be within so many cells.
fn images(fractional: f64, reach: f64) -> (i32, i32) {
    let (low, high) = (-reach - fractional, reach - fractional);
    (low.ceil() as i32, high.floor() as i32)
}

impl Pairs {
    /// Writes the pairs of atoms at unwrapped `positions` (angstrom) in `cell`, closer than `cutoff`
    /// (angstrom), found by trying every image of every atom: the same bits as those of a
    /// [`super::VerletList`], at a cost that grows as the square of the number of atoms. Positions must be
    /// finite.
    pub fn exhaust(&mut self, cell: &Cell, positions: &[Vec3], cutoff: f64) {
        let atoms = positions.len();
        let task = |chunk: usize| {
            let (mut found, mut lengths) = (Vec::new(), Vec::new());
            for receiver in chunk * CHUNK..atoms.min((chunk + 1) * CHUNK) {
                let before = found.len();
                row(cell, positions, receiver, cutoff, &mut found);
                lengths.push((found.len() - before) as u32);
            }
            (found, lengths)
        };
        let chunks: Vec<(Vec<BruteNeighbor>, Vec<u32>)> = match atoms.div_ceil(CHUNK) {
            few @ 0..2 => (0..few).map(task).collect(),
            many => (0..many).into_par_iter().map(task).collect(),
        };
        self.rows.clear();
        self.rows.push(0);
        let mut end = 0;
        for length in chunks.iter().flat_map(|(_, lengths)| lengths) {
            end += length;
            self.rows.push(end);
        }
        let all: Vec<BruteNeighbor> = chunks.into_iter().flat_map(|(found, _)| found).collect();
        let mut receivers = Vec::with_capacity(all.len());
        for i in 0..atoms {
            receivers.resize(self.rows[i + 1] as usize, i as u32);
        }
        self.neighbors = all.iter().map(|f| f.0).collect();
        self.vectors = all.iter().map(|f| f.2).collect();
        self.distances = all.iter().map(|f| f.2.norm()).collect();
        self.reverse = (all.iter().zip(&receivers))
            .map(|(&(j, image, _), &i)| {
                let row = self.row(j as usize);
                let opposite = (i, image.map(|n| -n));
                // Vectors of opposite pairs are exactly opposite, so that both are there or neither is.
                let place = all[row.clone()].binary_search_by_key(&opposite, |f| (f.0, f.1));
                (row.start + place.unwrap_or_else(|near| near)) as u32
            })
            .collect();
        self.receivers = receivers;
    }
}
