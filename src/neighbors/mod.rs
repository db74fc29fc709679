//! Which atoms are near which: a cell list, the Verlet list made from it, and the pairs of one moment.

use crate::core::Vec3;

/// The ordered pairs (i <- j) within the cutoff at one moment, sorted by receiver i, then by
/// neighbour j, then by image: the canonical order, which does not depend on how or when they were
/// found. Every pair is there in both directions.
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
