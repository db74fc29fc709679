//! A model's weights in the form that the kernels read: f32, features padded with zeros to a multiple of 32,
//! filters as B-splines of the distance.

use super::super::{Layer, Linear, RadialBasis, Spec, Weights};
use crate::potential::device::elements;
use crate::{Error, Result};

/// Channels of one slice of a message kernel.
pub(super) const SLICE: usize = 32;

/// The splines that stand for a model's filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splines {
    /// Their degree: 3 or 5. Cubic ones take fewer reads, quintic ones a quarter of the room.
    pub degree: usize,
    /// Intervals from no distance to the cutoff.
    pub intervals: usize,
}

/// Most intervals.
const MOST_INTERVALS: usize = 1 << 14;

impl Splines {
    /// As many intervals as the basis asks for.
    ///
    /// Away from the ends the slope of the spline of degree 3 that interpolates f is off by at most
    /// h^3 / 3! |B_3| max|f^(4)|, that of degree 5 by h^5 / 5! |B_5| max|f^(6)|, with the maxima of Bernoulli's polynomials,
    /// 0.0481 and 0.0245. For a Gaussian of width w those derivatives reach 3 / w^4 and 15 / w^6. The widest intervals
    /// here make both 5e-6 / w, which for trained models of 20 Gaussians is a root mean square of 4e-6 of that
    /// of the slope, and 2e-7 of the value's; for Bessel functions 1e-5 of the fastest one's slope.
    pub fn of(spec: &Spec, degree: usize) -> Self {
        let (fewest, gaussian, bessel) = match degree {
            3 => (320, 0.06, 0.105),
            _ => (72, 0.264, 0.54),
        };
        let interval = match &spec.basis {
            RadialBasis::Gaussian { widths, .. } => {
                gaussian * widths.iter().fold(f64::INFINITY, |a, w| a.min(w.abs()))
            }
            RadialBasis::Bessel { frequencies, .. } => {
                bessel / frequencies.iter().fold(0.0, |a: f64, w| a.max(w.abs()))
            }
        };
        let fit = (spec.cutoff / interval).ceil();
        let intervals = if fit.is_finite() { fit as usize } else { 0 };
        Self {
            degree,
            intervals: intervals.clamp(fewest, MOST_INTERVALS),
        }
    }

    /// Room for the coefficients of a slice (bytes).
    pub(super) fn bytes(self) -> u32 {
        (self.coefficients() * 3 * SLICE * 4) as u32
    }

    /// Coefficients of one filter.
    pub fn coefficients(self) -> usize {
        self.intervals + self.degree
    }
}

/// The next multiple of the width of a slice.
pub(super) fn padded(width: usize) -> usize {
    width.next_multiple_of(SLICE)
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

/// Per element of a system in ascending order: its embedding, and the first layer's context, which depends on nothing else.
pub(super) struct SpeciesTables {
    /// \[species\]\[F\].
    pub embedding: Vec<f32>,
    /// \[species\]\[3 F\].
    pub context: Vec<f32>,
}

impl SpeciesTables {
    pub fn new(species: &[u8], spec: &Spec, weights: &Weights) -> Result<Self> {
        let (f, width) = (spec.features, padded(spec.features));
        let mut tables = Self {
            embedding: Vec::new(),
            context: Vec::new(),
        };
        for z in elements(species) {
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

/// The filters of a layer, cut off, as coefficients \[slices\]\[coefficients\]\[3\]\[32\] of B-splines on a regular grid from
/// 0 to the cutoff, where value and slope are none.
pub(super) fn filter_table(layer: &Layer, spec: &Spec, splines: Splines) -> Vec<f32> {
    use rayon::prelude::*;
    let (f, width) = (spec.features, padded(spec.features));
    let step = spec.cutoff / splines.intervals as f64;
    let sites: Vec<Vec<f64>> = (sites(splines).iter())
        .map(|&s| basis_at(spec, s * step, s == splines.intervals as f64))
        .collect();
    let solver = Collocation::new(splines);
    let channels: Vec<Vec<f64>> = (0..3 * f)
        .into_par_iter()
        .map(|c| {
            let inputs = layer.filter.inputs;
            let row = &layer.filter.weight[c * inputs..(c + 1) * inputs];
            let bias = layer.filter.bias.get(c).copied().unwrap_or(0.0);
            // The last number of a site is the cutoff function, by which the bias is multiplied.
            let value = |phi: &Vec<f64>| {
                phi.iter().zip(row).map(|(p, w)| p * w).sum::<f64>() + bias * phi[inputs]
            };
            solver.solve(sites.iter().map(value).collect())
        })
        .collect();
    let coefficients = splines.coefficients();
    let mut table = vec![0.0; width / SLICE * coefficients * 3 * SLICE];
    for (c, column) in channels.iter().enumerate() {
        let (filter, channel) = (c / f, c % f);
        let first = channel / SLICE * coefficients * 3 * SLICE + filter * SLICE + channel % SLICE;
        for (k, &value) in column.iter().enumerate() {
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

/// Values of the uniform B-splines of a degree on the interval from 0 to 1 at u, and their slopes, by the recursion of de
/// Boor (A Practical Guide to Splines, 1978, ch. X).
fn b_splines(degree: usize, u: f64) -> [Vec<f64>; 2] {
    let raise = |below: &[f64], degree: usize| -> Vec<f64> {
        let at = |m: usize| below.get(m).copied().unwrap_or(0.0);
        let d = degree as f64;
        (0..=degree)
            .map(|m| {
                let left = if m == 0 { 0.0 } else { at(m - 1) };
                ((u + d - m as f64) * left + (m as f64 + 1.0 - u) * at(m)) / d
            })
            .collect()
    };
    let below = (1..degree).fold(vec![1.0], |below, d| raise(&below, d));
    let slopes = (0..=degree)
        .map(|m| {
            let left = if m == 0 { 0.0 } else { below[m - 1] };
            left - below.get(m).copied().unwrap_or(0.0)
        })
        .collect();
    [raise(&below, degree), slopes]
}

/// Where the splines interpolate (intervals): the grid, and between its last points as many as the ends leave open once
/// the slope at the cutoff is none.
fn sites(splines: Splines) -> Vec<f64> {
    let n = splines.intervals as f64;
    let mut sites: Vec<f64> = (0..=splines.intervals).map(|k| k as f64).collect();
    let extra = [0.5, 1.5, n - 0.5];
    sites.extend(&extra[..splines.degree - 2]);
    sites.sort_by(f64::total_cmp);
    sites
}
/// The banded system that gives B-splines' coefficients, taken apart once for all filters. Without exchange of rows, since
/// it is totally positive (de Boor and Pinkus, SIAM J. Numer. Anal. 14, 1977).
struct Collocation {
    degree: usize,
    /// By row, columns from the diagonal less the degree to the diagonal and the degree: multipliers, then what is left.
    band: Vec<Vec<f64>>,
}

impl Collocation {
    /// Values at the [`sites`] in order, then the slope at the cutoff.
    fn new(splines: Splines) -> Self {
        let Splines { degree, intervals } = splines;
        let mut rows: Vec<(usize, Vec<f64>)> = (sites(splines).iter())
            .map(|&s| {
                let k = (s as usize).min(intervals - 1);
                let [values, _] = b_splines(degree, s - k as f64);
                (k, values)
            })
            .collect();
        let [_, slopes] = b_splines(degree, 1.0);
        rows.push((intervals - 1, slopes));
        let mut band = vec![vec![0.0; 2 * degree + 1]; rows.len()];
        for (i, (first, values)) in rows.iter().enumerate() {
            for (m, &value) in values.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                band[i][first + m + degree - i] = value;
            }
        }
        for i in 0..band.len() {
            let (done, left) = band.split_at_mut(i + 1);
            let pivot = &done[i];
            for (below, row) in left.iter_mut().take(degree).enumerate() {
                let at = degree - 1 - below;
                row[at] /= pivot[degree];
                for k in 1..=degree {
                    row[at + k] -= row[at] * pivot[degree + k];
                }
            }
        }
        Self { degree, band }
    }

    /// Coefficients of the spline with these values at the sites, and no slope at the cutoff.
    fn solve(&self, mut values: Vec<f64>) -> Vec<f64> {
        values.push(0.0);
        let (degree, n) = (self.degree, values.len());
        for i in 0..n {
            for k in 1..=degree.min(i) {
                values[i] -= self.band[i][degree - k] * values[i - k];
            }
        }
        for i in (0..n).rev() {
            for k in 1..=degree.min(n - 1 - i) {
                values[i] -= self.band[i][degree + k] * values[i + k];
            }
            values[i] /= self.band[i][degree];
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value and slope per interval of the spline at `s` intervals from the start.
    fn spline(degree: usize, c: &[f64], s: f64) -> [f64; 2] {
        let k = (s as usize).min(c.len() - degree - 1);
        b_splines(degree, s - k as f64).map(|b| b.iter().zip(&c[k..]).map(|(b, c)| b * c).sum())
    }

    /// A Gaussian of the width of the default basis, cut off at the default number of intervals. Bounds as in
    /// [`Splines::of`]; the value is off by at most h^4 / 384 and h^6 / 15360 of the next even derivative.
    #[test]
    fn splines_keep_to_their_error_bounds() {
        for (degree, derivative, value_bound, slope_bound) in [
            (3, 3.0, 1.0 / 384.0, 0.0481 / 6.0),
            (5, 15.0, 1.0 / 15360.0, 0.0245 / 120.0),
        ] {
            let intervals = if degree == 3 { 320 } else { 72 };
            let (n, w) = (intervals as f64, intervals as f64 / 19.0);
            let turn = std::f64::consts::PI / n;
            let f = |s: f64| {
                let cut = 0.5 * (1.0 + (turn * s).cos());
                let x = (s - 5.0 * w) / w;
                let g = (-0.5 * x * x).exp();
                [
                    g * cut,
                    -x / w * g * cut - g * 0.5 * turn * (turn * s).sin(),
                ]
            };
            let splines = Splines { degree, intervals };
            let values = sites(splines).iter().map(|&s| f(s)[0]).collect();
            let c = Collocation::new(splines).solve(values);
            assert_eq!(c.len(), splines.coefficients());
            let scale = derivative / w.powi(degree as i32 + 1);
            let mut worst = [0.0_f64; 2];
            for k in 0..10 * intervals {
                let s = 0.1 * k as f64 + 0.05;
                let (found, exact) = (spline(degree, &c, s), f(s));
                for q in 0..2 {
                    worst[q] = worst[q].max((found[q] - exact[q]).abs());
                }
            }
            // The cutoff function adds a little to the derivatives.
            assert!(worst[0] < 1.2 * value_bound * scale, "{degree}: {worst:?}");
            assert!(worst[1] < 1.2 * slope_bound * scale, "{degree}: {worst:?}");
            let end = spline(degree, &c, n);
            assert!(end.iter().all(|x| x.abs() < 1e-14), "{degree}: {end:?}");
        }
    }
}
