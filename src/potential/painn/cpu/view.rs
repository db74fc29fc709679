//! What the tasks of one evaluation see: weights, pairs, and the arrays that stages read and write.

use std::ops::{Deref, Range};

use super::lane::Real;
use super::memory::Shared;
use super::network::Network;
use super::rows::PairView;

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
    pub(super) rows: PairView<'a, T>,
    /// Blocks of the atom-wise stages.
    pub(super) atom_blocks: usize,
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
}

impl<'a, T> Deref for View<'a, T> {
    type Target = PairView<'a, T>;

    #[inline(always)]
    fn deref(&self) -> &PairView<'a, T> {
        &self.rows
    }
}

impl<T: Real> View<'_, T> {
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
}

/// A block of the atom-wise stages.
#[derive(Clone)]
pub(super) struct AtomBlock {
    pub(super) atoms: Range<usize>,
    /// Row of its first atom in the scratch arrays.
    pub(super) scratch: usize,
}
