//! `mdrun bench`: how fast a model runs on this machine.
//!
//! Boxes of water, the same for every engine and for programs beside this one ([`water`]), are measured
//! in two ways: the energy and forces of pairs that do not change, and whole NVE steps with everything
//! that belongs to them, pairs built anew as often as in a run of liquid water.

mod args;
#[cfg(feature = "cuda")]
mod cuda;
pub mod measure;
mod members;
mod mixed;
pub mod stability;
mod suite;
pub mod water;

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::assemble::{self, Int8Scene, Model};
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use crate::core::rng::Noise;
use crate::core::{Cell, Vec3};
use crate::engine::{Engine, HostEngine, Start};
use crate::forcefield::{ForceField as _, HostForceField};
use crate::memory;
use crate::potential::{Evaluation, Potential, Precision};
use crate::terminal::{Terminal, shown};
use crate::units::{FEMTOSECOND, ns_per_day};
use crate::{Error, Result, streams};

pub use args::{Args, parse_device, precisions};
use measure::{RebuildRate, Times};

/// Skin of the pair list (angstrom), that of a run file which does not say.
pub(crate) const SKIN: f64 = 0.5;

/// Atoms of the box on which the rate of rebuilds is measured.
const RATE_ATOMS: usize = 192;

/// What an engine is made of.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The model.
    pub model: &'a Model,
    /// Number type of the network.
    pub precision: Precision,
    /// What to run on, and how.
    pub device: DevicePlan,
    /// Skin of the pair list (angstrom).
    pub skin: f64,
    /// The box.
    pub start: &'a Start,
}

/// Energy and forces of pairs that do not change, over and over.
pub trait FixedPairs {
    /// Computes them [`FixedPairs::in_a_row`] times, and returns when they are there.
    ///
    /// # Errors
    /// The device failed.
    fn call(&mut self) -> Result<()>;

    /// How many times a call computes them. On a GPU they are queued in a row, as the steps of a run are.
    fn in_a_row(&self) -> usize {
        1
    }

    /// Number of ordered pairs.
    fn pairs(&self) -> u64;

    /// Memory held on a device (bytes); `None` where all is in that of the host.
    fn memory(&self) -> Option<u64> {
        None
    }
}

/// Makes what is measured.
pub trait Workshop {
    /// The skin (angstrom) that engines use where `skin` is asked for.
    fn skin(&self, skin: f64, _atoms: usize) -> f64 {
        skin
    }

    /// Energy and forces of the box's pairs.
    ///
    /// # Errors
    /// The model cannot be bound to the box, or the device failed.
    fn fixed_pairs(&self, job: &Job) -> Result<Box<dyn FixedPairs>>;

    /// An engine at the box's start.
    ///
    /// # Errors
    /// The model cannot be bound to the box, or the device failed.
    fn engine(&self, job: &Job) -> Result<Box<dyn Engine>>;
}

/// Phase space and pairs in host memory, any potential.
pub struct HostWorkshop;

impl HostWorkshop {
    fn potential(job: &Job) -> Result<Box<dyn Potential>> {
        job.model
            .bind(&job.start.system, job.precision, &job.device)
    }
}

/// A force field that has found its pairs.
struct HostPairs {
    field: HostForceField,
    cell: Cell,
    positions: Vec<Vec3>,
    out: Evaluation,
}

impl FixedPairs for HostPairs {
    fn call(&mut self) -> Result<()> {
        (self.field).evaluate_found(&self.cell, &self.positions, &mut self.out)
    }

    fn pairs(&self) -> u64 {
        self.field.pairs()
    }
}

impl Workshop for HostWorkshop {
    fn fixed_pairs(&self, job: &Job) -> Result<Box<dyn FixedPairs>> {
        let mut field = HostForceField::new(Self::potential(job)?, job.skin);
        let (cell, positions) = (&job.start.members.only()?.cell, &job.start.positions);
        field.find(cell, positions)?;
        Ok(Box::new(HostPairs {
            out: Evaluation::zeros(positions.len()),
            field,
            cell: cell.clone(),
            positions: positions.clone(),
        }))
    }

    fn engine(&self, job: &Job) -> Result<Box<dyn Engine>> {
        let potential = Self::potential(job)?;
        let engine = HostEngine::new(job.start.clone(), Noise::new(0), job.skin, potential)?;
        Ok(Box::new(engine))
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BenchRow {
    /// Number of atoms.
    pub atoms: usize,
    /// Number of ordered pairs within the cutoff.
    pub pairs: u64,
    /// Where it was computed.
    pub device: String,
    /// How it was computed.
    pub engine: String,
    /// Number type of the network.
    pub precision: String,
    /// Threads on the CPU.
    pub threads: usize,
    /// Energy and forces of fixed pairs.
    pub energy_forces_ms: Times,
    /// What is sampled.
    pub ensemble: String,
    /// A whole step.
    pub step_ms: Times,
    /// Largest resident memory while this row was measured, where the system tells.
    pub peak_memory_mib: Option<f64>,
    /// Steps from one build of the pairs to the next, as a run of liquid water at 0.5 fs asks for.
    pub rebuild_every: u64,
    /// At 0.5 fs a step.
    pub ns_per_day: f64,
}

/// Measures and prints a table; writes JSON where asked to.
///
/// # Errors
/// The model cannot be read or does not know water, the device failed, or the JSON file cannot be
/// written.
pub fn run(args: &Args) -> Result<ExitCode> {
    args.check()?;
    if args.suite.is_some() {
        suite::run(args)?;
        return Ok(ExitCode::SUCCESS);
    }
    let model = assemble::load_networks(&args.models)?;
    let args = &args.settled(&model);
    match args.members {
        Some(members) => members::run(args, &model, members as usize)?,
        None => run_with(args, &model, &*workshop(&args.device()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What makes engines on a device that is settled.
#[cfg(feature = "cuda")]
pub(crate) fn workshop(device: &DevicePlan) -> Box<dyn Workshop> {
    match (device.kind, device.engine) {
        (DeviceKind::Cuda(index), EngineChoice::Fused) => Box::new(cuda::CudaWorkshop(index)),
        _ => Box::new(HostWorkshop),
    }
}

/// What makes engines, of one kind where there are none on a card.
#[cfg(not(feature = "cuda"))]
pub(crate) fn workshop(_: &DevicePlan) -> Box<dyn Workshop> {
    Box::new(HostWorkshop)
}

/// Memory (bytes) that is free on the card that a device is; `None` where it is none.
#[cfg(feature = "cuda")]
fn free_on_card(device: &DevicePlan) -> Option<u64> {
    match device.kind {
        DeviceKind::Cuda(index) => cuda::free(index),
        DeviceKind::Auto | DeviceKind::Cpu => None,
    }
}

/// Memory that is free on a card, where there are none.
#[cfg(not(feature = "cuda"))]
fn free_on_card(_: &DevicePlan) -> Option<u64> {
    None
}

/// Measures engines of a workshop, and prints and writes as [`run`] does.
///
/// # Errors
/// As [`run`].
fn run_with(args: &Args, model: &Model, workshop: &dyn Workshop) -> Result<()> {
    assemble::check_place(&args.device(), args.precision)
        .map_err(|e| e.advise("--device cpu does without a GPU"))?;
    assemble::check_numbers(model, &args.device(), args.precision)?;
    assemble::threads(&args.device())?;
    for &size in &args.sizes {
        check_room(args, model, size)?;
        check_cell(args, size)?;
    }
    let mut rates = Rates {
        args,
        model,
        found: Vec::new(),
    };
    let rate = rates.of(SKIN)?;
    let mut rows = Vec::new();
    streams::print(&shown(&heading(args, rate)))?;
    for &size in &args.sizes {
        let rate = rates.of(workshop.skin(SKIN, size as usize))?;
        let measured = measure_size(args, workshop, model, rate, size as usize)?;
        rows.extend(measured);
    }
    match &args.json {
        Some(path) => write(path, &rows),
        None => Ok(()),
    }
}

/// How often water's pairs are built anew, by skin.
struct Rates<'a> {
    args: &'a Args,
    model: &'a Model,
    found: Vec<(f64, RebuildRate)>,
}

impl Rates<'_> {
    fn of(&mut self, skin: f64) -> Result<RebuildRate> {
        if let Some(&(_, rate)) = self.found.iter().find(|f| f.0 == skin) {
            return Ok(rate);
        }
        let rate = rate(self.args, self.model, skin)?;
        self.found.push((skin, rate));
        Ok(rate)
    }
}

/// How often pairs with this skin are built anew, by the fastest engine of every machine.
fn rate(args: &Args, model: &Model, skin: f64) -> Result<RebuildRate> {
    let start = water::start(RATE_ATOMS)?;
    let device = DevicePlan {
        kind: DeviceKind::Cpu,
        engine: EngineChoice::Fused,
        ..args.device()
    };
    let potential = model.bind(&start.system, Precision::F32, &device)?;
    measure::rebuild_rate(start, skin, potential)
}

/// Checks that there is room in host memory for a box of so many atoms, before any is measured.
fn check_room(args: &Args, model: &Model, size: u32) -> Result<()> {
    let (atoms, device) = (f64::from(size), args.device());
    let on_host = !matches!(args.device, DeviceKind::Cuda(_));
    // A small cluster's pairs are as many as it has atoms to pair.
    let near = water::DENSITY * 4.0 / 3.0 * std::f64::consts::PI * (model.cutoff() + SKIN).powi(3);
    let pairs = match on_host {
        true if size as usize >= water::PERIODIC_FROM => atoms * near,
        _ => 0.0,
    };
    let appetite = model.appetite(args.precision, &device);
    let bytes = memory::least(atoms, pairs, appetite);
    memory::require(bytes, || format!("--sizes {size}: so many atoms"))
}

/// Checks that a box is one that the ensembles can be of.
fn check_cell(args: &Args, size: u32) -> Result<()> {
    let pressed = args.ensemble.iter().any(|name| name == "npt");
    if pressed && (size as usize) < water::PERIODIC_FROM {
        return Err(Error::input(format!(
            "--ensemble npt: the {size} atoms of --sizes are a cluster in the open, and pressure is for periodic boxes, of \
             {} atoms or more",
            water::PERIODIC_FROM
        )));
    }
    Ok(())
}

/// Measures a box, and prints a line for each ensemble as it is there.
fn measure_size(
    args: &Args,
    workshop: &dyn Workshop,
    model: &Model,
    rate: RebuildRate,
    size: usize,
) -> Result<Vec<BenchRow>> {
    let start = water::start(size)?;
    let job = Job {
        model,
        precision: args.precision,
        device: args.device(),
        skin: SKIN,
        start: &start,
    };
    let iterations = args.iters as usize;
    find_int8(&job)?;
    memory::forget_peak();
    let (pairs, memory, energy_forces_ms) = {
        let mut fixed = workshop.fixed_pairs(&job)?;
        let times = measure::time(iterations, fixed.in_a_row(), || fixed.call())?;
        (fixed.pairs(), fixed.memory(), times)
    };
    let apart = args.ensemble != ["nve"];
    let rebuild_every = match apart {
        true => measure::whole_cycles(rate.steps),
        false => rate.steps,
    };
    let mut moving = start.clone();
    if apart {
        measure::warm(&mut moving)?;
    }
    let mut rows = Vec::new();
    for ensemble in &args.ensemble {
        let mut engine = workshop.engine(&Job {
            start: &moving,
            ..job
        })?;
        let program = measure::program(ensemble, &start.system);
        let step_ms = measure::time_steps(engine.as_mut(), &program, iterations, rebuild_every)?;
        let row = BenchRow {
            atoms: start.system.len(),
            pairs,
            device: args.device_name(),
            engine: args.engine.clone(),
            precision: args.precision.to_string(),
            threads: assemble::thread_count(&args.device()),
            energy_forces_ms,
            ensemble: ensemble.clone(),
            step_ms,
            peak_memory_mib: memory
                .or_else(memory::peak)
                .map(|bytes| bytes as f64 / 1048576.0),
            rebuild_every,
            ns_per_day: ns_per_day(1e3 / step_ms.median, measure::USUAL_STEP_FS * FEMTOSECOND),
        };
        streams::print(&line(&row))?;
        rows.push(row);
    }
    Ok(rows)
}

/// Finds the weights in 8 bits for a box, where those are measured.
///
/// # Errors
/// The model cannot compute the forces on its atoms.
fn find_int8(job: &Job) -> Result<()> {
    if job.precision != Precision::Int8 {
        return Ok(());
    }
    let scene = Int8Scene {
        system: &job.start.system,
        cell: &job.start.members.only()?.cell,
        positions: &job.start.positions,
        kt: None,
    };
    assemble::find_int8_anew(job.model, &job.device, &[scene])
}

fn heading(args: &Args, rate: RebuildRate) -> String {
    let how = if rate.measured {
        "measured on liquid water at 300 K"
    } else {
        "estimated, since the model does not hold water together"
    };
    let models: Vec<String> = (args.models.iter())
        .map(|model| model.display().to_string())
        .collect();
    let about = format!(
        "{}, {} engine on {}, {}, {} threads; pairs built anew every {} steps or as given ({how})",
        models.join(" and "),
        args.engine,
        args.device_name(),
        args.precision,
        assemble::thread_count(&args.device()),
        rate.steps,
    );
    let table = if is_narrow() {
        format!(
            "{:>7} {:>9} {:>9} {:>9} {:>9} {:>5} {:>5} {:>9} {:>8}\n{:>27} {:>19}",
            "atoms", "pairs", "E, F", "", "step", "over", "every", "ns/day", "MiB", "ms", "ms"
        )
    } else {
        format!(
            "{:>7} {:>9}  {:>28}  {:>8}  {:>28}  {:>5}  {:>5}  {:>9}  {:>9}",
            "atoms",
            "pairs",
            "energy and forces (ms)",
            "",
            "step (ms)",
            "over",
            "every",
            "ns/day",
            "peak MiB"
        )
    };
    format!("{}\n{table}\n", Terminal::out().fit(&about))
}

/// Whether the terminal is too narrow for the fastest and the slowest of the times beside their medians.
fn is_narrow() -> bool {
    /// Columns of the whole table.
    const WHOLE: usize = 124;
    Terminal::out().width.is_some_and(|width| width < WHOLE)
}

fn line(row: &BenchRow) -> String {
    let over = 100.0 * (row.step_ms.median / row.energy_forces_ms.median - 1.0);
    let memory = row
        .peak_memory_mib
        .map_or_else(|| "?".into(), |m| format!("{m:.0}"));
    if is_narrow() {
        return format!(
            "{:>7} {:>9} {:>9.3} {:>9} {:>9.3} {over:>+4.0}% {:>5} {:>9.3} {memory:>8}\n",
            row.atoms,
            row.pairs,
            row.energy_forces_ms.median,
            row.ensemble,
            row.step_ms.median,
            row.rebuild_every,
            row.ns_per_day,
        );
    }
    let times = |t: &Times| format!("{:.3} [{:.3}, {:.3}]", t.median, t.min, t.max);
    format!(
        "{:>7} {:>9}  {:>28}  {:>8}  {:>28}  {over:>+4.0}%  {:>5}  {:>9.3}  {memory:>9}\n",
        row.atoms,
        row.pairs,
        times(&row.energy_forces_ms),
        row.ensemble,
        times(&row.step_ms),
        row.rebuild_every,
        row.ns_per_day,
    )
}

fn write(path: &Path, found: &(impl Serialize + ?Sized)) -> Result<()> {
    let text = serde_json::to_string_pretty(found)
        .map_err(|e| Error::run(format!("{}: {e}", path.display())))?;
    std::fs::write(path, text + "\n").map_err(|e| Error::run(format!("{}: {e}", path.display())))
}
