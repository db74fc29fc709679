//! The pairs of one evaluation as kernels go through them, in the engine's order of atoms; their geometry, and the forces and
//! the strain derivative that come of what was sent over them.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::core::{Mat3, Vec3};
use crate::neighbors::Pairs;
use crate::potential::Evaluation;
use crate::{Error, Result};

use super::lane::Real;
use super::memory::{Shared, large_vec, prefetch};
use super::order::AtomOrder;
use super::spline::{self, ORDER};

/// Pairs from the one at work to that whose neighbour is fetched into cache: in a large system
/// neighbours come from the third level, a hundred nanoseconds away.
pub(in crate::potential) const AHEAD: usize = 6;

/// Blocks of rows per thread, so that threads end a stage together.
const BLOCKS_PER_THREAD: usize = 8;

/// Fewest and most pairs of a block of rows: enough to be worth a hand-over, few enough that what its
/// atoms share stays in cache.
const PAIRS_PER_BLOCK: [usize; 2] = [8, 4096];

/// Room for pairs beyond those of the moment, so that their number may change without allocation.
const PAIR_ROOM: f64 = 1.1;

/// Edge of the cubes by which atoms are put in order, as part of the cutoff.
const SPACING: f64 = 0.5;

/// What the forward pass reads of a pair (i <- j).
#[derive(Clone, Copy, Default)]
pub(in crate::potential) struct Geometry<T> {
    /// Weights of the six spline coefficients.
    pub(in crate::potential) weights: [T; ORDER],
    /// Unit vector from i to j.
    pub(in crate::potential) unit: [T; 3],
    /// First coefficient.
    pub(in crate::potential) knot: u32,
    /// j, in the engine's order of atoms.
    pub(in crate::potential) neighbor: u32,
}

/// Weights of the six coefficients for the filters' slope (1 / angstrom).
pub(in crate::potential) type SlopeWeights<T> = [T; ORDER];

/// What one atom sends a neighbour, as sums over channels and layers: the derivative of the energy
/// along the pair (s), and that with respect to the unit vector (t).
pub(in crate::potential) type Sent<T> = [T; 4];

/// What tasks see of atoms and pairs, N atoms in the engine's order.
pub(in crate::potential) struct PairView<'a, T> {
    pub(in crate::potential) pairs: &'a Pairs,
    pub(in crate::potential) atoms: usize,
    /// Range (angstrom), and the intervals of the splines from 0 to it.
    pub(in crate::potential) cutoff: f64,
    pub(in crate::potential) intervals: usize,
    /// Unit vectors are r / (d + soft) (angstrom).
    pub(in crate::potential) soft: f64,
    /// The caller's index of each atom, and the other way round.
    pub(in crate::potential) order: &'a [u32],
    pub(in crate::potential) rank: &'a [u32],
    /// Index of each atom's species among those present.
    pub(in crate::potential) species: &'a [u32],
    /// Where the pairs of each atom begin in the arrays of pairs here, which are in the engine's order of
    /// atoms, so that kernels go through them from one end to the other. Length: atoms + 1.
    pub(in crate::potential) rows: &'a [u32],
    /// Where the blocks of rows begin.
    pub(in crate::potential) blocks: &'a [u32],
    /// Set where the pair list is not one.
    faulty: &'a AtomicBool,
    /// eV per unit of the network.
    scale: f64,
    /// Per pair.
    pub(in crate::potential) geometry: Shared<Geometry<T>>,
    pub(in crate::potential) slopes: Shared<SlopeWeights<T>>,
    pub(in crate::potential) sent: Shared<Sent<T>>,
    /// Index here of the pair (j <- i).
    reverse: Shared<u32>,
    /// In the caller's order.
    pub(in crate::potential) energies: Shared<f64>,
    forces: Shared<Vec3>,
    /// In the engine's order.
    strain: Shared<Mat3>,
}

impl<T: Real> PairView<'_, T> {
    /// The atoms of a block of rows.
    #[inline(always)]
    pub(in crate::potential) fn row_block(&self, block: usize) -> Range<usize> {
        self.blocks[block] as usize..self.blocks[block + 1] as usize
    }

    /// The pairs of an atom in the arrays of pairs here.
    #[inline(always)]
    pub(in crate::potential) fn row(&self, atom: usize) -> Range<usize> {
        self.rows[atom] as usize..self.rows[atom + 1] as usize
    }

    /// Places of an atom's pairs in the caller's list.
    #[inline(always)]
    pub(in crate::potential) fn given_row(&self, atom: usize) -> Range<usize> {
        self.pairs.row(self.order[atom] as usize)
    }

    /// Whether the pair list was found not to be one.
    pub(in crate::potential) fn faulty(&self) -> bool {
        self.faulty.load(Ordering::Relaxed)
    }
}

/// The network's numbers that geometry and forces depend on.
#[derive(Clone, Copy)]
pub(in crate::potential) struct Metric {
    /// Range (angstrom).
    pub(in crate::potential) cutoff: f64,
    /// Intervals of the splines from 0 to it.
    pub(in crate::potential) intervals: usize,
    /// Unit vectors are r / (d + soft) (angstrom).
    pub(in crate::potential) soft: f64,
    /// eV per unit of the network.
    pub(in crate::potential) scale: f64,
}

/// The arrays of a [`PairView`], made when sizes are first known and kept from call to call.
pub(in crate::potential) struct PairRows<T> {
    /// Index of each atom's species among those present, in the caller's order and in memory's.
    kinds: Vec<u32>,
    species: Vec<u32>,
    order: AtomOrder,
    rows: Vec<u32>,
    blocks: Vec<u32>,
    faulty: AtomicBool,
    geometry: Vec<Geometry<T>>,
    slopes: Vec<SlopeWeights<T>>,
    sent: Vec<Sent<T>>,
    reverse: Vec<u32>,
    energies: Vec<f64>,
    strain: Vec<Mat3>,
}

impl<T: Real> PairRows<T> {
    /// For atoms with these species indices.
    pub(in crate::potential) fn new(species: Vec<u32>) -> Self {
        let atoms = species.len();
        Self {
            order: AtomOrder::new(atoms),
            rows: Vec::with_capacity(atoms + 1),
            blocks: Vec::with_capacity(atoms + 1),
            faulty: AtomicBool::new(false),
            geometry: Vec::new(),
            slopes: Vec::new(),
            sent: Vec::new(),
            reverse: Vec::new(),
            energies: vec![0.0; atoms],
            strain: vec![Mat3::zeros(); atoms],
            kinds: species.clone(),
            species,
        }
    }

    /// Least memory (bytes) for each atom and each pair.
    pub(in crate::potential) fn bytes_needed() -> [usize; 2] {
        let pair = size_of::<Geometry<T>>()
            + size_of::<SlopeWeights<T>>()
            + size_of::<Sent<T>>()
            + size_of::<u32>();
        [size_of::<f64>() + size_of::<Mat3>(), pair]
    }

    /// Number of atoms.
    pub(in crate::potential) fn atoms(&self) -> usize {
        self.kinds.len()
    }

    /// Makes room for the pairs, checks what kernels rely on, and cuts rows into blocks.
    pub(in crate::potential) fn prepare(
        &mut self,
        pairs: &Pairs,
        cutoff: f64,
        threads: usize,
        out: &mut Evaluation,
    ) -> Result<()> {
        let atoms = self.species.len();
        let count = pairs.len();
        let whole = pairs.rows.len() == atoms + 1
            && pairs.rows[0] == 0
            && pairs.rows[atoms] as usize == count
            && pairs.rows.is_sorted()
            && [
                pairs.vectors.len(),
                pairs.distances.len(),
                pairs.reverse.len(),
            ] == [count; 3];
        if !whole {
            return Err(Error::run(format!(
                "the pair list is not one of {atoms} atoms"
            )));
        }
        out.forces.resize(atoms, Vec3::zeros());
        if self.geometry.len() < count + AHEAD {
            let room = (count as f64 * PAIR_ROOM) as usize + AHEAD;
            self.geometry = large_vec(room);
            self.slopes = large_vec(room);
            self.sent = large_vec(room);
            self.reverse = large_vec(room);
        }
        if self.order.renew(pairs, SPACING * cutoff) {
            for (kind, &id) in self.species.iter_mut().zip(&self.order.order) {
                *kind = self.kinds[id as usize];
            }
        }
        let [fewest, most] = PAIRS_PER_BLOCK;
        let target = (count / (threads * BLOCKS_PER_THREAD)).clamp(fewest, most);
        self.rows.clear();
        self.rows.push(0);
        self.blocks.clear();
        self.blocks.push(0);
        let (mut end, mut start) = (0, 0);
        for (atom, &id) in self.order.order.iter().enumerate() {
            end += pairs.row(id as usize).len();
            self.rows.push(end as u32);
            if end - start >= target || atom + 1 == atoms {
                self.blocks.push(atom as u32 + 1);
                start = end;
            }
        }
        Ok(())
    }

    /// What tasks see.
    pub(in crate::potential) fn view<'a>(
        &'a mut self,
        pairs: &'a Pairs,
        metric: Metric,
        out: &'a mut Evaluation,
    ) -> PairView<'a, T> {
        PairView {
            pairs,
            atoms: self.species.len(),
            cutoff: metric.cutoff,
            intervals: metric.intervals,
            soft: metric.soft,
            order: &self.order.order,
            rank: &self.order.rank,
            species: &self.species,
            rows: &self.rows,
            blocks: &self.blocks,
            faulty: &self.faulty,
            scale: metric.scale,
            geometry: Shared::new(&mut self.geometry),
            slopes: Shared::new(&mut self.slopes),
            sent: Shared::new(&mut self.sent),
            reverse: Shared::new(&mut self.reverse),
            energies: Shared::new(&mut self.energies),
            forces: Shared::new(&mut out.forces),
            strain: Shared::new(&mut self.strain),
        }
    }

    /// The network's energy of each atom, in its own unit and in the caller's order.
    pub(in crate::potential) fn energies(&self) -> &[f64] {
        &self.energies
    }

    /// Sums up, in f64 and in the caller's order of atoms: the strain derivative into `out`, and the
    /// network's energy.
    pub(in crate::potential) fn finish(&self, out: &mut Evaluation) -> Result<f64> {
        if self.faulty.swap(false, Ordering::Relaxed) {
            return Err(Error::run(
                "the pair list names atoms or pairs that do not exist",
            ));
        }
        out.strain_derivative = (self.order.rank.iter())
            .map(|&atom| self.strain[atom as usize])
            .sum();
        Ok(self.energies.iter().sum())
    }
}

/// Geometry of the pairs of a block of rows, in f64, then rounded.
#[inline(always)]
pub(in crate::potential) unsafe fn geometry<T: Real>(view: &PairView<T>, block: usize) {
    let pairs = view.pairs;
    let per_angstrom = view.intervals as f64 / view.cutoff;
    let last = view.intervals - 1;
    for i in view.row_block(block) {
        fetch_given(view, i + 1);
        for (p, here) in view.given_row(i).zip(view.row(i)) {
            let d = pairs.distances[p];
            let neighbor = pairs.neighbors[p] as usize;
            let reverse = pairs.reverse[p] as usize;
            if neighbor >= view.atoms || !pairs.row(neighbor).contains(&reverse) {
                view.faulty.store(true, Ordering::Relaxed);
                return;
            }
            let x = d * per_angstrom;
            let knot = (x as usize).min(last);
            let t = x - knot as f64;
            // A pair at the cutoff or beyond (there is none in a proper list) weighs nothing.
            let inside = if d >= view.cutoff { 0.0 } else { 1.0 };
            let unit = pairs.vectors[p] / (d + view.soft);
            // SAFETY: `here` is a pair, and rows of other blocks have other pairs.
            unsafe {
                *view.geometry.at(here) = Geometry {
                    weights: rounded(spline::values(t), inside),
                    unit: rounded([unit.x, unit.y, unit.z], 1.0),
                    knot: knot as u32,
                    neighbor: view.rank[neighbor],
                };
                *view.slopes.at(here) = rounded(spline::slopes(t), per_angstrom * inside);
                let back = view.row(view.rank[neighbor] as usize).start;
                *view.reverse.at(here) = (back + reverse - pairs.row(neighbor).start) as u32;
                *view.sent.at(here) = [T::default(); 4];
            }
        }
    }
}

/// Begins to fetch the pairs of an atom in the caller's list, whose rows are in another order.
#[inline(always)]
fn fetch_given<T: Real>(view: &PairView<T>, atom: usize) {
    if atom < view.atoms {
        let row = view.given_row(atom);
        prefetch(view.pairs.vectors[row.clone()].as_ptr(), row.len());
        prefetch(view.pairs.distances[row.clone()].as_ptr(), row.len());
        prefetch(view.pairs.neighbors[row.clone()].as_ptr(), row.len());
        prefetch(view.pairs.reverse[row.clone()].as_ptr(), row.len());
    }
}

/// `scale` times numbers, in the network's precision.
#[inline(always)]
fn rounded<T: Real, const N: usize>(numbers: [f64; N], scale: f64) -> [T; N] {
    let mut out = [T::default(); N];
    for k in 0..N {
        out[k] = T::of(numbers[k] * scale);
    }
    out
}

/// Forces on the atoms of a block and their part of the strain derivative, in f64.
///
/// With D_p = dE/dr_p - dE/dr_rev(p), F_i = sum over the row of D_p, and the strain derivative is
/// sum over all pairs of r_p (x) D_p / 2. With u = r / (d + soft) and t = dE/du, what comes of t is
/// (t - d / (d + soft) (t.r) r / d^2) / (d + soft).
#[inline(always)]
pub(in crate::potential) unsafe fn forces<T: Real>(view: &PairView<T>, block: usize) {
    let pairs = view.pairs;
    for i in view.row_block(block) {
        fetch_given(view, i + 1);
        let mut force = Vec3::zeros();
        let mut strain = Mat3::zeros();
        for (p, here) in view.given_row(i).zip(view.row(i)) {
            // SAFETY: as in `gather`; `geometry` has written `reverse`.
            let (own, back) = unsafe {
                prefetch(view.sent.at(*view.reverse.at(here + AHEAD) as usize), 1);
                (
                    sent(view, here),
                    sent(view, *view.reverse.at(here) as usize),
                )
            };
            let d = pairs.distances[p];
            let unit = pairs.vectors[p] / d;
            let turn = Vec3::new(back[1] - own[1], back[2] - own[2], back[3] - own[3]);
            let soft = d + view.soft;
            let along = own[0] + back[0] - turn.dot(&unit) * (d / soft) / soft;
            let pull = unit * along + turn / soft;
            force += pull;
            strain += pairs.vectors[p] * pull.transpose();
        }
        // SAFETY: each atom has one row.
        unsafe {
            *view.forces.at(view.order[i] as usize) = force * view.scale;
            *view.strain.at(i) = strain * (0.5 * view.scale);
        }
    }
}

/// What was sent over a pair, in f64.
#[inline(always)]
unsafe fn sent<T: Real>(view: &PairView<T>, pair: usize) -> [f64; 4] {
    let sent = unsafe { &*view.sent.at(pair) };
    [
        sent[0].to_f64(),
        sent[1].to_f64(),
        sent[2].to_f64(),
        sent[3].to_f64(),
    ]
}
