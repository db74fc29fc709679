//! Messages between neighbours, forward and backward: gathers over the rows of the pair list, slice by slice of the channels,
//! with the atom's sums in registers and its pairs in their canonical order.

use super::view::{SENT, StudentKept, StudentView};
use crate::potential::fused::lane::Lane;
use crate::potential::fused::memory::prefetch;
use crate::potential::fused::rows::AHEAD;
use crate::potential::fused::slices::{
    add, filters, filters_and_slopes, load, load3, mul_add, scale_add, splats, store, zero,
};

/// What atoms send in a layer: s (and v) of each, or in the first layer s of each species.
#[inline(always)]
unsafe fn sender<V: Lane, const FIRST: bool>(
    view: &StudentView<V::T>,
    layer: usize,
    slice: usize,
    atom: usize,
) -> *const V::T {
    if FIRST {
        let network = view.network;
        let place = view.species[atom] as usize * network.features + slice * network.width;
        return network.embedding.as_slice()[place..].as_ptr();
    }
    unsafe { view.sender(layer, slice, atom) }
}

/// Messages of layer `layer` to the atoms of a block: s_i += sum_j w_0 s_j ;  v_i += sum_j w_1 v_j + w_2 u. In the first layer
/// s is the species' and v is zero.
#[inline(always)]
pub(super) unsafe fn gather<V: Lane, const FIRST: bool>(
    view: &StudentView<V::T>,
    layer: usize,
    block: usize,
) {
    let width = 2 * V::N;
    let features = view.network.features;
    for slice in 0..view.network.slices {
        let table = view.network.layers[layer].filter.slice(slice).as_ptr();
        // SAFETY: indices below are within the arrays that `StudentView` describes; a block's rows are written by this task
        // alone, and what is read of neighbours was written in earlier stages.
        unsafe {
            for i in view.row_block(block) {
                let own = sender::<V, FIRST>(view, layer, slice, i);
                let mut s = load::<V>(own);
                let mut v = if FIRST {
                    [zero::<V>(); 3]
                } else {
                    load3::<V>(own.add(width), width)
                };
                for p in view.row(i) {
                    let pair = &*view.geometry.at(p);
                    if !FIRST {
                        let next = (*view.geometry.at(p + AHEAD)).neighbor as usize;
                        prefetch(view.sender(layer, slice, next).cast_const(), SENT * width);
                    }
                    let from = table.add(pair.knot as usize * 3 * width);
                    let w = filters::<V, FIRST>(from, &pair.weights);
                    let unit = splats::<V, 3>(&pair.unit);
                    let x = sender::<V, FIRST>(view, layer, slice, pair.neighbor as usize);
                    s = mul_add(w[0], load::<V>(x), s);
                    for a in 0..3 {
                        v[a] = scale_add(w[1], unit[a], v[a]);
                        if !FIRST {
                            v[a] = mul_add(w[2], load::<V>(x.add((1 + a) * width)), v[a]);
                        }
                    }
                }
                store(s, view.features.at(i * 2 * features + slice * width));
                let kept = view.kept(layer, slice, i);
                for a in 0..3 {
                    store(v[a], kept.add((StudentKept::V + a) * width));
                }
            }
        }
    }
}

/// Backward of the messages that the atoms j of a block sent in layer `layer`, with G = dE/d and w as the splines have them (of
/// s, of the unit vector, of v):
///
/// G_s_j += sum_i w_s G_s_i ;  G_v_j += sum_i w_v G_v_i. Per pair, to be added over slices and layers,
/// s = sum_f w_s' s_j G_s_i + w_u' (G_v_i . u) + w_v' (G_v_i . v_j) and t = sum_f w_u G_v_i, u being that of (i <- j): minus the
/// row's own.
///
/// Nothing reads G_s and G_v of the first layer.
#[inline(always)]
pub(super) unsafe fn gather_back<V: Lane, const FIRST: bool>(
    view: &StudentView<V::T>,
    layer: usize,
    block: usize,
) {
    let width = 2 * V::N;
    for slice in 0..view.network.slices {
        let table = view.network.layers[layer].filter.slice(slice).as_ptr();
        // SAFETY: as in `gather`.
        unsafe {
            for j in view.row_block(block) {
                let own = sender::<V, FIRST>(view, layer, slice, j);
                let mut gs = zero::<V>();
                let mut gv = [zero::<V>(); 3];
                for p in view.row(j) {
                    let pair = &*view.geometry.at(p);
                    let next = (*view.geometry.at(p + AHEAD)).neighbor as usize;
                    prefetch(view.gradient(layer, slice, next).cast_const(), SENT * width);
                    let from = table.add(pair.knot as usize * 3 * width);
                    let g = view
                        .gradient(layer, slice, pair.neighbor as usize)
                        .cast_const();
                    let mut sent = [V::splat(V::T::default()); 4];
                    // Lane by lane, so that all sums stay in registers.
                    for h in 0..2 {
                        let at = h * V::N;
                        let [w, slope] = filters_and_slopes::<V, FIRST>(
                            from.add(at),
                            &pair.weights,
                            &*view.slopes.at(p),
                        );
                        let (own, g) = (own.add(at), g.add(at));
                        let of_s = V::load(g);
                        let of_v = [
                            V::load(g.add(width)),
                            V::load(g.add(2 * width)),
                            V::load(g.add(3 * width)),
                        ];
                        let mut along = V::splat(V::T::default());
                        for a in 0..3 {
                            along = of_v[a].mul_add(V::splat(pair.unit[a]), along);
                            sent[1 + a] = w[1].mul_add(of_v[a], sent[1 + a]);
                        }
                        sent[0] = slope[0].mul_add(V::load(own).mul(of_s), sent[0]);
                        // The row's unit vector points the other way.
                        sent[0] = sent[0].sub(slope[1].mul(along));
                        if !FIRST {
                            let mut carried = V::splat(V::T::default());
                            for a in 0..3 {
                                let v = V::load(own.add((1 + a) * width));
                                carried = of_v[a].mul_add(v, carried);
                                gv[a][h] = w[2].mul_add(of_v[a], gv[a][h]);
                            }
                            sent[0] = slope[2].mul_add(carried, sent[0]);
                            gs[h] = w[0].mul_add(of_s, gs[h]);
                        }
                    }
                    V::add_sums(sent, view.sent.at(p));
                }
                if !FIRST {
                    let (had, after) = (
                        view.gradient(layer, slice, j).cast_const(),
                        view.gradient(layer - 1, slice, j),
                    );
                    for (k, sum) in [gs, gv[0], gv[1], gv[2]].into_iter().enumerate() {
                        let one = add(sum, load::<V>(had.add(k * width)));
                        store(one, after.add(k * width));
                    }
                }
            }
        }
    }
}
