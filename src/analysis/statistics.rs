//! Statistics of the thermo table: where it has come to equilibrium, and from there on the mean of every column with an error
//! that heeds correlation (Flyvbjerg and Petersen, see [`crate::report::series`]).
//!
//! The table is read twice, line by line: first its course in some thousand points, which tell where equilibrium begins, then
//! what comes after.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde_json::{Value, json};

use super::equilibrium::{self, Equilibrium};
use super::{AnalysisFinding, CsvTable, Thinned};
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::report::series::Series;
use crate::text::{counted, significant};
use crate::{Error, Result, input};

/// Longest line (bytes).
const LONGEST_LINE: u64 = 1 << 16;
/// Columns that tell whether there is equilibrium, where they are there.
const TELLING: [&str; 4] = [
    "potential_energy_ev",
    "temperature_k",
    "pressure_bar",
    "volume_a3",
];
/// Columns that are no samples of a quantity: counters, and statistics that the run has made itself.
const OTHER: [&str; 4] = [
    "step",
    "time_fs",
    "drift_mev_per_atom_ps",
    "drift_stderr_mev_per_atom_ps",
];
/// The column of time.
const TIME: &str = "time_fs";

/// Statistics of a column.
#[derive(Debug, Clone)]
pub struct ColumnStatistics {
    /// Its name.
    pub name: String,
    /// Its samples in equilibrium.
    pub series: Series,
    /// Where equilibrium begins by it, in points of the course.
    pub equilibrium: Option<Equilibrium>,
}

/// Statistics of a thermo table.
#[derive(Debug, Clone)]
pub struct ThermoStatistics {
    /// Time (fs) from which on samples count.
    pub start: f64,
    /// Whether that was given, and not found.
    pub given: bool,
    /// Lines in all.
    pub lines: u64,
    /// Whether the last line was not whole, and left out.
    pub cut: bool,
    /// The columns.
    pub columns: Vec<ColumnStatistics>,
    /// Time (fs) and the columns, thinned out.
    pub course: Thinned,
}

impl ThermoStatistics {
    /// Reads a table, from a time on (fs) and up to another if they are given.
    ///
    /// # Errors
    /// It cannot be read, or is no thermo table. The message names file and line.
    pub fn read(path: &Path, [from, to]: [Option<f64>; 2]) -> Result<Self> {
        let names = read_lines(path, |_| Ok(true))?.0;
        let is_sample = |name: &&String| !OTHER.contains(&name.as_str());
        let samples: Vec<usize> = (names.iter().enumerate())
            .filter(|(_, name)| is_sample(name))
            .map(|(k, _)| k)
            .collect();
        let time = names.iter().position(|name| name == TIME).ok_or_else(|| {
            Error::input(format!(
                "{}: it has no column {TIME}: it is no thermo table",
                path.display()
            ))
        })?;
        let mut course = Thinned::new(samples.len());
        let mut lines = 0;
        let end = to.unwrap_or(f64::INFINITY);
        let (_, cut) = read_lines(path, |row| {
            let within = row[time] >= from.unwrap_or(f64::NEG_INFINITY) && row[time] <= end;
            if within {
                course.add(row[time], samples.iter().map(|&k| row[k]));
                lines += 1;
            }
            Ok(row[time] > end)
        })?;
        let mut columns: Vec<ColumnStatistics> = (samples.iter().enumerate())
            .map(|(k, &column)| ColumnStatistics {
                name: names[column].clone(),
                series: Series::default(),
                equilibrium: TELLING
                    .contains(&names[column].as_str())
                    .then(|| equilibrium::find(&course.column(k)))
                    .flatten(),
            })
            .collect();
        let start = match from {
            Some(from) => from,
            None => begins(&columns, &course),
        };
        read_lines(path, |row| {
            if row[time] >= start && row[time] <= end {
                let each = columns
                    .iter_mut()
                    .zip(&samples)
                    .filter(|(_, k)| row[**k].is_finite());
                each.for_each(|(column, &k)| column.series.add(row[time], row[k]));
            }
            Ok(row[time] > end)
        })?;
        Ok(Self {
            start,
            given: from.is_some(),
            lines,
            cut,
            columns,
            course,
        })
    }

    /// The mean of a column in equilibrium.
    pub fn mean(&self, name: &str) -> Option<f64> {
        let column = self.columns.iter().find(|column| column.name == name)?;
        column.series.mean().map(|mean| mean.value)
    }

    /// What is found.
    pub fn finding(&self) -> AnalysisFinding {
        let mut lines = Vec::new();
        let mut figures = Vec::new();
        let names = [
            "column",
            "mean",
            "error",
            "standard_deviation",
            "samples",
            "equilibrium_fs",
        ];
        let mut table = CsvTable::new(&names.map(str::to_owned));
        for column in &self.columns {
            let Some(mean) = column.series.mean() else {
                continue;
            };
            let deviation = column.series.deviation().unwrap_or(f64::NAN);
            let doubt = if mean.converged { "" } else { " (at least)" };
            lines.push(format!("{:<28} {}{doubt}", column.name, mean.text()));
            let count = column.series.count() as f64;
            let own = self.time_of(column.equilibrium).unwrap_or(f64::NAN);
            table.labelled(
                &[&column.name],
                [mean.value, mean.error, deviation, count, own],
            );
            figures.push(json!({
                "column": column.name,
                "mean": mean.value,
                "error": mean.error,
                "error_converged": mean.converged,
                "standard_deviation": deviation,
                "samples": column.series.count(),
            }));
        }
        let why = match self.given {
            true => "as asked for".to_owned(),
            false => format!(
                "{} before it left out: there the most independent samples are left (Chodera 2016), of the latest of \
                 potential energy, temperature, pressure and volume",
                counted(self.left_out(), "line")
            ),
        };
        let mut notes = vec![format!(
            "from {} ps on, {why}; errors by blocks (Flyvbjerg and Petersen 1989)",
            significant(1e-3 * self.start, 4),
        )];
        if self.cut {
            notes.push("the last line is not whole: it is left out".to_owned());
        }
        AnalysisFinding {
            name: "thermo",
            title: "Thermo table in equilibrium".to_owned(),
            lines,
            notes,
            figures: json!({
                "equilibrium_fs": self.start,
                "lines": self.lines,
                "columns": Value::Array(figures),
            }),
            table,
            plots: self.plots(),
        }
    }

    /// Lines of the table before equilibrium.
    fn left_out(&self) -> u64 {
        let counted = self
            .columns
            .iter()
            .map(|column| column.series.count())
            .max();
        self.lines.saturating_sub(counted.unwrap_or(0))
    }

    fn time_of(&self, equilibrium: Option<Equilibrium>) -> Option<f64> {
        self.course
            .points()
            .get(equilibrium?.start)
            .map(|point| point[0])
    }

    fn plots(&self) -> Vec<(String, Plot)> {
        let shown =
            |(_, column): &(usize, &ColumnStatistics)| TELLING.contains(&column.name.as_str());
        let plot = |(k, column): (usize, &ColumnStatistics)| {
            let all = self
                .course
                .points()
                .iter()
                .map(|p| [1e-3 * p[0], p[k + 1], 0.0]);
            let (before, after): (Vec<_>, Vec<_>) = all.partition(|p| 1e3 * p[0] < self.start);
            let series = |name: &str, colour, points| PlotSeries {
                name: name.to_owned(),
                colour,
                points,
                drawn: Drawn::Line,
            };
            let plot = Plot {
                title: column.name.clone(),
                x: PlotAxis::close("time (ps)"),
                y: PlotAxis::close(column.name.clone()),
                series: vec![series("left out", 0, before), series("counted", 1, after)],
            };
            (format!("thermo_{}", column.name), plot)
        };
        self.columns
            .iter()
            .enumerate()
            .filter(shown)
            .map(plot)
            .collect()
    }
}

/// The time (fs) at which the last of the telling columns has come to equilibrium.
fn begins(columns: &[ColumnStatistics], course: &Thinned) -> f64 {
    let telling = columns
        .iter()
        .filter(|column| TELLING.contains(&column.name.as_str()));
    let starts = telling.filter_map(|column| column.equilibrium.map(|found| found.start));
    match starts.max() {
        None | Some(0) => 0.0,
        Some(start) => course.points().get(start).map_or(0.0, |point| point[0]),
    }
}

/// Shows the lines of a table, empty cells as NaN, until `see` has seen enough; gives the names of its columns, and whether the
/// last line was cut short.
fn read_lines(
    path: &Path,
    mut see: impl FnMut(&[f64]) -> Result<bool>,
) -> Result<(Vec<String>, bool)> {
    let within = |e: Error| e.within(path.display());
    let fault = |e: std::io::Error| Error::input(e.to_string()).within(path.display());
    let mut file = BufReader::new(input::open(path).map_err(fault)?.0);
    let mut line = String::new();
    let mut next = |line: &mut String| -> Result<Option<bool>> {
        line.clear();
        let read = (&mut file)
            .take(LONGEST_LINE)
            .read_line(line)
            .map_err(fault)?;
        let whole = line.ends_with('\n');
        Ok((read > 0).then_some(whole))
    };
    if next(&mut line)? != Some(true) {
        return Err(within(Error::input(
            "it has no line of names: the run has not begun",
        )));
    }
    let names: Vec<String> = line.trim_end().split(',').map(str::to_owned).collect();
    let mut row = Vec::new();
    let mut number = 1;
    while let Some(whole) = next(&mut line)? {
        number += 1;
        if !whole {
            return Ok((names, true));
        }
        row.clear();
        for cell in line.trim_end().split(',') {
            row.push(match cell {
                "" => f64::NAN,
                cell => cell.parse().map_err(|_| {
                    within(Error::input(format!(
                        "line {number}: {cell:?} is not a number"
                    )))
                })?,
            });
        }
        if row.len() != names.len() {
            return Err(within(Error::input(format!(
                "line {number} has {} cells, and {} are wanted",
                row.len(),
                names.len()
            ))));
        }
        if see(&row)? {
            break;
        }
    }
    Ok((names, false))
}
