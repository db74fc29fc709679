//! The arrays of one evaluation, and what its tasks see of them.

use std::ops::{Deref, Range};

use super::super::Student;
use super::super::packed::PackedStudent;
use crate::neighbors::Pairs;
use crate::potential::Evaluation;
use crate::potential::fused::ATOMS_PER_BLOCK;
use crate::potential::fused::lane::Real;
use crate::potential::fused::memory::{Aligned, Shared};
use crate::potential::fused::rows::{Metric, PairRows, PairView};

/// Slices of what an atom sends: s, v.
pub(super) const SENT: usize = 4;

/// Places, in slices, of what the forward pass keeps of an atom and layer for the backward pass.
pub(super) struct StudentKept;

impl StudentKept {
    /// v behind the message.
    pub(super) const V: usize = 0;
    /// Input of the update's silu.
    pub(super) const HIDDEN: usize = 3;
    /// g and h.
    pub(super) const GATES: usize = 4;
    pub(super) const COUNT: usize = 6;
}

/// What tasks see: N atoms in the engine's order, F padded features, slices of `width` channels. Scratch arrays have rows for
/// one block of atoms on each thread.
pub(super) struct StudentView<'a, T> {
    pub(super) network: &'a PackedStudent<T>,
    rows: PairView<'a, T>,
    /// Blocks of the atom-wise stages.
    pub(super) atom_blocks: usize,
    /// s and |v| behind the message, \[N\]\[2\]\[F\].
    pub(super) features: Shared<T>,
    /// s and v that layers after the first send, \[L - 1\]\[slice\]\[N\]\[4\]\[width\].
    senders: Shared<T>,
    /// [`StudentKept`], \[L\]\[slice\]\[N\]\[6\]\[width\].
    kept: Shared<T>,
    /// G_s and G_v, \[slice\]\[N\]\[4\]\[width\], of even and odd layers.
    gradients: [Shared<T>; 2],
    /// Scratch: silu of hidden numbers or their gradients, \[S\]\[F\].
    pub(super) hidden: Shared<T>,
    /// Scratch: G_a, G_g, G_h, \[S\]\[3\]\[F\].
    pub(super) wide: Shared<T>,
    /// Scratch: silu of the readout's hidden numbers, and its slopes, \[S\]\[size\].
    pub(super) readout: Shared<T>,
    pub(super) readout_back: Shared<T>,
}

impl<'a, T> Deref for StudentView<'a, T> {
    type Target = PairView<'a, T>;

    #[inline(always)]
    fn deref(&self) -> &PairView<'a, T> {
        &self.rows
    }
}

impl<T: Real> StudentView<'_, T> {
    /// The atoms of a block of the atom-wise stages; blocks are of nearly equal sizes.
    pub(super) fn atom_block(&self, block: usize) -> Range<usize> {
        let blocks = self.atom_blocks;
        block * self.atoms / blocks..(block + 1) * self.atoms / blocks
    }

    /// What one atom sends in a layer after the first.
    ///
    /// # Safety
    /// The arrays live.
    #[inline(always)]
    pub(super) unsafe fn sender(&self, layer: usize, slice: usize, atom: usize) -> *mut T {
        let block = (layer - 1) * self.network.slices + slice;
        let place = (block * self.atoms + atom) * SENT * self.network.width;
        unsafe { self.senders.at(place) }
    }

    /// One atom's [`StudentKept`].
    ///
    /// # Safety
    /// The arrays live.
    #[inline(always)]
    pub(super) unsafe fn kept(&self, layer: usize, slice: usize, atom: usize) -> *mut T {
        let block = layer * self.network.slices + slice;
        let place = (block * self.atoms + atom) * StudentKept::COUNT * self.network.width;
        unsafe { self.kept.at(place) }
    }

    /// One atom's G_s and G_v in a layer: behind its update until that is undone, then behind its message.
    ///
    /// # Safety
    /// The arrays live.
    #[inline(always)]
    pub(super) unsafe fn gradient(&self, layer: usize, slice: usize, atom: usize) -> *mut T {
        let place = (slice * self.atoms + atom) * SENT * self.network.width;
        unsafe { self.gradients[layer % 2].at(place) }
    }
}

/// Numbers of an atom in the arrays of [`StudentArrays::new`], in features.
fn per_atom(layers: usize) -> usize {
    2 + (layers - 1) * SENT + layers * StudentKept::COUNT + 2 * SENT
}

/// Least memory (bytes) for scratch arrays on one thread, each atom and each pair.
pub(super) fn bytes_needed<T: Real>(student: &Student) -> [usize; 3] {
    let [atom, pair] = PairRows::<T>::bytes_needed();
    let feature = student.features * size_of::<T>();
    let numbers = per_atom(student.layers.len().max(1));
    // Hidden and wide.
    let scratch = (1 + 3) * ATOMS_PER_BLOCK * feature;
    [scratch, atom + numbers * feature, pair]
}

/// The arrays, kept from call to call; see [`StudentView`].
pub(super) struct StudentArrays<T> {
    pub(super) rows: PairRows<T>,
    features: Aligned<T>,
    senders: Aligned<T>,
    kept: Aligned<T>,
    gradients: [Aligned<T>; 2],
    hidden: Aligned<T>,
    wide: Aligned<T>,
    readout: Aligned<T>,
    readout_back: Aligned<T>,
}

impl<T: Real> StudentArrays<T> {
    /// For atoms with these species indices, on up to so many threads.
    pub(super) fn new(network: &PackedStudent<T>, species: Vec<u32>, threads: usize) -> Self {
        let numbers = species.len() * network.features;
        let scratch = threads * ATOMS_PER_BLOCK;
        let layers = network.layers.len();
        Self {
            rows: PairRows::new(species),
            features: Aligned::zeros(2 * numbers),
            senders: Aligned::zeros((layers - 1) * SENT * numbers),
            kept: Aligned::zeros(layers * StudentKept::COUNT * numbers),
            gradients: [(); 2].map(|()| Aligned::zeros(SENT * numbers)),
            hidden: Aligned::zeros(scratch * network.features),
            wide: Aligned::zeros(3 * scratch * network.features),
            readout: Aligned::zeros(scratch * network.readout.size),
            readout_back: Aligned::zeros(scratch * network.readout.size),
        }
    }

    /// What tasks see, on so many threads; energies are in units of `scale` (eV).
    pub(super) fn view<'a>(
        &'a mut self,
        network: &'a PackedStudent<T>,
        pairs: &'a Pairs,
        (threads, scale): (usize, f64),
        out: &'a mut Evaluation,
    ) -> StudentView<'a, T> {
        let metric = Metric {
            cutoff: network.cutoff,
            intervals: network.layers[0].filter.intervals,
            soft: network.soft,
            scale,
        };
        let atoms = self.rows.atoms();
        let [even, odd] = &mut self.gradients;
        StudentView {
            network,
            rows: self.rows.view(pairs, metric, out),
            // As many for each thread.
            atom_blocks: atoms.div_ceil(ATOMS_PER_BLOCK * threads) * threads,
            features: self.features.shared(),
            senders: self.senders.shared(),
            kept: self.kept.shared(),
            gradients: [even.shared(), odd.shared()],
            hidden: self.hidden.shared(),
            wide: self.wide.shared(),
            readout: self.readout.shared(),
            readout_back: self.readout_back.shared(),
        }
    }
}
