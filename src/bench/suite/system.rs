//! The systems that a suite measures, and the states of them that errors and drift are measured at.

use std::path::Path;

use super::super::{Args, Job, SKIN, Workshop, measure, members, water};
use super::clock::SuiteClock;
use crate::core::{Fields, Vec3, elements};
use crate::dynamics::{self, Program};
use crate::engine::{Engine, Flags, Start};
use crate::neighbors::Pairs;
use crate::text::counted;
use crate::units::{FEMTOSECOND, KELVIN};
use crate::{Error, Result};

/// Atoms of the rows as the guide has them, and those of the box of water that stands for each: boxes of `mdrun bench`
/// ([`water`]), which other programs build too. Molecules fill the grid of the periodic ones.
const SIZES: [[usize; 2]; 5] = [[10, 9], [20, 21], [50, 51], [100, 102], [200, 192]];
/// Those of `--large`.
const LARGE: [[usize; 2]; 2] = [[1536, 1536], [12288, 12288]];

/// Friction of the thermostat (1 / fs) that relaxes a grid of molecules.
const FRICTION: f64 = 0.05;
/// Temperature (eV) of the states, and the one beyond which a model has not held its atoms together.
const KT: f64 = 300.0 * KELVIN;
const HOTTEST: f64 = 2.0 * KT;
/// Steps of a tenth of the usual length first: molecules begin too close to each other.
const CAREFUL_STEPS: u64 = 100;
/// Steps to forget the grid in; fewer of a system of many atoms, which has as much to forget but takes long.
const RELAXING_STEPS: u64 = 2000;
const FEWER_STEPS: u64 = 400;
/// Atoms from which a system is of many.
const MANY: usize = 1000;
/// States that errors are measured at, of few atoms and of many, and the steps between them.
const FRAMES: [usize; 2] = [8, 2];
const BETWEEN_FRAMES: u64 = 40;
/// Steps between two looks at the clock.
const LOOK: u64 = 20;

/// What a row is about.
#[derive(Debug)]
pub(super) struct GuideSystem {
    /// Number of atoms as the guide has it; those that are there are nearly as many.
    pub(super) size: usize,
    /// Sum formula.
    pub(super) formula: String,
    /// What it is.
    pub(super) words: String,
    /// Its atoms as they are built, at rest: what is timed.
    pub(super) start: Start,
}

impl GuideSystem {
    /// Number of its atoms.
    pub(super) fn atoms(&self) -> usize {
        self.start.system.len()
    }

    /// Number of ordered pairs within a cutoff (angstrom), as it is built.
    ///
    /// # Errors
    /// Pairs cannot be found in its cell.
    pub(super) fn pairs(&self, cutoff: f64) -> Result<u64> {
        let cell = &self.start.members.only()?.cell;
        Ok(Pairs::within(cell, &self.start.positions, cutoff)?.len() as u64)
    }
}

/// The structures that are named, or water of the guide's sizes.
///
/// # Errors
/// A structure cannot be read.
pub(super) fn systems(args: &Args) -> Result<Vec<GuideSystem>> {
    if !args.structures.is_empty() {
        return args.structures.iter().map(|path| of_file(path)).collect();
    }
    let large: &[_] = if args.large { &LARGE } else { &[] };
    let all = SIZES.iter().chain(large);
    all.map(|&[size, atoms]| of_water(size, atoms)).collect()
}

fn of_water(size: usize, atoms: usize) -> Result<GuideSystem> {
    let start = water::start(atoms)?;
    let molecules = counted(start.system.len() as u64 / 3, "water molecule");
    let place = match start.members.only()?.cell.is_periodic() {
        true => "in a periodic box",
        false => "in the open",
    };
    Ok(GuideSystem {
        size,
        formula: elements::formula(&start.system.species),
        words: format!("{molecules} {place}"),
        start,
    })
}

fn of_file(path: &Path) -> Result<GuideSystem> {
    let members::Original { name, start } = members::named(path)?;
    Ok(GuideSystem {
        size: start.system.len(),
        formula: name,
        words: path.display().to_string(),
        start,
    })
}

/// A system at 300 K that has forgotten how it was built.
#[derive(Debug)]
pub(super) struct WarmState {
    /// Where drift is measured from.
    pub(super) start: Start,
    /// Positions (angstrom) that errors are measured at.
    pub(super) frames: Vec<Vec<Vec3>>,
    /// Steps of 0.5 fs from one search of pairs to the next.
    pub(super) rebuild_every: u64,
}

/// Why there is no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoState {
    /// The model does not hold the system together.
    Broken,
    /// There was no time for it.
    NoTime,
}

/// Relaxes a system at 300 K with a model.
///
/// # Errors
/// The model does not know an element, or the device failed.
pub(super) fn warm_state(
    workshop: &dyn Workshop,
    job: &Job,
    clock: &SuiteClock,
) -> Result<std::result::Result<WarmState, NoState>> {
    let mut start = job.start.clone();
    measure::warm(&mut start)?;
    let mut engine = workshop.engine(&Job {
        start: &start,
        ..*job
    })?;
    let usual = measure::USUAL_STEP_FS * FEMTOSECOND;
    let many = start.system.len() >= MANY;
    let relaxing = if many { FEWER_STEPS } else { RELAXING_STEPS };
    let mut step = 0;
    for (steps, timestep) in [(CAREFUL_STEPS, 0.1 * usual), (relaxing, usual)] {
        let program = dynamics::baoab(timestep, KT, FRICTION / FEMTOSECOND);
        let end = step + steps;
        while step < end {
            if !clock.has(0.0) {
                return Ok(Err(NoState::NoTime));
            }
            let further = LOOK.min(end - step);
            if !went_well(engine.as_mut(), &program, &mut step, further)? {
                return Ok(Err(NoState::Broken));
            }
        }
    }
    let relaxed = engine.snapshot(Fields::PHASE)?;
    let degrees_of_freedom = (3 * start.system.len()).saturating_sub(3).max(1);
    let hot = 2.0 * relaxed.observables.kinetic > HOTTEST * degrees_of_freedom as f64;
    if hot {
        return Ok(Err(NoState::Broken));
    }
    let before = engine.statistics().rebuilds;
    let program = Program::velocity_verlet(usual);
    let mut frames = Vec::new();
    for _ in 0..FRAMES[usize::from(many)] {
        if !went_well(engine.as_mut(), &program, &mut step, BETWEEN_FRAMES)? {
            return Ok(Err(NoState::Broken));
        }
        let wanted = Fields {
            positions: true,
            ..Fields::NONE
        };
        frames.push(engine.snapshot(wanted)?.positions);
    }
    let walked = frames.len() as u64 * BETWEEN_FRAMES;
    let rebuilds = engine.statistics().rebuilds - before;
    Ok(Ok(WarmState {
        start: Start::new(
            start.system.clone(),
            start.members.only()?.cell.clone(),
            relaxed.positions,
            relaxed.velocities,
        ),
        frames,
        rebuild_every: walked / rebuilds.max(1),
    }))
}

/// Takes so many further steps; whether all went well.
fn went_well(
    engine: &mut dyn Engine,
    program: &Program,
    step: &mut u64,
    steps: u64,
) -> Result<bool> {
    let outcome = engine.run(program, *step..*step + steps)?;
    *step = outcome.step;
    Ok(outcome.flags == Flags::OK)
}

/// What a system is measured with.
pub(super) fn job<'a>(
    model: &'a crate::assemble::Model,
    system: &'a GuideSystem,
    (precision, device): (crate::potential::Precision, crate::config::plan::DevicePlan),
) -> Job<'a> {
    Job {
        model,
        precision,
        device,
        skin: SKIN,
        start: &system.start,
    }
}

/// Checks that a model knows the atoms of every system.
///
/// # Errors
/// It does not, and what may be given instead.
pub(super) fn check_known(model: &crate::assemble::Model, systems: &[GuideSystem]) -> Result<()> {
    let unknown =
        |e: Error| e.advise("--structure FILE, once or several times, measures systems of its own");
    (systems.iter())
        .try_for_each(|system| model.check_species(&system.start.system).map_err(unknown))
}
