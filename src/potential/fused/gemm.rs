//! Matrix products of the atom-wise layers: weights packed once into panels, a register tile.
//!
//! C\[rows\]\[width\] = bias + A\[rows\]\[k\] B\[k\]\[width\], width being two lanes: a slice of the
//! output's channels. Every number of C is a sum over k in ascending order, whatever the tile that
//! it falls into, so that results depend neither on how rows are cut into blocks nor on threads.

use std::mem::MaybeUninit;

use super::for_each_lane;
use super::lane::{Lane, Real};
use super::memory::{Aligned, Span};

/// Weights as panels of `width` columns: \[slice\]\[k\]\[width\].
pub(in crate::potential) struct Panels<T> {
    numbers: Aligned<T>,
    /// The weights in 8 bits in place of `numbers`, where they are.
    small: Option<SmallPanels<T>>,
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
        Self {
            numbers,
            small: None,
            k,
            width,
        }
    }

    /// Packs the matrix of 8 bits whose number for input k and output n is given, with the scales that come along `along`.
    pub(in crate::potential) fn pack_small(
        (k, outputs): (usize, usize),
        width: usize,
        number: impl Fn(usize, usize) -> i8,
        (along, scale): (ScalesAlong, impl Fn(usize) -> f32),
    ) -> Self {
        let numbers = (0..k * outputs).map(|index| {
            let (slice, within) = (index / (k * width), index % (k * width));
            number(within / width, slice * width + within % width)
        });
        let numbers: Vec<i8> = numbers.collect();
        let count = match along {
            ScalesAlong::Inputs => k,
            ScalesAlong::Outputs => outputs,
        };
        let mut scales = Aligned::zeros(count);
        for (n, to) in scales.as_mut_slice().iter_mut().enumerate() {
            *to = T::of(f64::from(scale(n)));
        }
        Self {
            numbers: Aligned::zeros(0),
            small: Some(SmallPanels {
                numbers,
                scales,
                along,
            }),
            k,
            width,
        }
    }

    /// One panel of 8 bits, where the weights are.
    #[inline(always)]
    pub(in crate::potential) fn small_slice(&self, slice: usize) -> Option<SmallPanel<T>> {
        let small = self.small.as_ref()?;
        let size = self.k * self.width;
        let first = match small.along {
            ScalesAlong::Inputs => 0,
            ScalesAlong::Outputs => slice * self.width,
        };
        Some(SmallPanel {
            numbers: small.numbers[slice * size..(slice + 1) * size].as_ptr(),
            scales: small.scales.as_slice()[first..].as_ptr(),
            along: small.along,
        })
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

/// Which index of a matrix of 8 bits its scales belong to: that of outputs on the way forward, and on the way back, where the
/// matrix is transposed, that of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::potential) enum ScalesAlong {
    Inputs,
    Outputs,
}

/// Panels of 8 bits: a weight is its integer times a scale.
struct SmallPanels<T> {
    /// As those of [`Panels`].
    numbers: Vec<i8>,
    /// One for each input or output.
    scales: Aligned<T>,
    along: ScalesAlong,
}

/// One panel of 8 bits.
#[derive(Clone, Copy)]
pub(in crate::potential) struct SmallPanel<T> {
    numbers: *const i8,
    /// Scales of all inputs, or of the panel's outputs.
    scales: *const T,
    along: ScalesAlong,
}

impl<T: Real> SmallPanel<T> {
    /// Expands rows `from..from + count` of the panel, to \[count\]\[two lanes\].
    #[inline(always)]
    unsafe fn expand<V: Lane<T = T>>(self, from: usize, count: usize, to: *mut T) {
        let width = 2 * V::N;
        // SAFETY: the caller's rows are within the panel, and `to` has room for them.
        unsafe {
            let own = match self.along {
                ScalesAlong::Inputs => [V::splat(T::default()); 2],
                ScalesAlong::Outputs => [V::load(self.scales), V::load(self.scales.add(V::N))],
            };
            for k in 0..count {
                let scale = match self.along {
                    ScalesAlong::Inputs => [V::splat(*self.scales.add(from + k)); 2],
                    ScalesAlong::Outputs => own,
                };
                let numbers = self.numbers.add((from + k) * width);
                for half in 0..2 {
                    let wide = V::widen(numbers.add(half * V::N)).mul(scale[half]);
                    wide.store(to.add(k * width + half * V::N));
                }
            }
        }
    }
}

/// What the sums of a product begin with.
#[derive(Clone, Copy)]
pub(in crate::potential) enum SumStart<T> {
    Zero,
    /// The bias of the slice, \[width\].
    Bias(*const T),
    /// What C holds already: sums over the inputs before these.
    Present,
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
    pub(in crate::potential) start: SumStart<T>,
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
        let mut sums = match p.start {
            SumStart::Zero => [[V::splat(V::T::default()); 2]; R],
            SumStart::Bias(bias) => [[V::load(bias), V::load(bias.add(V::N))]; R],
            SumStart::Present => {
                let mut sums = [[V::splat(V::T::default()); 2]; R];
                for (r, sum) in sums.iter_mut().enumerate() {
                    let c = p.c.add((row + r) * 2 * V::N);
                    *sum = [V::load(c), V::load(c.add(V::N))];
                }
                sums
            }
        };
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

/// Inputs of a panel of 8 bits that are expanded at once: in f32 with the widest lanes 16 KiB, half of the first-level cache.
const EXPANDED: usize = 128;
/// Numbers of the widest slice (two lanes of AVX-512 in f32).
const WIDEST: usize = 32;

/// Weights of a panel, expanded.
#[repr(align(64))]
struct Expanded<T>([MaybeUninit<T>; EXPANDED * WIDEST]);

/// Computes a product with a panel of 8 bits, whose weights are expanded once for all rows: each is an integer times a scale,
/// which f32 holds exactly where the scale has 17 bits. The panel that `p` names is not looked at.
///
/// # Safety
/// All pointers hold what [`Multiplication`] and [`SmallPanel`] say they do.
#[inline(always)]
unsafe fn multiply_small<V: Lane>(p: &Multiplication<V::T>, panel: SmallPanel<V::T>) {
    let mut expanded = Expanded([const { MaybeUninit::<V::T>::uninit() }; EXPANDED * WIDEST]);
    let weights = expanded.0.as_mut_ptr().cast::<V::T>();
    let mut from = 0;
    while from < p.k {
        let count = EXPANDED.min(p.k - from);
        // SAFETY: the rows are the panel's, and there is room for as many.
        unsafe {
            panel.expand::<V>(from, count, weights);
            multiply::<V>(&Multiplication {
                k: count,
                a: p.a.add(from),
                panel: weights,
                start: if from == 0 {
                    p.start
                } else {
                    SumStart::Present
                },
                next: if from == 0 { p.next } else { Span::NONE },
                ..*p
            });
        }
        from += count;
    }
}

/// Products compiled for the lane's processor feature.
///
/// # Safety
/// The processor has the lane's feature, and the product's arrays live and have its sizes.
#[allow(clippy::missing_safety_doc, reason = "said above")]
pub(in crate::potential) trait Products: Lane {
    unsafe fn product(product: &Multiplication<Self::T>);
    unsafe fn small_product(product: &Multiplication<Self::T>, panel: SmallPanel<Self::T>);
}

macro_rules! products {
    ($lane:ty $(, $feature:literal)?) => {
        impl Products for $lane {
            $(#[target_feature(enable = $feature)])?
            unsafe fn product(product: &Multiplication<Self::T>) {
                unsafe { multiply::<Self>(product) }
            }
            $(#[target_feature(enable = $feature)])?
            unsafe fn small_product(product: &Multiplication<Self::T>, panel: SmallPanel<Self::T>) {
                unsafe { multiply_small::<Self>(product, panel) }
            }
        }
    };
}

for_each_lane!(products);
