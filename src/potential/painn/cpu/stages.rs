//! The stages of one evaluation, in order, and what they share.
//!
//! A stage is a set of tasks that are independent of each other; the next begins when all are done.
//! Pair stages have a task per block of rows. Atom-wise stages run in one of two ways, chosen by size
//! alone for speed, with the same bits: one stage after another with a task per block and slice (few
//! atoms: both cores work on one product, on different columns), or one task per block that takes it
//! through all atom-wise stages up to the next gather (many atoms: everything stays in cache).

use super::atomwise::BlockSlice;
use super::gemm::Products;
use super::lane::Real;
use super::view::{AtomBlock, View};
use super::{ATOMS_PER_BLOCK, for_each_lane, message, rows};

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

/// One task of a stage, on a thread.
#[inline(always)]
unsafe fn task<V: LaneKernels>(view: &View<V::T>, stage: Stage, task: usize, thread: usize) {
    let blocks = view.atom_blocks;
    // Whole chains: a thread has one block at a time.
    let chained = || AtomBlock {
        atoms: view.atom_block(task),
        scratch: thread * ATOMS_PER_BLOCK,
    };
    unsafe {
        match stage {
            Stage::Geometry => rows::geometry(view, task),
            Stage::Gather(0) => message::gather::<V, true>(view, 0, task),
            Stage::Gather(layer) => message::gather::<V, false>(view, layer, task),
            Stage::GatherBack(0) => message::gather_back::<V, true>(view, 0, task),
            Stage::GatherBack(layer) => message::gather_back::<V, false>(view, layer, task),
            Stage::Forces => rows::forces(view, task),
            // One stage after another: every atom has a row of its own in the scratch arrays.
            Stage::Atoms(stage, layer) => {
                let (atoms, slice) = match stage {
                    Readout => (view.atom_block(task), 0),
                    _ => (view.atom_block(task % blocks), task / blocks),
                };
                let scratch = atoms.start;
                V::atoms(view, stage, layer, AtomBlock { atoms, scratch }, slice);
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
unsafe fn chain<V: LaneKernels>(
    view: &View<V::T>,
    stages: &[AtomStage],
    layer: usize,
    block: &AtomBlock,
) {
    for stage in stages {
        for slice in 0..view.network.slices {
            unsafe { V::atoms(view, *stage, layer, block.clone(), slice) };
        }
    }
}

/// One slice of one block of an atom-wise stage.
#[inline(always)]
unsafe fn atoms<V: LaneKernels>(
    view: &View<V::T>,
    stage: AtomStage,
    layer: usize,
    block: AtomBlock,
    slice: usize,
) {
    let part = BlockSlice::<V> {
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
pub(super) trait LaneKernels: Products {
    unsafe fn atoms(
        view: &View<Self::T>,
        stage: AtomStage,
        layer: usize,
        block: AtomBlock,
        slice: usize,
    );
    unsafe fn task(view: &View<Self::T>, stage: Stage, task: usize, thread: usize);
}

macro_rules! kernels {
    ($lane:ty $(, $feature:literal)?) => {
        impl LaneKernels for $lane {
            $(#[target_feature(enable = $feature)])?
            unsafe fn atoms(view: &View<Self::T>, stage: AtomStage, layer: usize, block: AtomBlock, slice: usize) {
                unsafe { atoms::<Self>(view, stage, layer, block, slice) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn task(view: &View<Self::T>, stage: Stage, index: usize, thread: usize) {
                unsafe { task::<Self>(view, stage, index, thread) }
            }
        }
    };
}

for_each_lane!(kernels);

#[cfg(test)]
mod tests {
    use super::*;

    /// What the size of the scratch arrays relies on: a chained block has room in its thread's part, and
    /// without chains there is a row for every atom.
    #[test]
    fn scratch_arrays_have_room() {
        for threads in 1..40 {
            for atoms in 1..3000 {
                let (blocks, chained) = cut(atoms, threads);
                let rows = if chained {
                    atoms.div_ceil(blocks)
                } else {
                    atoms.div_ceil(threads)
                };
                assert!(rows <= ATOMS_PER_BLOCK, "{atoms} atoms, {threads} threads");
            }
        }
    }
}
