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
use crate::potential::device::{BoundPotential, DevicePotential, DeviceView, elements};
use crate::potential::fused::spline;
use crate::potential::{About, Processor};

use block::StudentBuffers;

/// The network's block of constants.
const NETWORK: &CStr = c"S";
/// Channels of a slice.
const SLICE: usize = 32;
/// Threads of the blocks of the atom-wise layers.
const THREADS: u32 = 128;
/// Atoms that such a block takes, the most first.
const ROWS: [usize; 3] = [16, 4, 1];
/// Blocks of the most atoms that a card is busy with; with fewer, blocks take fewer atoms.
const BUSY: usize = 128;
/// Most shared memory of a block (bytes), which every card has.
const MOST_SHARED: usize = 96 << 10;
/// Kernels that take a block's room of shared memory.
const BLOCKS: [&CStr; 3] = [
    c"student_update",
    c"student_readout",
    c"student_update_back",
];

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
    /// Padded.
    features: usize,
    layers: usize,
    /// Hidden layers of the readout.
    heads: usize,
    /// The widest of them and of the features.
    widest: usize,
    /// Intervals of the splines.
    intervals: usize,
    /// Atoms of a block.
    rows: usize,
}

impl StudentShape {
    fn new(packed: &PackedStudent<f32>, atoms: usize) -> Self {
        let hidden = packed.readout.hidden.iter().map(|h| h.width);
        let shape = Self {
            features: packed.features,
            layers: packed.layers.len(),
            heads: packed.readout.hidden.len(),
            widest: hidden.fold(packed.features, usize::max),
            intervals: packed.layers[0].filter.intervals,
            rows: 1,
        };
        let fits = |rows: &usize| {
            let few = *rows > 1 && atoms < rows * BUSY;
            !few && Self {
                rows: *rows,
                ..shape
            }
            .shared()
                <= MOST_SHARED
        };
        let [.., fewest] = ROWS;
        let most_that_fit = ROWS.into_iter().find(fits).unwrap_or(fewest);
        Self {
            rows: most_that_fit,
            ..shape
        }
    }

    /// Shared memory of a block (bytes): three rows of features and one of hidden numbers an atom; or two of the readout's.
    fn shared(self) -> usize {
        self.rows * (4 * self.features).max(2 * self.widest) * size_of::<f32>()
    }

    fn slices(self) -> usize {
        self.features / SLICE
    }

    /// The kernels, behind the text that declares the engine's block.
    fn part(self, engine: &str) -> Part {
        let constants = [
            ("FEATURES", self.features),
            ("SLICE", SLICE),
            ("LAYERS", self.layers),
            ("HEADS", self.heads),
            ("WIDEST", self.widest),
            ("INTERVALS", self.intervals),
            ("ROWS", self.rows),
            ("THREADS", THREADS as usize),
        ];
        let text = [
            engine,
            &defines(constants),
            &block::source(),
            include_str!("message.cu"),
            include_str!("layers.cu"),
        ];
        Part {
            source: text.concat(),
            early: &[
                c"student_message",
                c"student_update",
                c"student_readout",
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

impl BoundStudent {
    /// A warp each for the slices of all atoms.
    fn messages(&self) -> Size {
        Size::warps(self.atoms * self.shape.slices())
    }

    /// A block each for some atoms.
    fn blocks(&self) -> Size {
        Size {
            grid: [self.atoms.div_ceil(self.shape.rows).max(1) as u32, 1],
            threads: THREADS,
            shared: self.shape.shared() as u32,
        }
    }
}

impl BoundPotential for BoundStudent {
    fn parts(&self) -> Vec<Part> {
        vec![self.shape.part(&self.engine)]
    }

    fn prepare(&self, program: &mut LoadedKernels) -> Result<()> {
        program.set(NETWORK, &self.buffers.bytes())?;
        let bytes = self.shape.shared() as u32;
        (BLOCKS.iter()).try_for_each(|name| program.allow_shared(name, bytes))
    }

    fn gradient_parts(&self) -> usize {
        self.shape.slices()
    }

    fn offset(&self) -> f64 {
        self.offset
    }

    fn queue(&self, program: &LoadedKernels) -> Result<()> {
        for layer in 0..self.shape.layers as i32 {
            program.go(c"student_message", self.messages(), [layer])?;
            program.go(c"student_update", self.blocks(), [layer])?;
        }
        program.go(c"student_readout", self.blocks(), [])?;
        for layer in (0..self.shape.layers as i32).rev() {
            program.go(c"student_update_back", self.blocks(), [layer])?;
            program.go(c"student_message_back", self.messages(), [layer])?;
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

    /// Blocks take fewer atoms where there are few, and where more would not fit into shared memory.
    #[test]
    fn blocks_take_what_there_is_and_what_fits() {
        let rows = |features, atoms| shape(features, 1, &[8], atoms).rows;
        assert_eq!(rows(128, 9), 1);
        assert_eq!(rows(128, 600), 4);
        assert_eq!(rows(128, 12_288), 16);
        assert_eq!(rows(512, 12_288), 4);
        for features in [32, 128, 512] {
            assert!(shape(features, 1, &[8], 12_288).shared() <= MOST_SHARED);
        }
    }
}
