//! What products are applied to: sums of their inputs and of products of two of them.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

use super::super::Weights;
use super::super::cpu::ProductInputs;
use super::Product;

/// Most rows of a product that are taken in of one arrangement, evenly spread over all of them: those of many atoms are much alike.
const MOST_ROWS: usize = 6144;

/// Sums over rows x of a product's inputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moments {
    /// Number of rows.
    pub(super) count: f64,
    /// Sum of x, \[inputs\].
    pub(super) sum: DVector<f64>,
    /// Sum of x x^T.
    pub(super) squares: DMatrix<f64>,
}

/// Sums over the inputs of each of a network's products.
#[derive(Debug, Clone, PartialEq)]
pub struct InputMoments {
    of: BTreeMap<Product, Moments>,
}

impl InputMoments {
    /// Nothing of a network yet.
    pub fn new(weights: &Weights) -> Self {
        let empty = |product: Product| {
            let inputs = product.of(weights)?.inputs;
            let moments = Moments {
                count: 0.0,
                sum: DVector::zeros(inputs),
                squares: DMatrix::zeros(inputs, inputs),
            };
            Some((product, moments))
        };
        Self {
            of: Product::all(weights)
                .into_iter()
                .filter_map(empty)
                .collect(),
        }
    }

    /// Takes in what a product was applied to. What is not in 8 bits is left out.
    pub fn add(&mut self, product: Product, inputs: &ProductInputs) {
        let Some(moments) = self.of.get_mut(&product) else {
            return;
        };
        let width = moments.sum.len();
        let rows = inputs.rows.len() / inputs.width.max(1);
        let every = rows.div_ceil(MOST_ROWS).max(1);
        let taken = rows.div_ceil(every);
        let columns = DMatrix::from_fn(width, taken, |i, n| {
            inputs.rows[n * every * inputs.width + i]
        });
        moments.count += taken as f64;
        moments.sum += columns.column_sum();
        moments
            .squares
            .gemm(1.0, &columns, &columns.transpose(), 1.0);
    }

    /// What was seen of a product.
    pub(super) fn get(&self, product: Product) -> Option<&Moments> {
        self.of.get(&product).filter(|moments| moments.count > 0.0)
    }
}
