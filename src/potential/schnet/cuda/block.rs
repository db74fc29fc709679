//! The network's block of constants `S` and its layers, and its memory on a card.

use super::super::Schnet;
use super::super::packed::{PackedSchnet, PackedSchnetLayer};
use crate::Result;
use crate::cuda::Device;
use crate::cuda::layout::{Arena, Constant, Pointer, bytes_of};
use crate::device_struct;
use crate::potential::device::layered::LayeredMemory;
use crate::potential::device::readout::{
    SLICE, block_bytes, demand_of_heads, head_out, place_heads,
};

/// What the lengths of arrays are made of.
#[derive(Clone, Copy)]
pub(super) struct SchnetSizes {
    atoms: usize,
    /// Features, padded.
    width: usize,
    first: bool,
}

impl SchnetSizes {
    /// Numbers of a row of features for each atom.
    fn row(&self) -> usize {
        self.width.saturating_mul(self.atoms)
    }
}

device_struct! {
    /// One interaction. Maps are panels of 32 outputs, \[panel\]\[input\]\[32\].
    pub(super) struct SchnetLayerBlock = "SchnetLayer" {
        /// \[slices\]\[coefficients\]\[SLICE\] of quintic B-splines: the filters.
        table: Constant<f32>,
        input: Constant<f32>,
        input_back: Constant<f32>,
        output1: Constant<f32>,
        output1_bias: Constant<f32>,
        output1_back: Constant<f32>,
        output2: Constant<f32>,
        output2_bias: Constant<f32>,
        output2_back: Constant<f32>,
    }
    /// What it computes of each atom.
    arrays ATOMS (SchnetSizes) {
        /// What atoms send; the first layer has it of the elements.
        sent: Pointer<f32> = |s| if s.first { 0 } else { s.row() },
        /// Before the update's shifted softplus.
        k: Pointer<f32> = |s| s.row(),
    }
}

device_struct! {
    /// The network, up to its layers.
    pub(super) struct SchnetNetworkBlock = "SchnetNetwork" {
        /// \[elements\]\[F\].
        embedding: Constant<f32>,
        /// What atoms of an element send in the first layer, likewise.
        first: Constant<f32>,
        /// Weights of the last, linear layer of the readout, in eV.
        head_out: Constant<f32>,
        knots_per_length: f32,
    }
    /// What it computes of each atom, shared by all layers.
    arrays ATOMS (SchnetSizes) {
        /// x, and its gradient.
        x: Pointer<f32> = |s| s.row(),
        grad_x: Pointer<f32> = |s| s.row(),
        /// Sums of messages; on the way back the gradient of what was sent.
        sum: Pointer<f32> = |s| s.row(),
        /// The gradient of the sums.
        grad: Pointer<f32> = |s| s.row(),
    }
}

/// Forecasts what atoms take (bytes), without weights.
pub(super) fn demand(schnet: &Schnet, atoms: usize) -> usize {
    let sizes = |first| SchnetSizes {
        atoms,
        width: schnet.features.next_multiple_of(SLICE),
        first,
    };
    let network = bytes_of(SchnetNetworkBlock::ATOMS, &sizes(true));
    let layers =
        (0..schnet.layers.len()).map(|l| bytes_of(SchnetLayerBlock::ATOMS, &sizes(l == 0)));
    let heads = demand_of_heads(&schnet.readout, atoms);
    layers.fold(network.saturating_add(heads), usize::saturating_add)
}

/// Takes room for so many atoms and copies the numbers of a model whose output has the unit `scale` (eV).
pub(super) fn place(
    device: &Device,
    packed: &PackedSchnet<f32>,
    scale: f64,
    atoms: usize,
) -> Result<LayeredMemory> {
    let mut arena = Arena::new(device);
    let sizes = |first| SchnetSizes {
        atoms,
        width: packed.features,
        first,
    };
    let intervals = packed.layers[0].filter.intervals as f64;
    let mut network = SchnetNetworkBlock {
        embedding: arena.copy(packed.embedding.as_slice())?,
        first: arena.copy(packed.first.as_slice())?,
        head_out: arena.copy(&head_out(&packed.readout, scale))?,
        knots_per_length: (intervals / packed.cutoff) as f32,
        ..SchnetNetworkBlock::default()
    };
    arena.place(&mut network, SchnetNetworkBlock::ATOMS, &sizes(true))?;
    let layers = (packed.layers.iter().enumerate())
        .map(|(l, layer)| place_layer(&mut arena, layer, &sizes(l == 0)))
        .collect::<Result<Vec<_>>>()?;
    let heads = place_heads(&mut arena, &packed.readout, atoms)?;
    Ok(LayeredMemory {
        block: block_bytes(&network, &layers, &heads),
        memory: arena.finish(),
    })
}

fn place_layer(
    arena: &mut Arena<'_>,
    layer: &PackedSchnetLayer<f32>,
    sizes: &SchnetSizes,
) -> Result<SchnetLayerBlock> {
    let [one, two] = &layer.output;
    let mut block = SchnetLayerBlock {
        table: arena.copy(layer.filter.numbers())?,
        input: arena.copy(layer.input.forward.numbers())?,
        input_back: arena.copy(layer.input.backward.numbers())?,
        output1: arena.copy(one.forward.numbers())?,
        output1_bias: arena.copy(one.bias.as_slice())?,
        output1_back: arena.copy(one.backward.numbers())?,
        output2: arena.copy(two.forward.numbers())?,
        output2_bias: arena.copy(two.bias.as_slice())?,
        output2_back: arena.copy(two.backward.numbers())?,
        ..SchnetLayerBlock::default()
    };
    arena.place(&mut block, SchnetLayerBlock::ATOMS, sizes)?;
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::potential::device::layered::tests::check_layout;

    #[test]
    fn structures_are_laid_out_alike() {
        check_layout::<SchnetNetworkBlock, SchnetLayerBlock>();
    }
}
