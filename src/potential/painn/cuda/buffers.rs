//! The network's memory on the card: its block of constants filled, layer by layer, with the weights and arrays that it
//! points to.

use super::super::{Layer, Linear, Spec, Weights};
use super::block::{
    CoefficientByte, HeadBlock, LayerBlock, NetworkBlock, NetworkSizes, StoredByte,
};
use super::eight::CardInt8;
use super::numbers::CardNumbers;
use super::products::{self, Product};
use super::shape::Shape;
use super::tables::{self, SpeciesTables, padded};
use super::{packs, streams};
use crate::Result;
use crate::cuda::Device;
use crate::cuda::layout::{Arena, Constant, DeviceStruct, Pointer, bytes_of};
use crate::cuda::memory::Memory;

/// Forecasts what atoms take (bytes), without weights.
pub(super) fn demand(atoms: usize, spec: &Spec, weights: &Weights, numbers: CardNumbers) -> usize {
    let sizes = |width, later| NetworkSizes {
        atoms,
        width: padded(width),
        later,
        numbers,
    };
    let hidden = weights.readout.len().saturating_sub(1);
    let layers =
        (0..spec.layers).map(|l| bytes_of(LayerBlock::ATOMS, &sizes(spec.features, l > 0)));
    let heads = (weights.readout[..hidden].iter())
        .map(|linear| bytes_of(HeadBlock::ATOMS, &sizes(linear.outputs, true)));
    let network = bytes_of(NetworkBlock::ATOMS, &sizes(spec.features, true));
    layers.chain(heads).fold(network, usize::saturating_add)
}

/// Everything of the network's on the card.
pub(super) struct NetworkBuffers {
    network: NetworkBlock,
    layers: Vec<LayerBlock>,
    heads: Vec<HeadBlock>,
    /// Keeps alive what the addresses point to.
    memory: Vec<Memory>,
}

impl NetworkBuffers {
    /// Takes room for atoms of these species and copies a model's weights.
    pub fn new(
        device: &Device,
        species: &[u8],
        spec: &Spec,
        weights: &Weights,
        int8: Option<&CardInt8>,
        shape: &Shape,
    ) -> Result<Self> {
        let mut arena = Arena::new(device);
        let mut place = Placing {
            arena: &mut arena,
            atoms: species.len(),
            spec,
            weights,
            int8: int8.filter(|_| shape.choice.division.by_strips()),
            shape,
        };
        let network = place.network(species)?;
        let layers = (0..spec.layers)
            .map(|l| place.layer(l))
            .collect::<Result<_>>()?;
        let heads = place.heads()?;
        Ok(Self {
            network,
            layers,
            heads,
            memory: arena.finish(),
        })
    }

    /// Has the kernels keep there where on the splines each pair lies.
    pub fn keep_spots_in(&mut self, memory: &Memory) {
        self.network.spots = Pointer::to(memory);
    }

    /// The block as the kernels lay it out.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.network.bytes();
        bytes.extend(self.layers.iter().flat_map(DeviceStruct::bytes));
        bytes.extend(self.heads.iter().flat_map(DeviceStruct::bytes));
        if self.heads.is_empty() {
            bytes.extend(HeadBlock::default().bytes());
        }
        bytes
    }

    /// Widths of the hidden layers of the readout, as (inputs, outputs).
    pub fn heads(&self) -> Vec<(usize, usize)> {
        (self.heads.iter())
            .map(|h| (h.inputs as usize, h.outputs as usize))
            .collect()
    }

    /// Memory in use on the card (bytes).
    pub fn total(&self) -> usize {
        self.memory.iter().map(Memory::bytes).sum()
    }
}

/// What is placed, and where.
struct Placing<'a, 'b> {
    arena: &'a mut Arena<'b>,
    atoms: usize,
    spec: &'a Spec,
    weights: &'a Weights,
    /// Weights in 8 bits, where strips stream those.
    int8: Option<&'a CardInt8>,
    shape: &'a Shape,
}

impl Placing<'_, '_> {
    fn sizes(&self, width: usize, later: bool) -> NetworkSizes {
        NetworkSizes {
            atoms: self.atoms,
            width,
            later,
            numbers: self.shape.choice.numbers,
        }
    }

    /// The readout's last layer gives eV, without its bias, which the host adds.
    fn network(&mut self, species: &[u8]) -> Result<NetworkBlock> {
        let (spec, weights) = (self.spec, self.weights);
        let numbers = self.shape.choice.numbers;
        let gradient_scale = numbers.gradient_scale(spec, weights);
        let tables = SpeciesTables::new(species, spec, weights)?;
        let mut network = NetworkBlock {
            embedding: self.arena.copy(&tables.embedding)?,
            first_context: self.first_context(&tables)?,
            knots_per_length: (self.shape.splines.intervals as f64 / spec.cutoff) as f32,
            weights_unit: self.weights_unit(),
            gradient_scale,
            gradient_unit: 1.0 / gradient_scale,
            ..NetworkBlock::default()
        };
        if let Some(last) = weights.readout.last() {
            let mut scaled = last.clone();
            (scaled.weight.iter_mut()).for_each(|w| *w *= spec.energy_scale);
            let row = tables::spread(&scaled, [1, 1], [1, last.inputs], [1, padded(last.inputs)]);
            network.head_out = self.arena.copy(&row)?;
        }
        let sizes = self.sizes(padded(spec.features), true);
        self.arena
            .place(&mut network, NetworkBlock::ATOMS, &sizes)?;
        Ok(network)
    }

    /// What the packs of strips are multiples of.
    fn weights_unit(&self) -> f32 {
        let numbers = self.shape.choice.numbers;
        (self.int8).map_or_else(|| numbers.weights_unit(self.weights), |int8| int8.unit)
    }

    fn first_context(&mut self, tables: &SpeciesTables) -> Result<Constant<StoredByte>> {
        let features = padded(self.spec.features);
        let numbers = self.shape.choice.numbers;
        if !numbers.narrow() {
            return Ok(self.arena.copy(&tables.context)?.cast());
        }
        let context = numbers.stored_bits(&tables.paired_context(features))?;
        Ok(self.arena.copy(&context)?.cast())
    }

    /// The splines of a layer's filters.
    fn table(&mut self, layer: &Layer) -> Result<Constant<CoefficientByte>> {
        let splines = self.shape.splines;
        let table = tables::filter_table(layer, self.spec, splines);
        match self.shape.choice.numbers.narrow() {
            true => Ok(self
                .arena
                .copy(&tables::in_halves(&table, splines)?)?
                .cast()),
            false => Ok(self.arena.copy(&table)?.cast()),
        }
    }

    fn layer(&mut self, l: usize) -> Result<LayerBlock> {
        let (spec, weights) = (self.spec, self.weights);
        let layer = &weights.layers[l];
        let mut block = LayerBlock {
            table: self.table(layer)?,
            epsilon: spec.epsilon[l] as f32,
            context1_bias: self.bias(&layer.context[0], 1)?,
            context2_bias: self.bias(&layer.context[1], 3)?,
            update1_bias: self.bias(&layer.update[0], 1)?,
            update2_bias: self.bias(&layer.update[1], 3)?,
            ..LayerBlock::default()
        };
        if self.shape.choice.division.stages() {
            let packed = self.int8.map_or(weights, |int8| &int8.integers);
            block.forward = self.pack(&products::forward(l, spec, packed))?;
            if l + 1 < spec.layers {
                block.backward = self.pack(&products::backward(l, spec, packed))?;
            }
            if let Some(int8) = self.int8 {
                block.scales = self.arena.copy(&int8.layer_scales(l, spec))?;
            }
        } else {
            [block.context1, block.context1_t] = self.both(&layer.context[0], [1, 1])?;
            [block.context2, block.context2_t] = self.both(&layer.context[1], [3, 1])?;
            [block.mix, block.mix_t] = self.both(&layer.mix, [2, 1])?;
            [block.update1, block.update1_t] = self.both(&layer.update[0], [1, 2])?;
            [block.update2, block.update2_t] = self.both(&layer.update[1], [3, 1])?;
        }
        let sizes = self.sizes(padded(spec.features), l > 0);
        self.arena.place(&mut block, LayerBlock::ATOMS, &sizes)?;
        Ok(block)
    }

    /// A matrix both ways round, its rows and columns in groups of a feature each.
    fn both(&mut self, linear: &Linear, groups: [usize; 2]) -> Result<[Constant<f32>; 2]> {
        let (old, new) = (self.spec.features, padded(self.spec.features));
        let weight = tables::spread(linear, groups, [old; 2], [new; 2]);
        let transposed = tables::transposed(&weight, groups[0] * new);
        Ok([self.arena.copy(&weight)?, self.arena.copy(&transposed)?])
    }

    fn bias(&mut self, linear: &Linear, groups: usize) -> Result<Constant<f32>> {
        let (old, new) = (self.spec.features, padded(self.spec.features));
        (self.arena).copy(&tables::spread_bias(linear, groups, old, new))
    }

    /// All weights of a stage in one piece.
    fn pack(&mut self, products: &[Product]) -> Result<Constant<f32>> {
        let features = padded(self.spec.features);
        let numbers = self.shape.choice.numbers;
        if self.shape.choice.division.by_strips() {
            let unit = self.weights_unit();
            let parts = streams::of_stage(features, products, unit, numbers);
            return Ok(self.arena.copy(&parts)?.cast());
        }
        let pack = packs::of_stage(features, products);
        if numbers.narrow() {
            return Ok(self.arena.copy(&numbers.stored_bits(&pack)?)?.cast());
        }
        self.arena.copy(&pack)
    }

    fn heads(&mut self) -> Result<Vec<HeadBlock>> {
        let weights = self.weights;
        let hidden = weights.readout.len().saturating_sub(1);
        (weights.readout[..hidden].iter())
            .map(|linear| {
                let old = [linear.outputs, linear.inputs];
                let [outputs, inputs] = old.map(padded);
                let weight = tables::spread(linear, [1, 1], old, [outputs, inputs]);
                let bias = tables::spread_bias(linear, 1, linear.outputs, outputs);
                let mut head = HeadBlock {
                    weight: self.arena.copy(&weight)?,
                    bias: self.arena.copy(&bias)?,
                    weight_t: self.arena.copy(&tables::transposed(&weight, outputs))?,
                    inputs: inputs as i32,
                    outputs: outputs as i32,
                    ..HeadBlock::default()
                };
                if let Some(int8) = self.int8 {
                    head.scales = self.arena.copy(&int8.head_scales(self.spec))?;
                }
                let sizes = self.sizes(outputs, true);
                self.arena.place(&mut head, HeadBlock::ATOMS, &sizes)?;
                Ok(head)
            })
            .collect()
    }
}
