//! Blocks of steps: recorded once, replayed as graphs, with a look at the flags between.

use std::ops::ControlFlow;

use super::CudaEngine;
use super::block::{DeviceOp, MOST_OPS, State, halted, kind};
use super::launch::Extras;
use super::program::Plan;
use crate::cuda::launch::Graph;
use crate::engine::{Flags, Outcome};
use crate::integrate::Integrator;
use crate::{Error, Result};

/// Steps in one graph.
const GRAPH_STEPS: u64 = 8;
/// Fewest and most steps between two looks at the flags.
const FEWEST_STEPS: u64 = 1;
const MOST_STEPS: u64 = 256;

/// Recorded steps.
pub(super) struct Graphs {
    one: Graph,
    many: Graph,
}

impl CudaEngine {
    /// Starts the count of steps anew: all done up to the present, none to be begun from `until` on. The reach of the
    /// atoms since the last build stays.
    pub(super) fn start_count(&self, until: u64) -> Result<State> {
        let empty = until <= self.step;
        let state = State {
            begun: self.step,
            done: self.step,
            until,
            reach: self.reach,
            drift_removed: self.step,
            // A block of steps checks what they lead to; an empty one the present.
            checked: if empty { u64::MAX } else { self.step },
            heat: self.heat,
            ..State::default()
        };
        self.kernels.set_state(state)?;
        Ok(state)
    }

    /// Goes on after a halt that has been dealt with.
    fn resume(&self, state: State) -> Result<()> {
        let state = State {
            halt: 0,
            pending: 0,
            ..state
        };
        self.kernels.set_state(state)
    }

    /// Puts the program where the kernels read it. Recorded steps stay valid unless their kernels change.
    pub(super) fn set_program(&mut self, program: &Integrator) -> Result<()> {
        let plan = Plan::of(program)?;
        let extras = Extras {
            heat: plan.ops.iter().any(|op| op.kind == kind::NOISE),
            drift: plan.remove_drift > 0,
            kinetic: self.limits.kinetic.is_some(),
        };
        if extras != self.extras {
            self.graphs = None;
            self.extras = extras;
        }
        let p = &mut self.buffers.block;
        p.ops = [DeviceOp::default(); MOST_OPS];
        p.ops[..plan.ops.len()].copy_from_slice(&plan.ops);
        p.before = plan.before as u32;
        p.after = (plan.ops.len() - plan.before) as u32;
        p.remove_drift = plan.remove_drift;
        self.timestep = program.timestep();
        self.kernels.see(&self.device, &self.buffers)
    }

    /// Starts up to `count` steps and what completes the last of them.
    fn start_steps(&mut self, count: u64) -> Result<()> {
        let (kernels, extras) = (&self.kernels, self.extras);
        let graphs = match self.graphs.take() {
            Some(graphs) => graphs,
            None => Graphs {
                one: kernels.program.record(|| kernels.step(extras))?,
                many: kernels
                    .program
                    .record(|| (0..GRAPH_STEPS).try_for_each(|_| kernels.step(extras)))?,
            },
        };
        let replay = |graph: &Graph| graph.replay();
        for _ in 0..count / GRAPH_STEPS {
            replay(&graphs.many)?;
        }
        for _ in 0..count % GRAPH_STEPS {
            replay(&graphs.one)?;
        }
        kernels.finish(extras)?;
        self.graphs = Some(graphs);
        Ok(())
    }

    /// Foresees how many steps to start before the next look: about as many as the pairs will last.
    fn foresee(&self, state: &State, left: u64) -> u64 {
        let reach = f64::from(f32::from_bits(state.reach)).sqrt();
        let ahead = if self.age == 0 || reach == 0.0 {
            self.lasted * 9 / 10
        } else {
            ((0.5 * self.skin / reach - 1.0).max(0.0) * self.age as f64 * 0.8) as u64
        };
        ahead.clamp(FEWEST_STEPS, MOST_STEPS).min(left)
    }

    /// Runs until all steps are done or something ends the block, from the state that the kernels have been given.
    pub(super) fn advance(
        &mut self,
        mut state: State,
        meanwhile: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Outcome>> {
        let until = state.until;
        let mut outcome = Outcome::none(self.step);
        let mut meanwhile = Some(meanwhile);
        loop {
            self.start_steps(self.foresee(&state, until - state.begun))?;
            self.start_reading()?;
            if let Some(work) = meanwhile.take()
                && work().is_break()
            {
                return Ok(None);
            }
            let before = state.done;
            state = self.finish_reading()?;
            self.step = state.done;
            self.heat = state.heat;
            self.age += state.done - before;
            self.stale &= state.done == before;
            outcome.step = state.done;
            if state.halt & halted::NONFINITE != 0 {
                // Coordinates that went bad on the way to the forces belong to the step begun.
                outcome.step = state.begun;
                outcome.flags = outcome.flags.union(Flags::NONFINITE);
                outcome.breach = Some(self.inspect(state.begun, true)?);
                return Ok(Some(outcome));
            }
            if state.halt & halted::LIMITS != 0 {
                // Steps started after the halt have emptied what snapshots sum.
                state.muted = 1;
                self.resume(state)?;
                self.evaluate()?;
                outcome.flags = outcome.flags.union(Flags::LIMIT);
                outcome.breach = Some(self.inspect(state.done, false)?);
                if self.limits.stop {
                    return Ok(Some(outcome));
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
                return Ok(Some(outcome));
            }
        }
    }
}
