//! Blocks of steps: recorded once, replayed as graphs, with a look at the flags between.

use std::ops::ControlFlow;

use super::CudaEngine;
use super::block::{DeviceOp, DeviceState, MOST_OPS, halted, kind};
use super::launch::StepShape;
use super::program::DeviceProgram;
use crate::cuda::launch::Graph;
use crate::dynamics::StepClock;
use crate::engine::{Breach, Flags, Limits, Outcome, Watched};
use crate::{Error, Result};

/// Steps in one graph.
const GRAPH_STEPS: u64 = 8;
/// Most steps from one strain of the cell to the next that are one graph.
const LONGEST_CYCLE: u64 = 32;
/// Fewest and most steps between two looks at the flags.
const FEWEST_STEPS: u64 = 1;
const MOST_STEPS: u64 = 256;

/// Recorded steps.
pub(super) struct Graphs {
    one: Graph,
    many: Graph,
    /// Where a barostat strains the cell now and then.
    pressed: Option<Pressed>,
}

/// Steps with a strain of the cell at their end.
struct Pressed {
    /// The step with the strain alone.
    one: Graph,
    /// All steps from behind one strain up to and with the next; none where those are too many for a graph.
    cycle: Option<Graph>,
}

impl CudaEngine {
    /// Starts the count of steps anew: all done up to the present, none to be begun from `until` on. The reach of the
    /// atoms since the last build stays.
    pub(super) fn start_count(&mut self, until: u64) -> Result<DeviceState> {
        let state = DeviceState::counted(self.step, until, self.list.reach);
        if self.systems.ahead {
            self.ask_systems()?;
        }
        if self.systems.set() {
            self.put_members()?;
        }
        self.kernels.set_state(state, self.systems.states[0])?;
        Ok(state)
    }

    /// Puts the state of each of several systems to the card, as it is known here; that of one alone goes with the engine's.
    fn put_members(&self) -> Result<()> {
        let (at, states) = (self.buffers.block.members, &self.systems.states);
        match self.systems.several {
            true => self.buffers.write(&self.device, at, states),
            false => Ok(()),
        }
    }

    /// Goes on after a halt that has been dealt with; limits of `muted` systems are ignored from here on.
    pub(super) fn resume(&mut self, state: DeviceState, muted: &[usize]) -> Result<()> {
        self.systems.mute(muted);
        self.put_members()?;
        let state = DeviceState {
            halt: 0,
            pending: 0,
            ..state
        };
        self.kernels.set_state(state, self.systems.states[0])
    }

    /// Puts the program where the kernels read it; `kinetic` says whether kinetic energies have a limit. Recorded steps stay
    /// valid unless their kernels change.
    pub(super) fn set_program(
        &mut self,
        plan: &DeviceProgram,
        clock: StepClock,
        kinetic: bool,
    ) -> Result<()> {
        let extras = StepShape {
            heat: plan.ops.iter().any(|op| op.kind == kind::NOISE),
            drift: plan.remove_drift > 0,
            kinetic,
            middle: plan.velocities.scaled > 0 || plan.press_every > 0,
            press_every: plan.press_every,
            // Those of all systems differ by whole cycles.
            phase: self.systems.traits[0].ahead % plan.press_every.max(1),
        };
        if extras != self.extras {
            self.graphs = None;
            self.extras = extras;
        }
        let p = &mut self.buffers.block;
        p.ops = [DeviceOp::default(); MOST_OPS];
        p.ops[..plan.ops.len()].copy_from_slice(&plan.ops);
        p.opening = plan.opening as u32;
        p.before = plan.before as u32;
        p.velocities = plan.velocities;
        p.chain = plan.chain;
        p.piston = plan.piston;
        p.barostat = plan.barostat;
        p.ramps = plan.ramps;
        p.after = (plan.ops.len() - plan.before) as u32;
        p.remove_drift = plan.remove_drift;
        self.clock = clock;
        self.describe()
    }

    /// Records what is replayed.
    fn record(&self) -> Result<Graphs> {
        let (kernels, extras) = (&self.kernels, self.extras);
        let every = extras.press_every;
        let steps = |count: u64, last: bool| {
            let each = |k: u64| kernels.step(extras, every == 1 || (last && k + 1 == count));
            kernels.program.record(|| (0..count).try_for_each(each))
        };
        // Where each step is pressed, all are alike.
        let pressed = if every <= 1 {
            None
        } else {
            Some(Pressed {
                one: steps(1, true)?,
                cycle: (every <= LONGEST_CYCLE)
                    .then(|| steps(every, true))
                    .transpose()?,
            })
        };
        Ok(Graphs {
            one: steps(1, false)?,
            many: steps(GRAPH_STEPS, false)?,
            pressed,
        })
    }

    /// Starts steps number `first` up to `until`, and what completes the last of them.
    fn start_steps(&mut self, first: u64, until: u64) -> Result<()> {
        let graphs = match self.graphs.take() {
            Some(graphs) => graphs,
            None => self.record()?,
        };
        let mut step = first;
        while step < until {
            let (graph, count) = graphs.next(step, until, self.extras);
            graph.replay()?;
            step += count;
        }
        self.kernels.finish(self.extras)?;
        self.graphs = Some(graphs);
        Ok(())
    }

    /// Foresees up to which step to go before the next look: about as far as the pairs will last.
    fn foresee(&self, begun: u64, until: u64) -> u64 {
        let left = self.list.left(self.systems.slack2());
        let next = (begun + left.clamp(FEWEST_STEPS, MOST_STEPS)).min(until);
        // Whole cycles of a barostat are one graph each.
        let whole = next - self.extras.behind(next).min(next);
        if whole > begun { whole } else { next }
    }

    /// Starts steps up to about when pairs will have to be built, does what there is to do meanwhile, and reads how far they
    /// came; `None` where `meanwhile` breaks off.
    pub(super) fn round(
        &mut self,
        before: &DeviceState,
        meanwhile: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<DeviceState>> {
        let until = self.foresee(before.begun, before.until);
        self.start_steps(before.begun, until)?;
        self.start_reading()?;
        if meanwhile().is_break() {
            return Ok(None);
        }
        let state = self.finish_reading()?;
        self.step = state.done;
        // A barostat changes what is known of all systems; else they are asked when something of them is wanted.
        self.systems.behind = true;
        if !self.systems.several || self.extras.press_every > 0 {
            self.ask_systems()?;
        }
        self.list.pass(state.done - before.done);
        self.stale &= state.done == before.done;
        Ok(Some(state))
    }

    /// Builds pairs where the card has halted for them; whether it has.
    pub(super) fn mend_pairs(&mut self, state: &DeviceState) -> Result<bool> {
        if state.halt & halted::CAPACITY != 0 {
            let grown = self.grow(state.pairs as usize);
            // Not the input's fault any more.
            grown.map_err(|e| Error::run(format!("step {}: {e}", self.step)))?;
        }
        let halted = state.halt & (halted::SKIN | halted::CAPACITY) != 0;
        if halted {
            self.start_build()?;
            self.evaluate()?;
            if self.extras.press_every > 0 {
                self.kernels.settle()?;
            }
        }
        Ok(halted)
    }

    /// Runs until all steps are done or something ends the block, from the state that the kernels have been given.
    pub(super) fn advance(
        &mut self,
        mut state: DeviceState,
        meanwhile: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Outcome>> {
        let until = state.until;
        let mut outcome = Outcome::none(self.step);
        let mut meanwhile = Some(meanwhile);
        loop {
            let mut work = || {
                meanwhile
                    .take()
                    .map_or(ControlFlow::Continue(()), |work| work())
            };
            let Some(reached) = self.round(&state, &mut work)? else {
                return Ok(None);
            };
            state = reached;
            outcome.step = state.done;
            if state.halt & halted::FATAL != 0 {
                // Coordinates that went bad on the way to the forces belong to the step begun.
                outcome.step = state.begun;
                let breach = self.fatal(0, self.limits, &state)?;
                outcome.flags = outcome.flags.union(breach.what.flag());
                outcome.breach = Some(breach);
                return Ok(Some(outcome));
            }
            if state.halt & halted::LIMITS != 0 {
                // Steps started after the halt have emptied what snapshots sum.
                self.resume(state, &[0])?;
                self.evaluate()?;
                outcome.flags = outcome.flags.union(Flags::LIMIT);
                outcome.breach = Some(self.inspect((0, self.limits), state.done, false)?);
                if self.limits.stop {
                    return Ok(Some(outcome));
                }
            }
            if !self.mend_pairs(&state)? && state.done == until {
                return Ok(Some(outcome));
            }
        }
    }

    /// What ended a block for system `k`, which has flagged that it cannot go on.
    pub(super) fn fatal(
        &mut self,
        k: usize,
        limits: Limits,
        state: &DeviceState,
    ) -> Result<Breach> {
        let step = self.systems.step_of(k, state.begun);
        match self.systems.states[k].raised & halted::NONFINITE {
            0 => Ok(self.strained_too_far(k, step)),
            _ => self.inspect((k, limits), step, true),
        }
    }

    fn strained_too_far(&self, k: usize, step: u64) -> Breach {
        let volume = self.systems.members[k].cell.volume().unwrap_or(f64::NAN);
        let refused = self.systems.states[k].refused;
        let (what, value) = match refused {
            0.0 => (Watched::Volume, volume),
            _ => (Watched::Cell, refused),
        };
        Breach {
            step,
            what,
            value,
            atoms: Vec::new(),
        }
    }
}

impl Graphs {
    /// What to replay at a step, with the number of its steps.
    fn next(&self, step: u64, until: u64, extras: StepShape) -> (&Graph, u64) {
        let left = until - step;
        let Some(pressed) = &self.pressed else {
            return if left >= GRAPH_STEPS {
                (&self.many, GRAPH_STEPS)
            } else {
                (&self.one, 1)
            };
        };
        if extras.presses(step) {
            return (&pressed.one, 1);
        }
        let every = extras.press_every;
        let behind = extras.behind(step);
        match &pressed.cycle {
            Some(cycle) if behind == 0 && left >= every => (cycle, every),
            _ if left.min(every - 1 - behind) >= GRAPH_STEPS => (&self.many, GRAPH_STEPS),
            _ => (&self.one, 1),
        }
    }
}
