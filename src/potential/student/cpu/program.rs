//! The stages of one evaluation, in order. A stage is a set of tasks that are independent of each other: blocks of rows for
//! pairs, blocks of atoms for layers.

use super::atomwise::StudentBlock;
use super::message;
use super::view::StudentView;
use crate::potential::fused::gemm::Products;
use crate::potential::fused::lane::Real;
use crate::potential::fused::{ATOMS_PER_BLOCK, for_each_lane, rows};

/// One set of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StudentStage {
    Geometry,
    Gather(usize),
    /// The update of a layer.
    Update(usize),
    /// The update of the last layer, the readout, and back to the layer's gather.
    Turn(usize),
    GatherBack(usize),
    /// Back from the end of a layer to its gather.
    UpdateBack(usize),
    Forces,
}

use StudentStage::*;

/// All stages of an evaluation of `layers` layers.
pub(super) fn stages(layers: usize) -> Vec<StudentStage> {
    let last = layers - 1;
    let mut stages = vec![Geometry];
    for layer in 0..last {
        stages.extend([Gather(layer), Update(layer)]);
    }
    stages.extend([Gather(last), Turn(last), GatherBack(last)]);
    for layer in (0..last).rev() {
        stages.extend([UpdateBack(layer), GatherBack(layer)]);
    }
    stages.push(Forces);
    stages
}

impl StudentStage {
    /// Number of tasks.
    pub(super) fn tasks<T: Real>(self, view: &StudentView<T>) -> usize {
        match self {
            Geometry | Gather(_) | GatherBack(_) | Forces => view.blocks.len().saturating_sub(1),
            Update(_) | Turn(_) | UpdateBack(_) => view.atom_blocks,
        }
    }
}

/// One task of a stage, on a thread.
#[inline(always)]
unsafe fn task<V: Products>(
    view: &StudentView<V::T>,
    stage: StudentStage,
    task: usize,
    thread: usize,
) {
    let block = |layer| StudentBlock::<V> {
        view,
        layer,
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
            Update(layer) => block(layer).update(),
            Turn(layer) => {
                block(layer).update();
                block(layer).readout();
                block(layer).update_back();
            }
            UpdateBack(layer) => block(layer).update_back(),
        }
    }
}

/// The function into which kernels are inlined, compiled for the lane's processor feature.
///
/// # Safety
/// The processor has the lane's feature, the view's arrays live and have the sizes that [`StudentView`] says, and no two tasks
/// that write the same place run at once, which stages see to.
#[allow(clippy::missing_safety_doc, reason = "said above")]
pub(super) trait StudentKernels: Products {
    unsafe fn task(view: &StudentView<Self::T>, stage: StudentStage, task: usize, thread: usize);
}

macro_rules! kernels {
    ($lane:ty $(, $feature:literal)?) => {
        impl StudentKernels for $lane {
            $(#[target_feature(enable = $feature)])?
            unsafe fn task(view: &StudentView<Self::T>, stage: StudentStage, index: usize, thread: usize) {
                unsafe { task::<Self>(view, stage, index, thread) }
            }
        }
    };
}

for_each_lane!(kernels);
