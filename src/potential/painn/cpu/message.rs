//! The kernels over pairs: messages forward and backward (`fused::rows` has geometry and forces).
//!
//! Messages are gathers over the rows of the pair list, slice by slice of the channels, with the
//! receiver's sums in registers and its pairs in their canonical order. Backward, an atom gathers
//! over the same row what it sent to each of its neighbours.

use super::lane::Lane;
use super::memory::prefetch;
use super::rows::AHEAD;
use super::slices::{
    Slice, filters, filters_and_slopes, load, load3, mul, mul_add, scale_add, splats, store, zero,
};
use super::view::View;

/// Bytes of a slice of what all atoms send up to which the forward pass is faster without, since it
/// stays in the second-level cache.
const NEAR: usize = 1 << 19;

/// Messages of layer `layer` to the atoms of a block: q and mu after the sum, over all slices.
///
/// q_i += sum_j w_0 x0_j ;  mu_i += sum_j (w_1 x1_j) u + (w_2 x2_j) mu_j. In the first layer x is the
/// species' and mu is zero.
#[inline(always)]
pub(super) unsafe fn gather<V: Lane, const FIRST: bool>(
    view: &View<V::T>,
    layer: usize,
    block: usize,
) {
    let width = 2 * V::N;
    let features = view.network.features;
    let table = &view.network.layers[layer].filter;
    let far = !FIRST && view.atoms * 6 * width * size_of::<V::T>() > NEAR;
    for slice in 0..view.network.slices {
        let table = table.slice(slice).as_ptr();
        // SAFETY: indices below are within the arrays that `View` describes; a block's rows are
        // written by this task alone, and what is read of neighbours was written in earlier stages.
        unsafe {
            let senders = view.senders(layer, slice);
            for i in view.row_block(block) {
                let q = view.features.at(i * 2 * features + slice * width);
                let vectors = view.vectors.at(i * 3 * features + slice * width);
                let (mut sum, mut mu) = if FIRST {
                    let own = view.species[i] as usize * features + slice * width;
                    let own = view.network.embedding.as_slice()[own..].as_ptr();
                    (load::<V>(own), [zero::<V>(); 3])
                } else {
                    let own = senders.add((i * 6 + 3) * width);
                    (load::<V>(q), load3::<V>(own, width))
                };
                for p in view.row(i) {
                    let pair = &*view.geometry.at(p);
                    if far {
                        let next = (*view.geometry.at(p + AHEAD)).neighbor as usize;
                        prefetch(senders.add(next * 6 * width), 6 * width);
                    }
                    let w = filters::<V, FIRST>(
                        table.add(pair.knot as usize * 3 * width),
                        &pair.weights,
                    );
                    let j = pair.neighbor as usize;
                    let x = sender::<V, FIRST>(view, senders, j);
                    receive::<V, FIRST>(x, &w, &pair.unit, &mut sum, &mut mu);
                }
                store(sum, q);
                for a in 0..3 {
                    store(mu[a], vectors.add(a * features));
                }
            }
        }
    }
}

/// What the atom j sends: context x, and from the second layer on mu; \[6\]\[width\], or of its species \[3\]\[width\].
#[inline(always)]
unsafe fn sender<V: Lane, const FIRST: bool>(
    view: &View<V::T>,
    senders: *const V::T,
    j: usize,
) -> *const V::T {
    let width = 2 * V::N;
    let place = if FIRST {
        view.species[j] as usize * 3 * width
    } else {
        j * 6 * width
    };
    unsafe { senders.add(place) }
}

/// Adds one neighbour's message: w_0 x0 to q, (w_1 x1) u + (w_2 x2) mu_j to mu.
#[inline(always)]
unsafe fn receive<V: Lane, const FIRST: bool>(
    x: *const V::T,
    w: &[Slice<V>; 3],
    unit: &[V::T; 3],
    sum: &mut Slice<V>,
    mu: &mut [Slice<V>; 3],
) {
    let width = 2 * V::N;
    unsafe {
        let unit = splats::<V, 3>(unit);
        *sum = mul_add(w[0], load::<V>(x), *sum);
        let along = mul(w[1], load::<V>(x.add(width)));
        if FIRST {
            for a in 0..3 {
                mu[a] = scale_add(along, unit[a], mu[a]);
            }
        } else {
            let carried = mul(w[2], load::<V>(x.add(2 * width)));
            for a in 0..3 {
                mu[a] = scale_add(along, unit[a], mu[a]);
                mu[a] = mul_add(carried, load::<V>(x.add((3 + a) * width)), mu[a]);
            }
        }
    }
}

/// Gradients of what one atom sends, summed over its receivers.
struct SenderGradients<V: Lane> {
    /// G_x.
    x: [Slice<V>; 3],
    /// What receivers add to G_mu.
    mu: [Slice<V>; 3],
}

impl<V: Lane> SenderGradients<V> {
    #[inline(always)]
    unsafe fn zero() -> Self {
        unsafe {
            Self {
                x: [zero::<V>(); 3],
                mu: [zero::<V>(); 3],
            }
        }
    }

    /// Adds one receiver, of lane `h`: x and mu of the sender are at `own`, G_q and G_mu of the receiver at `g`, s and t of the
    /// pair go to `sent`.
    #[inline(always)]
    unsafe fn add<const FIRST: bool>(
        &mut self,
        h: usize,
        own: *const V::T,
        g: *const V::T,
        [w, slope]: &[[V; 3]; 2],
        unit: &[V::T; 3],
        sent: &mut [V; 4],
    ) {
        let width = 2 * V::N;
        unsafe {
            let gq = V::load(g);
            let gv = [
                V::load(g.add(width)),
                V::load(g.add(2 * width)),
                V::load(g.add(3 * width)),
            ];
            // G_mu_i . u: the row's unit vector points the other way.
            let along = gv[0].mul(V::splat(unit[0]));
            let along = gv[1].mul_add(V::splat(unit[1]), along);
            let along = gv[2].mul_add(V::splat(unit[2]), along);
            let along = V::splat(V::T::default()).sub(along);
            let x1 = V::load(own.add(width));
            let y = w[1].mul(x1);
            for a in 0..3 {
                sent[1 + a] = y.mul_add(gv[a], sent[1 + a]);
            }
            sent[0] = slope[0].mul_add(V::load(own).mul(gq), sent[0]);
            sent[0] = slope[1].mul_add(x1.mul(along), sent[0]);
            if !FIRST {
                let carried = gv[0].mul(V::load(own.add(3 * width)));
                let carried = gv[1].mul_add(V::load(own.add(4 * width)), carried);
                let carried = gv[2].mul_add(V::load(own.add(5 * width)), carried);
                let x2 = V::load(own.add(2 * width));
                sent[0] = slope[2].mul_add(x2.mul(carried), sent[0]);
                self.x[0][h] = w[0].mul_add(gq, self.x[0][h]);
                self.x[1][h] = w[1].mul_add(along, self.x[1][h]);
                self.x[2][h] = w[2].mul_add(carried, self.x[2][h]);
                let y = w[2].mul(x2);
                for a in 0..3 {
                    self.mu[a][h] = y.mul_add(gv[a], self.mu[a][h]);
                }
            }
        }
    }
}

/// Backward of the messages that the atoms j of a block sent in layer `layer`, with G = dE/d:
///
/// G_x0 = sum_i w_0 G_q_i ;  G_x1 = sum_i w_1 (G_mu_i . u) ;  G_x2 = sum_i w_2 (G_mu_i . mu_j)
/// G_mu_j += sum_i w_2 x2_j G_mu_i, u being that of (i <- j): minus the row's own.
/// Per pair, to be added over slices and layers, s = sum_f w_0' x0_j G_q_i + w_1' x1_j (G_mu_i . u)
/// + w_2' x2_j (G_mu_i . mu_j) and t = sum_f w_1 x1_j G_mu_i.
///
/// Nothing reads G_x and G_mu of the first layer.
#[inline(always)]
pub(super) unsafe fn gather_back<V: Lane, const FIRST: bool>(
    view: &View<V::T>,
    layer: usize,
    block: usize,
) {
    let width = 2 * V::N;
    let features = view.network.features;
    let table = &view.network.layers[layer].filter;
    for slice in 0..view.network.slices {
        let table = table.slice(slice).as_ptr();
        // SAFETY: as in `gather`.
        unsafe {
            let senders = view.senders(layer, slice);
            let gradients = view.gradients(layer).at(slice * view.atoms * 4 * width);
            for j in view.row_block(block) {
                let own = sender::<V, FIRST>(view, senders, j);
                let mut sums = SenderGradients::<V>::zero();
                for p in view.row(j) {
                    let pair = &*view.geometry.at(p);
                    let next = (*view.geometry.at(p + AHEAD)).neighbor as usize;
                    prefetch(gradients.add(next * 4 * width), 4 * width);
                    let from = table.add(pair.knot as usize * 3 * width);
                    let g = gradients
                        .add(pair.neighbor as usize * 4 * width)
                        .cast_const();
                    let mut sent = [V::splat(V::T::default()); 4];
                    // Lane by lane, so that all sums stay in registers.
                    for h in 0..2 {
                        let at = h * V::N;
                        let filters = filters_and_slopes::<V, FIRST>(
                            from.add(at),
                            &pair.weights,
                            &*view.slopes.at(p),
                        );
                        let (own, g) = (own.add(at), g.add(at));
                        sums.add::<FIRST>(h, own, g, &filters, &pair.unit, &mut sent);
                    }
                    V::add_sums(sent, view.sent.at(p));
                }
                if !FIRST {
                    let wide = view.contexts.at(j * 3 * features + slice * width);
                    let place = (slice * view.atoms + j) * 4 * width;
                    let after = view.gradients(layer - 1).at(place);
                    for a in 0..3 {
                        store(sums.x[a], wide.add(a * features));
                        let own = load::<V>(view.gradients(layer).at(place + (a + 1) * width));
                        let total = [own[0].add(sums.mu[a][0]), own[1].add(sums.mu[a][1])];
                        store(total, after.add((a + 1) * width));
                    }
                }
            }
        }
    }
}
