//! A suite as one HTML page: tables, plots of them, and what was measured. Nothing is fetched; it is readable in light and dark,
//! and on paper.

use super::cell::DRIFT_PS;
use super::row::{GuideColumn, GuideRow, StudentRow, SuiteReport};
use super::students::{self, WIDTHS};
use super::table::{drift, in_a_word, reasons};
use crate::plot::page::html;
use crate::plot::{COLOURS, Drawn, Plot, PlotAxis, PlotSeries, escaped};
use crate::text::significant;

/// The page.
pub(super) fn of(report: &SuiteReport) -> String {
    let mut out = about(report);
    out += "<h2>Speed, errors, memory, drift</h2>\n";
    out += &table(report);
    out += "<div class=\"plots\">\n";
    for plot in plots(report) {
        out += &plot.figure();
    }
    out += "</div>\n";
    out += &sizes(report);
    out += &meaning(report);
    html("Precisions of a learned potential, side by side", &out)
}

fn about(report: &SuiteReport) -> String {
    let threads = match report.device == "cpu" {
        true => format!(", {} threads", report.threads),
        false => String::new(),
    };
    let mut out = format!(
        "<p class=\"about\"><code>mdrun bench --suite guide</code>, version {}, {}, {:.0} s<br>{} ({}){threads}",
        report.version,
        report.begun,
        report.seconds,
        escaped(&report.processor),
        escaped(&report.device),
    );
    for model in &report.models {
        out += &format!("<br>{}", escaped(model));
    }
    out + "</p>\n"
}

const HEAD: [(&str, &str); 9] = [
    ("", ""),
    ("step", "ms"),
    ("fastest, slowest", "ms"),
    ("over Burn", "times"),
    ("energy error", "meV"),
    ("force RMSE", "meV/&#8491;"),
    ("largest", "meV/&#8491;"),
    ("memory", "MiB"),
    ("NVE drift", "meV/atom/ps"),
];

fn table(report: &SuiteReport) -> String {
    let mut out = "<div class=\"scroll\"><table>\n<thead><tr>".to_owned();
    for (name, unit) in HEAD {
        out += &format!("<th>{name}<br><span class=\"unit\">{unit}</span></th>");
    }
    out += "</tr></thead>\n";
    let several = report.models.len() > 1;
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for row in &report.rows {
        let group = (row.model.as_str(), row.size);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    for (model, size) in groups {
        let rows: Vec<&GuideRow> = (report.rows.iter())
            .filter(|row| (row.model.as_str(), row.size) == (model, size))
            .collect();
        let of = match several {
            true => format!(", {}", escaped(model)),
            false => String::new(),
        };
        let (atoms, pairs) = (rows[0].atoms, rows[0].pairs);
        out += &format!(
            "<tbody><tr><th colspan=\"9\">{atoms} atoms, {}, {pairs} pairs{of}</th></tr>\n",
            escaped(&rows[0].system)
        );
        for row in rows {
            out += &table_row(row);
        }
        out += "</tbody>\n";
    }
    out + "</table></div>\n"
}

fn table_row(row: &GuideRow) -> String {
    let label = escaped(&row.label());
    if let (None, Some(why)) = (row.median_ms, row.why.first()) {
        let why = escaped(in_a_word(why));
        return format!("<tr><td>{label}</td><td class=\"none\" colspan=\"8\">{why}</td></tr>\n");
    }
    let number = |value: Option<f64>, digits| {
        value.map_or_else(|| "&ndash;".to_owned(), |v| significant(v, digits))
    };
    let milli = |value: Option<f64>| number(value.map(|v| 1e3 * v), 2);
    let spread = match (row.min_ms, row.max_ms) {
        (Some(min), Some(max)) => format!("{}, {}", significant(min, 4), significant(max, 4)),
        _ => "&ndash;".to_owned(),
    };
    let drift = match row.drift_mev_per_atom_ps {
        Some(_) => escaped(&drift(row)),
        None => "&ndash;".to_owned(),
    };
    let memory = row.memory_bytes.map(|bytes| bytes as f64 / 1048576.0);
    let cells = [
        label,
        number(row.median_ms, 4),
        spread,
        number(row.speedup, 3),
        milli(row.energy_error_ev),
        milli(row.force_rmse_ev_per_angstrom),
        milli(row.force_max_ev_per_angstrom),
        number(memory, 3),
        drift,
    ];
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| format!("<td>{cell}</td>"))
        .collect();
    format!("<tr>{}</tr>\n", cells.concat())
}

/// Colours are those of the columns, then those of a peer's modes.
fn colour(row: &GuideRow, peers: &[String]) -> usize {
    let own = GuideColumn::ALL
        .iter()
        .position(|column| row.is_of(*column));
    own.unwrap_or_else(|| {
        let columns = GuideColumn::ALL.len();
        let number = peers.iter().position(|label| *label == row.label());
        columns + number.unwrap_or(0) % (COLOURS - columns)
    })
}

/// A line for each column of the first model, of what `value` says of a row.
fn by_column(
    report: &SuiteReport,
    value: impl Fn(&GuideRow) -> Option<[f64; 2]>,
) -> Vec<PlotSeries> {
    let Some(first) = report.rows.first() else {
        return Vec::new();
    };
    let of_first = || report.rows.iter().filter(|row| row.model == first.model);
    let mut labels: Vec<String> = Vec::new();
    for row in of_first() {
        if !labels.contains(&row.label()) {
            labels.push(row.label());
        }
    }
    let own = |label: &String| !label.starts_with("peer ");
    let peers: Vec<String> = labels.iter().filter(|label| !own(label)).cloned().collect();
    let series = |label: &String| {
        let rows: Vec<&GuideRow> = of_first().filter(|row| row.label() == *label).collect();
        PlotSeries {
            name: label.clone(),
            colour: colour(rows[0], &peers),
            points: (rows.iter())
                .filter_map(|row| value(row).map(|[y, error]| [row.atoms as f64, y, error]))
                .collect(),
            drawn: Drawn::Joined,
        }
    };
    labels.iter().map(series).collect()
}

fn plots(report: &SuiteReport) -> Vec<Plot> {
    let exact = |value: Option<f64>| value.map(|value| [value, 0.0]);
    let axis = PlotAxis::logarithmic;
    let plot = |title: &str, y, series| Plot {
        title: title.to_owned(),
        x: PlotAxis::logarithmic("atoms"),
        y,
        series,
    };
    vec![
        plot(
            "A step: energy and forces of new positions",
            axis("ms"),
            by_column(report, |row| exact(row.median_ms)),
        ),
        plot(
            "Errors of forces against f64",
            axis("root mean square, meV/\u{212b}"),
            by_column(report, |row| {
                exact(row.force_rmse_ev_per_angstrom.map(|v| 1e3 * v))
            }),
        ),
        plot(
            "Drift of energy at constant energy",
            PlotAxis::linear("meV/atom/ps"),
            by_column(report, |row| {
                Some([row.drift_mev_per_atom_ps?, row.drift_error_mev_per_atom_ps?])
            }),
        ),
        plot(
            "Memory",
            axis("MiB"),
            by_column(report, |row| {
                exact(row.memory_bytes.map(|b| b as f64 / 1048576.0))
            }),
        ),
    ]
}

/// Networks of other sizes, and models that are named, beside each other.
fn sizes(report: &SuiteReport) -> String {
    let rows = &report.students;
    let Some(first) = rows.first() else {
        return String::new();
    };
    let mut series: Vec<PlotSeries> = (students::grid(rows).into_iter().enumerate())
        .map(|(k, (layers, times))| PlotSeries {
            name: format!("{layers} layers"),
            colour: k,
            points: (WIDTHS.iter().zip(times))
                .filter_map(|(&width, time)| Some([width as f64, time?, 0.0]))
                .collect(),
            drawn: Drawn::Joined,
        })
        .collect();
    let named: Vec<&StudentRow> = rows.iter().filter(|row| row.model.is_some()).collect();
    for (k, row) in named.iter().enumerate() {
        let (Some(model), Some(time), true) = (&row.model, row.median_ms, row.features > 0) else {
            continue;
        };
        series.push(PlotSeries {
            name: short(model),
            colour: 3 + k % (COLOURS - 3),
            points: vec![[row.features as f64, time, 0.0]],
            drawn: Drawn::Marks,
        });
    }
    let mut out = format!(
        "<h2>Smaller and larger networks</h2>\n\
         <p>{} atoms in {}. Lines are random weights, which tell speed alone; marks are the models that are named.</p>\n\
         <div class=\"plots\">\n",
        first.atoms, first.precision
    );
    let by_width = Plot {
        title: "A step by width and layers".to_owned(),
        x: PlotAxis::logarithmic("features"),
        y: PlotAxis::logarithmic("ms"),
        series,
    };
    out += &by_width.figure();
    if named.len() > 1 {
        out += &trade_off(&named).figure();
    }
    out += "</div>\n<div class=\"scroll\"><table>\n<thead><tr><th>network</th><th>layers</th><th>features</th>\
            <th>trained numbers</th><th>step<br><span class=\"unit\">ms</span></th>\
            <th>forces from the first model's<br><span class=\"unit\">RMS, meV/&#8491;</span></th></tr></thead>\n<tbody>\n";
    for row in rows {
        out += &student(row);
    }
    out + "</tbody></table></div>\n"
}

/// Speed and accuracy of the models that are named.
fn trade_off(named: &[&StudentRow]) -> Plot {
    let series = |(k, row): (usize, &&StudentRow)| PlotSeries {
        name: row.model.as_deref().map_or_else(String::new, short),
        colour: 3 + k % (COLOURS - 3),
        // The first is no distance from itself.
        points: (row.median_ms.into_iter())
            .map(|ms| {
                let apart = row.apart_from_first_ev_per_angstrom.unwrap_or(0.0);
                [ms, 1e3 * apart, 0.0]
            })
            .collect(),
        drawn: Drawn::Marks,
    };
    Plot {
        title: "Speed and forces of the models that are named".to_owned(),
        x: PlotAxis::logarithmic("ms a step"),
        y: PlotAxis::linear("forces from the first model's (RMS, meV/\u{212b})"),
        series: named.iter().enumerate().map(series).collect(),
    }
}

fn student(row: &StudentRow) -> String {
    let count = |n: usize| match n {
        0 => "&ndash;".to_owned(),
        n => n.to_string(),
    };
    let number = |value: Option<f64>, digits| {
        value.map_or_else(|| "&ndash;".to_owned(), |v| significant(v, digits))
    };
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        escaped(row.model.as_deref().unwrap_or("random weights")),
        count(row.layers),
        count(row.features),
        count(row.parameters),
        number(row.median_ms, 4),
        number(row.apart_from_first_ev_per_angstrom.map(|v| 1e3 * v), 3)
    )
}

/// The file's name of a model, short enough to stand beside a plot.
fn short(model: &str) -> String {
    /// Most letters of a name.
    const MOST: usize = 18;
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.strip_suffix(".safetensors").unwrap_or(name);
    match name.char_indices().nth(MOST) {
        None => name.to_owned(),
        Some((at, _)) => format!("{}\u{2026}", &name[..at]),
    }
}

fn meaning(report: &SuiteReport) -> String {
    let mut out = format!(
        "<h2>What was measured</h2>\n<ul>\n\
         <li>Systems: {}.</li>\n\
         <li>A step is one of dynamics: energy and forces of positions that are others in every call, the integrator, and the \
         search of pairs as often as 300 K at 0.5 fs asks for it. It is timed from the molecules as they are built, in steps of \
         0.01 fs, in rows of up to 20 that are waited for together; medians, with the fastest and the slowest.</li>\n\
         <li>Errors are against f64 on the CPU, at states of 300 K: root mean squares of energies and of components of forces, \
         and the largest distance of a force.</li>\n\
         <li>Memory is what is held on a card (by Burn, what it has taken there so far), or the largest of the whole process \
         on the CPU.</li>\n\
         <li>Drift is the slope of the energy over {DRIFT_PS} ps of steps of 0.5 fs at constant energy, from a state that has \
         forgotten its grid at 300 K; its standard error stands in brackets, in units of the last digit.</li>\n\
         <li>A peer times energy and forces of pairs that do not change, on the same boxes; the better of its calls one by one \
         and queued.</li>\n</ul>\n",
        escaped(&report.systems.join("; "))
    );
    let reasons = reasons(report);
    if !reasons.is_empty() {
        out += "<h2>What is missing, and other notes</h2>\n<ul>\n";
        for why in reasons {
            out += &format!("<li>{}</li>\n", escaped(&why));
        }
        out += "</ul>\n";
    }
    out
}
