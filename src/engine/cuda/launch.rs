//! The engine's kernels and the order in which they run: one step, one build of the pairs.

use std::ffi::CStr;

use super::block::{EngineBlock, MOST_TOGETHER};
use super::buffers::Buffers;
use super::systems::DeviceSystems;
use crate::Result;
use crate::cuda::compiler;
use crate::cuda::launch::{LoadedKernels, Size};
use crate::cuda::layout::{DeviceStruct, defines};
use crate::cuda::{Device, WARP};
use crate::potential::device::{BoundPotential, Outputs};

/// The engine's block of constants.
const ENGINE: &CStr = c"E";
/// What a step begins with.
const MEASURE: &[&CStr] = &[c"measure"];
/// The rest of a step.
const STEPS: &[&CStr] = &[
    c"sum_forces",
    c"act_terms",
    c"advance",
    c"sum_momentum",
    c"remove_drift",
    c"sum_heat",
    c"check_kinetic",
    c"rescale",
    c"advance_together",
    c"observe",
    c"observe_all",
];
/// A build of the pairs.
const PAIRS: &[&CStr] = &[
    c"make_grid",
    c"clear_cells",
    c"count_cells",
    c"scan_cells",
    c"fill_cells",
    c"sort_out",
    c"sort_in",
    c"count_pairs",
    c"scan_pairs",
    c"fill_pairs",
    c"sort_pairs",
    c"match_pairs",
];
/// Kernels between blocks of steps.
const OTHERS: &[&CStr] = &[c"to_ids", c"from_ids", c"set_state"];

/// The engine's own parts; gradients of pairs come in `parts` parts.
pub(super) fn own_parts(source: &str, parts: usize) -> Vec<compiler::Part> {
    let defined = defines([("GRADIENT_PARTS", parts)]);
    vec![
        compiler::Part {
            source: [source, include_str!("kernels/pairs.cu")].concat(),
            early: MEASURE,
            waiting: PAIRS,
            constants: &[ENGINE],
        },
        compiler::Part {
            source: [
                source,
                defined.as_str(),
                include_str!("kernels/noise.cu"),
                include_str!("kernels/motion.cu"),
                include_str!("kernels/terms.cu"),
                include_str!("kernels/rescale.cu"),
            ]
            .concat(),
            early: STEPS,
            waiting: OTHERS,
            constants: &[ENGINE],
        },
    ]
}

/// What a step has besides forces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct StepShape {
    /// Noise, whose heat is summed.
    pub heat: bool,
    /// Removal of the drift.
    pub drift: bool,
    /// A limit on the kinetic energy.
    pub kinetic: bool,
    /// What takes all atoms together in the middle of a step.
    pub middle: bool,
    /// Steps between strains of the cell; 0 for never.
    pub press_every: u64,
    /// Steps of that cycle that systems had taken at step 0.
    pub phase: u64,
}

impl StepShape {
    /// Whether the cell is strained in this step.
    pub fn presses(&self, step: u64) -> bool {
        self.press_every > 0 && self.behind(step + 1) == 0
    }

    /// Steps since the cycle between two strains began.
    pub fn behind(&self, step: u64) -> u64 {
        (step + self.phase) % self.press_every.max(1)
    }
}

/// Which operators ahead of the forces a launch takes, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepPart {
    Nothing = 0,
    Whole = 1,
    Opening = 2,
    Closing = 3,
}

/// The loaded kernels for one system, the engine's and the potential's.
pub(super) struct Kernels {
    pub program: LoadedKernels,
    pub potential: Box<dyn BoundPotential>,
    pub atoms: usize,
    /// DeviceSystems.
    pub members: usize,
    /// Blocks of threads that sum what is observed of them.
    pub blocks: usize,
    /// Whether terms act beside the potential.
    acted: bool,
    /// Cells that there is room for.
    cells: usize,
    /// Threads of a block that takes all atoms of a system together, and of one that measures the box around them. A sum
    /// over a system is the same with more threads than it has atoms, so its bits do not depend on the others.
    together: u32,
    around: u32,
    /// Whether all atoms are those of one system, and so few that one block of threads takes them through a step.
    small: bool,
    /// Where what a barostat looks at is.
    pub observed: u64,
}

impl Kernels {
    /// Compiles and loads all kernels; `source` declares the engine's block.
    pub fn load(
        device: &Device,
        (buffers, systems): (&Buffers, &DeviceSystems),
        potential: Box<dyn BoundPotential>,
        source: &str,
    ) -> Result<Self> {
        let mut parts = potential.parts();
        parts.extend(own_parts(source, potential.gradient_parts()));
        let mut program = LoadedKernels::load(device, &parts)?;
        potential.prepare(&mut program)?;
        if potential.short_steps() {
            program.prefer_shared()?;
        }
        let sizes = systems.sizes(0);
        let threads = systems.largest().next_multiple_of(WARP as usize);
        Ok(Self {
            program,
            potential,
            atoms: sizes.atoms,
            members: sizes.members,
            blocks: sizes.observed.max(1),
            acted: sizes.terms > 0,
            cells: sizes.cells,
            together: threads.min(1024) as u32,
            around: if systems.several {
                threads.min(1024) as u32
            } else {
                1024
            },
            small: !systems.several && threads <= MOST_TOGETHER,
            observed: buffers.block.observed.address(),
        })
    }

    /// Has all kernels see the engine's block as it is now.
    pub fn see(&mut self, device: &Device, buffers: &Buffers) -> Result<()> {
        device.bind()?;
        let block = &buffers.block;
        self.program.set(ENGINE, &block.bytes())?;
        let writing_to = |Outputs { push, energy }| {
            let block = EngineBlock {
                push,
                energy,
                ..*block
            };
            block.bytes()
        };
        self.potential.see(&mut self.program, &writing_to)
    }

    /// Starts an evaluation: pairs within the cutoff, their gradients, forces.
    pub fn evaluate(&self) -> Result<()> {
        self.program.go(c"measure", Size::warps(self.atoms), [])?;
        self.potential.queue(&self.program)?;
        self.program
            .go(c"sum_forces", Size::warps(self.atoms), [])?;
        match self.acted {
            true => self.program.go(c"act_terms", self.each_system(), []),
            false => Ok(()),
        }
    }

    fn advance(&self, finish: bool, part: StepPart) -> Result<()> {
        let args = [i32::from(finish), part as i32];
        self.program
            .go(c"advance", Size::each(self.atoms, 128), args)
    }

    /// A block of threads for each system.
    fn each_system(&self) -> Size {
        Size::flat(self.members as u32, self.together)
    }

    /// Completes the step that was begun, as far as it was; checks what is checked after a step.
    pub fn finish(&self, extras: StepShape) -> Result<()> {
        self.advance(true, StepPart::Nothing)?;
        if extras.drift || extras.kinetic {
            self.between(extras)?;
            // Turns what the check raised into a halt.
            self.advance(false, StepPart::Nothing)?;
        }
        Ok(())
    }

    /// What happens between two steps, where it involves all atoms.
    fn between(&self, extras: StepShape) -> Result<()> {
        if extras.drift {
            self.program.go(c"sum_momentum", self.each_system(), [])?;
            self.program
                .go(c"remove_drift", Size::each(self.atoms, 128), [])?;
        }
        if extras.kinetic {
            self.program.go(c"check_kinetic", self.each_system(), [])?;
        }
        Ok(())
    }

    /// Completes one step and takes the next up to its forces, with a strain of the cell if `pressing`.
    pub fn step(&self, extras: StepShape, pressing: bool) -> Result<()> {
        if pressing {
            self.observe_pressure(false)?;
        }
        let apart = extras.drift || extras.kinetic;
        if apart {
            self.advance(true, StepPart::Nothing)?;
            self.between(extras)?;
        }
        if extras.middle {
            self.advance_with_middle(!apart, pressing)?;
        } else {
            self.advance(!apart, StepPart::Whole)?;
        }
        if extras.heat {
            self.program.go(c"sum_heat", self.each_system(), [])?;
        }
        self.evaluate()?;
        if pressing {
            self.settle()?;
        }
        Ok(())
    }

    /// Takes the next step up to its forces where all atoms are taken together in its middle.
    fn advance_with_middle(&self, finish: bool, pressing: bool) -> Result<()> {
        let pressing = i32::from(pressing);
        if self.small {
            let args = [i32::from(finish), pressing];
            return (self.program).go(c"advance_together", self.each_system(), args);
        }
        self.advance(finish, StepPart::Opening)?;
        (self.program).go(c"rescale", self.each_system(), [pressing])?;
        self.advance(false, StepPart::Closing)
    }

    /// Adds what a strain of the cell has done to the energies that are there now, if that was not added yet.
    pub fn settle(&self) -> Result<()> {
        self.observe_pressure(true)
    }

    /// Sorts atoms into cells and counts their pairs.
    pub fn count(&self) -> Result<()> {
        let each = Size::each(self.atoms, 256);
        let around = Size::flat(self.members as u32, self.around);
        self.program.go(c"make_grid", around, [])?;
        self.program
            .go(c"clear_cells", Size::each(self.cells, 256), [])?;
        self.program.go(c"count_cells", each, [])?;
        self.program.go(c"scan_cells", Size::flat(1, 1024), [])?;
        self.program.go(c"fill_cells", each, [])?;
        self.program.go(c"sort_out", each, [])?;
        self.program.go(c"sort_in", each, [])?;
        self.program
            .go(c"count_pairs", Size::warps(self.atoms), [])?;
        self.program.go(c"scan_pairs", Size::flat(1, 1024), [])
    }

    /// Fills the list, in canonical order.
    pub fn fill(&self) -> Result<()> {
        for name in [c"fill_pairs", c"sort_pairs", c"match_pairs"] {
            self.program.go(name, Size::warps(self.atoms), [])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::compiler::{compile, excused};
    use crate::engine::cuda::block;

    /// Every kernel that is looked for is in its part, and the block of constants too.
    #[test]
    fn parts_have_their_kernels() {
        for (capability, count, several) in [
            (80, 1, false),
            (90, 4, false),
            (90, 4, true),
            (100, 8, true),
        ] {
            let parts = own_parts(&block::source(several), count);
            let codes = match compile(&parts, capability) {
                Err(error) if excused(&error) => return,
                found => found.unwrap().0,
            };
            for (part, code) in parts.iter().zip(codes) {
                part.assert_complete(&code);
            }
        }
    }
}
