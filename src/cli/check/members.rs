//! What `mdrun check` says of many systems at once: which they are, and what all of them together take.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::speed::BlockTimer;
use super::table::CheckTable;
use super::{starting_temperature, tell_temperature};
use crate::assemble::{self, Model};
use crate::config::plan::{BatchPlan, MemberPlan, Plan, VelocityPlan};
use crate::core::elements;
use crate::engine::{BatchEngine, Flags};
use crate::run::least_bytes;
use crate::text::{counted, duration, significant};
use crate::units::{KELVIN, ns_per_day};
use crate::{Result, memory};

/// Most files and compositions that are listed.
const MOST_LISTED: usize = 6;
/// Most members whose speed is measured.
const MOST_MEASURED: usize = 4096;
/// How the speed is measured.
const SPEED: BlockTimer = BlockTimer {
    blocks: 5,
    block_time: Duration::from_millis(100),
    most_steps: 1 << 12,
    patience: Duration::from_secs(10),
};
/// Temperatures whose ratios differ by less are a ladder's.
const SAME_FACTOR: f64 = 1e-6;

/// The member that is examined where none is named: the largest, the first of these.
pub(super) fn largest(batch: &BatchPlan) -> usize {
    let atoms = |member: &MemberPlan| member.plan.start.system.len();
    let most = batch.members.iter().map(atoms).max();
    let found = batch.members.iter().position(|m| Some(atoms(m)) == most);
    found.unwrap_or(0)
}

/// Adds which systems there are.
pub(super) fn describe(table: &mut CheckTable, batch: &BatchPlan) {
    for note in &batch.notes {
        table.info("note", note);
    }
    let count = batch.members.len();
    table
        .info("members", format!("{count}, numbered from 0"))
        .value(count as f64, "");
    let plans = || batch.members.iter().map(|member| &member.plan);
    tell_groups(table, "from", plans().map(file));
    tell_groups(table, "composition", plans().map(composition));
    let atoms: usize = plans().map(|plan| plan.start.system.len()).sum();
    table
        .info("atoms of all", counted(atoms as u64, "atom"))
        .value(atoms as f64, "");
    tell_groups(table, "cells", plans().map(cell));
    let bath: Option<Vec<f64>> = plans().map(assemble::bath).collect();
    if let Some(bath) = bath {
        table.info("baths", temperatures(&bath));
    }
    let drawn = |plan: &Plan| match plan.start.velocities {
        VelocityPlan::Thermal { kt, .. } => Some(kt),
        VelocityPlan::Given(_) => None,
    };
    let drawn: Option<Vec<f64>> = plans().map(drawn).collect();
    if let Some(drawn) = drawn {
        table.info("starts drawn at", temperatures(&drawn));
    }
    hottest(table, batch);
}

/// Adds how many members have what in common, the commonest first.
fn tell_groups(
    table: &mut CheckTable,
    what: &'static str,
    of_members: impl Iterator<Item = String>,
) {
    let mut groups: Vec<(String, usize)> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for words in of_members {
        let at = *known.entry(words).or_insert_with_key(|words| {
            groups.push((words.clone(), 0));
            groups.len() - 1
        });
        groups[at].1 += 1;
    }
    groups.sort_by_key(|(_, count)| usize::MAX - count);
    for (words, count) in groups.iter().take(MOST_LISTED) {
        let found = format!("{words}, {}", counted(*count as u64, "member"));
        table.info(what, found).value(*count as f64, "");
    }
    if let Some(others) = groups
        .get(MOST_LISTED..)
        .filter(|others| !others.is_empty())
    {
        let members: usize = others.iter().map(|(_, count)| count).sum();
        let found = format!(
            "{} more, {}",
            others.len(),
            counted(members as u64, "member")
        );
        table.info(what, found).value(members as f64, "");
    }
}

/// The file that a system starts from, by its name.
fn file(plan: &Plan) -> String {
    let path = &plan.start.structure;
    let name = path.file_name().map_or(path.as_path(), Path::new);
    name.display().to_string()
}

fn composition(plan: &Plan) -> String {
    let species = &plan.start.system.species;
    let atoms = counted(species.len() as u64, "atom");
    format!("{} ({atoms})", elements::formula(species))
}

fn cell(plan: &Plan) -> String {
    match plan.start.cell.periodic() {
        [false, false, false] => "open".to_owned(),
        [true, true, true] => "periodic".to_owned(),
        _ => "periodic along some directions".to_owned(),
    }
}

/// Temperatures kT (eV) of members in their order.
fn temperatures(kt: &[f64]) -> String {
    let kelvin = |kt: f64| format!("{} K", significant(kt / KELVIN, 4));
    let (first, last) = (kt[0], kt[kt.len() - 1]);
    if kt.iter().all(|other| *other == first) {
        return kelvin(first);
    }
    let factor = kt[1] / first;
    let same = |pair: &[f64]| (pair[1] / pair[0] / factor - 1.0).abs() < SAME_FACTOR;
    if kt.len() > 2 && kt.windows(2).all(same) {
        return format!(
            "{} to {}, a ladder with the factor {}",
            kelvin(first),
            kelvin(last),
            significant(factor, 5)
        );
    }
    let [low, high] = [f64::min, f64::max].map(|choose| kt.iter().copied().fold(first, choose));
    format!("from {} to {}, each its own", kelvin(low), kelvin(high))
}

/// Adds the member that is hottest at its start, beside the limit.
fn hottest(table: &mut CheckTable, batch: &BatchPlan) {
    let starts = batch.members.iter().map(|m| starting_temperature(&m.plan));
    let starts: Vec<f64> = starts.collect();
    let hottest = (0..starts.len()).max_by(|a, b| starts[*a].total_cmp(&starts[*b]));
    let Some(hottest) = hottest else {
        return;
    };
    let of = format!("member {hottest}, ");
    let plan = &batch.members[hottest].plan;
    tell_temperature(table, ("hottest start", &of), starts[hottest], plan);
}

/// Adds what all of them take: memory, time and disk.
///
/// # Errors
/// The model does not know an element of one, there is no room for it, or the device failed.
pub(super) fn cost(table: &mut CheckTable, batch: &BatchPlan, model: &Model) -> Result<()> {
    let plans: Vec<&Plan> = batch.members.iter().map(|member| &member.plan).collect();
    let fit = assemble::in_flight(plans.iter().copied(), model)?;
    let asked = batch.in_flight.unwrap_or(usize::MAX);
    let flying = fit.min(asked).min(plans.len());
    table
        .info("at once", at_once(plans.len(), fit, asked))
        .value(flying as f64, "");
    let measured = flying.min(MOST_MEASURED);
    // Members of every kind, where they come by kinds.
    let sample = (0..measured).map(|k| plans[k * plans.len() / measured]);
    let sample: Vec<&Plan> = sample.collect();
    let members = sample.iter().map(|plan| {
        let mut member = assemble::batch_member(plan);
        // One that rests takes no time.
        member.limits.stop = false;
        member
    });
    let mut engine = assemble::batch_engine(sample[0], model, members.collect())?;
    match seconds_a_step(engine.as_mut())? {
        None => drop(table.info("speed of all", "not measured: the steps broke off")),
        Some(seconds) => tell_speed(table, &plans, (measured, seconds)),
    }
    if let Some(bytes) = memory::peak() {
        let found = format!("{} with {measured} of them", indicatif::HumanBytes(bytes));
        table.info("memory of all", found).value(bytes as f64, "B");
    }
    let bytes: u64 = plans.iter().map(|plan| least_bytes(plan)).sum();
    let found = format!("at least {}", indicatif::HumanBytes(bytes));
    table.info("output of all", found).value(bytes as f64, "B");
    Ok(())
}

/// How many run at once, and why no more.
fn at_once(members: usize, fit: usize, asked: usize) -> String {
    match (fit.min(members), asked) {
        (fit, asked) if asked < fit => format!("{asked}, as [device] in_flight says"),
        (fit, _) if fit == members => "all of them".to_owned(),
        (fit, _) => format!("{fit}: there is memory for no more"),
    }
}

/// Adds how fast `measured` members are that take a step together in so many seconds.
fn tell_speed(table: &mut CheckTable, plans: &[&Plan], (measured, seconds): (usize, f64)) {
    let dynamics = &plans[0].dynamics;
    let each = seconds / measured as f64;
    let all = each * plans.len() as f64;
    let whole = Duration::try_from_secs_f64(all * dynamics.steps as f64);
    let of = match measured == plans.len() {
        true => String::new(),
        false => format!(" (measured on {measured})"),
    };
    let found = format!(
        "{} us a member and step, {} ns/day in all; {} steps take {}{of}",
        significant(each * 1e6, 3),
        significant(ns_per_day(1.0 / each, dynamics.timestep), 3),
        dynamics.steps,
        duration(whole.unwrap_or(Duration::MAX)),
    );
    table.info("speed of all", found).value(each * 1e6, "us");
}

/// The median time of a step of all members (s) over blocks of them; `None` where one of them is at fault.
fn seconds_a_step(engine: &mut dyn BatchEngine) -> Result<Option<f64>> {
    SPEED.median(|steps| {
        engine.save()?;
        let began = Instant::now();
        let outcomes = engine.run(steps)?;
        let elapsed = began.elapsed();
        let mut flags = outcomes.iter().map(|outcome| outcome.flags);
        let fatal = flags.any(|flags| flags.intersects(Flags::FATAL));
        Ok((!fatal).then_some(elapsed))
    })
}
