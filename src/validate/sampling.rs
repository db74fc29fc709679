//! Tests of what a run's thermostat and barostat sample: the kinetic energy, its shares, and pairs of temperatures and
//! pressures.

use super::kinetic::{KineticTheory, deviating, judge_kinetic, judge_shares};
use super::line::{Judgement, ValidationLine};
use super::ratio::{LogRatio, log_ratio};
use super::samples::{EnsembleSampler, Sample, SampleReader, Samples};
use super::{Course, Setup};
use crate::Result;
use crate::analysis::kinetic_energy::{CanonicalKinetic, KineticHistogram};
use crate::core::Fields;
use crate::dynamics::Dynamics;
use crate::engine::Start;
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::report::series::Estimate;
use crate::text::significant;
use crate::units::{BAR, KELVIN};

/// Neighbouring states are so many standard deviations of the energy, or the volume, apart: they overlap, and differ.
const APART: f64 = 1.5;
/// Part of the time that the run's own state takes.
const OWN: f64 = 0.5;
/// Bins of a drawn histogram.
const BINS: usize = 40;

const KINETIC: (&str, &str) = ("kinetic_energy", "kinetic energy, mean");
const TEMPERATURES: (&str, &str) = ("temperature_pair", "two temperatures");
const PRESSURES: (&str, &str) = ("pressure_pair", "two pressures");

/// A neighbouring state: its ensemble, what is compared, and the slope that the logarithm of the ratio must have.
struct Neighbour {
    name: (&'static str, &'static str),
    what: &'static str,
    reason: &'static str,
    ensemble: Dynamics,
    said: String,
    slope: f64,
    read: Box<dyn Fn(&Sample) -> f64>,
}

/// Makes the tests.
pub(super) fn examine(setup: &Setup<'_>, course: &mut Course<'_>) -> Result<()> {
    let kt = setup.ensemble.bath().map(|bath| bath.kt);
    let Some(kt) = kt.filter(|kt| *kt > 0.0) else {
        let found = match kt {
            None => "the run is at constant energy: it has no thermostat",
            Some(_) => "at 0 K nothing is distributed",
        };
        let none = Judgement::NotApplicable;
        course.add(ValidationLine::told(KINETIC, found, "", none));
        return Ok(());
    };
    let time = (setup.depth.sampling).min(course.left(&setup.depth));
    let reader = SampleReader::new(setup)?;
    let mut own = EnsembleSampler::begin(setup, setup.ensemble, (setup.start.clone(), 1))?;
    own.sample(&reader, time.mul_f64(OWN), course)?;
    if course.is_interrupted() {
        return Ok(());
    }
    let samples = own.samples();
    let end = own.start()?;
    let state = own.engine().snapshot(Fields::ALL)?;
    let theory = KineticTheory::of_steps(setup, own.engine(), (&state, kt), reader.kinds())?;
    let seen = [setup.depth.temperature, setup.depth.ratio];
    for line in judge_kinetic(&theory, &samples, seen) {
        course.add(line);
    }
    course.add(judge_shares(&theory, &samples, reader.kinds(), seen[0]));
    draw_kinetic(&theory, &samples, course);
    drop(own);
    let neighbours = neighbours(setup, kt, &samples);
    let share = time.mul_f64((1.0 - OWN) / neighbours.len().max(1) as f64);
    for (k, neighbour) in neighbours.into_iter().enumerate() {
        if course.is_interrupted() {
            break;
        }
        let from: (Start, u32) = (end.clone(), k as u32 + 2);
        let mut other = EnsembleSampler::begin(setup, neighbour.ensemble, from)?;
        other.sample(&reader, share, course)?;
        if course.is_interrupted() {
            break;
        }
        compare(setup, &neighbour, [&samples, &other.samples()], course);
    }
    Ok(())
}

fn deviation(values: &[f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt()
}

/// The states that the run's own is compared with.
fn neighbours(setup: &Setup<'_>, kt: f64, samples: &Samples) -> Vec<Neighbour> {
    let pressed = setup.ensemble.pressure();
    let pressure = pressed.unwrap_or(0.0);
    let energy = move |s: &Sample| s.potential + pressure * s.volume;
    let width = deviation(&samples.each(energy));
    let mut found = Vec::new();
    if width > 0.0 {
        let colder = 1.0 / (1.0 / kt + APART / width);
        let colder = colder.max(0.5 * kt);
        found.push(Neighbour {
            name: TEMPERATURES,
            what: match pressed {
                Some(_) => "potential energy + P V",
                None => "potential energy",
            },
            reason: "whatever the system, two temperatures weigh an energy by exp(-E / kT) each: the logarithm of the ratio of \
                     their distributions has the slope 1/kT1 - 1/kT2 (Shirts 2013)",
            ensemble: setup.ensemble.at_temperature(colder),
            said: format!(
                "{} and {} K",
                significant(kt / KELVIN, 4),
                significant(colder / KELVIN, 4)
            ),
            slope: 1.0 / kt - 1.0 / colder,
            read: Box::new(energy),
        });
    }
    let volumes = deviation(&samples.each(|s| s.volume));
    if pressed.is_some() && volumes > 0.0 {
        let higher = pressure + APART * kt / volumes;
        found.push(Neighbour {
            name: PRESSURES,
            what: "volume",
            reason: "two pressures weigh a volume by exp(-P V / kT) each: the logarithm of the ratio of their distributions has \
                     the slope (P1 - P2) / kT (Shirts 2013)",
            ensemble: setup.ensemble.at_pressure(higher),
            said: format!(
                "{} and {} bar",
                significant(pressure / BAR, 3),
                significant(higher / BAR, 3)
            ),
            slope: (pressure - higher) / kt,
            read: Box::new(|s| s.volume),
        });
    }
    found
}

fn compare(
    setup: &Setup<'_>,
    neighbour: &Neighbour,
    states: [&Samples; 2],
    course: &mut Course<'_>,
) {
    let [first, second] = states.map(|samples| samples.each(&neighbour.read));
    let Some(found) = log_ratio(&first, &second) else {
        let found = format!(
            "{}: {} and {} samples are too few, or do not overlap",
            neighbour.said,
            first.len(),
            second.len()
        );
        course.add(ValidationLine::told(
            neighbour.name,
            found,
            neighbour.reason,
            Judgement::Undecided,
        ));
        return;
    };
    let relative = found.slope.scaled(1.0 / neighbour.slope);
    let deviation = Estimate {
        value: relative.value - 1.0,
        ..relative
    };
    let text = format!(
        "{}: slope {} of what it must be, {} and {} independent samples",
        neighbour.said,
        relative.text(),
        found.independent[0],
        found.independent[1]
    );
    let line = deviating(
        neighbour.name,
        deviation,
        setup.depth.ratio,
        neighbour.reason,
    );
    course.add(line.saying(text));
    draw_ratio(neighbour, &found, [&first, &second], course);
}

/// Counts of values in bins from `low` on.
fn counts(values: &[f64], low: f64, width: f64) -> Vec<f64> {
    let mut counts = vec![0.0; BINS];
    for value in values {
        let bin = (value - low) / width;
        if (0.0..BINS as f64).contains(&bin) {
            counts[bin as usize] += 1.0;
        }
    }
    counts
}

/// Least and largest of values.
fn range(values: &[f64]) -> [f64; 2] {
    let ends = [f64::INFINITY, f64::NEG_INFINITY];
    (values.iter()).fold(ends, |[low, high], &x| [low.min(x), high.max(x)])
}

fn draw_kinetic(theory: &KineticTheory, samples: &Samples, course: &mut Course<'_>) {
    let [_, kt] = theory.gamma();
    let canonical = CanonicalKinetic {
        degrees_of_freedom: theory.degrees_of_freedom,
        kt,
    };
    let values = samples.each(|s| s.kinetic);
    if let Some(histogram) = KineticHistogram::of(&values, Some(&canonical)) {
        let title = "Kinetic energy under the thermostat";
        course.draw(histogram.plot(title, "eV", Some(&canonical)));
    }
}

fn draw_ratio(
    neighbour: &Neighbour,
    found: &LogRatio,
    [first, second]: [&[f64]; 2],
    course: &mut Course<'_>,
) {
    /// Fewest samples of a bin that a ratio is drawn of.
    const FEWEST: f64 = 5.0;
    let [low, high] = range(&[first, second].concat());
    let width = (high - low) / BINS as f64;
    let middle = |k: usize| low + (k as f64 + 0.5) * width;
    let [one, two] = [first, second].map(|values| counts(values, low, width));
    let [all_one, all_two] = [first.len() as f64, second.len() as f64];
    let points: Vec<[f64; 3]> = (0..BINS)
        .filter(|&k| one[k] >= FEWEST && two[k] >= FEWEST)
        .map(|k| {
            let ratio = (two[k] / all_two / (one[k] / all_one)).ln();
            let correlated = all_one / found.independent[0];
            let error = (correlated * (1.0 / one[k] + 1.0 / two[k])).sqrt();
            [middle(k), ratio, error]
        })
        .collect();
    // The line of the right slope through what was found in the middle.
    let centre = 0.5 * (low + high);
    let there = found.constant + found.slope.value * centre;
    let ends = points.first().zip(points.last()).map(|(a, b)| [a[0], b[0]]);
    let line = ends.map(|ends| {
        ends.map(|x| [x, there + neighbour.slope * (x - centre), 0.0])
            .to_vec()
    });
    let unit = if neighbour.what == "volume" {
        "A^3"
    } else {
        "eV"
    };
    course.draw(Plot {
        title: format!("Ratio of distributions at {}", neighbour.said),
        x: PlotAxis::close(format!("{} ({unit})", neighbour.what)),
        y: PlotAxis::linear("ln of the ratio"),
        series: vec![
            PlotSeries::new("theory", 0, line.unwrap_or_default(), Drawn::Line),
            PlotSeries::new("measured", 1, points, Drawn::Marks),
        ],
    });
}
