//! What constraints do to where a plan starts.

use crate::config::plan::Plan;
use crate::core::Vec3;
use crate::core::velocities::{self, Temperature};
use crate::dynamics::ConstraintSolver;
use crate::dynamics::constraints::MOST_BROUGHT;
use crate::{Error, Result};

/// Takes from velocities that were drawn at a temperature what changes a held distance, and scales what is left to that
/// temperature.
pub(super) fn hold(plan: &Plan, temperature: Temperature, velocities: &mut [Vec3]) {
    if plan.constraints.is_empty() {
        return;
    }
    let system = &plan.start.system;
    let solver = ConstraintSolver::new(&plan.constraints, &system.masses);
    // Constraints that have no solution are a breach of the first step.
    let _ = solver.project(&plan.start.positions, velocities);
    velocities::scale(system, temperature, velocities);
}

/// Brings the start of a stage onto the constraints, which a minimisation ahead of it does not keep.
///
/// # Errors
/// It is too far off them.
pub fn bring_onto_constraints(plan: &mut Plan) -> Result<()> {
    let positions = &plan.start.positions;
    let Some(worst) = plan.constraints.worst(positions) else {
        return Ok(());
    };
    let far = |[i, j]: [usize; 2]| {
        let apart = (positions[i] - positions[j]).norm();
        Error::run(format!(
            "atoms {i} and {j} are {apart:.4} A apart behind the minimisation, too far from what they are to be held at; leave \
             them out of [constraints], or minimise less far"
        ))
    };
    if worst.deviation.is_nan() || worst.deviation > MOST_BROUGHT {
        return Err(far(worst.atoms));
    }
    let solver = ConstraintSolver::new(&plan.constraints, &plan.start.system.masses);
    let mut brought = positions.clone();
    (solver.bring(&mut brought)).map_err(|unmet| far(unmet.atoms))?;
    plan.start.positions = brought;
    Ok(())
}
