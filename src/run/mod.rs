//! A run's life: it is opened, begins or goes on, and ends, in a directory of its own.
//!
//! [`Run::open`] reads the model, looks into the directory where the run is to go on, and makes the engine: nothing is written
//! yet. [`Run::to_the_end`] writes: the directory ([`RunDirectory`]) stays locked while the run is under way, and is as it
//! was before if no first step is taken. Checkpoints ([`Keeper`]), the last state ([`last`]) and the record close it.
//!
//! A library's user writes `Run::open(plan, Entry::Begin, &console)?.to_the_end(&interrupt)?`: see `examples/bond_length.rs`.

mod aside;
pub mod batch;
mod description;
mod directory;
pub(crate) mod drift;
pub(crate) mod int8;
mod keeper;
pub mod last;
mod lock;
mod opening;
pub mod recorded;
mod resume;
mod unbegun;
mod underway;
pub mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::assemble::{self, Model};
use crate::config::plan::Plan;
use crate::engine::Engine;
use crate::report::pace::{PaceMonitor, RunPace};
use crate::report::{Console, Energies, Identity, OriginFile, Status, Summary};
use crate::simulation::{Reporter, Simulation};
use crate::{Error, Result, streams};

pub use batch::{BatchEnding, BatchRun};
pub use directory::{HeldDirectory, RunDirectory};
pub use keeper::{Keeper, Pauses};
pub use lock::is_held;
pub use opening::least_bytes;

use int8::Int8File;
use opening::{Opening, begin};
use resume::{Before, Complete, Standing};
use underway::{Begun, DirectoryHold};

/// How a run is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It begins, where no other one is.
    Begin,
    /// It begins, in place of another one if there is one.
    Replace,
    /// It goes on, or begins if there is none.
    Resume,
}

/// What may end a run from outside. A flag alone will do.
pub trait Interruption {
    /// Becomes true when the run is to end: it then takes the steps that are under way and completes its files.
    fn flag(&self) -> &AtomicBool;

    /// Names what asked for it, for people.
    fn name(&self) -> &str {
        "a signal"
    }

    /// Tells what the process knows of why files cannot be written, if it does.
    fn obstacle(&self) -> Option<&str> {
        None
    }
}

impl Interruption for AtomicBool {
    fn flag(&self) -> &AtomicBool {
        self
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// Whether it is complete, was interrupted, or failed by a fault.
    pub status: Status,
    /// Steps taken since it began.
    pub steps: u64,
    /// Its closing summary; `None` where no step was taken: it was interrupted before, or was complete already.
    pub summary: Option<Summary>,
}

/// A run that has been opened.
pub struct Run {
    console: Console,
    began: Instant,
    pauses: Pauses,
    reporters: Vec<Box<dyn Reporter>>,
    ahead: Ahead,
}

/// What there is to do.
enum Ahead {
    /// Nothing: all steps are taken.
    Complete { record: Box<Complete>, steps: u64 },
    /// Steps.
    Opened(Box<Opened>),
}

/// A run whose first step is to come.
struct Opened {
    plan: Plan,
    model: Model,
    engine: Box<dyn Engine>,
    energies: Energies,
    identity: Identity,
    opening: Opening,
    /// The weights in 8 bits that it begins with.
    int8: Option<Int8File>,
    /// Whether it takes the place of another one.
    replaces: bool,
}

impl Run {
    /// Opens a run: reads its model, looks at what it is to go on from, and makes its engine, with as many threads as the plan
    /// says. `console` hears of it.
    ///
    /// # Errors
    /// The input is wrong: the model, the device, or what is in the directory of a run that is to go on.
    pub fn open(mut plan: Plan, entry: Entry, console: &Console) -> Result<Self> {
        assemble::threads(&plan.device)?;
        let model = assemble::load(&mut plan)?;
        Self::with_model(plan, model, entry, console)
    }

    /// Opens a run whose model has been read already; threads are those that there are.
    ///
    /// # Errors
    /// As for [`Run::open`].
    pub fn with_model(
        mut plan: Plan,
        model: Model,
        entry: Entry,
        console: &Console,
    ) -> Result<Self> {
        let began = Instant::now();
        let run = |ahead| Self {
            console: console.clone(),
            began,
            pauses: Pauses::default(),
            reporters: Vec::new(),
            ahead,
        };
        let sources = model.sources().into_iter();
        let sha256: Vec<String> = sources.map(|source| source.sha256.clone()).collect();
        let standing = match entry {
            Entry::Begin | Entry::Replace => None,
            Entry::Resume => Some(resume::look(&mut plan, &sha256)?),
        };
        let steps = plan.dynamics.steps;
        let opening = match standing {
            None => Opening::default(),
            Some(Standing::Complete(record)) => {
                return Ok(run(Ahead::Complete { record, steps }));
            }
            Some(Standing::Nothing { directory, remark }) => {
                Opening::anew(directory, &remark, console)
            }
            Some(Standing::Stopped(stopped)) => Opening::from(*stopped, steps, console),
        };
        let mut int8 = None;
        let (engine, energies) = match opening.checkpoint() {
            None => {
                int8 = int8::find(&plan, &model)?;
                (assemble::engine(&plan, &model)?, assemble::energies(&plan))
            }
            Some(checkpoint) => {
                let energies = &checkpoint.energies;
                let present = assemble::in_present_numbers(&plan, energies);
                let directory = &plan.output.directory;
                int8::read(directory, &present, &model, &checkpoint.identity)?;
                (
                    assemble::engine_at(&present, &model, checkpoint.start())?,
                    Energies::new(energies.clone()),
                )
            }
        };
        let identity = resume::identity(&plan, &sha256, opening.checkpoint());
        let identity = match &int8 {
            Some(file) => identity.with_int8(&file.sha256),
            None => identity,
        };
        let identity = identity.on(&engine.about());
        opening.compare(&identity, console);
        Ok(run(Ahead::Opened(Box::new(Opened {
            plan,
            model,
            engine,
            energies,
            identity,
            opening,
            int8,
            replaces: entry == Entry::Replace,
        }))))
    }

    /// Counts all time since `began` as that of setting up.
    pub fn counted_from(self, began: Instant) -> Self {
        Self { began, ..self }
    }

    /// Leaves these pauses, which a reporter makes, out of the time that the steps take.
    pub fn paused_by(self, pauses: &Pauses) -> Self {
        let pauses = pauses.clone();
        Self { pauses, ..self }
    }

    /// Steps taken since it began.
    pub fn step(&self) -> u64 {
        match &self.ahead {
            Ahead::Complete { steps, .. } => *steps,
            Ahead::Opened(ready) => ready.opening.checkpoint().map_or(0, |from| from.step),
        }
    }

    /// Adds a reporter, which looks after those of the plan. It sees nothing of a run that is complete already.
    pub fn watched_by(mut self, reporter: Box<dyn Reporter>) -> Self {
        self.reporters.push(reporter);
        self
    }

    /// Takes all steps that are left, until an interruption or a fault ends the run before.
    ///
    /// # Errors
    /// The input is wrong as far as the directory goes (nothing is left behind then); or the device failed, or an output could
    /// not be written.
    pub fn to_the_end(self, interruption: &dyn Interruption) -> Result<Ending> {
        let step = self.step();
        let ready = match self.ahead {
            Ahead::Opened(ready) => ready,
            Ahead::Complete { record, steps } => {
                show_complete(&self.console, &record)?;
                return Ok(Ending {
                    status: Status::Complete,
                    steps,
                    summary: None,
                });
            }
        };
        if interruption.flag().load(Ordering::Acquire) {
            let name = interruption.name();
            self.console.remark(&format!(
                "{name} came before the first step: nothing was written"
            ));
            return Ok(Ending {
                status: Status::Interrupted,
                steps: step,
                summary: None,
            });
        }
        let (begun, tenure, mut simulation) =
            ready.begin(self.console, (self.began, self.pauses))?;
        simulation.reporters.extend(self.reporters);
        begun.to_the_end(tenure, &mut simulation, interruption)
    }
}

/// How fast a run was up to the checkpoint that it goes on from.
fn pace_so_far(before: Option<&Before>) -> RunPace {
    before.map_or_else(RunPace::default, |before| {
        let (step, elapsed) = (before.checkpoint.step, before.checkpoint.elapsed);
        let known = before.earlier.pace.clone().unwrap_or_default();
        RunPace::new(known.until(step, elapsed), elapsed)
    })
}

/// Says that there is nothing left to do.
fn show_complete(console: &Console, record: &Complete) -> Result<()> {
    match &record.earlier.summary {
        Some(summary) if console.is_json() => streams::print_json(summary),
        None if console.is_json() => Err(Error::run(
            "there is no summary in the run's record (run.json) to print",
        )),
        _ => {
            console.line(&record.remark);
            Ok(())
        }
    }
}

impl Opened {
    /// Takes the directory, and writes what a run writes before its first step.
    fn begin(
        self,
        console: Console,
        (began, pauses): (Instant, Pauses),
    ) -> Result<(Begun, DirectoryHold, Simulation)> {
        let Self {
            plan,
            model,
            engine,
            energies,
            identity,
            opening,
            int8,
            replaces,
        } = self;
        // Until the run begins, all that can fail is the place it is to be written to: a wrong input.
        let at_output =
            |e: Error| Error::input(e.to_string()).within(plan.places.of("output.directory"));
        let (directory, before) = opening.place(&plan, replaces).map_err(at_output)?;
        if let Some(file) = &int8 {
            file.write(directory.path()).map_err(at_output)?;
        }
        let from = before.as_ref().map(|before| &before.checkpoint);
        let mut reporters = assemble::reporters(&plan, directory.path(), &energies, &console, from)
            .map_err(at_output)?;
        if let Some(monitor) = assemble::numbers_monitor(&plan, &model, &energies)? {
            reporters.insert(0, Box::new(monitor));
        }
        let pace = pace_so_far(before.as_ref());
        let clock = pauses.clone();
        let monitor = PaceMonitor::new(&pace, plan.output.thermo_every, move || clock.total());
        reporters.push(Box::new(monitor));
        let model = Arc::new(model);
        let structure = before.as_ref().and_then(|b| b.earlier.structure.clone());
        let structure = structure.map_or_else(|| OriginFile::read(&plan.start.structure), Ok)?;
        let about = engine.about().to_string();
        let description = description::of(
            &plan,
            model.sources().into_iter().cloned().collect(),
            structure,
            about,
        );
        description::introduce(&console, &plan, &model, &description);
        let resumed = before.is_some();
        if let Some(warning) = words::repeated_noise(&plan).filter(|_| !resumed) {
            console.remark(&format!("warning: {warning}"));
        }
        let state = || assemble::state(&plan, &energies, identity.clone());
        let (mut state, record) =
            begin(before, state, directory.path(), description).map_err(at_output)?;
        state.identity = identity.clone();
        let (step, stretch) = (state.step, state.stretch);
        underway::keep_raises(&record, &energies);
        let successor = assemble::FinerEngine::new(&plan, &model, &energies);
        let keeper = Keeper::new(
            directory.path().to_owned(),
            plan.output.checkpoint,
            (state, resumed),
            &energies,
        )
        .with_pauses(pauses)
        .with_pace(pace.clone());
        let simulation = Simulation {
            engine,
            program: assemble::program(&plan),
            limits: assemble::limits(&plan),
            reporters,
            guard: assemble::guard(&plan),
            step,
            end: plan.dynamics.steps,
            keeper: Some(Box::new(keeper)),
            successor: Some(Box::new(successor)),
        };
        let begun = Begun {
            plan,
            model,
            identity,
            stretch,
            console,
            energies,
            record,
            pace,
            resumed,
            setup: began.elapsed(),
        };
        Ok((begun, DirectoryHold::Opened(directory), simulation))
    }
}
