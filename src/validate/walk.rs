//! Steps at constant energy, and what the energy does on the way.

use std::time::Instant;

use super::bends::RoughestStep;
use super::{Course, Setup};
use crate::Result;
use crate::core::{Fields, Snapshot};
use crate::engine::{Engine, Flags};
use crate::neighbors::audit;
use crate::report::series::{Estimate, Series};

/// Atoms whose pairs are compared with brute force in one look, and looks in a walk.
const AUDITED: usize = 8;
const AUDITS: u64 = 20;
/// Fewest samples that tell a fluctuation.
pub(super) const FEWEST_SAMPLES: usize = 64;

/// A walk at constant energy.
#[derive(Debug, Clone, Default)]
pub(super) struct EnergyWalk {
    /// The time step (internal time).
    pub timestep: f64,
    /// After each step, and before the first: total energy and kinetic energy (eV).
    pub energies: Vec<[f64; 2]>,
    /// Largest change of the momentum (u angstrom / time).
    pub momentum: f64,
    /// Rows of pairs compared with brute force.
    pub audited: usize,
    /// What was wrong with pairs, in words.
    pub mismatch: Option<String>,
    /// What broke it off, in words.
    pub broke: Option<String>,
    /// The step of the first ones that misses most of the forces' work.
    pub roughest: RoughestStep,
    /// The last state.
    pub end: Option<Snapshot>,
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct WalkLength {
    /// The time step (internal time).
    pub timestep: f64,
    /// Steps.
    pub steps: u64,
    /// Steps, from the first on, of which the one that misses most of the forces' work is kept.
    pub looked_at: u64,
    /// What ends it before.
    pub deadline: Instant,
}

impl EnergyWalk {
    /// Walks from a state that holds positions and velocities.
    ///
    /// # Errors
    /// The device failed.
    pub fn take(
        setup: &Setup<'_>,
        engine: &mut dyn Engine,
        (state, way): (&Snapshot, WalkLength),
        course: &Course<'_>,
    ) -> Result<Self> {
        engine.restore(state)?;
        let program = setup.workshop.constant_energy(way.timestep);
        let mut walk = Self {
            timestep: way.timestep,
            ..Self::default()
        };
        let begun = engine.snapshot(fields(way.looked_at > 0))?;
        let first = begun.observables;
        walk.roughest.look(begun, 0.0);
        walk.energies.push([first.total(), first.kinetic]);
        let every = (way.steps / AUDITS).max(1);
        for step in state.step..state.step + way.steps {
            if Instant::now() > way.deadline || course.is_interrupted() {
                break;
            }
            let outcome = engine.run(&program, step..step + 1)?;
            let taken = step + 1 - state.step;
            let looked_at = taken <= way.looked_at;
            let after = engine.snapshot(fields(looked_at))?;
            let now = after.observables;
            if outcome.flags.intersects(Flags::FATAL) || !now.total().is_finite() {
                walk.broke = Some(format!("a number ceased to be finite after {taken} steps"));
                break;
            }
            walk.energies.push([now.total(), now.kinetic]);
            if looked_at {
                walk.roughest.look(after, taken as f64 * way.timestep);
            }
            walk.momentum = walk.momentum.max((now.momentum - first.momentum).norm());
            if (step - state.step).is_multiple_of(every) {
                walk.audit(engine, step)?;
            }
        }
        walk.end = Some(engine.snapshot(Fields::ALL)?);
        Ok(walk)
    }

    /// Compares the pairs of some atoms with brute force.
    fn audit(&mut self, engine: &mut dyn Engine, step: u64) -> Result<()> {
        let state = engine.snapshot(Fields {
            positions: true,
            ..Fields::NONE
        })?;
        let receivers = audit::choose(step, state.positions.len(), AUDITED);
        let listed = engine.listed(&receivers)?;
        self.audited += receivers.len();
        let found = audit::compare(&state.cell, &state.positions, &receivers, &listed);
        if let (None, Some(wrong)) = (&self.mismatch, found) {
            let fault = if wrong.missing { "lacks" } else { "has" };
            self.mismatch = Some(format!(
                "atom {} {fault} its neighbour {} at {:.4} A (cutoff {} A)",
                wrong.atom, wrong.neighbor, wrong.distance, wrong.cutoff
            ));
        }
        Ok(())
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.energies.len().saturating_sub(1)
    }

    /// Simulated time (internal).
    pub fn span(&self) -> f64 {
        self.steps() as f64 * self.timestep
    }

    /// Its steps up to a time (internal), as a series of the total energy and one of the kinetic energy.
    pub fn series(&self, until: f64) -> [Series; 2] {
        let mut series = [Series::default(), Series::default()];
        for (k, values) in self.energies.iter().enumerate() {
            let time = k as f64 * self.timestep;
            if time > until * (1.0 + 1e-9) {
                break;
            }
            series[0].add(time, values[0]);
            series[1].add(time, values[1]);
        }
        series
    }

    /// Root mean square of the total energy about its line (eV) up to a time; `None` where there are too few steps.
    pub fn fluctuation(&self, until: f64) -> Option<f64> {
        let [total, _] = self.series(until);
        total
            .fluctuation()
            .filter(|_| total.count() >= FEWEST_SAMPLES as u64)
    }

    /// Slope of the total energy (eV / internal time).
    pub fn slope(&self) -> Option<Estimate> {
        let [total, _] = self.series(f64::INFINITY);
        total
            .slope()
            .filter(|_| total.count() >= FEWEST_SAMPLES as u64)
    }

    /// Standard deviation of the kinetic energy (eV).
    pub fn kinetic_deviation(&self) -> Option<f64> {
        let [_, kinetic] = self.series(f64::INFINITY);
        kinetic.deviation().filter(|d| *d > 0.0)
    }

    /// Mean of the kinetic energy (eV).
    pub fn mean_kinetic(&self) -> f64 {
        let sum: f64 = self.energies.iter().map(|[_, kinetic]| kinetic).sum();
        sum / self.energies.len().max(1) as f64
    }
}

/// What is asked of a state on the way.
fn fields(looked_at: bool) -> Fields {
    Fields {
        positions: looked_at,
        forces: looked_at,
        velocities: false,
    }
}
