//! Weights to integers of 8 bits.
//!
//! Of a map y = W x + b the loss of a row is the mean of (dw . x + db)^2 over what it is applied to, dw and db being what
//! rounding changes.
//! The best change of the bias makes up for the mean of x, so that the loss is dw^T C dw with the covariance C of x. Inputs are
//! rounded one after the other, those of the largest variance first, and the error of each is made up for by those that are
//! still to come, as well as they can (Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ", ICLR 2023, arXiv:2210.17323, which takes
//! the second moments of x). A row's scale is the one, of some below that of its largest weight, which leaves the least loss.

use nalgebra::DMatrix;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::moments::InputSums;
use crate::potential::painn::{Int8Linear, Linear};
use crate::{Error, Result};

/// Largest integer: the range is symmetric.
const MOST: f64 = 127.0;
/// What is added to each variance, as part of their mean, so that directions that were not seen are not free.
const DAMPING: f64 = 0.01;
/// Scales that are tried, as parts of the one at which the largest weight is the largest integer.
const PARTS: [f64; 4] = [1.0, 0.96, 0.92, 0.88];

/// A scale of 17 bits: f32 holds its products with integers of 8 bits exactly.
fn short(scale: f64) -> f32 {
    /// The last 7 of the 24 bits of an f32.
    const REST: u32 = 0x7f;
    let bits = (scale as f32).max(f32::MIN_POSITIVE).to_bits();
    f32::from_bits((bits + REST.div_ceil(2)) & !REST)
}

fn largest(row: &[f64]) -> f64 {
    row.iter().fold(0.0, |most: f64, w| most.max(w.abs()))
}

fn integer(weight: f64, scale: f64) -> f64 {
    (weight / scale).round().clamp(-MOST, MOST)
}

/// The nearest integers at the scale of each row's largest weight, whatever the map is applied to.
pub fn nearest(linear: &Linear) -> Int8Linear {
    let rows = linear.weight.chunks_exact(linear.inputs.max(1));
    let scale: Vec<f32> = rows.clone().map(|row| short(largest(row) / MOST)).collect();
    let integers = rows.zip(&scale).flat_map(|(row, scale)| {
        let scale = f64::from(*scale);
        row.iter().map(move |w| integer(*w, scale) as i8)
    });
    Int8Linear {
        inputs: linear.inputs,
        outputs: linear.outputs,
        q: integers.collect(),
        scale,
        bias: linear.bias.iter().map(|b| *b as f32).collect(),
    }
}

/// Integers, scales and biases for what a map is applied to. The same whatever the number of threads.
///
/// # Errors
/// What was seen are no finite numbers.
pub(super) fn sequential(linear: &Linear, seen: &InputSums) -> Result<Int8Linear> {
    let mean = seen.mean();
    let mut loss = seen.mean_square();
    if !linear.bias.is_empty() {
        loss -= &mean * mean.transpose();
    }
    let plan = Elimination::of(&loss)?;
    let rows: Vec<&[f64]> = linear.weight.chunks_exact(linear.inputs.max(1)).collect();
    let rounded: Vec<(Vec<i8>, f32)> = (rows.into_par_iter()).map(|row| plan.round(row)).collect();
    let mut map = Int8Linear {
        inputs: linear.inputs,
        outputs: linear.outputs,
        q: rounded
            .iter()
            .flat_map(|(q, _)| q.iter().copied())
            .collect(),
        scale: rounded.iter().map(|(_, scale)| *scale).collect(),
        bias: Vec::new(),
    };
    if !linear.bias.is_empty() {
        let left: Vec<f64> = (linear.weight.iter().zip(map.widened().weight))
            .map(|(exact, rounded)| exact - rounded)
            .collect();
        let rows = left.chunks_exact(linear.inputs.max(1)).zip(&linear.bias);
        let bias = rows.map(|(row, bias)| {
            let change: f64 = row.iter().zip(mean.iter()).map(|(w, x)| w * x).sum();
            (bias + change) as f32
        });
        map.bias = bias.collect();
    }
    Ok(map)
}

/// How the error of each input is made up for by those behind it.
struct Elimination {
    /// Inputs in the order in which they are rounded.
    order: Vec<usize>,
    /// Rows of U in C^-1 = U^T U, C in that order, row-major; zeros below the diagonal.
    upper: Vec<f64>,
}

impl Elimination {
    /// Of a matrix of second moments.
    ///
    /// # Errors
    /// It is not one of finite numbers.
    fn of(moments: &DMatrix<f64>) -> Result<Self> {
        let inputs = moments.nrows();
        let unsound = || Error::run("what it was applied to are no finite numbers");
        let mean = moments.trace() / inputs.max(1) as f64;
        if !mean.is_finite() {
            return Err(unsound());
        }
        // Where nothing varies, all directions are alike.
        let damping = if mean > 0.0 { DAMPING * mean } else { 1.0 };
        let mut order: Vec<usize> = (0..inputs).collect();
        order.sort_by(|&i, &j| moments[(j, j)].total_cmp(&moments[(i, i)]).then(i.cmp(&j)));
        let permuted = DMatrix::from_fn(inputs, inputs, |i, j| {
            let own = if i == j { damping } else { 0.0 };
            moments[(order[i], order[j])] + own
        });
        let inverse = permuted.cholesky().ok_or_else(unsound)?.inverse();
        let lower = inverse.cholesky().ok_or_else(unsound)?.unpack();
        // A lower triangle by columns is an upper one by rows.
        Ok(Self {
            order,
            upper: lower.as_slice().to_vec(),
        })
    }

    /// The integers of a row, and their scale.
    fn round(&self, row: &[f64]) -> (Vec<i8>, f32) {
        let ordered: Vec<f64> = self.order.iter().map(|&i| row[i]).collect();
        let most = largest(row);
        let mut best = (f64::INFINITY, Vec::new(), short(most / MOST));
        for part in PARTS {
            let scale = short(part * most / MOST);
            if let Some((loss, integers)) = self.at_scale(&ordered, f64::from(scale), best.0) {
                best = (loss, integers, scale);
            }
        }
        let (_, integers, scale) = best;
        let mut q = vec![0; row.len()];
        for (&i, integer) in self.order.iter().zip(integers) {
            q[i] = integer;
        }
        (q, scale)
    }

    /// The integers of a row at a scale, with the loss that they leave; `None` where it is not under `bound`.
    fn at_scale(&self, ordered: &[f64], scale: f64, bound: f64) -> Option<(f64, Vec<i8>)> {
        let mut rest = ordered.to_vec();
        let mut integers = Vec::with_capacity(rest.len());
        let mut loss = 0.0;
        for i in 0..rest.len() {
            let upper = &self.upper[i * rest.len()..(i + 1) * rest.len()];
            let rounded = integer(rest[i], scale);
            let error = (rest[i] - scale * rounded) / upper[i];
            loss += error * error;
            if loss >= bound {
                return None;
            }
            integers.push(rounded as i8);
            for (rest, upper) in rest[i + 1..].iter_mut().zip(&upper[i + 1..]) {
                *rest -= error * upper;
            }
        }
        Some((loss, integers))
    }
}
