//! PaiNN's products with weights in 8 bits: an integer times a scale of its output.
//!
//! The products are those of atoms: context, mixing and update of every layer, and the readout but for its last row. What is
//! computed once stays as it is: filters (splines), embedding, and the first layer's context, which is a function of the species.
//! Activations, sums and gradients are in f32 as ever, so that the energy is that of the network of these weights
//! ([`Int8Weights::widened`]), and forces are its gradient.
//!
//! Integers and scales come from what the products are applied to in a short trajectory ([`InputMoments`]), by rounding one
//! input after the other, each error made up for by those that follow ([`rounding`]).

mod file;
mod moments;
pub mod rounding;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Int8Linear, Linear, Weights};
use crate::{Error, Result};

pub use moments::InputMoments;

/// A product of atoms, by its layer and its map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Int8Product {
    /// A map of the context net of a layer's interaction.
    Context(usize, usize),
    /// The channel mix of a layer.
    Mix(usize),
    /// A map of the context net of a layer's mixing.
    Update(usize, usize),
    /// A map of the readout.
    Readout(usize),
}

impl Int8Product {
    /// Those of a network that are in 8 bits, in order.
    pub fn all(weights: &Weights) -> Vec<Self> {
        let layers = 0..weights.layers.len();
        let of_layer = |l: usize| {
            let context = [Self::Context(l, 0), Self::Context(l, 1)];
            // The first layer's context is computed once for each species.
            let context = context.into_iter().filter(move |_| l > 0);
            context.chain([Self::Mix(l), Self::Update(l, 0), Self::Update(l, 1)])
        };
        let hidden = weights.readout.len().saturating_sub(1);
        let mut all: Vec<Self> = layers.flat_map(of_layer).collect();
        all.extend((0..hidden).map(Self::Readout));
        all.sort_unstable();
        all
    }

    /// Its map; `None` where the network has none.
    pub fn of(self, weights: &Weights) -> Option<&Linear> {
        let layer = |l: usize| weights.layers.get(l);
        match self {
            Self::Context(l, k) => layer(l)?.context.get(k),
            Self::Mix(l) => Some(&layer(l)?.mix),
            Self::Update(l, k) => layer(l)?.update.get(k),
            Self::Readout(k) => weights.readout.get(k),
        }
    }

    fn of_mut(self, weights: &mut Weights) -> Option<&mut Linear> {
        match self {
            Self::Context(l, k) => weights.layers.get_mut(l)?.context.get_mut(k),
            Self::Mix(l) => Some(&mut weights.layers.get_mut(l)?.mix),
            Self::Update(l, k) => weights.layers.get_mut(l)?.update.get_mut(k),
            Self::Readout(k) => weights.readout.get_mut(k),
        }
    }
}

impl fmt::Display for Int8Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context(l, k) => write!(f, "context.{l}.{k}"),
            Self::Mix(l) => write!(f, "mix.{l}"),
            Self::Update(l, k) => write!(f, "update.{l}.{k}"),
            Self::Readout(k) => write!(f, "readout.{k}"),
        }
    }
}

impl FromStr for Int8Product {
    type Err = String;

    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// It is no product's name.
    fn from_str(text: &str) -> Result<Self, String> {
        let none = || format!("no product has the name {text}");
        let mut words = text.split('.');
        let kind = words.next().unwrap_or_default();
        let numbers: Result<Vec<usize>, _> = words.map(str::parse).collect();
        let numbers = numbers.map_err(|_| none())?;
        let product = match (kind, numbers.as_slice()) {
            ("context", &[l, k]) => Self::Context(l, k),
            ("mix", &[l]) => Self::Mix(l),
            ("update", &[l, k]) => Self::Update(l, k),
            ("readout", &[k]) => Self::Readout(k),
            _ => return Err(none()),
        };
        // What reads otherwise is not what was written: 01, +1.
        (product.to_string() == text)
            .then_some(product)
            .ok_or_else(none)
    }
}

/// The products of one PaiNN in 8 bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8Weights {
    maps: BTreeMap<Int8Product, Int8Linear>,
}

impl Int8Weights {
    /// A product's map; `None` of one that is not in 8 bits.
    pub fn get(&self, product: Int8Product) -> Option<&Int8Linear> {
        self.maps.get(&product)
    }

    /// All of them, in order.
    pub fn all(&self) -> impl Iterator<Item = (Int8Product, &Int8Linear)> {
        self.maps.iter().map(|(product, map)| (*product, map))
    }

    /// Bytes of all maps.
    pub fn bytes(&self) -> usize {
        self.maps.values().map(Int8Linear::bytes).sum()
    }

    /// The weights rounded to the nearest of 255 steps up to the largest of each output, whatever they are applied to.
    pub fn nearest(weights: &Weights) -> Self {
        let map = |product: Int8Product| {
            let linear = product.of(weights)?;
            Some((product, rounding::nearest(linear)))
        };
        let maps = Int8Product::all(weights).into_iter().filter_map(map);
        Self {
            maps: maps.collect(),
        }
    }

    /// The weights rounded for what they are applied to.
    ///
    /// # Errors
    /// Nothing was seen of a product, or what was seen are no numbers.
    pub fn found(weights: &Weights, seen: &InputMoments) -> Result<Self> {
        let mut maps = BTreeMap::new();
        for product in Int8Product::all(weights) {
            let both = product.of(weights).zip(seen.get(product));
            let Some((linear, moments)) = both else {
                return Err(Error::run(format!(
                    "weights in 8 bits: nothing was seen of {product}"
                )));
            };
            let rounded = rounding::sequential(linear, moments)
                .map_err(|e| e.within(format!("weights in 8 bits: {product}")))?;
            maps.insert(product, rounded);
        }
        Ok(Self { maps })
    }

    /// A network whose products are these, exactly, and whose other numbers are those of `weights`.
    ///
    /// # Errors
    /// They are the products of another network.
    pub fn widened(&self, weights: &Weights) -> Result<Weights> {
        self.in_place_of(weights, Int8Linear::widened)
    }

    /// The same network with the integers alone in place of its products.
    ///
    /// # Errors
    /// They are the products of another network.
    pub fn integers(&self, weights: &Weights) -> Result<Weights> {
        self.in_place_of(weights, Int8Linear::integers)
    }

    /// A network with what is made of these products in place of its own.
    fn in_place_of(
        &self,
        weights: &Weights,
        make: impl Fn(&Int8Linear) -> Linear,
    ) -> Result<Weights> {
        let mut widened = weights.clone();
        for product in Int8Product::all(weights) {
            let fits = |linear: &&mut Linear, map: &Int8Linear| {
                (linear.inputs, linear.outputs) == (map.inputs, map.outputs)
                    && linear.bias.len() == map.bias.len()
            };
            match (product.of_mut(&mut widened), self.maps.get(&product)) {
                (Some(linear), Some(map)) if fits(&linear, map) => *linear = make(map),
                _ => {
                    return Err(Error::input(format!(
                        "weights in 8 bits are not those of the model: {product}"
                    )));
                }
            }
        }
        if self.maps.len() == Int8Product::all(weights).len() {
            return Ok(widened);
        }
        Err(Error::input(
            "weights in 8 bits are not those of the model: they are of one with more products",
        ))
    }
}
