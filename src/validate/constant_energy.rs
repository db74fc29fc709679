//! Tests of steps at constant energy: drift, order of the fluctuation, the largest safe step, time reversal, momenta, pairs.

use std::time::Instant;

use super::line::{Judgement, ValidationLine, short};
use super::potential::drift_bar;
use super::walk::{EnergyWalk, FEWEST_SAMPLES, WalkLength};
use super::{Course, Setup, largest_difference};
use crate::Result;
use crate::core::{Fields, Snapshot, observe};
use crate::diagnose::vibration::{Vibrating, shortest_period};
use crate::engine::Engine;
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::potential::Precision;
use crate::report::series::Estimate;
use crate::text::significant;
use crate::units::{FEMTOSECOND, KELVIN, MEV_PER_PS, PICOSECOND};

/// Time (ps) that a start from a minimum takes to give half of its kinetic energy away.
const SETTLING: f64 = 0.1;
/// Parts of the time that the walks with a whole, half and quarter of the step go; the same number of steps each.
const PARTS: [f64; 3] = [1.0, 0.5, 0.25];
/// Fewest steps of a walk that tell anything.
const FEWEST_STEPS: u64 = 400;
/// Largest sound fluctuation of the energy over that of the kinetic energy.
const FLUCTUATION: f64 = 0.05;
/// Steps that the fastest vibration must have: velocity Verlet then makes its frequency 2.6 % too high.
const STEPS_A_PERIOD: f64 = 8.0;
/// Order of velocity Verlet, and how far the order found may be from it: terms of the fourth order, and other ways of chaos.
const ORDER: f64 = 2.0;
const ORDER_BAR: f64 = 0.4;
/// Time (ps) and periods of the stiffest vibration over which the order is told: so short that walks which start out alike are
/// still where each other is, and what vibrations exchange slowly has no part in it.
const ALIKE: f64 = 0.2;
const ALIKE_PERIODS: f64 = 8.0;
/// Drift over a walk in units of the standard deviation of the kinetic energy.
const DRIFT_RATIO: f64 = 1.0;
/// Steps there and back.
const REVERSED: u64 = 100;
/// Largest distance (angstrom) of an atom from where it began after as many steps back: in f64, and in coarser numbers,
/// whose forces differ where positions differ by rounding.
const REVERSAL_F64: f64 = 1e-8;
const REVERSAL: f64 = 1e-3;
/// Largest change of a momentum in units of its thermal one: the whole then takes a millionth of its share of the energy.
const MOMENTUM: f64 = 1e-3;
/// Temperature (K) under which nothing moves that could tell anything.
const STILL: f64 = 0.01;
/// Points of a drawn curve.
const POINTS: usize = 400;

/// Walks with the whole, half and a quarter of the step.
struct EnergyWalks<'s> {
    setup: &'s Setup<'s>,
    /// Period of the stiffest vibration (internal time), if anything is bound.
    period: Option<f64>,
    walks: Vec<EnergyWalk>,
}

/// Makes the tests.
pub(super) fn examine(setup: &Setup<'_>, course: &mut Course<'_>) -> Result<()> {
    let mut engine = setup.workshop.engine(setup.start.clone(), 0)?;
    let begun = engine.snapshot(Fields::ALL)?;
    let vibrating = Vibrating::new(&setup.start.system, &setup.start.constraints);
    let period = shortest_period(engine.as_mut(), &vibrating, &begun)?;
    let (state, pace) = settled(setup, engine.as_mut(), &begun, course)?;
    let (deadline, steps) = plan(setup, pace, course);
    let alike = (ALIKE * PICOSECOND / setup.timestep)
        .ceil()
        .max(FEWEST_SAMPLES as f64) as u64;
    let mut walks = Vec::new();
    for part in PARTS {
        let way = WalkLength {
            timestep: setup.timestep * part,
            steps,
            // Those of the run's own step are what the run will take.
            looked_at: if part == 1.0 { alike } else { 0 },
            deadline,
        };
        walks.push(EnergyWalk::take(
            setup,
            engine.as_mut(),
            (&state, way),
            course,
        )?);
    }
    // Walks that were broken off are no test of anything.
    if course.is_interrupted() {
        return Ok(());
    }
    let walks = EnergyWalks {
        setup,
        period,
        walks,
    };
    if let Some(broke) = walks.walks.iter().find_map(|w| w.broke.clone()) {
        let why = "a run whose numbers cease to be finite is none";
        let name = ("constant_energy", "steps");
        course.add(ValidationLine::told(name, broke, why, Judgement::Fail));
        return Ok(());
    }
    let bends = walks.walks[0].roughest.line(setup)?;
    walks.tell(bends, course);
    walks.draw(course);
    course.add(reversal(setup, engine.as_mut(), &state)?);
    // What was hardly walked has shown nothing of what it keeps.
    if walks.walks[0].steps() >= FEWEST_SAMPLES {
        walks.momenta(&state, course);
        course.add(walks.pairs());
    }
    Ok(())
}

/// The state a little later, and the time that a step takes.
fn settled(
    setup: &Setup<'_>,
    engine: &mut dyn Engine,
    begun: &Snapshot,
    course: &Course<'_>,
) -> Result<(Snapshot, f64)> {
    let steps = (SETTLING * PICOSECOND / setup.timestep).round().max(20.0) as u64;
    let program = setup.workshop.constant_energy(setup.timestep);
    engine.restore(begun)?;
    let began = Instant::now();
    for step in begun.step..begun.step + steps {
        if course.is_interrupted() {
            break;
        }
        engine.run(&program, step..step + 1)?;
        engine.snapshot(Fields::NONE)?;
    }
    let pace = began.elapsed().as_secs_f64() / steps as f64;
    Ok((engine.snapshot(Fields::ALL)?, pace))
}

/// When walks have to end, and the steps of each.
fn plan(setup: &Setup<'_>, pace: f64, course: &Course<'_>) -> (Instant, u64) {
    let depth = &setup.depth;
    let wanted = (depth.constant_energy / setup.timestep).round();
    // What comes later has its share of what is left.
    let share = depth.stepping.as_secs_f64() / (depth.stepping + depth.sampling).as_secs_f64();
    let stepping = (depth.stepping).min(course.left(depth).mul_f64(share));
    let affordable = stepping.as_secs_f64() / (PARTS.len() as f64 * pace);
    let steps = wanted.min(affordable).max(FEWEST_STEPS as f64);
    (Instant::now() + 2 * depth.stepping, steps as u64)
}

impl EnergyWalks<'_> {
    fn atoms(&self) -> f64 {
        self.setup.start.system.len().max(1) as f64
    }

    /// A time that all of them have in common, over which they are alike.
    fn common(&self) -> f64 {
        let spans = self.walks.iter().map(EnergyWalk::span);
        let periods = self.period.map_or(0.0, |period| ALIKE_PERIODS * period);
        let samples = FEWEST_SAMPLES as f64 * self.setup.timestep;
        let wanted = (ALIKE * PICOSECOND).max(periods).max(samples);
        spans.fold(wanted, f64::min)
    }

    /// Temperature (K) of the first.
    fn temperature(&self) -> f64 {
        observe::kt(
            self.walks[0].mean_kinetic(),
            self.setup.thermometer.degrees_of_freedom,
        ) / KELVIN
    }

    fn tell(&self, bends: Option<ValidationLine>, course: &mut Course<'_>) {
        const ORDER_NAME: (&str, &str) = ("order", "order of the integrator");
        let fluctuations: Option<Vec<f64>> = (self.walks.iter())
            .map(|walk| walk.fluctuation(self.common()))
            .collect();
        let whole = &self.walks[0];
        let ratio = (whole.fluctuation(f64::INFINITY)).zip(whole.kinetic_deviation());
        let moves = self.temperature() > STILL;
        let (Some(found), Some((fluctuation, kinetic))) = (fluctuations.filter(|_| moves), ratio)
        else {
            let (why, judgement) = self.nothing();
            for name in [FLUCTUATION_NAME, ORDER_NAME, DRIFT_NAME, RATIO_NAME] {
                course.add(ValidationLine::told(name, why.clone(), "", judgement));
            }
            return;
        };
        let ratio = fluctuation / kinetic;
        course.add(self.fluctuation(ratio));
        course.add(self.safe_step(ratio));
        let are_bent = (bends.as_ref()).is_some_and(|line| line.judgement == Judgement::Fail);
        course.add(order(ORDER_NAME, &found, (self.setup.precision, are_bent)));
        bends.into_iter().for_each(|line| course.add(line));
        self.drift(kinetic, course);
    }

    /// Why energies tell nothing.
    fn nothing(&self) -> (String, Judgement) {
        let (steps, kelvin) = (self.walks[0].steps(), significant(self.temperature(), 3));
        if steps < FEWEST_SAMPLES {
            return (format!("{steps} steps are too few"), Judgement::Undecided);
        }
        match self.walks[0].kinetic_deviation() {
            None => ("no force acts".to_owned(), Judgement::NotApplicable),
            Some(_) => (
                format!(
                    "at {kelvin} K nothing moves that could tell anything, or steps are too few"
                ),
                Judgement::Undecided,
            ),
        }
    }

    fn fluctuation(&self, ratio: f64) -> ValidationLine {
        let text = format!(
            "{} of the kinetic energy's, over {} ps at {} K",
            short(ratio),
            significant(self.walks[0].span() / PICOSECOND, 3),
            significant(self.temperature(), 3),
        );
        ValidationLine::measured(
            FLUCTUATION_NAME,
            (ratio, "", FLUCTUATION),
            "the energy goes up and down with the vibrations as the square of the step: a twentieth of what moves anyway",
        )
        .saying(text)
    }

    /// The step beside the largest one that fluctuation and stiffest vibration allow.
    fn safe_step(&self, ratio: f64) -> ValidationLine {
        let timestep = self.setup.timestep;
        let by_energy = timestep * (FLUCTUATION / ratio).sqrt();
        let by_period = self
            .period
            .map_or(f64::INFINITY, |period| period / STEPS_A_PERIOD);
        let safe = by_energy.min(by_period);
        let stiffest = match self.period {
            Some(period) => format!(
                "stiffest vibration {} fs",
                significant(period / FEMTOSECOND, 3)
            ),
            None => "nothing vibrates".to_owned(),
        };
        // The figure has the bar in it.
        let text = format!(
            "{} fs, where about {} fs would be safe ({stiffest} at the start)",
            significant(timestep / FEMTOSECOND, 3),
            significant(safe / FEMTOSECOND, 3),
        );
        ValidationLine::measured(
            ("timestep", "time step"),
            (timestep / FEMTOSECOND, "fs", safe / FEMTOSECOND),
            "8 steps a vibration (its frequency comes out 2.6 % too high), and the bar of the fluctuation, which goes as the \
             square of the step",
        )
        .saying(text)
        .with_bar("")
    }

    fn drift(&self, kinetic: f64, course: &mut Course<'_>) {
        let unit = self.atoms() * MEV_PER_PS;
        let slopes: Vec<Estimate> = (self.walks.iter().filter_map(EnergyWalk::slope))
            .map(|slope| slope.scaled(1.0 / unit))
            .collect();
        let Some(&slope) = slopes.first() else {
            return;
        };
        let bar = drift_bar(self.setup) / MEV_PER_PS;
        let finer: Vec<String> = slopes[1..].iter().map(|s| s.text()).collect();
        let text = format!(
            "{} meV/atom/ps; {} with half, a quarter of the step",
            slope.text(),
            finer.join(", ")
        );
        course.add(
            ValidationLine::measured(
                DRIFT_NAME,
                (slope.value, "meV/atom/ps", bar),
                "0.05 warms a solid by 0.2 K in a picosecond; the run's own limit ([monitor] drift) where that is less",
            )
            .saying(text)
            .give_or_take(slope.error)
            .judged(Judgement::of_estimate(slope, bar)),
        );
        let whole = slope.scaled(unit * self.walks[0].span() / kinetic);
        let span = self.walks[0].span() / PICOSECOND;
        course.add(
            ValidationLine::measured(
                RATIO_NAME,
                (whole.value, "", DRIFT_RATIO),
                "over the time tried, drift must stay within what the kinetic energy does anyway",
            )
            .saying(format!("{} over {} ps", whole.text(), significant(span, 3)))
            .give_or_take(whole.error)
            .judged(Judgement::of_estimate(whole, DRIFT_RATIO)),
        );
    }

    fn momenta(&self, state: &Snapshot, course: &mut Course<'_>) {
        const ANGULAR: (&str, &str) = ("angular_momentum", "angular momentum");
        let system = &self.setup.start.system;
        let kt = KELVIN * self.temperature();
        let thermal = (3.0 * system.total_mass() * kt).sqrt();
        let changed = self.walks.iter().map(|w| w.momentum).fold(0.0, f64::max);
        let change = changed / thermal;
        course.add(
            ValidationLine::measured(
                ("momentum", "momentum"),
                (change, "", MOMENTUM),
                "forces between atoms sum to zero; beyond the bar the whole would take a millionth of its share of the energy",
            )
            .saying(format!(
                "changes by {} of its thermal size",
                short(change)
            )),
        );
        let ends: Vec<&Snapshot> = self.walks.iter().filter_map(|w| w.end.as_ref()).collect();
        if state.cell.is_periodic() || system.len() < 2 {
            let why = match state.cell.is_periodic() {
                true => "of a cell it is not conserved",
                false => "one atom has none",
            };
            course.add(ValidationLine::told(
                ANGULAR,
                why,
                "",
                Judgement::NotApplicable,
            ));
            return;
        }
        let of = |s: &Snapshot| observe::angular_momentum(system, &s.positions, &s.velocities);
        let thermal = (kt * observe::inertia(system, &state.positions).trace()).sqrt();
        let changes = ends.iter().map(|end| (of(end) - of(state)).norm());
        let change = changes.fold(0.0, f64::max) / thermal;
        course.add(
            ValidationLine::measured(
                ANGULAR,
                (change, "", MOMENTUM),
                "a potential that does not change with rotation turns nothing as a whole",
            )
            .saying(format!("changes by {} of its thermal size", short(change))),
        );
    }

    /// The pairs of the walks.
    fn pairs(&self) -> ValidationLine {
        const NAME: (&str, &str) = ("listed_pairs", "pairs on the way");
        const WHY: &str =
            "the list must be built anew before an atom has come nearer than it knows";
        let audited: usize = self.walks.iter().map(|w| w.audited).sum();
        match self.walks.iter().find_map(|w| w.mismatch.clone()) {
            Some(mismatch) => ValidationLine::told(NAME, mismatch, WHY, Judgement::Fail),
            None => {
                let found = format!("{audited} rows of the list equal brute force");
                ValidationLine::told(NAME, found, WHY, Judgement::Pass)
            }
        }
    }

    fn draw(&self, course: &mut Course<'_>) {
        let atoms = self.atoms();
        let name =
            |walk: &EnergyWalk| format!("{} fs", significant(walk.timestep / FEMTOSECOND, 3));
        let energies = |(colour, walk): (usize, &EnergyWalk)| {
            let first = walk.energies.first().map_or(0.0, |e| e[0]);
            let stride = walk.energies.len().div_ceil(POINTS).max(1);
            let points = (walk.energies.iter().enumerate().step_by(stride)).map(|(k, e)| {
                let time = k as f64 * walk.timestep / PICOSECOND;
                [time, 1e3 * (e[0] - first) / atoms, 0.0]
            });
            PlotSeries {
                name: name(walk),
                colour: colour + 1,
                points: points.collect(),
                drawn: Drawn::Line,
            }
        };
        course.draw(Plot {
            title: "Total energy at constant energy".to_owned(),
            x: PlotAxis::linear("time (ps)"),
            y: PlotAxis::linear("change of the total energy (meV/atom)"),
            series: self.walks.iter().enumerate().map(energies).collect(),
        });
        let common = self.common();
        let points: Vec<[f64; 3]> = (self.walks.iter())
            .filter_map(|w| Some([w.timestep / FEMTOSECOND, 1e3 * w.fluctuation(common)?, 0.0]))
            .collect();
        let square = points.first().map(|[t, f, _]| {
            points
                .iter()
                .map(|p| [p[0], f * (p[0] / t).powi(2), 0.0])
                .collect()
        });
        course.draw(Plot {
            title: "Fluctuation of the total energy".to_owned(),
            x: PlotAxis::logarithmic("time step (fs)"),
            y: PlotAxis::logarithmic("root mean square (meV)"),
            series: vec![
                PlotSeries::new("second order", 0, square.unwrap_or_default(), Drawn::Line),
                PlotSeries::new("measured", 1, points, Drawn::Marks),
            ],
        });
    }
}

const FLUCTUATION_NAME: (&str, &str) = ("fluctuation", "energy fluctuation");
const DRIFT_NAME: (&str, &str) = ("drift", "energy drift");
const RATIO_NAME: (&str, &str) = ("drift_ratio", "drift / std(E_kin)");

/// The order in the step of the fluctuation of the energy, from the whole and half of the step.
fn order(
    name: (&'static str, &'static str),
    found: &[f64],
    (precision, are_bent): (Precision, bool),
) -> ValidationLine {
    let order = (found[0] / found[1]).log2();
    let next = (found[1] / found[2]).log2();
    let far = (order - ORDER).abs();
    let text = format!("{}, then {}", significant(order, 3), significant(next, 3));
    // Coarse numbers leave a noise that no step makes smaller.
    let covered = precision != Precision::F64 && order < ORDER && next < 0.5 * ORDER;
    let (text, judgement) = match Judgement::of(far, ORDER_BAR) {
        Judgement::Fail if are_bent => (
            format!("{text}: forces bend within a step"),
            Judgement::Fail,
        ),
        Judgement::Fail if covered => (
            format!("{text}: rounding in {precision} covers it"),
            Judgement::NotApplicable,
        ),
        judgement => (text, judgement),
    };
    ValidationLine::measured(
        name,
        (far, "", ORDER_BAR),
        "velocity Verlet is of second order: half the step has a quarter of the fluctuation; jumps, and forces that are no \
         slopes, do not shrink with the step",
    )
    .saying(text)
    .with_bar(format!("{ORDER} within {ORDER_BAR}"))
    .judged(judgement)
}

/// Steps, as many back, and how far atoms are from where they began.
fn reversal(
    setup: &Setup<'_>,
    engine: &mut dyn Engine,
    state: &Snapshot,
) -> Result<ValidationLine> {
    let program = setup.workshop.constant_energy(setup.timestep);
    engine.restore(state)?;
    engine.run(&program, state.step..state.step + REVERSED)?;
    let mut there = engine.snapshot(Fields::PHASE)?;
    for velocity in &mut there.velocities {
        *velocity = -*velocity;
    }
    engine.restore(&there)?;
    engine.run(&program, there.step..there.step + REVERSED)?;
    let back = engine.snapshot(Fields::PHASE)?;
    let distance = largest_difference(&back.positions, &state.positions);
    let bar = match setup.precision {
        Precision::F64 => REVERSAL_F64,
        _ => REVERSAL,
    };
    let text = format!(
        "{REVERSED} steps and as many back end {} A away",
        short(distance)
    );
    Ok(ValidationLine::measured(
        ("time_reversal", "time reversal"),
        (distance, "A", bar),
        "Newton's equations and velocity Verlet run backwards as well; what is left is rounding, which chaos enlarges",
    )
    .saying(text))
}
