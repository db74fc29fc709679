//! A committee on a card: its members side by side, each in a stream of its own, then their mean.
//!
//! A system of a few hundred atoms leaves most of a card idle, so that members fill each other's gaps; work of several streams
//! is recorded in one graph. Kernels for few atoms would spread over the whole card all the same, one behind another, so
//! that they are chosen for a share of it. Each member writes to memory of its own, and its kernels see an engine's block
//! that says so.

use std::ffi::CStr;
use std::ops::Range;

use cudarc::driver::CudaEvent;

use super::{MOST_MEMBERS, words};
use crate::Result;
use crate::cuda::Device;
use crate::cuda::compiler::Part;
use crate::cuda::fault::failed;
use crate::cuda::launch::{LoadedKernels, Size};
use crate::cuda::layout::{Arena, Constant, DeviceStruct, Pointer, defines};
use crate::cuda::memory::Memory;
use crate::device_struct;
use crate::potential::device::{BoundPotential, DevicePotential, DeviceView, Outputs};
use crate::potential::{About, Processor};

/// The committee's block of constants.
const COMMITTEE: &CStr = c"C";
/// The engine's.
const ENGINE: &CStr = c"E";
/// Bytes of the gradient of a pair, for each of its parts.
const GRADIENT: usize = size_of::<[f32; 4]>();

device_struct! {
    /// What the kernels of the mean see.
    struct CommitteeBlock = "Committee" {
        members: u32,
        /// Parts in which the gradient of a pair comes.
        parts: [u32; MOST_MEMBERS],
        /// \[pairs\]\[parts\], as the engine's `push`.
        push: [Pointer<[f32; 4]>; MOST_MEMBERS],
        /// What each atom adds to the energy (eV), by slot.
        energy: [Pointer<f64>; MOST_MEMBERS],
        /// \[systems\]\[members\], what is to be added to their sum (eV).
        offset: Constant<f64>,
        /// Variance of the force on each atom (eV^2 / angstrom^2), by slot.
        variance: Pointer<f64>,
    }
}

/// Up to so many atoms, kernels of members are chosen for equal shares of the card, and all of them run at once.
const FEW_ATOMS: usize = 400;
/// Up to so many, for halves of it: kernels of one fill the gaps that those of another leave.
const SOME_ATOMS: usize = 5000;

/// Shares of the card that kernels of members are chosen for, as measured for four models of 128 features on an H200
/// (docs/performance.md).
fn shares(members: usize, atoms: usize) -> usize {
    if atoms <= FEW_ATOMS {
        members
    } else if atoms <= SOME_ATOMS {
        members.min(2)
    } else {
        1
    }
}

/// A committee for a card.
pub struct CudaCommittee<'a> {
    members: Vec<Box<dyn DevicePotential + 'a>>,
}

impl<'a> CudaCommittee<'a> {
    /// A committee of these potentials.
    ///
    /// # Errors
    /// Those of [`super::check`].
    pub fn new(members: Vec<Box<dyn DevicePotential + 'a>>) -> Result<Self> {
        let cutoffs: Vec<f64> = members.iter().map(|member| member.cutoff()).collect();
        super::check(&cutoffs)?;
        Ok(Self { members })
    }
}

impl DevicePotential for CudaCommittee<'_> {
    fn cutoff(&self) -> f64 {
        self.members[0].cutoff()
    }

    fn about(&self, card: Processor) -> About {
        words((self.members.iter().map(|m| m.about(card.clone()))).collect())
    }

    fn demand(&self, atoms: usize) -> usize {
        let own = atoms.saturating_mul((self.members.len() + 1) * size_of::<f64>());
        let members = self.members.iter().map(|member| member.demand(atoms));
        members.fold(own, usize::saturating_add)
    }

    fn bind(&self, device: &Device, view: &DeviceView<'_>) -> Result<Box<dyn BoundPotential>> {
        let shares = shares(self.members.len(), view.chosen_for);
        let members = self.members.iter();
        let members =
            members.map(|member| BoundMember::new(&**member, device.share(shares)?, view));
        let members = members.collect::<Result<Vec<_>>>()?;
        let atoms = view.species.len();
        let variance = device.zeros(atoms * size_of::<f64>())?;
        let mut arena = Arena::new(device);
        let of_system = |atoms: &Range<usize>| {
            let species = &view.species[atoms.clone()];
            members
                .iter()
                .map(|member| member.potential.offset(species))
        };
        let offsets: Vec<f64> = view.systems.iter().flat_map(of_system).collect();
        let mut block = CommitteeBlock {
            members: members.len() as u32,
            offset: arena.copy(&offsets)?,
            variance: Pointer::to(&variance),
            ..CommitteeBlock::default()
        };
        for (k, member) in members.iter().enumerate() {
            block.parts[k] = member.potential.gradient_parts() as u32;
            block.energy[k] = Pointer::to(&member.energy);
        }
        Ok(Box::new(BoundCommittee {
            engine: view.source.to_owned(),
            atoms,
            block,
            systems: view.systems.len(),
            kept: arena.finish().into_iter().chain([variance]).collect(),
            forked: device.event()?,
            device: device.clone(),
            members,
        }))
    }
}

/// A member with its memory, its kernels and its stream.
struct BoundMember {
    potential: Box<dyn BoundPotential>,
    program: LoadedKernels,
    /// Gradients of pairs; `None` before there was room for any.
    push: Option<Memory>,
    /// Energies of atoms.
    energy: Memory,
    /// What it was last asked for is done.
    done: CudaEvent,
    /// The card, with its own stream.
    device: Device,
}

impl BoundMember {
    fn new(of: &dyn DevicePotential, device: Device, view: &DeviceView<'_>) -> Result<Self> {
        let potential = of.bind(&device, view)?;
        let mut program = LoadedKernels::load(&device, &potential.parts())?;
        potential.prepare(&mut program)?;
        if potential.short_steps() {
            program.prefer_shared()?;
        }
        Ok(Self {
            energy: device.zeros(view.species.len() * size_of::<f64>())?,
            push: None,
            done: device.event()?,
            potential,
            program,
            device,
        })
    }

    fn pair_bytes(&self) -> usize {
        self.potential.gradient_parts() * GRADIENT + self.potential.pair_bytes()
    }
}

/// A committee with its memory on a card.
struct BoundCommittee {
    // Dropped in this order: what lives on the device before the device.
    members: Vec<BoundMember>,
    block: CommitteeBlock,
    /// What the block points to.
    kept: Vec<Memory>,
    systems: usize,
    /// The engine's work so far, which members wait for.
    forked: CudaEvent,
    /// The text that declares the engine's block.
    engine: String,
    atoms: usize,
    device: Device,
}

impl BoundCommittee {
    /// Has every member start something in its stream, behind all that the engine's stream has been given, which then waits
    /// for all of them.
    fn side_by_side(&self, start: impl Fn(&BoundMember) -> Result<()>) -> Result<()> {
        let fault = failed("waiting for a kernel of another stream");
        let stream = &self.device.stream;
        self.forked.record(stream).map_err(&fault)?;
        for member in &self.members {
            let own = &member.device.stream;
            own.wait(&self.forked).map_err(&fault)?;
            start(member)?;
            member.done.record(own).map_err(&fault)?;
        }
        (self.members.iter()).try_for_each(|member| stream.wait(&member.done).map_err(&fault))
    }
}

/// The kernels of the mean, behind the text that declares the engine's block.
fn part(engine: &str) -> Part {
    let own = [
        defines([("MOST_MEMBERS", MOST_MEMBERS)]),
        CommitteeBlock::declaration(),
        include_str!("kernels.cu").to_owned(),
    ];
    Part {
        source: engine.to_owned() + &own.concat(),
        early: &[],
        waiting: &[
            c"committee_gradients",
            c"committee_energies",
            c"committee_variances",
            c"committee_spread",
        ],
        constants: &[ENGINE, COMMITTEE],
    }
}

impl BoundPotential for BoundCommittee {
    fn parts(&self) -> Vec<Part> {
        vec![part(&self.engine)]
    }

    fn prepare(&self, program: &mut LoadedKernels) -> Result<()> {
        program.set(COMMITTEE, &self.block.bytes())
    }

    fn short_steps(&self) -> bool {
        (self.members.iter()).any(|member| member.potential.short_steps())
    }

    fn gradient_parts(&self) -> usize {
        1
    }

    fn offset(&self, species: &[u8]) -> f64 {
        let offsets = self.members.iter().map(|m| m.potential.offset(species));
        offsets.sum::<f64>() / self.members.len() as f64
    }

    fn pair_bytes(&self) -> usize {
        self.members.iter().map(BoundMember::pair_bytes).sum()
    }

    fn make_room(&mut self, pairs: usize) -> Result<()> {
        for (member, address) in self.members.iter_mut().zip(&mut self.block.push) {
            member.push = None;
            let parts = member.potential.gradient_parts();
            let push = member.device.zeros(pairs * parts * GRADIENT)?;
            *address = Pointer::to(&push);
            member.push = Some(push);
            member.potential.make_room(pairs)?;
        }
        Ok(())
    }

    fn see(
        &mut self,
        program: &mut LoadedKernels,
        block: &dyn Fn(Outputs) -> Vec<u8>,
    ) -> Result<()> {
        program.set(COMMITTEE, &self.block.bytes())?;
        for (k, member) in self.members.iter_mut().enumerate() {
            let outputs = Outputs {
                push: self.block.push[k],
                energy: self.block.energy[k],
            };
            member.program.set(ENGINE, &block(outputs))?;
            let inner = |outputs| block(outputs);
            member.potential.see(&mut member.program, &inner)?;
        }
        Ok(())
    }

    fn queue(&self, program: &LoadedKernels) -> Result<()> {
        self.side_by_side(|member| member.potential.queue(&member.program))?;
        program.go(c"committee_gradients", Size::warps(self.atoms), [])
    }

    fn queue_energies(&self, program: &LoadedKernels) -> Result<()> {
        self.side_by_side(|member| member.potential.queue_energies(&member.program))?;
        program.go(c"committee_energies", Size::each(self.atoms, 256), [])
    }

    fn has_spread(&self) -> bool {
        true
    }

    fn queue_spread(&self, program: &LoadedKernels, address: u64, stride: usize) -> Result<()> {
        program.go(c"committee_variances", Size::warps(self.atoms), [])?;
        let (mut address, mut stride) = (address, stride as i32);
        let mut args = [
            std::ptr::from_mut(&mut address).cast(),
            std::ptr::from_mut(&mut stride).cast(),
        ];
        let blocks = Size::flat(self.systems as u32, 1024);
        program.launch(c"committee_spread", blocks, &mut args)
    }

    fn memory(&self) -> usize {
        let of = |member: &BoundMember| {
            let push = member.push.as_ref().map_or(0, Memory::bytes);
            member.potential.memory() + member.energy.bytes() + push
        };
        let kept: usize = self.kept.iter().map(Memory::bytes).sum();
        kept + self.members.iter().map(of).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::compiler::{compile, excused};

    #[test]
    fn kernels_compile_for_each_card() {
        for (capability, several) in [(80, false), (90, false), (90, true), (100, true)] {
            let part = part(&crate::engine::cuda::source(several));
            let probed = Part {
                source: part.source.clone() + &CommitteeBlock::probe(),
                ..part
            };
            let codes = match compile(std::slice::from_ref(&probed), capability) {
                Err(error) if excused(&error) => return,
                found => found.unwrap().0,
            };
            probed.assert_complete(&codes[0]);
        }
    }
}
