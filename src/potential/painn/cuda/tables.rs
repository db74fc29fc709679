//! A model's weights in the form that the kernels read: f32, features padded with zeros to a multiple of 32,
//! filters as B-splines of the distance.

use half::f16;

use super::super::{Layer, Linear, RadialBasis, Spec, Weights};
use super::messages::Messages;
use super::numbers::CardNumbers;
use crate::potential::device::elements;
use crate::{Error, Result};

/// Channels of one slice of a message kernel.
pub(super) const SLICE: usize = 32;

/// The splines that stand for a model's filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splines {
    /// Their degree: 3 or 5, in 16 bits 2. Cubic ones take fewer reads, quintic ones a quarter of the room.
    pub degree: usize,
    /// Intervals from no distance to the cutoff.
    pub intervals: usize,
}

/// Most intervals.
const MOST_INTERVALS: usize = 1 << 14;
/// Numbers of a knot of a slice in halves.
const NARROW_KNOT: usize = 3 * 8 * 8;

impl Splines {
    /// Those of a kind of messages.
    pub fn of(spec: &Spec, messages: Messages, numbers: CardNumbers) -> Self {
        Self::limited(spec, messages.degree(), messages.most(), numbers)
    }

    /// As many intervals as the basis asks for, and more, up to `most`.
    ///
    /// Away from the ends the slope of the spline of degree 3 that interpolates f is off by at most
    /// h^3 / 3! |B_3| max|f^(4)|, that of degree 5 by h^5 / 5! |B_5| max|f^(6)|, with the maxima of Bernoulli's polynomials,
    /// 0.0481 and 0.0245. For a Gaussian of width w those derivatives reach 3 / w^4 and 15 / w^6. The widest intervals
    /// here make both 5e-6 / w, which for trained models of 20 Gaussians is a root mean square of 4e-6 of that
    /// of the slope, and 2e-7 of the value's; for Bessel functions 1e-5 of the fastest one's slope. That was most of a force's
    /// error in f32, so there are more where they cost nothing: 1.5 times as many leave a third or an eighth of it.
    ///
    /// In 16 bits splines are quadratic, h^2 / 2! |B_2| max|f^(3)| with a maximum of 0.167, and a Gaussian's third derivative
    /// reaches 1.38 / w^3: the widest intervals here make it 7e-4 / w, and 4e-4 where there is room for more, beside 2.4e-4 by
    /// which halves are off; for Bessel functions 5e-3 of the fastest one's slope, and 3e-3.
    pub(super) fn limited(spec: &Spec, degree: usize, most: usize, numbers: CardNumbers) -> Self {
        let (fewest, gaussian, bessel) = match (degree, numbers.narrow()) {
            (_, true) => (240, 0.08, 0.24),
            (3, _) => (320, 0.06, 0.105),
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
        let needed = intervals.clamp(fewest, MOST_INTERVALS);
        Self {
            degree,
            intervals: needed.max(most.min(2 * needed)),
        }
    }

    /// Room for the coefficients of a slice (bytes).
    pub(super) fn bytes(self, numbers: CardNumbers) -> u32 {
        let bytes = match numbers.narrow() {
            true => (self.coefficients() + self.degree) * NARROW_KNOT * 2,
            false => self.coefficients() * 3 * SLICE * 4,
        };
        bytes as u32
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
    let bias: Vec<f32> = linear.bias.iter().map(|&b| b as f32).collect();
    spread_numbers(&bias, groups, old, new)
}

/// A number for each output, in groups of `old` padded to `new`.
pub(super) fn spread_numbers(numbers: &[f32], groups: usize, old: usize, new: usize) -> Vec<f32> {
    let mut out = vec![0.0; groups * new];
    for (r, &number) in numbers.iter().enumerate() {
        out[r / old * new + r % old] = number;
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

impl SpeciesTables {
    /// The first two groups of the contexts, four channels of each in turn: \[species\]\[F / 4\]\[8\].
    pub fn paired_context(&self, width: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.context.len() / 3 * 2);
        for context in self.context.chunks_exact(3 * width) {
            let (first, second) = (&context[..width], &context[width..2 * width]);
            for (a, b) in first.chunks_exact(4).zip(second.chunks_exact(4)) {
                out.extend(a.iter().chain(b));
            }
        }
        out
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

/// The same table in halves, as `narrow_spline.cu` reads it: \[slices\]\[knots\]\[3\]\[8 lanes\]\[8\]. A lane has four channels.
/// First come the differences of the first two filters to the next knot, then their coefficients, then the difference and the
/// coefficient of the third. Knots of zeros end it.
///
/// # Errors
/// A coefficient is no half.
pub(super) fn in_halves(table: &[f32], splines: Splines) -> Result<Vec<u16>> {
    const FILTERS: usize = 3;
    if let Some(most) = table.iter().find(|c| c.abs() > f16::MAX.to_f32()) {
        return Err(Error::input(format!(
            "a filter of the model reaches {most:.3e}, which is no number in 16 bits"
        ))
        .advise("set precision = \"f32\""));
    }
    let knots = splines.coefficients();
    let mut out = Vec::new();
    for slice in table.chunks_exact(knots * FILTERS * SLICE) {
        let value = |knot: usize, filter: usize, channel: usize| {
            let at = (knot * FILTERS + filter) * SLICE + channel;
            slice.get(at).copied().unwrap_or(0.0)
        };
        let step = |knot, filter, channel| match knot + 1 < knots {
            true => value(knot + 1, filter, channel) - value(knot, filter, channel),
            false => 0.0,
        };
        let mut four = |of: &dyn Fn(usize) -> f32, lane: usize| {
            out.extend((lane * 4..lane * 4 + 4).map(|c| f16::from_f32(of(c)).to_bits()));
        };
        for k in 0..knots {
            let parts: [[&dyn Fn(usize) -> f32; 2]; 3] = [
                [&|c| step(k, 0, c), &|c| step(k, 1, c)],
                [&|c| value(k, 0, c), &|c| value(k, 1, c)],
                [&|c| step(k, 2, c), &|c| value(k, 2, c)],
            ];
            for part in parts {
                for lane in 0..SLICE / 4 {
                    part.iter().for_each(|of| four(*of, lane));
                }
            }
        }
        out.extend(std::iter::repeat_n(0, splines.degree * NARROW_KNOT));
    }
    Ok(out)
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
/// the slope at the cutoff is none. Those of degree 2, whose wiggles between the points of a grid would not fade, interpolate
/// in the middle of intervals, and at both ends.
fn sites(splines: Splines) -> Vec<f64> {
    let n = splines.intervals as f64;
    if splines.degree == 2 {
        let middles = (0..splines.intervals - 1).map(|k| k as f64 + 0.5);
        return std::iter::once(0.0).chain(middles).chain([n]).collect();
    }
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

    /// What a lane of `narrow_spline.cu` reads of a knot is the spline of the table in f32: value and slope of each filter,
    /// within the rounding of halves.
    #[test]
    fn halves_are_the_splines_of_the_table() {
        let splines = Splines {
            degree: 2,
            intervals: 12,
        };
        let knots = splines.coefficients();
        let number = |k: usize| (0.37 * k as f64).sin() as f32;
        let table: Vec<f32> = (0..2 * knots * 3 * SLICE).map(number).collect();
        let halves = in_halves(&table, splines).unwrap();
        let slice_of_halves = (knots + 2) * NARROW_KNOT;
        assert_eq!(halves.len(), 2 * slice_of_halves);
        for slice in 0..2 {
            let read = |knot: usize, part: usize, lane: usize, k: usize| {
                let at = slice * slice_of_halves + ((knot * 3 + part) * 8 + lane) * 8 + k;
                f16::from_bits(halves[at]).to_f64()
            };
            let exact = |knot: usize, filter: usize, channel: usize| {
                f64::from(table[((slice * knots + knot) * 3 + filter) * SLICE + channel])
            };
            for (knot, channel) in
                (0..splines.intervals).flat_map(|k| (0..SLICE).map(move |c| (k, c)))
            {
                let (lane, k) = (channel / 4, channel % 4);
                for filter in 0..3 {
                    let (c1, steps) = match filter {
                        2 => (
                            read(knot + 1, 2, lane, 4 + k),
                            [0, 1].map(|m| read(knot + m, 2, lane, k)),
                        ),
                        f => (
                            read(knot + 1, 1, lane, 4 * f + k),
                            [0, 1].map(|m| read(knot + m, 0, lane, 4 * f + k)),
                        ),
                    };
                    let (u, v) = (0.3, 0.7);
                    let [b, d] = b_splines(2, u);
                    let value = c1 - v * v / 2.0 * steps[0] + u * u / 2.0 * steps[1];
                    let slope = v * steps[0] + u * steps[1];
                    let sum = |w: &[f64]| -> f64 {
                        (0..3)
                            .map(|m| w[m] * exact(knot + m, filter, channel))
                            .sum()
                    };
                    assert!((value - sum(&b)).abs() < 2e-3, "{value} for {}", sum(&b));
                    assert!((slope - sum(&d)).abs() < 2e-3, "{slope} for {}", sum(&d));
                }
            }
        }
        // What is beyond the last knot is none.
        assert!(
            halves[knots * NARROW_KNOT..slice_of_halves]
                .iter()
                .all(|&bits| bits == 0)
        );
    }

    /// A Gaussian of the width of the default basis, cut off at the default number of intervals. Bounds as in
    /// [`Splines::of`]; the value is off by at most h^4 / 384 and h^6 / 15360 of the next even derivative.
    #[test]
    fn splines_keep_to_their_error_bounds() {
        for (degree, derivative, value_bound, slope_bound) in [
            (2, 1.38, 0.0481 / 6.0, 0.1667 / 2.0),
            (3, 3.0, 1.0 / 384.0, 0.0481 / 6.0),
            (5, 15.0, 1.0 / 15360.0, 0.0245 / 120.0),
        ] {
            let intervals = [240, 320, 0, 72][degree - 2];
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
