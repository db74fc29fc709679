//! A run's life: it is opened, begins or goes on, and ends, in a directory of its own.
//!
//! [`Run::open`] reads the model, looks into the directory where the run is to go on, and makes the engine: nothing is written
//! yet. [`Run::to_the_end`] writes: the directory ([`RunDirectory`]) stays locked while the run is under way, and is as it
//! was before if no first step is taken. Checkpoints ([`Keeper`]), the last state ([`last`]) and the record close it.
//!
//! A library's user writes `Run::open(plan, Entry::Begin, &console)?.to_the_end(&interrupt)?`: see `examples/bond_length.rs`.

mod aside;
pub mod batch;
mod biased;
mod descent;
mod description;
mod directory;
pub(crate) mod drift;
pub(crate) mod int8;
mod keeper;
pub mod last;
mod lock;
mod opening;
mod ready;
pub mod recorded;
mod resume;
pub mod staged;
mod unbegun;
mod underway;
pub mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::assemble::{self, Model};
use crate::config::plan::Plan;
use crate::report::{Console, Energies, Status, Summary};
use crate::simulation::{Reporter, Simulation};
use crate::{Error, Result, streams};

pub use batch::{BatchEnding, BatchRun};
pub use directory::{HeldDirectory, RunDirectory};
pub use keeper::{Keeper, Pauses};
pub use lock::is_held;
pub use opening::least_bytes;
pub use staged::{StagedEntry, StagedRun};

use opening::Opening;
use ready::{ReadyRun, RunSurroundings};
use resume::{Complete, Standing};
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
    ready: ReadyRun,
    opening: Opening,
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
        let plumed = assemble::plumed_kernel(&plan)?;
        let ready = ReadyRun {
            plan,
            model: Arc::new(model),
            engine,
            energies,
            identity,
            int8,
            plumed,
        };
        Ok(run(Ahead::Opened(Box::new(Opened {
            ready,
            opening,
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
        let around = RunSurroundings {
            console: self.console,
            began: self.began,
            pauses: self.pauses,
        };
        let (begun, tenure, mut simulation) = ready.begin(around)?;
        simulation.reporters.extend(self.reporters);
        begun.to_the_end(tenure, &mut simulation, interruption)
    }
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
    fn begin(self, around: RunSurroundings) -> Result<(Begun, DirectoryHold, Simulation)> {
        let Self {
            ready,
            opening,
            replaces,
        } = self;
        let placed = opening.place(&ready.plan, replaces);
        let (directory, before) = placed.map_err(ready::at_output(&ready.plan))?;
        let (begun, simulation) = ready.assemble(directory.path(), (before, None), around)?;
        Ok((begun, DirectoryHold::Opened(directory), simulation))
    }
}
