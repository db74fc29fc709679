//! Weights in 8 bits as the kernels of strips take them: whole numbers, and for each output channel what they are multiples of
//! (`kernels/strips.cu`). Other kernels have their products in halves.

use super::super::int8::Int8Product;
use super::super::{Int8Weights, Spec, Weights};
use super::tables::{padded, spread_numbers};
use crate::Result;

/// A model's weights in 8 bits.
pub(super) struct CardInt8 {
    /// The network that they make.
    pub widened: Weights,
    /// The whole numbers alone, in place of weights.
    pub integers: Weights,
    maps: Int8Weights,
    /// A power of two that no scale is larger than.
    pub unit: f32,
}

impl CardInt8 {
    /// Those of a model.
    ///
    /// # Errors
    /// They are those of another model.
    pub fn new(weights: &Weights, int8: &Int8Weights) -> Result<Self> {
        let scales = int8.all().flat_map(|(_, map)| &map.scale);
        let most = scales.fold(f32::MIN_POSITIVE, |most, &scale| most.max(scale));
        Ok(Self {
            widened: int8.widened(weights)?,
            integers: int8.integers(weights)?,
            maps: int8.clone(),
            unit: 2.0_f32.powi(most.log2().ceil() as i32),
        })
    }

    /// Scales of a product over the unit, in groups of features; none of one that is not in 8 bits.
    fn of(&self, product: Int8Product, groups: usize, spec: &Spec) -> Vec<f32> {
        let (old, new) = (spec.features, padded(spec.features));
        let map = self.maps.get(product);
        let scales = map.map_or(&[][..], |map| &map.scale);
        let over: Vec<f32> = scales.iter().map(|scale| scale / self.unit).collect();
        spread_numbers(&over, groups, old, new)
    }

    /// Of a layer, in the order of `kernels/strips.cu`: update, mix, context.
    pub fn layer_scales(&self, l: usize, spec: &Spec) -> Vec<f32> {
        let products = [
            (Int8Product::Update(l, 0), 1),
            (Int8Product::Update(l, 1), 3),
            (Int8Product::Mix(l), 2),
            (Int8Product::Context(l, 0), 1),
            (Int8Product::Context(l, 1), 3),
        ];
        let of = |(product, groups)| self.of(product, groups, spec);
        products.into_iter().flat_map(of).collect()
    }

    /// Of the readout's hidden layer, in as many numbers as there are features.
    pub fn head_scales(&self, spec: &Spec) -> Vec<f32> {
        self.of(Int8Product::Readout(0), 1, spec)
    }
}
