//! The engine that lives on a GPU: phase space and pairs stay in its memory, as does the potential
//! ([`DevicePotential`]), a block of steps is replayed as a graph, and the host reads a few flags. Snapshots are copied to the
//! host while the next block runs (`snapshot`).
//!
//! Kernels are CUDA C++ (`kernels/*.cu`), compiled at start for the card by NVRTC. Phase space, sums of energies and of forces
//! are f64. No float is ever added atomically, and every sum runs in an order that depends on atoms' numbers and positions
//! alone, so the same start gives the same bits, whenever pairs are rebuilt and however steps are cut into blocks.
//!
//! The pairs are rebuilt inside of [`Engine::run`] when an atom has left half the skin: positions are fixed at that
//! moment and forces are still to come, so nothing is run twice.

mod block;
mod buffers;
mod field;
mod inspect;
mod launch;
mod list;
mod program;
mod room;
mod snapshot;
mod steps;

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::block::{DeviceState, halted};
use self::buffers::Buffers;
use self::launch::{Kernels, StepShape};
use self::list::ListAge;
use self::room::Demand;
use self::snapshot::Rooms;
use self::steps::Graphs;
use super::{Engine, Limits, Outcome, Pending, Start, Statistics, restorable};
use crate::core::rng::Noise;
use crate::core::{Fields, Member, Snapshot, Vec3};
use crate::cuda::Device;
use crate::cuda::launch::Graph;
use crate::cuda::memory::Pinned;
use crate::dynamics::Program;
use crate::neighbors::Listed;
use crate::potential::device::{DevicePotential, DeviceView};
use crate::potential::{About, Processor};
use crate::{Error, Result};

pub use self::block::source;
pub use self::field::DeviceForceField;

/// Room for pairs beyond those found, so that a denser moment does not ask for more at once.
const SPARE_PAIRS: f64 = 1.1;

/// Owns phase space, forces, pairs and a potential on one CUDA device.
pub struct CudaEngine {
    // Dropped in this order: what lives on the device before the device.
    graphs: Option<Graphs>,
    evaluation: Option<Graph>,
    kernels: Kernels,
    buffers: Buffers,
    saved: SavedState,
    rooms: Rooms,
    /// The flags, as last read.
    flags: Pinned,
    device: Device,
    member: Member,
    about: About,
    step: u64,
    timestep: f64,
    limits: Limits,
    extras: StepShape,
    list: ListAge,
    /// Pairs as of the last snapshot taken.
    pairs: Arc<AtomicU64>,
    /// Whether pairs were built since the last evaluation: forces are those of the positions still, what snapshots sum is not.
    stale: bool,
}

/// What belongs to the state last saved besides positions and velocities, which are on the card.
struct SavedState {
    step: u64,
    member: Member,
}

impl CudaEngine {
    /// An engine at `start` on CUDA device `index`, with forces evaluated; of `noise` it draws what its replica draws;
    /// `skin` in angstrom.
    ///
    /// # Errors
    /// There is no such device or no compiler for it; several systems at once; arrays that do not belong together; an element
    /// that the potential does not know; no room on the card.
    pub fn new(
        start: Start,
        potential: &dyn DevicePotential,
        noise: Noise,
        skin: f64,
        index: usize,
    ) -> Result<Self> {
        let device = Device::open(index)?;
        Self::on(device, start, potential, noise, skin, false)
    }

    /// An engine for compute-sanitizer's racecheck, slower, with the same results. Kernels run one after another, and every
    /// thread arrives at a barrier itself: the tool cannot follow one lane that arrives for its warp.
    ///
    /// # Errors
    /// As for [`CudaEngine::new`].
    pub fn watched(
        start: Start,
        potential: &dyn DevicePotential,
        noise: Noise,
        skin: f64,
        index: usize,
    ) -> Result<Self> {
        let mut device = Device::open(index)?;
        device.overlap = false;
        Self::on(device, start, potential, noise, skin, true)
    }

    fn on(
        device: Device,
        start: Start,
        potential: &dyn DevicePotential,
        noise: Noise,
        skin: f64,
        watched: bool,
    ) -> Result<Self> {
        start.check()?;
        let member = start.members.only()?.clone();
        Self::check_room(&device, member.atoms.len(), potential)?;
        let about = potential.about(Processor::Card {
            name: device.name.clone(),
            index: device.index,
        });
        let source = block::source();
        let view = DeviceView {
            source: &source,
            species: &start.system.species,
            watched,
        };
        let bound = potential.bind(&device, &view)?;
        let mut buffers = Buffers::new(&device, &start.system, bound.gradient_parts())?;
        let periodic = member.cell.periodic();
        (buffers.block).describe_range(periodic, potential.cutoff(), skin);
        buffers.put(&device, &start, noise.of_replica(member.replica))?;
        let mut engine = Self {
            graphs: None,
            evaluation: None,
            kernels: Kernels::load(&device, &buffers, bound, &source)?,
            buffers,
            saved: SavedState {
                step: start.step,
                member: member.clone(),
            },
            rooms: Rooms::new(&device, member.atoms.len())?,
            flags: device.pinned(size_of::<DeviceState>())?,
            device,
            member,
            about,
            step: start.step,
            timestep: 0.0,
            limits: Limits::default(),
            extras: StepShape::default(),
            list: ListAge::new(skin),
            pairs: Arc::default(),
            stale: false,
        };
        engine.begin()?;
        Ok(engine)
    }

    /// Checks that as many atoms are not too many, for the kernels and for the memory that is left.
    fn check_room(device: &Device, atoms: usize, potential: &dyn DevicePotential) -> Result<()> {
        if atoms == 0 || atoms > 1 << 30 {
            return Err(Error::input(format!(
                "the CUDA engine takes 1 to 2^30 atoms, not {atoms}"
            )));
        }
        let demand = Demand {
            atoms,
            pairs: None,
            bytes: Self::foreseen_memory(atoms, potential),
        };
        demand.check(device, 0)
    }

    /// Finds pairs and forces of the start, and saves it.
    fn begin(&mut self) -> Result<()> {
        self.apply_limits();
        self.kernels.see(&self.device, &self.buffers)?;
        self.start_count(self.step)?;
        self.build()?;
        self.look(Fields::NONE)?;
        self.save()
    }

    /// Forecasts the memory (bytes) that as many atoms will take at least, their pairs not counted.
    pub fn foreseen_memory(atoms: usize, potential: &dyn DevicePotential) -> usize {
        let own = [buffers::bytes_of_atoms(atoms), snapshot::bytes_of(atoms)];
        (own.into_iter()).fold(potential.demand(atoms), usize::saturating_add)
    }

    /// Memory in use on the card (bytes).
    pub fn memory(&self) -> usize {
        self.buffers.total() + self.kernels.potential.memory() + self.rooms.bytes()
    }

    /// Computes energy and forces of the present positions `count` times in a row, and waits until they are there.
    ///
    /// # Errors
    /// The device failed.
    pub fn evaluate_in_a_row(&mut self, count: u32) -> Result<()> {
        self.device.bind()?;
        let graph = match self.evaluation.take() {
            Some(graph) => graph,
            None => (self.kernels.program).record(|| self.kernels.evaluate())?,
        };
        for _ in 0..count {
            graph.replay()?;
        }
        self.evaluation = Some(graph);
        self.device.wait()
    }

    /// Starts a build of the pairs from the present positions. Where there is no room for them, the device halts with
    /// [`halted::CAPACITY`].
    fn start_build(&mut self) -> Result<()> {
        self.kernels.count()?;
        self.kernels.fill()?;
        self.list.renew();
        Ok(())
    }

    /// Makes room for as many pairs as the last build found.
    fn grow(&mut self, found: usize) -> Result<()> {
        if found > i32::MAX as usize / 2 {
            return Err(Error::run(format!(
                "{found} pairs are more than the CUDA engine can list: use a smaller system, or check that \
                 atoms do not lie on top of each other"
            )));
        }
        let room = (found as f64 * SPARE_PAIRS) as usize + 1024;
        let demand = Demand {
            atoms: self.kernels.atoms,
            pairs: Some(found),
            bytes: (self.buffers.bytes_of_pairs(room))
                .saturating_add(room.saturating_mul(self.kernels.potential.pair_bytes())),
        };
        demand.check(&self.device, self.buffers.list_bytes())?;
        self.buffers.make_room(&self.device, room)?;
        self.kernels.potential.make_room(room)?;
        self.kernels.see(&self.device, &self.buffers)
    }

    /// Builds the pairs from the present positions, with more room where there was too little.
    fn build_pairs(&mut self) -> Result<()> {
        self.stale = true;
        self.start_build()?;
        let state = self.read_state()?;
        if state.halt & halted::CAPACITY != 0 {
            self.grow(state.pairs as usize)?;
            self.start_build()?;
            self.list.builds -= 1;
        }
        Ok(())
    }

    /// Builds the pairs, and computes energy and forces.
    fn build(&mut self) -> Result<()> {
        self.build_pairs()?;
        self.evaluate()
    }

    /// Energy and forces at the present positions.
    fn evaluate(&mut self) -> Result<()> {
        self.stale = false;
        self.kernels.evaluate()
    }

    /// The flags, after all work in the stream.
    fn read_state(&mut self) -> Result<DeviceState> {
        self.start_reading()?;
        self.finish_reading()
    }

    /// Has the flags copied after all work that was started so far.
    fn start_reading(&self) -> Result<()> {
        let lost = || Error::run("CUDA: the state is not where it was put");
        let from = (self.buffers.memory(self.buffers.block.state)).ok_or_else(lost)?;
        let stream = &self.device.stream;
        self.flags.fetch(from, size_of::<DeviceState>(), stream)
    }

    fn finish_reading(&mut self) -> Result<DeviceState> {
        self.device.wait()?;
        // SAFETY: the copy is done; a `State` is numbers only.
        let state = unsafe { self.flags.values::<DeviceState>(1) }[0];
        self.list.see(&state);
        Ok(state)
    }

    fn apply_limits(&mut self) {
        let p = &mut self.buffers.block;
        let limits = self.limits;
        p.force_limit2 = limits.force.map_or(f64::INFINITY, |f| f * f);
        p.contact_limit = limits.contact.unwrap_or(0.0);
        p.kinetic_limit = limits.kinetic.unwrap_or(f64::INFINITY);
        p.held_mass = limits.held_mass.unwrap_or(f64::INFINITY);
        [p.barostat.least, p.barostat.most] = limits.volume.unwrap_or([0.0, f64::INFINITY]);
    }
}

impl Drop for CudaEngine {
    fn drop(&mut self) {
        // A block may have been broken off: nothing is taken from under it. A failure has no one left to tell.
        let _ = self.device.wait();
    }
}

impl Engine for CudaEngine {
    fn run(&mut self, program: &Program, steps: Range<u64>) -> Result<Outcome> {
        let ran = self.run_beside(program, steps, &mut || ControlFlow::Continue(()))?;
        ran.ok_or_else(|| Error::run("a block was broken off by no one"))
    }

    fn run_beside(
        &mut self,
        program: &Program,
        steps: Range<u64>,
        meanwhile: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Outcome>> {
        self.device.bind()?;
        self.set_program(program)?;
        self.step = steps.start;
        let state = self.start_count(steps.end.max(steps.start))?;
        // A barostat looks at the pressure of the present moment.
        if steps.is_empty() || (self.stale && self.extras.presses(steps.start)) {
            self.evaluate()?;
        }
        self.advance(state, meanwhile)
    }

    fn save(&mut self) -> Result<()> {
        self.device.bind()?;
        let address = self.buffers.block.saved.address();
        self.kernels.exchange(Fields::PHASE, address, true)?;
        self.saved = SavedState {
            step: self.step,
            member: self.member.clone(),
        };
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.device.bind()?;
        let address = self.buffers.block.saved.address();
        self.kernels.exchange(Fields::PHASE, address, false)?;
        self.step = self.saved.step;
        self.member.clone_from(&self.saved.member);
        self.start_count(self.step)?;
        self.build()
    }

    fn restore(&mut self, state: &Snapshot) -> Result<()> {
        self.device.bind()?;
        restorable(state, self.buffers.block.atoms as usize)?;
        let phase = [flat(&state.positions), flat(&state.velocities)].concat();
        (self.buffers).write(&self.device, self.buffers.block.saved, &phase)?;
        self.saved = SavedState {
            step: state.step,
            member: Member {
                cell: state.cell.clone(),
                kept: state.observables.kept,
                ..self.member.clone()
            },
        };
        self.rollback()
    }

    fn rebuild(&mut self) -> Result<()> {
        self.device.bind()?;
        self.build_pairs()
    }

    fn watch(&mut self, limits: Limits) {
        self.limits = limits;
        self.apply_limits();
    }

    fn snapshot(&mut self, want: Fields) -> Result<Snapshot> {
        self.device.bind()?;
        self.look(want)
    }

    fn request(&mut self, want: Fields) -> Result<Box<dyn Pending>> {
        self.device.bind()?;
        self.start_snapshot(want)
    }

    fn listed(&mut self, receivers: &[usize]) -> Result<Listed> {
        self.device.bind()?;
        self.pairs_of(receivers)
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            rebuilds: self.list.builds,
            pairs: self.pairs.load(Ordering::Relaxed),
        }
    }

    fn about(&self) -> About {
        self.about.clone()
    }
}

/// Vectors as one row of numbers.
fn flat(vectors: &[Vec3]) -> Vec<f64> {
    vectors.iter().flat_map(|v| [v.x, v.y, v.z]).collect()
}
