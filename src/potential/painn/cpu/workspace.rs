//! The arrays of one system, made when sizes are first known and kept from call to call.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::core::{Mat3, Vec3};
use crate::neighbors::Pairs;
use crate::potential::Evaluation;
use crate::potential::painn::Spec;
use crate::{Error, Result};

use super::lane::Real;
use super::memory::{Aligned, Shared, large_vec};
use super::message;
use super::network::Network;
use super::order::AtomOrder;
use super::stages::{self, Stage};
use super::view::{ATOMS_PER_BLOCK, Geometry, Saved, Sent, SlopeWeights, View};

/// Blocks of rows per thread, so that threads end a stage together.
const BLOCKS_PER_THREAD: usize = 8;

/// Fewest and most pairs of a block of rows: enough to be worth a hand-over, few enough that what its
/// atoms share stays in cache.
const PAIRS_PER_BLOCK: [usize; 2] = [8, 4096];

/// Room for pairs beyond those of the moment, so that their number may change without allocation.
const PAIR_ROOM: f64 = 1.1;

/// Edge of the cubes by which atoms are put in order, as part of the cutoff.
const SPACING: f64 = 0.5;

/// Least memory (bytes) of a [`Workspace`] for each atom and each pair.
pub(super) fn bytes_needed<T>(spec: &Spec) -> [usize; 2] {
    let layers = spec.layers;
    // Features, vectors, senders, what is saved, gradients, contexts: as in `Workspace::new`.
    let numbers = 2 + 3 + layers.saturating_sub(1) * 6 + layers * Saved::COUNT + 2 * 4 + 3;
    let atom = numbers * spec.features * size_of::<T>() + size_of::<f64>() + size_of::<Mat3>();
    let pair = size_of::<Geometry<T>>()
        + size_of::<SlopeWeights<T>>()
        + size_of::<Sent<T>>()
        + size_of::<u32>();
    [atom, pair]
}

/// See [`View`] for the shapes.
pub(super) struct Workspace<T> {
    /// Index of each atom's species among those present, in the caller's order and in memory's.
    kinds: Vec<u32>,
    species: Vec<u32>,
    order: AtomOrder,
    rows: Vec<u32>,
    blocks: Vec<u32>,
    faulty: AtomicBool,
    programs: [Vec<Stage>; 2],
    geometry: Vec<Geometry<T>>,
    slopes: Vec<SlopeWeights<T>>,
    sent: Vec<Sent<T>>,
    reverse: Vec<u32>,
    features: Aligned<T>,
    vectors: Aligned<T>,
    senders: Aligned<T>,
    saved: Aligned<T>,
    gradients: [Aligned<T>; 2],
    contexts: Aligned<T>,
    hidden: Aligned<T>,
    wide: Aligned<T>,
    mixed: Aligned<T>,
    readout: Aligned<T>,
    readout_back: Aligned<T>,
    energies: Vec<f64>,
    strain: Vec<Mat3>,
}

impl<T: Real> Workspace<T> {
    /// For atoms with these species indices, on up to so many threads.
    pub(super) fn new(network: &Network<T>, species: Vec<u32>, threads: usize) -> Self {
        let atoms = species.len();
        // Atoms that are not chained are fewer than these.
        let scratch = threads * ATOMS_PER_BLOCK;
        let per_atom = atoms * network.features;
        let layers = network.layers.len();
        Self {
            order: AtomOrder::new(atoms),
            rows: Vec::with_capacity(atoms + 1),
            blocks: Vec::with_capacity(atoms + 1),
            faulty: AtomicBool::new(false),
            programs: [false, true].map(|chained| stages::program(layers, chained)),
            geometry: Vec::new(),
            slopes: Vec::new(),
            sent: Vec::new(),
            reverse: Vec::new(),
            features: Aligned::zeros(2 * per_atom),
            vectors: Aligned::zeros(3 * per_atom),
            senders: Aligned::zeros((layers - 1) * 6 * per_atom),
            saved: Aligned::zeros(layers * Saved::COUNT * per_atom),
            gradients: [(); 2].map(|()| Aligned::zeros(4 * per_atom)),
            contexts: Aligned::zeros(3 * per_atom),
            hidden: Aligned::zeros(scratch * network.features),
            wide: Aligned::zeros(3 * scratch * network.features),
            mixed: Aligned::zeros(6 * scratch * network.features),
            readout: Aligned::zeros(scratch * network.readout.size),
            readout_back: Aligned::zeros(scratch * network.readout.size),
            energies: vec![0.0; atoms],
            strain: vec![Mat3::zeros(); atoms],
            kinds: species.clone(),
            species,
        }
    }

    /// Number of atoms.
    pub(super) fn atoms(&self) -> usize {
        self.kinds.len()
    }

    /// Most stages of an evaluation.
    pub(super) fn stages(&self) -> usize {
        self.programs.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Makes room for the pairs, checks what kernels rely on, and cuts rows into blocks.
    pub(super) fn prepare(
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
        if self.geometry.len() < count + message::AHEAD {
            let room = (count as f64 * PAIR_ROOM) as usize + message::AHEAD;
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

    /// What tasks see, and the stages to run.
    pub(super) fn view<'a>(
        &'a mut self,
        network: &'a Network<T>,
        pairs: &'a Pairs,
        threads: usize,
        scale: f64,
        out: &'a mut Evaluation,
    ) -> (View<'a, T>, &'a [Stage]) {
        let (atom_blocks, chained) = stages::cut(self.kinds.len(), threads);
        let [even, odd] = &mut self.gradients;
        let view = View {
            network,
            pairs,
            atoms: self.species.len(),
            atom_blocks,
            order: &self.order.order,
            rank: &self.order.rank,
            species: &self.species,
            rows: &self.rows,
            blocks: &self.blocks,
            faulty: &self.faulty,
            scale,
            geometry: Shared::new(&mut self.geometry),
            slopes: Shared::new(&mut self.slopes),
            sent: Shared::new(&mut self.sent),
            reverse: Shared::new(&mut self.reverse),
            features: self.features.shared(),
            vectors: self.vectors.shared(),
            senders: self.senders.shared(),
            saved: self.saved.shared(),
            gradients: [even.shared(), odd.shared()],
            contexts: self.contexts.shared(),
            hidden: self.hidden.shared(),
            wide: self.wide.shared(),
            mixed: self.mixed.shared(),
            readout: self.readout.shared(),
            readout_back: self.readout_back.shared(),
            energies: Shared::new(&mut self.energies),
            forces: Shared::new(&mut out.forces),
            strain: Shared::new(&mut self.strain),
        };
        (view, &self.programs[usize::from(chained)])
    }

    /// Sums up, in f64 and in the caller's order of atoms: the strain derivative into `out`, and the
    /// network's energy.
    pub(super) fn finish(&self, out: &mut Evaluation) -> Result<f64> {
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
