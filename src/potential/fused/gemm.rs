//! Matrix products of the atom-wise layers: weights packed once into panels, a register tile.
//!
//! C\[rows\]\[width\] = bias + A\[rows\]\[k\] B\[k\]\[width\], width being two lanes: a slice of the
//! output's channels. Every number of C is a sum over k in ascending order, whatever the tile that
//! it falls into, so that results depend neither on how rows are cut into blocks nor on threads.

use super::for_each_lane;
use super::lane::{Lane, Real};
use super::memory::{Aligned, Span};

/// Weights as panels of `width` columns: \[slice\]\[k\]\[width\].
pub(in crate::potential) struct Panels<T> {
    numbers: Aligned<T>,
    /// Number of inputs, padded.
    pub(in crate::potential) k: usize,
    width: usize,
}

impl<T: Real> Panels<T> {
    /// Packs the matrix whose number for input k and output n is given.
    pub(in crate::potential) fn pack(
        k: usize,
        outputs: usize,
        width: usize,
        number: impl Fn(usize, usize) -> f64,
    ) -> Self {
        let mut numbers = Aligned::zeros(k * outputs);
        for (index, to) in numbers.as_mut_slice().iter_mut().enumerate() {
            let (slice, within) = (index / (k * width), index % (k * width));
            *to = T::of(number(within / width, slice * width + within % width));
        }
        Self { numbers, k, width }
    }

    /// All panels.
    #[cfg(feature = "cuda")]
    pub(in crate::potential) fn numbers(&self) -> &[T] {
        self.numbers.as_slice()
    }

    /// One panel.
    #[inline(always)]
    pub(in crate::potential) fn slice(&self, slice: usize) -> *const T {
        let size = self.k * self.width;
        self.numbers.as_slice()[slice * size..(slice + 1) * size].as_ptr()
    }
}

/// One product.
pub(in crate::potential) struct Multiplication<T> {
    pub(in crate::potential) rows: usize,
    pub(in crate::potential) k: usize,
    /// A, its rows `stride` apart.
    pub(in crate::potential) a: *const T,
    pub(in crate::potential) stride: usize,
    /// Panel of B.
    pub(in crate::potential) panel: *const T,
    /// Bias of this slice; null for none.
    pub(in crate::potential) bias: *const T,
    /// C, rows next to each other.
    pub(in crate::potential) c: *mut T,
    /// What is fetched into cache meanwhile.
    pub(in crate::potential) next: Span<T>,
}

/// Computes a product, in register tiles of nearly equal numbers of rows.
///
/// # Safety
/// All pointers hold what [`Multiplication`] says they do.
#[inline(always)]
pub(in crate::potential) unsafe fn multiply<V: Lane>(p: &Multiplication<V::T>) {
    let tiles = p.rows.div_ceil(V::ROWS);
    let mut row = 0;
    for t in 0..tiles {
        let rows = (p.rows - row).div_ceil(tiles - t);
        p.next.fetch_part(t, tiles);
        // SAFETY: rows row..row + rows lie within A and C.
        unsafe {
            match rows {
                1 => tile::<V, 1>(p, row),
                2 => tile::<V, 2>(p, row),
                3 => tile::<V, 3>(p, row),
                4 => tile::<V, 4>(p, row),
                5 => tile::<V, 5>(p, row),
                6 => tile::<V, 6>(p, row),
                7 => tile::<V, 7>(p, row),
                8 => tile::<V, 8>(p, row),
                9 => tile::<V, 9>(p, row),
                10 => tile::<V, 10>(p, row),
                11 => tile::<V, 11>(p, row),
                _ => tile::<V, 12>(p, row),
            }
        }
        row += rows;
    }
}

/// R rows of a product, their sums in registers.
#[inline(always)]
unsafe fn tile<V: Lane, const R: usize>(p: &Multiplication<V::T>, row: usize) {
    if R > V::ROWS {
        return;
    }
    // SAFETY: the caller's rows lie within A and C.
    unsafe {
        let start = if p.bias.is_null() {
            [V::splat(V::T::default()); 2]
        } else {
            [V::load(p.bias), V::load(p.bias.add(V::N))]
        };
        let mut sums = [start; R];
        let mut a = [p.a; R];
        for (r, a) in a.iter_mut().enumerate() {
            *a = p.a.add((row + r) * p.stride);
        }
        let mut b = p.panel;
        for k in 0..p.k {
            let weights = [V::load(b), V::load(b.add(V::N))];
            b = b.add(2 * V::N);
            for r in 0..R {
                let x = V::splat(*a[r].add(k));
                sums[r][0] = x.mul_add(weights[0], sums[r][0]);
                sums[r][1] = x.mul_add(weights[1], sums[r][1]);
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            let c = p.c.add((row + r) * 2 * V::N);
            sum[0].store(c);
            sum[1].store(c.add(V::N));
        }
    }
}

/// Products compiled for the lane's processor feature.
///
/// # Safety
/// The processor has the lane's feature, and the product's arrays live and have its sizes.
#[allow(clippy::missing_safety_doc, reason = "said above")]
pub(in crate::potential) trait Products: Lane {
    unsafe fn product(product: &Multiplication<Self::T>);
}

macro_rules! products {
    ($lane:ty $(, $feature:literal)?) => {
        impl Products for $lane {
            $(#[target_feature(enable = $feature)])?
            unsafe fn product(product: &Multiplication<Self::T>) {
                unsafe { multiply::<Self>(product) }
            }
        }
    };
}

for_each_lane!(products);
