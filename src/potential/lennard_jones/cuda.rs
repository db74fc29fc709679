//! Lennard-Jones on a card.

use std::ffi::CStr;

use super::LennardJones;
use crate::Result;
use crate::cuda::Device;
use crate::cuda::compiler::Part;
use crate::cuda::launch::{LoadedKernels, Size};
use crate::cuda::layout::DeviceStruct;
use crate::device_struct;
use crate::potential::device::{BoundPotential, DevicePotential, DeviceView};
use crate::potential::pair::{ROWS, Switch};
use crate::potential::{About, Processor};

/// The potential's block of constants.
const PARAMETERS: &CStr = c"L";

device_struct! {
    /// Parameters, as the kernels see them.
    struct LennardJonesBlock = "LennardJones" {
        epsilon: f64,
        sigma: f64,
        /// Where the switch begins.
        on: f64,
        /// Length of the switch.
        width: f64,
    }
}

impl DevicePotential for LennardJones {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn about(&self, card: Processor) -> About {
        About {
            arithmetic: "f64 with pair gradients in f32".to_owned(),
            place: card,
            ..About::plain(self.words())
        }
    }

    fn demand(&self, _atoms: usize) -> usize {
        0
    }

    fn bind(&self, _device: &Device, view: &DeviceView<'_>) -> Result<Box<dyn BoundPotential>> {
        Ok(Box::new(BoundLennardJones::new(
            self,
            view.source,
            view.species.len(),
        )))
    }
}

/// The potential of as many atoms.
struct BoundLennardJones {
    /// The text that declares the engine's block.
    engine: String,
    atoms: usize,
    block: LennardJonesBlock,
}

impl BoundLennardJones {
    fn new(potential: &LennardJones, engine: &str, atoms: usize) -> Self {
        let Switch { on, width } = potential.switch();
        Self {
            engine: engine.to_owned(),
            atoms,
            block: LennardJonesBlock {
                epsilon: potential.epsilon,
                sigma: potential.sigma,
                on,
                width,
            },
        }
    }
}

impl BoundPotential for BoundLennardJones {
    fn parts(&self) -> Vec<Part> {
        let block = LennardJonesBlock::declaration();
        let own = [
            &block,
            Switch::SOURCE,
            include_str!("pair.cu"),
            ROWS,
            include_str!("kernels.cu"),
        ];
        vec![Part {
            source: self.engine.clone() + &own.concat(),
            early: &[c"lennard_jones"],
            waiting: &[c"energies"],
            constants: &[c"E", PARAMETERS],
        }]
    }

    fn prepare(&self, program: &mut LoadedKernels) -> Result<()> {
        program.set(PARAMETERS, &self.block.bytes())
    }

    fn gradient_parts(&self) -> usize {
        1
    }

    fn offset(&self, _species: &[u8]) -> f64 {
        0.0
    }

    fn queue(&self, program: &LoadedKernels) -> Result<()> {
        program.go(c"lennard_jones", Size::warps(self.atoms), [])
    }

    fn queue_energies(&self, program: &LoadedKernels) -> Result<()> {
        program.go(c"energies", Size::warps(self.atoms), [])
    }

    fn memory(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::compiler::{check, compile, excused};

    /// With every field of the block where Rust has it.
    #[test]
    fn kernels_compile_for_each_card() {
        let potential = LennardJones::new(0.01, 3.4, 8.5).unwrap();
        let [parts, several] = [false, true].map(|several| {
            let engine = crate::engine::cuda::source(several);
            BoundLennardJones::new(&potential, &engine, 1).parts()
        });
        let probed = [parts[0].source.as_str(), &LennardJonesBlock::probe()].concat();
        match check(&probed) {
            Err(error) if excused(&error) => return,
            found => found.unwrap(),
        }
        for (capability, parts) in [(80, &parts), (90, &several), (100, &parts)] {
            let codes = match compile(parts, capability) {
                Err(error) if excused(&error) => return,
                found => found.unwrap().0,
            };
            parts[0].assert_complete(&codes[0]);
        }
    }
}
