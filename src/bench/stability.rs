//! Stability at constant energy as comparisons of learned potentials quote it: 50 ps with 1 fs from 300 K, of systems from 9 to
//! 2,646 atoms. Told are the slope of the total energy and what it comes to beside the fluctuation of the kinetic energy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::water;
use crate::core::observe::{self, WholeMotion};
use crate::core::rng::Noise;
use crate::core::velocities::{self, Temperature};
use crate::core::{Cell, Fields, Vec3, elements};
use crate::dynamics::{self, Program};
use crate::engine::{Engine, Flags, Start};
use crate::formats::embedded;
use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};
use crate::report::series::{Estimate, Series};
use crate::units::{FEMTOSECOND, KELVIN, MEV_PER_PS, PICOSECOND};
use crate::{Error, Result};

/// The step and the time of the comparisons.
pub const TIMESTEP: f64 = FEMTOSECOND;
/// The time.
pub const DURATION: f64 = 50.0 * PICOSECOND;
/// The temperature that a run begins at (kT, eV), and the one beyond which a model has not held its atoms together.
const KT: f64 = 300.0 * KELVIN;
const HOTTEST: f64 = 3.0 * KT;
/// The thermostat before: friction, and steps of 0.05 and of 0.5 fs: molecules may begin too close to each other.
const FRICTION: f64 = 1.0 / (100.0 * FEMTOSECOND);
const BEFORE: [(u64, f64); 2] = [(200, 0.05 * FEMTOSECOND), (2000, 0.5 * FEMTOSECOND)];
/// Waters in boxes, and the edge (angstrom) of the first.
const WATERS: [usize; 2] = [501, 882];
const EDGE: f64 = 24.772;
/// Steps between two looks at the clock.
const LOOK: u64 = 20;
/// Points of a drawn curve.
const POINTS: usize = 300;

/// A system of the comparison.
#[derive(Debug, Clone)]
pub struct StabilitySystem {
    /// What it is.
    pub name: String,
    /// Its atoms, at rest.
    pub start: Start,
}

/// The systems, by size: molecules that come with the program, and boxes of water.
///
/// # Errors
/// None, as long as the structures that come with the program can be read.
pub fn stability_systems() -> Result<Vec<StabilitySystem>> {
    let mut systems = Vec::new();
    for (name, structure) in embedded()? {
        let system = structure.system();
        let velocities = vec![Vec3::zeros(); system.len()];
        let cell = structure.cell()?;
        systems.push(StabilitySystem {
            name: name.to_owned(),
            start: Start::new(system, cell, structure.positions, velocities),
        });
    }
    for waters in WATERS {
        let edge = EDGE * (waters as f64 / WATERS[0] as f64).cbrt();
        systems.push(StabilitySystem {
            name: format!("{waters} waters"),
            start: water::placed(waters, edge)?,
        });
    }
    systems.sort_by_key(|system| system.start.system.len());
    Ok(systems)
}

/// What came of a system.
#[derive(Debug, Clone)]
pub struct StabilityRow {
    /// The system.
    pub name: String,
    /// Its sum formula.
    pub formula: String,
    /// Number of atoms.
    pub atoms: usize,
    /// What was measured, or why it was not.
    pub measured: std::result::Result<Stability, String>,
}

/// What a run at constant energy showed.
#[derive(Debug, Clone)]
pub struct Stability {
    /// Time (internal).
    pub span: f64,
    /// Slope of the total energy (meV / atom / ps).
    pub slope: Estimate,
    /// What it comes to over the run in units of the standard deviation of the kinetic energy.
    pub ratio: Estimate,
    /// Mean temperature (K).
    pub temperature: f64,
    /// Wall time of a step (s).
    pub step: f64,
    /// Time (ps) and change of the total energy (meV / atom), thinned out.
    pub course: Vec<[f64; 3]>,
}

/// Makes the engine of a start.
pub type MakeEngine<'e> = dyn Fn(&Start) -> Result<Box<dyn Engine>> + 'e;

/// How far each system is run.
#[derive(Debug, Clone, Copy)]
pub struct StabilityLength {
    /// Time (internal).
    pub duration: f64,
    /// Time that each may take.
    pub patience: Duration,
}

impl StabilitySystem {
    /// Heats the system and runs it at constant energy.
    ///
    /// # Errors
    /// The device failed.
    pub fn measure(
        &self,
        make: &MakeEngine<'_>,
        length: StabilityLength,
        interrupt: &AtomicBool,
    ) -> Result<StabilityRow> {
        let species = &self.start.system.species;
        let mut row = StabilityRow {
            name: self.name.clone(),
            formula: elements::formula(species),
            atoms: species.len(),
            measured: Err("the model does not hold it together".to_owned()),
        };
        let Some(mut engine) = self.heated(make, interrupt)? else {
            return Ok(row);
        };
        let program = Program::velocity_verlet(TIMESTEP);
        let steps = (length.duration / TIMESTEP).round() as u64;
        let began = Instant::now();
        let [mut total, mut kinetic] = [Series::default(), Series::default()];
        let mut course = Vec::new();
        let every = steps.div_ceil(POINTS as u64).max(1);
        let mut taken: u64 = 0;
        let stop = |taken: u64| {
            taken == steps || interrupt.load(Ordering::Relaxed) || began.elapsed() > length.patience
        };
        loop {
            let o = engine.snapshot(Fields::NONE)?.observables;
            let time = taken as f64 * TIMESTEP;
            total.add(time, o.total());
            kinetic.add(time, o.kinetic);
            if taken.is_multiple_of(every) {
                course.push([time / PICOSECOND, o.total(), 0.0]);
            }
            if stop(taken) {
                break;
            }
            let outcome = engine.run(&program, taken..taken + 1)?;
            taken += 1;
            if outcome.flags != Flags::OK || self.is_hot(o.kinetic) {
                return Ok(row);
            }
        }
        let atoms = species.len().max(1) as f64;
        let first = total.first().unwrap_or(0.0);
        course
            .iter_mut()
            .for_each(|p| p[1] = 1e3 * (p[1] - first) / atoms);
        let (Some(slope), Some(deviation), Some(mean)) =
            (total.slope(), kinetic.deviation(), kinetic.mean())
        else {
            row.measured = Err("there was no time for it".to_owned());
            return Ok(row);
        };
        row.measured = Ok(Stability {
            span: total.span(),
            slope: slope.scaled(1.0 / (atoms * MEV_PER_PS)),
            ratio: slope.scaled(total.span() / deviation),
            temperature: observe::kt(mean.value, self.freedom()) / KELVIN,
            step: began.elapsed().as_secs_f64() / taken.max(1) as f64,
            course,
        });
        Ok(row)
    }

    /// Degrees of freedom of a system at rest as a whole.
    fn freedom(&self) -> usize {
        let Start {
            system, positions, ..
        } = &self.start;
        let open = Cell::open();
        let cell = self
            .start
            .members
            .only()
            .map_or(&open, |member| &member.cell);
        observe::degrees_of_freedom(system, cell, positions, WholeMotion::Conserved)
    }

    fn is_hot(&self, kinetic: f64) -> bool {
        let kt = observe::kt(kinetic, self.freedom());
        kt >= HOTTEST || kt.is_nan()
    }

    /// An engine with the system at 300 K under a thermostat, at rest as a whole; `None` where it does not hold together.
    fn heated(
        &self,
        make: &MakeEngine<'_>,
        interrupt: &AtomicBool,
    ) -> Result<Option<Box<dyn Engine>>> {
        let mut start = self.start.clone();
        let cell = start.members.only()?.cell.clone();
        let temperature = Temperature {
            kt: KT,
            degrees_of_freedom: self.freedom(),
        };
        let noise = Noise::new(1);
        start.velocities =
            velocities::thermal(&start.system, &cell, &start.positions, temperature, noise);
        let mut engine = make(&start)?;
        let mut step = 0;
        for (steps, timestep) in BEFORE {
            let program = dynamics::baoab(timestep, KT, FRICTION);
            let end = step + steps;
            while step < end && !interrupt.load(Ordering::Relaxed) {
                let until = end.min(step + LOOK);
                let outcome = engine.run(&program, step..until)?;
                step = until;
                if outcome.flags != Flags::OK {
                    return Ok(None);
                }
            }
        }
        let mut state = engine.snapshot(Fields::PHASE)?;
        velocities::remove_momentum(&start.system, &mut state.velocities);
        if !cell.is_periodic() {
            let positions = &state.positions;
            velocities::remove_angular_momentum(&start.system, positions, &mut state.velocities);
        }
        state.step = 0;
        if self.is_hot(observe::kinetic_energy(&start.system, &state.velocities)) {
            return Ok(None);
        }
        engine.restore(&state)?;
        Ok(Some(engine))
    }
}

impl StabilityRow {
    /// All of it for scripts.
    pub fn json(&self) -> Value {
        let mut row = json!({
            "system": self.name,
            "formula": self.formula,
            "atoms": self.atoms,
        });
        let more = match &self.measured {
            Ok(found) => json!({
                "duration_ps": found.span / PICOSECOND,
                "timestep_fs": TIMESTEP / FEMTOSECOND,
                "drift_mev_per_atom_ps": found.slope.value,
                "drift_stderr_mev_per_atom_ps": found.slope.error,
                "drift_over_std_kinetic": found.ratio.value,
                "temperature_k": found.temperature,
                "step_ms": 1e3 * found.step,
            }),
            Err(why) => json!({ "not_measured": why }),
        };
        if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
            row.extend(more);
        }
        row
    }
}

/// The energies of all of them over time.
pub fn stability_plot(rows: &[StabilityRow]) -> Plot {
    let measured = rows
        .iter()
        .filter_map(|row| Some((row, row.measured.as_ref().ok()?)));
    Plot {
        title: "Total energy at constant energy, steps of 1 fs".to_owned(),
        x: PlotAxis::linear("time (ps)"),
        y: PlotAxis::linear("change of the total energy (meV/atom)"),
        series: (measured.enumerate())
            .map(|(colour, (row, found))| PlotSeries {
                name: row.name.clone(),
                colour,
                points: found.course.clone(),
                drawn: Drawn::Line,
            })
            .collect(),
    }
}

/// Finds systems by their sizes.
///
/// # Errors
/// None is left.
pub fn up_to(systems: Vec<StabilitySystem>, largest: usize) -> Result<Vec<StabilitySystem>> {
    let left: Vec<StabilitySystem> = (systems.into_iter())
        .filter(|system| system.start.system.len() <= largest)
        .collect();
    match left.is_empty() {
        true => Err(Error::input(format!(
            "--largest {largest}: the smallest system has 9 atoms"
        ))),
        false => Ok(left),
    }
}
