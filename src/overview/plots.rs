//! The plots of a run: energies, their drift, temperature, pressure, density, the kinetic energy beside theory, speed.

use super::RunOverview;
use super::course::RunCourse;
use super::facts::RunFacts;
use super::page::typeset;
use crate::analysis::kinetic_energy::{CanonicalKinetic, KineticHistogram};
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::report::series::Estimate;
use crate::text::{counted, significant, trimmed};
use crate::units::{FEMTOSECOND, KELVIN, MILLIELECTRONVOLT, PICOSECOND, ns_per_day};

/// A plot, and what is to be said of it.
#[derive(Debug, Clone)]
pub struct ToldPlot {
    /// The plot.
    pub plot: Plot,
    /// Sentences under it.
    pub notes: Vec<String>,
}

impl ToldPlot {
    fn new(title: &str, [x, y]: [&str; 2], series: Vec<PlotSeries>) -> Self {
        Self {
            plot: Plot {
                title: title.to_owned(),
                x: PlotAxis::close(x),
                y: PlotAxis::close(y),
                series,
            },
            notes: Vec::new(),
        }
    }

    fn noted(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The plot as a figure of a page, with what is said of it.
    pub fn figure(&self) -> String {
        let notes = (self.notes.iter()).map(|note| {
            let note = typeset(note);
            format!("<p class=\"about\">{note}</p>\n")
        });
        let figure = self.plot.figure();
        figure.replace("</figure>", &(notes.collect::<String>() + "</figure>"))
    }
}

/// A level line.
fn level(name: &str, colour: usize, ends: [f64; 2], value: f64) -> PlotSeries {
    PlotSeries {
        name: name.to_owned(),
        colour,
        points: ends.map(|x| [x, value, 0.0]).to_vec(),
        drawn: Drawn::Line,
    }
}

/// Times in which the thermostat exchanges the kinetic energy that a run takes at least for the width of the distribution to be
/// judged: in fewer, fast vibrations alone make samples look independent.
const RELAXATIONS: f64 = 20.0;

/// Columns that are drawn as they are: name, title, unit.
const PLAIN: [(&str, &str, &str); 6] = [
    ("density_g_cm3", "Density", "g/cm\u{b3}"),
    ("volume_a3", "Volume", "\u{c5}\u{b3}"),
    (
        "force_spread_ev_a",
        "Spread of the models' forces on the worst atom",
        "eV/\u{c5}",
    ),
    (
        "force_error_ev_a",
        "Difference of forces from f64, on the worst atom",
        "eV/\u{c5}",
    ),
    (
        "external_energy_ev",
        "Energy of what acts beside the potential",
        "eV",
    ),
    (
        "pulling_work_ev",
        "Work of moving springs and of PLUMED",
        "eV",
    ),
];

impl RunOverview {
    /// All plots that the run has numbers for.
    pub fn plots(&self) -> Vec<ToldPlot> {
        let mut plots = Vec::new();
        if let Ok(course) = &self.course {
            let over = OverTime::new(&self.facts, course);
            plots.extend([over.energies(), over.conserved(), over.temperature()]);
            plots.extend(over.pressure());
            for (column, title, unit) in PLAIN {
                plots.extend(over.plain(column, title, unit));
            }
            plots.extend(kinetic(&self.facts, course));
        }
        let end = self.course.as_ref().map_or(0.0, RunCourse::end);
        let (unit, time) = RunCourse::time_unit(end);
        let speed = speed(&self.facts, "", unit);
        plots.extend(speed.map(|series| speed_plot(vec![series], time)));
        plots
    }
}

/// What a course is drawn over.
struct OverTime<'r> {
    facts: &'r RunFacts,
    course: &'r RunCourse,
    /// fs in the unit of time.
    unit: f64,
    axis: String,
    ends: [f64; 2],
}

impl<'r> OverTime<'r> {
    fn new(facts: &'r RunFacts, course: &'r RunCourse) -> Self {
        let end = course.end();
        let (unit, name) = RunCourse::time_unit(end);
        Self {
            facts,
            course,
            unit,
            axis: format!("time ({name})"),
            ends: [0.0, end / unit],
        }
    }

    fn plot(&self, title: &str, y: &str, series: Vec<PlotSeries>) -> ToldPlot {
        ToldPlot::new(title, [&self.axis, y], series)
    }

    fn energies(&self) -> ToldPlot {
        let mut series = Vec::new();
        let mut means = Vec::new();
        for (name, colour) in [("potential", 1), ("kinetic", 3), ("total", 2)] {
            let column = format!("{name}_energy_ev");
            let mean = self.course.mean(&column).unwrap_or(0.0);
            means.push(format!("{name} {}", significant(mean, 6)));
            let less = |energy| energy - mean;
            series.extend(self.course.traced(&column, (name, colour), self.unit, less));
        }
        self.plot(
            "Energies, each less its mean",
            "energy less its mean (eV)",
            series,
        )
        .noted(format!("means: {} eV", means.join(", ")))
    }

    fn conserved(&self) -> ToldPlot {
        const COLUMN: &str = "conserved_energy_ev";
        let first = self.course.first(COLUMN).unwrap_or(0.0);
        let atoms = self.facts.atoms.max(1) as f64;
        let turned = |energy: f64| (energy - first) / atoms / MILLIELECTRONVOLT;
        let name = match self.facts.bath_kt() {
            Some(_) => "conserved",
            None => "total",
        };
        let mut series = self.course.traced(COLUMN, (name, 2), self.unit, turned);
        let mut notes = Vec::new();
        if let Some(slope) = self.facts.figure("energy_drift_mev_per_atom_ps") {
            let mean = self.course.mean(COLUMN).map_or(0.0, turned);
            // From meV/atom/ps to the axis.
            let slope_here = slope * self.unit * FEMTOSECOND / PICOSECOND;
            let middle = 0.5 * (self.ends[0] + self.ends[1]);
            let at = |x: f64| [x, mean + slope_here * (x - middle), 0.0];
            series.push(PlotSeries {
                name: "drift".to_owned(),
                colour: 8,
                points: self.ends.map(at).to_vec(),
                drawn: Drawn::Line,
            });
            let told = Estimate {
                value: slope,
                error: self.facts.figure("energy_drift_stderr").unwrap_or(0.0),
                converged: true,
            };
            notes.push(format!("drift {} meV/atom/ps", told.text()));
        }
        let title = match self.facts.bath_kt() {
            Some(_) => "What should be conserved: energy less the heat and work put in",
            None => "Total energy, which should be conserved",
        };
        let mut plot = self.plot(title, "change from the start (meV/atom)", series);
        plot.notes = notes;
        plot
    }

    fn temperature(&self) -> ToldPlot {
        let mut series =
            (self.course).traced("temperature_k", ("temperature", 3), self.unit, |kelvin| {
                kelvin
            });
        if let Some(kt) = self.facts.bath_kt() {
            series.push(level("thermostat", 0, self.ends, kt / KELVIN));
        }
        self.plot("Temperature", "temperature (K)", series)
    }

    fn pressure(&self) -> Option<ToldPlot> {
        const COLUMN: &str = "pressure_bar";
        self.course.has(COLUMN).then(|| {
            let turned = |bar| bar;
            let mut series = self
                .course
                .traced(COLUMN, ("pressure", 6), self.unit, turned);
            let mean = self.facts.figure("mean_pressure_bar");
            if let Some(bar) = mean {
                series.push(level("mean", 1, self.ends, bar));
            }
            if let Some(bar) = self.facts.pressure_bar() {
                series.push(level("barostat", 0, self.ends, bar));
            }
            self.plot("Pressure", "pressure (bar)", series)
        })
    }

    fn plain(&self, column: &str, title: &str, unit: &str) -> Option<ToldPlot> {
        self.course.has(column).then(|| {
            let name = title.split_whitespace().next().unwrap_or("").to_lowercase();
            let turned = |value| value;
            let series = self.course.traced(column, (&name, 4), self.unit, turned);
            self.plot(title, &format!("{name} ({unit})"), series)
        })
    }
}

/// The distribution of the kinetic energy, with that of the canonical ensemble where there is a thermostat.
fn kinetic(facts: &RunFacts, course: &RunCourse) -> Option<ToldPlot> {
    let from = course.equilibrium();
    let (temperatures, series) = course.temperatures(from);
    let degrees = facts.degrees_of_freedom.max(1) as f64;
    // The kinetic energy that the temperature is told from.
    let energy = |kelvin: f64| 0.5 * degrees * kelvin * KELVIN;
    let energies: Vec<f64> = temperatures.iter().map(|kelvin| energy(*kelvin)).collect();
    let theory = facts.bath_kt().map(|kt| CanonicalKinetic {
        degrees_of_freedom: facts.degrees_of_freedom.max(1),
        kt,
    });
    let histogram = KineticHistogram::of(&energies, theory.as_ref())?;
    let plot = histogram.plot("Distribution of the kinetic energy", "eV", theory.as_ref());
    let mut told = ToldPlot {
        plot,
        notes: Vec::new(),
    };
    let degrees = counted(facts.degrees_of_freedom as u64, "degree");
    told.notes.push(match theory {
        Some(theory) => {
            let ratio = histogram.deviation / theory.deviation();
            let mean = series.mean().map(|mean| mean.scaled(energy(1.0)));
            // Of as many independent samples as the mean's error tells, a deviation is known to 1 / sqrt(2 n).
            let independent = mean.map(|mean| (histogram.deviation / mean.error).powi(2));
            let error = independent.map(|n| ratio / (2.0 * n).sqrt());
            let span = (course.end() - from.max(0.0)) * FEMTOSECOND;
            let long = facts.relaxation().is_none_or(|time| span > RELAXATIONS * time);
            let known = long && mean.is_some_and(|mean| mean.converged);
            let width = match error.filter(|error| known && *error < 0.3) {
                Some(error) => format!(
                    "width {} of theory's",
                    Estimate {
                        value: ratio,
                        error,
                        converged: true
                    }
                    .text()
                ),
                None => "the run is too short for its width to be judged".to_owned(),
            };
            format!(
                "Curve: chi-square of {degrees} of freedom at {} K. Mean {} eV, in theory {}; {width}",
                trimmed(theory.kt / KELVIN, 4),
                mean.map_or_else(|| significant(histogram.mean, 4), |mean| mean.text()),
                significant(theory.mean(), 4),
            )
        }
        None => format!(
            "No theory is drawn: at constant energy the distribution depends on the potential ({degrees} of freedom)"
        ),
    });
    if from > 0.0 {
        let (unit, name) = RunCourse::time_unit(course.end());
        told.notes.push(format!(
            "what is before {} {name}, on the way to equilibrium, is left out",
            significant(from / unit, 3)
        ));
    }
    Some(told)
}

/// How fast a run was in its course, by the simulated time (in `unit` fs).
pub fn speed(facts: &RunFacts, name: &str, unit: f64) -> Option<PlotSeries> {
    let timestep = facts.timestep()?;
    let speeds = facts.pace.as_ref()?.speeds();
    let point = |[step, rate]: [f64; 2]| {
        [
            step * timestep / FEMTOSECOND / unit,
            ns_per_day(rate, timestep),
            0.0,
        ]
    };
    (!speeds.is_empty()).then(|| PlotSeries {
        name: name.to_owned(),
        colour: 7,
        points: speeds.into_iter().map(point).collect(),
        drawn: Drawn::Line,
    })
}

/// The plot of speeds over a time in a unit of this name.
pub fn speed_plot(series: Vec<PlotSeries>, time: &str) -> ToldPlot {
    let axis = format!("time ({time})");
    let mut told = ToldPlot::new("Speed", [&axis, "speed (ns/day)"], series);
    told.plot.y.from_zero = true;
    told
}
