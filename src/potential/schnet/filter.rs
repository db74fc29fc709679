//! The filters of a layer as functions of the distance, in f64: the definition.

use super::Schnet;
use crate::potential::fused::Curves;
use crate::potential::fused::spline::{Jet, cosine_cutoff, product};
use crate::potential::painn::cpu::filters::basis_jets;

/// The filters of one layer.
pub struct SchnetFilters<'a> {
    schnet: &'a Schnet,
    layer: usize,
}

impl<'a> SchnetFilters<'a> {
    /// The filters of a layer.
    pub fn new(schnet: &'a Schnet, layer: usize) -> Self {
        Self { schnet, layer }
    }

    /// Those of every layer.
    pub(super) fn all(schnet: &'a Schnet) -> Vec<Self> {
        (0..schnet.layers.len())
            .map(|layer| Self::new(schnet, layer))
            .collect()
    }
}

/// ln(1 + exp(x)) - ln 2.
pub(super) fn shifted_softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p() - std::f64::consts::LN_2
}

/// The shifted softplus with its derivatives, of h with its own.
fn softplus_jet(h: Jet) -> Jet {
    let s = 1.0 / (1.0 + (-h[0]).exp());
    [
        shifted_softplus(h[0]),
        s * h[1],
        s * h[2] + s * (1.0 - s) * h[1] * h[1],
    ]
}

impl Curves for SchnetFilters<'_> {
    fn cutoff(&self) -> f64 {
        self.schnet.cutoff
    }

    fn channels(&self) -> usize {
        self.schnet.features
    }

    fn kinds(&self) -> usize {
        1
    }

    fn jets(&self, d: f64) -> Vec<Jet> {
        let [first, second] = &self.schnet.layers[self.layer].filter;
        let basis = basis_jets(&self.schnet.basis, d);
        let hidden: Vec<Jet> = first.jets(&basis).into_iter().map(softplus_jet).collect();
        let cut = cosine_cutoff(d, self.schnet.cutoff);
        let all = second.jets(&hidden).into_iter();
        all.map(|w| product(w, cut)).collect()
    }
}
