//! Which atoms are near which: a cell list, the Verlet list made from it, and the pairs of one moment.
//!
//! [`VerletList::build`] finds, in O(N), everything within the cutoff and a skin; for as long as no
//! atom has moved by more than half the skin, [`VerletList::pairs`] makes the exact list of
//! pairs within the cutoff from it. The pairs of one moment depend on the positions alone, bit for
//! bit: not on the skin, not on when the list was built, not on the number of threads.
//!
//! [`bonds`] and [`molecules`] tell what belongs together, and [`Near`] what is within reach, for those who look at a run.

pub mod audit;
pub mod bonds;
mod brute;
mod grid;
pub mod hydrogen;
pub mod molecules;
mod near;
mod verlet;

pub use audit::{Listed, Mismatch, Neighbor};
pub use grid::farthest;
pub use molecules::Molecules;
pub use near::Near;
pub use verlet::VerletList;

use crate::Result;
use crate::core::{Cell, Vec3};

/// Most atoms, and most pairs, that can be numbered.
const MOST_PAIRS: u64 = u32::MAX as u64;

/// Least memory (bytes) that a list of neighbours takes for each of them, while it is built.
pub const BYTES_PER_NEIGHBOR: f64 = 44.0;

/// About how many neighbours within `range` (angstrom) a list of all atoms would hold, judged from a few
/// of them: to know before a list is built whether there is room for it.
///
/// # Errors
/// A position that is not finite or is too far out; a cell far smaller than the range.
pub fn expected_neighbors(cell: &Cell, positions: &[Vec3], range: f64) -> Result<f64> {
    Ok(grid::Grid::new(cell, positions, range)?.expected())
}

/// A neighbour found by a search, at r_j - r_i + shift(image) from the unwrapped positions.
///
/// The order is the canonical one: by neighbour, then by image, first index first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    neighbor: u32,
    image: [i32; 3],
}

/// The ordered pairs (i <- j) within the cutoff at one moment, sorted by receiver i, then by
/// neighbour j, then by image: the canonical order, which does not depend on how or when they were
/// found. Every pair is there in both directions, with exactly opposite vectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pairs {
    /// Rows: pairs `rows[i]..rows[i + 1]` belong to receiver i. Length: atoms + 1.
    pub rows: Vec<u32>,
    /// Receiver i of each pair.
    pub receivers: Vec<u32>,
    /// Neighbour j of each pair.
    pub neighbors: Vec<u32>,
    /// Index of the pair (j <- i) with the opposite vector.
    pub reverse: Vec<u32>,
    /// r_ij = r_j - r_i + shift (angstrom).
    pub vectors: Vec<Vec3>,
    /// |r_ij| (angstrom), under the cutoff.
    pub distances: Vec<f64>,
}

impl Pairs {
    /// The pairs of atoms at unwrapped `positions` (angstrom) in `cell`, closer than `cutoff`
    /// (angstrom). For one moment; a run uses a [`VerletList`].
    ///
    /// # Errors
    /// As [`VerletList::build`].
    pub fn within(cell: &Cell, positions: &[Vec3], cutoff: f64) -> Result<Self> {
        let mut pairs = Self::default();
        VerletList::build(cell, positions, cutoff, 0.0)?.pairs(cell, positions, &mut pairs);
        Ok(pairs)
    }

    /// Number of ordered pairs.
    pub fn len(&self) -> usize {
        self.neighbors.len()
    }

    /// Whether no two atoms are near each other.
    pub fn is_empty(&self) -> bool {
        self.neighbors.is_empty()
    }

    /// Number of atoms.
    pub fn atoms(&self) -> usize {
        self.rows.len().saturating_sub(1)
    }

    /// The pairs of one receiver.
    pub fn row(&self, receiver: usize) -> std::ops::Range<usize> {
        self.rows[receiver] as usize..self.rows[receiver + 1] as usize
    }
}
