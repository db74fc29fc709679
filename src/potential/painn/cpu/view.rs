//! What the tasks of one evaluation see: weights, pairs, and the arrays that stages read and write.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::core::{Mat3, Vec3};
use crate::neighbors::Pairs;

use super::lane::Real;
use super::memory::Shared;
use super::network::Network;
use super::spline::ORDER;

/// Atoms of a block in the atom-wise stages: two register tiles of 12 rows, six for vectors.
pub(super) const ATOMS_PER_BLOCK: usize = 24;

/// What the forward pass reads of a pair (i <- j).
#[derive(Clone, Copy, Default)]
pub(super) struct Geometry<T> {
    /// Weights of the six spline coefficients.
    pub(super) weights: [T; ORDER],
    /// Unit vector from i to j.
    pub(super) unit: [T; 3],
    /// First coefficient.
    pub(super) knot: u32,
    /// j, in the engine's order of atoms.
    pub(super) neighbor: u32,
}

/// Weights of the six coefficients for the filters' slope (1 / angstrom).
pub(super) type SlopeWeights<T> = [T; ORDER];

/// What one atom sends a neighbour, as sums over channels and layers: the derivative of the energy
/// along the pair (s), and that with respect to the unit vector (t).
pub(super) type Sent<T> = [T; 4];

/// Places, in slices, of what the forward pass keeps of an atom and layer for the backward pass.
pub(super) struct Saved;

impl Saved {
    pub(super) const V: usize = 0;
    pub(super) const W: usize = 3;
    pub(super) const B: usize = 6;
    pub(super) const C: usize = 7;
    /// Input of the update's silu.
    pub(super) const UPDATE: usize = 8;
    /// Input of the context's silu.
    pub(super) const CONTEXT: usize = 9;
    pub(super) const COUNT: usize = 10;
}

/// What tasks see: weights, pairs, and the arrays of one evaluation. N atoms in the engine's order,
/// F padded features, slices of `width` channels. Scratch arrays have S rows: one for each atom of a
/// block on each thread (few enough atoms not to be chained have one each).
pub(super) struct View<'a, T> {
    pub(super) network: &'a Network<T>,
    pub(super) pairs: &'a Pairs,
    pub(super) atoms: usize,
    /// Blocks of the atom-wise stages.
    pub(super) atom_blocks: usize,
    /// The caller's index of each atom, and the other way round.
    pub(super) order: &'a [u32],
    pub(super) rank: &'a [u32],
    /// Index of each atom's species among those present.
    pub(super) species: &'a [u32],
    /// Where the pairs of each atom begin in the arrays of pairs here, which are in the engine's order of
    /// atoms, so that kernels go through them from one end to the other. Length: atoms + 1.
    pub(super) rows: &'a [u32],
    /// Where the blocks of rows begin.
    pub(super) blocks: &'a [u32],
    /// Set where the pair list is not one.
    pub(super) faulty: &'a AtomicBool,
    /// eV per unit of the network.
    pub(super) scale: f64,
    /// Per pair.
    pub(super) geometry: Shared<Geometry<T>>,
    pub(super) slopes: Shared<SlopeWeights<T>>,
    pub(super) sent: Shared<Sent<T>>,
    /// Index here of the pair (j <- i).
    pub(super) reverse: Shared<u32>,
    /// q and n, \[N\]\[2\]\[F\].
    pub(super) features: Shared<T>,
    /// mu after the message, \[N\]\[3\]\[F\].
    pub(super) vectors: Shared<T>,
    /// x and mu that layers after the first send, \[L - 1\]\[slice\]\[N\]\[6\]\[width\].
    pub(super) senders: Shared<T>,
    /// [`Saved`], \[L\]\[slice\]\[N\]\[10\]\[width\].
    pub(super) saved: Shared<T>,
    /// G_q and G_mu, \[slice\]\[N\]\[4\]\[width\], of even and odd layers.
    pub(super) gradients: [Shared<T>; 2],
    /// G_x, \[N\]\[3\]\[F\].
    pub(super) contexts: Shared<T>,
    /// Scratch: input of the second product of a net, \[S\]\[F\].
    pub(super) hidden: Shared<T>,
    /// Scratch: G_a, G_b, G_c, \[S\]\[3\]\[F\].
    pub(super) wide: Shared<T>,
    /// Scratch: G_v and G_w, \[S\]\[3\]\[2\]\[F\].
    pub(super) mixed: Shared<T>,
    /// Scratch: silu of the readout's hidden numbers, and their gradients, \[S\]\[size\].
    pub(super) readout: Shared<T>,
    pub(super) readout_back: Shared<T>,
    /// In the caller's order.
    pub(super) energies: Shared<f64>,
    pub(super) forces: Shared<Vec3>,
    /// In the engine's order.
    pub(super) strain: Shared<Mat3>,
}

impl<T: Real> View<'_, T> {
    /// The atoms of a block of rows.
    #[inline(always)]
    pub(super) fn row_block(&self, block: usize) -> Range<usize> {
        self.blocks[block] as usize..self.blocks[block + 1] as usize
    }

    /// The pairs of an atom in the arrays of pairs here.
    #[inline(always)]
    pub(super) fn row(&self, atom: usize) -> Range<usize> {
        self.rows[atom] as usize..self.rows[atom + 1] as usize
    }

    /// Places of an atom's pairs in the caller's list.
    #[inline(always)]
    pub(super) fn given_row(&self, atom: usize) -> Range<usize> {
        self.pairs.row(self.order[atom] as usize)
    }

    /// Start of the senders of a layer and slice.
    ///
    /// # Safety
    /// The arrays live.
    #[inline(always)]
    pub(super) unsafe fn senders(&self, layer: usize, slice: usize) -> *const T {
        if layer == 0 {
            let contexts = self.network.first_context.as_slice();
            return contexts[slice * (contexts.len() / self.network.slices)..].as_ptr();
        }
        let block = (layer - 1) * self.network.slices + slice;
        unsafe { self.senders.at(block * self.atoms * 6 * self.network.width) }
    }

    /// One atom's x and mu in a layer after the first.
    ///
    /// # Safety
    /// The arrays live.
    #[inline(always)]
    pub(super) unsafe fn sender(&self, layer: usize, slice: usize, atom: usize) -> *mut T {
        let block = (layer - 1) * self.network.slices + slice;
        unsafe {
            self.senders
                .at((block * self.atoms + atom) * 6 * self.network.width)
        }
    }

    /// One atom's [`Saved`].
    ///
    /// # Safety
    /// The arrays live.
    #[inline(always)]
    pub(super) unsafe fn saved(&self, layer: usize, slice: usize, atom: usize) -> *mut T {
        let block = layer * self.network.slices + slice;
        unsafe {
            self.saved
                .at((block * self.atoms + atom) * Saved::COUNT * self.network.width)
        }
    }

    /// G_q and G_mu after a layer.
    #[inline(always)]
    pub(super) fn gradients(&self, layer: usize) -> Shared<T> {
        self.gradients[layer % 2]
    }

    /// One atom's G_q and G_mu after a layer.
    ///
    /// # Safety
    /// The arrays live.
    #[inline(always)]
    pub(super) unsafe fn gradient(&self, layer: usize, slice: usize, atom: usize) -> *mut T {
        unsafe {
            self.gradients(layer)
                .at((slice * self.atoms + atom) * 4 * self.network.width)
        }
    }

    /// The atoms of a block of the atom-wise stages; blocks are of nearly equal sizes.
    pub(super) fn atom_block(&self, block: usize) -> Range<usize> {
        let blocks = self.atom_blocks;
        block * self.atoms / blocks..(block + 1) * self.atoms / blocks
    }

    /// Whether the pair list was found not to be one.
    pub(super) fn faulty(&self) -> bool {
        self.faulty.load(Ordering::Relaxed)
    }
}

/// A block of the atom-wise stages.
#[derive(Clone)]
pub(super) struct AtomBlock {
    pub(super) atoms: Range<usize>,
    /// Row of its first atom in the scratch arrays.
    pub(super) scratch: usize,
}
