//! The page of many systems at once: how each member has come, in a table and over their numbers.

use std::path::Path;

use serde_json::Value;

use super::facts::RunFacts;
use super::page;
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries, escaped};
use crate::report::names;
use crate::text::{duration, trimmed};
use crate::{Error, Result, input};

/// Longest table that is read (bytes).
const LONGEST: u64 = 1 << 28;
/// Most members in the page's table, and in its plots.
const MOST_ROWS: usize = 400;
const MOST_MARKS: usize = 1000;
/// Most letters of a remark.
const LETTERS: usize = 300;
/// Columns of the table that the page has.
const INDEX: usize = 0;
const STATUS: usize = 3;
const DRIFT: usize = 5;
const DRIFT_ERROR: usize = 6;
const TEMPERATURE: usize = 7;
const COLUMNS: usize = 9;

/// The page of a batch, and what of it could not be read.
pub fn html(directory: &Path, name: &str, facts: &RunFacts) -> (String, Vec<String>) {
    let members = facts.members.unwrap_or(0);
    let mut body = page::opening(facts);
    let rows = rows(directory);
    match &rows {
        Ok(rows) => body += &shown(rows),
        Err(why) => body += &format!("<p class=\"bad\">{}</p>\n", escaped(&why.to_string())),
    }
    body += "<h2>Figures</h2>\n";
    body += &page::rows(&figures(facts));
    body += &page::closing(facts, directory);
    let title = format!("Run {name}, {members} systems");
    let html = crate::plot::page::html(&title, &body);
    (
        html,
        rows.err().map(|why| why.to_string()).into_iter().collect(),
    )
}

/// The rows of `members.csv`.
fn rows(directory: &Path) -> Result<Vec<Vec<String>>> {
    let path = directory.join(names::MEMBERS_TABLE);
    let within = |why: &dyn std::fmt::Display| Error::input(format!("{}: {why}", path.display()));
    let bytes = input::read(&path, LONGEST).map_err(|e| within(&e))?;
    let text = String::from_utf8(bytes).map_err(|e| within(&e))?;
    let mut rows = Vec::new();
    for (n, line) in text.lines().enumerate().skip(1) {
        let row = cells(line);
        if row.len() != COLUMNS {
            let why = format!(
                "line {} has {} cells, and {COLUMNS} are wanted",
                n + 1,
                row.len()
            );
            return Err(within(&why));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The cells of a line, in which text stands in quotes that are doubled within it.
fn cells(line: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let (mut quoted, mut letters) = (false, line.chars().peekable());
    while let Some(letter) = letters.next() {
        let cell = all.len() - 1;
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                all[cell].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            other => all[cell].push(other),
        }
    }
    all
}

/// Plots and the table of members.
fn shown(rows: &[Vec<String>]) -> String {
    let number = |row: &[String], column: usize| row[column].parse::<f64>().ok();
    let over_members = |title: &str, label: &str, [column, error]: [usize; 2], colour| {
        let every = rows.len().div_ceil(MOST_MARKS).max(1);
        let point = |row: &Vec<String>| {
            let spread = if error == column {
                0.0
            } else {
                number(row, error).unwrap_or(0.0)
            };
            Some([number(row, INDEX)?, number(row, column)?, spread])
        };
        let points: Vec<[f64; 3]> = rows.iter().step_by(every).filter_map(point).collect();
        let plot = Plot {
            title: title.to_owned(),
            x: PlotAxis::close("member"),
            y: PlotAxis::close(label),
            series: vec![PlotSeries {
                name: String::new(),
                colour,
                points,
                drawn: Drawn::Marks,
            }],
        };
        let any = !plot.series[0].points.is_empty();
        if any { plot.figure() } else { String::new() }
    };
    let label = "drift (meV/atom/ps)";
    let mut out = String::from("<h2>Members</h2>\n<div class=\"plots\">\n");
    out += &over_members("Mean temperature", "temperature (K)", [TEMPERATURE; 2], 3);
    out += &over_members(
        "Drift of what should be conserved",
        label,
        [DRIFT, DRIFT_ERROR],
        2,
    );
    out += "</div>\n";
    out + &table(rows)
}

/// The table: members that failed come first.
fn table(rows: &[Vec<String>]) -> String {
    let mut order: Vec<&Vec<String>> = rows.iter().collect();
    order.sort_by_key(|row| row[STATUS] != "failed");
    let head = [
        "",
        "name",
        "atoms",
        "status",
        "steps",
        "drift (meV/atom/ps)",
        "temperature (K)",
        "remark",
    ];
    let head: String = head.iter().map(|name| format!("<th>{name}</th>")).collect();
    let mut out = format!(
        "<div class=\"scroll\"><table class=\"facts\"><thead><tr>{head}</tr></thead><tbody>\n"
    );
    for row in order.iter().take(MOST_ROWS) {
        let rounded = |column: usize| {
            row[column]
                .parse()
                .map_or_else(|_| String::new(), |v| trimmed(v, 4))
        };
        let remark: String = row[COLUMNS - 1].chars().take(LETTERS).collect();
        let drift = match row[DRIFT].is_empty() {
            true => String::new(),
            false => format!("{} \u{b1} {}", rounded(DRIFT), rounded(DRIFT_ERROR)),
        };
        let cells = [
            row[1].clone(),
            row[2].clone(),
            row[STATUS].clone(),
            row[4].clone(),
            drift,
            rounded(TEMPERATURE),
            remark,
        ];
        let cells: String = cells
            .iter()
            .map(|cell| format!("<td>{}</td>", escaped(cell)))
            .collect();
        let class = if row[STATUS] == "failed" {
            " class=\"bad\""
        } else {
            ""
        };
        out += &format!("<tr{class}><th>{}</th>{cells}</tr>\n", escaped(&row[INDEX]));
    }
    out += "</tbody></table></div>\n";
    if rows.len() > MOST_ROWS {
        out += &format!(
            "<p class=\"about\">the first {MOST_ROWS} of {}; {} has all of them</p>\n",
            rows.len(),
            names::MEMBERS_TABLE
        );
    }
    out
}

/// What the closing summary says of all members.
fn figures(facts: &RunFacts) -> Vec<(String, String)> {
    let of = |key: &str| facts.figure(key);
    let whole = |key: &str| of(key).map(|value| (value as u64).to_string());
    let rate = |key: &str| of(key).map(|value| trimmed(value, 4));
    let member = |key: &str| {
        let value = facts.summary.get(key)?;
        let number = value.get("value").and_then(Value::as_f64)?;
        Some(format!(
            "{} (member {})",
            trimmed(number, 4),
            value.get("member")?
        ))
    };
    let elapsed = of("elapsed_s").and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
    let all = [
        ("complete", whole("complete")),
        ("failed", whole("failed")),
        ("interrupted", whole("interrupted")),
        ("waiting", whole("waiting")),
        ("atoms of all", whole("atoms")),
        ("steps of all", whole("steps")),
        ("time of the steps", elapsed.map(duration)),
        ("steps of all members in a second", rate("steps_per_second")),
        (
            "steps of all atoms in a second",
            rate("atom_steps_per_second"),
        ),
        ("mean temperature (K)", rate("mean_temperature_k")),
        ("coldest member (K)", member("lowest_temperature")),
        ("warmest member (K)", member("highest_temperature")),
        (
            "median drift (meV/atom/ps)",
            rate("median_drift_mev_per_atom_ps"),
        ),
        ("largest drift (meV/atom/ps)", member("worst_drift")),
        (
            "members whose energy is conserved",
            whole("energy_conserved"),
        ),
        ("members whose energy is not", whole("energy_not_conserved")),
        (
            "members that are too short to tell",
            whole("energy_undecided"),
        ),
    ];
    (all.into_iter())
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_in_quotes_are_read() {
        let line = "3,\"a, \"\"b\"\".sdf:7\",9,complete,20,,,300.5,";
        let read = cells(line);
        assert_eq!(read.len(), COLUMNS);
        assert_eq!(
            (read[1].as_str(), read[7].as_str(), read[8].as_str()),
            ("a, \"b\".sdf:7", "300.5", "")
        );
    }
}
