//! The order in which atoms lie in memory: near each other where they are near each other in space.
//!
//! A gather reads the features of some fifty neighbours. Where neighbours lie together, those of one
//! block of rows stay in cache; in the order of a shuffled input each comes from main memory. The order
//! changes no result: rows are summed in the order of the pair list, energies in that of the caller.

use crate::core::Vec3;
use crate::neighbors::Pairs;

/// Fewest atoms that are put in order: fewer fit into the second-level cache anyhow.
const FEWEST_ATOMS: usize = 512;

/// Evaluations from one ordering to the next: in a liquid, a picosecond or so.
const RENEWAL: u32 = 2000;

/// Bits of each coordinate in a place on the curve.
const BITS: u32 = 20;

/// Atoms along a space-filling curve.
pub(in crate::potential) struct AtomOrder {
    /// The caller's index of each atom in memory.
    pub(in crate::potential) order: Vec<u32>,
    /// The place in memory of each of the caller's atoms.
    pub(in crate::potential) rank: Vec<u32>,
    positions: Vec<Vec3>,
    /// (Place on the curve, caller's index); while atoms are visited, the queue.
    places: Vec<(u64, u32)>,
    evaluations: u32,
}

impl AtomOrder {
    /// The caller's order.
    pub(in crate::potential) fn new(atoms: usize) -> Self {
        Self {
            order: (0..atoms as u32).collect(),
            rank: (0..atoms as u32).collect(),
            positions: Vec::new(),
            places: Vec::new(),
            evaluations: 0,
        }
    }

    /// Puts atoms in order if it is time to; says whether it has. `spacing` (angstrom) is the edge of
    /// the cubes that the curve goes through, within which the caller's order remains.
    pub(in crate::potential) fn renew(&mut self, pairs: &Pairs, spacing: f64) -> bool {
        let due = self.evaluations.is_multiple_of(RENEWAL) && self.order.len() >= FEWEST_ATOMS;
        self.evaluations = (self.evaluations + 1) % RENEWAL;
        if due {
            self.unfold(pairs);
            self.sort(spacing);
        }
        due
    }

    /// Positions from the pair list alone: from each atom to its neighbours, breadth first. Atoms that
    /// no chain of pairs connects overlap, which does no harm.
    fn unfold(&mut self, pairs: &Pairs) {
        let atoms = self.order.len();
        self.positions.clear();
        self.positions.resize(atoms, Vec3::repeat(f64::NAN));
        self.places.clear();
        for root in 0..atoms {
            if !self.positions[root].x.is_nan() {
                continue;
            }
            let mut next = self.places.len();
            self.positions[root] = Vec3::zeros();
            self.places.push((0, root as u32));
            while next < self.places.len() {
                let atom = self.places[next].1 as usize;
                next += 1;
                for p in pairs.row(atom) {
                    let neighbor = pairs.neighbors[p] as usize;
                    let place = self.positions[atom] + pairs.vectors[p];
                    let new = self.positions.get(neighbor).is_some_and(|r| r.x.is_nan());
                    // A vector that is not finite would leave its atom to be visited again.
                    if new && place.x.is_finite() {
                        self.positions[neighbor] = place;
                        self.places.push((0, neighbor as u32));
                    }
                }
            }
        }
    }

    /// Along a Morton curve.
    fn sort(&mut self, spacing: f64) {
        let mut low = Vec3::zeros();
        for position in &self.positions {
            low = low.inf(position);
        }
        for (place, atom) in &mut self.places {
            let cube = (self.positions[*atom as usize] - low) / spacing;
            *place = (0..3).fold(0, |place, axis| place | spread(cube[axis] as u64) << axis);
        }
        self.places.sort_unstable();
        for (rank, (_, atom)) in self.places.iter().enumerate() {
            self.order[rank] = *atom;
            self.rank[*atom as usize] = rank as u32;
        }
    }
}

/// Moves bit k to bit 3 k.
fn spread(x: u64) -> u64 {
    let x = x.min((1 << BITS) - 1);
    (0..BITS).fold(0, |out, k| out | (x >> k & 1) << (3 * k))
}
