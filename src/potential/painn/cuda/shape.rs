//! What the kernels of a PaiNN are specialised for, and the parts that they are compiled in.

use std::ffi::CStr;

use super::super::{Spec, Weights};
use super::block;
use super::choice::Choice;
use super::division::{Division, STRIP, StageKernel, strip_numbers};
use super::tables::{self, SLICE, Splines};
use crate::cuda::WARP;
use crate::cuda::compiler::Part;
use crate::cuda::layout::defines;

const GEMM: &str = include_str!("kernels/gemm.cu");
const LAYERS: &str = include_str!("kernels/layers.cu");
const STAGES: &str = include_str!("kernels/stages.cu");
const RING: &str = include_str!("kernels/ring.cu");
const STRIPS: &str = include_str!("kernels/strips.cu");
const SPLINE: &str = include_str!("kernels/spline.cu");
const NARROW_SPLINE: &str = include_str!("kernels/narrow_spline.cu");
const MESSAGE: &str = include_str!("kernels/message.cu");
const READOUT: &str = include_str!("kernels/readout.cu");
const PLACES: &str = include_str!("kernels/places.cu");

/// Threads of a block that makes one product.
pub(super) const GEMM_THREADS: u32 = 256;
/// Warps of a block of a cluster.
const FUSED_WARPS: u32 = 8;
/// Threads of a block of a cluster.
pub(super) const FUSED_THREADS: u32 = FUSED_WARPS * WARP;
/// Tiles of a product's results by `tiled`: channels, wide ones where there is one group of 64 or more, and atoms, of one
/// component and of several.
pub(super) const TILE_CHANNELS: usize = 32;
pub(super) const WIDE_TILE_CHANNELS: usize = 64;
pub(super) const TILE_ATOMS: usize = 128;
pub(super) const TILE_ATOMS_OF_VECTORS: usize = 64;
/// Channels of a tile by `spread`, whose atoms are a strip.
pub(super) const SPREAD_CHANNELS: usize = 8;

/// The network's block of constants.
pub(super) const NETWORK: &CStr = c"N";
/// The engine's.
const ENGINE: &CStr = c"E";

/// Products of the atom-wise layers one by one; the last are those of a readout with hidden layers.
const PRODUCTS: &[&CStr] = &[
    c"context1",
    c"context2",
    c"mix",
    c"update1",
    c"update2",
    c"update2_back",
    c"update1_back",
    c"mix_back",
    c"context2_back",
    c"context1_back",
    c"head_linear",
    c"head_forward",
    c"head_back",
];
/// How many of them are of hidden layers.
const PRODUCTS_OF_HEADS: usize = 2;
/// All products between two messages at once.
pub(super) const STAGES_AND_KERNELS: [(StageKernel, &[&CStr]); 3] = [
    (StageKernel::Forward, &[c"atoms_forward"]),
    (StageKernel::Turn, &[c"atoms_turn"]),
    (StageKernel::Backward, &[c"atoms_backward"]),
];
pub(super) const MESSAGES: &[&CStr] = &[
    c"message_first",
    c"message",
    c"message_back",
    c"message_back_first",
];
/// Between blocks of steps.
const ENERGIES: &[&CStr] = &[c"energies"];

/// What the kernels are specialised for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Features, a multiple of 32.
    pub features: usize,
    /// Interactions.
    pub layers: usize,
    /// The splines of the filters.
    pub splines: Splines,
    /// Hidden layers of the readout.
    pub heads: usize,
    /// Outputs of the first of them.
    pub head_out: usize,
    /// Widest input or output of a hidden layer of the readout.
    pub head_max: usize,
    /// How the work is divided.
    pub choice: Choice,
    /// Whether each thread gives shared memory back for itself.
    pub watched: bool,
}

impl Shape {
    /// The shape of a model with a readout.
    pub fn new(spec: &Spec, weights: &Weights, choice: Choice, watched: bool) -> Self {
        let hidden = &weights.readout[..weights.readout.len().saturating_sub(1)];
        let widths = hidden.iter().flat_map(|l| [l.inputs, l.outputs]);
        Self {
            features: tables::padded(spec.features),
            layers: spec.layers,
            splines: Splines::of(spec, choice.messages, choice.numbers),
            heads: hidden.len(),
            head_out: hidden.first().map_or(0, |l| tables::padded(l.outputs)),
            head_max: widths.map(tables::padded).max().unwrap_or(0),
            choice,
            watched,
        }
    }

    /// Channel slices, each of which a message kernel's block works on alone.
    pub(super) fn slices(&self) -> usize {
        self.features / SLICE
    }

    /// Text that all parts begin with, behind that of the engine.
    fn head(&self) -> String {
        let (forward, backward) = self.choice.messages.teams();
        let is = usize::from;
        let all = [
            ("FEATURES", self.features),
            ("LAYERS", self.layers),
            ("SLICE", SLICE),
            ("KNOTS", self.splines.intervals),
            ("DEGREE", self.splines.degree),
            ("HEADS", self.heads),
            ("HEAD_MAX", self.head_max.max(self.features)),
            ("HEAD_OUT", self.head_out),
            ("FORWARD_TEAM", forward.team),
            ("BACKWARD_TEAM", backward.team),
            ("MESSAGE_BLOCKS", self.choice.messages.blocks()),
            ("STAGED", is(self.choice.messages.staged())),
            ("FUSED_BLOCKS", if self.features > 128 { 1 } else { 2 }),
            ("FORWARD_WARPS", forward.warps),
            ("BACKWARD_WARPS", backward.warps),
            ("WATCHED", is(self.watched)),
            ("GEMM_THREADS", GEMM_THREADS as usize),
            ("FUSED_WARPS", FUSED_WARPS as usize),
            ("STRIP", STRIP),
            ("TILE_CHANNELS", TILE_CHANNELS),
            ("WIDE_TILE_CHANNELS", WIDE_TILE_CHANNELS),
            ("TILE_ATOMS", TILE_ATOMS),
            ("TILE_ATOMS_OF_VECTORS", TILE_ATOMS_OF_VECTORS),
            ("SPREAD_CHANNELS", SPREAD_CHANNELS),
        ];
        [
            defines(all),
            defines(self.choice.division.defines()),
            defines(self.choice.numbers.defines()),
            block::source(),
            PLACES.to_owned(),
        ]
        .concat()
    }

    /// The parts that are compiled apart, at the same time; `engine` is the text that declares the engine's block.
    pub fn parts(&self, engine: &str) -> Vec<Part> {
        const ATOMS: &[&str] = &[GEMM, LAYERS, STAGES];
        const BY_STRIPS: &[&str] = &[LAYERS, RING, STRIPS];
        let head = self.head();
        let part = |files: &[&str], number: usize, early, waiting| Part {
            source: format!("{engine}{head}#define PART {number}\n{}", files.concat()),
            early,
            waiting,
            constants: &[ENGINE, NETWORK],
        };
        let mut parts: Vec<Part> = match self.choice.division {
            Division::Strips { .. } | Division::Clusters { .. } => {
                let strips = self.choice.division.by_strips();
                let files = if strips { BY_STRIPS } else { ATOMS };
                let stages = STAGES_AND_KERNELS.into_iter().enumerate();
                stages
                    .map(|(k, (stage, names))| {
                        let mut part = part(files, k, names, &[]);
                        part.source.insert_str(0, &self.stage_defines(stage));
                        part
                    })
                    .collect()
            }
            Division::Spread | Division::Tiles { .. } => {
                let without = PRODUCTS.len() - PRODUCTS_OF_HEADS;
                let count = if self.heads > 0 {
                    PRODUCTS.len()
                } else {
                    without
                };
                vec![part(ATOMS, 0, &PRODUCTS[..count], &[])]
            }
        };
        let spline = match self.choice.numbers.narrow() {
            true => NARROW_SPLINE,
            false => SPLINE,
        };
        let messages = [spline, MESSAGE, READOUT];
        parts.push(part(&messages, 0, MESSAGES, ENERGIES));
        parts
    }

    /// Shared memory of a slice's splines (bytes).
    pub(super) fn table_bytes(&self) -> u32 {
        self.splines.bytes(self.choice.numbers)
    }

    /// Shared memory of a block of a stage (bytes).
    pub(super) fn stage_bytes(&self, stage: StageKernel) -> u32 {
        let division = self.choice.division;
        division.stage_bytes(stage, self.features, self.head_out, self.choice.numbers)
    }

    /// What the kernel of a stage knows of its strips.
    fn stage_defines(&self, stage: StageKernel) -> String {
        let together = self.choice.division.together(stage);
        let numbers = strip_numbers(self.choice.numbers, together);
        defines([("TOGETHER", together), ("STRIP_NUMBERS", numbers)])
    }
}

#[cfg(test)]
mod tests {
    use super::super::messages::Messages;
    use super::super::numbers::CardNumbers;
    use super::*;
    use crate::cuda::compiler::{BASE, compile, excused};
    use crate::potential::painn::RadialBasis;

    /// What the kernels read of the engine's block.
    const ENGINE: &str = "struct State { u32 halt; };\nstruct Engine { u32 atoms; State *state; u32 *species, *rows, *active; \
                          double *energy; float4 *push, *geometry; uint2 *pair; };\n__constant__ Engine E;\n";

    /// Each part has the kernels that are looked for in it, and the constants. Where MDRUN_REQUIRE_NVRTC or MDRUN_REQUIRE_GPU
    /// is set there has to be a compiler.
    #[test]
    fn parts_have_their_kernels() {
        let clusters = Division::Clusters {
            shared_weights: true,
        };
        for (division, heads) in [
            (clusters, 1),
            (Division::Strips { together: 1 }, 1),
            (Division::Spread, 1),
            (Division::Spread, 0),
        ] {
            let spec = Spec::new(32, 2, RadialBasis::gaussian(8, 5.0), 5.0, &[1, 8]);
            let mut weights = Weights::random(&spec, 1);
            weights.readout.drain(..weights.readout.len() - 1 - heads);
            let messages = Messages::Direct {
                degree: 3,
                forward: 4,
                backward: 4,
                blocks: 4,
            };
            let choice = Choice {
                division,
                messages,
                numbers: CardNumbers::Single,
            };
            let shape = Shape::new(&spec, &weights, choice, false);
            assert_eq!(shape.heads, heads);
            let parts = shape.parts(&[BASE, ENGINE].concat());
            let codes = match compile(&parts, 90) {
                Err(error) if excused(&error) => return,
                found => found.unwrap().0,
            };
            for (part, code) in parts.iter().zip(codes) {
                part.assert_complete(&code);
            }
        }
    }
}
