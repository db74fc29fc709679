//! The derivative of PaiNN's energy, written out: the adjoint of each step of the forward pass, in
//! reverse. G_y stands for dE/dy.
//!
//! Pairs come in both directions and filters depend on the distance alone, so what an atom sent in the
//! forward pass it collects in the backward pass from its own row: no sum is a scatter. With the unit
//! vector u of the row's own pairs, which is minus that of the opposite ones, atom i gets
//!
//! * G_x0 = sum_j w_0 G_q(j), G_x1 = -sum_j w_1 u . G_mu(j), G_x2 = mu(i) . H, G_mu(i) += x_2(i) H, where
//!   H = sum_j w_2 G_mu(j);
//!
//! and each of its pairs, with w' the derivatives of the filters,
//!
//! * dE/dr = s u + (t - (t . u) u) / d, where t = w_1 x_1(j) . G_mu(i) and
//!   s = w_0' x_0(j) . G_q(i) + u . (w_1' x_1(j) . G_mu(i)) + w_2' x_2(j) . (mu(j) . G_mu(i)),
//!
//! with dots over features.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::model::{
    Block, Matrix, Mixed, Painn, Platform, Rows, Silu, Triple, directions, every_direction,
    over_directions,
};

/// dE/d(pair) of some atoms' slots, from which dE/dr follows with the geometry.
pub struct PairGradient<B: Backend> {
    /// s without its middle term, \[n\]\[K\]\[1\].
    pub radial: Tensor<B, 3>,
    /// t, \[n\]\[K\]\[3\].
    pub angular: Tensor<B, 3>,
    /// t with w_1' for w_1, \[n\]\[K\]\[3\].
    pub slanted: Tensor<B, 3>,
}

impl<B: Platform> PairGradient<B> {
    /// The sum of those of two layers.
    pub fn add(self, other: Self) -> Self {
        Self {
            radial: self.radial + other.radial,
            angular: self.angular + other.angular,
            slanted: self.slanted + other.slanted,
        }
    }
}

/// The state of all atoms around the messages of one layer.
pub struct Around<'a, B: Backend> {
    /// x.
    pub x: &'a Triple<B>,
    /// mu before the messages; `None` before the first interaction.
    pub mu: Option<&'a Triple<B>>,
    /// G_q after the messages.
    pub g_q: &'a Matrix<B>,
    /// G_mu after the messages.
    pub g_mu: &'a Triple<B>,
}

impl<B: Platform> Painn<B> {
    /// G_q after the last interaction.
    pub fn read_out_backward(&self, hidden: &[Silu<B>], atoms: usize) -> Matrix<B> {
        let last = self.readout.len() - 1;
        let weight = self.readout[last].weight.val().transpose();
        let mut gradient = weight.repeat_dim(0, atoms);
        for k in (0..last).rev() {
            gradient = self.readout[k].backward(hidden[k].backward(gradient));
        }
        gradient
    }
}

impl<B: Platform> Block<B> {
    /// Through the mixing block: G_q and G_mu (\[3 n\]\[F\]) before it from those after it. `None` where
    /// vector features go unused.
    pub fn mix_backward(
        &self,
        mixed: &Mixed<B>,
        g_q: Matrix<B>,
        g_mu: Option<Matrix<B>>,
    ) -> (Matrix<B>, Matrix<B>) {
        let (v, w) = (mixed.v.clone(), mixed.w.clone());
        let mut inner = self.gates[0].backward(g_q.clone())
            + self.gates[2].backward(g_q.clone() * mixed.overlap.clone());
        if let Some(g_mu) = &g_mu {
            inner = inner + self.gates[1].backward(over_directions(g_mu.clone() * w.clone()));
        }
        let inner = mixed.hidden.backward(inner);
        let g_norm = B::product(inner.clone(), self.norms.val().transpose());
        let overlap = every_direction(g_q.clone() * mixed.gate_overlap.clone());
        let norm = every_direction(g_norm / mixed.norm.clone());
        let g_v = norm * v.clone() + overlap.clone() * w;
        let mut g_w = overlap * v;
        if let (Some(g_mu), Some(gate)) = (&g_mu, &mixed.gate_vector) {
            g_w = g_w + every_direction(gate.clone()) * g_mu.clone();
        }
        let mixing = B::product(g_v, self.mix[0].val().transpose())
            + B::product(g_w, self.mix[1].val().transpose());
        let before = match g_mu {
            Some(g_mu) => g_mu + mixing,
            None => mixing,
        };
        (g_q + self.scalars.backward(inner), before)
    }

    /// Through the messages, to the pairs of some atoms. `slope` are the derivatives of their
    /// [`Rows::basis`] by the distance.
    pub fn pair_gradient(
        &self,
        rows: &Rows<B>,
        slope: &Matrix<B>,
        around: &Around<'_, B>,
    ) -> PairGradient<B> {
        let features = around.g_q.dims()[1];
        let columns = |all: &Matrix<B>| rows.own(all).reshape([rows.len(), features, 1]);
        let dot = |pairs: Matrix<B>, column: Tensor<B, 3>| B::product(rows.slots(pairs), column);
        let x = |kind: usize| rows.gather(&around.x[kind]);

        let mut radial = dot(x(0) * self.filter(0, slope), columns(around.g_q));
        let sides = Tensor::cat(around.g_mu.each_ref().map(columns).into(), 2);
        let x_1 = x(1);
        let angular = x_1.clone() * self.filter(1, &rows.basis);
        let slanted = x_1 * self.filter(1, slope);
        if let Some(mu) = around.mu {
            let scale = x(2) * self.filter(2, slope);
            for (mu, g_mu) in mu.iter().zip(around.g_mu) {
                let along = dot(rows.gather(mu) * scale.clone(), columns(g_mu));
                radial = radial + along;
            }
        }
        PairGradient {
            radial,
            angular: dot(angular, sides.clone()),
            slanted: dot(slanted, sides),
        }
    }

    /// Through the messages and the context net, to what some atoms sent: G_q and G_mu (\[3 n\]\[F\])
    /// before the interaction. Not for the first, where they are not wanted.
    pub fn send_backward(
        &self,
        rows: &Rows<B>,
        hidden: &Silu<B>,
        around: &Around<'_, B>,
        mu: &Triple<B>,
    ) -> (Matrix<B>, Matrix<B>) {
        let filter = |kind: usize| self.filter(kind, &rows.basis);
        let g_x0 = rows.sum(0, rows.gather(around.g_q) * filter(0));
        let (towards, across) = (filter(1), filter(2));
        let mut g_x1: Option<Matrix<B>> = None;
        let mut g_x2: Option<Matrix<B>> = None;
        let mut g_mu = Vec::with_capacity(3);
        let x_2 = rows.own(&around.x[2]);
        for (a, mu) in mu.iter().enumerate() {
            let neighbor = rows.gather(&around.g_mu[a]);
            let along = rows.sum(1 + a, neighbor.clone() * towards.clone());
            g_x1 = Some(plus(g_x1, along));
            let h = rows.sum(0, neighbor * across.clone());
            g_x2 = Some(plus(g_x2, rows.own(mu) * h.clone()));
            g_mu.push(rows.own(&around.g_mu[a]) + h * x_2.clone());
        }
        let mut inner = self.messages[0].backward(g_x0);
        if let (Some(g_x1), Some(g_x2)) = (g_x1, g_x2) {
            inner = inner - self.messages[1].backward(g_x1) + self.messages[2].backward(g_x2);
        }
        let g_q = rows.own(around.g_q) + self.context.backward(hidden.backward(inner));
        (g_q, Tensor::cat(g_mu, 0))
    }
}

fn plus<B: Platform>(sum: Option<Matrix<B>>, term: Matrix<B>) -> Matrix<B> {
    match sum {
        Some(sum) => sum + term,
        None => term,
    }
}

/// The directions of \[3 n\]\[F\] of several [`Rows`], joined for all atoms.
pub fn join_directions<B: Platform>(parts: Vec<Matrix<B>>) -> Triple<B> {
    let split: Vec<Triple<B>> = parts.into_iter().map(directions).collect();
    [0, 1, 2].map(|a| Tensor::cat(split.iter().map(|t| t[a].clone()).collect(), 0))
}
