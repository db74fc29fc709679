//! What products are applied to: sums of their inputs and of products of two of them.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

use super::super::Weights;
use super::super::cpu::ProductInputs;
use super::Int8Product;

/// Most rows of a product that are taken in of one arrangement, evenly spread: those of many atoms are much alike.
const MOST_ROWS: usize = 6144;

/// Sums over rows x of a product's inputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InputSums {
    /// Number of rows.
    pub(super) count: f64,
    /// Sum of x, \[inputs\].
    sum: Vec<f64>,
    /// Sum of x x^T, row-major, from the diagonal on.
    squares: Vec<f64>,
    /// A row of zeros.
    none: Vec<f64>,
}

impl InputSums {
    fn new(inputs: usize) -> Self {
        Self {
            count: 0.0,
            sum: vec![0.0; inputs],
            squares: vec![0.0; inputs * inputs],
            none: vec![0.0; inputs],
        }
    }

    /// Mean of x.
    pub(super) fn mean(&self) -> DVector<f64> {
        DVector::from_column_slice(&self.sum) / self.count
    }

    /// Mean of x x^T.
    pub(super) fn mean_square(&self) -> DMatrix<f64> {
        let inputs = self.sum.len();
        DMatrix::from_fn(inputs, inputs, |i, j| {
            self.squares[i.min(j) * inputs + i.max(j)] / self.count
        })
    }
}

/// Adds x x^T of four rows, from the diagonal on.
fn add_squares(rows: [&[f64]; 4], squares: &mut [f64]) {
    let width = rows[0].len();
    for (i, to) in squares.chunks_exact_mut(width).enumerate() {
        let [a, b, c, d] = rows.map(|row| &row[i..]);
        let [fa, fb, fc, fd] = [a[0], b[0], c[0], d[0]];
        for (j, to) in to[i..].iter_mut().enumerate() {
            *to += fa * a[j] + fb * b[j] + fc * c[j] + fd * d[j];
        }
    }
}

/// Sums over the inputs of each of a network's products.
#[derive(Debug, Clone, PartialEq)]
pub struct InputMoments {
    of: BTreeMap<Int8Product, InputSums>,
}

impl InputMoments {
    /// Nothing of a network yet.
    pub fn new(weights: &Weights) -> Self {
        let empty = |product: Int8Product| {
            let inputs = product.of(weights)?.inputs;
            Some((product, InputSums::new(inputs)))
        };
        Self {
            of: Int8Product::all(weights)
                .into_iter()
                .filter_map(empty)
                .collect(),
        }
    }

    /// Takes in what a product was applied to. What is not in 8 bits is left out.
    pub fn add(&mut self, product: Int8Product, inputs: &ProductInputs) {
        let Some(moments) = self.of.get_mut(&product) else {
            return;
        };
        let width = moments.sum.len();
        let rows = inputs.rows.len() / inputs.width.max(1);
        let every = rows.div_ceil(MOST_ROWS).max(1);
        let taken = rows.div_ceil(every);
        let row = |n: usize| match n < taken {
            true => &inputs.rows[n * every * inputs.width..][..width],
            false => &moments.none[..],
        };
        for n in (0..taken).step_by(4) {
            let four = [row(n), row(n + 1), row(n + 2), row(n + 3)];
            add_squares(four, &mut moments.squares);
            for x in four {
                let sums = moments.sum.iter_mut().zip(x);
                sums.for_each(|(sum, x)| *sum += x);
            }
        }
        moments.count += taken as f64;
    }

    /// What was seen of a product.
    pub(super) fn get(&self, product: Int8Product) -> Option<&InputSums> {
        self.of.get(&product).filter(|moments| moments.count > 0.0)
    }
}
