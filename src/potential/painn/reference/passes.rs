//! The forward and the backward pass over all atoms, some at a time.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use rayon::prelude::*;

use super::adjoint::{Around, PairGradient, join_directions};
use super::model::{Matrix, Mixed, Painn, Platform, Rows, Silu, Triple};

/// What depends on the species alone: the state of all atoms before the first interaction.
pub struct FirstState<B: Backend> {
    /// q, \[N\]\[F\].
    q: Matrix<B>,
    /// x of the first interaction.
    x: Triple<B>,
}

impl<B: Platform> FirstState<B> {
    /// Of atoms of these atomic numbers.
    pub fn new(model: &Painn<B>, species: &[u8]) -> Self {
        let q = model.embed(species);
        let (_, x) = model.blocks[0].context(&q);
        Self { q, x }
    }
}

/// What one layer of the forward pass leaves for the backward pass.
struct Passed<B: Backend> {
    /// x and mu of all atoms before the messages.
    x: Triple<B>,
    mu: Option<Triple<B>>,
    /// Inside the context net that made x, for each [`Rows`]; none for the first layer.
    hidden: Vec<Silu<B>>,
    /// Inside the mixing block, for each [`Rows`].
    mixed: Vec<Mixed<B>>,
}

/// The forward pass, done.
pub struct Forward<'a, B: Backend> {
    model: &'a Painn<B>,
    rows: &'a [Rows<B>],
    layers: Vec<Passed<B>>,
    /// q after the last interaction, for each [`Rows`].
    q: Vec<Matrix<B>>,
}

/// One layer's result for some atoms.
struct Step<B: Backend> {
    q: Matrix<B>,
    mu: Option<Matrix<B>>,
    mixed: Mixed<B>,
    next: Option<(Silu<B>, Triple<B>)>,
}

/// Works on each of many things, on several threads where the backend allows it. The results come in
/// order and do not depend on the number of threads.
fn each<B: Platform, T: Sync, R: Send>(all: &[T], work: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    if B::THREADS && all.len() > 1 {
        let work = |(index, one)| work(index, one);
        return all.par_iter().enumerate().map(work).collect();
    }
    all.iter()
        .enumerate()
        .map(|(k, one)| work(k, one))
        .collect()
}

impl<'a, B: Platform> Forward<'a, B> {
    /// Runs all interactions.
    pub fn new(model: &'a Painn<B>, start: &FirstState<B>, rows: &'a [Rows<B>]) -> Self {
        let mut q: Vec<Matrix<B>> = rows.iter().map(|r| r.own(&start.q)).collect();
        let mut layer = Passed {
            x: start.x.clone(),
            mu: None,
            hidden: Vec::new(),
            mixed: Vec::new(),
        };
        let mut layers = Vec::with_capacity(model.blocks.len());
        for (l, block) in model.blocks.iter().enumerate() {
            let following = model.blocks.get(l + 1);
            let mut steps = each::<B, _, _>(rows, |k, rows| {
                let (dq, dmu) = block.receive(rows, &layer.x, layer.mu.as_ref());
                let mu = match &layer.mu {
                    Some(mu) => [0, 1, 2].map(|a| rows.own(&mu[a]) + dmu[a].clone()),
                    None => dmu,
                };
                let mu = Tensor::cat(mu.into(), 0);
                let (q, mu, mixed) = block.mix(q[k].clone() + dq, mu, following.is_some());
                let next = following.map(|block| block.context(&q));
                Step { q, mu, mixed, next }
            });
            q = steps.iter().map(|s| s.q.clone()).collect();
            let next = following.map(|_| next_layer(&mut steps));
            layer.mixed = steps.into_iter().map(|s| s.mixed).collect();
            if let Some(next) = next {
                layers.push(std::mem::replace(&mut layer, next));
            }
        }
        layers.push(layer);
        Self {
            model,
            rows,
            layers,
            q,
        }
    }

    /// The energy of each atom, \[n\]\[1\], for each [`Rows`].
    pub fn energies(&self) -> Vec<Matrix<B>> {
        each::<B, _, _>(&self.q, |_, q| self.model.read_out(q).0)
    }

    /// The energies, and the derivatives of their sum by the geometry of pairs, for each [`Rows`].
    /// `slopes` are the derivatives of [`Rows::basis`] by the distance.
    pub fn backward(&self, slopes: &[Matrix<B>]) -> (Vec<Matrix<B>>, Vec<PairGradient<B>>) {
        let blocks = &self.model.blocks;
        let last = blocks.len() - 1;
        let ends = each::<B, _, _>(self.rows, |k, rows| {
            let (energy, hidden) = self.model.read_out(&self.q[k]);
            let g_q = self.model.read_out_backward(&hidden, rows.len());
            let mixed = &self.layers[last].mixed[k];
            (energy, blocks[last].mix_backward(mixed, g_q, None))
        });
        let (energies, mut gradients): (Vec<_>, Vec<_>) = ends.into_iter().unzip();
        let mut pairs: Vec<Option<PairGradient<B>>> = self.rows.iter().map(|_| None).collect();
        for (l, block) in blocks.iter().enumerate().rev() {
            let layer = &self.layers[l];
            let (g_q, g_mu): (Vec<_>, Vec<_>) = gradients.into_iter().unzip();
            let (g_q, g_mu) = (Tensor::cat(g_q, 0), join_directions(g_mu));
            let around = Around {
                x: &layer.x,
                mu: layer.mu.as_ref(),
                g_q: &g_q,
                g_mu: &g_mu,
            };
            let steps = each::<B, _, _>(self.rows, |k, rows| {
                let pair = block.pair_gradient(rows, &slopes[k], &around);
                let before = layer.mu.as_ref().map(|mu| {
                    let (g_q, g_mu) = block.send_backward(rows, &layer.hidden[k], &around, mu);
                    blocks[l - 1].mix_backward(&self.layers[l - 1].mixed[k], g_q, Some(g_mu))
                });
                (pair, before)
            });
            let (layer_pairs, before): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
            for (sum, pair) in pairs.iter_mut().zip(layer_pairs) {
                *sum = Some(match sum.take() {
                    Some(sum) => sum.add(pair),
                    None => pair,
                });
            }
            gradients = before.into_iter().flatten().collect();
        }
        (energies, pairs.into_iter().flatten().collect())
    }
}

/// Joins what the steps left for the next layer.
fn next_layer<B: Platform>(steps: &mut [Step<B>]) -> Passed<B> {
    let mut hidden = Vec::with_capacity(steps.len());
    let mut x: [Vec<Matrix<B>>; 3] = Default::default();
    let mut mu = Vec::with_capacity(steps.len());
    for step in steps {
        mu.extend(step.mu.take());
        if let Some((inner, parts)) = step.next.take() {
            hidden.push(inner);
            for (all, part) in x.iter_mut().zip(parts) {
                all.push(part);
            }
        }
    }
    Passed {
        x: x.map(|parts| Tensor::cat(parts, 0)),
        mu: Some(join_directions(mu)),
        hidden,
        mixed: Vec::new(),
    }
}
