//! The products of each stage between two messages: which matrices, in which order.

use super::super::{Linear, Spec, Weights};
use super::tables::{self, padded};

/// A matrix \[outputs\]\[inputs\], padded.
pub(super) struct PaddedMatrix {
    pub values: Vec<f32>,
    pub inputs: usize,
}

impl PaddedMatrix {
    /// Rows in `groups[0]` groups of a feature each, columns in `groups[1]`.
    fn new(linear: &Linear, groups: [usize; 2], spec: &Spec) -> Self {
        let (old, new) = (spec.features, padded(spec.features));
        Self {
            values: tables::spread(linear, groups, [old; 2], [new; 2]),
            inputs: groups[1] * new,
        }
    }

    fn transposed(&self) -> Self {
        let outputs = self.values.len() / self.inputs;
        Self {
            values: tables::transposed(&self.values, outputs),
            inputs: outputs,
        }
    }
}

/// One product of a stage.
pub(super) struct Product {
    pub matrix: PaddedMatrix,
    /// Groups of outputs that belong to one atom and channel.
    pub groups: usize,
    /// Whether its outputs travel where a cluster shares it, and not its inputs, of which it has more.
    pub scattered: bool,
}

impl Product {
    fn new(matrix: PaddedMatrix, groups: usize) -> Self {
        Self {
            matrix,
            groups,
            scattered: false,
        }
    }

    fn scattered(matrix: PaddedMatrix) -> Self {
        Self {
            matrix,
            groups: 1,
            scattered: true,
        }
    }
}

/// The update's three matrices.
fn update(l: usize, spec: &Spec, weights: &Weights) -> [PaddedMatrix; 3] {
    let layer = &weights.layers[l];
    [
        PaddedMatrix::new(&layer.mix, [2, 1], spec),
        PaddedMatrix::new(&layer.update[0], [1, 2], spec),
        PaddedMatrix::new(&layer.update[1], [3, 1], spec),
    ]
}

fn update_back(matrices: &[PaddedMatrix; 3]) -> [Product; 3] {
    let [mix, first, second] = matrices;
    [
        Product::scattered(second.transposed()),
        Product::new(first.transposed(), 2),
        Product::scattered(mix.transposed()),
    ]
}

/// Those of the stage behind the messages of layer `l`: its update and the context of the next layer; behind the last one the
/// readout, and the way back to the messages.
pub(super) fn forward(l: usize, spec: &Spec, weights: &Weights) -> Vec<Product> {
    let matrices = update(l, spec, weights);
    let back = update_back(&matrices);
    let [mix, first, second] = matrices;
    let update = [
        Product::new(mix, 2),
        Product::new(first, 1),
        Product::new(second, 3),
    ];
    if let Some(next) = weights.layers.get(l + 1) {
        let context = [
            Product::new(PaddedMatrix::new(&next.context[0], [1, 1], spec), 1),
            Product::new(PaddedMatrix::new(&next.context[1], [3, 1], spec), 3),
        ];
        return update.into_iter().chain(context).collect();
    }
    let hidden = &weights.readout[0];
    let old = [hidden.outputs, hidden.inputs];
    let features = padded(spec.features);
    let new = [padded(hidden.outputs), features];
    let head = PaddedMatrix {
        values: tables::spread(hidden, [1, 1], old, new),
        inputs: features,
    };
    let head_back = head.transposed();
    let readout = [Product::new(head, 1), Product::new(head_back, 1)];
    update.into_iter().chain(readout).chain(back).collect()
}

/// Those of the stage between the way back of the messages of layer `l + 1` and of those of layer `l`.
pub(super) fn backward(l: usize, spec: &Spec, weights: &Weights) -> Vec<Product> {
    let next = &weights.layers[l + 1];
    let first = PaddedMatrix::new(&next.context[0], [1, 1], spec).transposed();
    let second = PaddedMatrix::new(&next.context[1], [3, 1], spec).transposed();
    let context = [Product::new(second, 1), Product::new(first, 1)];
    let back = update_back(&update(l, spec, weights));
    context.into_iter().chain(back).collect()
}
