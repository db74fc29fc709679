//! `[potential]`, `[dynamics]`, `[output]`, `[monitor]` and `[device]`: from what is written to what
//! is meant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Spanned, Value};

use super::plan::{
    Action, Audit, CheckpointPlan, DeviceKind, DevicePlan, DynamicsPlan, EngineChoice, MonitorPlan,
    OutputPlan, PotentialPlan, TrajectoryFormat, TrajectoryPlan,
};
use super::raw;
use super::section::{MOST_STEPS, Section, Sign};
use crate::core::rng::NoiseMark;
use crate::dynamics::{Bath, Dynamics, Langevin, Nve};
use crate::input::path_of;
use crate::models::ModelFile;
use crate::paths::{absolute, join};
use crate::potential::Precision;
use crate::units::{Dimension, FEMTOSECOND};
use crate::{Error, Result};

/// A step longer than this (fs) is a slip more often than not: bonds to hydrogen vibrate within 10 fs.
const LONG_STEP: f64 = 5.0;

/// Steps between thermo lines at most, and lines a run has at least, where nothing is said.
const THERMO_EVERY: u64 = 100;

/// Time on the clock between checkpoints where nothing is said: what a crash may cost at most.
const CHECKPOINT_EVERY: &str = "10 min";

/// Shortest and longest time on the clock between checkpoints (s).
const SHORTEST_CLOCK: f64 = 1e-3;
const LONGEST_CLOCK: f64 = 3.6e7;

/// `[potential]`.
pub(super) fn potential(
    section: &mut Section<'_>,
    raw: &raw::Potential,
    base: &Path,
) -> Result<PotentialPlan> {
    let Some(lj) = &raw.lennard_jones else {
        let model = model(section, raw, base)?;
        let words = [("f32", Precision::F32), ("f64", Precision::F64)];
        let precision = section.choice("precision", &raw.precision, &words, Some("f32"))?;
        return Ok(PotentialPlan::Painn { model, precision });
    };
    section.refuse(
        "model",
        &raw.model,
        "a run has one potential; remove this, or [potential.lennard_jones]",
    )?;
    section.refuse(
        "precision",
        &raw.precision,
        "is that of a network; Lennard-Jones is computed in f64: remove it",
    )?;
    lennard_jones(section, lj)
}

fn model(section: &mut Section<'_>, raw: &raw::Potential, base: &Path) -> Result<ModelFile> {
    if raw.model.is_none() {
        return Err(section.fault(
            "model",
            &None,
            "is missing; give a trained PaiNN, such as model = \"painn_hcno_gfn2\" (inside this program) or \
             \"../models/painn.safetensors\", or a table [potential.lennard_jones]",
        ));
    }
    let text = section.text("model", &raw.model, "\"painn_hcno_gfn2\"")?;
    let model = ModelFile::find(&path_of(text), section.base(&raw.model, base))
        .map_err(|e| section.fault("model", &raw.model, e.to_string()))?;
    let kept = match &model {
        ModelFile::Path(path) => absolute(path),
        ModelFile::Embedded(model) => model.name.to_owned(),
    };
    section.keep("model", &raw.model, kept);
    Ok(model)
}

fn lennard_jones(
    section: &mut Section<'_>,
    raw: &Spanned<raw::LennardJones>,
) -> Result<PotentialPlan> {
    let mut inner = section.inner("lennard_jones", raw.span());
    let raw = raw.get_ref();
    let length = (Dimension::Length, Sign::Positive);
    let epsilon = inner.quantity(
        "epsilon",
        &raw.epsilon,
        (Dimension::Energy, Sign::Positive),
        None,
    )?;
    let sigma = inner.quantity("sigma", &raw.sigma, length, None)?;
    let cutoff = inner.quantity("cutoff", &raw.cutoff, length, None)?;
    if cutoff <= sigma {
        return Err(inner.fault(
            "cutoff",
            &raw.cutoff,
            "is not beyond sigma, where the attraction begins; 2.5 sigma is usual",
        ));
    }
    section.adopt("lennard_jones", inner);
    Ok(PotentialPlan::LennardJones {
        epsilon,
        sigma,
        cutoff,
    })
}

/// `[dynamics]`.
///
/// `before` is how far the run that wrote the structure had come in its thermostat's noise.
pub(super) fn dynamics(
    section: &mut Section<'_>,
    raw: &raw::Dynamics,
    before: Option<NoiseMark>,
) -> Result<DynamicsPlan> {
    let ensemble = ensemble(section, raw)?;
    let time = (Dimension::Time, Sign::Positive);
    let timestep = section.quantity("timestep", &raw.timestep, time, None)?;
    if timestep > LONG_STEP * FEMTOSECOND {
        let fs = timestep / FEMTOSECOND;
        section.note(
            "timestep",
            &format!("{fs} fs is long; 0.5 fs is usual with hydrogen"),
        );
    }
    let steps = match (&raw.steps, &raw.duration) {
        (Some(_), Some(_)) => {
            let why = "a run has steps or a duration, not both; remove one";
            return Err(section.fault("duration", &raw.duration, why));
        }
        (None, None) => {
            return Err(section.fault(
                "steps",
                &None,
                "is missing; give steps = 20000, or a duration = \"10 ps\"",
            ));
        }
        (Some(_), None) => section.whole("steps", &raw.steps, 1, MOST_STEPS)?,
        (None, Some(_)) => duration(section, raw, timestep)?,
    };
    let remove_drift = section.steps("remove_drift", &raw.remove_drift, timestep, 0)?;
    if remove_drift.is_none() {
        section.keep("remove_drift", &None, 0);
    }
    let skin = (Dimension::Length, Sign::Positive);
    let skin = section.quantity("skin", &raw.skin, skin, Some("0.5 A"))?;
    let noise_start = noise_start(section, raw, ensemble, before)?;
    Ok(DynamicsPlan {
        ensemble,
        timestep,
        steps: steps.unwrap_or(0),
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
    raw: &raw::Dynamics,
    ensemble: Dynamics,
    before: Option<NoiseMark>,
) -> Result<u64> {
    const KEY: &str = "noise_start";
    let Some(Bath { seed, .. }) = ensemble.bath() else {
        let why = "is of a thermostat's noise; \"nve\" has none: remove it";
        section.refuse(KEY, &raw.noise_start, why)?;
        return Ok(0);
    };
    if let Some(given) = section.whole(KEY, &raw.noise_start, 0, MOST_STEPS)? {
        return Ok(given);
    }
    let step = match before {
        Some(mark) if mark.seed == seed => mark.step,
        _ => 0,
    };
    if step > 0 {
        section.keep(KEY, &None, i64::try_from(step).unwrap_or(i64::MAX));
        let note = format!(
            "the structure is of a run with this seed too, which drew {step} steps of its noise: this run goes on \
             from there (noise_start)"
        );
        section.note("seed", &note);
    }
    Ok(step)
}

/// The steps of a duration; what is kept is the number of steps.
fn duration(section: &mut Section<'_>, raw: &raw::Dynamics, timestep: f64) -> Result<Option<u64>> {
    if let Some(leaf) = &raw.duration
        && !leaf.get_ref().is_str()
    {
        return Err(section.fault(
            "duration",
            &raw.duration,
            format!(
                "{} needs a unit, as text: \"10 ps\"; for a number of steps write steps = ...",
                leaf.get_ref()
            ),
        ));
    }
    let steps = section.steps("duration", &raw.duration, timestep, 1)?;
    if let Some(value) = section.resolved.remove("duration") {
        section.resolved.insert("steps".to_owned(), value);
    }
    Ok(steps)
}

fn ensemble(section: &mut Section<'_>, raw: &raw::Dynamics) -> Result<Dynamics> {
    let words = [("nve", false), ("langevin", true)];
    let langevin = section.choice("ensemble", &raw.ensemble, &words, None)?;
    if !langevin {
        section.refuse(
            "temperature",
            &raw.temperature,
            "\"nve\" keeps the energy, not the temperature; remove it (the starting one is \
             system.velocities), or use ensemble = \"langevin\"",
        )?;
        let why = "belongs to ensemble = \"langevin\", not to \"nve\"; remove it";
        section.refuse("friction", &raw.friction, why)?;
        section.refuse("seed", &raw.seed, why)?;
        return Ok(Dynamics::Nve(Nve));
    }
    let temperature = (Dimension::Temperature, Sign::NotNegative);
    let kt = section.quantity("temperature", &raw.temperature, temperature, None)?;
    let rate = (Dimension::Rate, Sign::Positive);
    let friction = section.quantity("friction", &raw.friction, rate, None)?;
    let seed = section.seed("seed", &raw.seed)?;
    Ok(Dynamics::Langevin(Langevin { kt, friction, seed }))
}

/// `[output]`. `out` takes the place of the directory; `periodic` tells whether wrapping means
/// anything.
pub(super) fn output(
    section: &mut Section<'_>,
    raw: &raw::Output,
    context: &OutputContext<'_>,
) -> Result<OutputPlan> {
    let dynamics = context.dynamics;
    let directory = directory(section, raw, context)?;
    let usual = (dynamics.steps / THERMO_EVERY).clamp(1, THERMO_EVERY);
    let thermo_every = section.steps("thermo_every", &raw.thermo_every, dynamics.timestep, 1)?;
    if thermo_every.is_none() {
        section.keep("thermo_every", &None, i64::try_from(usual).unwrap_or(1));
    }
    let checkpoint = checkpoint_every(section, &raw.checkpoint_every, dynamics.timestep)?;
    let mut trajectories: Vec<TrajectoryPlan> = Vec::new();
    let mut tables = Vec::new();
    for (k, one) in raw.trajectory.iter().enumerate() {
        let mut inner = section.inner(&format!("trajectory.{k}"), one.span());
        let plan = trajectory(&mut inner, one.get_ref(), context)?;
        if let Some(first) = trajectories.iter().position(|t| t.format == plan.format) {
            let first = format!("output.trajectory.{first}.format");
            let place = section.places.get(&first).map_or("", String::as_str);
            let why = format!(
                "is that of {first} ({place}) already; a run writes at most one trajectory of each format: \
                 choose another format, or remove one of the two"
            );
            return Err(inner.fault("format", &one.get_ref().format, why));
        }
        trajectories.push(plan);
        tables.push(Value::Table(section.absorb(inner)));
    }
    section.keep("trajectory", &None, tables);
    if trajectories.is_empty() {
        section.note(
            "trajectory",
            "none is written; the last state will be in final.xyz",
        );
    }
    Ok(OutputPlan {
        directory,
        trajectories,
        thermo_every: thermo_every.unwrap_or(usual),
        checkpoint,
    })
}

/// `checkpoint_every`: steps, a simulated time, or a time on the clock.
fn checkpoint_every(
    section: &mut Section<'_>,
    leaf: &raw::Leaf,
    timestep: f64,
) -> Result<CheckpointPlan> {
    const KEY: &str = "checkpoint_every";
    let text = match leaf.as_ref().map(|l| l.get_ref()) {
        None => CHECKPOINT_EVERY,
        Some(Value::String(text)) => text.trim(),
        Some(_) => {
            let steps = section.steps(KEY, leaf, timestep, 1)?;
            return Ok(steps.map_or(CheckpointPlan::Off, CheckpointPlan::Steps));
        }
    };
    let number = |unit: &str| text.strip_suffix(unit)?.trim_end().parse::<f64>().ok();
    let clock = [("min", 60.0), ("h", 3600.0), ("s", 1.0)]
        .iter()
        .find_map(|(unit, seconds)| Some(number(unit)? * seconds));
    let plan = if text == "off" {
        CheckpointPlan::Off
    } else if let Some(seconds) = clock {
        let time = Some(seconds).filter(|s| (SHORTEST_CLOCK..=LONGEST_CLOCK).contains(s));
        let time = time.and_then(|s| Duration::try_from_secs_f64(s).ok());
        CheckpointPlan::Clock(time.ok_or_else(|| {
            section.fault(
                KEY,
                leaf,
                format!("{text:?} is not from 0.001 s to 10000 h"),
            )
        })?)
    } else if let Some(steps) = text.strip_suffix("steps").or(text.strip_suffix("step")) {
        let steps = steps.trim_end().parse().ok();
        let steps = steps.filter(|n| (1..=MOST_STEPS).contains(n));
        CheckpointPlan::Steps(steps.ok_or_else(|| {
            section.fault(
                KEY,
                leaf,
                format!("{text:?} is not a whole number of steps from 1"),
            )
        })?)
    } else {
        let steps = section.steps(KEY, leaf, timestep, 1).map_err(|e| {
            Error::input(format!(
                "{e}; a number of steps (\"5000 steps\"), a simulated time (\"10 ps\"), a time on the \
                 clock (\"30 s\", \"10 min\", \"1 h\"), or \"off\" is wanted"
            ))
        })?;
        return Ok(steps.map_or(CheckpointPlan::Off, CheckpointPlan::Steps));
    };
    section.keep(KEY, leaf, text);
    Ok(plan)
}

/// What the output depends on.
pub(super) struct OutputContext<'p> {
    /// The run file.
    pub source: &'p Path,
    /// Its directory.
    pub base: &'p Path,
    /// What `--out` says.
    pub out: Option<&'p Path>,
    /// How long the run is.
    pub dynamics: &'p DynamicsPlan,
    /// Whether any direction is periodic.
    pub periodic: bool,
    /// How far the run that wrote the structure had come in its thermostat's noise.
    pub noise: Option<NoiseMark>,
}

fn directory(
    section: &mut Section<'_>,
    raw: &raw::Output,
    context: &OutputContext<'_>,
) -> Result<PathBuf> {
    let path = match (context.out, &raw.directory) {
        (Some(out), _) => {
            section.place_at("directory", format!("--out {}", out.display()));
            section.keep("directory", &None, absolute(out));
            return Ok(out.to_path_buf());
        }
        (None, Some(_)) => {
            let text = section.text("directory", &raw.directory, "\"trajectories/my_run\"")?;
            let base = section.base(&raw.directory, context.base);
            join(base, &path_of(text))
        }
        (None, None) => {
            let stem = context.source.file_stem().unwrap_or_default();
            join(context.base, &Path::new("trajectories").join(stem))
        }
    };
    section.keep("directory", &raw.directory, absolute(&path));
    Ok(path)
}

fn trajectory(
    section: &mut Section<'_>,
    raw: &raw::Trajectory,
    context: &OutputContext<'_>,
) -> Result<TrajectoryPlan> {
    let words = [
        ("xyz", TrajectoryFormat::Xyz),
        ("dcd", TrajectoryFormat::Dcd),
        ("xtc", TrajectoryFormat::Xtc),
    ];
    let format = section.choice("format", &raw.format, &words, None)?;
    let Some(every) = section.steps("every", &raw.every, context.dynamics.timestep, 1)? else {
        return Err(section.missing("every", "100 (steps), or \"10 fs\""));
    };
    if every > context.dynamics.steps {
        section.note(
            "every",
            "is more than the run's steps: only the first frame is written",
        );
    }
    let wrap = section.flag("wrap", &raw.wrap, false)?;
    if wrap && !context.periodic {
        return Err(section.fault(
            "wrap",
            &raw.wrap,
            "there is no periodic direction along which to wrap; remove it",
        ));
    }
    let [velocities, forces] = fields(section, &raw.fields)?;
    if (velocities || forces) && format != TrajectoryFormat::Xyz {
        return Err(section.fault(
            "fields",
            &raw.fields,
            "only format = \"xyz\" holds velocities and forces; remove it, or write xyz",
        ));
    }
    Ok(TrajectoryPlan {
        format,
        every,
        wrap,
        velocities,
        forces,
        noise: (context.dynamics.noise(context.noise)).filter(|_| format == TrajectoryFormat::Xyz),
    })
}

/// Whether velocities and forces are asked for.
fn fields(section: &mut Section<'_>, leaf: &raw::Leaf) -> Result<[bool; 2]> {
    const NAMES: [&str; 2] = ["velocities", "forces"];
    let mut wanted = [false; 2];
    let example = "a list is wanted, such as fields = [\"velocities\", \"forces\"]";
    let list = match leaf.as_ref().map(Spanned::get_ref) {
        None => &Vec::new(),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(section.fault("fields", leaf, format!("{other}: {example}"))),
    };
    for item in list {
        let place = item
            .as_str()
            .and_then(|w| NAMES.iter().position(|n| *n == w));
        let Some(place) = place else {
            let why = format!(
                "{item} is not a field; known are \"velocities\" and \"forces\" (positions are always written)"
            );
            return Err(section.fault("fields", leaf, why));
        };
        wanted[place] = true;
    }
    let kept: Vec<Value> = (NAMES.iter().zip(wanted))
        .filter(|(_, w)| *w)
        .map(|(n, _)| Value::from(*n))
        .collect();
    section.keep("fields", leaf, kept);
    Ok(wanted)
}

/// `[monitor]`. Left out, it stops runs that have blown up: a force of 200 eV/A, 10000 K or a contact
/// of 0.4 A is far outside of what any chemistry reaches. Numbers that are not finite always stop it.
pub(super) fn monitor(
    section: &mut Section<'_>,
    raw: &raw::Monitor,
    timestep: f64,
) -> Result<MonitorPlan> {
    let words = [("warn", Action::Warn), ("stop", Action::Stop)];
    Ok(MonitorPlan {
        drift: section.limit("drift", &raw.drift, Dimension::DriftPerAtom, "off")?,
        temperature: section.limit(
            "temperature",
            &raw.temperature,
            Dimension::Temperature,
            "10000 K",
        )?,
        force: section.limit("force", &raw.force, Dimension::Force, "200 eV/A")?,
        contact: section.limit("contact", &raw.contact, Dimension::Length, "0.4 A")?,
        action: section.choice("action", &raw.action, &words, Some("stop"))?,
        audit: audit(section, &raw.audit, timestep)?,
        record: section.flag("record", &raw.record, true)?,
    })
}

/// `monitor.audit`: a word, or a number of steps or a time.
fn audit(section: &mut Section<'_>, leaf: &raw::Leaf, timestep: f64) -> Result<Audit> {
    let word = leaf.as_ref().map_or(Some("auto"), |l| l.get_ref().as_str());
    let known = match word {
        Some(word @ "auto") => Some((word, Audit::Auto)),
        Some(word @ "off") => Some((word, Audit::Off)),
        _ => None,
    };
    if let Some((word, audit)) = known {
        section.keep("audit", leaf, word);
        return Ok(audit);
    }
    let steps = section.steps("audit", leaf, timestep, 1)?;
    Ok(steps.map_or(Audit::Auto, Audit::Every))
}

/// `[device]`.
pub(super) fn device(
    section: &mut Section<'_>,
    raw: &raw::Device,
    potential: &PotentialPlan,
) -> Result<DevicePlan> {
    let kind = kind(section, &raw.kind)?;
    let threads = section.whole("threads", &raw.threads, 1, MOST_THREADS)?;
    if let (Some(_), DeviceKind::Cuda(_)) = (threads, kind) {
        section.note("threads", "has little to do on a GPU");
    }
    let words = [
        ("auto", EngineChoice::Auto),
        ("burn", EngineChoice::Burn),
        ("fused", EngineChoice::Fused),
    ];
    if let PotentialPlan::LennardJones { .. } = potential {
        let why = "chooses how a network is evaluated; Lennard-Jones has none: remove it";
        if raw
            .engine
            .as_ref()
            .is_some_and(|l| l.get_ref().as_str() != Some("auto"))
        {
            return Err(section.fault("engine", &raw.engine, why));
        }
    }
    let engine = section.choice("engine", &raw.engine, &words, Some("auto"))?;
    Ok(DevicePlan {
        kind,
        threads: threads.and_then(|n| usize::try_from(n).ok()),
        engine,
    })
}

/// More threads than any machine has.
const MOST_THREADS: u64 = 4096;

fn kind(section: &mut Section<'_>, leaf: &raw::Leaf) -> Result<DeviceKind> {
    let word = leaf.as_ref().and_then(|l| l.get_ref().as_str());
    if let Some(index) = word.and_then(|w| w.strip_prefix("cuda:")) {
        let Ok(index) = index.parse() else {
            let why =
                format!("{index:?} is not the number of a GPU; write \"cuda:0\" for the first");
            return Err(section.fault("kind", leaf, why));
        };
        section.keep("kind", leaf, word.unwrap_or_default());
        return Ok(DeviceKind::Cuda(index));
    }
    let words = [
        ("auto", DeviceKind::Auto),
        ("cpu", DeviceKind::Cpu),
        ("cuda:0", DeviceKind::Cuda(0)),
        ("cuda", DeviceKind::Cuda(0)),
    ];
    section.choice("kind", leaf, &words, Some("auto"))
}
