//! How the products of the atom-wise layers are shared out among blocks.

use std::ffi::CStr;

use super::numbers::CardNumbers;
use super::packs::{cluster, largest};

/// Atoms of a strip, which is what tensor cores take at once.
pub(super) const STRIP: usize = 16;
/// Numbers for each feature of an atom that a block of `strips.cu` has in shared memory.
const STRIP_NUMBERS: usize = 28;
/// The same in 16 bits, where two blocks of a strip are to fit on a multiprocessor; or one of two strips.
const NARROW_STRIP_NUMBERS: usize = 13;

/// All products between two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StageKernel {
    /// Between those of a layer and of the next.
    Forward,
    /// Behind those of the last layer, and back to them.
    Turn,
    /// Between those of a layer and of the one before, on the way back.
    Backward,
}

impl StageKernel {
    /// Its kernel.
    pub(super) fn kernel(self) -> &'static CStr {
        match self {
            Self::Forward => c"atoms_forward",
            Self::Turn => c"atoms_turn",
            Self::Backward => c"atoms_backward",
        }
    }
}

/// How the products of the atom-wise layers are shared out among blocks. The last two make all products between two
/// messages in one kernel (from compute capability 9.0 on, one hidden layer no wider than those in the readout).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// A kernel for each product, a block for 16 atoms and 8 channels.
    Spread,
    /// A kernel for each product, a block for many atoms and channels.
    Tiles {
        /// What the number of atoms is divided by, 1 or 2.
        shrink: usize,
    },
    /// A cluster of blocks for 16 atoms (32, 64, 128 or 256 features).
    Clusters {
        /// Whether weights are kept in shared memory.
        shared_weights: bool,
    },
    /// A block for a strip of 16 atoms, past which weights stream (up to 128 features).
    Strips {
        /// Strips of a block on the way back, 1 or 2, past which weights stream together.
        together: usize,
    },
}

impl Division {
    /// Whether all products between two messages are one kernel.
    pub(super) fn stages(self) -> bool {
        matches!(self, Self::Clusters { .. } | Self::Strips { .. })
    }

    /// Whether weights are kept in shared memory.
    pub(super) fn shared_weights(self) -> bool {
        let shared = Self::Clusters {
            shared_weights: true,
        };
        self == shared
    }

    /// What the kernels know of it.
    pub(super) fn defines(self) -> [(&'static str, usize); 5] {
        let shrink = match self {
            Self::Tiles { shrink } => shrink,
            _ => 1,
        };
        let is = usize::from;
        [
            ("TILED", is(matches!(self, Self::Tiles { .. }))),
            ("TILE_SHRINK", shrink),
            ("FUSED", is(matches!(self, Self::Clusters { .. }))),
            ("SHARED_WEIGHTS", is(self.shared_weights())),
            ("BY_STRIPS", is(self.by_strips())),
        ]
    }

    /// Whether blocks have strips to themselves.
    pub(super) fn by_strips(self) -> bool {
        matches!(self, Self::Strips { .. })
    }

    /// Strips of a block of a stage.
    pub(super) fn together(self, stage: StageKernel) -> usize {
        match (self, stage) {
            (Self::Strips { together }, StageKernel::Backward) => together,
            _ => 1,
        }
    }

    /// Shared memory of a block of a stage (bytes), where a stage is one kernel: of `stages.cu` boards, a block's own inputs,
    /// parts and results of products, and its weights if they are to be there; of `strips.cu` so many numbers for each
    /// feature of its atoms.
    pub(super) fn stage_bytes(
        self,
        stage: StageKernel,
        features: usize,
        head_out: usize,
        numbers: CardNumbers,
    ) -> u32 {
        let bytes = match self {
            Self::Spread | Self::Tiles { .. } => 0,
            Self::Strips { .. } => {
                4 * strip_numbers(numbers, self.together(stage)) * STRIP * features
            }
            Self::Clusters { shared_weights } => {
                let cluster = cluster(features);
                let (unit, board) = (STRIP * features / cluster, STRIP * features);
                let tile = 8 * STRIP * 8;
                let own = unit * 6usize.saturating_sub(cluster).max(3);
                let places = 3 * board + own + 2 * tile + (2 * board).max(4 * tile);
                let weights = match shared_weights {
                    true => largest(features, head_out) * numbers.stored(),
                    false => 0,
                };
                4 * places + weights
            }
        };
        bytes as u32
    }
}

/// Numbers for each feature of an atom of a strip that a block of `strips.cu` has in shared memory, in f32.
pub(super) fn strip_numbers(numbers: CardNumbers, together: usize) -> usize {
    match numbers.narrow() && together == 1 {
        true => NARROW_STRIP_NUMBERS,
        false => STRIP_NUMBERS,
    }
}
