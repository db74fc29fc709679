//! What is shown of a run, in lines.

use std::time::Duration;

use super::chart::{self, Glyphs};
use super::followed::{FollowedRun, WatchedRecord, WatchedStage};
use super::members::STAGES;
use super::table::COURSES;
use crate::report::Status;
use crate::terminal::{Mood, Terminal, shown};
use crate::text::{counted, duration, significant};
use crate::units::{FEMTOSECOND, PICOSECOND, ns_per_day};

/// Columns of the picture at most.
const MOST_COLUMNS: usize = 80;
/// Columns of the labels beside a chart.
const LABEL: usize = 11;
/// Rows of a chart at most.
const MOST_CHART_ROWS: usize = 5;
/// Failed members that are named.
const NAMED: usize = 4;

/// The room that there is, and what to draw with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Canvas {
    pub columns: usize,
    pub rows: usize,
    pub glyphs: Glyphs,
    pub colour: bool,
}

impl Canvas {
    /// A line cut to the room that there is; what terminals obey is shown, not sent.
    fn cut(&self, text: &str) -> String {
        let text = shown(text);
        let room = self.width();
        match text.chars().count() > room {
            true => text.chars().take(room).collect(),
            false => text.into_owned(),
        }
    }

    /// Sentences broken between words; commands stay in one piece, wherever they end.
    fn fit(&self, sentences: &[String]) -> Vec<String> {
        let terminal = Terminal {
            width: Some(self.width()),
            colour: false,
        };
        let fitted = sentences.iter().map(|text| terminal.fit(&shown(text)));
        fitted
            .flat_map(|text| text.split('\n').map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    fn paint(&self, mood: Mood, text: &str) -> String {
        let terminal = Terminal {
            width: None,
            colour: self.colour,
        };
        terminal.paint(mood, text)
    }

    fn width(&self) -> usize {
        self.columns.min(MOST_COLUMNS)
    }
}

/// Where a run is, in words, and how that is to be taken.
pub(super) fn standing(run: &FollowedRun) -> (String, Mood) {
    match run.stage() {
        WatchedStage::NotBegun => ("has not begun".to_owned(), Mood::Doubt),
        WatchedStage::SettingUp => ("is being set up".to_owned(), Mood::Doubt),
        WatchedStage::Running => ("running".to_owned(), Mood::Good),
        WatchedStage::Busy(status) => (
            format!("{}, and a process is at work in it", ended(status)),
            Mood::Doubt,
        ),
        WatchedStage::Ended(Status::Failed) => ("failed".to_owned(), Mood::Bad),
        WatchedStage::Ended(Status::Interrupted) => ("interrupted".to_owned(), Mood::Doubt),
        WatchedStage::Ended(_) => ("complete".to_owned(), Mood::Good),
        WatchedStage::Died => ("has died".to_owned(), Mood::Bad),
    }
}

fn ended(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Complete => "complete",
        Status::Interrupted => "interrupted",
        Status::Failed => "failed",
    }
}

/// Steps taken and steps in all, of all members together.
fn steps(run: &FollowedRun) -> Option<[u64; 2]> {
    let record = run.record()?;
    let each = record.steps()?;
    let all = each.saturating_mul(record.members.unwrap_or(1).max(1));
    Some([done(run, each).min(all), all])
}

/// Steps that are behind: those taken, and those that members that have ended will not take.
fn done(run: &FollowedRun, each: u64) -> u64 {
    let taken = run.table().steps();
    if taken.is_empty() {
        return run.table().progress();
    }
    let mut taken = taken.to_vec();
    for &member in &run.members().ended {
        if let Some(steps) = taken.get_mut(member) {
            *steps = each;
        }
    }
    taken.iter().sum()
}

/// How far it has come, in hundredths.
fn percent([taken, all]: [u64; 2]) -> u64 {
    match all {
        0 => 100,
        _ => (taken as f64 / all as f64 * 100.0) as u64,
    }
}

/// The speed, and the time that is left while it runs.
fn pace(run: &FollowedRun) -> Option<String> {
    let record = run.record()?;
    let rate = run.pace().steps_per_second()?;
    let mut parts = Vec::new();
    if let (None, Some(timestep)) = (record.members, record.timestep()) {
        let speed = ns_per_day(rate, timestep);
        parts.push(format!("{} ns/day", significant(speed, 3)));
    }
    parts.push(format!("{} steps/s", significant(rate, 3)));
    if let (WatchedStage::Running, Some([taken, all])) = (run.stage(), steps(run)) {
        let left = (all - taken) as f64 / rate;
        let left = Duration::try_from_secs_f64(left).ok()?;
        parts.push(format!("{} left", duration(left)));
    }
    Some(parts.join(", "))
}

/// The newest values, each with its name and unit.
fn values(run: &FollowedRun) -> Vec<String> {
    let table = run.table();
    let columns = [
        ("T", "temperature_k", "K", 1),
        ("P", "pressure_bar", "bar", 0),
        ("density", "density_g_cm3", "g/cm3", 4),
        ("E_pot", "potential_energy_ev", "eV", 4),
        ("E_conserved", "conserved_energy_ev", "eV", 4),
        ("spread", "force_spread_ev_a", "eV/A", 4),
    ];
    let value = |&(name, column, unit, decimals): &(&str, &str, &str, usize)| {
        let value = table.value(column)?;
        Some(format!("{name} {value:.decimals$} {unit}"))
    };
    columns.iter().filter_map(value).collect()
}

fn drift(run: &FollowedRun) -> Option<String> {
    let table = run.table();
    let drift = table.value("drift_mev_per_atom_ps")?;
    let error = table.value("drift_stderr_mev_per_atom_ps");
    let error = error.map_or_else(String::new, |error| {
        format!(" +- {}", significant(error, 2))
    });
    Some(format!(
        "drift {}{error} meV/atom/ps",
        significant(drift, 3)
    ))
}

/// What is said where no run has begun yet.
fn no_run(run: &FollowedRun) -> String {
    let place = run.directory().display();
    format!(
        "there is no run in {place} yet: mdrun CONFIG.toml begins one, where the run file says that it writes there"
    )
}

/// Everything in one line, for where lines follow each other.
pub(super) fn line(run: &FollowedRun) -> String {
    let mut parts = vec![standing(run).0];
    if run.record().is_none() {
        parts.push(no_run(run));
    }
    if run.table().lines() > 0 {
        if let Some([taken, all]) = steps(run) {
            let percent = percent([taken, all]);
            parts.push(format!("step {taken} of {all} ({percent} %)"));
        }
        let is_one = run.table().steps().is_empty();
        if let Some(time) = run.table().value("time_fs").filter(|_| is_one) {
            parts.push(format!(
                "{} ps",
                significant(time * FEMTOSECOND / PICOSECOND, 4)
            ));
        }
        if is_one {
            parts.extend(values(run));
            parts.extend(drift(run));
        }
        parts.extend(members(run));
    }
    if run.stage() == WatchedStage::Running {
        parts.extend(pace(run));
    }
    shown(&parts.join(", ")).into_owned()
}

/// How many members are where.
fn members(run: &FollowedRun) -> Option<String> {
    let total = run.record()?.members?;
    let counts = run.members().counts;
    let known: u64 = counts.iter().sum();
    if known == 0 {
        let begun = run.table().steps().len();
        return Some(format!("{}, {begun} begun", counted(total, "member")));
    }
    let parts = STAGES.iter().zip(counts).filter(|(_, count)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(stage, count)| format!("{count} {stage}"))
        .collect();
    Some(format!(
        "{}: {}",
        counted(total, "member"),
        parts.join(", ")
    ))
}

/// What the run is: atoms and dynamics.
fn what(record: &WatchedRecord) -> String {
    let mut parts = match record.members {
        None => vec![format!(
            "{}, {}",
            record.formula,
            counted(record.atoms, "atom")
        )],
        Some(members) => vec![format!(
            "{}, {}",
            counted(members, "member"),
            counted(record.atoms, "atom")
        )],
    };
    let dynamics = ["ensemble", "temperature", "pressure", "timestep"]
        .iter()
        .filter_map(|key| record.text("dynamics", key));
    let dynamics: Vec<&str> = dynamics.collect();
    parts.push(dynamics.join(" "));
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

/// The picture of a run as it stands: at most 80 columns and as many rows as there are.
pub(super) fn picture(run: &FollowedRun, canvas: Canvas) -> Vec<String> {
    let mut lines = vec![heading(run, canvas)];
    let Some(record) = run.record() else {
        lines.extend(canvas.fit(&[no_run(run)]));
        return lines;
    };
    lines.push(canvas.cut(&what(record)));
    if !record.engine.is_empty() {
        lines.extend(canvas.fit(std::slice::from_ref(&record.engine)));
    }
    if let Some(steps) = steps(run) {
        lines.push(bar(run, steps, canvas));
    }
    lines.extend(pace(run).map(|pace| canvas.cut(&format!("speed {pace}"))));
    if record.members.is_some() {
        lines.extend(members(run).map(|members| canvas.cut(&members)));
        lines.extend(failed(run).iter().map(|line| canvas.cut(line)));
    } else {
        let values = values(run);
        lines.extend(values.chunks(3).map(|some| canvas.cut(&some.join("   "))));
        lines.extend(drift(run).map(|drift| canvas.cut(&drift)));
    }
    let outcome = canvas.fit(&outcome(run));
    if record.members.is_none() {
        let room = canvas.rows.saturating_sub(lines.len() + outcome.len());
        lines.extend(charts(run, canvas, room));
    }
    lines.extend(outcome);
    lines
}

/// The directory, and where the run is.
fn heading(run: &FollowedRun, canvas: Canvas) -> String {
    let (words, mood) = standing(run);
    let words = canvas.cut(&words);
    let place = run.directory().display().to_string();
    let place = shown(&place);
    let room = canvas.width().saturating_sub(words.chars().count() + 2);
    let length = place.chars().count();
    // The end of a long path tells more than its beginning.
    let place: String = match length > room {
        true => place.chars().skip(length - room).collect(),
        false => place.into_owned(),
    };
    let gap = " ".repeat(2 + room - place.chars().count());
    format!("{place}{gap}{}", canvas.paint(mood, &words))
}

/// How far it has come, as a bar and in numbers.
fn bar(run: &FollowedRun, steps: [u64; 2], canvas: Canvas) -> String {
    let percent = percent(steps);
    let mut numbers = format!(" {percent} %  step {} of {}", steps[0], steps[1]);
    let is_one = run.table().steps().is_empty();
    if let Some(time) = run.table().value("time_fs").filter(|_| is_one) {
        numbers += &format!("  {} ps", significant(time * FEMTOSECOND / PICOSECOND, 4));
    }
    let room = canvas.width().saturating_sub(numbers.chars().count());
    let full = (room as u64 * percent / 100) as usize;
    let [done, left] = canvas.glyphs.bar();
    let bar: String = (0..room)
        .map(|k| if k < full { done } else { left })
        .collect();
    canvas.cut(&format!("{bar}{numbers}"))
}

/// Members that have failed, some by name.
fn failed(run: &FollowedRun) -> Vec<String> {
    let failed = &run.members().failed;
    let mut lines: Vec<String> = (failed.iter().take(NAMED))
        .map(|[index, name, remark]| format!("failed: member {index} ({name}): {remark}"))
        .collect();
    if failed.len() > NAMED {
        lines.push(format!("and {} more that failed", failed.len() - NAMED));
    }
    lines
}

/// The charts of energies, where there are so many lines for them.
fn charts(run: &FollowedRun, canvas: Canvas, room: usize) -> Vec<String> {
    // Each has a title, and one axis is below all.
    let rows = room.saturating_sub(1 + COURSES.len()) / COURSES.len();
    let rows = rows.min(MOST_CHART_ROWS);
    let columns = canvas.width().saturating_sub(LABEL + 2);
    let points = run.table().course(0);
    let (Some([first, ..]), Some([last, ..])) = (points.first(), points.last()) else {
        return Vec::new();
    };
    if rows < 2 || columns < 10 || points.len() < 2 {
        return Vec::new();
    }
    let atoms = run.record().map_or(1, |record| record.atoms.max(1)) as f64;
    let mut lines = Vec::new();
    for (k, name) in COURSES.iter().enumerate() {
        let start = run.table().first(name).unwrap_or(0.0);
        let (title, unit) = match k {
            0 => ("conserved energy, less its first value", "meV/atom"),
            _ => ("potential energy", "eV"),
        };
        let mut points = run.table().course(k);
        if k == 0 {
            let part = |energy: f64| (energy - start) / atoms * 1000.0;
            points
                .iter_mut()
                .for_each(|point| point[1] = part(point[1]));
        }
        lines.push(canvas.cut(&format!("{title} ({unit})")));
        lines.extend(beside(&points, [columns, rows], canvas));
    }
    let ends = [first, last].map(|time| {
        let time = significant(time * FEMTOSECOND / PICOSECOND, 4);
        format!("{time} ps")
    });
    let gap = columns.saturating_sub(ends[0].len() + ends[1].len());
    let axis = format!(
        "{}  {}{}{}",
        " ".repeat(LABEL),
        ends[0],
        " ".repeat(gap),
        ends[1]
    );
    lines.push(canvas.cut(&axis));
    lines
}

/// A chart with its range beside it.
fn beside(points: &[[f64; 2]], size: [usize; 2], canvas: Canvas) -> Vec<String> {
    let Some(range) = chart::range(points) else {
        return Vec::new();
    };
    let drawn = chart::chart(points, range, size, canvas.glyphs);
    let labels = range.map(|value| label(value, range));
    let last = drawn.len().saturating_sub(1);
    let edge = canvas.glyphs.edge();
    let lines = drawn.iter().enumerate().map(|(row, line)| {
        let label = match row {
            0 => &labels[1],
            _ if row == last => &labels[0],
            _ => "",
        };
        format!("{label:>LABEL$} {edge}{line}")
    });
    lines.collect()
}

/// A value of a range with as many digits as tell its ends apart, as far as there is room for them.
fn label(value: f64, [least, most]: [f64; 2]) -> String {
    let width = (most - least).abs().max(value.abs() * 1e-9).max(1e-300);
    let decimals = (2.0 - width.log10().floor()).clamp(0.0, 9.0) as usize;
    let texts = (0..=decimals).rev().map(|count| format!("{value:.count$}"));
    let fitting = texts.into_iter().find(|text| text.len() <= LABEL);
    fitting.unwrap_or_else(|| format!("{value:.3e}"))
}

/// How it ended, and what may be done about it.
pub(super) fn outcome(run: &FollowedRun) -> Vec<String> {
    let summary = run.record().and_then(|record| record.summary.as_ref());
    let said = |key: &str| summary.and_then(|summary| summary.get(key)?.as_str());
    let go_on = || format!("go on with `{}`", run.command_to_go_on());
    match run.stage() {
        WatchedStage::Ended(status) => {
            let mut lines = Vec::new();
            lines.extend(said("stopped_by").map(|why| format!("stopped by {why}")));
            lines.extend(said("verdict").map(str::to_owned));
            if status == Status::Interrupted {
                lines.push(go_on());
            }
            lines
        }
        WatchedStage::Died => vec![
            "its record says that it is running, and no process is at work in its directory"
                .to_owned(),
            go_on(),
        ],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_the_ends_of_a_range_apart_and_fit() {
        for (range, labels) in [
            [-4_209.888_9, -4_209.888_1],
            [0.0, 0.000_012],
            [-1.5e-7, 2.5e-7],
            [-1e12, 2e12],
            [3.0, 3.0],
        ]
        .map(|range: [f64; 2]| (range, range.map(|value| label(value, range))))
        {
            assert!(labels.iter().all(|text| text.len() <= LABEL), "{labels:?}");
            assert!(range[0] == range[1] || labels[0] != labels[1], "{labels:?}");
        }
    }

    #[test]
    fn hundredths_are_whole_and_never_too_many() {
        for (steps, right) in [
            ([0, 10], 0),
            ([199, 200], 99),
            ([200, 200], 100),
            ([0, 0], 100),
        ] {
            assert_eq!(percent(steps), right);
        }
    }
}
