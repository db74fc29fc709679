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

mod batch;
mod block;
mod buffers;
mod field;
mod inspect;
mod launch;
mod list;
mod many;
mod program;
mod room;
mod snapshot;
mod steps;
mod systems;
mod terms;

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::block::{DeviceMember, DeviceState, EngineSizes, halted};
use self::buffers::Buffers;
use self::launch::{Kernels, StepShape};
use self::list::ListAge;
use self::program::DeviceProgram;
use self::room::Demand;
use self::snapshot::Rooms;
use self::steps::Graphs;
use self::systems::DeviceSystems;
use super::{Engine, Limits, Outcome, Pending, Start, Statistics, restorable};
use crate::core::rng::Noise;
use crate::core::{Fields, Member, Snapshot, Vec3};
use crate::cuda::Device;
use crate::cuda::launch::Graph;
use crate::cuda::memory::Pinned;
use crate::dynamics::{Program, StepClock};
use crate::neighbors::Listed;
use crate::potential::device::{DevicePotential, DeviceView};
use crate::potential::{About, Processor};
use crate::{Error, Result};

pub use self::batch::CudaBatch;
pub use self::block::source;
pub use self::field::DeviceForceField;
pub use self::many::DeviceForceFields;

/// Room for pairs beyond those found, so that a denser moment does not ask for more at once.
const SPARE_PAIRS: f64 = 1.1;

/// Number of atoms that kernels of a batch are chosen for, whatever its members are: so many that the card is full.
const BATCH_ATOMS: usize = 100_000;

/// Owns phase space, forces, pairs and a potential on one CUDA device.
pub struct CudaEngine {
    // Dropped in this order: what lives on the device before the device.
    graphs: Option<Graphs>,
    evaluation: Option<Graph>,
    kernels: Kernels,
    buffers: Buffers,
    saved: SavedState,
    rooms: Rooms,
    /// The flags, as last read, and what each system said.
    flags: Pinned,
    own_flags: Pinned,
    device: Device,
    systems: DeviceSystems,
    /// What the energies of the atoms of each system leave out (eV).
    offsets: Vec<f64>,
    about: About,
    step: u64,
    clock: StepClock,
    /// Of a system alone.
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
    members: Vec<Member>,
    stopped: Vec<Option<u64>>,
}

/// How an engine is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Making {
    /// Whether kernels are those of any batch, in which the system may be a member: its bits are the same in each, and alone.
    pub as_member: bool,
    /// Whether compute-sanitizer's racecheck watches: slower, with the same results. Kernels run one after another, and every
    /// thread arrives at a barrier itself, since the tool cannot follow one lane that arrives for its warp.
    pub watched: bool,
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
        Self::made(start, potential, noise, (skin, index), Making::default())
    }

    /// Does as [`CudaEngine::new`], made in a certain way; `skin` and device come as a pair.
    ///
    /// # Errors
    /// As for [`CudaEngine::new`].
    pub fn made(
        start: Start,
        potential: &dyn DevicePotential,
        noise: Noise,
        (skin, index): (f64, usize),
        making: Making,
    ) -> Result<Self> {
        let mut device = Device::open(index)?;
        device.overlap &= !making.watched;
        start.members.only()?;
        let systems = DeviceSystems::new(&start, &[noise], skin, false);
        Self::on(device, start, potential, (systems, skin), making)
    }

    fn on(
        device: Device,
        start: Start,
        potential: &dyn DevicePotential,
        (systems, skin): (DeviceSystems, f64),
        making: Making,
    ) -> Result<Self> {
        start.check()?;
        start.check_unconstrained()?;
        Self::check_room(&device, &systems, potential)?;
        let about = potential.about(Processor::Card {
            name: device.name.clone(),
            index: device.index,
        });
        let source = block::source(systems.several);
        let species = &start.system.species;
        let view = DeviceView {
            source: &source,
            species,
            systems: &systems.ranges(),
            chosen_for: match making.as_member {
                true => BATCH_ATOMS,
                false => species.len(),
            },
            watched: making.watched,
        };
        let bound = potential.bind(&device, &view)?;
        let offset = |member: &Member| bound.offset(&species[member.atoms.clone()]);
        let offsets = systems.members.iter().map(offset).collect();
        let parts = bound.gradient_parts();
        let mut buffers = Buffers::new(&device, &start, &systems, parts)?;
        (buffers.block).describe_range(potential.cutoff(), skin);
        buffers.put(&device, &start)?;
        let flags = size_of::<DeviceMember>() * systems.members.len();
        let mut engine = Self {
            graphs: None,
            evaluation: None,
            kernels: Kernels::load(&device, (&buffers, &systems), bound, &source)?,
            buffers,
            saved: SavedState {
                step: start.step,
                members: systems.members.clone(),
                stopped: systems.stopped.clone(),
            },
            rooms: Rooms::new(&device, species.len(), systems.members.len())?,
            flags: device.pinned(size_of::<DeviceState>())?,
            own_flags: device.pinned(flags)?,
            device,
            systems,
            offsets,
            about,
            step: start.step,
            clock: StepClock::default(),
            limits: Limits::default(),
            extras: StepShape::default(),
            list: ListAge::default(),
            pairs: Arc::default(),
            stale: false,
        };
        engine.begin()?;
        Ok(engine)
    }

    /// Checks that the atoms are not too many, for the kernels and for the memory that is left.
    fn check_room(
        device: &Device,
        systems: &DeviceSystems,
        potential: &dyn DevicePotential,
    ) -> Result<()> {
        let atoms = systems.sizes(0).atoms;
        if atoms == 0 || atoms > 1 << 30 {
            return Err(Error::input(format!(
                "the CUDA engine takes 1 to 2^30 atoms, not {atoms}"
            )));
        }
        let demand = Demand {
            atoms,
            pairs: None,
            bytes: foreseen_memory(&systems.sizes(0), potential),
        };
        demand.check(device, 0)
    }

    /// Finds pairs and forces of the start, and saves it.
    fn begin(&mut self) -> Result<()> {
        self.describe()?;
        self.start_count(self.step)?;
        self.build()?;
        self.look_at_all(Fields::NONE)?;
        self.save()
    }

    /// Has kernels see what systems and programs are now.
    fn describe(&mut self) -> Result<()> {
        self.buffers.describe(&self.device, &self.systems)?;
        self.kernels.see(&self.device, &self.buffers)
    }

    /// Forecasts the memory (bytes) that as many atoms will take at least, their pairs not counted.
    pub fn foreseen_memory(atoms: usize, potential: &dyn DevicePotential) -> usize {
        foreseen_memory(&DeviceSystems::sizes_alone(atoms), potential)
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
        self.systems.renew();
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
        let stream = &self.device.stream;
        let block = &self.buffers.block;
        let state = self.buffers.memory(block.state).ok_or_else(lost)?;
        self.flags.fetch(state, size_of::<DeviceState>(), stream)?;
        if self.systems.several {
            return Ok(());
        }
        let member = self.buffers.memory(block.members).ok_or_else(lost)?;
        self.own_flags
            .fetch(member, size_of::<DeviceMember>(), stream)
    }

    /// Learns from the card what has become of its systems, where that is not known.
    fn ask_systems(&mut self) -> Result<()> {
        if !self.systems.behind {
            return Ok(());
        }
        if self.systems.several {
            let lost = || Error::run("CUDA: the systems are not where they were put");
            let members = self.buffers.memory(self.buffers.block.members);
            let bytes = size_of::<DeviceMember>() * self.systems.states.len();
            (self.own_flags).fetch(members.ok_or_else(lost)?, bytes, &self.device.stream)?;
            self.device.wait()?;
        }
        let count = self.systems.states.len();
        // SAFETY: the copy is done; a `Member` is numbers only.
        let members = unsafe { self.own_flags.values::<DeviceMember>(count) };
        self.systems.states.copy_from_slice(members);
        self.systems.follow(self.step)
    }

    fn finish_reading(&mut self) -> Result<DeviceState> {
        self.device.wait()?;
        // SAFETY: the copy is done; a `State` is numbers only.
        let state = unsafe { self.flags.values::<DeviceState>(1) }[0];
        self.list.reach = state.reach;
        Ok(state)
    }

    /// Remembers the present state.
    fn save_all(&mut self) -> Result<()> {
        self.device.bind()?;
        self.ask_systems()?;
        let address = self.buffers.block.saved.address();
        self.kernels.exchange(Fields::PHASE, address, true)?;
        self.saved.step = self.step;
        (self.saved.members).clone_from(&self.systems.members);
        (self.saved.stopped).clone_from(&self.systems.stopped);
        Ok(())
    }

    /// Goes back to the state last saved. What has come to rest since rests there.
    fn go_back(&mut self) -> Result<()> {
        self.device.bind()?;
        let address = self.buffers.block.saved.address();
        self.kernels.exchange(Fields::PHASE, address, false)?;
        self.step = self.saved.step;
        self.systems.go_back(&self.saved.members);
        for k in 0..self.systems.stopped.len() {
            if self.systems.stopped[k].is_some() {
                self.systems.stopped[k] = self.saved.stopped[k];
                self.systems.stop(k, self.step);
            }
        }
        self.start_count(self.step)?;
        self.build()
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
        let plan = DeviceProgram::of(program)?;
        self.systems.warm(0, &plan);
        self.set_program(&plan, program.clock(), self.limits.kinetic.is_some())?;
        self.step = steps.start;
        let state = self.start_count(steps.end.max(steps.start))?;
        // A barostat looks at the pressure of the present moment.
        if steps.is_empty() || (self.stale && self.extras.presses(steps.start)) {
            self.evaluate()?;
        }
        self.advance(state, meanwhile)
    }

    fn save(&mut self) -> Result<()> {
        self.save_all()
    }

    fn rollback(&mut self) -> Result<()> {
        self.go_back()
    }

    fn restore(&mut self, state: &Snapshot) -> Result<()> {
        self.device.bind()?;
        restorable(state, self.buffers.block.atoms as usize)?;
        let phase = [flat(&state.positions), flat(&state.velocities)].concat();
        (self.buffers).write(&self.device, self.buffers.block.saved, &phase)?;
        self.saved = SavedState {
            step: state.step,
            members: vec![Member {
                cell: state.cell.clone(),
                kept: state.observables.kept,
                ..self.systems.members[0].clone()
            }],
            stopped: vec![None],
        };
        self.rollback()
    }

    fn rebuild(&mut self) -> Result<()> {
        self.device.bind()?;
        self.build_pairs()
    }

    fn watch(&mut self, limits: Limits) {
        self.limits = limits;
        self.systems.limit(0, &limits);
    }

    fn snapshot(&mut self, want: Fields) -> Result<Snapshot> {
        self.device.bind()?;
        self.look_at(0, want)
    }

    fn request(&mut self, want: Fields) -> Result<Box<dyn Pending>> {
        self.device.bind()?;
        self.start_snapshot(want)
    }

    fn listed(&mut self, receivers: &[usize]) -> Result<Listed> {
        self.device.bind()?;
        self.pairs_of(0, receivers)
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

/// Forecasts the memory (bytes) that systems will take at least, their pairs not counted.
fn foreseen_memory(sizes: &EngineSizes, potential: &dyn DevicePotential) -> usize {
    let own = [
        buffers::bytes_of_systems(sizes),
        snapshot::bytes_of(sizes.atoms, sizes.members),
    ];
    (own.into_iter()).fold(potential.demand(sizes.atoms), usize::saturating_add)
}

/// Vectors as one row of numbers.
fn flat(vectors: &[Vec3]) -> Vec<f64> {
    vectors.iter().flat_map(|v| [v.x, v.y, v.z]).collect()
}
