//! The order in which the network's kernels run: forward, readout, backward.

use std::ffi::CStr;

use super::division::{Division, STRIP, StageKernel};
use super::messages::{Messages, Teams};
use super::packs::cluster;
use super::shape::{
    FUSED_THREADS, GEMM_THREADS, SPREAD_CHANNELS, Shape, TILE_ATOMS, TILE_ATOMS_OF_VECTORS,
    TILE_CHANNELS, WIDE_TILE_CHANNELS,
};
use crate::Result;
use crate::cuda::WARP;
use crate::cuda::launch::{LoadedKernels, Size};

/// Launches of one evaluation.
pub(super) struct Launches<'a> {
    pub program: &'a LoadedKernels,
    pub shape: &'a Shape,
    pub atoms: usize,
    pub processors: u32,
    /// Hidden layers of the readout, as (inputs, outputs).
    pub heads: &'a [(usize, usize)],
}

impl Launches<'_> {
    /// Starts the network, from the pairs within the cutoff to their gradients.
    pub fn network(&self) -> Result<()> {
        if self.shape.choice.division.stages() {
            return self.fused_layers();
        }
        self.forward()?;
        self.readout()?;
        self.backward()
    }

    /// Starts a matrix product of the atom-wise layers: components, groups and outputs as in `layers.cu`.
    fn product(&self, name: &CStr, l: usize, shape: [usize; 3], wide: bool) -> Result<()> {
        let [components, groups, outputs] = shape;
        let (channels, atoms) = if let Division::Tiles { shrink } = self.shape.choice.division {
            let wide =
                wide && groups == 1 && self.shape.features.is_multiple_of(WIDE_TILE_CHANNELS);
            let [one, many] = [TILE_ATOMS, TILE_ATOMS_OF_VECTORS];
            let atoms = if components == 1 { one } else { many };
            let channels = if wide {
                WIDE_TILE_CHANNELS
            } else {
                TILE_CHANNELS
            };
            (channels, atoms / shrink)
        } else {
            (SPREAD_CHANNELS, STRIP)
        };
        let size = Size {
            grid: [
                (outputs / channels) as u32,
                self.atoms.div_ceil(atoms) as u32,
            ],
            threads: GEMM_THREADS,
            shared: 0,
        };
        self.program.go(name, size, [l as i32])
    }

    fn message(&self, name: &CStr, l: usize, teams: Teams) -> Result<()> {
        let slices = self.shape.slices() as u32;
        let size = match self.shape.choice.messages {
            Messages::Staged { blocks, .. } => {
                let chunks = (self.processors * blocks as u32 / slices).max(1);
                Size {
                    grid: [chunks * slices, 1],
                    threads: teams.warps as u32 * WARP,
                    shared: self.shape.table_bytes(),
                }
            }
            Messages::Direct { .. } => {
                Size::flat(self.atoms as u32 * slices, teams.team as u32 * WARP)
            }
        };
        self.program.go(name, size, [l as i32])
    }

    /// Starts all products between two messages, by clusters that share strips of 16 atoms as in `stages.cu`, or by blocks
    /// that have strips to themselves as in `strips.cu`.
    fn stage(&self, stage: StageKernel, l: usize) -> Result<()> {
        let shape = &self.shape;
        let strips = self.atoms.div_ceil(STRIP) as u32;
        let (grid, threads) = match shape.choice.division {
            division @ Division::Strips { .. } => {
                let together = division.together(stage);
                // A warp for each strip and 16 channels, and one that fetches weights.
                let warps = together * shape.features / 16 + 1;
                let blocks = strips.div_ceil(together as u32);
                ([blocks, 1], warps as u32 * WARP)
            }
            _ => ([cluster(shape.features) as u32, strips], FUSED_THREADS),
        };
        let size = Size {
            grid,
            threads,
            shared: shape.stage_bytes(stage),
        };
        self.program.go(stage.kernel(), size, [l as i32])
    }

    fn fused_layers(&self) -> Result<()> {
        let last = self.shape.layers - 1;
        for l in 0..=last {
            self.message_into(l)?;
            let stage = if l < last {
                StageKernel::Forward
            } else {
                StageKernel::Turn
            };
            self.stage(stage, l)?;
        }
        for l in (0..last).rev() {
            self.message_back(l + 1)?;
            self.stage(StageKernel::Backward, l)?;
        }
        self.message_back(0)
    }

    fn message_into(&self, l: usize) -> Result<()> {
        let name = if l == 0 { c"message_first" } else { c"message" };
        self.message(name, l, self.shape.choice.messages.teams().0)
    }

    fn message_back(&self, l: usize) -> Result<()> {
        let (forward, backward) = self.shape.choice.messages.teams();
        if l == 0 {
            return self.message(c"message_back_first", l, forward);
        }
        self.message(c"message_back", l, backward)
    }

    fn forward(&self) -> Result<()> {
        let f = self.shape.features;
        for l in 0..self.shape.layers {
            if l > 0 {
                self.product(c"context1", l, [1, 1, f], true)?;
                self.product(c"context2", l, [1, 3, f], true)?;
            }
            self.message_into(l)?;
            self.product(c"mix", l, [3, 2, f], true)?;
            self.product(c"update1", l, [1, 1, f], true)?;
            self.product(c"update2", l, [1, 3, f], true)?;
        }
        Ok(())
    }

    fn backward(&self) -> Result<()> {
        let f = self.shape.features;
        for l in (0..self.shape.layers).rev() {
            self.product(c"update2_back", l, [1, 1, f], true)?;
            self.product(c"update1_back", l, [1, 2, f], true)?;
            self.product(c"mix_back", l, [3, 1, f], true)?;
            self.message_back(l)?;
            if l > 0 {
                self.product(c"context2_back", l, [1, 1, f], true)?;
                self.product(c"context1_back", l, [1, 1, f], true)?;
            }
        }
        Ok(())
    }

    fn readout(&self) -> Result<()> {
        if self.heads.is_empty() {
            let size = Size::each(self.atoms * self.shape.features, 256);
            return self.program.go(c"head_linear", size, []);
        }
        for (l, &(_, outputs)) in self.heads.iter().enumerate() {
            self.product(c"head_forward", l, [1, 1, outputs], false)?;
        }
        for (l, &(inputs, _)) in self.heads.iter().enumerate().rev() {
            self.product(c"head_back", l, [1, 1, inputs], false)?;
        }
        Ok(())
    }
}
