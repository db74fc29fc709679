//! The Verlet list (Verlet, Phys. Rev. 159, 98 (1967)): neighbours within cutoff and skin, searched
//! once, from which the pairs of many moments are made.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::grid::Grid;
use super::{Candidate, MOST_PAIRS, Pairs};
use crate::core::{Cell, Mat3, Vec3};
use crate::{Error, Result};

/// Atoms searched by one task.
const CHUNK: usize = 64;

/// Candidates that one task goes through; below twice as many, threads cost more than they save.
const TASK: usize = 16_384;

/// Neighbours within the cutoff and a skin of positions at the time of the build, images included.
#[derive(Debug, Clone)]
pub struct VerletList {
    /// The cell at the build.
    built: Cell,
    /// The cell at the moment whose pairs are written.
    cell: Cell,
    cutoff: f64,
    skin: f64,
    /// Unwrapped positions at the build (angstrom).
    origin: Vec<Vec3>,
    /// Candidates `rows[i]..rows[i + 1]` belong to receiver i.
    rows: Vec<u32>,
    /// In canonical order within each row.
    candidates: Vec<Candidate>,
    /// Index of the candidate in the opposite direction.
    reverse: Vec<u32>,
    /// Place of each candidate among the present pairs of its row; has no meaning outside the cutoff.
    slots: Vec<u32>,
    /// The candidates that are present pairs, at the front of each row.
    inside: Vec<u32>,
}

impl VerletList {
    /// Searches the neighbours of atoms at unwrapped `positions` (angstrom) in `cell`, within
    /// `cutoff + skin` (angstrom both).
    ///
    /// # Errors
    /// A cutoff that is not positive or a skin that is negative; a position that is not finite or is
    /// too far out; a cell far smaller than the cutoff; more than 2^32 - 1 pairs.
    pub fn build(cell: &Cell, positions: &[Vec3], cutoff: f64, skin: f64) -> Result<Self> {
        if !(cutoff > 0.0 && skin >= 0.0 && (cutoff + skin).is_finite()) {
            return Err(Error::input(format!(
                "a cutoff of {cutoff} A with a skin of {skin} A: the cutoff must be positive, and \
                 the skin not negative"
            )));
        }
        let mut list = Self {
            built: cell.clone(),
            cell: cell.clone(),
            cutoff,
            skin,
            origin: Vec::new(),
            rows: Vec::new(),
            candidates: Vec::new(),
            reverse: Vec::new(),
            slots: Vec::new(),
            inside: Vec::new(),
        };
        list.rebuild(cell, positions)?;
        Ok(list)
    }

    /// Searches anew, in another cell at other positions; the memory is used again.
    ///
    /// # Errors
    /// As [`VerletList::build`]. The list is then of no use until a rebuild succeeds.
    pub fn rebuild(&mut self, cell: &Cell, positions: &[Vec3]) -> Result<()> {
        self.built.clone_from(cell);
        self.cell.clone_from(cell);
        self.rebuild_within(positions, MOST_PAIRS)
    }

    fn rebuild_within(&mut self, positions: &[Vec3], most: u64) -> Result<()> {
        let range = self.cutoff + self.skin;
        let found = search(
            &Grid::new(&self.cell, positions, range)?,
            positions.len(),
            most,
        );
        let total: u64 = found
            .iter()
            .map(|chunk| chunk.candidates.len() as u64)
            .sum();
        if total > most {
            return Err(Error::input(format!(
                "more than {most} pairs within {range} A (cutoff and skin): use a smaller system, \
                 cutoff or skin, and see whether atoms lie on top of each other"
            )));
        }
        self.gather(&found, total as usize);
        self.reverse.resize(total as usize, 0);
        self.slots.resize(total as usize, 0);
        self.inside.resize(total as usize, 0);
        self.link();
        self.origin.clear();
        self.origin.extend_from_slice(positions);
        Ok(())
    }

    /// Puts what the tasks found one after the other.
    fn gather(&mut self, found: &[Chunk], total: usize) {
        self.rows.clear();
        self.rows.push(0);
        self.candidates.clear();
        self.candidates.reserve_exact(total);
        let mut end = 0;
        for chunk in found {
            self.candidates.extend_from_slice(&chunk.candidates);
            self.rows.extend(chunk.lengths.iter().map(|length| {
                end += length;
                end
            }));
        }
    }

    /// Finds the opposite direction of every candidate.
    ///
    /// In the order of receivers i, the candidates (j <- i) come up in the order of row j: a cursor
    /// for each row finds them without a search. Images of one and the same pair come in opposite
    /// order in the opposite direction.
    fn link(&mut self) {
        let mut cursors: Vec<u32> = self.rows[..self.rows.len() - 1].to_vec();
        for i in 0..cursors.len() {
            let mut first = self.rows[i] as usize;
            let end = self.rows[i + 1] as usize;
            while first < end {
                let j = self.candidates[first].neighbor;
                let same = (self.candidates[first..end].iter())
                    .take_while(|c| c.neighbor == j)
                    .count();
                let cursor = &mut cursors[j as usize];
                *cursor += same as u32;
                for (k, reverse) in self.reverse[first..first + same].iter_mut().enumerate() {
                    *reverse = *cursor - 1 - k as u32;
                }
                first += same;
            }
        }
    }

    /// Whether the list has all pairs of atoms at unwrapped `positions` (angstrom) in `cell`.
    ///
    /// In the cell of the build it has while no atom is farther than half the skin from where it was then. If the cell has
    /// been strained by S since, atoms are compared with S r, where they would be had they only followed it. Two atoms within
    /// the cutoff now are then within cutoff + 2 d of each other in the strained build, with d the farthest that any has
    /// come, and were within (cutoff + 2 d) / s in the build itself, with s the smallest singular value of S: all pairs
    /// are there while that is within cutoff and skin. False also if a position is not a number.
    pub fn holds(&self, cell: &Cell, positions: &[Vec3]) -> bool {
        if positions.len() != self.origin.len() || cell.periodic() != self.built.periodic() {
            return false;
        }
        let moments = || positions.iter().zip(&self.origin);
        let half = 0.5 * self.skin;
        if *cell == self.built {
            return moments().all(|(r, origin)| (r - origin).norm_squared() <= half * half);
        }
        let strain = self.built.strain_to(cell);
        let slack = half - 0.5 * (self.cutoff + self.skin) * (1.0 - least_stretch(&strain));
        slack >= 0.0
            && moments().all(|(r, origin)| (r - strain * origin).norm_squared() <= slack * slack)
    }

    /// Writes the pairs within the cutoff of atoms at the unwrapped `positions` (angstrom) in `cell`, all of which the list
    /// must have ([`VerletList::holds`]). Nothing is allocated once `pairs` has seen as many pairs.
    ///
    /// # Panics
    /// If the number of positions is not that of the build.
    pub fn pairs(&mut self, cell: &Cell, positions: &[Vec3], pairs: &mut Pairs) {
        assert_eq!(positions.len(), self.origin.len(), "one position per atom");
        self.cell.clone_from(cell);
        let atoms = positions.len();
        let mut slots = std::mem::take(&mut self.slots);
        let mut inside = std::mem::take(&mut self.inside);
        pairs.rows.resize(atoms + 1, 0);
        pairs.rows[0] = 0;
        let marks = Marks {
            lengths: &mut pairs.rows[1..],
            slots: &mut slots,
            inside: &mut inside,
        };
        let marker = Marker {
            list: self,
            positions,
            limit: under_root(self.cutoff),
        };
        marker.mark(0..atoms, marks);
        for i in 0..atoms {
            pairs.rows[i + 1] += pairs.rows[i];
        }
        resize(pairs);
        let rows = std::mem::take(&mut pairs.rows);
        let writer = Writer {
            list: self,
            positions,
            rows: &rows,
            slots: &slots,
            inside: &inside,
        };
        writer.write(0..atoms, Out::of(pairs));
        pairs.rows = rows;
        self.slots = slots;
        self.inside = inside;
    }

    /// The cutoff (angstrom).
    pub fn cutoff(&self) -> f64 {
        self.cutoff
    }

    /// The skin (angstrom).
    pub fn skin(&self) -> f64 {
        self.skin
    }

    /// Number of ordered pairs within cutoff and skin at the build.
    pub fn candidates(&self) -> usize {
        self.candidates.len()
    }

    fn row(&self, receiver: usize) -> Range<usize> {
        self.rows[receiver] as usize..self.rows[receiver + 1] as usize
    }

    fn range(&self, rows: &Range<usize>) -> Range<usize> {
        self.rows[rows.start] as usize..self.rows[rows.end] as usize
    }

    /// r_ij, a function of the two positions and the image alone, odd under exchange.
    #[inline]
    fn vector(&self, positions: &[Vec3], receiver: usize, candidate: &Candidate) -> Vec3 {
        // No branch around the shift of image zero: where it is taken or not has no pattern.
        (positions[candidate.neighbor as usize] - positions[receiver])
            + self.cell.shift(candidate.image)
    }

    /// Where to cut rows in two for two threads, if that is worth it.
    fn split(&self, rows: &Range<usize>) -> Option<usize> {
        let work = self.range(rows).len();
        (rows.len() > 1 && work >= 2 * TASK).then(|| rows.start + rows.len() / 2)
    }
}

/// A lower bound on the smallest singular value of a strain: the least stretch along an axis, less what shear could take from it.
fn least_stretch(strain: &Mat3) -> f64 {
    let diagonal = Mat3::from_diagonal(&strain.diagonal());
    strain.diagonal().abs().min() - (strain - diagonal).norm()
}

/// What one task found for its atoms.
struct Chunk {
    /// Candidates of each atom.
    lengths: Vec<u32>,
    candidates: Vec<Candidate>,
}

/// All atoms' neighbours, in canonical order, chunk by chunk; cut short once there are more than
/// `most` in all.
fn search(grid: &Grid, atoms: usize, most: u64) -> Vec<Chunk> {
    let total = AtomicU64::new(0);
    let task = |chunk: usize| {
        let mut lengths = Vec::with_capacity(CHUNK);
        let mut candidates = Vec::new();
        for atom in chunk * CHUNK..atoms.min((chunk + 1) * CHUNK) {
            if total.load(Ordering::Relaxed) > most {
                break;
            }
            let first = candidates.len();
            grid.search(atom, &mut candidates);
            candidates[first..].sort_unstable();
            let length = candidates.len() - first;
            lengths.push(length as u32);
            total.fetch_add(length as u64, Ordering::Relaxed);
        }
        Chunk {
            lengths,
            candidates,
        }
    };
    let chunks = atoms.div_ceil(CHUNK);
    if chunks < 2 {
        return (0..chunks).map(task).collect();
    }
    (0..chunks).into_par_iter().map(task).collect()
}

/// The smallest number whose root is not under `bound`: a square is below it exactly where its root
/// is under the bound.
fn under_root(bound: f64) -> f64 {
    let mut square = bound * bound;
    while square.sqrt() < bound {
        square = square.next_up();
    }
    while square.next_down().sqrt() >= bound {
        square = square.next_down();
    }
    square
}

/// What is noted of some rows' candidates.
struct Marks<'a> {
    /// Pairs of each row.
    lengths: &'a mut [u32],
    slots: &'a mut [u32],
    inside: &'a mut [u32],
}

impl<'a> Marks<'a> {
    fn split_at(self, rows: usize, candidates: usize) -> (Self, Self) {
        let (lengths_a, lengths_b) = self.lengths.split_at_mut(rows);
        let (slots_a, slots_b) = self.slots.split_at_mut(candidates);
        let (inside_a, inside_b) = self.inside.split_at_mut(candidates);
        let a = Self {
            lengths: lengths_a,
            slots: slots_a,
            inside: inside_a,
        };
        let b = Self {
            lengths: lengths_b,
            slots: slots_b,
            inside: inside_b,
        };
        (a, b)
    }
}

/// Finds the candidates that are pairs at present.
struct Marker<'a> {
    list: &'a VerletList,
    positions: &'a [Vec3],
    /// Bound on the square of the distance.
    limit: f64,
}

impl Marker<'_> {
    fn mark(&self, rows: Range<usize>, marks: Marks) {
        if let Some(middle) = self.list.split(&rows) {
            let candidates = self.list.range(&(rows.start..middle)).len();
            let (a, b) = marks.split_at(middle - rows.start, candidates);
            rayon::join(
                || self.mark(rows.start..middle, a),
                || self.mark(middle..rows.end, b),
            );
            return;
        }
        let first = self.list.range(&rows).start;
        for (receiver, length) in rows.zip(marks.lengths) {
            let row = self.list.row(receiver);
            let candidates = &self.list.candidates[row.clone()];
            let slots = &mut marks.slots[row.start - first..row.end - first];
            let inside = &mut marks.inside[row.start - first..row.end - first];
            let mut count = 0;
            // Without a branch, which would go either way half of the time.
            for (k, candidate) in candidates.iter().enumerate() {
                let vector = self.list.vector(self.positions, receiver, candidate);
                slots[k] = count;
                inside[count as usize] = (row.start + k) as u32;
                count += u32::from(vector.norm_squared() < self.limit);
            }
            *length = count;
        }
    }
}

/// Makes room for the pairs that the rows count; some more where there is too little, since the
/// number goes up and down.
fn resize(pairs: &mut Pairs) {
    let total = pairs.rows.last().map_or(0, |&n| n as usize);
    fn fit<T: Clone>(values: &mut Vec<T>, total: usize, fill: T) {
        if total > values.capacity() {
            values.reserve_exact(total + total / 16 - values.len());
        }
        values.resize(total, fill);
    }
    fit(&mut pairs.receivers, total, 0);
    fit(&mut pairs.neighbors, total, 0);
    fit(&mut pairs.reverse, total, 0);
    fit(&mut pairs.vectors, total, Vec3::zeros());
    fit(&mut pairs.distances, total, 0.0);
}

/// The arrays of some rows of [`Pairs`].
struct Out<'a> {
    receivers: &'a mut [u32],
    neighbors: &'a mut [u32],
    reverse: &'a mut [u32],
    vectors: &'a mut [Vec3],
    distances: &'a mut [f64],
}

impl<'a> Out<'a> {
    fn of(pairs: &'a mut Pairs) -> Self {
        Self {
            receivers: &mut pairs.receivers,
            neighbors: &mut pairs.neighbors,
            reverse: &mut pairs.reverse,
            vectors: &mut pairs.vectors,
            distances: &mut pairs.distances,
        }
    }

    fn split_at(self, k: usize) -> (Self, Self) {
        let (receivers_a, receivers_b) = self.receivers.split_at_mut(k);
        let (neighbors_a, neighbors_b) = self.neighbors.split_at_mut(k);
        let (reverse_a, reverse_b) = self.reverse.split_at_mut(k);
        let (vectors_a, vectors_b) = self.vectors.split_at_mut(k);
        let (distances_a, distances_b) = self.distances.split_at_mut(k);
        let a = Self {
            receivers: receivers_a,
            neighbors: neighbors_a,
            reverse: reverse_a,
            vectors: vectors_a,
            distances: distances_a,
        };
        let b = Self {
            receivers: receivers_b,
            neighbors: neighbors_b,
            reverse: reverse_b,
            vectors: vectors_b,
            distances: distances_b,
        };
        (a, b)
    }
}

/// Writes marked candidates as pairs.
struct Writer<'a> {
    list: &'a VerletList,
    positions: &'a [Vec3],
    /// Rows of the pairs.
    rows: &'a [u32],
    slots: &'a [u32],
    inside: &'a [u32],
}

impl Writer<'_> {
    fn write(&self, rows: Range<usize>, out: Out) {
        if let Some(middle) = self.list.split(&rows) {
            let (a, b) = out.split_at((self.rows[middle] - self.rows[rows.start]) as usize);
            rayon::join(
                || self.write(rows.start..middle, a),
                || self.write(middle..rows.end, b),
            );
            return;
        }
        let mut p = 0;
        for receiver in rows {
            let length = self.rows[receiver + 1] - self.rows[receiver];
            let first = self.list.row(receiver).start;
            for &c in &self.inside[first..first + length as usize] {
                let candidate = &self.list.candidates[c as usize];
                let vector = self.list.vector(self.positions, receiver, candidate);
                out.receivers[p] = receiver as u32;
                out.neighbors[p] = candidate.neighbor;
                out.reverse[p] = self.rows[candidate.neighbor as usize]
                    + self.slots[self.list.reverse[c as usize] as usize];
                out.vectors[p] = vector;
                out.distances[p] = vector.norm();
                p += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_compared_as_their_roots_would_be() {
        for k in 1..1000 {
            let bound = 0.01 * f64::from(k);
            let square = under_root(bound);
            assert!(square.sqrt() >= bound && square.next_down().sqrt() < bound);
        }
    }

    #[test]
    fn too_many_pairs_are_an_error_that_says_so() {
        let positions = vec![Vec3::zeros(); 200];
        let mut list = VerletList::build(&Cell::open(), &positions, 1.0, 0.0).unwrap();
        assert_eq!(list.candidates(), 200 * 199);
        let error = list.rebuild_within(&positions, 200 * 199 - 1).unwrap_err();
        assert!(
            error.to_string().contains("more than 39799 pairs"),
            "{error}"
        );
        list.rebuild_within(&positions, 200 * 199).unwrap();
    }
}
