//! Copies of a system as a batch, beside one alone: steps of each, with all that belongs to them.
//!
//! Every copy has velocities and noise of its own. Steps are those that a user takes, so that pairs are built anew when the
//! fastest atom of all asks for it.

use std::path::Path;

use serde::Serialize;

use super::measure::{self, Times, USUAL_STEP_FS};
use super::{Args, water, write};
use crate::assemble::{self, Model};
#[cfg(feature = "cuda")]
use crate::config::plan::DeviceKind;
use crate::core::rng::Noise;
use crate::core::{System, elements};
use crate::dynamics::Program;
use crate::engine::{BatchEngine, BatchMember, Engine, Flags, HostBatch, Limits, Outcome, Start};
use crate::formats;
use crate::terminal::{Terminal, shown};
use crate::units::{FEMTOSECOND, ns_per_day};
use crate::{Error, Result, streams};

/// Steps between two looks at the clock.
const BLOCK: u64 = 20;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct MembersRow {
    /// What is copied.
    system: String,
    /// Number of its atoms.
    atoms: usize,
    /// Number of copies.
    members: usize,
    device: String,
    precision: String,
    threads: usize,
    ensemble: String,
    /// A step of one alone.
    alone_ms: Times,
    /// A step of all copies.
    step_ms: Times,
    /// Steps of atoms in a second.
    atom_steps_per_s: f64,
    /// Steps of all copies together over those of one alone, in the same time.
    over_alone: f64,
    /// Of each copy.
    ns_per_day: f64,
}

/// What is copied.
struct Original {
    name: String,
    start: Start,
}

/// Measures and prints a table; writes JSON where asked to.
///
/// # Errors
/// The model or the structure cannot be read, the device failed, or the JSON file cannot be written.
pub(super) fn run(args: &Args, members: usize) -> Result<()> {
    let model = assemble::load_networks(&args.models)?;
    assemble::check_place(&args.device(), args.precision())
        .map_err(|e| e.advise("--device cpu does without a GPU"))?;
    assemble::threads(&args.device())?;
    streams::print(&shown(&heading(args)))?;
    let mut rows = Vec::new();
    for original in originals(args)? {
        for ensemble in &args.ensemble {
            let row = Copies {
                args,
                model: &model,
                original: &original,
                ensemble,
            }
            .measure(members)?;
            streams::print(&line(&row))?;
            rows.push(row);
        }
    }
    match &args.json {
        Some(path) => write(path, &rows),
        None => Ok(()),
    }
}

/// The structure that is named, or boxes of water of the sizes asked for.
fn originals(args: &Args) -> Result<Vec<Original>> {
    match &args.structure {
        Some(path) => Ok(vec![named(path)?]),
        None => {
            let box_of = |&size: &u32| {
                super::check_cell(args, size)?;
                let start = water::start(size as usize)?;
                let name = elements::formula(&start.system.species);
                Ok(Original { name, start })
            };
            args.sizes.iter().map(box_of).collect()
        }
    }
}

fn named(path: &Path) -> Result<Original> {
    let structure = formats::read(path)?;
    let cell = structure.cell().map_err(|e| e.within(path.display()))?;
    let velocities = vec![crate::core::Vec3::zeros(); structure.positions.len()];
    Ok(Original {
        name: elements::formula(&structure.species),
        start: Start::new(structure.system(), cell, structure.positions, velocities),
    })
}

/// Copies of an original in an ensemble.
struct Copies<'a> {
    args: &'a Args,
    model: &'a Model,
    original: &'a Original,
    ensemble: &'a str,
}

impl Copies<'_> {
    fn measure(&self, members: usize) -> Result<MembersRow> {
        let Self { args, .. } = self;
        let iterations = args.iters as usize;
        let alone_ms = {
            let (mut engine, program) = (self.alone()?, self.program());
            let mut step = 0;
            measure::time(iterations, BLOCK as usize, || {
                let outcome = engine.run(&program, step..step + BLOCK)?;
                step = outcome.step;
                sound(&outcome)
            })?
        };
        let step_ms = {
            let mut batch = self.batch(members)?;
            measure::time(iterations, BLOCK as usize, || {
                batch.run(BLOCK)?.iter().try_for_each(sound)
            })?
        };
        let atoms = self.original.start.system.len();
        let steps_per_s = 1e3 * members as f64 / step_ms.median;
        Ok(MembersRow {
            system: self.original.name.clone(),
            atoms,
            members,
            device: args.device_name(),
            precision: args.precision.clone(),
            threads: assemble::thread_count(&args.device()),
            ensemble: self.ensemble.to_owned(),
            alone_ms,
            step_ms,
            atom_steps_per_s: atoms as f64 * steps_per_s,
            over_alone: members as f64 * alone_ms.median / step_ms.median,
            ns_per_day: ns_per_day(1e3 / step_ms.median, USUAL_STEP_FS * FEMTOSECOND),
        })
    }

    fn program(&self) -> Program {
        let step = USUAL_STEP_FS * FEMTOSECOND;
        measure::program_of(self.ensemble, &self.original.start.system, step)
    }

    /// Copy number `replica`, at 300 K.
    fn start(&self, replica: u32) -> Result<Start> {
        let mut start = self.original.start.clone().of_replica(replica);
        measure::warm(&mut start)?;
        Ok(start)
    }

    fn alone(&self) -> Result<Box<dyn Engine>> {
        let job = super::Job {
            model: self.model,
            precision: self.args.precision(),
            device: self.args.device(),
            skin: super::SKIN,
            start: &self.start(0)?,
        };
        super::workshop(self.args).engine(&job)
    }

    fn batch(&self, members: usize) -> Result<Box<dyn BatchEngine>> {
        let member = |replica: u32| {
            Ok(BatchMember {
                start: self.start(replica)?,
                noise: Noise::new(1),
                program: self.program(),
                limits: Limits::default(),
            })
        };
        let members = (0..members as u32)
            .map(member)
            .collect::<Result<Vec<_>>>()?;
        #[cfg(feature = "cuda")]
        if let (DeviceKind::Cuda(index), "fused") = (self.args.device, self.args.engine.as_str()) {
            let batch = assemble::cuda_batch(members, self.model, super::SKIN, index)?;
            return Ok(Box::new(batch));
        }
        let systems = members.iter().map(|member| &member.start.system);
        let (precision, device) = (self.args.precision(), self.args.device());
        let shared = assemble::SharedPotential::new(self.model, systems, precision, &device)?;
        let bind = |system: &System| shared.of(system);
        Ok(Box::new(HostBatch::new(members, super::SKIN, bind)?))
    }
}

/// Checks that steps went well.
fn sound(outcome: &Outcome) -> Result<()> {
    if outcome.flags == Flags::OK {
        return Ok(());
    }
    Err(Error::run(format!(
        "step {}: the dynamics of a copy failed ({:?}): the model does not hold the system together at 300 K",
        outcome.step, outcome.flags
    )))
}

fn heading(args: &Args) -> String {
    let models: Vec<String> = (args.models.iter())
        .map(|model| model.display().to_string())
        .collect();
    let about = format!(
        "{}, {} engine on {}, {}, {} threads; steps of {USUAL_STEP_FS} fs at 300 K",
        models.join(" and "),
        args.engine,
        args.device_name(),
        args.precision,
        assemble::thread_count(&args.device()),
    );
    let first = format!(
        "{:>10} {:>6} {:>7} {:>8} {:>9} {:>9} {:>9} {:>10} {:>6}",
        "system", "atoms", "members", "", "one alone", "all", "a member", "atom-steps", "over"
    );
    let units = format!(
        "{:>10} {:>6} {:>7} {:>8} {:>9} {:>9} {:>9} {:>10} {:>6}",
        "", "", "", "", "ms", "ms", "us", "1/s", "one"
    );
    format!("{}\n{first}\n{units}\n", Terminal::out().fit(&about))
}

fn line(row: &MembersRow) -> String {
    format!(
        "{:>10} {:>6} {:>7} {:>8} {:>9.4} {:>9.4} {:>9.3} {:>10.3e} {:>6.2}\n",
        row.system,
        row.atoms,
        row.members,
        row.ensemble,
        row.alone_ms.median,
        row.step_ms.median,
        1e3 * row.step_ms.median / row.members as f64,
        row.atom_steps_per_s,
        row.over_alone,
    )
}
