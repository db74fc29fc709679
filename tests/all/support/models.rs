//! Models to try: those that are shipped, and random ones.

use mdrun::potential::painn::{RadialBasis, Spec, Weights, import};

use super::atoms::ELEMENTS;
use super::root;

/// The models that come with the project: that of H, C, N and O,
pub fn shipped() -> (Spec, Weights) {
    model("models/painn_hcno_gfn2.safetensors")
}

/// and that of more elements.
pub fn organic() -> (Spec, Weights) {
    model("models/painn_organic_gfn2.safetensors")
}

fn model(name: &str) -> (Spec, Weights) {
    import(&std::fs::read(root().join(name)).unwrap(), name).unwrap()
}

/// A model of random weights for H, C, N, O.
pub fn random_model(
    features: usize,
    layers: usize,
    basis: RadialBasis,
    cutoff: f64,
    seed: u32,
) -> (Spec, Weights) {
    let spec = Spec {
        reference_energies: vec![-1.0, -5.0, -6.5, -7.25],
        ..Spec::new(features, layers, basis, cutoff, &ELEMENTS)
    };
    let weights = Weights::random(&spec, seed);
    (spec, weights)
}

/// A model of random weights for H, C, N, O with a range of 5 angstrom. Filters are scaled down, so that sums over some twenty
/// neighbours grow little from layer to layer, as in a trained model: otherwise forces of 1e5 eV/A result, and with them an f32
/// error to match.
pub fn calm_model(features: usize, layers: usize, basis: RadialBasis) -> (Spec, Weights) {
    const FILTER: f64 = 0.2;
    let spec = Spec::new(features, layers, basis, 5.0, &ELEMENTS);
    let mut weights = Weights::random(&spec, (features * 10 + layers) as u32);
    for layer in &mut weights.layers {
        let numbers = layer.filter.weight.iter_mut().chain(&mut layer.filter.bias);
        numbers.for_each(|x| *x *= FILTER);
    }
    (spec, weights)
}
