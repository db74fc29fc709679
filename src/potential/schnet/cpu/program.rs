//! The stages of one evaluation, in order. A stage is a set of tasks that are independent of each other: blocks of rows for
//! pairs, blocks of atoms for layers.

use super::atomwise::SchnetBlock;
use super::message;
use super::view::SchnetView;
use crate::potential::fused::gemm::Products;
use crate::potential::fused::lane::Real;
use crate::potential::fused::{ATOMS_PER_BLOCK, for_each_lane, rows};

/// One set of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchnetStage {
    Geometry,
    Gather(usize),
    /// The update of a layer, and what the next one sends.
    Update(usize),
    /// The update of the last layer, the readout, and back to the layer's gather.
    Turn(usize),
    GatherBack(usize),
    /// Back from a layer's gather to that of the layer before.
    Back(usize),
    Forces,
}

use SchnetStage::*;

/// All stages of an evaluation of `layers` layers.
pub(super) fn stages(layers: usize) -> Vec<SchnetStage> {
    let last = layers - 1;
    let mut stages = vec![Geometry];
    for layer in 0..last {
        stages.extend([Gather(layer), Update(layer)]);
    }
    stages.extend([Gather(last), Turn(last), GatherBack(last)]);
    for layer in (1..layers).rev() {
        stages.extend([Back(layer), GatherBack(layer - 1)]);
    }
    stages.push(Forces);
    stages
}

impl SchnetStage {
    /// Number of tasks.
    pub(super) fn tasks<T: Real>(self, view: &SchnetView<T>) -> usize {
        match self {
            Geometry | Gather(_) | GatherBack(_) | Forces => view.blocks.len().saturating_sub(1),
            Update(_) | Turn(_) | Back(_) => view.atom_blocks,
        }
    }
}

/// One task of a stage, on a thread.
#[inline(always)]
unsafe fn task<V: Products>(
    view: &SchnetView<V::T>,
    stage: SchnetStage,
    task: usize,
    thread: usize,
) {
    let block = || SchnetBlock::<V> {
        view,
        atoms: view.atom_block(task),
        scratch: thread * ATOMS_PER_BLOCK,
    };
    unsafe {
        match stage {
            Geometry => rows::geometry(view, task),
            Gather(0) => message::gather::<V, true>(view, 0, task),
            Gather(layer) => message::gather::<V, false>(view, layer, task),
            GatherBack(0) => message::gather_back::<V, true>(view, 0, task),
            GatherBack(layer) => message::gather_back::<V, false>(view, layer, task),
            Forces => rows::forces(view, task),
            Update(layer) => {
                block().update(layer);
                block().send(layer + 1);
            }
            Turn(layer) => {
                block().update(layer);
                block().readout();
                block().update_back(layer);
            }
            Back(layer) => {
                block().send_back(layer);
                block().update_back(layer - 1);
            }
        }
    }
}

/// The function into which kernels are inlined, compiled for the lane's processor feature.
///
/// # Safety
/// The processor has the lane's feature, the view's arrays live and have the sizes that [`SchnetView`] says, and no two tasks
/// that write the same place run at once, which stages see to.
#[allow(clippy::missing_safety_doc, reason = "said above")]
pub(super) trait SchnetKernels: Products {
    unsafe fn task(view: &SchnetView<Self::T>, stage: SchnetStage, task: usize, thread: usize);
}

macro_rules! kernels {
    ($lane:ty $(, $feature:literal)?) => {
        impl SchnetKernels for $lane {
            $(#[target_feature(enable = $feature)])?
            unsafe fn task(view: &SchnetView<Self::T>, stage: SchnetStage, index: usize, thread: usize) {
                unsafe { task::<Self>(view, stage, index, thread) }
            }
        }
    };
}

for_each_lane!(kernels);
