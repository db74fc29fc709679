//! A batch in words, for its record and for the console.

use std::collections::BTreeMap;

use crate::assemble::{self, Model};
use crate::config::plan::BatchPlan;
use crate::core::elements;
use crate::report::names::{FINAL, MEMBERS, MEMBERS_TABLE, REPORT, THERMO, TRAJECTORY};
use crate::report::{Console, Description, OriginFile};
use crate::run::{description, words};
use crate::text::counted;
use crate::units::KELVIN;

/// Sum formulas that are listed.
const MOST_FORMULAS: usize = 4;
/// Doubts that are told, each of the first member that it is of.
const MOST_DOUBTS: usize = 5;

/// What a member is called: `member 7 (ethanol.xyz:7)`.
pub(super) fn member(number: usize, name: &str) -> String {
    format!("member {number} ({name})")
}

/// The elements of all members, each once, ascending.
pub(super) fn elements(plan: &BatchPlan) -> Vec<u8> {
    let mut all = Vec::new();
    for member in &plan.members {
        all.extend(elements::kinds(&member.plan.start.system.species));
        all = elements::kinds(&all);
    }
    all
}

/// The sum formulas of all members: `3 C2H6O, 2 H2O`.
fn formulas(plan: &BatchPlan) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for member in &plan.members {
        *counts
            .entry(elements::formula(&member.plan.start.system.species))
            .or_default() += 1;
    }
    let mut ordered: Vec<(String, usize)> = counts.into_iter().collect();
    ordered.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = ordered.len().saturating_sub(MOST_FORMULAS);
    let first = ordered.iter().take(MOST_FORMULAS);
    let mut told: Vec<String> = first
        .map(|(formula, count)| format!("{count} {formula}"))
        .collect();
    if more > 0 {
        told.push(format!("{more} more compositions"));
    }
    told.join(", ")
}

/// Describes a batch that is about to begin.
pub(super) fn describe(plan: &BatchPlan, model: &Model, structure: OriginFile) -> Description {
    let first = &plan.members[0].plan;
    let models = model.sources().into_iter().cloned().collect();
    let alone = description::of(first, models, structure, String::new());
    let systems = plan.members.iter().map(|member| &member.plan);
    let mut files = vec![MEMBERS_TABLE.to_owned(), THERMO.to_owned()];
    match plan.together {
        true => files.push(TRAJECTORY.to_owned()),
        false => files.push(MEMBERS.to_owned()),
    }
    files.push(FINAL.to_owned());
    files.extend(first.output.report.then(|| REPORT.to_owned()));
    Description {
        config: plan.resolved.clone(),
        config_file: plan.source.clone(),
        formula: formulas(plan),
        atoms: systems.clone().map(|own| own.start.system.len()).sum(),
        members: Some(plan.members.len()),
        degrees_of_freedom: systems.map(assemble::degrees_of_freedom).sum(),
        engine: model.describe(),
        files,
        ..alone
    }
}

/// Says what is about to run.
pub(super) fn introduce(
    console: &Console,
    plan: &BatchPlan,
    model: &Model,
    about: &Description,
    places: usize,
) {
    for note in plan.notes.iter().cloned().chain(model.notes()) {
        console.note(&note);
    }
    doubts(console, plan, model);
    let members = plan.members.len();
    let flight = match places < members {
        true => format!(", {places} at a time"),
        false => String::new(),
    };
    console.line(&format!(
        "systems    {}: {}, {} in all{flight}",
        counted(members as u64, "member"),
        about.formula,
        counted(about.atoms as u64, "atom"),
    ));
    console.line(&format!("potential  {}", model.describe()));
    console.line(&format!(
        "dynamics   {}",
        words::dynamics(&plan.members[0].plan)
    ));
    if let Some(baths) = baths(plan) {
        console.line(&format!("baths      {baths}"));
    }
    console.line(&format!(
        "output     {}",
        plan.members[0].plan.output.directory.display()
    ));
}

/// The temperatures of the members' baths, where they differ.
fn baths(plan: &BatchPlan) -> Option<String> {
    let baths = plan
        .members
        .iter()
        .filter_map(|member| assemble::bath(&member.plan));
    let (least, most) = baths.fold((f64::INFINITY, 0.0_f64), |(least, most), kt| {
        (least.min(kt), most.max(kt))
    });
    (least < most).then(|| {
        format!(
            "from {:.2} K to {:.2} K, a member each; above is that of member 0",
            least / KELVIN,
            most / KELVIN
        )
    })
}

/// Tells what the model may not have learned of some members' electrons, each doubt once.
fn doubts(console: &Console, plan: &BatchPlan, model: &Model) {
    let mut told: Vec<String> = Vec::new();
    for (k, one) in plan.members.iter().enumerate() {
        for doubt in model.doubts_of(&one.plan.start) {
            if told.contains(&doubt) {
                continue;
            }
            if told.len() < MOST_DOUBTS {
                console.remark(&format!("warning: {}: {doubt}", member(k, &one.name)));
            }
            told.push(doubt);
        }
    }
    if let Some(more) = told.len().checked_sub(MOST_DOUBTS).filter(|more| *more > 0) {
        console.remark(&format!(
            "warning: and {more} more of this kind of other members, which --member K tells"
        ));
    }
}
