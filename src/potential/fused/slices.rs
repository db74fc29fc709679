//! Slices of channels, two lanes each: arithmetic of them, and the three filters of a layer from their splines.

use super::lane::Lane;
use super::spline::ORDER;

/// Two lanes: one slice of one row.
pub(in crate::potential) type Slice<V> = [V; 2];

#[inline(always)]
pub(in crate::potential) unsafe fn load<V: Lane>(from: *const V::T) -> Slice<V> {
    unsafe { [V::load(from), V::load(from.add(V::N))] }
}

/// Three slices, `stride` apart.
#[inline(always)]
pub(in crate::potential) unsafe fn load3<V: Lane>(
    from: *const V::T,
    stride: usize,
) -> [Slice<V>; 3] {
    unsafe {
        [
            load::<V>(from),
            load::<V>(from.add(stride)),
            load::<V>(from.add(2 * stride)),
        ]
    }
}

#[inline(always)]
pub(in crate::potential) unsafe fn zero<V: Lane>() -> Slice<V> {
    unsafe { [V::splat(V::T::default()); 2] }
}

#[inline(always)]
pub(in crate::potential) unsafe fn store<V: Lane>(x: Slice<V>, to: *mut V::T) {
    unsafe {
        x[0].store(to);
        x[1].store(to.add(V::N));
    }
}

#[inline(always)]
pub(in crate::potential) unsafe fn mul<V: Lane>(a: Slice<V>, b: Slice<V>) -> Slice<V> {
    unsafe { [a[0].mul(b[0]), a[1].mul(b[1])] }
}

#[inline(always)]
pub(in crate::potential) unsafe fn add<V: Lane>(a: Slice<V>, b: Slice<V>) -> Slice<V> {
    unsafe { [a[0].add(b[0]), a[1].add(b[1])] }
}

#[inline(always)]
pub(in crate::potential) unsafe fn mul_add<V: Lane>(
    a: Slice<V>,
    b: Slice<V>,
    c: Slice<V>,
) -> Slice<V> {
    unsafe { [a[0].mul_add(b[0], c[0]), a[1].mul_add(b[1], c[1])] }
}

#[inline(always)]
pub(in crate::potential) unsafe fn scale_add<V: Lane>(a: Slice<V>, b: V, c: Slice<V>) -> Slice<V> {
    unsafe { [a[0].mul_add(b, c[0]), a[1].mul_add(b, c[1])] }
}

#[inline(always)]
pub(in crate::potential) unsafe fn scale<V: Lane>(a: Slice<V>, b: V) -> Slice<V> {
    unsafe { [a[0].mul(b), a[1].mul(b)] }
}

#[inline(always)]
pub(in crate::potential) unsafe fn splats<V: Lane, const N: usize>(x: &[V::T; N]) -> [V; N] {
    unsafe {
        let mut out = [V::splat(x[0]); N];
        for k in 1..N {
            out[k] = V::splat(x[k]);
        }
        out
    }
}

/// The three filters (the first layer has no use for the third).
#[inline(always)]
pub(in crate::potential) unsafe fn filters<V: Lane, const FIRST: bool>(
    table: *const V::T,
    weights: &[V::T; ORDER],
) -> [Slice<V>; 3] {
    let width = 2 * V::N;
    let kinds = if FIRST { 2 } else { 3 };
    unsafe {
        let mut w = [zero::<V>(); 3];
        for m in 0..ORDER {
            let weight = V::splat(weights[m]);
            for kind in 0..kinds {
                let c = load::<V>(table.add((m * 3 + kind) * width));
                w[kind] = if m == 0 {
                    scale(c, weight)
                } else {
                    scale_add(c, weight, w[kind])
                };
            }
        }
        w
    }
}

/// The three filters and their slopes, one lane.
#[inline(always)]
pub(in crate::potential) unsafe fn filters_and_slopes<V: Lane, const FIRST: bool>(
    table: *const V::T,
    weights: &[V::T; ORDER],
    slope_weights: &[V::T; ORDER],
) -> [[V; 3]; 2] {
    let width = 2 * V::N;
    let kinds = if FIRST { 2 } else { 3 };
    unsafe {
        let mut w = [[V::splat(V::T::default()); 3]; 2];
        for m in 0..ORDER {
            let (value, slope) = (V::splat(weights[m]), V::splat(slope_weights[m]));
            for kind in 0..kinds {
                let c = V::load(table.add((m * 3 + kind) * width));
                if m == 0 {
                    w[0][kind] = c.mul(value);
                    w[1][kind] = c.mul(slope);
                } else {
                    w[0][kind] = c.mul_add(value, w[0][kind]);
                    w[1][kind] = c.mul_add(slope, w[1][kind]);
                }
            }
        }
        w
    }
}

/// The filter of a table of one kind.
#[inline(always)]
pub(in crate::potential) unsafe fn filter<V: Lane>(
    table: *const V::T,
    weights: &[V::T; ORDER],
) -> Slice<V> {
    unsafe {
        let mut w = scale(load::<V>(table), V::splat(weights[0]));
        for m in 1..ORDER {
            w = scale_add(load::<V>(table.add(m * 2 * V::N)), V::splat(weights[m]), w);
        }
        w
    }
}

/// The filter of a table of one kind, and its slope.
#[inline(always)]
pub(in crate::potential) unsafe fn filter_and_slope<V: Lane>(
    table: *const V::T,
    weights: &[V::T; ORDER],
    slope_weights: &[V::T; ORDER],
) -> [Slice<V>; 2] {
    unsafe {
        [
            filter::<V>(table, weights),
            filter::<V>(table, slope_weights),
        ]
    }
}
