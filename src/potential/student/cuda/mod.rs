//! A StudentForceField on a card, in f32, with an analytic backward pass: from the pairs within the cutoff to their gradients.
//!
//! A warp works on the messages of one atom and a slice of 32 channels, a block of threads on the layers of some atoms. Unit
//! vectors are r / d: what is added to d is beyond the digits of f32.

mod block;

use std::ffi::CStr;

use super::Student;
use super::packed::PackedStudent;
use crate::Result;
use crate::cuda::Device;
use crate::cuda::compiler::Part;
use crate::cuda::launch::{LoadedKernels, Size};
use crate::cuda::layout::defines;
use crate::potential::device::readout::{BlockShape, DENSE, KNOT, READOUT, SLICE};
use crate::potential::device::{BoundPotential, DevicePotential, DeviceView, elements};
use crate::potential::fused::spline;
use crate::potential::{About, Processor};

use block::StudentBuffers;

/// The network's block of constants.
const NETWORK: &CStr = c"S";
/// Rows of features that a block keeps of each atom: three that go into a map, and one of hidden numbers.
const ROOM: usize = 4;
/// Kernels that take a block's room of shared memory.
const BLOCKS: [&CStr; 3] = [c"student_update", c"readout", c"student_update_back"];

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
        let shape = StudentShape::new(&packed, species.len());
        let bias = packed.readout.bias * student.energy_scale;
        Ok(Box::new(BoundStudent {
            engine: view.source.to_owned(),
            buffers: StudentBuffers::new(device, &packed, student.energy_scale, species.len())?,
            offset: bias * species.len() as f64,
            atoms: species.len(),
            shape,
        }))
    }
}

/// What kernels are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StudentShape {
    layers: usize,
    /// Intervals of the splines.
    intervals: usize,
    blocks: BlockShape,
}

impl StudentShape {
    fn new(packed: &PackedStudent<f32>, atoms: usize) -> Self {
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
            ("KINDS", 3),
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
                c"student_message",
                c"student_update",
                c"readout",
                c"student_update_back",
                c"student_message_back",
            ],
            waiting: &[c"energies"],
            constants: &[c"E", NETWORK],
        }
    }
}

/// A model with its memory on a card.
struct BoundStudent {
    /// The text that declares the engine's block.
    engine: String,
    buffers: StudentBuffers,
    shape: StudentShape,
    atoms: usize,
    offset: f64,
}

impl BoundPotential for BoundStudent {
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
            program.go(c"student_message", pairs, [layer])?;
            program.go(c"student_update", atoms, [layer])?;
        }
        program.go(c"readout", atoms, [])?;
        for layer in (0..self.shape.layers as i32).rev() {
            program.go(c"student_update_back", atoms, [layer])?;
            program.go(c"student_message_back", pairs, [layer])?;
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

    fn shape(features: usize, layers: usize, hidden: &[usize], atoms: usize) -> StudentShape {
        let student = Student::random(features, layers, hidden, 3);
        let packed = PackedStudent::<f32>::new(&student, &[1, 8], SLICE, 1e-3);
        StudentShape::new(&packed.unwrap().0, atoms)
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
