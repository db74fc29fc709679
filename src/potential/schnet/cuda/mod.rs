//! A SchNet on a card, in f32, with an analytic backward pass: from the pairs within the cutoff to their gradients.
//!
//! A warp works on the messages of one atom and a slice of 32 channels, a block of threads on the layers of some atoms.

mod block;

use std::ffi::CStr;

use super::Schnet;
use super::packed::PackedSchnet;
use crate::Result;
use crate::cuda::Device;
use crate::cuda::compiler::Part;
use crate::cuda::launch::{LoadedKernels, Size};
use crate::cuda::layout::defines;
use crate::potential::device::readout::{BlockShape, DENSE, KNOT, READOUT, SLICE};
use crate::potential::device::{BoundPotential, DevicePotential, DeviceView, elements};
use crate::potential::fused::spline;
use crate::potential::{About, Processor};

use block::SchnetBuffers;

/// The network's block of constants.
const NETWORK: &CStr = c"S";
/// Rows of features that a block keeps of each atom: one that goes into a map, and one of hidden numbers.
const ROOM: usize = 2;
/// Kernels that take a block's room of shared memory.
const BLOCKS: [&CStr; 3] = [c"schnet_update", c"readout", c"schnet_update_back"];

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
        let bias = packed.readout.bias * schnet.energy_scale + schnet.mean_per_atom;
        Ok(Box::new(BoundSchnet {
            engine: view.source.to_owned(),
            buffers: SchnetBuffers::new(device, &packed, schnet.energy_scale, species.len())?,
            offset: bias * species.len() as f64,
            atoms: species.len(),
            shape: SchnetShape::new(&packed, species.len()),
        }))
    }
}

/// What kernels are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SchnetShape {
    layers: usize,
    /// Intervals of the splines.
    intervals: usize,
    blocks: BlockShape,
}

impl SchnetShape {
    fn new(packed: &PackedSchnet<f32>, atoms: usize) -> Self {
        Self {
            layers: packed.layers.len(),
            intervals: packed.layers[0].filter.intervals,
            blocks: BlockShape::new(packed.features, &packed.readout, ROOM, atoms),
        }
    }

    /// The kernels, behind the text that declares the engine's block.
    fn part(self, engine: &str) -> Part {
        let constants = [
            ("LAYERS", self.layers),
            ("KINDS", 1),
            ("INTERVALS", self.intervals),
        ];
        let text = [
            engine,
            &self.blocks.defines(),
            &defines(constants),
            &block::source(),
            KNOT,
            include_str!("message.cu"),
            DENSE,
            include_str!("layers.cu"),
            READOUT,
        ];
        Part {
            source: text.concat(),
            early: &[
                c"schnet_message",
                c"schnet_update",
                c"readout",
                c"schnet_update_back",
                c"schnet_message_back",
            ],
            waiting: &[c"energies"],
            constants: &[c"E", NETWORK],
        }
    }
}

/// A model with its memory on a card.
struct BoundSchnet {
    /// The text that declares the engine's block.
    engine: String,
    buffers: SchnetBuffers,
    shape: SchnetShape,
    atoms: usize,
    offset: f64,
}

impl BoundPotential for BoundSchnet {
    fn parts(&self) -> Vec<Part> {
        vec![self.shape.part(&self.engine)]
    }

    fn prepare(&self, program: &mut LoadedKernels) -> Result<()> {
        program.set(NETWORK, &self.buffers.bytes())?;
        self.shape.blocks.allow(program, &BLOCKS)
    }

    fn gradient_parts(&self) -> usize {
        self.shape.blocks.slices()
    }

    fn offset(&self) -> f64 {
        self.offset
    }

    fn queue(&self, program: &LoadedKernels) -> Result<()> {
        let (pairs, atoms) = (
            self.shape.blocks.messages(self.atoms),
            self.shape.blocks.blocks(self.atoms),
        );
        for layer in 0..self.shape.layers as i32 {
            program.go(c"schnet_message", pairs, [layer])?;
            program.go(c"schnet_update", atoms, [layer])?;
        }
        program.go(c"readout", atoms, [])?;
        for layer in (0..self.shape.layers as i32).rev() {
            program.go(c"schnet_update_back", atoms, [layer])?;
            program.go(c"schnet_message_back", pairs, [layer])?;
        }
        Ok(())
    }

    fn queue_energies(&self, program: &LoadedKernels) -> Result<()> {
        program.go(c"energies", Size::warps(self.atoms), [])
    }

    fn memory(&self) -> usize {
        self.buffers.total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::compiler::{compile, excused};
    use crate::potential::painn::RadialBasis;

    fn shape(features: usize, layers: usize, hidden: &[usize], atoms: usize) -> SchnetShape {
        let basis = RadialBasis::gaussian(8, 5.0);
        let schnet = Schnet::random(features, layers, basis, hidden, 3);
        let packed = PackedSchnet::<f32>::new(&schnet, &[1, 8], SLICE, 1e-3);
        SchnetShape::new(&packed.unwrap().0, atoms)
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
            let part = shape(features, layers, hidden, atoms).part(&crate::engine::cuda::source());
            for capability in [80, 90, 100] {
                let parts = [part.clone()];
                let codes = match compile(&parts, capability) {
                    Err(error) if excused(&error) => return,
                    found => found.unwrap().0,
                };
                part.assert_complete(&codes[0]);
            }
        }
    }
}
