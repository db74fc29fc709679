//! What a plan's groups ask of an engine.

use crate::Result;
use crate::config::plan::Plan;
use crate::engine::{GroupRules, OwnBath};

/// What is done to some of the atoms of a plan's system.
pub(super) fn rules(plan: &Plan) -> GroupRules {
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

/// Why a plan's groups are not for a card, if they are not.
///
/// # Errors
/// They are not: the message says by which of them.
pub(super) fn check_card(plan: &Plan) -> Result<()> {
    for (k, group) in plan.groups.iter().enumerate() {
        // Atoms are those of a member, where the plan is of a batch: what is done to them is alike in all.
        let rules = GroupRules {
            terms: group.terms.clone(),
            baths: group.bath.map(Some).into_iter().collect(),
            ..GroupRules::default()
        };
        rules.check_frozen_alone().map_err(|e| {
            e.within(plan.places.of(&format!("group.{k}.name")))
                .advise("set [device] kind = \"cpu\"")
        })?;
    }
    Ok(())
}
