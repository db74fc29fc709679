//! The engine that lives on a GPU: phase space, pairs and network stay in its memory, a block of steps is
//! replayed as a graph, and the host reads a few flags.
//!
//! Kernels are CUDA C++ (`kernels/*.cu`), compiled at start for the card and the model by NVRTC. The network is
//! evaluated in f32 with an analytic backward pass; phase space, sums of energies and of forces are f64. No float
//! is ever added atomically, and every sum runs in an order that depends on atoms' numbers and positions alone,
//! so the same start gives the same bits, whenever pairs are rebuilt and however steps are cut into blocks.
//!
//! The pairs are rebuilt inside of [`Engine::run`] when an atom has left half the skin: positions are fixed at that
//! moment and forces are still to come, so nothing is run twice. [`Flags::SKIN`] and [`Flags::CAPACITY`] are never
//! raised.

mod buffers;
mod cache;
mod choose;
pub mod compile;
mod device;
mod inspect;
mod launch;
mod program;
mod room;
mod tables;

use std::ops::Range;

use cudarc::driver::CudaGraph;

use self::buffers::{Buffers, DeviceOp, MOST_OPS, OBSERVED, State};
use self::device::{Device, Memory};
use self::launch::{Extras, Kernels};
use self::program::Plan;
use self::room::Demand;
use super::{Engine, Flags, Limits, Outcome, Start, Statistics, restorable};
use crate::core::rng::Noise;
use crate::core::{Cell, Fields, Mat3, Observables, Snapshot, Vec3};
use crate::integrate::Integrator;
use crate::neighbors::Listed;
use crate::potential::painn::{Spec, Weights};
use crate::{Error, Result};

pub use self::choose::Tuning;
pub use self::device::devices;

/// Steps in one graph.
const GRAPH_STEPS: u64 = 8;
/// Fewest and most steps between two looks at the flags.
const FEWEST_STEPS: u64 = 1;
const MOST_STEPS: u64 = 256;
/// Room for pairs beyond those found, so that a denser moment does not ask for more at once.
const SPARE_PAIRS: f64 = 1.1;

mod halted {
    //! What `State::halt` may say, as in `kernels/params.cu`.
    pub const SKIN: u32 = 1;
    pub const CAPACITY: u32 = 2;
    pub const NONFINITE: u32 = 4;
    /// Force, contact, kinetic energy.
    pub const LIMITS: u32 = 8 | 16 | 32;
}

/// Owns phase space, forces, pairs and a PaiNN on one CUDA device.
pub struct CudaEngine {
    // Dropped in this order: what lives on the device before the device.
    graphs: Option<Graphs>,
    evaluation: Option<CudaGraph>,
    kernels: Kernels,
    buffers: Buffers,
    saved: Saved,
    device: Device,
    cell: Cell,
    slices: usize,
    about: String,
    /// What the network's energy leaves out (eV).
    offset: f64,
    skin: f64,
    step: u64,
    heat: f64,
    timestep: f64,
    limits: Limits,
    extras: Extras,
    rebuilds: u64,
    pairs: u64,
    /// Steps since the last rebuild, and how many the one before lasted.
    age: u64,
    lasted: u64,
    /// A failure of [`Engine::save`] or [`Engine::rollback`], which cannot return it.
    failure: Option<Error>,
}

/// Recorded steps.
struct Graphs {
    one: CudaGraph,
    many: CudaGraph,
}

/// The state last saved: arrays in the order of ids.
struct Saved {
    positions: Memory,
    velocities: Memory,
    step: u64,
    heat: f64,
}

impl CudaEngine {
    /// An engine at `start` on CUDA device `index`, with forces evaluated; `skin` in angstrom.
    ///
    /// # Errors
    /// There is no such device or no compiler for it; arrays that do not belong together; an element that the
    /// model has no embedding for; no room on the card.
    pub fn new(
        start: Start,
        spec: &Spec,
        weights: &Weights,
        noise: Noise,
        skin: f64,
        index: usize,
    ) -> Result<Self> {
        Self::tuned(start, spec, weights, noise, skin, index, Tuning::default())
    }

    /// The same with kernels chosen by hand, to measure or test them.
    ///
    /// # Errors
    /// As for [`CudaEngine::new`].
    pub fn tuned(
        start: Start,
        spec: &Spec,
        weights: &Weights,
        noise: Noise,
        skin: f64,
        index: usize,
        tuning: Tuning,
    ) -> Result<Self> {
        start.check()?;
        let atoms = start.system.len();
        if atoms == 0 || atoms > 1 << 30 || spec.layers == 0 || weights.readout.is_empty() {
            return Err(Error::input(format!(
                "the CUDA engine takes 1 to 2^30 atoms and a model with an interaction and a readout, not \
                 {atoms} atoms, {} interactions and {} readout layers",
                spec.layers,
                weights.readout.len()
            )));
        }
        let device = Device::open(index)?;
        Self::demand_of(atoms, spec, weights).check(&device, 0)?;
        let shape = choose::choose(&device, spec, weights, atoms, tuning);
        let (parts, _) = shape.compile(device.capability)?;
        let system = &start.system;
        let mut buffers = Buffers::new(&device, &system.species, &system.masses, spec, weights)?;
        buffers.params.describe_box(&start.cell, spec.cutoff, skin);
        let p = &mut buffers.params;
        [p.seed, p.replica] = noise.key();
        p.total_mass = system.total_mass();
        buffers.positions.write(&flat(&start.positions))?;
        buffers.velocities.write(&flat(&start.velocities))?;
        let about = format!(
            "PaiNN, {} layers of {}, f32, fused CUDA kernels on {} (device {index})",
            spec.layers, spec.features, device.name
        );
        let slices = shape.features / tables::SLICE;
        let kernels = Kernels::load(&device, &parts, shape, &buffers)?;
        let saved = Saved {
            positions: device.zeros(24 * atoms)?,
            velocities: device.zeros(24 * atoms)?,
            step: start.step,
            heat: start.heat,
        };
        let readout_bias = weights.readout.last().and_then(|l| l.bias.first());
        let bias = readout_bias.map_or(0.0, |b| b * spec.energy_scale * atoms as f64);
        let mut engine = Self {
            graphs: None,
            evaluation: None,
            kernels,
            buffers,
            saved,
            device,
            cell: start.cell,
            slices,
            about,
            offset: bias + spec.offset(&start.system.species),
            skin,
            step: start.step,
            heat: start.heat,
            timestep: 0.0,
            limits: Limits::default(),
            extras: Extras::default(),
            rebuilds: 0,
            pairs: 0,
            age: 0,
            lasted: 0,
            failure: None,
        };
        engine.apply_limits();
        engine.kernels.set_params(&engine.device, &engine.buffers)?;
        engine.write_state(0, engine.step)?;
        engine.build()?;
        engine.observe()?;
        engine.save();
        Ok(engine)
    }

    /// What so many atoms want of a card before their pairs are known.
    fn demand_of(atoms: usize, spec: &Spec, weights: &Weights) -> Demand {
        let hidden = weights.readout.len().saturating_sub(1);
        let widths: Vec<usize> = weights.readout[..hidden]
            .iter()
            .map(|l| l.outputs)
            .collect();
        Demand {
            atoms,
            pairs: None,
            bytes: room::of_atoms(atoms, spec, &widths),
        }
    }

    /// Memory (bytes) that so many atoms of a model will take at least, their pairs not counted.
    pub fn foreseen_memory(atoms: usize, spec: &Spec, weights: &Weights) -> usize {
        Self::demand_of(atoms, spec, weights).bytes
    }

    /// Memory in use on the card (bytes).
    pub fn memory(&self) -> usize {
        self.buffers.total()
    }

    /// Computes energy and forces of the present positions `count` times in a row, and waits until they are there.
    ///
    /// # Errors
    /// The device failed.
    pub fn evaluate_in_a_row(&mut self, count: u32) -> Result<()> {
        self.check_failure()?;
        let graph = match self.evaluation.take() {
            Some(graph) => graph,
            None => self
                .kernels
                .record(&self.device, || self.kernels.network(&self.device))?,
        };
        for _ in 0..count {
            graph
                .launch()
                .map_err(device::failed("replaying a graph"))?;
        }
        self.evaluation = Some(graph);
        self.device.wait()
    }

    /// Starts a build of the pairs from the present positions. Where there is no room for them, the device halts with
    /// [`halted::CAPACITY`].
    fn start_build(&mut self) -> Result<()> {
        self.kernels.count(&self.device)?;
        self.kernels.fill(&self.device)?;
        self.rebuilds += 1;
        self.lasted = self.age;
        self.age = 0;
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
            atoms: self.buffers.params.atoms as usize,
            pairs: Some(found),
            bytes: room::of_pairs(room, self.slices),
        };
        demand.check(&self.device, self.buffers.list_bytes())?;
        self.buffers.make_room(&self.device, room, self.slices)?;
        self.kernels.set_params(&self.device, &self.buffers)
    }

    /// Builds the pairs from the present positions, with more room where there was too little, and evaluates.
    fn build(&mut self) -> Result<()> {
        self.start_build()?;
        let state = self.read_state()?;
        if state.halt & halted::CAPACITY != 0 {
            self.grow(state.pairs as usize)?;
            self.start_build()?;
            self.rebuilds -= 1;
        }
        self.evaluate()
    }

    /// Energy and forces at the present positions.
    fn evaluate(&self) -> Result<()> {
        self.kernels.network(&self.device)
    }

    fn read_state(&self) -> Result<State> {
        self.device.bind()?;
        let mut state = [State::default()];
        self.buffers.state.read(&mut state)?;
        Ok(state[0])
    }

    /// Starts the count of steps anew: all done up to the present, none to be begun from `until` on. The reach of the
    /// atoms since the last build stays.
    fn write_state(&self, reach: u32, until: u64) -> Result<()> {
        let empty = until <= self.step;
        let state = State {
            begun: self.step,
            done: self.step,
            until,
            reach,
            drift_removed: self.step,
            // A block of steps checks what they lead to; an empty one the present.
            checked: if empty { u64::MAX } else { self.step },
            heat: self.heat,
            ..State::default()
        };
        self.buffers.state.write(&[state])
    }

    /// Goes on after a halt that has been dealt with.
    fn resume(&self, state: State) -> Result<()> {
        let state = State {
            halt: 0,
            pending: 0,
            ..state
        };
        self.buffers.state.write(&[state])
    }

    /// Puts the program where the kernels read it. Recorded steps stay valid unless their kernels change.
    fn set_program(&mut self, program: &Integrator) -> Result<()> {
        let plan = Plan::of(program)?;
        let extras = Extras {
            heat: plan.ops.iter().any(|op| op.kind == 2),
            drift: plan.remove_drift > 0,
            kinetic: self.limits.kinetic.is_some(),
        };
        if extras != self.extras {
            self.graphs = None;
            self.extras = extras;
        }
        let p = &mut self.buffers.params;
        p.ops = [DeviceOp::default(); MOST_OPS];
        p.ops[..plan.ops.len()].copy_from_slice(&plan.ops);
        p.before = plan.before as u32;
        p.after = (plan.ops.len() - plan.before) as u32;
        p.remove_drift = plan.remove_drift;
        self.timestep = program.timestep();
        self.kernels.set_params(&self.device, &self.buffers)
    }

    fn apply_limits(&mut self) {
        let p = &mut self.buffers.params;
        let limits = self.limits;
        p.force_limit2 = limits.force.map_or(f64::INFINITY, |f| f * f);
        p.contact_limit = limits.contact.unwrap_or(0.0);
        p.kinetic_limit = limits.kinetic.unwrap_or(f64::INFINITY);
    }

    /// Starts up to `count` steps and what completes the last of them.
    fn start_steps(&mut self, count: u64) -> Result<()> {
        let (device, kernels, extras) = (&self.device, &self.kernels, self.extras);
        let graphs = match self.graphs.take() {
            Some(graphs) => graphs,
            None => Graphs {
                one: kernels.record(device, || kernels.step(device, extras))?,
                many: kernels.record(device, || {
                    (0..GRAPH_STEPS).try_for_each(|_| kernels.step(device, extras))
                })?,
            },
        };
        let replay =
            |graph: &CudaGraph| graph.launch().map_err(device::failed("replaying a graph"));
        for _ in 0..count / GRAPH_STEPS {
            replay(&graphs.many)?;
        }
        for _ in 0..count % GRAPH_STEPS {
            replay(&graphs.one)?;
        }
        kernels.finish(device, extras)?;
        self.graphs = Some(graphs);
        Ok(())
    }

    /// How many steps to start before the next look: about as many as the pairs will last.
    fn foresee(&self, state: &State, left: u64) -> u64 {
        let reach = f64::from(f32::from_bits(state.reach)).sqrt();
        let ahead = if self.age == 0 || reach == 0.0 {
            self.lasted * 9 / 10
        } else {
            ((0.5 * self.skin / reach - 1.0).max(0.0) * self.age as f64 * 0.8) as u64
        };
        ahead.clamp(FEWEST_STEPS, MOST_STEPS).min(left)
    }

    /// Runs until all steps are done or something ends the block.
    fn advance(&mut self, until: u64) -> Result<Outcome> {
        let mut outcome = Outcome {
            flags: Flags::OK,
            step: self.step,
            breach: None,
        };
        let mut state = self.read_state()?;
        loop {
            self.start_steps(self.foresee(&state, until - state.begun))?;
            let before = state.done;
            state = self.read_state()?;
            self.step = state.done;
            self.heat = state.heat;
            self.age += state.done - before;
            outcome.step = state.done;
            if state.halt & halted::NONFINITE != 0 {
                // Coordinates that went bad on the way to the forces belong to the step begun.
                outcome.step = state.begun;
                outcome.flags = outcome.flags.union(Flags::NONFINITE);
                outcome.breach = Some(self.inspect(state.begun, true)?);
                return Ok(outcome);
            }
            if state.halt & halted::LIMITS != 0 {
                // Steps started after the halt have emptied what snapshots sum.
                state.muted = 1;
                self.resume(state)?;
                self.evaluate()?;
                outcome.flags = outcome.flags.union(Flags::LIMIT);
                outcome.breach = Some(self.inspect(state.done, false)?);
                if self.limits.stop {
                    return Ok(outcome);
                }
            }
            if state.halt & halted::CAPACITY != 0 {
                let grown = self.grow(state.pairs as usize);
                // Not the input's fault any more.
                grown.map_err(|e| Error::run(format!("step {}: {e}", self.step)))?;
            }
            if state.halt & (halted::SKIN | halted::CAPACITY) != 0 {
                self.start_build()?;
                self.evaluate()?;
            } else if state.done == until {
                return Ok(outcome);
            }
        }
    }

    /// Sums over atoms: potential without the offset, kinetic, momentum, strain derivative, pairs.
    fn observe(&mut self) -> Result<[f64; OBSERVED]> {
        self.kernels.observe(&self.device)?;
        let mut sums = [0.0; OBSERVED];
        self.buffers.sums.read(&mut sums)?;
        self.pairs = sums[15] as u64;
        Ok(sums)
    }

    /// Array `which` (0 positions, 1 velocities, 2 forces) in the order of ids.
    fn array(&self, which: i32) -> Result<Vec<Vec3>> {
        let exchange = &self.buffers.exchange;
        self.kernels
            .exchange(&self.device, which, exchange.address(), true)?;
        let mut values = vec![0.0; 3 * self.buffers.params.atoms as usize];
        exchange.read(&mut values)?;
        Ok(values
            .chunks_exact(3)
            .map(Vec3::from_column_slice)
            .collect())
    }

    /// Reports a failure that an earlier call could not.
    fn check_failure(&mut self) -> Result<()> {
        self.device.bind()?;
        self.failure.take().map_or(Ok(()), Err)
    }

    fn keep(&mut self) -> Result<()> {
        self.device.bind()?;
        let (device, saved) = (&self.device, &mut self.saved);
        self.kernels
            .exchange(device, 0, saved.positions.address(), true)?;
        self.kernels
            .exchange(device, 1, saved.velocities.address(), true)?;
        (saved.step, saved.heat) = (self.step, self.heat);
        Ok(())
    }

    fn go_back(&mut self) -> Result<()> {
        self.device.bind()?;
        let (device, saved) = (&self.device, &self.saved);
        self.kernels
            .exchange(device, 0, saved.positions.address(), false)?;
        self.kernels
            .exchange(device, 1, saved.velocities.address(), false)?;
        (self.step, self.heat) = (saved.step, saved.heat);
        self.write_state(0, self.step)?;
        self.build()
    }
}

impl Engine for CudaEngine {
    fn run(&mut self, program: &Integrator, steps: Range<u64>) -> Result<Outcome> {
        self.check_failure()?;
        self.set_program(program)?;
        self.step = steps.start;
        let until = steps.end.max(steps.start);
        self.write_state(self.read_state()?.reach, until)?;
        if steps.is_empty() {
            self.evaluate()?;
        }
        self.advance(until)
    }

    fn save(&mut self) {
        let kept = self.keep();
        self.failure = self.failure.take().or(kept.err());
    }

    fn rollback(&mut self) {
        let restored = self.go_back();
        self.failure = self.failure.take().or(restored.err());
    }

    fn restore(&mut self, state: &Snapshot) -> Result<()> {
        self.check_failure()?;
        restorable(state, self.buffers.params.atoms as usize)?;
        let saved = &mut self.saved;
        saved.positions.write(&flat(&state.positions))?;
        saved.velocities.write(&flat(&state.velocities))?;
        (saved.step, saved.heat) = (state.step, state.observables.heat);
        self.go_back()
    }

    fn rebuild(&mut self) -> Result<()> {
        self.check_failure()?;
        self.build()
    }

    fn watch(&mut self, limits: Limits) {
        self.limits = limits;
        self.apply_limits();
    }

    fn snapshot(&mut self, want: Fields) -> Result<Snapshot> {
        self.check_failure()?;
        let o = self.observe()?;
        let array = |wanted: bool, which| {
            if wanted {
                self.array(which)
            } else {
                Ok(Vec::new())
            }
        };
        Ok(Snapshot {
            step: self.step,
            time: self.step as f64 * self.timestep,
            cell: self.cell.clone(),
            observables: Observables {
                potential: o[0] + self.offset,
                kinetic: o[1],
                heat: self.heat,
                momentum: Vec3::new(o[3], o[4], o[5]),
                strain_derivative: Mat3::from_row_slice(&o[6..15]),
            },
            positions: array(want.positions, 0)?,
            velocities: array(want.velocities, 1)?,
            forces: array(want.forces, 2)?,
        })
    }

    fn listed(&mut self, receivers: &[usize]) -> Result<Listed> {
        self.check_failure()?;
        self.pairs_of(receivers)
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            rebuilds: self.rebuilds,
            pairs: self.pairs,
        }
    }

    fn describe(&self) -> String {
        self.about.clone()
    }
}

/// Vectors as one row of numbers.
fn flat(vectors: &[Vec3]) -> Vec<f64> {
    vectors.iter().flat_map(|v| [v.x, v.y, v.z]).collect()
}
