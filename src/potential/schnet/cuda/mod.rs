//! A SchNet on a card, in f32, with an analytic backward pass: from the pairs within the cutoff to their gradients.
//!
//! A warp works on the messages of one atom and a slice of 32 channels, a block of threads on the layers of some atoms.

mod block;

use super::Schnet;
use super::packed::PackedSchnet;
use crate::Result;
use crate::cuda::Device;
use crate::potential::device::layered::{LayeredNetwork, LayeredShape, LayeredText};
use crate::potential::device::readout::{BlockShape, SLICE, block_source};
use crate::potential::device::{BoundPotential, DevicePotential, DeviceView, elements};
use crate::potential::fused::spline;
use crate::potential::{About, Processor};

use block::{SchnetLayerBlock, SchnetNetworkBlock};

/// Rows of features that a block keeps of each atom: one that goes into a map, and one of hidden numbers.
const ROOM: usize = 2;

/// A model to be evaluated on a card.
#[derive(Clone, Copy)]
pub struct CudaSchnet<'a> {
    schnet: &'a Schnet,
}

impl<'a> CudaSchnet<'a> {
    /// A model whose kernels are made for the number of atoms.
    pub fn new(schnet: &'a Schnet) -> Self {
        Self { schnet }
    }
}

impl DevicePotential for CudaSchnet<'_> {
    fn cutoff(&self) -> f64 {
        self.schnet.cutoff
    }

    fn about(&self, card: Processor) -> About {
        About {
            potential: self.schnet.words(),
            arithmetic: "f32".to_owned(),
            implementation: "CUDA kernels".to_owned(),
            approximation: String::new(),
            place: card,
        }
    }

    fn demand(&self, atoms: usize) -> usize {
        block::demand(self.schnet, atoms)
    }

    fn bind(&self, device: &Device, view: &DeviceView<'_>) -> Result<Box<dyn BoundPotential>> {
        let (schnet, species) = (self.schnet, view.species);
        schnet.check()?;
        schnet.check_elements(species)?;
        let present = elements(species);
        let (packed, _) =
            PackedSchnet::<f32>::new(schnet, &present, SLICE, spline::bound::<f32>())?;
        let shape = shape(&packed, view.chosen_for);
        let bias = packed.readout.bias * schnet.energy_scale + schnet.mean_per_atom;
        Ok(Box::new(LayeredNetwork {
            part: text().part(shape, view.source),
            shape,
            memory: block::place(device, &packed, schnet.energy_scale, species.len())?,
            atoms: species.len(),
            bias,
        }))
    }
}

fn shape(packed: &PackedSchnet<f32>, atoms: usize) -> LayeredShape {
    LayeredShape {
        layers: packed.layers.len(),
        kinds: 1,
        intervals: packed.layers[0].filter.intervals,
        blocks: BlockShape::new(packed.features, &packed.readout, ROOM, atoms),
    }
}

fn text() -> LayeredText {
    LayeredText {
        block: block_source::<SchnetNetworkBlock, SchnetLayerBlock>(),
        messages: include_str!("message.cu"),
        updates: include_str!("layers.cu"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::compiler::Part;
    use crate::potential::device::layered::tests::compile_for_each_card;
    use crate::potential::painn::RadialBasis;

    fn part(features: usize, layers: usize, hidden: &[usize], atoms: usize) -> Part {
        let basis = RadialBasis::gaussian(8, 5.0);
        let schnet = Schnet::random(features, layers, basis, hidden, 3);
        let packed = PackedSchnet::<f32>::new(&schnet, &[1, 8], SLICE, 1e-3);
        let shape = shape(&packed.unwrap().0, atoms);
        text().part(shape, &crate::engine::cuda::source(false))
    }

    /// Of every shape and number of atoms, for each card.
    #[test]
    fn kernels_compile_for_each_card() {
        for (features, layers, hidden, atoms) in [
            (128, 3, &[64][..], 9),
            (128, 6, &[64, 32], 12_288),
            (20, 1, &[], 600),
            (96, 2, &[160], 4000),
        ] {
            compile_for_each_card(&part(features, layers, hidden, atoms));
        }
    }
}
