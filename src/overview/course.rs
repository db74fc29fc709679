//! The course of a run as its thermo table has it: every column in some hundred points, and samples of the temperature one by
//! one, in one pass over the table, or over stretches of one that is long.

use std::path::Path;

use crate::Result;
use crate::analysis::{Thinned, equilibrium, thermo_lines};
use crate::plot::PlotSeries;
use crate::report::names;
use crate::report::series::Series;
use crate::units::{FEMTOSECOND, NANOSECOND, PICOSECOND};

/// Most points of a column.
const POINTS: usize = 256;
/// Most samples that are kept one by one.
const SAMPLES: usize = 16_384;
/// Most bytes of a table that are read: some 300,000 lines.
const MOST_BYTES: u64 = 48 << 20;
/// Largest number that counts in a mean: what has no bounds would leave nothing of the rest.
const LARGEST: f64 = 1e30;
/// The column of temperatures.
const TEMPERATURE: &str = "temperature_k";

/// The course of a run.
#[derive(Debug, Clone)]
pub struct RunCourse {
    /// Names of the columns of numbers, that of time left out.
    names: Vec<String>,
    /// Time (fs) and these columns.
    course: Thinned,
    /// Time (fs) and temperature (K), one of every so many lines.
    temperatures: Vec<[f64; 2]>,
    /// Lines that were read.
    pub lines: u64,
    /// Whether all lines were.
    pub whole: bool,
    /// Time (fs) before which nothing is counted: when the last of several stages began.
    since: f64,
}

/// Units of time that plots have: least span (fs) from which on they are chosen, the unit (fs), its name.
const TIMES: [(f64, f64, &str); 3] = [
    (2e7, NANOSECOND / FEMTOSECOND, "ns"),
    (1e3, PICOSECOND / FEMTOSECOND, "ps"),
    (0.0, 1.0, "fs"),
];

impl RunCourse {
    /// Reads the table in a run's directory.
    ///
    /// # Errors
    /// It cannot be read, or is no thermo table.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(names::THERMO);
        let names = thermo_lines::header(&path)?;
        let time = names.iter().position(|name| name == thermo_lines::TIME);
        let time = time.ok_or_else(|| {
            crate::Error::input(format!(
                "{}: it has no column {}: it is no thermo table",
                path.display(),
                thermo_lines::TIME
            ))
        })?;
        let temperature = names.iter().position(|name| name == TEMPERATURE);
        let mut course = Thinned::into_points(names.len(), POINTS);
        let mut kept = Sparse::default();
        let mut lines = 0;
        let read = thermo_lines::read(&path, MOST_BYTES, |row| {
            course.add(row[time], row.iter().copied());
            if let Some(column) = temperature {
                kept.add([row[time], row[column]]);
            }
            lines += 1;
            Ok(false)
        })?;
        course.close();
        Ok(Self {
            names,
            course,
            temperatures: kept.samples,
            lines,
            whole: read.whole,
            since: 0.0,
        })
    }

    /// Counts nothing before a time (fs).
    pub fn since(self, since: f64) -> Self {
        Self { since, ..self }
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// Whether the table has a column with any numbers in it.
    pub fn has(&self, name: &str) -> bool {
        let numbers = |k| self.course.column(k).iter().any(|value| value.is_finite());
        self.column(name).is_some_and(numbers)
    }

    /// The last time (fs).
    pub fn end(&self) -> f64 {
        self.course.points().last().map_or(0.0, |point| point[0])
    }

    /// The unit of time that plots up to a time (fs) have: in fs, and its name.
    pub fn time_unit(end: f64) -> (f64, &'static str) {
        let found = TIMES.iter().find(|(least, ..)| end >= *least);
        found.map_or((1.0, "fs"), |(_, unit, name)| (*unit, name))
    }

    /// The mean of a column over the points of its course.
    pub fn mean(&self, name: &str) -> Option<f64> {
        let column = self.course.column(self.column(name)?);
        let numbers: Vec<f64> = (column.into_iter()).filter(|v| v.abs() < LARGEST).collect();
        (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
    }

    /// The first value of a column.
    pub fn first(&self, name: &str) -> Option<f64> {
        let column = self.column(name)?;
        let mut values = self.course.column(column).into_iter();
        values.find(|value| value.abs() < LARGEST)
    }

    /// A column over time (in `unit` fs), as [`Thinned::traced`] has it.
    pub fn traced(
        &self,
        column: &str,
        told: (&str, usize),
        unit: f64,
        turned: impl Fn(f64) -> f64,
    ) -> Vec<PlotSeries> {
        let column = self.column(column);
        column.map_or_else(Vec::new, |k| self.course.traced(k, told, unit, turned))
    }

    /// The time (fs) from which on temperature and potential energy have come to equilibrium, within the first half of the run.
    pub fn equilibrium(&self) -> f64 {
        let start = |name| {
            let column = self.course.column(self.column(name)?);
            column.iter().all(|value| value.is_finite()).then_some(())?;
            equilibrium::find_within(&column, column.len() / 2).map(|found| found.start)
        };
        let starts = [TEMPERATURE, "potential_energy_ev"].map(start);
        let start = starts.into_iter().flatten().max().unwrap_or(0);
        let from = match start {
            0 => f64::NEG_INFINITY,
            start => self.course.points()[start][0],
        };
        match self.since > 0.0 {
            true => from.max(self.since),
            false => from,
        }
    }

    /// Temperatures (K) from a time (fs) on, with their mean's error by blocks.
    pub fn temperatures(&self, from: f64) -> (Vec<f64>, Series) {
        let mut series = Series::default();
        let mut all = Vec::new();
        for [time, temperature] in &self.temperatures {
            if *time >= from && temperature.is_finite() {
                series.add(*time, *temperature);
                all.push(*temperature);
            }
        }
        (all, series)
    }
}

/// Samples of which every other one is forgotten where they are too many.
#[derive(Debug, Default)]
struct Sparse {
    samples: Vec<[f64; 2]>,
    every: u64,
    seen: u64,
}

impl Sparse {
    fn add(&mut self, sample: [f64; 2]) {
        if self.seen.is_multiple_of(self.every.max(1)) {
            self.samples.push(sample);
        }
        self.seen += 1;
        if self.samples.len() >= SAMPLES {
            let mut kept = 0;
            self.samples.retain(|_| {
                kept += 1;
                kept % 2 == 1
            });
            self.every = 2 * self.every.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_samples_are_even() {
        let mut sparse = Sparse::default();
        for k in 0..100_000 {
            sparse.add([f64::from(k), 0.0]);
        }
        assert!(sparse.samples.len() > SAMPLES / 2 - 1 && sparse.samples.len() < SAMPLES);
        let apart = |two: &[[f64; 2]]| two[1][0] - two[0][0] == sparse.every as f64;
        assert!(sparse.samples.windows(2).all(apart));
    }

    #[test]
    fn times_have_units_that_suit_them() {
        assert_eq!(RunCourse::time_unit(200.0), (1.0, "fs"));
        let (unit, name) = RunCourse::time_unit(1e4);
        assert!((unit - 1e3).abs() < 1e-6 && name == "ps");
        let (unit, name) = RunCourse::time_unit(3e8);
        assert!((unit - 1e6).abs() < 1e-3 && name == "ns");
    }
}
