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

/// Says something of some of so many atoms.
fn mark<T: Clone + Default>(all: &mut Vec<T>, (some, atoms): (&[usize], usize), what: T) {
    all.resize(atoms, T::default());
    some.iter().for_each(|&atom| all[atom] = what.clone());
}

/// Why a plan's groups are not for a card, if they are not.
///
/// # Errors
/// They are not: the message says by which of them.
pub(super) fn check_card(plan: &Plan) -> Result<()> {
    rules(plan).check_frozen_alone().map_err(|e| {
        let more = |k: &usize| !plan.groups[*k].terms.is_empty() || plan.groups[*k].bath.is_some();
        let first = (0..plan.groups.len()).find(more).unwrap_or(0);
        e.within(plan.places.of(&format!("group.{first}.name")))
    })
}
