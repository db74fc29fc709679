//! Many systems on one card: their atoms lie one system behind another in the engine's arrays, and every kernel takes all of
//! them at once.
//!
//! Pairs are found within a system alone, so that a network sees no more than a longer list of atoms. What is summed over a
//! system is summed by a block of threads of its own, in the same tree as that of a system alone. With the same choice of
//! kernels for any number of atoms, no bit of a system depends on the others.

use std::ops::ControlFlow;

use super::block::{DeviceState, EngineBlock, halted};
use super::program::DeviceProgram;
use super::snapshot::{Landing, Underway};
use super::systems::DeviceSystems;
use super::{CudaEngine, Making, SPARE_PAIRS, flat, foreseen_memory};
use crate::core::rng::Noise;
use crate::core::{Cell, Fields, Members, System, Vec3};
use crate::cuda::Device;
use crate::cuda::layout::bytes_of;
use crate::dynamics::StepClock;
use crate::engine::batch::check_batch;
use crate::engine::{BatchEngine, BatchMember, Limits, Outcome, PendingBatch, Start, Statistics};
use crate::neighbors::Listed;
use crate::potential::About;
use crate::potential::device::DevicePotential;
use crate::{Error, Result};

/// DeviceSystems that take their steps together on one CUDA device.
pub struct CudaBatch {
    engine: CudaEngine,
    program: DeviceProgram,
    clock: StepClock,
    limits: Vec<Limits>,
}

impl CudaBatch {
    /// A batch of `members` on CUDA device `index`, with forces evaluated; `skin` in angstrom.
    ///
    /// # Errors
    /// There is no such device or no compiler for it; members that cannot be stepped together; arrays that do not belong
    /// together; an element that the potential does not know; no room on the card.
    pub fn new(
        members: Vec<BatchMember>,
        potential: &dyn DevicePotential,
        skin: f64,
        index: usize,
    ) -> Result<Self> {
        Self::made(members, potential, (skin, index), Making::default())
    }

    /// Does as [`CudaBatch::new`], made in a certain way; `skin` and device come as a pair.
    ///
    /// # Errors
    /// As for [`CudaBatch::new`].
    pub fn made(
        members: Vec<BatchMember>,
        potential: &dyn DevicePotential,
        (skin, index): (f64, usize),
        making: Making,
    ) -> Result<Self> {
        check_batch(&members)?;
        let mut device = Device::open(index)?;
        device.overlap &= !making.watched;
        let programs = members.iter().map(|m| DeviceProgram::of(&m.program));
        let mut programs = programs.collect::<Result<Vec<_>>>()?;
        let clock = members[0].program.clock();
        let steps: Vec<u64> = members.iter().map(|m| m.start.step).collect();
        let noises: Vec<Noise> = members.iter().map(|m| m.noise).collect();
        let limits: Vec<Limits> = members.iter().map(|m| m.limits).collect();
        let start = joined(members)?;
        let mut systems = DeviceSystems::new(&start, &noises, skin, true);
        systems.begin_at(steps);
        for (k, (program, limits)) in programs.iter().zip(&limits).enumerate() {
            systems.warm(k, program);
            systems.limit(k, limits);
        }
        let making = Making {
            as_member: true,
            ..making
        };
        Ok(Self {
            engine: CudaEngine::on(device, start, potential, (systems, skin), making)?,
            program: programs.swap_remove(0),
            clock,
            limits,
        })
    }

    /// Puts the first members, at rest, at other positions (angstrom, one member's behind another's) in other cells, of the same
    /// periodic directions; starts to evaluate forces.
    pub(super) fn arrange<'c>(
        &mut self,
        cells: impl Iterator<Item = &'c Cell>,
        positions: &[Vec3],
    ) -> Result<()> {
        let engine = &mut self.engine;
        engine.device.bind()?;
        // Velocities lie behind positions, and are zero already.
        let saved = engine.buffers.block.saved;
        (engine.buffers).write(&engine.device, saved, &flat(positions))?;
        for (member, cell) in engine.saved.members.iter_mut().zip(cells) {
            member.cell.clone_from(cell);
        }
        engine.go_back()
    }

    /// Starts to take the present state of each member.
    pub(super) fn look(&mut self, want: Fields) -> Result<Underway> {
        self.engine.device.bind()?;
        self.engine.start_snapshots(want)
    }

    /// Starts to take the present state of each member, but for the forces, which land on the card.
    pub(super) fn land(&mut self, landing: Landing<'_>) -> Result<Underway> {
        self.engine.device.bind()?;
        self.engine.start_landing(landing)
    }

    /// Forecasts the memory (bytes) that a member of so many atoms, with so many pairs in range, will take.
    pub fn foreseen_memory(atoms: usize, pairs: usize, potential: &dyn DevicePotential) -> usize {
        /// Parts in which the gradient of a pair comes, of a network of 256 features.
        const PARTS: usize = 8;
        let sizes =
            DeviceSystems::sizes_of_one(atoms, (pairs as f64 * SPARE_PAIRS) as usize, PARTS);
        let list = bytes_of(EngineBlock::LIST, &sizes);
        foreseen_memory(&sizes, potential).saturating_add(list)
    }

    /// The engine of all members, to be measured.
    pub fn engine(&mut self) -> &mut CudaEngine {
        &mut self.engine
    }

    /// Runs up to a step of the engine's count, and notes what happens. Ends early where members are at fault: these.
    fn advance(
        &mut self,
        until: u64,
        outcomes: &mut [Outcome],
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Vec<usize>> {
        let mut state = self.engine.start_count(until)?;
        if until <= self.engine.step {
            self.engine.evaluate()?;
        }
        loop {
            let mut work = || {
                meanwhile();
                ControlFlow::Continue(())
            };
            let broken_off = || Error::run("a block was broken off by no one");
            state = (self.engine.round(&state, &mut work)?).ok_or_else(broken_off)?;
            if state.halt & (halted::FATAL | halted::LIMITS) != 0 {
                let at_fault = self.judge(&state, outcomes)?;
                if !at_fault.is_empty() {
                    return Ok(at_fault);
                }
            }
            if !self.engine.mend_pairs(&state)? && state.done == until {
                return Ok(Vec::new());
            }
        }
    }

    /// Notes which members are at fault and why, and gives those that cannot go on. Where all can, limits that are broken are
    /// ignored from here on.
    fn judge(&mut self, state: &DeviceState, outcomes: &mut [Outcome]) -> Result<Vec<usize>> {
        self.engine.ask_systems()?;
        let raised: Vec<u32> = self
            .engine
            .systems
            .states
            .iter()
            .map(|s| s.raised)
            .collect();
        let with = |flags: u32| {
            let all = raised.iter().enumerate();
            all.filter(move |(_, raised)| **raised & flags != 0)
                .map(|(k, _)| k)
        };
        let fatal: Vec<usize> = with(halted::FATAL).collect();
        for &k in &fatal {
            let breach = self.engine.fatal(k, self.limits[k], state)?;
            outcomes[k].note(breach);
        }
        if !fatal.is_empty() {
            return Ok(fatal);
        }
        let broken: Vec<usize> = with(halted::LIMITS).collect();
        // Steps started after the halt have emptied what snapshots sum.
        self.engine.resume(*state, &broken)?;
        self.engine.evaluate()?;
        for &k in &broken {
            let step = self.engine.systems.step_of(k, state.done);
            let breach = self.engine.inspect((k, self.limits[k]), step, false)?;
            outcomes[k].note(breach);
        }
        Ok(broken
            .into_iter()
            .filter(|&k| self.limits[k].stop)
            .collect())
    }
}

/// The starts of all members, one behind another.
fn joined(members: Vec<BatchMember>) -> Result<Start> {
    let mut all = Start::new(System::default(), Cell::open(), Vec::new(), Vec::new());
    all.members = Members::default();
    for BatchMember { start, .. } in members {
        start.check()?;
        start.check_unconstrained()?;
        let only = start.members.only()?;
        all.members.push(only.clone());
        let (before, atoms) = (all.system.len(), start.system.len());
        all.groups.append(before, start.groups, atoms);
        all.system.species.extend(start.system.species);
        all.system.masses.extend(start.system.masses);
        all.positions.extend::<Vec<Vec3>>(start.positions);
        all.velocities.extend::<Vec<Vec3>>(start.velocities);
    }
    Ok(all)
}

impl BatchEngine for CudaBatch {
    fn members(&self) -> usize {
        self.engine.systems.members.len()
    }

    fn run_beside(&mut self, steps: u64, meanwhile: &mut dyn FnMut()) -> Result<Vec<Outcome>> {
        self.engine.device.bind()?;
        let kinetic = self.limits.iter().any(|limits| limits.kinetic.is_some());
        (self.engine).set_program(&self.program, self.clock, kinetic)?;
        // A barostat looks at the pressure of the present moment.
        if self.engine.stale && steps > 0 {
            self.engine.evaluate()?;
        }
        let count = self.members();
        let at = |engine: &CudaEngine, k| engine.systems.step_of(k, engine.step);
        let mut outcomes: Vec<Outcome> = (0..count)
            .map(|k| Outcome::none(at(&self.engine, k)))
            .collect();
        let until = self.engine.step + steps;
        let mut meanwhile = Some(meanwhile);
        loop {
            let mut once = || {
                if let Some(work) = meanwhile.take() {
                    work();
                }
            };
            let at_fault = self.advance(until, &mut outcomes, &mut once)?;
            if at_fault.is_empty() {
                break;
            }
            // All go back, those at fault come to rest, and the others take their steps once more.
            for k in at_fault {
                self.rest(k);
            }
            self.engine.go_back()?;
        }
        for (k, outcome) in outcomes.iter_mut().enumerate() {
            outcome.step = at(&self.engine, k);
        }
        Ok(outcomes)
    }

    fn rest(&mut self, member: usize) {
        let step = self.engine.step;
        self.engine.systems.stop(member, step);
    }

    fn save(&mut self) -> Result<()> {
        self.engine.save_all()
    }

    fn rollback(&mut self) -> Result<()> {
        self.engine.go_back()
    }

    fn request(&mut self, want: Fields) -> Result<Box<dyn PendingBatch>> {
        self.engine.device.bind()?;
        self.engine.start_batch(want)
    }

    fn listed(&mut self, member: usize, receivers: &[usize]) -> Result<Listed> {
        self.engine.device.bind()?;
        self.engine.pairs_of(member, receivers)
    }

    fn statistics(&self) -> Statistics {
        crate::engine::Engine::statistics(&self.engine)
    }

    fn about(&self) -> About {
        self.engine.about.clone()
    }
}
