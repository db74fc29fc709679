//! Blocks of steps: recorded once, replayed as graphs, with a look at the flags between.

use std::ops::ControlFlow;

use super::CudaEngine;
use super::block::{DeviceBarostat, DeviceOp, DeviceState, MOST_OPS, halted, kind};
use super::launch::StepShape;
use super::program::DeviceProgram;
use crate::core::{Cell, Kept, Mat3};
use crate::cuda::launch::Graph;
use crate::dynamics::Program;
use crate::engine::{Breach, Flags, Outcome, Watched};
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
    pub(super) fn start_count(&self, until: u64) -> Result<DeviceState> {
        let empty = until <= self.step;
        let kept = &self.member.kept;
        let state = DeviceState {
            begun: self.step,
            done: self.step,
            until,
            reach: self.list.reach,
            drift_removed: self.step,
            // A block of steps checks what they lead to; an empty one the present.
            checked: if empty { u64::MAX } else { self.step },
            heat: kept.heat,
            work: kept.work,
            response: matrix(&kept.response),
            cell: rows(&self.member.cell),
            opened: self.step,
            strain: self.list.strain,
            slack2: self.list.slack2,
            ..DeviceState::default()
        };
        self.kernels.set_state(state)?;
        Ok(state)
    }

    /// Goes on after a halt that has been dealt with.
    fn resume(&self, state: DeviceState) -> Result<()> {
        let state = DeviceState {
            halt: 0,
            pending: 0,
            ..state
        };
        self.kernels.set_state(state)
    }

    /// Puts the program where the kernels read it. Recorded steps stay valid unless their kernels change.
    pub(super) fn set_program(&mut self, program: &Program) -> Result<()> {
        let plan = DeviceProgram::of(program)?;
        let extras = StepShape {
            heat: plan.ops.iter().any(|op| op.kind == kind::NOISE),
            drift: plan.remove_drift > 0,
            kinetic: self.limits.kinetic.is_some(),
            middle: plan.velocities.scaled > 0 || plan.press_every > 0,
            press_every: plan.press_every,
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
        p.barostat = DeviceBarostat {
            least: p.barostat.least,
            most: p.barostat.most,
            ..plan.barostat
        };
        p.after = (plan.ops.len() - plan.before) as u32;
        p.remove_drift = plan.remove_drift;
        self.timestep = program.timestep();
        self.kernels.see(&self.device, &self.buffers)
    }

    /// Records what is replayed.
    fn record(&self) -> Result<Graphs> {
        let (kernels, extras) = (&self.kernels, self.extras);
        let steps = |count: u64, last: bool| {
            let each = |k: u64| kernels.step(extras, last && k + 1 == count);
            kernels.program.record(|| (0..count).try_for_each(each))
        };
        let every = extras.press_every;
        let pressed = if every == 0 {
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
        let ahead = self.list.left().clamp(FEWEST_STEPS, MOST_STEPS);
        let next = (begun + ahead).min(until);
        // Whole cycles of a barostat are one graph each.
        let whole = next - next % self.extras.press_every.max(1);
        if whole > begun { whole } else { next }
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
            self.start_steps(state.begun, self.foresee(state.begun, until))?;
            self.start_reading()?;
            if let Some(work) = meanwhile.take()
                && work().is_break()
            {
                return Ok(None);
            }
            let before = state.done;
            state = self.finish_reading()?;
            self.step = state.done;
            self.member.kept = Kept {
                heat: state.heat,
                work: state.work,
                response: Mat3::from_fn(|a, b| state.response[a][b]),
            };
            self.follow(&state)?;
            self.list.pass(state.done - before);
            self.stale &= state.done == before;
            outcome.step = state.done;
            if state.halt & halted::FATAL != 0 {
                // Coordinates that went bad on the way to the forces belong to the step begun.
                outcome.step = state.begun;
                let breach = match state.halt & halted::NONFINITE {
                    0 => self.strained_too_far(&state),
                    _ => self.inspect(state.begun, true)?,
                };
                outcome.flags = outcome.flags.union(breach.what.flag());
                outcome.breach = Some(breach);
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
                if self.extras.press_every > 0 {
                    self.kernels.settle()?;
                }
            } else if state.done == until {
                return Ok(Some(outcome));
            }
        }
    }

    /// Has the cell follow the one on the card.
    fn follow(&mut self, state: &DeviceState) -> Result<()> {
        if rows(&self.member.cell) != state.cell {
            let vectors = Mat3::from_fn(|k, a| state.cell[k][a]);
            self.member.cell = Cell::new(vectors, self.member.cell.periodic())
                .map_err(|e| Error::run(format!("step {}: {e}", state.begun)))?;
        }
        Ok(())
    }

    fn strained_too_far(&self, state: &DeviceState) -> Breach {
        let volume = self.member.cell.volume().unwrap_or(f64::NAN);
        let (what, value) = if state.refused == 0.0 {
            (Watched::Volume, volume)
        } else {
            (Watched::Cell, state.refused)
        };
        Breach {
            step: state.begun,
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
        let behind = step % every;
        match &pressed.cycle {
            Some(cycle) if behind == 0 && left >= every => (cycle, every),
            _ if left.min(every - 1 - behind) >= GRAPH_STEPS => (&self.many, GRAPH_STEPS),
            _ => (&self.one, 1),
        }
    }
}

/// A matrix as the card has it.
fn matrix(of: &Mat3) -> [[f64; 3]; 3] {
    std::array::from_fn(|a| std::array::from_fn(|b| of[(a, b)]))
}

/// Lattice vectors as the card has them.
fn rows(cell: &Cell) -> [[f64; 3]; 3] {
    [0, 1, 2].map(|k| cell.vector(k).into())
}
