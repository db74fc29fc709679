//! A model's weights in the form that the kernels read: f32, features padded with zeros to a multiple of 32,
//! filters as B-splines of the distance.

use crate::potential::painn::{Layer, Linear, RadialBasis, Spec, Weights};
use crate::{Error, Result};

/// Channels of one slice of a message kernel.
pub(super) const SLICE: usize = 32;

/// Least number of intervals of the splines.
const FEWEST_KNOTS: usize = 320;
/// Widest interval of a spline, in widths of the narrowest Gaussian: the slope of the interpolating cubic
/// spline is off by at most h^3 max|f''''| / 24, that is 3 / 24 of the cube of this, 2.7e-5, over the width. For trained
/// models of 20 Gaussians the root mean square of it is 4e-6 of that of the slope, 5e-8 for the value.
const INTERVAL_GAUSSIAN: f64 = 0.06;
/// Widest interval, as a phase of the fastest Bessel function: its slope is off by at most 1 / 24 of the
/// cube of this.
const INTERVAL_BESSEL: f64 = 0.105;

/// The next multiple of the width of a slice.
pub(super) fn padded(width: usize) -> usize {
    width.next_multiple_of(SLICE)
}

/// Intervals of the splines, by how fine the basis is.
pub(super) fn knots(spec: &Spec) -> usize {
    let interval = match &spec.basis {
        RadialBasis::Gaussian { widths, .. } => {
            INTERVAL_GAUSSIAN * widths.iter().fold(f64::INFINITY, |a, w| a.min(w.abs()))
        }
        RadialBasis::Bessel { frequencies, .. } => {
            INTERVAL_BESSEL / frequencies.iter().fold(0.0, |a: f64, w| a.max(w.abs()))
        }
    };
    let fit = (spec.cutoff / interval).ceil();
    (if fit.is_finite() { fit as usize } else { 0 }).clamp(FEWEST_KNOTS, 1 << 14)
}

/// A matrix with rows and columns in groups of `old` padded to `new` each: rows come in `rows` groups,
/// columns in `columns`.
pub(super) fn spread(
    linear: &Linear,
    groups: [usize; 2],
    old: [usize; 2],
    new: [usize; 2],
) -> Vec<f32> {
    let mut out = vec![0.0; groups[0] * new[0] * groups[1] * new[1]];
    for r in 0..linear.outputs {
        let to_row = r / old[0] * new[0] + r % old[0];
        for c in 0..linear.inputs {
            let to_column = c / old[1] * new[1] + c % old[1];
            out[to_row * groups[1] * new[1] + to_column] =
                linear.weight[r * linear.inputs + c] as f32;
        }
    }
    out
}

/// A bias in groups of `old` padded to `new`; zeros where there is none.
pub(super) fn spread_bias(linear: &Linear, groups: usize, old: usize, new: usize) -> Vec<f32> {
    let mut out = vec![0.0; groups * new];
    for (r, &b) in linear.bias.iter().enumerate() {
        out[r / old * new + r % old] = b as f32;
    }
    out
}

/// The transpose of a row-major matrix with so many rows.
pub(super) fn transposed(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows.max(1);
    (0..columns)
        .flat_map(|c| (0..rows).map(move |r| matrix[r * columns + c]))
        .collect()
}

/// W x + b in f64.
fn apply(linear: &Linear, x: &[f64]) -> Vec<f64> {
    (0..linear.outputs)
        .map(|r| {
            let row = &linear.weight[r * linear.inputs..(r + 1) * linear.inputs];
            let bias = linear.bias.get(r).copied().unwrap_or(0.0);
            bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()
        })
        .collect()
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// Per species of a system: its embedding, and the first layer's context, which depends on nothing else.
pub(super) struct SpeciesTables {
    /// Species of each atom, as an index into the tables.
    pub index: Vec<u32>,
    /// \[species\]\[F\].
    pub embedding: Vec<f32>,
    /// \[species\]\[3 F\].
    pub context: Vec<f32>,
}

impl SpeciesTables {
    pub fn new(species: &[u8], spec: &Spec, weights: &Weights) -> Result<Self> {
        let (f, width) = (spec.features, padded(spec.features));
        let mut kinds = species.to_vec();
        kinds.sort_unstable();
        kinds.dedup();
        let mut tables = Self {
            index: Vec::new(),
            embedding: Vec::new(),
            context: Vec::new(),
        };
        for &z in &kinds {
            let row = usize::from(z) * f..(usize::from(z) + 1) * f;
            let embedding = weights.embedding.get(row).ok_or_else(|| {
                Error::input(format!("the model has no embedding for atomic number {z}"))
            })?;
            let [first, second] = &weights.layers[0].context;
            let hidden: Vec<f64> = apply(first, embedding).into_iter().map(silu).collect();
            tables.embedding.extend(pad(embedding, f, width));
            tables
                .context
                .extend(pad(&apply(second, &hidden), f, width));
        }
        tables.index = (species.iter())
            .map(|z| kinds.partition_point(|k| k < z) as u32)
            .collect();
        Ok(tables)
    }
}

/// Groups of `old` numbers padded to `new`.
fn pad(values: &[f64], old: usize, new: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for group in values.chunks(old) {
        out.extend(group.iter().map(|&x| x as f32));
        out.resize(out.len() + new - old, 0.0);
    }
    out
}

/// The filters of a layer, cut off, as coefficients \[slices\]\[knots + 3\]\[3\]\[32\] of the cubic
/// B-splines that interpolate them on a regular grid from 0 to the cutoff with the exact slopes at both
/// ends (de Boor, A Practical Guide to Splines, 1978, ch. IX).
pub(super) fn filter_table(layer: &Layer, spec: &Spec, knots: usize) -> Vec<f32> {
    use rayon::prelude::*;
    let (f, width) = (spec.features, padded(spec.features));
    let step = spec.cutoff / knots as f64;
    let grid: Vec<Vec<f64>> = (0..=knots)
        .map(|k| basis_at(spec, k as f64 * step, k == knots))
        .collect();
    let slope = basis_slope_at_zero(spec);
    let channels: Vec<Vec<f64>> = (0..3 * f)
        .into_par_iter()
        .map(|c| {
            let inputs = layer.filter.inputs;
            let row = &layer.filter.weight[c * inputs..(c + 1) * inputs];
            let bias = layer.filter.bias.get(c).copied().unwrap_or(0.0);
            let dot = |phi: &[f64]| phi.iter().zip(row).map(|(p, w)| p * w).sum::<f64>();
            // The last number of a grid point is the cutoff function, by which the bias is multiplied.
            let values: Vec<f64> = grid
                .iter()
                .map(|phi| dot(phi) + bias * phi[inputs])
                .collect();
            interpolate(&values, dot(&slope) * step)
        })
        .collect();
    let mut table = vec![0.0; width / SLICE * (knots + 3) * 3 * SLICE];
    for (c, coefficients) in channels.iter().enumerate() {
        let (filter, channel) = (c / f, c % f);
        let first = channel / SLICE * (knots + 3) * 3 * SLICE + filter * SLICE + channel % SLICE;
        for (k, &value) in coefficients.iter().enumerate() {
            table[first + k * 3 * SLICE] = value as f32;
        }
    }
    table
}

/// The basis times the cutoff function, and the cutoff function itself; `last` is the cutoff.
fn basis_at(spec: &Spec, d: f64, last: bool) -> Vec<f64> {
    let cut = if last {
        0.0
    } else {
        spec.cutoff_function(d)[0]
    };
    let value = |k| match &spec.basis {
        RadialBasis::Bessel { frequencies, scale } if d == 0.0 => scale * frequencies[k],
        basis => basis.evaluate(k, d)[0],
    };
    let mut values: Vec<f64> = (0..spec.basis.len()).map(|k| value(k) * cut).collect();
    values.push(cut);
    values
}

/// Slope of the basis times the cutoff function at zero distance, where the latter is 1 and flat.
fn basis_slope_at_zero(spec: &Spec) -> Vec<f64> {
    let slope = |k| match &spec.basis {
        RadialBasis::Bessel { .. } => 0.0,
        basis => basis.evaluate(k, 0.0)[1],
    };
    (0..spec.basis.len()).map(slope).collect()
}

/// Coefficients c\[0 .. n + 2\] of the uniform cubic B-spline with (c\[k\] + 4 c\[k + 1\] + c\[k + 2\]) / 6 =
/// values\[k\], slope `first` per interval at the start and none at the end.
fn interpolate(values: &[f64], first: f64) -> Vec<f64> {
    let n = values.len();
    // c[0] = c[2] - 2 first and c[n + 1] = c[n - 1] turn the end rows into 4 c[1] + 2 c[2] = ... and
    // 2 c[n - 1] + 4 c[n] = ...: a tridiagonal system, solved by elimination.
    let mut upper = vec![0.0; n];
    let mut c = vec![0.0; n + 2];
    for k in 0..n {
        let lower = if k == 0 {
            0.0
        } else if k == n - 1 {
            2.0
        } else {
            1.0
        };
        let above = if k == 0 { 2.0 } else { 1.0 };
        let right = 6.0 * values[k] + if k == 0 { 2.0 * first } else { 0.0 };
        let (before, done) = if k == 0 {
            (0.0, 0.0)
        } else {
            (upper[k - 1], c[k])
        };
        let pivot = 4.0 - lower * before;
        upper[k] = above / pivot;
        c[k + 1] = (right - lower * done) / pivot;
    }
    for k in (0..n - 1).rev() {
        c[k + 1] -= upper[k] * c[k + 2];
    }
    c[0] = c[2] - 2.0 * first;
    c[n + 1] = c[n - 1];
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value and slope per interval of the spline at `s` intervals from the start.
    fn spline(c: &[f64], s: f64) -> [f64; 2] {
        let k = (s as usize).min(c.len() - 4);
        let (u, v) = (s - k as f64, 1.0 - (s - k as f64));
        let b = [
            v.powi(3) / 6.0,
            (0.5 * u - 1.0) * u * u + 2.0 / 3.0,
            (0.5 * v - 1.0) * v * v + 2.0 / 3.0,
            u.powi(3) / 6.0,
        ];
        let d = [
            -0.5 * v * v,
            (1.5 * u - 2.0) * u,
            -(1.5 * v - 2.0) * v,
            0.5 * u * u,
        ];
        [0, 1].map(|w| {
            (0..4)
                .map(|m| c[k + m] * if w == 0 { b[m] } else { d[m] })
                .sum()
        })
    }

    /// A Gaussian one width of the default basis wide, at the default number of intervals: the value is off
    /// by at most 5/384 h^4 max|f''''|, the slope by h^3 max|f''''| / 24, with max|f''''| = 3 / w^4.
    #[test]
    fn splines_keep_to_their_error_bounds() {
        let (n, w) = (FEWEST_KNOTS, FEWEST_KNOTS as f64 / 19.0);
        let f = |s: f64| {
            (-0.5 * ((s - 5.0 * w) / w).powi(2)).exp()
                * 0.5
                * (1.0 + (std::f64::consts::PI * s / n as f64).cos())
        };
        let slope = |s: f64| (f(s + 1e-4) - f(s - 1e-4)) / 2e-4;
        let c = interpolate(
            &(0..=n).map(|k| f(k as f64)).collect::<Vec<_>>(),
            slope(0.0),
        );
        let bound = 3.0 / w.powi(4);
        for k in 0..10 * n {
            let s = 0.1 * k as f64 + 0.05;
            let [value, tangent] = spline(&c, s);
            assert!(
                (value - f(s)).abs() < 1.2 * 5.0 / 384.0 * bound,
                "value at {s}"
            );
            assert!(
                (tangent - slope(s)).abs() < 1.2 / 24.0 * bound,
                "slope at {s}"
            );
        }
    }
}
