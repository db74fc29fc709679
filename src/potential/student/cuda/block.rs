//! The network's block of constants `S` and its layers, and its memory on a card.

use super::super::Student;
use super::super::packed::{PackedStudent, PackedStudentLayer};
use crate::Result;
use crate::cuda::Device;
use crate::cuda::layout::{Arena, Constant, DeviceStruct, Element, Pointer, bytes_of};
use crate::cuda::memory::Memory;
use crate::device_struct;
use crate::potential::device::readout::{
    PanelHead, SLICE, block_bytes, block_source, demand_of_heads, head_out, place_heads,
};

/// What the lengths of arrays are made of.
#[derive(Clone, Copy)]
pub(super) struct StudentSizes {
    atoms: usize,
    /// Features, padded.
    width: usize,
    first: bool,
    last: bool,
}

impl StudentSizes {
    /// Numbers of an array with so many rows of the width for each atom.
    fn rows(&self, rows: usize) -> usize {
        (rows * self.width).saturating_mul(self.atoms)
    }

    fn unless(&self, left_out: bool, rows: usize) -> usize {
        if left_out { 0 } else { self.rows(rows) }
    }
}

device_struct! {
    /// One message and update. Maps are panels of 32 outputs, \[panel\]\[input\]\[32\].
    pub(super) struct StudentLayerBlock = "StudentLayer" {
        /// \[slices\]\[coefficients\]\[3\]\[SLICE\] of quintic B-splines: filters of s, of the unit vector, of v.
        table: Constant<f32>,
        update1: Constant<f32>,
        update1_bias: Constant<f32>,
        update2: Constant<f32>,
        update2_bias: Constant<f32>,
        update1_back: Constant<f32>,
        update2_back: Constant<f32>,
        mixing: [[f32; 3]; 3],
    }
    /// What it computes of each atom.
    arrays ATOMS (StudentSizes) {
        /// \[4\]\[F\]: s and v that enter it; the first layer has them of the elements.
        sent: Pointer<f32> = |s| s.unless(s.first, 4),
        /// \[3\]\[F\]: v behind the message.
        v: Pointer<f32> = |s| s.rows(3),
        /// Before the update's SiLU.
        k: Pointer<f32> = |s| s.rows(1),
        /// \[2\]\[F\]: what scales v and M v.
        gates: Pointer<f32> = |s| s.unless(s.last, 2),
    }
}

device_struct! {
    /// The network, up to its layers.
    pub(super) struct StudentNetworkBlock = "StudentNetwork" {
        /// \[elements\]\[F\].
        embedding: Constant<f32>,
        /// Weights of the last, linear layer of the readout, in eV.
        head_out: Constant<f32>,
        knots_per_length: f32,
    }
    /// What it computes of each atom, shared by all layers.
    arrays ATOMS (StudentSizes) {
        /// s behind a message; in the end behind the last update.
        s: Pointer<f32> = |s| s.rows(1),
        /// \[4\]\[F\]: gradients of s and v, of even and odd layers.
        grad: [Pointer<f32>; 2] = |s| s.rows(4),
    }
}

/// The C++ text of the block and its layers.
pub(super) fn source() -> String {
    let layer = StudentLayerBlock::declaration();
    let (name, members) = (StudentNetworkBlock::NAME, StudentNetworkBlock::members());
    layer + &block_source(name, &members, StudentLayerBlock::NAME)
}

/// Forecasts what atoms take (bytes), without weights.
pub(super) fn demand(student: &Student, atoms: usize) -> usize {
    let layers = student.layers.len();
    let sizes = |width: usize, l: usize| StudentSizes {
        atoms,
        width: width.next_multiple_of(SLICE),
        first: l == 0,
        last: l + 1 == layers,
    };
    let network = bytes_of(StudentNetworkBlock::ATOMS, &sizes(student.features, 0));
    let of_layers =
        (0..layers).map(|l| bytes_of(StudentLayerBlock::ATOMS, &sizes(student.features, l)));
    let heads = demand_of_heads(&student.readout, atoms);
    of_layers.fold(network.saturating_add(heads), usize::saturating_add)
}

/// Everything of the network's on the card.
pub(super) struct StudentBuffers {
    network: StudentNetworkBlock,
    layers: Vec<StudentLayerBlock>,
    heads: Vec<PanelHead>,
    /// Keeps alive what the addresses point to.
    memory: Vec<Memory>,
}

impl StudentBuffers {
    /// Takes room for so many atoms and copies the numbers of a model whose output has this unit (eV).
    pub fn new(
        device: &Device,
        packed: &PackedStudent<f32>,
        scale: f64,
        atoms: usize,
    ) -> Result<Self> {
        let mut arena = Arena::new(device);
        let last = packed.layers.len() - 1;
        let sizes = |l: usize| StudentSizes {
            atoms,
            width: packed.features,
            first: l == 0,
            last: l == last,
        };
        let intervals = packed.layers[0].filter.intervals as f64;
        let mut network = StudentNetworkBlock {
            embedding: arena.copy(packed.embedding.as_slice())?,
            head_out: arena.copy(&head_out(&packed.readout, scale))?,
            knots_per_length: (intervals / packed.cutoff) as f32,
            ..StudentNetworkBlock::default()
        };
        arena.place(&mut network, StudentNetworkBlock::ATOMS, &sizes(0))?;
        let layers = (packed.layers.iter().enumerate())
            .map(|(l, layer)| place_layer(&mut arena, layer, &sizes(l)))
            .collect::<Result<_>>()?;
        let heads = place_heads(&mut arena, &packed.readout, atoms)?;
        Ok(Self {
            network,
            layers,
            heads,
            memory: arena.finish(),
        })
    }

    /// The block as the kernels lay it out.
    pub fn bytes(&self) -> Vec<u8> {
        block_bytes(&self.network, &self.layers, &self.heads)
    }

    /// Memory in use on the card (bytes).
    pub fn total(&self) -> usize {
        self.memory.iter().map(Memory::bytes).sum()
    }
}

fn place_layer(
    arena: &mut Arena<'_>,
    layer: &PackedStudentLayer<f32>,
    sizes: &StudentSizes,
) -> Result<StudentLayerBlock> {
    let [one, two] = &layer.update;
    let mut block = StudentLayerBlock {
        table: arena.copy(layer.filter.numbers())?,
        update1: arena.copy(one.forward.numbers())?,
        update1_bias: arena.copy(one.bias.as_slice())?,
        update2: arena.copy(two.forward.numbers())?,
        update2_bias: arena.copy(two.bias.as_slice())?,
        update1_back: arena.copy(one.backward.numbers())?,
        update2_back: arena.copy(two.backward.numbers())?,
        mixing: layer.mixing,
        ..StudentLayerBlock::default()
    };
    arena.place(&mut block, StudentLayerBlock::ATOMS, sizes)?;
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::compiler::{BASE, check, excused};
    use crate::cuda::layout::defines;

    /// The compiler lays out every field where Rust does, and layers behind the rest.
    #[test]
    fn structures_are_laid_out_alike() {
        let (layers, heads) = (3, 2);
        let all = size_of::<StudentNetworkBlock>()
            + layers * size_of::<StudentLayerBlock>()
            + heads * size_of::<PanelHead>();
        let shape = [
            ("FEATURES", 64),
            ("SLICE", SLICE),
            ("LAYERS", layers),
            ("HEADS", heads),
        ];
        let source = [
            BASE.to_owned(),
            defines(shape),
            source(),
            StudentNetworkBlock::probe(),
            StudentLayerBlock::probe(),
            format!("static_assert(sizeof(StudentNetwork) == {all}, \"StudentNetwork\");\n"),
        ];
        match check(&source.concat()) {
            Err(error) if excused(&error) => {}
            found => found.unwrap(),
        }
    }
}
