//! Copies of a system as a batch, beside one alone: steps of each, with all that belongs to them.
//!
//! Every copy has velocities and noise of its own. Steps are those that a user takes, so that pairs are built anew when the
//! fastest atom of all asks for it. `--mixed` times one more batch, of all that is copied in turn.

use std::path::Path;

use serde::Serialize;

use super::measure::{self, Times, USUAL_STEP_FS};
use super::mixed::MixedRow;
use super::{Args, mixed, water, write};
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
pub(super) struct MembersRow {
    /// What is copied.
    pub(super) system: String,
    /// Number of its atoms.
    pub(super) atoms: usize,
    /// Number of copies.
    pub(super) members: usize,
    device: String,
    precision: String,
    threads: usize,
    pub(super) ensemble: String,
    /// A step of one alone.
    alone_ms: Times,
    /// A step of all copies.
    pub(super) step_ms: Times,
    /// Steps of atoms in a second.
    atom_steps_per_s: f64,
    /// Steps of all copies together over those of one alone, in the same time.
    over_alone: f64,
    /// Of each copy.
    ns_per_day: f64,
}

/// A line of the table, of one kind or the other.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum BatchRow {
    Copies(MembersRow),
    Mixed(MixedRow),
}

/// What is copied.
pub(super) struct Original {
    pub(super) name: String,
    pub(super) start: Start,
}

/// Measures and prints a table; writes JSON where asked to.
///
/// # Errors
/// The model or the structure cannot be read, the device failed, or the JSON file cannot be written.
pub(super) fn run(args: &Args, model: &Model, members: usize) -> Result<()> {
    assemble::check_place(&args.device(), args.precision)
        .map_err(|e| e.advise("--device cpu does without a GPU"))?;
    assemble::check_numbers(model, &args.device(), args.precision)?;
    assemble::threads(&args.device())?;
    let originals = originals(args)?;
    if args.mixed {
        mixed::check(members, &originals)?;
    }
    streams::print(&shown(&heading(args)))?;
    let mut rows = Vec::new();
    for original in &originals {
        for ensemble in &args.ensemble {
            let row = Copies {
                args,
                model,
                original,
                ensemble,
            }
            .measure(members)?;
            streams::print(&line(&row))?;
            rows.push(row);
        }
    }
    let mut mixes = Vec::new();
    if args.mixed {
        for ensemble in &args.ensemble {
            let equal: Vec<&MembersRow> = (rows.iter())
                .filter(|row| &row.ensemble == ensemble)
                .collect();
            let row = mixed::measure(args, model, &originals, &equal)?;
            streams::print(&Terminal::out().fit(&row.line()))?;
            mixes.push(BatchRow::Mixed(row));
        }
    }
    let Some(path) = &args.json else {
        return Ok(());
    };
    let rows = rows.into_iter().map(BatchRow::Copies).chain(mixes);
    write(path, &rows.collect::<Vec<_>>())
}

/// The structures that are named, or boxes of water of the sizes asked for.
fn originals(args: &Args) -> Result<Vec<Original>> {
    if !args.structures.is_empty() {
        return args.structures.iter().map(|path| named(path)).collect();
    }
    let box_of = |&size: &u32| {
        super::check_cell(args, size)?;
        let start = water::start(size as usize)?;
        let name = elements::formula(&start.system.species);
        Ok(Original { name, start })
    };
    args.sizes.iter().map(box_of).collect()
}

/// The structure of a file.
///
/// # Errors
/// It cannot be read.
pub(super) fn named(path: &Path) -> Result<Original> {
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
            let mut engine = self.alone()?;
            let program = usual_program(self.ensemble, self.original);
            let mut step = 0;
            measure::time(iterations, BLOCK as usize, || {
                let outcome = engine.run(&program, step..step + BLOCK)?;
                step = outcome.step;
                sound(&outcome)
            })?
        };
        let step_ms = {
            let copies = vec![self.original; members];
            time_batch(args, self.model, &copies, self.ensemble)?
        };
        let atoms = self.original.start.system.len();
        let steps_per_s = 1e3 * members as f64 / step_ms.median;
        Ok(MembersRow {
            system: self.original.name.clone(),
            atoms,
            members,
            device: args.device_name(),
            precision: args.precision.to_string(),
            threads: assemble::thread_count(&args.device()),
            ensemble: self.ensemble.to_owned(),
            alone_ms,
            step_ms,
            atom_steps_per_s: atoms as f64 * steps_per_s,
            over_alone: members as f64 * alone_ms.median / step_ms.median,
            ns_per_day: ns_per_day(1e3 / step_ms.median, USUAL_STEP_FS * FEMTOSECOND),
        })
    }

    fn alone(&self) -> Result<Box<dyn Engine>> {
        let job = super::Job {
            model: self.model,
            precision: self.args.precision,
            device: self.args.device(),
            skin: super::SKIN,
            start: &self.original.copy(0)?,
        };
        super::find_int8(&job)?;
        super::workshop(&job.device).engine(&job)
    }
}

impl Original {
    /// Copy number `replica`, at 300 K.
    fn copy(&self, replica: u32) -> Result<Start> {
        let mut start = self.start.clone().of_replica(replica);
        measure::warm(&mut start)?;
        Ok(start)
    }
}

/// A step of an ensemble as a user takes it.
fn usual_program(ensemble: &str, original: &Original) -> Program {
    let step = USUAL_STEP_FS * FEMTOSECOND;
    measure::program_of(ensemble, &original.start.system, step)
}

/// Times a step of a batch with a member for each of `originals`.
///
/// # Errors
/// The model does not know an element, the device failed or has no room, or the dynamics of a member failed.
pub(super) fn time_batch(
    args: &Args,
    model: &Model,
    originals: &[&Original],
    ensemble: &str,
) -> Result<Times> {
    let member = |(replica, original): (usize, &&Original)| {
        Ok(BatchMember {
            start: original.copy(replica as u32)?,
            noise: Noise::new(1),
            program: usual_program(ensemble, original),
            limits: Limits::default(),
        })
    };
    let members = (originals.iter().enumerate())
        .map(member)
        .collect::<Result<Vec<_>>>()?;
    let mut batch = batch_of(args, model, members)?;
    measure::time(args.iters as usize, BLOCK as usize, || {
        batch.run(BLOCK)?.iter().try_for_each(sound)
    })
}

fn batch_of(args: &Args, model: &Model, members: Vec<BatchMember>) -> Result<Box<dyn BatchEngine>> {
    #[cfg(feature = "cuda")]
    if let (DeviceKind::Cuda(index), "fused") = (args.device, args.engine.as_str()) {
        let at = assemble::Residence {
            index,
            precision: args.precision,
        };
        let batch = assemble::cuda_batch(members, model, super::SKIN, at)?;
        return Ok(Box::new(batch));
    }
    let systems = members.iter().map(|member| &member.start.system);
    let (precision, device) = (args.precision, args.device());
    let shared = assemble::SharedPotential::new(model, systems, precision, &device)?;
    let bind = |system: &System| shared.of(system);
    Ok(Box::new(HostBatch::new(members, super::SKIN, bind)?))
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
    let row = |cells: [&str; 9]| {
        let [
            system,
            atoms,
            members,
            ensemble,
            alone,
            all,
            member,
            steps,
            over,
        ] = cells;
        format!(
            "{system:>9} {atoms:>6} {members:>7} {ensemble:>8} {alone:>9} {all:>9} {member:>9} {steps:>8} {over:>6}"
        )
    };
    let first = row([
        "system",
        "atoms",
        "members",
        "",
        "one alone",
        "all",
        "a member",
        "atom-",
        "over",
    ]);
    let units = row(["", "", "", "", "ms", "ms", "us", "steps/s", "one"]);
    format!("{}\n{first}\n{units}\n", Terminal::out().fit(&about))
}

fn line(row: &MembersRow) -> String {
    format!(
        "{:>9} {:>6} {:>7} {:>8} {:>9.4} {:>9.4} {:>9.3} {:>8.2e} {:>6.2}\n",
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
