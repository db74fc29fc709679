//! PaiNN as a Burn module, for any backend: the forward pass.
//!
//! Notation and order of the equations: q \[N\]\[F\] are scalar features, mu_a \[N\]\[F\] (a = x, y, z) vector
//! features, x_0..2 what the context net makes of q, w_0..2 the filters of a pair, u its unit vector.
//! Tensors that hold F numbers a pair or an atom are kept apart, so that every product is one of whole
//! tensors and every sum over neighbours a small matrix product: the operations that backends do well.
//!
//! Atoms are worked on in [`Rows`], a few at a time, so that what belongs to their pairs stays in cache
//! and memory stays bounded; several threads may each work on some.

use std::ops::Range;

use burn::backend::{Autodiff, Flex};
use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Int, Tensor, TensorData};

use crate::potential::painn::{Layer, Linear, Spec, Weights};

/// A matrix: of atoms, pairs or weights.
pub type Matrix<B> = Tensor<B, 2>;

/// The three kinds of message or gate, or the three directions of space.
pub type Triple<B> = [Matrix<B>; 3];

/// Backends that the model runs on.
pub trait Platform: Backend {
    /// Whether several threads may work at once.
    const THREADS: bool;

    /// The matrix product, or a batch of them, in the full precision of its factors.
    fn product<const D: usize>(a: Tensor<Self, D>, b: Tensor<Self, D>) -> Tensor<Self, D>;
}

impl Platform for Flex {
    const THREADS: bool = true;

    fn product<const D: usize>(a: Tensor<Self, D>, b: Tensor<Self, D>) -> Tensor<Self, D> {
        a.matmul(b)
    }
}

impl Platform for Autodiff<Flex> {
    const THREADS: bool = false;

    fn product<const D: usize>(a: Tensor<Self, D>, b: Tensor<Self, D>) -> Tensor<Self, D> {
        a.matmul(b)
    }
}

/// A few atoms with consecutive numbers and the pairs that they receive, as many slots for each atom as
/// the one with most pairs needs. In slots left over all numbers are zero.
pub struct Rows<B: Backend> {
    /// Which atoms, n of them.
    pub atoms: Range<usize>,
    /// Slots per atom, K.
    pub width: usize,
    /// Neighbour in each slot, \[n K\].
    pub neighbors: Tensor<B, 1, Int>,
    /// Basis functions times the cutoff function, and in the last column the cutoff function alone,
    /// \[n K\]\[functions + 1\].
    pub basis: Matrix<B>,
    /// One, then the unit vector of each slot, \[n\]\[4\]\[K\].
    pub units: Tensor<B, 3>,
}

impl<B: Platform> Rows<B> {
    /// Number of atoms.
    pub fn len(&self) -> usize {
        self.atoms.len()
    }

    /// These atoms' rows of a matrix of all atoms.
    pub fn own(&self, all: &Matrix<B>) -> Matrix<B> {
        if all.dims()[0] == self.len() {
            return all.clone();
        }
        all.clone().slice([self.atoms.clone()])
    }

    /// For each slot the neighbour's row of a matrix of all atoms, \[n K\]\[F\].
    pub fn gather(&self, all: &Matrix<B>) -> Matrix<B> {
        all.clone().select(0, self.neighbors.clone())
    }

    /// The slots of each atom, \[n\]\[K\]\[F\].
    pub fn slots(&self, pairs: Matrix<B>) -> Tensor<B, 3> {
        let [_, features] = pairs.dims();
        pairs.reshape([self.len(), self.width, features])
    }

    /// The sum over slots of weight times what is in them; `weight` counts the rows of
    /// [`Rows::units`].
    pub fn sum(&self, weight: usize, pairs: Matrix<B>) -> Matrix<B> {
        let [_, features] = pairs.dims();
        let weights = self.units.clone().narrow(1, weight, 1);
        B::product(weights, self.slots(pairs)).reshape([self.len(), features])
    }

    /// The sum over slots of the unit vector times what is in them.
    pub fn sum_with_units(&self, pairs: Matrix<B>) -> Triple<B> {
        let [_, features] = pairs.dims();
        let units = self.units.clone().narrow(1, 1, 3);
        let sums = B::product(units, self.slots(pairs));
        [0, 1, 2].map(|a| {
            let one = sums.clone().narrow(1, a, 1);
            one.reshape([self.len(), features])
        })
    }
}

/// y = x W + b.
#[derive(Module, Debug)]
pub struct Dense<B: Backend> {
    /// W, \[inputs\]\[outputs\].
    pub weight: Param<Matrix<B>>,
    /// b, \[1\]\[outputs\].
    pub bias: Param<Matrix<B>>,
}

impl<B: Platform> Dense<B> {
    /// y of x.
    pub fn forward(&self, x: &Matrix<B>) -> Matrix<B> {
        B::product(x.clone(), self.weight.val()) + self.bias.val()
    }

    /// Gradient with respect to x from that with respect to y.
    pub fn backward(&self, gradient: Matrix<B>) -> Matrix<B> {
        B::product(gradient, self.weight.val().transpose())
    }
}

/// silu(h) = h sigmoid(h), with what its derivative needs.
pub struct Silu<B: Backend> {
    sigmoid: Matrix<B>,
    /// silu(h).
    pub value: Matrix<B>,
}

impl<B: Platform> Silu<B> {
    /// Of h.
    pub fn new(h: Matrix<B>) -> Self {
        let sigmoid = sigmoid(h.clone());
        let value = h * sigmoid.clone();
        Self { sigmoid, value }
    }

    /// Gradient with respect to h: the derivative is s + silu(h) (1 - s).
    pub fn backward(&self, gradient: Matrix<B>) -> Matrix<B> {
        let falling = self.value.clone() * self.sigmoid.clone();
        (self.value.clone() + self.sigmoid.clone() - falling) * gradient
    }
}

/// One interaction and mixing block.
#[derive(Module, Debug)]
pub struct Block<B: Backend> {
    /// Filters, \[functions + 1\]\[F\] each, the bias in the last row.
    pub filters: Vec<Param<Matrix<B>>>,
    /// First half of the interaction's context net.
    pub context: Dense<B>,
    /// Second half, one for each kind of message.
    pub messages: Vec<Dense<B>>,
    /// Channel mix of vector features: v and w.
    pub mix: Vec<Param<Matrix<B>>>,
    /// Biases of both, \[1\]\[F\]; empty for none.
    pub mix_bias: Vec<Param<Matrix<B>>>,
    /// First half of the mixing's context net, as it acts on scalars.
    pub scalars: Dense<B>,
    /// First half, as it acts on norms of vectors.
    pub norms: Param<Matrix<B>>,
    /// Second half, one for each kind of gate.
    pub gates: Vec<Dense<B>>,
    /// Added to the squared norms.
    pub epsilon: f64,
}

/// What a mixing block leaves for the backward pass.
pub struct Mixed<B: Backend> {
    /// v of all directions, \[3 n\]\[F\].
    pub v: Matrix<B>,
    /// w likewise.
    pub w: Matrix<B>,
    /// v . w.
    pub overlap: Matrix<B>,
    /// sqrt(|v|^2 + epsilon).
    pub norm: Matrix<B>,
    /// Inside the context net.
    pub hidden: Silu<B>,
    /// Gate of w, where vector features are wanted.
    pub gate_vector: Option<Matrix<B>>,
    /// Gate of v . w.
    pub gate_overlap: Matrix<B>,
}

impl<B: Platform> Block<B> {
    /// The context net of the interaction: what is inside it, and x.
    pub fn context(&self, q: &Matrix<B>) -> (Silu<B>, Triple<B>) {
        let hidden = Silu::new(self.context.forward(q));
        let x = [0, 1, 2].map(|k| self.messages[k].forward(&hidden.value));
        (hidden, x)
    }

    /// Filter `kind` of basis functions, or its derivative of their derivatives.
    pub fn filter(&self, kind: usize, basis: &Matrix<B>) -> Matrix<B> {
        B::product(basis.clone(), self.filters[kind].val())
    }

    /// The messages that some atoms receive: what is added to their q and to their mu. `mu` is `None`
    /// before the first interaction, where it is zero.
    pub fn receive(
        &self,
        rows: &Rows<B>,
        x: &Triple<B>,
        mu: Option<&Triple<B>>,
    ) -> (Matrix<B>, Triple<B>) {
        let message = |kind: usize| rows.gather(&x[kind]) * self.filter(kind, &rows.basis);
        let dq = rows.sum(0, message(0));
        let dmu = rows.sum_with_units(message(1));
        let Some(mu) = mu else {
            return (dq, dmu);
        };
        let scale = message(2);
        let dmu = std::array::from_fn(|a| {
            let carried = rows.gather(&mu[a]) * scale.clone();
            dmu[a].clone() + rows.sum(0, carried)
        });
        (dq, dmu)
    }

    /// The mixing block of some atoms: q, mu (all directions, \[3 n\]\[F\]; only where `vectors` are
    /// wanted after it) and what the backward pass needs.
    pub fn mix(
        &self,
        q: Matrix<B>,
        mu: Matrix<B>,
        vectors: bool,
    ) -> (Matrix<B>, Option<Matrix<B>>, Mixed<B>) {
        let part = |k: usize| {
            let part = B::product(mu.clone(), self.mix[k].val());
            match self.mix_bias.get(k) {
                Some(bias) => part + bias.val(),
                None => part,
            }
        };
        let (v, w) = (part(0), part(1));
        let norm = (over_directions(v.clone() * v.clone()) + self.epsilon).sqrt();
        let overlap = over_directions(v.clone() * w.clone());
        let hidden = self.scalars.forward(&q) + B::product(norm.clone(), self.norms.val());
        let hidden = Silu::new(hidden);
        let gate = |kind: usize| self.gates[kind].forward(&hidden.value);
        let gate_overlap = gate(2);
        let q = q + gate(0) + gate_overlap.clone() * overlap.clone();
        let gate_vector = vectors.then(|| gate(1));
        let mu = (gate_vector.clone()).map(|b| mu + every_direction(b) * w.clone());
        let mixed = Mixed {
            v,
            w,
            overlap,
            norm,
            hidden,
            gate_vector,
            gate_overlap,
        };
        (q, mu, mixed)
    }
}

/// The sum over directions of \[3 n\]\[F\], \[n\]\[F\].
pub fn over_directions<B: Platform>(all: Matrix<B>) -> Matrix<B> {
    let [x, y, z] = directions(all);
    x + y + z
}

/// The three directions of \[3 n\]\[F\].
pub fn directions<B: Platform>(all: Matrix<B>) -> Triple<B> {
    let atoms = all.dims()[0] / 3;
    [0, 1, 2].map(|a| all.clone().narrow(0, a * atoms, atoms))
}

/// Repeats \[n\]\[F\] for each direction: \[3 n\]\[F\].
pub fn every_direction<B: Platform>(one: Matrix<B>) -> Matrix<B> {
    // Not `repeat_dim`: its derivative in burn-autodiff 0.21 sums the wrong rows.
    Tensor::cat(vec![one.clone(), one.clone(), one], 0)
}

/// The network.
#[derive(Module, Debug)]
pub struct Painn<B: Backend> {
    /// Scalar features of each atomic number, from 0.
    pub embedding: Param<Matrix<B>>,
    /// Interactions in the order of evaluation.
    pub blocks: Vec<Block<B>>,
    /// Readout, with SiLU between.
    pub readout: Vec<Dense<B>>,
}

impl<B: Platform> Painn<B> {
    /// The network with these weights, in numbers of this type.
    pub fn new(spec: &Spec, weights: &Weights, device: &B::Device, dtype: DType) -> Self {
        let make = Make::<B> { device, dtype };
        let rows = weights.embedding.len() / spec.features;
        let block = |(layer, epsilon): (&Layer, &f64)| make.block(layer, *epsilon);
        Self {
            embedding: make.matrix(weights.embedding.clone(), [rows, spec.features]),
            blocks: (weights.layers.iter().zip(&spec.epsilon))
                .map(block)
                .collect(),
            readout: (weights.readout.iter())
                .map(|linear| make.dense(linear, 0..linear.outputs))
                .collect(),
        }
    }

    /// q of all atoms before the first interaction.
    pub fn embed(&self, species: &[u8]) -> Matrix<B> {
        let embedding = self.embedding.val();
        let numbers: Vec<i32> = species.iter().map(|&z| i32::from(z)).collect();
        let data = TensorData::new(numbers, [species.len()]);
        let index = Tensor::from_data(data, (&embedding.device(), DType::I32));
        embedding.select(0, index)
    }

    /// The energy of each atom, \[n\]\[1\], and what the backward pass needs.
    pub fn read_out(&self, q: &Matrix<B>) -> (Matrix<B>, Vec<Silu<B>>) {
        let mut hidden: Vec<Silu<B>> = Vec::new();
        let mut energy = self.readout[0].forward(q);
        for dense in &self.readout[1..] {
            let silu = Silu::new(energy);
            energy = dense.forward(&silu.value);
            hidden.push(silu);
        }
        (energy, hidden)
    }
}

/// Turns weights into parameters.
struct Make<'a, B: Backend> {
    device: &'a B::Device,
    dtype: DType,
}

impl<B: Platform> Make<'_, B> {
    fn matrix(&self, values: Vec<f64>, shape: [usize; 2]) -> Param<Matrix<B>> {
        let data = TensorData::new(values, shape).convert_dtype(self.dtype);
        Param::from_tensor(Tensor::from_data(data, (self.device, self.dtype)))
    }

    /// Some outputs and inputs of a map, transposed.
    fn part(
        &self,
        linear: &Linear,
        outputs: Range<usize>,
        inputs: Range<usize>,
    ) -> Param<Matrix<B>> {
        let shape = [inputs.len(), outputs.len()];
        let column = |i: usize| {
            let outputs = outputs.clone();
            outputs.map(move |o| linear.weight[o * linear.inputs + i])
        };
        self.matrix(inputs.flat_map(column).collect(), shape)
    }

    fn dense(&self, linear: &Linear, outputs: Range<usize>) -> Dense<B> {
        let bias = linear.bias[outputs.clone()].to_vec();
        Dense {
            bias: self.matrix(bias, [1, outputs.len()]),
            weight: self.part(linear, outputs, 0..linear.inputs),
        }
    }

    /// A filter, its bias in the last row.
    fn filter(&self, linear: &Linear, outputs: Range<usize>) -> Param<Matrix<B>> {
        let mut rows: Vec<f64> = Vec::new();
        for i in 0..linear.inputs {
            rows.extend(
                outputs
                    .clone()
                    .map(|o| linear.weight[o * linear.inputs + i]),
            );
        }
        rows.extend_from_slice(&linear.bias[outputs.clone()]);
        self.matrix(rows, [linear.inputs + 1, outputs.len()])
    }

    fn block(&self, layer: &Layer, epsilon: f64) -> Block<B> {
        let f = layer.mix.inputs;
        let kind = |k: usize| k * f..(k + 1) * f;
        let first = &layer.update[0];
        Block {
            filters: (0..3)
                .map(|k| self.filter(&layer.filter, kind(k)))
                .collect(),
            context: self.dense(&layer.context[0], 0..f),
            messages: (0..3)
                .map(|k| self.dense(&layer.context[1], kind(k)))
                .collect(),
            mix: (0..2)
                .map(|k| self.part(&layer.mix, kind(k), 0..f))
                .collect(),
            mix_bias: (layer.mix.bias.chunks_exact(f))
                .map(|bias| self.matrix(bias.to_vec(), [1, f]))
                .collect(),
            scalars: Dense {
                weight: self.part(first, 0..f, 0..f),
                bias: self.matrix(first.bias.clone(), [1, f]),
            },
            norms: self.part(first, 0..f, f..2 * f),
            gates: (0..3)
                .map(|k| self.dense(&layer.update[1], kind(k)))
                .collect(),
            epsilon,
        }
    }
}
