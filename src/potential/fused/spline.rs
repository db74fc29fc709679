//! The filters of one layer as splines of the distance.
//!
//! A filter that depends on the distance alone is replaced by the quintic
//! spline that interpolates it on equal intervals from 0 to the cutoff, with its first and second
//! derivative at both ends (de Boor, A Practical Guide to Splines, 2001): four times continuously
//! differentiable, and with forces taken from the very same spline, so that they are the exact
//! gradient of the energy. A value costs six multiply-adds whatever the filter is made of.
//! The intervals are halved until the largest error of value and slope is under a bound.

use super::lane::Real;
use super::memory::Aligned;

/// Largest error of the filters' splines, as part of the largest filter (or slope): at f32's rounding.
const BOUND_F32: f64 = 1e-6;
/// Largest error of the filters' splines where the network is f64: a thousandth of what parity with the reference asks for.
const BOUND_F64: f64 = 1e-11;

/// The bound on the error of splines in these numbers.
pub(in crate::potential) fn bound<T>() -> f64 {
    if size_of::<T>() == 4 {
        BOUND_F32
    } else {
        BOUND_F64
    }
}

/// Coefficients that a value depends on: order of the quintic spline.
pub(in crate::potential) const ORDER: usize = 6;

/// Fewest and most intervals of a table.
const INTERVALS: [usize; 2] = [32, 4096];

/// Where within an interval the error is looked at. The slope's error is greatest at 0.24 and 0.76 of
/// it (the extrema of the Bernoulli polynomial B5), the value's in the middle.
const PROBES: [f64; 3] = [0.24, 0.5, 0.76];

/// Largest errors of a spline, each as part of the largest value (or slope) of its layer's filters.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SplineError {
    /// Of the filters.
    pub value: f64,
    /// Of their slopes.
    pub slope: f64,
}

impl SplineError {
    /// The larger of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            value: self.value.max(other.value),
            slope: self.slope.max(other.slope),
        }
    }
}

/// Function value, first and second derivative.
pub type Jet = [f64; 3];

/// Functions of the distance that splines stand for: the filters of one layer, in f64.
pub trait Curves {
    /// Where they end (angstrom).
    fn cutoff(&self) -> f64;

    /// Number of functions.
    fn channels(&self) -> usize;

    /// How many of them each feature has.
    fn kinds(&self) -> usize {
        3
    }

    /// Value, first and second derivative of each at distance `d` (angstrom).
    fn jets(&self, d: f64) -> Vec<Jet>;
}

/// The cosine cutoff (1 + cos(pi d / cutoff)) / 2 with its derivatives.
pub(in crate::potential) fn cosine_cutoff(d: f64, cutoff: f64) -> Jet {
    let k = std::f64::consts::PI / cutoff;
    let (sin, cos) = (k * d).sin_cos();
    [0.5 * (1.0 + cos), -0.5 * k * sin, -0.5 * k * k * cos]
}

/// Value and derivatives of a product.
pub(in crate::potential) fn product(a: Jet, b: Jet) -> Jet {
    [
        a[0] * b[0],
        a[1] * b[0] + a[0] * b[1],
        a[2] * b[0] + 2.0 * a[1] * b[1] + a[0] * b[2],
    ]
}

/// Weights of the six coefficients at part t of an interval: uniform B-splines.
#[inline(always)]
pub(in crate::potential) fn values(t: f64) -> [f64; ORDER] {
    const SCALE: f64 = 1.0 / 120.0;
    let s = 1.0 - t;
    [
        SCALE * (s * s) * (s * s) * s,
        SCALE * outer(s),
        SCALE * inner(s),
        SCALE * inner(t),
        SCALE * outer(t),
        SCALE * (t * t) * (t * t) * t,
    ]
}

#[inline(always)]
fn inner(t: f64) -> f64 {
    26.0 + t * (50.0 + t * (20.0 + t * (-20.0 + t * (-20.0 + t * 10.0))))
}

#[inline(always)]
fn outer(t: f64) -> f64 {
    1.0 + t * (5.0 + t * (10.0 + t * (10.0 + t * (5.0 - 5.0 * t))))
}

/// Derivatives of [`values`] with respect to t.
#[inline(always)]
pub(in crate::potential) fn slopes(t: f64) -> [f64; ORDER] {
    const SCALE: f64 = 1.0 / 24.0;
    let s = 1.0 - t;
    [
        -SCALE * (s * s) * (s * s),
        -SCALE * outer_slope(s),
        -SCALE * inner_slope(s),
        SCALE * inner_slope(t),
        SCALE * outer_slope(t),
        SCALE * (t * t) * (t * t),
    ]
}

#[inline(always)]
fn inner_slope(t: f64) -> f64 {
    10.0 + t * (8.0 + t * (-12.0 + t * (-16.0 + t * 10.0)))
}

#[inline(always)]
fn outer_slope(t: f64) -> f64 {
    1.0 + t * (4.0 + t * (6.0 + t * (4.0 - 5.0 * t)))
}

/// Coefficients of the interpolating splines, in f64.
struct Coefficients {
    intervals: usize,
    channels: usize,
    /// \[intervals + 5\]\[channels\].
    numbers: Vec<f64>,
}

impl Coefficients {
    /// Interpolates the filters on so many intervals.
    fn interpolate(curves: &impl Curves, intervals: usize) -> Self {
        let channels = curves.channels();
        let h = curves.cutoff() / intervals as f64;
        let size = intervals + ORDER - 1;
        let mut system = Banded::new(size);
        let mut numbers = vec![0.0; size * channels];
        let [value, first, second] = [
            [1.0, 26.0, 66.0, 26.0, 1.0].map(|x| x / 120.0),
            [-1.0, -10.0, 0.0, 10.0, 1.0].map(|x| x / 24.0),
            [1.0, 2.0, -6.0, 2.0, 1.0].map(|x| x / 6.0),
        ];
        let mut put =
            |row: usize, column: usize, weights: [f64; 5], numbers: Vec<f64>, rhs: &mut [f64]| {
                system.set(row, column, weights);
                rhs[row * channels..(row + 1) * channels].copy_from_slice(&numbers);
            };
        for knot in 0..=intervals {
            let jets = curves.jets(h * knot as f64);
            let part = |n: usize| jets.iter().map(|j| j[n] * h.powi(n as i32)).collect();
            put(knot + 2, knot, value, part(0), &mut numbers);
            if knot == 0 {
                put(0, 0, second, part(2), &mut numbers);
                put(1, 0, first, part(1), &mut numbers);
            } else if knot == intervals {
                put(knot + 3, knot, first, part(1), &mut numbers);
                put(knot + 4, knot, second, part(2), &mut numbers);
            }
        }
        system.solve(&mut numbers, channels);
        Self {
            intervals,
            channels,
            numbers,
        }
    }

    /// Value and slope (per interval) of a channel.
    fn at(&self, interval: usize, t: f64, channel: usize) -> [f64; 2] {
        let sum = |weights: [f64; ORDER]| {
            let coefficient = |m| self.numbers[(interval + m) * self.channels + channel];
            (0..ORDER).map(|m| weights[m] * coefficient(m)).sum()
        };
        [sum(values(t)), sum(slopes(t))]
    }

    /// The largest error found.
    fn error(&self, curves: &impl Curves) -> SplineError {
        let h = curves.cutoff() / self.intervals as f64;
        let mut error = [0.0_f64; 2];
        let mut largest = [f64::MIN_POSITIVE; 2];
        for interval in 0..self.intervals {
            for t in PROBES {
                let jets = curves.jets(h * (interval as f64 + t));
                for (channel, exact) in jets.iter().enumerate() {
                    let [value, slope] = self.at(interval, t, channel);
                    for (n, found) in [value, slope / h].into_iter().enumerate() {
                        error[n] = error[n].max((found - exact[n]).abs());
                        largest[n] = largest[n].max(exact[n].abs());
                    }
                }
            }
        }
        SplineError {
            value: error[0] / largest[0],
            slope: error[1] / largest[1],
        }
    }
}

/// Equations whose row r has its numbers in columns r - 4 to r + 4.
struct Banded {
    rows: Vec<[f64; 9]>,
}

impl Banded {
    fn new(size: usize) -> Self {
        Self {
            rows: vec![[0.0; 9]; size],
        }
    }

    /// Sets five neighbouring numbers of a row, the first in the given column.
    fn set(&mut self, row: usize, column: usize, weights: [f64; 5]) {
        let first = column + 4 - row;
        self.rows[row][first..first + 5].copy_from_slice(&weights);
    }

    /// Solves for `channels` right-hand sides at once, in place, by elimination without pivoting,
    /// which these equations do not need: away from the ends they dominate on the diagonal, and the
    /// ends' pivots are 1/6, -1/3 and 9/20.
    fn solve(mut self, rhs: &mut [f64], channels: usize) {
        let size = self.rows.len();
        for pivot in 0..size {
            let (above, below) = rhs.split_at_mut((pivot + 1) * channels);
            let source = &above[pivot * channels..];
            for row in pivot + 1..(pivot + 5).min(size) {
                let offset = pivot + 4 - row;
                let factor = self.rows[row][offset] / self.rows[pivot][4];
                if factor == 0.0 {
                    continue;
                }
                for k in 0..5 {
                    self.rows[row][offset + k] -= factor * self.rows[pivot][4 + k];
                }
                let target = &mut below[(row - pivot - 1) * channels..][..channels];
                for (t, s) in target.iter_mut().zip(source) {
                    *t -= factor * s;
                }
            }
        }
        for row in (0..size).rev() {
            let (above, below) = rhs.split_at_mut((row + 1) * channels);
            let target = &mut above[row * channels..];
            for k in 1..5.min(size - row) {
                let factor = self.rows[row][4 + k];
                for (t, s) in target.iter_mut().zip(&below[(k - 1) * channels..]) {
                    *t -= factor * s;
                }
            }
            for t in target {
                *t /= self.rows[row][4];
            }
        }
    }
}

/// The splines of one layer, laid out for the kernels: \[slice\]\[coefficient\]\[kinds\]\[width\], where a
/// slice is `width` neighbouring channels of each kind of filter, three or one.
pub(in crate::potential) struct SplineTable<T> {
    coefficients: Aligned<T>,
    /// Number of intervals between 0 and the cutoff.
    pub(in crate::potential) intervals: usize,
    /// Numbers per slice.
    pub(in crate::potential) stride: usize,
}

impl<T: Real> SplineTable<T> {
    /// All slices.
    #[cfg(feature = "cuda")]
    pub(in crate::potential) fn numbers(&self) -> &[T] {
        self.coefficients.as_slice()
    }

    /// Start of a slice.
    pub(in crate::potential) fn slice(&self, slice: usize) -> &[T] {
        &self.coefficients.as_slice()[slice * self.stride..(slice + 1) * self.stride]
    }
}

/// The tables of all layers on one set of intervals, as many as the `bound` on their error asks for,
/// and the error that they have.
pub(in crate::potential) fn tables<T: Real>(
    layers: &[impl Curves],
    width: usize,
    bound: f64,
) -> (Vec<SplineTable<T>>, SplineError) {
    let [mut intervals, most] = INTERVALS;
    loop {
        let splines: Vec<_> = (layers.iter())
            .map(|f| Coefficients::interpolate(f, intervals))
            .collect();
        let error = (splines.iter().zip(layers))
            .map(|(s, f)| s.error(f))
            .fold(SplineError::default(), SplineError::max);
        let good = error.value <= bound && error.slope <= bound;
        if good || intervals >= most {
            let tables = splines
                .iter()
                .zip(layers)
                .map(|(s, f)| lay_out(s, f.kinds(), width))
                .collect();
            return (tables, error);
        }
        intervals *= 2;
    }
}

fn lay_out<T: Real>(splines: &Coefficients, kinds: usize, width: usize) -> SplineTable<T> {
    let features = splines.channels / kinds;
    let slices = features.div_ceil(width);
    let rows = splines.intervals + ORDER - 1;
    let stride = rows * kinds * width;
    let mut coefficients = Aligned::zeros(slices * stride);
    let numbers = coefficients.as_mut_slice();
    for row in 0..rows {
        for kind in 0..kinds {
            for f in 0..features {
                let to = (f / width) * stride + (row * kinds + kind) * width + f % width;
                let from = row * splines.channels + kind * features + f;
                numbers[to] = T::of(splines.numbers[from]);
            }
        }
    }
    SplineTable {
        coefficients,
        intervals: splines.intervals,
        stride,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::potential::painn::cpu::Filters;
    use crate::potential::painn::{RadialBasis, Spec, Weights};

    /// Places within an interval at which nobody has looked for errors.
    const PLACES: usize = 37;

    /// The largest error of a table's values and slopes at places between the probes, each as part of the largest.
    fn between_probes(table: &SplineTable<f64>, filters: &Filters, width: usize) -> SplineError {
        let features = filters.channels() / 3;
        let h = filters.cutoff() / table.intervals as f64;
        let (mut error, mut largest) = ([0f64; 2], [f64::MIN_POSITIVE; 2]);
        for place in 0..table.intervals * PLACES {
            let (interval, t) = (
                place / PLACES,
                (place % PLACES) as f64 / PLACES as f64 + 0.01,
            );
            let exact = filters.jets(h * (interval as f64 + t));
            for (output, exact) in exact.iter().enumerate() {
                let (kind, f) = (output / features, output % features);
                let slice = table.slice(f / width);
                let coefficient = |m: usize| slice[((interval + m) * 3 + kind) * width + f % width];
                let sum = |weights: [f64; ORDER]| -> f64 {
                    (0..ORDER).map(|m| weights[m] * coefficient(m)).sum()
                };
                for (n, found) in [sum(values(t)), sum(slopes(t)) / h].into_iter().enumerate() {
                    error[n] = error[n].max((found - exact[n]).abs());
                    largest[n] = largest[n].max(exact[n].abs());
                }
            }
        }
        SplineError {
            value: error[0] / largest[0],
            slope: error[1] / largest[1],
        }
    }

    /// The bounds hold at places that construction did not look at, and would not with half the intervals.
    #[test]
    fn splines_keep_their_bound_between_probes() {
        /// By how much the errors of neighbouring orders can move the largest one away from its probe: the ratio of
        /// consecutive derivatives of the filters times an interval.
        const BESIDE: f64 = 1.05;
        const WIDTH: usize = 4;
        let cutoff = 5.0;
        for basis in [
            RadialBasis::gaussian(20, cutoff),
            RadialBasis::bessel(20, cutoff),
        ] {
            let spec = Spec::new(8, 1, basis, cutoff, &[1]);
            let linear = &Weights::random(&spec, 3).layers[0].filter;
            let filters = Filters::new(&spec.basis, cutoff, linear);
            for bound in [1e-6, 1e-11] {
                let (tables, told) =
                    tables::<f64>(&[Filters::new(&spec.basis, cutoff, linear)], WIDTH, bound);
                let found = between_probes(&tables[0], &filters, WIDTH);
                let limit = bound * BESIDE;
                assert!(
                    found.value < limit && found.slope < limit,
                    "{found:?}, bound {bound}"
                );
                // The probes see the largest errors: what is told is what is there.
                assert!(
                    found.value < told.value * BESIDE + 1e-15,
                    "{found:?}, told {told:?}"
                );
                assert!(
                    found.slope < told.slope * BESIDE + 1e-13,
                    "{found:?}, told {told:?}"
                );
                let half = Coefficients::interpolate(&filters, tables[0].intervals / 2);
                let coarse = between_probes(&lay_out(&half, 3, WIDTH), &filters, WIDTH);
                assert!(
                    coarse.value > bound || coarse.slope > bound,
                    "{coarse:?}, bound {bound}"
                );
            }
        }
    }
}
