//! `[output]`: where and how often, from what is written to what is meant.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Spanned, Value};

use super::keys;
use super::keys::row::MOST_STEPS;
use super::plan::{CheckpointPlan, DynamicsPlan, OutputPlan, TrajectoryFormat, TrajectoryPlan};
use super::raw;
use super::section::Section;
use crate::core::rng::NoiseMark;
use crate::input::path_of;
use crate::paths::{absolute, join};
use crate::{Error, Result};

/// Steps between thermo lines at most, and lines a run has at least, where nothing is said.
const THERMO_EVERY: u64 = 100;

/// Shortest and longest time on the clock between checkpoints (s).
const SHORTEST_CLOCK: f64 = 1e-3;
const LONGEST_CLOCK: f64 = 3.6e7;

/// `[output]`. `out` takes the place of the directory; `periodic` tells whether wrapping means
/// anything.
pub(super) fn output(
    section: &mut Section<'_>,
    raw: &raw::OutputTable,
    context: &OutputContext<'_>,
) -> Result<OutputPlan> {
    let dynamics = context.dynamics;
    let directory = directory(section, raw, context)?;
    let usual = (dynamics.steps / THERMO_EVERY).clamp(1, THERMO_EVERY);
    let key = &keys::output::THERMO_EVERY;
    let thermo_every = section.steps(key, &raw.thermo_every, dynamics.timestep)?;
    if thermo_every.is_none() {
        section.keep(key, &None, i64::try_from(usual).unwrap_or(1));
    }
    let checkpoint = checkpoint_every(section, &raw.checkpoint_every, dynamics.timestep)?;
    let report = section.flag(&keys::output::REPORT, &raw.report)?;
    let view = section.flag(&keys::output::VIEW, &raw.view)?;
    let mut trajectories: Vec<TrajectoryPlan> = Vec::new();
    let mut tables = Vec::new();
    for (k, one) in raw.trajectory.iter().enumerate() {
        let name = keys::output::TRAJECTORY.name;
        let mut inner = section.inner(format!("{name}.{k}"), one.span());
        let plan = trajectory(&mut inner, one.get_ref(), context)?;
        if let Some(first) = trajectories.iter().position(|t| t.format == plan.format) {
            let first = format!("output.{name}.{first}.{}", keys::output::FORMAT.name);
            let place = section.places.get(&first).map_or("", String::as_str);
            let why = format!(
                "is that of {first} ({place}) already; a run writes at most one trajectory of each format: \
                 choose another format, or remove one of the two"
            );
            return Err(inner.fault(&keys::output::FORMAT, &one.get_ref().format, why));
        }
        trajectories.push(plan);
        tables.push(Value::Table(section.absorb(inner)));
    }
    section.keep(&keys::output::TRAJECTORY, &None, tables);
    if trajectories.is_empty() {
        let note = "none is written; the last state will be in final.xyz";
        section.note(&keys::output::TRAJECTORY, note);
    }
    Ok(OutputPlan {
        directory,
        trajectories,
        thermo_every: thermo_every.unwrap_or(usual),
        checkpoint,
        report,
        view,
    })
}

/// `checkpoint_every`: steps, a simulated time, or a time on the clock.
fn checkpoint_every(
    section: &mut Section<'_>,
    leaf: &raw::Leaf,
    timestep: f64,
) -> Result<CheckpointPlan> {
    let key = &keys::output::CHECKPOINT_EVERY;
    let text = match leaf.as_ref().map(|l| l.get_ref()) {
        None => key.absent.value().unwrap_or_default(),
        Some(Value::String(text)) => text.trim(),
        Some(_) => {
            let steps = section.steps(key, leaf, timestep)?;
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
                key,
                leaf,
                format!("{text:?} is not from 0.001 s to 10000 h"),
            )
        })?)
    } else if let Some(steps) = text.strip_suffix("steps").or(text.strip_suffix("step")) {
        let steps = steps.trim_end().parse().ok();
        let steps = steps.filter(|n| (1..=MOST_STEPS).contains(n));
        CheckpointPlan::Steps(steps.ok_or_else(|| {
            section.fault(
                key,
                leaf,
                format!("{text:?} is not a whole number of steps from 1"),
            )
        })?)
    } else {
        let steps = section.steps(key, leaf, timestep).map_err(|e| {
            Error::input(format!(
                "{e}; a number of steps (\"5000 steps\"), a simulated time (\"10 ps\"), a time on the \
                 clock (\"30 s\", \"10 min\", \"1 h\"), or \"off\" is wanted"
            ))
        })?;
        return Ok(steps.map_or(CheckpointPlan::Off, CheckpointPlan::Steps));
    };
    section.keep(key, leaf, text);
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
    raw: &raw::OutputTable,
    context: &OutputContext<'_>,
) -> Result<PathBuf> {
    let key = &keys::output::DIRECTORY;
    let path = match (context.out, &raw.directory) {
        (Some(out), _) => {
            section.place_at(key, format!("--out {}", out.display()));
            section.keep(key, &None, absolute(out));
            return Ok(out.to_path_buf());
        }
        (None, Some(_)) => {
            let text = section.text(key, &raw.directory)?;
            let base = section.base(&raw.directory, context.base);
            join(base, &path_of(text))
        }
        (None, None) => {
            let stem = context.source.file_stem().unwrap_or_default();
            join(context.base, &Path::new("trajectories").join(stem))
        }
    };
    section.keep(key, &raw.directory, absolute(&path));
    Ok(path)
}

fn trajectory(
    section: &mut Section<'_>,
    raw: &raw::TrajectoryTable,
    context: &OutputContext<'_>,
) -> Result<TrajectoryPlan> {
    use keys::output::{EVERY, FIELDS, FORMAT, WRAP};
    let format = section.choice(&FORMAT, &raw.format)?;
    let Some(every) = section.steps(&EVERY, &raw.every, context.dynamics.timestep)? else {
        return Err(section.missing(&EVERY, "100 (steps), or \"10 fs\""));
    };
    if every > context.dynamics.steps {
        let note = "is more than the run's steps: only the first frame is written";
        section.note(&EVERY, note);
    }
    let wrap = section.flag(&WRAP, &raw.wrap)?;
    if wrap && !context.periodic {
        let why = "there is no periodic direction along which to wrap; remove it";
        return Err(section.misfit(&WRAP, &raw.wrap, why));
    }
    let [velocities, forces] = fields(section, &raw.fields)?;
    if (velocities || forces) && format != TrajectoryFormat::Xyz {
        let why = "only format = \"xyz\" holds velocities and forces; remove it, or write xyz";
        return Err(section.fault(&FIELDS, &raw.fields, why));
    }
    Ok(TrajectoryPlan {
        format,
        every,
        wrap,
        velocities,
        forces,
        noise: (context.dynamics.noise(context.noise)).filter(|_| format == TrajectoryFormat::Xyz),
        stage: None,
    })
}

/// Whether velocities and forces are asked for.
fn fields(section: &mut Section<'_>, leaf: &raw::Leaf) -> Result<[bool; 2]> {
    const NAMES: [&str; 2] = ["velocities", "forces"];
    let key = &keys::output::FIELDS;
    let mut wanted = [false; 2];
    let example = "a list is wanted, such as fields = [\"velocities\", \"forces\"]";
    let list = match leaf.as_ref().map(Spanned::get_ref) {
        None => &Vec::new(),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(section.fault(key, leaf, format!("{other}: {example}"))),
    };
    for item in list {
        let place = item
            .as_str()
            .and_then(|w| NAMES.iter().position(|n| *n == w));
        let Some(place) = place else {
            let why = format!(
                "{item} is not a field; known are \"velocities\" and \"forces\" (positions are always written)"
            );
            return Err(section.fault(key, leaf, why));
        };
        wanted[place] = true;
    }
    let kept: Vec<Value> = (NAMES.iter().zip(wanted))
        .filter(|(_, w)| *w)
        .map(|(n, _)| Value::from(*n))
        .collect();
    section.keep(key, leaf, kept);
    Ok(wanted)
}
