//! A term of pairs beside a potential, on a card.

use super::PairLaw;
use crate::Result;
use crate::cuda::Device;
use crate::cuda::compiler::Part;
use crate::cuda::launch::{LoadedKernels, Size};
use crate::potential::device::{BoundPotential, DevicePotential, DeviceView, Outputs, elements};
use crate::potential::{About, Processor};

/// C++ text of sums over pairs, behind that of `pair_at`.
pub const ROWS: &str = include_str!("rows.cu");

/// A potential and a term of pairs beside it, within the potential's range.
pub struct CudaBeside<'a> {
    potential: Box<dyn DevicePotential + 'a>,
    term: PairLaw,
}

impl<'a> CudaBeside<'a> {
    /// Adds `term` to a potential.
    pub fn new(potential: Box<dyn DevicePotential + 'a>, term: PairLaw) -> Self {
        Self { potential, term }
    }
}

impl DevicePotential for CudaBeside<'_> {
    fn cutoff(&self) -> f64 {
        self.potential.cutoff()
    }

    fn about(&self, card: Processor) -> About {
        super::words(self.potential.about(card), &*self.term)
    }

    fn demand(&self, atoms: usize) -> usize {
        self.potential.demand(atoms)
    }

    fn bind(&self, device: &Device, view: &DeviceView<'_>) -> Result<Box<dyn BoundPotential>> {
        let potential = self.potential.bind(device, view)?;
        let term = self.term.source(&elements(view.species));
        let part = part(view.source, &term, potential.gradient_parts());
        Ok(Box::new(BoundBeside {
            potential,
            source: part.source,
            atoms: view.species.len(),
        }))
    }
}

/// The kernels of a term, as C++ text, beside a potential whose gradients come in so many parts.
fn part(engine: &str, term: &str, parts: usize) -> Part {
    let define = format!("#define BESIDE_PARTS {parts}\n");
    let own = [define.as_str(), term, ROWS, include_str!("beside.cu")];
    Part {
        source: engine.to_owned() + &own.concat(),
        early: &[c"beside"],
        waiting: &[c"beside_energies"],
        constants: &[c"E"],
    }
}

/// Both with their memory on a card.
struct BoundBeside {
    potential: Box<dyn BoundPotential>,
    /// Of the term's own part.
    source: String,
    atoms: usize,
}

impl BoundPotential for BoundBeside {
    fn parts(&self) -> Vec<Part> {
        let mut parts = self.potential.parts();
        parts.push(Part {
            source: self.source.clone(),
            early: &[c"beside"],
            waiting: &[c"beside_energies"],
            constants: &[c"E"],
        });
        parts
    }

    fn prepare(&self, program: &mut LoadedKernels) -> Result<()> {
        self.potential.prepare(program)
    }

    fn short_steps(&self) -> bool {
        self.potential.short_steps()
    }

    fn gradient_parts(&self) -> usize {
        self.potential.gradient_parts()
    }

    fn offset(&self, species: &[u8]) -> f64 {
        self.potential.offset(species)
    }

    fn make_room(&mut self, pairs: usize) -> Result<()> {
        self.potential.make_room(pairs)
    }

    fn pair_bytes(&self) -> usize {
        self.potential.pair_bytes()
    }

    fn see(
        &mut self,
        program: &mut LoadedKernels,
        block: &dyn Fn(Outputs) -> Vec<u8>,
    ) -> Result<()> {
        self.potential.see(program, block)
    }

    fn has_spread(&self) -> bool {
        self.potential.has_spread()
    }

    fn queue_spread(&self, program: &LoadedKernels, address: u64, stride: usize) -> Result<()> {
        self.potential.queue_spread(program, address, stride)
    }

    fn queue(&self, program: &LoadedKernels) -> Result<()> {
        self.potential.queue(program)?;
        program.go(c"beside", Size::warps(self.atoms), [])
    }

    fn queue_energies(&self, program: &LoadedKernels) -> Result<()> {
        self.potential.queue_energies(program)?;
        program.go(c"beside_energies", Size::warps(self.atoms), [])
    }

    fn memory(&self) -> usize {
        self.potential.memory()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cuda::compiler::{compile, excused};
    use crate::potential::pair::{PairEnergy, PowerLaw, Repulsion, RepulsionEnd, Zbl, sum_of};

    #[test]
    fn kernels_compile_for_each_card() {
        let law = PowerLaw::new(0.0434, 1.5, 12).unwrap();
        let zbl = Repulsion::new(Zbl, RepulsionEnd::Covalent);
        let soft = Repulsion::new(law, RepulsionEnd::Distance(0.9));
        let all: Vec<PairLaw> = vec![Arc::new(law), Arc::new(zbl.clone()), Arc::new(soft)];
        let several = sum_of(all).unwrap();
        let terms: [&dyn PairEnergy; 3] = [&law, &zbl, &*several];
        for (term, parts) in terms.into_iter().flat_map(|term| [(term, 1), (term, 4)]) {
            let parts = [part(
                &crate::engine::cuda::source(parts == 4),
                &term.source(&[1, 6, 8]),
                parts,
            )];
            for capability in [80, 90, 100] {
                let codes = match compile(&parts, capability) {
                    Err(error) if excused(&error) => return,
                    found => found.unwrap().0,
                };
                parts[0].assert_complete(&codes[0]);
            }
        }
    }
}
