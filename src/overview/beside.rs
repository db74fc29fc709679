//! One page for several runs: their courses over each other, their figures in columns, and what differs in how they were made.

use std::collections::BTreeMap;

use serde_json::Value;

use super::RunOverview;
use super::course::RunCourse;
use super::page::{figures, origins, typeset};
use super::plots::{ToldPlot, speed, speed_plot};
use crate::analysis::kinetic_energy::KineticHistogram;
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries, escaped, page};
use crate::units::MILLIELECTRONVOLT;

/// Most runs that one page has side by side: so many names find room beside a plot.
pub const MOST_RUNS: usize = 16;
/// Letters of a value in the table of settings.
const LETTERS: usize = 200;

/// The page of several runs.
pub fn html(runs: &[RunOverview]) -> String {
    let names = labels(runs);
    let mut body = String::from("<div class=\"scroll\"><table class=\"facts\"><tbody>\n");
    for (name, run) in names.iter().zip(runs) {
        body += &format!(
            "<tr><th>{}</th><td>{}</td><td>{}</td></tr>\n",
            escaped(name),
            escaped(&run.directory.display().to_string()),
            typeset(run.facts.words("verdict").unwrap_or("has not ended"))
        );
    }
    body += "</tbody></table></div>\n<h2>Courses</h2>\n";
    for run in runs {
        if let Err(why) = &run.course {
            body += &format!("<p class=\"bad\">{}</p>\n", escaped(why));
        }
    }
    body += "<div class=\"plots\">\n";
    body.extend(together(runs, &names).iter().map(|told| told.figure()));
    body += "</div>\n<h2>Figures</h2>\n";
    body += &table(&names, &gathered(runs, figures), false);
    body += "<h2>What differs in how they were made</h2>\n";
    let settings = gathered(runs, settings);
    body += &match settings.values().any(|row| differ(row)) {
        true => table(&names, &settings, true),
        false => "<p>Nothing but their directories.</p>\n".to_owned(),
    };
    page::html(&format!("{} runs side by side", runs.len()), &body)
}

/// What runs are called: the names of their directories, with a number where two are called alike.
fn labels(runs: &[RunOverview]) -> Vec<String> {
    let label = |(k, run): (usize, &RunOverview)| {
        let alike = runs.iter().filter(|other| other.name == run.name).count();
        match alike {
            1 => run.name.clone(),
            _ => format!("{} {}", k + 1, run.name),
        }
    };
    runs.iter().enumerate().map(label).collect()
}

/// The plots of all runs together.
pub fn together(runs: &[RunOverview], names: &[String]) -> Vec<ToldPlot> {
    let courses: Vec<(usize, &RunCourse)> = (runs.iter().enumerate())
        .filter_map(|(k, run)| Some((k, run.course.as_ref().ok()?)))
        .collect();
    let end = courses.iter().map(|(_, course)| course.end());
    let (unit, time) = RunCourse::time_unit(end.fold(0.0, f64::max));
    let overlaid = |title: &str, y: &str, column: &str, per_atom: bool| {
        let mut series = Vec::new();
        for (k, course) in &courses {
            let first = course.first(column).unwrap_or(0.0);
            let atoms = runs[*k].facts.atoms.max(1) as f64;
            let turned = |value: f64| match per_atom {
                true => (value - first) / atoms / MILLIELECTRONVOLT,
                false => value,
            };
            if course.has(column) {
                let drawn = course.traced(column, (&names[*k], k + 1), unit, turned);
                // Ranges of several runs would hide each other.
                series.extend(drawn.into_iter().filter(|one| one.drawn == Drawn::Line));
            }
        }
        let plot = Plot {
            title: title.to_owned(),
            x: PlotAxis::close(format!("time ({time})")),
            y: PlotAxis::close(y),
            series,
        };
        (!plot.series.is_empty()).then_some(ToldPlot {
            plot,
            notes: Vec::new(),
        })
    };
    let change = "change from the start (meV/atom)";
    let mut all: Vec<ToldPlot> = [
        overlaid(
            "What should be conserved",
            change,
            "conserved_energy_ev",
            true,
        ),
        overlaid("Potential energy", change, "potential_energy_ev", true),
        overlaid("Temperature", "temperature (K)", "temperature_k", false),
        overlaid("Pressure", "pressure (bar)", "pressure_bar", false),
        overlaid("Density", "density (g/cm^3)", "density_g_cm3", false),
    ]
    .into_iter()
    .flatten()
    .collect();
    all.extend(distributions(&courses, names));
    let speeds: Vec<PlotSeries> = (runs.iter().enumerate())
        .filter_map(|(k, run)| {
            let mut series = speed(&run.facts, &names[k], unit)?;
            series.colour = k + 1;
            Some(series)
        })
        .collect();
    if !speeds.is_empty() {
        all.push(speed_plot(speeds, time));
    }
    all
}

/// Distributions of the temperature, each from equilibrium on, as lines.
fn distributions(courses: &[(usize, &RunCourse)], names: &[String]) -> Option<ToldPlot> {
    let series: Vec<PlotSeries> = (courses.iter())
        .filter_map(|(k, course)| {
            let (kelvins, _) = course.temperatures(course.equilibrium());
            let found = KineticHistogram::of(&kelvins, None)?;
            Some(PlotSeries {
                name: names[*k].clone(),
                colour: k + 1,
                points: found.points(),
                drawn: Drawn::Line,
            })
        })
        .collect();
    let mut told = ToldPlot {
        plot: Plot {
            title: "Distribution of the temperature".to_owned(),
            x: PlotAxis::close("temperature (K)"),
            y: PlotAxis::linear("probability density (1/K)"),
            series,
        },
        notes: Vec::new(),
    };
    told.notes
        .push("each from where it has come to equilibrium on".to_owned());
    (!told.plot.series.is_empty()).then_some(told)
}

/// Rows of a table, by name: a value for each run.
type Gathered = BTreeMap<(usize, String), Vec<String>>;

/// The rows that runs have, in the order in which they come first.
fn gathered(
    runs: &[RunOverview],
    rows: impl Fn(&RunOverview) -> Vec<(String, String)>,
) -> Gathered {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut all = Gathered::new();
    for (k, run) in runs.iter().enumerate() {
        for (name, value) in rows(run) {
            let next = places.len();
            let place = *places.entry(name.clone()).or_insert(next);
            let row = all.entry((place, name)).or_default();
            row.resize(runs.len(), String::new());
            let cell = &mut row[k];
            // A committee has several models.
            if !cell.is_empty() {
                cell.push_str(", ");
            }
            cell.push_str(&value);
        }
    }
    all
}

fn differ(row: &[String]) -> bool {
    row.windows(2).any(|two| two[0] != two[1])
}

/// A table with a column for each run; with `differing`, of the rows that are not the same in all.
fn table(names: &[String], rows: &Gathered, differing: bool) -> String {
    let cell = |tag: &str, text: &str| format!("<{tag}>{}</{tag}>", typeset(text));
    let head: String = names.iter().map(|name| cell("th", name)).collect();
    let mut out = format!(
        "<div class=\"scroll\"><table class=\"facts\"><thead><tr><th></th>{head}</tr></thead><tbody>\n"
    );
    for ((_, name), row) in rows {
        if differing && !differ(row) {
            continue;
        }
        let cells: String = row.iter().map(|value| cell("td", value)).collect();
        out += &format!("<tr>{}{cells}</tr>\n", cell("th", name));
    }
    out + "</tbody></table></div>\n"
}

/// How a run was made: the keys of its run file, and what else it depends on; its own places are left out.
fn settings(run: &RunOverview) -> Vec<(String, String)> {
    let mut all = Vec::new();
    flatten("", &run.facts.config, &mut all);
    let own = ["output.directory"];
    all.retain(|(name, _)| !own.contains(&name.as_str()));
    let places = ["directory", "run file"];
    let made = origins(&run.facts, &run.directory).into_iter();
    all.extend(made.filter(|(name, _)| !places.contains(&name.as_str())));
    all
}

/// The keys of a table, and of those in it, with their values as text.
fn flatten(before: &str, value: &Value, all: &mut Vec<(String, String)>) {
    let under = |key: &str| match before {
        "" => key.to_owned(),
        before => format!("{before}.{key}"),
    };
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                flatten(&under(key), value, all);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (k, value) in list.iter().enumerate() {
                flatten(&under(&k.to_string()), value, all);
            }
        }
        Value::String(text) => all.push((before.to_owned(), cut(text))),
        other => all.push((before.to_owned(), cut(&other.to_string()))),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LETTERS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
    }
}
