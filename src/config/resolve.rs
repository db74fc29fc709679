//! `[potential]`, `[dynamics]`, `[monitor]` and `[device]`: from what is written to what is meant.

use std::path::Path;

use toml::Spanned;

use super::ensemble;
use super::keys;
use super::plan::{
    Audit, DeviceKind, DevicePlan, DynamicsPlan, MonitorPlan, NumbersAction, NumbersAudit,
    PotentialPlan, StartPlan,
};
use super::ramp::RunLength;
use super::raw;
use super::section::Section;
use crate::core::elements::number;
use crate::core::rng::NoiseMark;
use crate::dynamics::{Bath, Dynamics};
use crate::input::path_of;
use crate::ipi::Address;
use crate::models::ModelFile;
use crate::paths::{absolute, join};
use crate::potential::Precision;
use crate::potential::committee::MOST_MEMBERS;
use crate::text::counted;
use crate::units::FEMTOSECOND;
use crate::{Error, Result};

/// A step longer than this (fs) is a slip more often than not: bonds to hydrogen vibrate within 10 fs.
const LONG_STEP: f64 = 5.0;

/// `[potential]`.
pub(super) fn potential(
    section: &mut Section<'_>,
    raw: &raw::PotentialTable,
    base: &Path,
) -> Result<PotentialPlan> {
    if raw.socket.is_some() {
        return socket(section, raw, base);
    }
    let Some(lj) = &raw.lennard_jones else {
        let models = models(section, raw, base)?;
        let precision = section.choice(&keys::potential::PRECISION, &raw.precision)?;
        return Ok(PotentialPlan::Network { models, precision });
    };
    section.refuse(
        &keys::potential::MODEL,
        &raw.model,
        "a run has one potential; remove this, or [potential.lennard_jones]",
    )?;
    section.refuse(
        &keys::potential::PRECISION,
        &raw.precision,
        "is that of a network; Lennard-Jones is computed in f64: remove it",
    )?;
    lennard_jones(section, lj)
}

/// The address at which another program, which has the potential, is listened for.
fn socket(
    section: &mut Section<'_>,
    raw: &raw::PotentialTable,
    base: &Path,
) -> Result<PotentialPlan> {
    let (key, leaf) = (&keys::potential::SOCKET, &raw.socket);
    let why = "is of a potential inside this program; with socket another program has it: remove one of the two";
    section.refuse(&keys::potential::MODEL, &raw.model, why)?;
    section.refuse(&keys::potential::PRECISION, &raw.precision, why)?;
    section.refuse(&keys::potential::ELEMENTS, &raw.elements, why)?;
    let tables = [
        (
            &keys::potential::LENNARD_JONES,
            raw.lennard_jones.as_ref().map(|t| t.span()),
        ),
        (
            &keys::potential::REPULSION,
            raw.repulsion.as_ref().map(|t| t.span()),
        ),
    ];
    for (table, span) in tables {
        if let Some(span) = span {
            return Err(section.fault_at(table, &span, why));
        }
    }
    let fault = |section: &Section<'_>, e: Error| section.fault(key, leaf, e.to_string());
    let mut text = section.text(key, leaf)?.to_owned();
    let mut address: Address = text.parse().map_err(|e| fault(section, e))?;
    if matches!(address, Address::Shared(_)) {
        let why = "memory is shared by servers such as i-PI's alone; write \"unix:NAME\"";
        return Err(section.fault(key, leaf, why.to_owned()));
    }
    if let Address::Unix(path) = &address
        && path.is_relative()
    {
        text = format!("unix:{}", absolute(&join(section.base(leaf, base), path)));
        address = text.parse().map_err(|e| fault(section, e))?;
    }
    section.keep(key, leaf, text);
    Ok(PotentialPlan::Socket { address })
}

/// `model`: the one, or the members of a committee.
fn models(
    section: &mut Section<'_>,
    raw: &raw::PotentialTable,
    base: &Path,
) -> Result<Vec<ModelFile>> {
    let (key, leaf) = (&keys::potential::MODEL, &raw.model);
    let Some(given) = leaf else {
        return Err(section.fault(
            key,
            &None,
            "is missing; give a trained PaiNN, such as model = \"painn_hcno_gfn2\" (inside this program) or \
             \"../models/painn.safetensors\", a table [potential.lennard_jones], or socket = \"unix:NAME\" for the forces of \
             another program",
        ));
    };
    let base = section.base(leaf, base);
    let Some(list) = given.get_ref().as_array() else {
        let model = find(section, leaf, given.get_ref(), base)?;
        section.keep(key, leaf, model.whole_name());
        return Ok(vec![model]);
    };
    let named = list.iter().map(|entry| find(section, leaf, entry, base));
    let models = named.collect::<Result<Vec<ModelFile>>>()?;
    if !(2..=MOST_MEMBERS).contains(&models.len()) {
        let why = format!(
            "{} in a list: a committee has 2 to {MOST_MEMBERS}; a model alone stands without brackets",
            counted(models.len() as u64, "model")
        );
        return Err(section.fault(key, leaf, why));
    }
    let names: Vec<String> = models.iter().map(ModelFile::whole_name).collect();
    section.keep(key, leaf, names);
    Ok(models)
}

/// The model that a value names.
fn find(
    section: &Section<'_>,
    leaf: &raw::Leaf,
    named: &toml::Value,
    base: &Path,
) -> Result<ModelFile> {
    let fault = |why: String| section.fault(&keys::potential::MODEL, leaf, why);
    let text = named.as_str().filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| {
        fault(format!(
            "{named} is not text; give it, such as model = \"painn_hcno_gfn2\""
        ))
    })?;
    ModelFile::find(&path_of(text), base).map_err(|e| fault(e.to_string()))
}

/// `elements`: atomic numbers, ascending; `None` where nothing is said.
pub(super) fn elements(
    section: &mut Section<'_>,
    raw: &raw::PotentialTable,
) -> Result<Option<Vec<u8>>> {
    let (key, leaf) = (&keys::potential::ELEMENTS, &raw.elements);
    let Some(given) = leaf else {
        return Ok(None);
    };
    if raw.lennard_jones.is_some() {
        let why =
            "is what a model was trained on; Lennard-Jones is the same for all elements: remove it";
        return Err(section.fault(key, leaf, why));
    }
    let wanted = "a list of symbols is wanted, such as [\"H\", \"C\", \"O\"]";
    let Some(list) = given.get_ref().as_array().filter(|list| !list.is_empty()) else {
        return Err(section.fault(key, leaf, format!("{}: {wanted}", given.get_ref())));
    };
    let mut found = Vec::new();
    for entry in list {
        let number = entry.as_str().and_then(number);
        let number = number
            .ok_or_else(|| section.fault(key, leaf, format!("{entry} is no element: {wanted}")))?;
        if found.contains(&number) {
            return Err(section.fault(key, leaf, format!("{entry} is there twice")));
        }
        found.push(number);
    }
    section.keep(key, leaf, list.clone());
    found.sort_unstable();
    Ok(Some(found))
}

fn lennard_jones(
    section: &mut Section<'_>,
    raw: &Spanned<raw::LennardJonesTable>,
) -> Result<PotentialPlan> {
    let mut inner = section.inner(&keys::potential::LENNARD_JONES, raw.span());
    let raw = raw.get_ref();
    let epsilon = inner.quantity(&keys::potential::EPSILON, &raw.epsilon)?;
    let sigma = inner.quantity(&keys::potential::SIGMA, &raw.sigma)?;
    let cutoff = inner.quantity(&keys::potential::CUTOFF, &raw.cutoff)?;
    if cutoff <= sigma {
        return Err(inner.fault(
            &keys::potential::CUTOFF,
            &raw.cutoff,
            "is not beyond sigma, where the attraction begins; 2.5 sigma is usual",
        ));
    }
    section.adopt(&keys::potential::LENNARD_JONES, inner);
    Ok(PotentialPlan::LennardJones {
        epsilon,
        sigma,
        cutoff,
    })
}

/// `[dynamics]` of a run from this start.
pub(super) fn dynamics(
    section: &mut Section<'_>,
    raw: &raw::DynamicsTable,
    start: &StartPlan,
) -> Result<DynamicsPlan> {
    let timestep = section.quantity(&keys::dynamics::TIMESTEP, &raw.timestep)?;
    let steps = length(section, raw, timestep)?;
    let (ensemble, ramps) = ensemble::resolve(section, raw, RunLength { timestep, steps })?;
    ensemble::check(section, raw, (ensemble, &ramps, timestep), start)?;
    if timestep > LONG_STEP * FEMTOSECOND {
        let fs = timestep / FEMTOSECOND;
        let note = format!("{fs} fs is long; 0.5 fs is usual with hydrogen");
        section.note(&keys::dynamics::TIMESTEP, &note);
    }
    let key = &keys::dynamics::REMOVE_DRIFT;
    let remove_drift = section.steps(key, &raw.remove_drift, timestep)?;
    if remove_drift.is_none() {
        section.keep(key, &None, 0);
    }
    let skin = section.quantity(&keys::dynamics::SKIN, &raw.skin)?;
    let noise_start = noise_start(section, raw, ensemble, start.noise)?;
    Ok(DynamicsPlan {
        ensemble,
        ramps,
        timestep,
        steps,
        remove_drift: remove_drift.unwrap_or(0),
        skin,
        noise_start,
    })
}

/// Steps of the thermostat's noise that were drawn before this run.
///
/// A run that begins from the last state of another one with the same seed goes on in its noise. From the beginning
/// it would draw the same numbers again, and the two runs would not be independent.
fn noise_start(
    section: &mut Section<'_>,
    raw: &raw::DynamicsTable,
    ensemble: Dynamics,
    before: Option<NoiseMark>,
) -> Result<u64> {
    let key = &keys::dynamics::NOISE_START;
    let seed = ensemble.bath().and_then(|Bath { seed, .. }| seed);
    let Some(seed) = seed else {
        let name = ensemble.name();
        let why = format!("is of a thermostat's noise; {name:?} has none: remove it");
        section.refuse(key, &raw.noise_start, &why)?;
        return Ok(0);
    };
    if let Some(given) = section.whole(key, &raw.noise_start)? {
        return Ok(given);
    }
    let step = match before {
        Some(mark) if mark.seed == seed => mark.step,
        _ => 0,
    };
    if step > 0 {
        section.keep(key, &None, i64::try_from(step).unwrap_or(i64::MAX));
        let note = format!(
            "the structure is of a run with this seed too, which drew {step} steps of its noise: this run goes on \
             from there (noise_start)"
        );
        section.note(&keys::dynamics::SEED, &note);
    }
    Ok(step)
}

/// The number of steps.
fn length(section: &mut Section<'_>, raw: &raw::DynamicsTable, timestep: f64) -> Result<u64> {
    let steps = match (&raw.steps, &raw.duration) {
        (Some(_), Some(_)) => {
            let why = "a run has steps or a duration, not both; remove one";
            return Err(section.fault(&keys::dynamics::DURATION, &raw.duration, why));
        }
        (None, None) => {
            let why = "is missing; give steps = 20000, or a duration = \"10 ps\"";
            return Err(section.fault(&keys::dynamics::STEPS, &None, why));
        }
        (Some(_), None) => section.whole(&keys::dynamics::STEPS, &raw.steps)?,
        (None, Some(_)) => duration(section, raw, timestep)?,
    };
    Ok(steps.unwrap_or(0))
}

/// The steps of a duration; what is kept is the number of steps.
fn duration(
    section: &mut Section<'_>,
    raw: &raw::DynamicsTable,
    timestep: f64,
) -> Result<Option<u64>> {
    let key = &keys::dynamics::DURATION;
    if let Some(leaf) = &raw.duration
        && !leaf.get_ref().is_str()
    {
        let why = format!(
            "{} needs a unit, as text: \"10 ps\"; for a number of steps write steps = ...",
            leaf.get_ref()
        );
        return Err(section.fault(key, &raw.duration, why));
    }
    let steps = section.steps_from(key.name, &raw.duration, timestep, 1)?;
    if let Some(value) = section.resolved.remove(key.name) {
        let name = keys::dynamics::STEPS.name;
        section.resolved.insert(name.to_owned(), value);
    }
    Ok(steps)
}

/// `[monitor]`. Left out, it stops runs that have blown up: a force of 200 eV/A, 10000 K or a contact
/// of 0.4 A is far outside of what any chemistry reaches. Numbers that are not finite always stop it.
pub(super) fn monitor(
    section: &mut Section<'_>,
    raw: &raw::MonitorTable,
    timestep: f64,
    potential: &PotentialPlan,
) -> Result<MonitorPlan> {
    use keys::monitor::{ACTION, CONTACT, DRIFT, FORCE, RECORD, TEMPERATURE};
    let (spread, spread_every) = spread(section, raw, timestep, potential)?;
    Ok(MonitorPlan {
        drift: section.limit(&DRIFT, &raw.drift)?,
        temperature: section.limit(&TEMPERATURE, &raw.temperature)?,
        force: section.limit(&FORCE, &raw.force)?,
        contact: section.limit(&CONTACT, &raw.contact)?,
        spread,
        spread_every,
        numbers: numbers(section, raw, timestep, potential)?,
        action: section.choice(&ACTION, &raw.action)?,
        audit: audit(section, &raw.audit, timestep)?,
        record: section.flag(&RECORD, &raw.record)?,
    })
}

/// `monitor.spread` and how often it is looked at; nothing without a committee.
fn spread(
    section: &mut Section<'_>,
    raw: &raw::MonitorTable,
    timestep: f64,
    potential: &PotentialPlan,
) -> Result<(Option<f64>, Option<u64>)> {
    use keys::monitor::{SPREAD, SPREAD_EVERY};
    if !potential.is_committee() {
        let why = "is of a committee, and [potential] model names one model alone: remove it";
        let off = |leaf: &Spanned<toml::Value>| leaf.get_ref().as_str() == Some("off");
        let limit = raw.spread.clone().filter(|leaf| !off(leaf));
        section.refuse(&SPREAD, &limit, why)?;
        section.refuse(&SPREAD_EVERY, &raw.spread_every, why)?;
        return Ok((None, None));
    }
    let limit = section.limit(&SPREAD, &raw.spread)?;
    if limit.is_none() {
        let why = "has nothing to look for: give a limit, such as spread = \"0.3 eV/A\"";
        section.refuse(&SPREAD_EVERY, &raw.spread_every, why)?;
    }
    let every = section.steps(&SPREAD_EVERY, &raw.spread_every, timestep)?;
    Ok((limit, every))
}

/// `monitor.precision`, how often it is looked at, and what is done then.
fn numbers(
    section: &mut Section<'_>,
    raw: &raw::MonitorTable,
    timestep: f64,
    potential: &PotentialPlan,
) -> Result<Option<NumbersAudit>> {
    use keys::monitor::{
        PRECISION, PRECISION_ACTION, PRECISION_EVERY, PRECISION_EVERY_STEPS as USUAL,
    };
    let why = match potential {
        PotentialPlan::Network { precision, .. } if *precision != Precision::F64 => None,
        PotentialPlan::Network { .. } => {
            Some("the network is computed in f64, which is what audits compare with")
        }
        PotentialPlan::LennardJones { .. } | PotentialPlan::Socket { .. } => {
            Some("is of a network")
        }
    };
    let limit = match why {
        None => section.limit(&PRECISION, &raw.precision)?,
        Some(why) => {
            let why = format!("{why}: remove it");
            let off = |leaf: &Spanned<toml::Value>| leaf.get_ref().as_str() == Some("off");
            let limit = raw.precision.clone().filter(|leaf| !off(leaf));
            section.refuse(&PRECISION, &limit, &why)?;
            section.refuse(&PRECISION_EVERY, &raw.precision_every, &why)?;
            None
        }
    };
    if limit.is_none() {
        let why = "has no limit to act on: give one, such as precision = \"5 meV/A\"";
        section.refuse(&PRECISION_ACTION, &raw.precision_action, why)?;
    }
    let every = match &raw.precision_every {
        None => limit.map(|_| USUAL),
        given => section.steps(&PRECISION_EVERY, given, timestep)?,
    };
    let Some(every) = every else {
        return Ok(None);
    };
    let action = match raw.precision_action {
        Some(_) => section.choice(&PRECISION_ACTION, &raw.precision_action)?,
        None => NumbersAction::Warn,
    };
    Ok(Some(NumbersAudit {
        limit,
        every,
        action,
    }))
}

/// `monitor.audit`: a word, or a number of steps or a time.
fn audit(section: &mut Section<'_>, leaf: &raw::Leaf, timestep: f64) -> Result<Audit> {
    let key = &keys::monitor::AUDIT;
    let word = match leaf {
        None => key.absent.value(),
        Some(leaf) => leaf.get_ref().as_str(),
    };
    let known = match word {
        Some(word @ "auto") => Some((word, Audit::Auto)),
        Some(word @ "off") => Some((word, Audit::Off)),
        _ => None,
    };
    if let Some((word, audit)) = known {
        section.keep(key, leaf, word);
        return Ok(audit);
    }
    let steps = section.steps(key, leaf, timestep)?;
    Ok(steps.map_or(Audit::Auto, Audit::Every))
}

/// `[device]`.
pub(super) fn device(
    section: &mut Section<'_>,
    raw: &raw::DeviceTable,
    potential: &PotentialPlan,
) -> Result<DevicePlan> {
    let kind = kind(section, &raw.kind)?;
    if let (PotentialPlan::Socket { .. }, DeviceKind::Cuda(_)) = (potential, kind) {
        let why = "is where a potential of this program is computed; with [potential] socket another program chooses: remove it";
        return Err(section.fault(&keys::device::KIND, &raw.kind, why));
    }
    let threads = section.whole(&keys::device::THREADS, &raw.threads)?;
    if let (Some(_), DeviceKind::Cuda(_)) = (threads, kind) {
        section.note(&keys::device::THREADS, "has little to do on a GPU");
    }
    let key = &keys::device::ENGINE;
    let without = match potential {
        PotentialPlan::LennardJones { .. } => Some("Lennard-Jones has none"),
        PotentialPlan::Socket { .. } => Some("with [potential] socket there is none here"),
        PotentialPlan::Network { .. } => None,
    };
    if let Some(without) = without {
        let why = format!("chooses how a network is evaluated; {without}: remove it");
        if raw
            .engine
            .as_ref()
            .is_some_and(|l| l.get_ref().as_str() != Some("auto"))
        {
            return Err(section.fault(key, &raw.engine, why));
        }
    }
    let engine = section.choice(key, &raw.engine)?;
    Ok(DevicePlan {
        kind,
        threads: threads.and_then(|n| usize::try_from(n).ok()),
        engine,
    })
}

fn kind(section: &mut Section<'_>, leaf: &raw::Leaf) -> Result<DeviceKind> {
    let key = &keys::device::KIND;
    let word = leaf.as_ref().and_then(|l| l.get_ref().as_str());
    if let Some(index) = word.and_then(|w| w.strip_prefix("cuda:")) {
        let Ok(index) = index.parse() else {
            let why =
                format!("{index:?} is not the number of a GPU; write \"cuda:0\" for the first");
            return Err(section.fault(key, leaf, why));
        };
        section.keep(key, leaf, word.unwrap_or_default());
        return Ok(DeviceKind::Cuda(index));
    }
    section.choice(key, leaf)
}
