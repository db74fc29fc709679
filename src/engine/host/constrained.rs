//! What constraints do to a state in host memory.

use super::HostEngine;
use crate::core::{Observables, Vec3, observe};
use crate::dynamics::{ConstraintSolver, Constraints, Local, UnmetConstraint};
use crate::{Error, Result};

/// Constraints of a system that moves.
pub(super) struct ConstrainedMotion {
    solver: ConstraintSolver,
    /// Positions ahead of a drift.
    before: Vec<Vec3>,
    /// What could not be satisfied.
    unmet: Option<UnmetConstraint>,
}

impl ConstrainedMotion {
    /// Of atoms with these masses (u); `None` where there are no constraints.
    pub fn new(constraints: &Constraints, masses: &[f64]) -> Option<Self> {
        (!constraints.is_empty()).then(|| Self {
            solver: ConstraintSolver::new(constraints, masses),
            before: vec![Vec3::zeros(); masses.len()],
            unmet: None,
        })
    }

    /// Keeps positions ahead of a drift.
    pub fn remember(&mut self, positions: &[Vec3]) {
        self.before.copy_from_slice(positions);
    }

    /// What could not be satisfied.
    pub fn unmet(&self) -> Option<&UnmetConstraint> {
        self.unmet.as_ref()
    }
}

impl HostEngine {
    /// Whether a constraint could not be satisfied.
    pub(super) fn is_unmet(&self) -> bool {
        (self.constrained.as_ref()).is_some_and(|constrained| constrained.unmet.is_some())
    }

    /// Refuses to strain distances that stay what they are.
    pub(super) fn refuse_strains(&self) -> Result<()> {
        match &self.constrained {
            None => Ok(()),
            Some(_) => Err(Error::input(
                "a barostat strains all distances, constrained ones too",
            )),
        }
    }

    /// Forgets what could not be done with a state that is left.
    pub(super) fn forget_faults(&mut self) {
        self.refused = None;
        if let Some(constrained) = &mut self.constrained {
            constrained.unmet = None;
        }
    }

    /// Brings positions and velocities back onto the constraints, behind an operator.
    ///
    /// What the projection takes of the energy of noise is heat that did not come in.
    pub(super) fn constrain(&mut self, local: Local) {
        let Some(constrained) = &mut self.constrained else {
            return;
        };
        let ConstrainedMotion {
            solver,
            before,
            unmet,
        } = constrained;
        let (positions, velocities) = (&mut self.state.positions, &mut self.state.velocities);
        if let Local::Drift(time) = local
            && let Err(fault) = solver.place(before, (&mut *positions, &mut *velocities), time)
        {
            unmet.get_or_insert(fault);
            return;
        }
        let noisy = matches!(local, Local::Noise { .. });
        let kinetic = |velocities: &[Vec3]| match noisy {
            true => observe::kinetic_energy(&self.system, velocities),
            false => 0.0,
        };
        let free = kinetic(velocities);
        if let Err(fault) = solver.project(positions, velocities) {
            unmet.get_or_insert(fault);
        }
        self.state.member.kept.heat += kinetic(velocities) - free;
    }

    /// Observables, with the forces of constraint in the strain derivative: they press, too.
    pub(super) fn constrained_observables(&self) -> Result<Observables> {
        let mut o = self.observables();
        // A state that is at fault is shown as it is.
        if let Some(constrained) = (self.constrained.as_ref()).filter(|one| one.unmet.is_none()) {
            let (state, solver) = (&self.state, &constrained.solver);
            let forces = &state.evaluation.forces;
            let virial = solver.virial(&state.positions, &state.velocities, forces);
            o.strain_derivative -= virial.map_err(|unmet| {
                let [i, j] = unmet.atoms;
                let step = state.step;
                Error::run(format!(
                    "step {step}: the force of constraint between atoms {i} and {j} cannot be found"
                ))
            })?;
        }
        Ok(o)
    }
}
