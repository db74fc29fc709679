//! Networks whose layers are a message over pairs and an update of atoms: what is compiled, kept and launched for them on a card.
//!
//! A network brings the text of its block `S`, of the kernels `message` and `message_back` (a warp for each atom and slice of
//! channels), and of `update` and `update_back` (a block of threads for some atoms). The readout stands between forward and
//! backward. That is 4 L + 1 launches for L layers.

use std::ffi::CStr;

use super::BoundPotential;
use super::readout::{BlockShape, DENSE, KNOT, READOUT};
use crate::Result;
use crate::cuda::compiler::Part;
use crate::cuda::launch::{LoadedKernels, Size};
use crate::cuda::layout::defines;
use crate::cuda::memory::Memory;

/// The network's block of constants.
const NETWORK: &CStr = c"S";
/// Kernels that take a block's room of shared memory.
const BLOCKS: [&CStr; 3] = [c"update", c"readout", c"update_back"];

/// What kernels are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::potential) struct LayeredShape {
    pub(in crate::potential) layers: usize,
    /// Filters of a channel.
    pub(in crate::potential) kinds: usize,
    /// Intervals of the splines.
    pub(in crate::potential) intervals: usize,
    pub(in crate::potential) blocks: BlockShape,
}

/// The text of a network's own kernels.
pub(in crate::potential) struct LayeredText {
    /// Declares the block `S`.
    pub(in crate::potential) block: String,
    /// `message`, `message_back`.
    pub(in crate::potential) messages: &'static str,
    /// `update`, `update_back`.
    pub(in crate::potential) updates: &'static str,
}

impl LayeredText {
    /// The kernels for a shape, behind the text that declares the engine's block.
    pub(in crate::potential) fn part(&self, shape: LayeredShape, engine: &str) -> Part {
        let constants = [
            ("LAYERS", shape.layers),
            ("KINDS", shape.kinds),
            ("INTERVALS", shape.intervals),
        ];
        let text = [
            engine,
            &shape.blocks.defines(),
            &defines(constants),
            &self.block,
            KNOT,
            self.messages,
            DENSE,
            self.updates,
            READOUT,
        ];
        Part {
            source: text.concat(),
            early: &[
                c"message",
                c"update",
                c"readout",
                c"update_back",
                c"message_back",
            ],
            waiting: &[c"energies"],
            constants: &[c"E", NETWORK],
        }
    }
}

/// What a network has on a card.
pub(in crate::potential) struct LayeredMemory {
    /// The block as the kernels lay it out.
    pub(in crate::potential) block: Vec<u8>,
    /// Keeps alive what its addresses point to.
    pub(in crate::potential) memory: Vec<Memory>,
}

/// A network with its memory on a card.
pub(in crate::potential) struct LayeredNetwork {
    pub(in crate::potential) part: Part,
    pub(in crate::potential) shape: LayeredShape,
    pub(in crate::potential) memory: LayeredMemory,
    pub(in crate::potential) atoms: usize,
    /// What the energy of each atom leaves out (eV).
    pub(in crate::potential) bias: f64,
}

impl BoundPotential for LayeredNetwork {
    fn parts(&self) -> Vec<Part> {
        vec![self.part.clone()]
    }

    fn prepare(&self, program: &mut LoadedKernels) -> Result<()> {
        program.set(NETWORK, &self.memory.block)?;
        self.shape.blocks.allow(program, &BLOCKS)
    }

    fn gradient_parts(&self) -> usize {
        self.shape.blocks.slices()
    }

    fn offset(&self, species: &[u8]) -> f64 {
        self.bias * species.len() as f64
    }

    fn queue(&self, program: &LoadedKernels) -> Result<()> {
        let (pairs, atoms) = (
            self.shape.blocks.messages(self.atoms),
            self.shape.blocks.blocks(self.atoms),
        );
        for layer in 0..self.shape.layers as i32 {
            program.go(c"message", pairs, [layer])?;
            program.go(c"update", atoms, [layer])?;
        }
        program.go(c"readout", atoms, [])?;
        for layer in (0..self.shape.layers as i32).rev() {
            program.go(c"update_back", atoms, [layer])?;
            program.go(c"message_back", pairs, [layer])?;
        }
        Ok(())
    }

    fn queue_energies(&self, program: &LoadedKernels) -> Result<()> {
        program.go(c"energies", Size::warps(self.atoms), [])
    }

    fn memory(&self) -> usize {
        self.memory.memory.iter().map(Memory::bytes).sum()
    }
}

#[cfg(test)]
pub(in crate::potential) mod tests {
    use super::super::readout::{PanelHead, SLICE, block_source};
    use super::*;
    use crate::cuda::compiler::{BASE, check, compile, excused};
    use crate::cuda::layout::DeviceStruct;

    /// Checks that kernels compile for each card.
    pub(in crate::potential) fn compile_for_each_card(part: &Part) {
        for capability in [80, 90, 100] {
            let codes = match compile(std::slice::from_ref(part), capability) {
                Err(error) if excused(&error) => return,
                found => found.unwrap().0,
            };
            part.assert_complete(&codes[0]);
        }
    }

    /// Checks that the compiler lays out every field of a network's block N and its layers L where Rust does, and layers
    /// behind the rest.
    pub(in crate::potential) fn check_layout<N: DeviceStruct, L: DeviceStruct>() {
        let (layers, heads) = (3, 2);
        let all = size_of::<N>() + layers * size_of::<L>() + heads * size_of::<PanelHead>();
        let shape = [
            ("FEATURES", 64),
            ("SLICE", SLICE),
            ("LAYERS", layers),
            ("HEADS", heads),
        ];
        let name = N::NAME;
        let whole = format!("static_assert(sizeof({name}) == {all}, \"{name}\");\n");
        let text = [
            BASE.to_owned(),
            defines(shape),
            block_source::<N, L>(),
            N::probe(),
            L::probe(),
            whole,
        ];
        match check(&text.concat()) {
            Err(error) if excused(&error) => {}
            found => found.unwrap(),
        }
    }
}
