//! The page of one run.

use std::path::Path;

use serde_json::Value;

use super::facts::RunFacts;
use super::{DrawnState, RunOverview};
use crate::plot::{escaped, page};
use crate::report::{OriginFile, Status};
use crate::text::{counted, duration, trimmed};
use crate::units::FEMTOSECOND;

/// Most letters of the run file, and of what was told on the way, that are shown.
const MOST_LETTERS: usize = 100_000;
const MOST_REMARKS: usize = 60;
/// Digits of a hash that are shown.
const DIGITS: usize = 16;

/// The page of a run.
pub fn html(run: &RunOverview, states: &[DrawnState]) -> String {
    let mut body = opening(&run.facts);
    body += "<h2>Course</h2>\n";
    match &run.course {
        Ok(course) if !course.whole => {
            body += "<p class=\"about\">thermo.csv is long: what is drawn is from stretches that lie evenly in it</p>\n";
        }
        Ok(_) => {}
        Err(why) => body += &format!("<p class=\"bad\">{}</p>\n", escaped(why)),
    }
    body += "<div class=\"plots\">\n";
    body.extend(run.plots().iter().map(|told| told.figure()));
    body += "</div>\n<h2>Atoms</h2>\n<div class=\"plots\">\n";
    for (k, state) in states.iter().enumerate() {
        body += &picture(state, &format!("p{k}"));
    }
    body += "</div>\n<h2>Figures</h2>\n";
    body += &rows(&figures(run));
    body += &closing(&run.facts, &run.directory);
    page::html(&format!("Run {}", run.name), &body)
}

/// What was run, how it ended, and what it told.
pub(super) fn opening(facts: &RunFacts) -> String {
    let about = about(facts).join("<br>\n");
    format!("<p class=\"about\">{about}</p>\n{}", verdict(facts))
}

/// What it was made with, and its run file.
pub(super) fn closing(facts: &RunFacts, directory: &Path) -> String {
    let mut out = format!("<h2>Made with</h2>\n{}", rows(&origins(facts, directory)));
    if let Some(text) = facts.run_file() {
        out += &format!(
            "<h2>Run file</h2>\n<p class=\"about\">as it was resolved: every default is filled in</p>\n<pre>{}</pre>\n",
            escaped(&shortened(&text, MOST_LETTERS))
        );
    }
    out
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}\n\u{2026} (run.json has all of it)", &text[..end]),
    }
}

/// Lines on what was run.
fn about(facts: &RunFacts) -> Vec<String> {
    let ensemble = facts.ensemble().to_uppercase();
    let timestep = facts
        .timestep()
        .map(|step| format!(", steps of {} fs", trimmed(step / FEMTOSECOND, 4)));
    let mut lines = vec![format!(
        "{}: {}, {ensemble}{}",
        facts.formula,
        counted(facts.atoms, "atom"),
        timestep.unwrap_or_default()
    )];
    lines.push(match (&facts.started, &facts.ended) {
        (Some(started), Some(ended)) => format!("begun {started}, ended {ended}"),
        (Some(started), None) => format!("begun {started}"),
        _ => String::new(),
    });
    if !facts.resumed_from.is_empty() {
        let all = facts.resumed_from.iter();
        let steps: Vec<String> = all.map(|from| from.step.to_string()).collect();
        lines.push(format!("gone on with from step {}", steps.join(", ")));
    }
    lines.retain(|line| !line.is_empty());
    lines.iter().map(|line| escaped(line)).collect()
}

/// How it ended, whether the energy was conserved, and what it told on the way.
fn verdict(facts: &RunFacts) -> String {
    let steps = facts
        .figure("steps")
        .map_or_else(String::new, |steps| counted(steps as u64, "step"));
    let (class, status) = match facts.status {
        Some(Status::Complete) => ("good", format!("Complete: {steps}.")),
        Some(Status::Interrupted) => ("", format!("Interrupted after {steps}.")),
        Some(Status::Failed) => ("bad", format!("Stopped after {steps}.")),
        _ => ("", "Going on, or killed: it has not ended.".to_owned()),
    };
    let mut out = format!("<p class=\"{class}\"><b>{status}</b></p>\n");
    let mut say = |class: &str, text: &str| {
        out += &format!("<p class=\"{class}\">{}</p>\n", typeset(text));
    };
    if let (Some(reason), Some(Status::Failed | Status::Interrupted)) =
        (facts.words("stopped_by"), facts.status)
    {
        say("", &format!("Stopped by: {reason}"));
    }
    if let Some(verdict) = facts.words("verdict") {
        let class = match facts.summary.get("energy_conserved") {
            Some(Value::Bool(true)) => "good",
            Some(Value::Bool(false)) => "bad",
            _ => "",
        };
        say(class, verdict);
    }
    if let Some(found) = facts.diagnosis.get("verdict").and_then(Value::as_str) {
        say("bad", &format!("Diagnosis: {found}"));
    }
    let reason = facts.words("stopped_by").unwrap_or("");
    let known = |remark: &&String| remark.strip_prefix("error: ") != Some(reason);
    let remarks = facts.remarks.iter().flatten().filter(known);
    let remarks: Vec<&String> = remarks.take(MOST_REMARKS).collect();
    if !remarks.is_empty() {
        out += "<p>What it told on the way:</p>\n<ul>\n";
        for remark in remarks {
            let bad = remark.starts_with("warning") || remark.starts_with("error");
            let class = if bad { " class=\"bad\"" } else { "" };
            out += &format!("<li{class}>{}</li>\n", escaped(&shortened(remark, 2000)));
        }
        out += "</ul>\n";
    }
    out
}

/// A picture of a state.
fn picture(state: &DrawnState, tag: &str) -> String {
    let title = escaped(&state.title);
    match &state.portrait {
        Err(why) => format!(
            "<figure>\n<figcaption>{title}</figcaption>\n<p class=\"about\">There is no picture of it: {}</p>\n</figure>\n",
            escaped(why)
        ),
        Ok(portrait) => {
            let picture = portrait.draw(tag);
            format!(
                "<figure>\n<figcaption>{title}</figcaption>\n{}<p class=\"about\">{}</p>\n</figure>\n",
                picture.svg,
                escaped(&picture.words)
            )
        }
    }
}

/// Text as it stands in HTML, with the signs that terminals may lack.
pub(super) fn typeset(text: &str) -> String {
    let text = escaped(text).replace(" +- ", " \u{b1} ");
    text.replace("A^3", "\u{c5}\u{b3}")
        .replace("cm^3", "cm\u{b3}")
}

/// A table of names and what they are.
pub(super) fn rows(all: &[(String, String)]) -> String {
    let row = |(name, value): &(String, String)| {
        format!(
            "<tr><th>{}</th><td>{}</td></tr>\n",
            escaped(name),
            typeset(value)
        )
    };
    let rows: String = all.iter().map(row).collect();
    format!("<div class=\"scroll\"><table class=\"facts\"><tbody>\n{rows}</tbody></table></div>\n")
}

/// A number with its error, in a unit.
fn with_error(run: &RunOverview, [key, error]: [&str; 2], unit: &str) -> Option<String> {
    let value = run.facts.figure(key)?;
    let told = crate::report::series::Estimate {
        value,
        error: run.facts.figure(error).unwrap_or(0.0),
        converged: true,
    };
    Some(format!("{} {unit}", told.text()))
}

/// What the closing summary says, in figures.
pub(super) fn figures(run: &RunOverview) -> Vec<(String, String)> {
    let facts = &run.facts;
    let mut all: Vec<(String, Option<String>)> = Vec::new();
    let plain = |key: &str, digits: usize, unit: &str| {
        let value = facts.figure(key)?;
        Some(format!("{} {unit}", trimmed(value, digits)))
    };
    let mut put = |name: &str, value: Option<String>| all.push((name.to_owned(), value));
    put(
        "steps",
        facts
            .figure("steps")
            .map(|steps| (steps as u64).to_string()),
    );
    put("simulated", plain("simulated_ps", 6, "ps"));
    put(
        "time of the steps",
        facts
            .figure("elapsed_s")
            .and_then(|s| std::time::Duration::try_from_secs_f64(s).ok())
            .map(duration),
    );
    put(
        "speed",
        plain("steps_per_second", 4, "steps/s")
            .zip(plain("ns_per_day", 4, "ns/day"))
            .map(|(steps, time)| format!("{steps}, {time}")),
    );
    for (name, key, unit) in [
        ("temperature", "temperature_k", "K"),
        ("pressure", "pressure_bar", "bar"),
        ("volume", "volume_a3", "A^3"),
        ("density", "density_g_cm3", "g/cm^3"),
        ("potential energy", "potential_energy_ev", "eV"),
        ("kinetic energy", "kinetic_energy_ev", "eV"),
        ("total energy", "total_energy_ev", "eV"),
        ("spread of forces", "force_spread_ev_a", "eV/A"),
    ] {
        let (stem, tail) = split(key);
        let keys = [
            format!("mean_{stem}{tail}"),
            format!("mean_{stem}_stderr{tail}"),
        ];
        put(name, with_error(run, [&keys[0], &keys[1]], unit));
    }
    let drift = ["energy_drift_mev_per_atom_ps", "energy_drift_stderr"];
    put("energy drift", with_error(run, drift, "meV/atom/ps"));
    put(
        "largest drift of a conserved energy",
        plain("energy_drift_limit_mev_per_atom_ps", 3, "meV/atom/ps"),
    );
    put(
        "drift over the run, in standard deviations of the kinetic energy",
        plain("drift_over_std_ekin", 3, ""),
    );
    put(
        "fluctuation of what should be conserved",
        plain("energy_fluctuation_mev_per_atom", 3, "meV/atom"),
    );
    put(
        "largest difference of a force from f64",
        plain("largest_force_error_ev_a", 3, "eV/A"),
    );
    put(
        "momentum at the end",
        plain("momentum_u_a_per_fs", 2, "u A/fs"),
    );
    (all.into_iter())
        .filter_map(|(name, value)| Some((name, value?.trim_end().to_owned())))
        .collect()
}

/// A name of the summary before its unit, and the unit.
fn split(key: &str) -> (&str, &str) {
    let units = ["_k", "_bar", "_a3", "_g_cm3", "_ev_a", "_ev"];
    let unit = units.into_iter().find(|unit| key.ends_with(unit));
    key.split_at(key.len() - unit.map_or(0, str::len))
}

fn file(origin: &OriginFile) -> String {
    let hash = origin.sha256.get(..DIGITS).unwrap_or(&origin.sha256);
    format!("{} (SHA-256 {hash}\u{2026})", origin.path.display())
}

/// What it was made with: model, structure, versions, device.
pub(super) fn origins(facts: &RunFacts, directory: &Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            all.push((name.to_owned(), value));
        }
    };
    for model in facts.models() {
        put("model", file(&model));
    }
    put(
        "structure",
        facts.structure.as_ref().map_or_else(String::new, file),
    );
    let config = facts.config_file.as_ref();
    put(
        "run file",
        config.map_or_else(String::new, |path| path.display().to_string()),
    );
    put("directory", directory.display().to_string());
    put("engine", facts.engine.clone());
    put("device", facts.device.clone());
    if facts.threads > 0 {
        put("threads", facts.threads.to_string());
    }
    let listed = |map: &serde_json::Map<String, Value>| {
        let each = map.iter().map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            other => format!("{name} {other}"),
        });
        each.collect::<Vec<_>>().join(", ")
    };
    put("seeds", listed(&facts.seeds));
    put("versions", listed(&facts.versions));
    all
}
