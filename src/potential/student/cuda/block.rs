//! The network's block of constants `S` and its layers, and its memory on a card.

use super::super::Student;
use super::super::packed::{PackedStudent, PackedStudentLayer};
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

/// Takes room for so many atoms and copies the numbers of a model whose output has the unit `scale` (eV).
pub(super) fn place(
    device: &Device,
    packed: &PackedStudent<f32>,
    scale: f64,
    atoms: usize,
) -> Result<LayeredMemory> {
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
        .collect::<Result<Vec<_>>>()?;
    let heads = place_heads(&mut arena, &packed.readout, atoms)?;
    Ok(LayeredMemory {
        block: block_bytes(&network, &layers, &heads),
        memory: arena.finish(),
    })
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
    use crate::potential::device::layered::tests::check_layout;

    #[test]
    fn structures_are_laid_out_alike() {
        check_layout::<StudentNetworkBlock, StudentLayerBlock>();
    }
}
