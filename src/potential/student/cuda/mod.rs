//! A StudentForceField on a card, in f32, with an analytic backward pass: from the pairs within the cutoff to their gradients.
//!
//! A warp works on the messages of one atom and a slice of 32 channels, a block of threads on the layers of some atoms. Unit
//! vectors are r / d: what is added to d is beyond the digits of f32.

mod block;

use super::Student;
use super::packed::PackedStudent;
use crate::Result;
use crate::cuda::Device;
use crate::potential::device::layered::{LayeredNetwork, LayeredShape, LayeredText};
use crate::potential::device::readout::{BlockShape, SLICE, block_source};
use crate::potential::device::{BoundPotential, DevicePotential, DeviceView, elements};
use crate::potential::fused::spline;
use crate::potential::{About, Processor};

use block::{StudentLayerBlock, StudentNetworkBlock};

/// Rows of features that a block keeps of each atom: three that go into a map, and one of hidden numbers.
const ROOM: usize = 4;

/// A model to be evaluated on a card.
#[derive(Clone, Copy)]
pub struct CudaStudent<'a> {
    student: &'a Student,
}

impl<'a> CudaStudent<'a> {
    /// A model whose kernels are made for the number of atoms.
    pub fn new(student: &'a Student) -> Self {
        Self { student }
    }
}

impl DevicePotential for CudaStudent<'_> {
    fn cutoff(&self) -> f64 {
        self.student.cutoff
    }

    fn about(&self, card: Processor) -> About {
        About {
            potential: self.student.words(),
            arithmetic: "f32".to_owned(),
            implementation: "CUDA kernels".to_owned(),
            approximation: String::new(),
            place: card,
        }
    }

    fn demand(&self, atoms: usize) -> usize {
        block::demand(self.student, atoms)
    }

    fn bind(&self, device: &Device, view: &DeviceView<'_>) -> Result<Box<dyn BoundPotential>> {
        let (student, species) = (self.student, view.species);
        student.check()?;
        student.check_embedding(species)?;
        let present = elements(species);
        let (packed, _) =
            PackedStudent::<f32>::new(student, &present, SLICE, spline::bound::<f32>())?;
        let shape = shape(&packed, view.chosen_for);
        let bias = packed.readout.bias * student.energy_scale;
        Ok(Box::new(LayeredNetwork {
            part: text().part(shape, view.source),
            shape,
            memory: block::place(device, &packed, student.energy_scale, species.len())?,
            atoms: species.len(),
            bias,
        }))
    }
}

fn shape(packed: &PackedStudent<f32>, atoms: usize) -> LayeredShape {
    LayeredShape {
        layers: packed.layers.len(),
        kinds: 3,
        intervals: packed.layers[0].filter.intervals,
        blocks: BlockShape::new(packed.features, &packed.readout, ROOM, atoms),
    }
}

fn text() -> LayeredText {
    LayeredText {
        block: block_source::<StudentNetworkBlock, StudentLayerBlock>(),
        messages: include_str!("message.cu"),
        updates: include_str!("layers.cu"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::compiler::Part;
    use crate::potential::device::layered::tests::compile_for_each_card;

    fn part(features: usize, layers: usize, hidden: &[usize], atoms: usize) -> Part {
        let student = Student::random(features, layers, hidden, 3);
        let packed = PackedStudent::<f32>::new(&student, &[1, 8], SLICE, 1e-3);
        let shape = shape(&packed.unwrap().0, atoms);
        text().part(shape, &crate::engine::cuda::source(false))
    }

    /// Of every shape and number of atoms, for each card.
    #[test]
    fn kernels_compile_for_each_card() {
        for (features, layers, hidden, atoms) in [
            (128, 3, &[64, 32][..], 9),
            (128, 3, &[64, 32], 12_288),
            (20, 1, &[], 600),
            (96, 2, &[160], 4000),
        ] {
            compile_for_each_card(&part(features, layers, hidden, atoms));
        }
    }
}
