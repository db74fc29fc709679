//! Messages between neighbours, forward and backward: gathers over the rows of the pair list, slice by slice of the channels,
//! with the atom's sums in registers and its pairs in their canonical order.

use super::view::SchnetView;
use crate::potential::fused::lane::Lane;
use crate::potential::fused::memory::prefetch;
use crate::potential::fused::rows::AHEAD;
use crate::potential::fused::slices::{filter, filter_and_slope, load, mul, mul_add, store, zero};

/// y of an atom in a layer, or in the first layer of its species.
#[inline(always)]
unsafe fn sender<V: Lane, const FIRST: bool>(
    view: &SchnetView<V::T>,
    layer: usize,
    slice: usize,
    atom: usize,
) -> *const V::T {
    if FIRST {
        let network = view.network;
        let place = view.species[atom] as usize * network.features + slice * network.width;
        return network.first.as_slice()[place..].as_ptr();
    }
    unsafe { view.sender(layer, slice, atom) }
}

/// Messages of layer `layer` to the atoms of a block: g_i = sum_j w y_j. With the first layer x begins as the embedding.
#[inline(always)]
pub(super) unsafe fn gather<V: Lane, const FIRST: bool>(
    view: &SchnetView<V::T>,
    layer: usize,
    block: usize,
) {
    let width = 2 * V::N;
    let features = view.network.features;
    for slice in 0..view.network.slices {
        let table = view.network.layers[layer].filter.slice(slice).as_ptr();
        // SAFETY: indices below are within the arrays that `SchnetView` describes; a block's rows are written by this task
        // alone, and what is read of neighbours was written in earlier stages.
        unsafe {
            for i in view.row_block(block) {
                let mut sum = zero::<V>();
                for p in view.row(i) {
                    let pair = &*view.geometry.at(p);
                    if !FIRST {
                        let next = (*view.geometry.at(p + AHEAD)).neighbor as usize;
                        prefetch(view.sender(layer, slice, next).cast_const(), width);
                    }
                    let w = filter::<V>(table.add(pair.knot as usize * width), &pair.weights);
                    let y = sender::<V, FIRST>(view, layer, slice, pair.neighbor as usize);
                    sum = mul_add(w, load::<V>(y), sum);
                }
                let place = i * features + slice * width;
                store(sum, view.sums.at(place));
                if FIRST {
                    let own = view.species[i] as usize * features + slice * width;
                    let own = view.network.embedding.as_slice()[own..].as_ptr();
                    store(load::<V>(own), view.features.at(place));
                }
            }
        }
    }
}

/// Backward of the messages that the atoms j of a block sent in layer `layer`: G_y_j = sum_i w G_g_i, and per pair, to be added
/// over slices and layers, s = sum_f w' y_j G_g_i. Nothing reads G_y of the first layer.
#[inline(always)]
pub(super) unsafe fn gather_back<V: Lane, const FIRST: bool>(
    view: &SchnetView<V::T>,
    layer: usize,
    block: usize,
) {
    let width = 2 * V::N;
    let features = view.network.features;
    for slice in 0..view.network.slices {
        let table = view.network.layers[layer].filter.slice(slice).as_ptr();
        // SAFETY: as in `gather`.
        unsafe {
            for j in view.row_block(block) {
                let own = load::<V>(sender::<V, FIRST>(view, layer, slice, j));
                let mut sum = zero::<V>();
                let nothing = V::splat(V::T::default());
                for p in view.row(j) {
                    let pair = &*view.geometry.at(p);
                    let next = (*view.geometry.at(p + AHEAD)).neighbor as usize;
                    prefetch(view.gradient(slice, next).cast_const(), width);
                    let from = table.add(pair.knot as usize * width);
                    let [w, slope] =
                        filter_and_slope::<V>(from, &pair.weights, &*view.slopes.at(p));
                    let g = load::<V>(view.gradient(slice, pair.neighbor as usize));
                    let [low, high] = mul(slope, mul(own, g));
                    V::add_sums([low.add(high), nothing, nothing, nothing], view.sent.at(p));
                    sum = mul_add(w, g, sum);
                }
                if !FIRST {
                    store(sum, view.sums.at(j * features + slice * width));
                }
            }
        }
    }
}
