//! The stages of one evaluation, in order, and what they share.
//!
//! A stage is a set of tasks that are independent of each other; the next begins when all are done.
//! Pair stages have a task per block of rows. Atom-wise stages run in one of two ways, chosen by size
//! alone for speed, with the same bits: one stage after another with a task per block and slice (few
//! atoms: both cores work on one product, on different columns), or one task per block that takes it
//! through all atom-wise stages up to the next gather (many atoms: everything stays in cache).

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::core::{Mat3, Vec3};
use crate::neighbors::Pairs;

use super::atomwise::Part;
use super::gemm::{self, Product};
use super::lane::{Lane, Real, Wide};
use super::memory::Shared;
use super::message::{self, Geometry, Sent, SlopeWeights};
use super::network::Network;

/// Atoms of a block in the atom-wise stages: two register tiles of 12 rows, six for vectors.
pub(super) const ATOMS_PER_BLOCK: usize = 24;

/// Fewest atoms of a block that a task takes through a chain of stages: with fewer, reading all weights
/// on every thread takes longer than handing activations around.
const CHAINED_ATOMS: usize = 6;

/// Blocks of the atom-wise stages, and whether a task takes one through a chain of stages.
pub(super) fn cut(atoms: usize, threads: usize) -> (usize, bool) {
    // As many for each thread.
    let blocks = atoms.div_ceil(ATOMS_PER_BLOCK * threads) * threads;
    if atoms >= CHAINED_ATOMS * blocks {
        (blocks, true)
    } else {
        (atoms.div_ceil(ATOMS_PER_BLOCK), false)
    }
}

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

    /// The same pairs in the caller's list.
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
    fn atom_block(&self, block: usize) -> Range<usize> {
        let blocks = self.atom_blocks;
        block * self.atoms / blocks..(block + 1) * self.atoms / blocks
    }

    /// Whether the pair list was found not to be one.
    pub(super) fn faulty(&self) -> bool {
        self.faulty.load(Ordering::Relaxed)
    }
}

/// One set of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Geometry,
    Gather(usize),
    Atoms(AtomStage, usize),
    /// Mixing and update of a layer, and the context of the next.
    Forward(usize),
    /// Mixing and update of the last layer, the readout, and back to the layer's gather.
    Turn(usize),
    GatherBack(usize),
    /// Back from a layer's gather to that of the layer before.
    Back(usize),
    Forces,
}

/// An atom-wise stage: a task per block and slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtomStage {
    Mix,
    UpdateHidden,
    Update,
    ContextHidden,
    Context,
    /// A task per block alone.
    Readout,
    UpdateBackStart,
    UpdateBackHidden,
    UpdateBack,
    MixBack,
    ContextBackHidden,
    ContextBack,
}

use AtomStage::*;

/// From a layer's gather to its end.
const UPDATE: [AtomStage; 3] = [Mix, UpdateHidden, Update];
/// From the end of the layer before to the gather.
const CONTEXT: [AtomStage; 2] = [ContextHidden, Context];
/// From the end of a layer back to its gather.
const UPDATE_BACK: [AtomStage; 4] = [UpdateBackStart, UpdateBackHidden, UpdateBack, MixBack];
/// From a gather back to the end of the layer before.
const CONTEXT_BACK: [AtomStage; 2] = [ContextBackHidden, ContextBack];

/// All stages of an evaluation of `layers` layers.
pub(super) fn program(layers: usize, chained: bool) -> Vec<Stage> {
    let mut stages = vec![Stage::Geometry];
    let chain = |stages: &mut Vec<Stage>, whole: Stage, parts: &[(&[AtomStage], usize)]| {
        if chained {
            stages.push(whole);
        } else {
            for (list, layer) in parts {
                stages.extend(list.iter().map(|stage| Stage::Atoms(*stage, *layer)));
            }
        }
    };
    let last = layers - 1;
    for layer in 0..last {
        stages.push(Stage::Gather(layer));
        chain(
            &mut stages,
            Stage::Forward(layer),
            &[(&UPDATE, layer), (&CONTEXT, layer + 1)],
        );
    }
    stages.push(Stage::Gather(last));
    chain(
        &mut stages,
        Stage::Turn(last),
        &[(&UPDATE, last), (&[Readout], last), (&UPDATE_BACK, last)],
    );
    stages.push(Stage::GatherBack(last));
    for layer in (1..layers).rev() {
        chain(
            &mut stages,
            Stage::Back(layer),
            &[(&CONTEXT_BACK, layer), (&UPDATE_BACK, layer - 1)],
        );
        stages.push(Stage::GatherBack(layer - 1));
    }
    stages.push(Stage::Forces);
    stages
}

impl Stage {
    /// Number of tasks.
    pub(super) fn tasks<T: Real>(self, view: &View<T>) -> usize {
        match self {
            Self::Geometry | Self::Gather(_) | Self::GatherBack(_) | Self::Forces => {
                view.blocks.len().saturating_sub(1)
            }
            Self::Atoms(Readout, _) | Self::Forward(_) | Self::Turn(_) | Self::Back(_) => {
                view.atom_blocks
            }
            Self::Atoms(..) => view.atom_blocks * view.network.slices,
        }
    }
}

/// A block of the atom-wise stages.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) atoms: Range<usize>,
    /// Row of its first atom in the scratch arrays.
    pub(super) scratch: usize,
}

/// One task of a stage, on a thread.
#[inline(always)]
unsafe fn task<V: Kernels>(view: &View<V::T>, stage: Stage, task: usize, thread: usize) {
    let blocks = view.atom_blocks;
    // Whole chains: a thread has one block at a time.
    let chained = || Block {
        atoms: view.atom_block(task),
        scratch: thread * ATOMS_PER_BLOCK,
    };
    unsafe {
        match stage {
            Stage::Geometry => message::geometry::<V>(view, task),
            Stage::Gather(0) => message::gather::<V, true>(view, 0, task),
            Stage::Gather(layer) => message::gather::<V, false>(view, layer, task),
            Stage::GatherBack(0) => message::gather_back::<V, true>(view, 0, task),
            Stage::GatherBack(layer) => message::gather_back::<V, false>(view, layer, task),
            Stage::Forces => message::forces::<V>(view, task),
            // One stage after another: every atom has a row of its own in the scratch arrays.
            Stage::Atoms(stage, layer) => {
                let (atoms, slice) = match stage {
                    Readout => (view.atom_block(task), 0),
                    _ => (view.atom_block(task % blocks), task / blocks),
                };
                let scratch = atoms.start;
                V::atoms(view, stage, layer, Block { atoms, scratch }, slice);
            }
            Stage::Forward(layer) => {
                chain::<V>(view, &UPDATE, layer, &chained());
                chain::<V>(view, &CONTEXT, layer + 1, &chained());
            }
            Stage::Turn(layer) => {
                chain::<V>(view, &UPDATE, layer, &chained());
                V::atoms(view, Readout, layer, chained(), 0);
                chain::<V>(view, &UPDATE_BACK, layer, &chained());
            }
            Stage::Back(layer) => {
                chain::<V>(view, &CONTEXT_BACK, layer, &chained());
                chain::<V>(view, &UPDATE_BACK, layer - 1, &chained());
            }
        }
    }
}

/// Takes a block through stages, all slices of one before the next.
#[inline(always)]
unsafe fn chain<V: Kernels>(view: &View<V::T>, stages: &[AtomStage], layer: usize, block: &Block) {
    for stage in stages {
        for slice in 0..view.network.slices {
            unsafe { V::atoms(view, *stage, layer, block.clone(), slice) };
        }
    }
}

/// One slice of one block of an atom-wise stage.
#[inline(always)]
unsafe fn atoms<V: Kernels>(
    view: &View<V::T>,
    stage: AtomStage,
    layer: usize,
    block: Block,
    slice: usize,
) {
    let part = Part::<V> {
        view,
        layer,
        block,
        slice,
    };
    unsafe {
        match stage {
            Mix => part.mix(),
            UpdateHidden => part.update_hidden(),
            Update => part.update(),
            ContextHidden => part.context_hidden(),
            Context => part.context(),
            Readout => part.readout(),
            UpdateBackStart => part.update_back_start(),
            UpdateBackHidden => part.update_back_hidden(),
            UpdateBack => part.update_back(),
            MixBack => part.mix_back(),
            ContextBackHidden => part.context_back_hidden(),
            ContextBack => part.context_back(),
        }
    }
}

/// The functions into which kernels are inlined, compiled for the lane's processor feature.
///
/// # Safety
/// The processor has the lane's feature, the view's arrays live and have the sizes that [`View`]
/// says, and no two tasks that write the same place run at once, which stages see to.
#[allow(clippy::missing_safety_doc, reason = "said above")]
pub(super) trait Kernels: Lane {
    unsafe fn product(product: &Product<Self::T>);
    unsafe fn atoms(
        view: &View<Self::T>,
        stage: AtomStage,
        layer: usize,
        block: Block,
        slice: usize,
    );
    unsafe fn task(view: &View<Self::T>, stage: Stage, task: usize, thread: usize);
}

macro_rules! kernels {
    ($lane:ty $(, $feature:literal)?) => {
        impl Kernels for $lane {
            $(#[target_feature(enable = $feature)])?
            unsafe fn product(product: &Product<Self::T>) {
                unsafe { gemm::multiply::<Self>(product) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn atoms(view: &View<Self::T>, stage: AtomStage, layer: usize, block: Block, slice: usize) {
                unsafe { atoms::<Self>(view, stage, layer, block, slice) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn task(view: &View<Self::T>, stage: Stage, index: usize, thread: usize) {
                unsafe { task::<Self>(view, stage, index, thread) }
            }
        }
    };
}

kernels!(Wide<f32, 8>);
kernels!(Wide<f64, 4>);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

    kernels!(__m512, "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma");
    kernels!(__m512d, "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma");
    kernels!(__m256, "avx2,fma");
    kernels!(__m256d, "avx2,fma");
}
