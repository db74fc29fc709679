//! A run in stages: each is the run file with the keys of its own table laid over it.

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::batch;
use super::descent;
use super::group::StageGroups;
use super::keys::row::Sampled;
use super::keys::{self, dynamics, stage};
use super::plan::{
    GroupPlan, Plan, SettlePlan, Settled, StageBeginning, StagePlace, StagedPlan, StartPlan,
    VelocityPlan,
};
use super::raw::{DescentKeys, Raw, StageKeys, Systems};
use super::section::{Resolved, Section};
use super::source::{Source, unknown_key};
use super::start;
use super::tables::{Tables, required};
use crate::core::Vec3;
use crate::{Error, Result};

/// Longest name of a stage, which is part of names of files.
const LONGEST_NAME: usize = 40;
/// Tables of a stage that are laid over those of the file.
const LAID: [&str; 3] = ["dynamics", "monitor", "output"];
/// Keys of `[output]` that may be others in a stage.
const OUTPUT: [&str; 2] = ["thermo_every", "trajectory"];
/// Tables that a run has one of.
const WHOLE: [&str; 6] = [
    "system",
    "potential",
    "device",
    "group",
    "constraints",
    "plumed",
];

/// Takes the stages out of a document; `None` of a run without any.
///
/// # Errors
/// `stage` is no list of tables.
pub(super) fn take<'s>(
    source: &Source,
    document: &mut DeTable<'s>,
) -> Result<Option<Vec<Spanned<DeTable<'s>>>>> {
    let Some((key, value)) = document.remove_entry(stage::TABLE.name) else {
        return Ok(None);
    };
    let wanted = "stage: tables [[stage]] are wanted, each with a name and what it changes";
    let span = value.span();
    let DeValue::Array(list) = value.into_inner() else {
        return Err(source.fault(&key.span(), wanted));
    };
    let mut stages = Vec::with_capacity(list.len());
    for item in list {
        let span = item.span();
        let DeValue::Table(table) = item.into_inner() else {
            return Err(source.fault(&span, wanted));
        };
        stages.push(Spanned::new(span, table));
    }
    if stages.is_empty() {
        return Err(source.fault(&span, wanted));
    }
    Ok(Some(stages))
}

/// A stage, with the document that it is resolved from.
struct Laid<'s> {
    section: Section<'s>,
    name: String,
    keys: StageKeys,
    raw: Raw,
    /// What a minimisation is asked for.
    descent: Option<Spanned<DescentKeys>>,
    /// Whether its trajectories are its own.
    own_trajectories: bool,
}

/// The plans of all stages of a document without them.
///
/// # Errors
/// As for a run without stages; or names are missing, alike or no names, a stage changes what is of the whole run, or many
/// systems are to go through stages.
pub(super) fn resolve<'s>(
    source: &'s Source,
    base: &DeTable<'s>,
    stages: Vec<Spanned<DeTable<'s>>>,
    out: Option<&std::path::Path>,
) -> Result<StagedPlan> {
    let mut laid: Vec<Laid<'s>> = Vec::with_capacity(stages.len());
    for (k, table) in stages.into_iter().enumerate() {
        let one = lay(source, base, (k, table))?;
        if laid.iter().any(|other| other.name == one.name) {
            let why = format!("{:?} is the name of another stage already", one.name);
            return Err(one.section.fault(&stage::NAME, &one.keys.name, why));
        }
        laid.push(one);
    }
    if batch::is_batch(&laid[0].raw) {
        let why = "stages are of a run of one system, and [system] makes many: run them one after another in run files of \
                   their own, or leave out replicas, frame = \"all\" and further [[system]]";
        return Err(source.fault(&laid[0].section.span, format!("stage: {why}")));
    }
    let (start, system) = starting(source, &laid[0].raw)?;
    let mut plans: Vec<Plan> = Vec::with_capacity(laid.len());
    let mut notes: Vec<String> = Vec::new();
    let mut written = Vec::with_capacity(laid.len());
    let of = laid.len();
    for (index, one) in laid.into_iter().enumerate() {
        let Laid {
            mut section,
            name,
            keys,
            raw,
            descent,
            own_trajectories,
        } = one;
        let in_stage = |e: Error| e.advise(format!("this is in stage {name:?}"));
        let acting = acting(&mut section, &keys, &raw)?;
        let tables = Tables {
            source,
            raw: &raw,
            out,
            stage: Some(StageGroups {
                acting: acting.as_deref(),
            }),
        };
        let mut plan = tables
            .alone(start.clone(), system.clone())
            .map_err(in_stage)?;
        let found = (descent.as_ref())
            .map(|keys| descent::resolve(source, keys, &start).map_err(in_stage))
            .transpose()?;
        let (minimizer, asked) = found.map_or((None, None), |(m, asked)| (Some(m), Some(asked)));
        if minimizer.is_some() {
            let why = "ends by itself where it is a minimisation: remove it";
            section.refuse(&stage::UNTIL, &keys.until, why)?;
            let why = "atoms stand still in a minimisation: remove it";
            section.refuse(&stage::VELOCITIES, &keys.velocities(), why)?;
        }
        if minimizer.is_some_and(|minimizer| minimizer.cell.is_some()) {
            refuse_held(&section, &keys, &plan)?;
        }
        let until = until(&mut section, &keys, &plan)?;
        let velocities = velocities(&mut section, &keys, &start)?;
        if let (0, Some(velocities)) = (index, &velocities) {
            plan.start.velocities = velocities.clone();
        }
        for note in std::mem::take(&mut plan.notes) {
            // Those of the system and of tables that stages share are told once.
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes.append(&mut section.notes);
        let mut table = as_written(&section, &plan, own_trajectories);
        if let Some(asked) = asked {
            table.insert("dynamics".to_owned(), Value::Table(section.absorb(asked)));
        }
        written.push(Value::Table(table));
        plan.places.0.extend(std::mem::take(&mut section.places));
        if own_trajectories {
            for trajectory in &mut plan.output.trajectories {
                trajectory.stage = Some(name.clone());
            }
        }
        plan.stage = Some(StagePlace {
            name,
            index,
            of,
            minimizer,
            until,
            velocities,
            own_trajectories,
            pressed: false,
            audited: false,
            external: false,
            began: StageBeginning::default(),
        });
        plans.push(plan);
    }
    let pressed = plans
        .iter()
        .any(|plan| plan.dynamics.ensemble.pressure().is_some());
    let audited = plans.iter().any(|plan| plan.monitor.numbers.is_some());
    let external = plans.iter().any(Plan::has_external);
    let resolved = whole(source, &plans, written, base);
    for plan in &mut plans {
        plan.resolved.clone_from(&resolved);
        if let Some(place) = &mut plan.stage {
            (place.pressed, place.audited) = (pressed, audited);
            place.external = external;
        }
    }
    Ok(StagedPlan {
        source: source.path.clone(),
        resolved,
        stages: plans,
        notes,
    })
}

/// The plan of the stage of a name, from a state; `None` where there is no such stage.
///
/// # Errors
/// As for [`resolve`].
pub(super) fn one<'s>(
    source: &'s Source,
    base: &DeTable<'s>,
    stages: Vec<Spanned<DeTable<'s>>>,
    (name, start): (&str, StartPlan),
) -> Result<Option<Plan>> {
    let of = stages.len();
    for (index, table) in stages.into_iter().enumerate() {
        let laid = lay(source, base, (index, table))?;
        if laid.name != name {
            continue;
        }
        let mut section = laid.section;
        let acting = acting(&mut section, &laid.keys, &laid.raw)?;
        let tables = Tables {
            source,
            raw: &laid.raw,
            out: None,
            stage: Some(StageGroups {
                acting: acting.as_deref(),
            }),
        };
        let mut plan = tables.alone(start, Resolved::default())?;
        plan.stage = Some(StagePlace {
            name: laid.name,
            index,
            of,
            minimizer: None,
            until: None,
            velocities: None,
            own_trajectories: laid.own_trajectories,
            pressed: false,
            audited: false,
            external: false,
            began: StageBeginning::default(),
        });
        return Ok(Some(plan));
    }
    Ok(None)
}

/// Where all stages start from: the first does.
fn starting(source: &Source, raw: &Raw) -> Result<(StartPlan, Resolved)> {
    let (mut section, table) = required(source, &keys::system::TABLE, &raw.system)?;
    let Systems::One(table) = table else {
        return Err(source.fault(&(0..0), "several tables [[system]] are many systems"));
    };
    let base = source.path.parent().unwrap_or(std::path::Path::new(""));
    let start = start::system(&mut section, table, base)?;
    Ok((start, section.finish(keys::system::TABLE.name)))
}

/// Lays a stage over the document.
fn lay<'s>(
    source: &'s Source,
    base: &DeTable<'s>,
    (index, table): (usize, Spanned<DeTable<'s>>),
) -> Result<Laid<'s>> {
    let span = table.span();
    let mut own = DeTable::new();
    let mut laid = base.clone();
    let mut own_trajectories = false;
    let mut asked = None;
    for (key, value) in table.into_inner() {
        let name = key.get_ref().to_string();
        if WHOLE.contains(&name.as_str()) {
            let why = format!(
                "stage.{name}: [{name}] is of the whole run, not of a stage: put it outside of [[stage]]{}",
                if name == "system" {
                    "; new velocities are the key velocities of a stage"
                } else {
                    ""
                }
            );
            return Err(source.fault(&key.span(), why));
        }
        if !LAID.contains(&name.as_str()) {
            if !stage::TABLE.has(&name) {
                let known: Vec<String> = (stage::TABLE.rows.iter())
                    .map(|row| row.name().to_owned())
                    .collect();
                let why = format!("stage.{name}: {}", unknown_key(&name, &known));
                return Err(source.fault(&key.span(), why));
            }
            own.insert(key, value);
            continue;
        }
        let DeValue::Table(over) = value.get_ref() else {
            let why = format!("stage.{name}: a table [stage.{name}] is wanted");
            return Err(source.fault(&value.span(), why));
        };
        if name == "output" {
            own_trajectories = over.contains_key("trajectory");
            if let Some((key, _)) = over
                .iter()
                .find(|(key, _)| !OUTPUT.contains(&key.get_ref().as_ref()))
            {
                let why = format!(
                    "stage.output.{0}: is not a key of a stage, which has thermo_every and trajectory; {0} is of the whole run",
                    key.get_ref()
                );
                return Err(source.fault(&key.span(), why));
            }
        }
        let slot = laid
            .entry(key.clone())
            .or_insert_with(|| Spanned::new(value.span(), DeValue::Table(DeTable::new())));
        if let DeValue::Table(under) = slot.get_mut() {
            if name == "dynamics" {
                asked = descent::take(source, under, &value)?;
                if asked.is_some() {
                    continue;
                }
                make_way(under, over);
            }
            for (key, value) in over {
                // The key itself, too, since errors point to it.
                under.remove(key);
                under.insert(key.clone(), value.clone());
            }
        }
    }
    let mut section = Section::new(
        source,
        &format!("{}.{index}", stage::TABLE.name),
        span.clone(),
    );
    let keys: StageKeys = source.read_from(Spanned::new(span.clone(), own))?;
    let name = section.text(&stage::NAME, &keys.name)?.to_owned();
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.chars().all(sound) || name.len() > LONGEST_NAME {
        let why = format!(
            "{name:?} is part of names of files: letters, digits, - and _ are wanted, {LONGEST_NAME} at the most"
        );
        return Err(section.fault(&stage::NAME, &keys.name, why));
    }
    section.keep(&stage::NAME, &keys.name, name.as_str());
    let raw = source.read_from(Spanned::new(0..0, laid));
    let raw: Raw = raw.map_err(|e| e.advise(format!("this is in stage {name:?}")))?;
    Ok(Laid {
        section,
        name,
        keys,
        raw,
        descent: asked,
        own_trajectories,
    })
}

/// Takes keys of `[dynamics]` out that mean nothing beside those of a stage: the other way to tell how long it is, and what
/// belongs to other ensembles and thermostats.
fn make_way(under: &mut DeTable<'_>, over: &DeTable<'_>) {
    if over.contains_key("steps") || over.contains_key("duration") {
        under.remove("steps");
        under.remove("duration");
    }
    let word = |key: &str| {
        let value = over.get(key).or_else(|| under.get(key))?;
        value.get_ref().as_str().map(str::to_owned)
    };
    let ensemble = word("ensemble");
    let sampled = (dynamics::ENSEMBLE.value.words.iter())
        .find(|(word, _)| ensemble.as_deref() == Some(*word))
        .map(|(_, sampled)| *sampled);
    let Some(sampled) = sampled else {
        return;
    };
    let mut foreign: Vec<&str> = (dynamics::TABLE.rows.iter())
        .filter(|row| !row.of().is_empty() && !row.of().contains(&sampled))
        .map(|row| row.name())
        .collect();
    if sampled == Sampled::Npt {
        foreign.push(match word("thermostat").as_deref() {
            Some("langevin") => "relaxation",
            _ => "friction",
        });
    }
    for key in foreign {
        under.remove(key);
    }
}

/// Names of the groups that something is done to in a stage; `None` for all.
fn acting(section: &mut Section<'_>, keys: &StageKeys, raw: &Raw) -> Result<Option<Vec<String>>> {
    let (key, Some(leaf)) = (&stage::GROUPS, &keys.groups) else {
        return Ok(None);
    };
    let known: Vec<&str> = (raw.group.iter())
        .filter_map(|group| group.get_ref().name.as_ref()?.get_ref().as_str())
        .collect();
    let listed = leaf.get_ref().as_array().and_then(|list| {
        let names = list.iter().map(|name| name.as_str().map(str::to_owned));
        names.collect::<Option<Vec<String>>>()
    });
    let Some(names) = listed else {
        let why = format!("{} is wanted", key.value.0);
        return Err(section.fault(key, &keys.groups, why));
    };
    if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let there = match known.as_slice() {
            [] => "the run file has no [[group]]".to_owned(),
            _ => format!("there are {}", known.join(", ")),
        };
        let why = format!("there is no group {other:?}: {there}");
        return Err(section.fault(key, &keys.groups, why));
    }
    section.keep(key, &keys.groups, names.clone());
    Ok(Some(names))
}

/// Refuses what holds atoms in their places where a minimisation changes the cell.
fn refuse_held(section: &Section<'_>, keys: &StageKeys, plan: &Plan) -> Result<()> {
    let holds = |group: &&GroupPlan| group.frozen || !group.terms.is_empty();
    let Some(group) = plan.groups.iter().find(holds) else {
        return Ok(());
    };
    let why = format!(
        "the group {:?} does not follow a cell that changes: make the cell of the minimisation \"fixed\", or leave the group \
         out of the stage",
        group.name
    );
    Err(section.fault(&stage::GROUPS, &keys.groups, why))
}

/// `until` and `until_window`.
fn until(section: &mut Section<'_>, keys: &StageKeys, plan: &Plan) -> Result<Option<SettlePlan>> {
    if keys.until.is_none() {
        let why = "is of until, which is not there: remove it";
        section.refuse(&stage::UNTIL_WINDOW, &keys.until_window, why)?;
        return Ok(None);
    }
    let what = section.choice(&stage::UNTIL, &keys.until)?;
    if what == Settled::Density && plan.dynamics.ensemble.pressure().is_none() {
        let why = "the density changes in stages of ensemble = \"npt\" alone, and this is none";
        return Err(section.fault(&stage::UNTIL, &keys.until, why));
    }
    let window = section.quantity(&stage::UNTIL_WINDOW, &keys.until_window)?;
    let samples = crate::report::settle::SAMPLES;
    let steps = (window / plan.dynamics.timestep).round();
    if steps < samples as f64 {
        let why = format!("is shorter than the {samples} steps that it has samples of");
        return Err(section.fault(&stage::UNTIL_WINDOW, &keys.until_window, why));
    }
    let every = (steps / samples as f64).round() as u64;
    if every.saturating_mul(2 * samples) > plan.dynamics.steps {
        let note = "two windows are longer than the stage, which will end with its duration";
        section.note(&stage::UNTIL_WINDOW, note);
    }
    Ok(Some(SettlePlan { what, every }))
}

/// New velocities of a stage.
fn velocities(
    section: &mut Section<'_>,
    keys: &StageKeys,
    start: &StartPlan,
) -> Result<Option<VelocityPlan>> {
    let Some(spanned) = &keys.velocities else {
        return Ok(None);
    };
    let key = &stage::VELOCITIES;
    let wanted = "\"zero\" or { temperature = \"300 K\", seed = 1 } is wanted";
    match spanned.get_ref() {
        super::raw::VelocitiesEntry::Word(word) if word == "zero" => {
            section.keep(key, &None, "zero");
            let rest = vec![Vec3::zeros(); start.system.len()];
            Ok(Some(VelocityPlan::Given(rest)))
        }
        super::raw::VelocitiesEntry::Word(word) => {
            Err(section.fault_at(key, &spanned.span(), format!("{word:?}: {wanted}")))
        }
        super::raw::VelocitiesEntry::Thermal(thermal) => {
            let plan = start::thermal(
                section,
                key.name,
                (spanned.span(), thermal),
                start.system.len(),
            )?;
            Ok(Some(plan))
        }
    }
}

/// What a stage resolves to, as its table in the run file.
fn as_written(section: &Section<'_>, plan: &Plan, own_trajectories: bool) -> Table {
    let mut table = section.resolved.clone();
    let of = |name: &str| match plan.resolved.get(name) {
        Some(Value::Table(table)) => table.clone(),
        _ => Table::new(),
    };
    let mut dynamics = of("dynamics");
    // Else that of another stage would be read into this one.
    if plan.dynamics.ensemble.bath().is_some() {
        let start = i64::try_from(plan.dynamics.noise_start).unwrap_or(i64::MAX);
        dynamics.insert(dynamics::NOISE_START.name.to_owned(), start.into());
    }
    let mut output = of("output");
    output.retain(|key, _| key == "thermo_every" || (own_trajectories && key == "trajectory"));
    for (name, one) in [
        ("dynamics", dynamics),
        ("monitor", of("monitor")),
        ("output", output),
    ] {
        table.insert(name.to_owned(), Value::Table(one));
    }
    table
}

/// The whole run file: stages, and around them what is of all of them. `[dynamics]` is that of the last stage, for those who ask
/// what the run is in the end.
fn whole(source: &Source, plans: &[Plan], written: Vec<Value>, base: &DeTable<'_>) -> Table {
    let mut table = plans[plans.len() - 1].resolved.clone();
    table.remove("monitor");
    if let Some(Value::Table(output)) = table.get_mut("output") {
        output.remove("thermo_every");
        let through = base
            .get("output")
            .and_then(|output| output.get_ref().as_table());
        let through = through.and_then(|output| output.get("trajectory"));
        let through = through.and_then(|list| source.value_of(list));
        output.insert(
            "trajectory".to_owned(),
            through.unwrap_or_else(|| Value::Array(Vec::new())),
        );
    }
    table.insert(stage::TABLE.name.to_owned(), Value::Array(written));
    table
}
