//! What a plan's groups ask of an engine.

use crate::config::plan::Plan;
use crate::engine::{GroupRules, OwnBath, Start};
use crate::forcefield::external;
use crate::potential::Evaluation;
use crate::report::Checkpoint;
use crate::{Error, Result};

/// What is done to some of the atoms of a plan's system.
pub fn rules(plan: &Plan) -> GroupRules {
    let atoms = plan.start.system.len();
    let mut rules = GroupRules::default();
    for group in &plan.groups {
        if group.frozen {
            mark(&mut rules.frozen, (&group.atoms, atoms), true);
        }
        if let Some(bath) = group.bath {
            mark(
                &mut rules.baths,
                (&group.atoms, atoms),
                Some::<OwnBath>(bath),
            );
        }
        rules.terms.extend(group.terms.iter().cloned());
    }
    rules
}

/// Energy (eV) that is put into a state where one stage ends in it and another begins: that of terms that come or go, less the
/// motion of atoms that are frozen from there on.
pub fn taken_over((ended, begun): (&Plan, &Plan), state: &Checkpoint) -> f64 {
    let (before, after) = (rules(ended), rules(begun));
    let external = |rules: &GroupRules| {
        let mut found = Evaluation::zeros(state.system.len());
        let atoms = (&state.system, state.positions.as_slice());
        external::act(&rules.terms, state.step, atoms, &mut found).energy
    };
    let atoms = state.system.masses.iter().zip(&state.velocities);
    let stopped = atoms.enumerate().filter(|(i, _)| !after.moves(*i));
    let motion: f64 = stopped.map(|(_, (m, v))| 0.5 * m * v.norm_squared()).sum();
    // Sums that are alike are so to the bit.
    external(&after) - external(&before) - motion
}

/// The same where steps are so many times shorter, counted from a step on.
pub(super) fn refined(plan: &Plan, origin: u64, divisor: u64) -> GroupRules {
    let mut rules = rules(plan);
    if divisor > 1 {
        let terms = rules.terms.into_iter();
        rules.terms = terms.map(|term| term.refined(origin, divisor)).collect();
    }
    rules
}

/// Says something of some of so many atoms, which are among them.
fn mark<T: Clone + Default>(all: &mut Vec<T>, (some, atoms): (&[usize], usize), what: T) {
    all.resize(atoms, T::default());
    for &atom in some {
        if let Some(said) = all.get_mut(atom) {
            *said = what.clone();
        }
    }
}

/// A start under what a plan's groups and constraints ask for.
pub(super) fn bound(plan: &Plan, start: Start) -> Start {
    start
        .with_groups(rules(plan))
        .with_constraints(plan.constraints.clone())
}

/// Why a plan's groups and constraints are not for a card, if they are not.
///
/// # Errors
/// They are not: the message says by which of them.
pub(super) fn check_card(plan: &Plan) -> Result<()> {
    if !plan.constraints.is_empty() {
        let why = "constraints are kept on the processor alone";
        return Err(Error::input(why)
            .within(plan.places.of("constraints"))
            .advise("set [device] kind = \"cpu\", or remove [constraints]"));
    }
    for (k, group) in plan.groups.iter().enumerate() {
        if !group.terms.is_empty() || group.bath.is_some() {
            let why = "springs, walls, forces and thermostats of groups act on the processor alone";
            let place = plan.places.of(&format!("group.{k}.name"));
            let error = Error::input(why).within(place);
            return Err(error.advise("set [device] kind = \"cpu\""));
        }
    }
    Ok(())
}
