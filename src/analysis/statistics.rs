//! Statistics of the thermo table: where it has come to equilibrium, and from there on the mean of every column with an error
//! that heeds correlation (Flyvbjerg and Petersen, see [`crate::report::series`]).
//!
//! The table is read twice, line by line: first its course in some thousand points, which tell where equilibrium begins, then
//! what comes after.

use std::path::Path;

use serde_json::{Value, json};

use super::equilibrium::{self, Equilibrium};
use super::thermo_lines::{TIME, header, read_all};
use super::{AnalysisFinding, CsvTable, Thinned};
use crate::plot::{Plot, PlotAxis, PlotSeries};
use crate::report::series::Series;
use crate::text::{counted, significant};
use crate::{Error, Result};

/// Columns that tell whether there is equilibrium, where they are there.
const TELLING: [&str; 4] = [
    "potential_energy_ev",
    "temperature_k",
    "pressure_bar",
    "volume_a3",
];
/// Columns that are drawn, with their titles and labels.
const SHOWN: [(&str, &str, &str); 4] = [
    (TELLING[0], "Potential energy", "potential energy (eV)"),
    (TELLING[1], "Temperature", "temperature (K)"),
    (TELLING[2], "Pressure", "pressure (bar)"),
    (TELLING[3], "Volume", "volume (\u{c5}\u{b3})"),
];
/// Most points of a plot.
const PLOTTED: usize = 256;
/// Columns that are no samples of a quantity: counters, and statistics that the run has made itself.
const OTHER: [&str; 4] = [
    "step",
    "time_fs",
    "drift_mev_per_atom_ps",
    "drift_stderr_mev_per_atom_ps",
];

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
        let names = header(path)?;
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
        let (_, cut) = read_all(path, |row| {
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
        read_all(path, |row| {
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
        let course = self.course.coarser(PLOTTED);
        let plot = |(column, title, label): (&str, &str, &str)| {
            let k = (self.columns.iter()).position(|known| known.name == column)?;
            let series = course.traced(k, ("counted", 1), 1e3, |value| value);
            let plot = Plot {
                title: title.to_owned(),
                x: PlotAxis::close("time (ps)"),
                y: PlotAxis::close(label),
                series: series
                    .into_iter()
                    .flat_map(|one| self.parted(one))
                    .collect(),
            };
            Some((format!("thermo_{column}"), plot))
        };
        SHOWN.into_iter().filter_map(plot).collect()
    }

    /// A series over time (ps) as two: what is left out, and what counts.
    fn parted(&self, one: PlotSeries) -> [PlotSeries; 2] {
        let (before, after) =
            (one.points.iter().copied()).partition(|point: &[f64; 3]| 1e3 * point[0] < self.start);
        let name = match one.name.is_empty() {
            true => "",
            false => "left out",
        };
        let before = PlotSeries {
            name: name.to_owned(),
            colour: 0,
            points: before,
            drawn: one.drawn,
        };
        [
            before,
            PlotSeries {
                points: after,
                ..one
            },
        ]
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
