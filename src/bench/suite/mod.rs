//! `mdrun bench --suite guide`: every precision beside the others, on the same systems in one run.
//!
//! Columns are Burn in f32, which is the baseline, and the fused engine in each precision; rows are systems of 10 to 200 atoms
//! ([`system`]). Timed is a step of dynamics: energy and forces of positions that are others in every call, with what belongs
//! to a step. Errors are against f64 on the CPU, at states of 300 K; drift is that of 5 ps at constant energy. What a precision
//! cannot be, or what there is no time for, is left out with a word.

mod cell;
mod clock;
mod page;
mod peer;
mod row;
mod students;
mod system;
mod table;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Args, Job, Workshop, workshop, write};
use crate::assemble::{self, Model};
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use crate::memory;
use crate::potential::{Evaluation, Precision, Processor};
use crate::report::replace;
use crate::terminal::shown;
use crate::text::{duration, timestamp};
use crate::{Error, Result, streams};

use cell::DriftFound;
use clock::SuiteClock;
use peer::PeerCall;
use row::{GuideColumn, GuideRow, SuiteReport};
use students::Sweep;
use system::{GuideSystem, NoState, WarmState, job};

/// Minutes that a suite takes at most, on a GPU and on the CPU.
const MINUTES: [f64; 2] = [8.0, 12.0];
/// Part of the time that is left that a peer may take.
const PEERS_PART: f64 = 0.5;
/// What it may take in any case.
const PEERS_LEAST: Duration = Duration::from_secs(10);
/// A cell is left out where one step is foreseen to take longer (s).
const LONGEST_STEP: f64 = 10.0;
/// Atoms of the system that networks of other sizes are swept on, at most.
const SWEPT: usize = 500;
/// Steps between two searches of pairs, of a system whose states tell nothing of it.
const SOME_STEPS: u64 = 20;

/// Measures and prints tables; writes JSON and a page where asked to.
///
/// # Errors
/// A model or a structure cannot be read, a model does not know the atoms, the device is not there, or a file cannot be written.
pub(super) fn run(args: &Args) -> Result<()> {
    let systems = system::systems(args)?;
    let models: Vec<SuiteModel> = args
        .models
        .iter()
        .map(SuiteModel::load)
        .collect::<Result<_>>()?;
    for model in &models {
        system::check_known(&model.model, &systems)?;
    }
    if let Some(script) = args.peer.as_ref().filter(|script| !script.is_file()) {
        return Err(Error::input(format!(
            "--peer {}: no such file",
            script.display()
        )));
    }
    let args = &args.settled(&models[0].model);
    let device = args.device();
    assemble::check_place(&device, Precision::F32)
        .map_err(|e| e.advise("--device cpu does without a GPU"))?;
    assemble::threads(&device)?;
    let on_a_card = matches!(device.kind, DeviceKind::Cuda(_));
    let minutes = args.minutes.unwrap_or(MINUTES[usize::from(!on_a_card)]);
    let report = blank(args, &models, &systems)?;
    streams::print(&shown(&table::heading(&report)))?;
    let mut suite = Suite {
        args,
        device,
        clock: SuiteClock::of(minutes),
        workshop: workshop(&device),
        progress: progress(),
        burn: 0,
        report,
    };
    suite.measure(&models, &systems)?;
    suite.progress.finish_and_clear();
    let report = &mut suite.report;
    report.seconds = suite.clock.taken().as_secs_f64();
    let taken = duration(suite.clock.taken());
    streams::print(&table::closing(report, &taken))?;
    if let Some(path) = &args.json {
        write(path, report)?;
    }
    if let Some(path) = &args.html {
        replace(path, page::of(report).as_bytes())?;
    }
    Ok(())
}

/// A model that is measured.
struct SuiteModel {
    name: String,
    model: Model,
}

impl SuiteModel {
    fn load(named: &PathBuf) -> Result<Self> {
        Ok(Self {
            name: named.display().to_string(),
            model: assemble::load_networks(std::slice::from_ref(named))?,
        })
    }
}

/// A line on a terminal that says what is being measured; nothing elsewhere.
fn progress() -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What is known before anything is measured.
fn blank(args: &Args, models: &[SuiteModel], systems: &[GuideSystem]) -> Result<SuiteReport> {
    let device = args.device();
    let first = job(&models[0].model, &systems[0], (Precision::F32, device));
    let engine = workshop(&device).engine(&first)?;
    Ok(SuiteReport {
        suite: "guide",
        version: env!("CARGO_PKG_VERSION"),
        begun: timestamp(SystemTime::now()),
        seconds: 0.0,
        device: args.device_name(),
        processor: match engine.about().place {
            Processor::Card { name, .. } => name,
            Processor::Cpu {
                instructions: Some(instructions),
                ..
            } => format!("{}, {instructions}", table::processor()),
            Processor::Cpu { .. } | Processor::Client { .. } => table::processor(),
        },
        threads: assemble::thread_count(&device),
        models: (models.iter())
            .map(|model| model.model.describe())
            .collect(),
        systems: (systems.iter())
            .map(|system| format!("{}: {}, {}", system.atoms(), system.formula, system.words))
            .collect(),
        rows: Vec::new(),
        students: Vec::new(),
        notes: Vec::new(),
    })
}

/// A suite under way.
struct Suite<'a> {
    args: &'a Args,
    device: DevicePlan,
    clock: SuiteClock,
    /// Of the fused engine.
    workshop: Box<dyn Workshop>,
    progress: indicatif::ProgressBar,
    /// Memory (bytes) that Burn has taken on the card.
    burn: u64,
    report: SuiteReport,
}

/// A system with the states that a model has brought it to.
struct ReadySystem<'a> {
    model: &'a SuiteModel,
    system: &'a GuideSystem,
    state: Option<WarmState>,
}

impl ReadySystem<'_> {
    fn rebuild_every(&self) -> u64 {
        self.state
            .as_ref()
            .map_or(SOME_STEPS, |state| state.rebuild_every.max(1))
    }
}

impl Suite<'_> {
    fn measure(&mut self, models: &[SuiteModel], systems: &[GuideSystem]) -> Result<()> {
        let mut prepared = Vec::new();
        for model in models {
            if models.len() > 1 {
                self.print(&format!("\n{}\n", model.name))?;
            }
            let mut slow = None;
            for system in systems {
                let ready = self.prepare(model, system)?;
                self.cells(&ready, &mut slow)?;
                prepared.push(ready);
            }
        }
        self.peers(&models[0], systems)?;
        self.students(models, &prepared)?;
        self.drifts(&prepared)
    }

    fn print(&self, text: &str) -> Result<()> {
        self.progress.suspend(|| streams::print(&shown(text)))
    }

    fn tell(&self, what: String) {
        self.progress.set_message(what);
    }

    /// What a column is measured with.
    fn job<'j>(&self, column: GuideColumn, model: &'j Model, system: &'j GuideSystem) -> Job<'j> {
        let engine = column.engine;
        job(
            model,
            system,
            (
                column.precision,
                DevicePlan {
                    engine,
                    ..self.device
                },
            ),
        )
    }

    /// Brings a system to 300 K.
    fn prepare<'p>(
        &mut self,
        model: &'p SuiteModel,
        system: &'p GuideSystem,
    ) -> Result<ReadySystem<'p>> {
        self.tell(format!("{} atoms: relaxing at 300 K", system.atoms()));
        let fused = self.job(FUSED, &model.model, system);
        let state = match system::warm_state(&*self.workshop, &fused, &self.clock)? {
            Ok(state) => Some(state),
            Err(why) => {
                let atoms = system.atoms();
                self.report.notes.push(match why {
                    NoState::Broken => format!(
                        "{} does not hold {atoms} atoms ({}) together at 300 K: no errors and no drift",
                        model.name, system.formula
                    ),
                    NoState::NoTime => format!("{atoms} atoms: no time to bring them to 300 K, so no errors and no drift"),
                });
                None
            }
        };
        Ok(ReadySystem {
            model,
            system,
            state,
        })
    }

    /// Measures all columns of a system but their drift; `slow` is what a step (s) of the baseline takes an atom.
    fn cells(&mut self, ready: &ReadySystem, slow: &mut Option<f64>) -> Result<()> {
        let ReadySystem {
            model,
            system,
            state,
        } = ready;
        let pairs = system.pairs(model.model.cutoff())?;
        let first = self.report.rows.len();
        let truth = match state {
            Some(state) => {
                self.tell(format!("{} atoms: f64", system.atoms()));
                let cell = &system.start.members.only()?.cell;
                let exact = self.job(FUSED, &model.model, system);
                cell::truth(&exact, cell, &state.frames)?
            }
            None => Vec::new(),
        };
        for column in GuideColumn::ALL {
            let mut row = GuideRow::blank(&model.name, system, pairs).of(column);
            self.tell(format!("{} atoms: {}", system.atoms(), row.label()));
            let foreseen = match column.engine {
                EngineChoice::Burn => slow.map_or(0.0, |slow| slow * system.atoms() as f64),
                EngineChoice::Auto | EngineChoice::Fused => 0.0,
            };
            let job = self.job(column, &model.model, system);
            if let Err(e) = assemble::check_numbers(job.model, &job.device, job.precision) {
                row.why.push(e.to_string());
            } else if !self.clock.has(5.0 * foreseen.max(0.5)) || foreseen > LONGEST_STEP {
                row.why.push(table::NO_TIME.to_owned());
            } else if let Err(e) = self.cell(ready, column, &truth, &mut row) {
                row.why.push(e.to_string());
            }
            if let (EngineChoice::Burn, Some(ms)) = (column.engine, row.median_ms) {
                *slow = Some(1e-3 * ms / system.atoms() as f64);
            }
            self.report.rows.push(row);
        }
        row::compare(&mut self.report.rows);
        self.print(&table::of_system(&self.report.rows[first..], system))
    }

    fn cell(
        &mut self,
        ready: &ReadySystem,
        column: GuideColumn,
        truth: &[Evaluation],
        row: &mut GuideRow,
    ) -> Result<()> {
        let job = self.job(column, &ready.model.model, ready.system);
        check_room(&job, row.pairs)?;
        let shop = workshop(&job.device);
        find_int8(&job, ready.state.as_ref())?;
        memory::forget_peak();
        let samples = self.args.iters as usize;
        let free = super::free_on_card(&job.device);
        row.set_times(cell::latency(&*shop, &job, ready.rebuild_every(), samples)?);
        row.memory_bytes = match column.engine {
            // What Burn has taken on a card it keeps, for whatever comes next.
            EngineChoice::Burn if free.is_some() => {
                let taken = free.zip(super::free_on_card(&job.device));
                self.burn += taken.map_or(0, |(before, after)| before.saturating_sub(after));
                Some(self.burn)
            }
            _ => cell::memory_held(&*shop, &job)?,
        };
        if let Some(state) = &ready.state {
            let cell = &ready.system.start.members.only()?.cell;
            let found = cell::evaluations(&job, cell, &state.frames)?;
            row.set_errors(cell::apart(&found, truth));
        }
        Ok(())
    }

    /// Times the peer, if there is one.
    fn peers(&mut self, model: &SuiteModel, systems: &[GuideSystem]) -> Result<()> {
        let Some(script) = &self.args.peer else {
            return Ok(());
        };
        self.tell(format!("the peer, {}", script.display()));
        let cutoff = model.model.cutoff();
        let boxes = systems
            .iter()
            .map(|system| Ok(GuideRow::blank(&model.name, system, system.pairs(cutoff)?)));
        let boxes = boxes.collect::<Result<Vec<_>>>()?;
        let call = PeerCall {
            script,
            args: self.args,
            threads: self.report.threads,
            sizes: systems.iter().map(GuideSystem::atoms).collect(),
            patience: self.clock.left().mul_f64(PEERS_PART).max(PEERS_LEAST),
        };
        let rows = call.rows(&boxes, &mut self.report.notes);
        self.report.rows.extend(rows);
        row::compare(&mut self.report.rows);
        self.print(&table::of_peers(&self.report.rows, &model.name))
    }

    /// Times networks of other sizes, and compares the models that are named.
    fn students(&mut self, models: &[SuiteModel], prepared: &[ReadySystem]) -> Result<()> {
        let fitting =
            |p: &&ReadySystem| p.system.atoms() <= SWEPT && p.model.name == models[0].name;
        let largest = prepared
            .iter()
            .filter(fitting)
            .max_by_key(|p| p.system.atoms());
        let Some(of) = largest.or(prepared.first()) else {
            return Ok(());
        };
        let sweep = Sweep {
            workshop: &*self.workshop,
            system: of.system,
            device: DevicePlan {
                engine: EngineChoice::Fused,
                ..self.device
            },
            precision: Precision::F32,
            rebuild_every: of.rebuild_every(),
            samples: self.args.iters as usize,
        };
        let bar = self.progress.clone();
        let mut rows = Vec::new();
        for model in models {
            let mut row = sweep.named(&model.name, &model.model, &self.clock);
            match self.apart_from_first(models, model, prepared) {
                Ok(apart) => row.apart_from_first_ev_per_angstrom = apart,
                Err(e) => row.why.push(e.to_string()),
            }
            rows.push(row);
        }
        rows.extend(sweep.random(&self.clock, |what| bar.set_message(what)));
        self.report.students = rows;
        self.print(&table::of_students(&self.report.students))
    }

    /// How far forces of a model are from those of the first, both in f64, at states of the first (root mean square of
    /// components); `None` of the first itself, and where it has no states.
    fn apart_from_first(
        &self,
        models: &[SuiteModel],
        model: &SuiteModel,
        prepared: &[ReadySystem],
    ) -> Result<Option<f64>> {
        if std::ptr::eq(model, &models[0]) {
            return Ok(None);
        }
        let (mut found, mut truth) = (Vec::new(), Vec::new());
        for of in prepared
            .iter()
            .filter(|p| std::ptr::eq(p.model, &models[0]))
        {
            let (Some(state), true) = (&of.state, of.system.atoms() <= SWEPT) else {
                continue;
            };
            let cell = &of.system.start.members.only()?.cell;
            let of_model =
                |model| cell::truth(&self.job(FUSED, model, of.system), cell, &state.frames);
            found.extend(of_model(&model.model)?);
            truth.extend(of_model(&models[0].model)?);
        }
        Ok((!found.is_empty()).then(|| cell::apart(&found, &truth).force))
    }

    /// Measures drifts, those that take least time first.
    fn drifts(&mut self, prepared: &[ReadySystem]) -> Result<()> {
        let mut order: Vec<(f64, usize)> = Vec::new();
        for (k, row) in self.report.rows.iter().enumerate() {
            let fused = GuideColumn::ALL.iter().any(|column| row.is_of(*column))
                && !row.is_of(GuideColumn::BASELINE);
            if let (true, Some(ms)) = (fused, row.median_ms) {
                order.push((ms, k));
            }
        }
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (ms, k) in order {
            let row = &self.report.rows[k];
            let of = |p: &&ReadySystem| p.model.name == row.model && p.system.size == row.size;
            let column = GuideColumn::ALL
                .into_iter()
                .find(|column| row.is_of(*column));
            let (Some(of), Some(column)) = (prepared.iter().find(of), column) else {
                continue;
            };
            let Some(state) = &of.state else {
                continue;
            };
            let seconds = cell::drift_seconds(ms);
            let job = self.job(column, &of.model.model, of.system);
            self.tell(format!(
                "{} atoms: drift in {} ({seconds:.0} s)",
                row.atoms, row.precision
            ));
            let found = match self.clock.has(1.1 * seconds) {
                true => find_int8(&job, Some(state))
                    .and_then(|()| cell::drift_of(&*self.workshop, &job, state, &self.clock)),
                false => Ok(DriftFound::NoTime),
            };
            let row = &mut self.report.rows[k];
            match found {
                Ok(DriftFound::Slope(drift)) => row.set_drift(drift),
                Ok(DriftFound::NoTime) => row.why.push("no time for the drift".to_owned()),
                Ok(DriftFound::Broken) => row.why.push("the dynamics broke off".to_owned()),
                Err(e) => row.why.push(format!("drift: {e}")),
            }
        }
        self.print(&table::of_drifts(&self.report.rows))
    }
}

/// What brings systems to 300 K.
const FUSED: GuideColumn = GuideColumn {
    engine: EngineChoice::Fused,
    precision: Precision::F32,
};

/// Finds the weights in 8 bits for a system where they are measured: for its state at 300 K, if there is one.
fn find_int8(job: &Job, state: Option<&WarmState>) -> Result<()> {
    let start = state.map_or(job.start, |state| &state.start);
    super::find_int8(&Job { start, ..*job })
}

/// Checks that there is room in host memory for what is computed there.
fn check_room(job: &Job, pairs: u64) -> Result<()> {
    if matches!(job.device.kind, DeviceKind::Cuda(_)) {
        return Ok(());
    }
    let (atoms, appetite) = (
        job.start.system.len() as f64,
        job.model.appetite(job.precision, &job.device),
    );
    let bytes = memory::least(atoms, pairs as f64, appetite);
    memory::require(bytes, || format!("{atoms} atoms"))
}
