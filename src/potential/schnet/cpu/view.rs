//! The arrays of one evaluation, and what its tasks see of them.

use std::ops::{Deref, Range};

use super::super::Schnet;
use super::super::packed::PackedSchnet;
use crate::neighbors::Pairs;
use crate::potential::Evaluation;
use crate::potential::fused::ATOMS_PER_BLOCK;
use crate::potential::fused::lane::Real;
use crate::potential::fused::memory::{Aligned, Shared};
use crate::potential::fused::rows::{Metric, PairRows, PairView};

/// What tasks see: N atoms in the engine's order, F padded features, slices of `width` channels. Scratch arrays have rows for
/// one block of atoms on each thread.
pub(super) struct SchnetView<'a, T> {
    pub(super) network: &'a PackedSchnet<T>,
    rows: PairView<'a, T>,
    /// Blocks of the atom-wise stages.
    pub(super) atom_blocks: usize,
    /// x, and from the readout on its gradient, \[N\]\[F\].
    pub(super) features: Shared<T>,
    /// g, and on the way back the gradient of y, \[N\]\[F\].
    pub(super) sums: Shared<T>,
    /// Before the update's shifted softplus, \[L\]\[N\]\[F\].
    pub(super) hidden: Shared<T>,
    /// y of layers after the first, \[L - 1\]\[slice\]\[N\]\[width\].
    senders: Shared<T>,
    /// Gradient of g, \[slice\]\[N\]\[width\].
    gradients: Shared<T>,
    /// Scratch: input of the second product of a net, \[S\]\[F\].
    pub(super) active: Shared<T>,
    /// Scratch: silu of the readout's hidden numbers, and its slopes, \[S\]\[size\].
    pub(super) readout: Shared<T>,
    pub(super) readout_back: Shared<T>,
}

impl<'a, T> Deref for SchnetView<'a, T> {
    type Target = PairView<'a, T>;

    #[inline(always)]
    fn deref(&self) -> &PairView<'a, T> {
        &self.rows
    }
}

impl<T: Real> SchnetView<'_, T> {
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
        unsafe {
            self.senders
                .at((block * self.atoms + atom) * self.network.width)
        }
    }

    /// One atom's gradient of g.
    ///
    /// # Safety
    /// The arrays live.
    #[inline(always)]
    pub(super) unsafe fn gradient(&self, slice: usize, atom: usize) -> *mut T {
        unsafe {
            self.gradients
                .at((slice * self.atoms + atom) * self.network.width)
        }
    }
}

/// Numbers of an atom in the arrays of [`SchnetArrays::new`], in features.
fn per_atom(layers: usize) -> usize {
    3 + layers + (layers - 1)
}

/// Least memory (bytes) for scratch arrays on one thread, each atom and each pair.
pub(super) fn bytes_needed<T: Real>(schnet: &Schnet) -> [usize; 3] {
    let [atom, pair] = PairRows::<T>::bytes_needed();
    let feature = schnet.features * size_of::<T>();
    let numbers = per_atom(schnet.layers.len().max(1));
    [ATOMS_PER_BLOCK * feature, atom + numbers * feature, pair]
}

/// The arrays, kept from call to call; see [`SchnetView`].
pub(super) struct SchnetArrays<T> {
    pub(super) rows: PairRows<T>,
    features: Aligned<T>,
    sums: Aligned<T>,
    hidden: Aligned<T>,
    senders: Aligned<T>,
    gradients: Aligned<T>,
    active: Aligned<T>,
    readout: Aligned<T>,
    readout_back: Aligned<T>,
}

impl<T: Real> SchnetArrays<T> {
    /// For atoms with these species indices, on up to so many threads.
    pub(super) fn new(network: &PackedSchnet<T>, species: Vec<u32>, threads: usize) -> Self {
        let numbers = species.len() * network.features;
        let scratch = threads * ATOMS_PER_BLOCK;
        let layers = network.layers.len();
        Self {
            rows: PairRows::new(species),
            features: Aligned::zeros(numbers),
            sums: Aligned::zeros(numbers),
            hidden: Aligned::zeros(layers * numbers),
            senders: Aligned::zeros((layers - 1) * numbers),
            gradients: Aligned::zeros(numbers),
            active: Aligned::zeros(scratch * network.features),
            readout: Aligned::zeros(scratch * network.readout.size),
            readout_back: Aligned::zeros(scratch * network.readout.size),
        }
    }

    /// What tasks see, on so many threads; energies are in units of `scale` (eV).
    pub(super) fn view<'a>(
        &'a mut self,
        network: &'a PackedSchnet<T>,
        pairs: &'a Pairs,
        (threads, scale): (usize, f64),
        out: &'a mut Evaluation,
    ) -> SchnetView<'a, T> {
        let metric = Metric {
            cutoff: network.cutoff,
            intervals: network.layers[0].filter.intervals,
            soft: 0.0,
            scale,
        };
        let atoms = self.rows.atoms();
        SchnetView {
            network,
            rows: self.rows.view(pairs, metric, out),
            // As many for each thread.
            atom_blocks: atoms.div_ceil(ATOMS_PER_BLOCK * threads) * threads,
            features: self.features.shared(),
            sums: self.sums.shared(),
            hidden: self.hidden.shared(),
            senders: self.senders.shared(),
            gradients: self.gradients.shared(),
            active: self.active.shared(),
            readout: self.readout.shared(),
            readout_back: self.readout_back.shared(),
        }
    }
}
