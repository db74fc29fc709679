//! Integrators as the kernels take them.

use super::block::{DeviceOp, MOST_OPS, kind};
use crate::integrate::{Integrator, Op};
use crate::{Error, Result};

/// A program as the kernels take it: what comes ahead of the forces, what behind.
pub(super) struct Plan {
    /// Operators other than forces, in order.
    pub ops: Vec<DeviceOp>,
    /// How many of them come ahead of the forces.
    pub before: usize,
    /// Steps between removals of the drift; 0 for never.
    pub remove_drift: u32,
}

impl Plan {
    /// # Errors
    /// The program is one that the kernels cannot run.
    pub fn of(program: &Integrator) -> Result<Self> {
        let op = |kind, a, b| DeviceOp { kind, a, b };
        let mut plan = Self {
            ops: Vec::new(),
            before: 0,
            remove_drift: 0,
        };
        let mut forces = 0;
        for step in &program.0 {
            match *step {
                Op::Kick(time) => plan.ops.push(op(kind::KICK, time, 0.0)),
                Op::Drift(time) => plan.ops.push(op(kind::DRIFT, time, 0.0)),
                Op::Noise { c, kt } => plan.ops.push(op(kind::NOISE, c, kt)),
                Op::Forces => {
                    forces += 1;
                    plan.before = plan.ops.len();
                }
                Op::RemoveDrift { every } => {
                    plan.remove_drift = u32::try_from(every.max(1)).unwrap_or(u32::MAX)
                }
            }
        }
        let drifts_after = plan.ops[plan.before..]
            .iter()
            .any(|op| op.kind != kind::KICK);
        let ends = !program
            .0
            .iter()
            .rev()
            .skip(1)
            .any(|op| matches!(op, Op::RemoveDrift { .. }));
        if forces != 1 || drifts_after || !ends || plan.ops.len() > MOST_OPS {
            return Err(Error::input(format!(
                "the CUDA engine takes programs of up to {MOST_OPS} operators with one evaluation of forces, \
                 only kicks behind it, and drift removal at the end"
            )));
        }
        Ok(plan)
    }
}
