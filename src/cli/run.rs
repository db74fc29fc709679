//! `mdrun CONFIG`: a run from its file to its closing summary.

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::interrupt::{Interrupt, Signal, is_file_limit_reached};
use super::opening::{Opening, begin};
use super::resume::{self, Way};
use super::{ResumeArgs, RunArgs, diagnose, hints, recorded, words};
use crate::assemble::{self, Model, Place};
use crate::config;
use crate::config::plan::{Plan, VelocityPlan};
use crate::core::elements;
use crate::paths::absolute;
use crate::report::names;
use crate::report::{
    Checkpoint, Console, Course, Description, Earlier, Energies, HeldDirectory, Identity, Keeper,
    RunDirectory, RunRecord, Source, Status, Summary, Verbosity, last, recorder,
};
use crate::simulation::{Cause, Finish, Flight, Simulation, Warning};
use crate::{Error, Result, shell, streams, text};

/// A run that has begun: what its end needs.
struct Run<'a> {
    plan: &'a Plan,
    model: &'a Model,
    /// Whether standard output is for a machine.
    json: bool,
    /// Whose run it is, and the steps between samples of its drift: what a flight record keeps of it.
    identity: Identity,
    stretch: u64,
    console: Console,
    energies: Energies,
    record: RunRecord,
    /// Whether it goes on from a checkpoint.
    resumed: bool,
    setup: Duration,
    interrupt: Interrupt,
    /// Its directory until the first step: dropped, it takes what the run has written with it.
    opened: RefCell<Option<RunDirectory>>,
    /// Its directory from then on, locked until the run has ended.
    held: RefCell<Option<HeldDirectory>>,
}

/// How a run is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// It begins, where no other one is.
    Begin,
    /// It begins, in place of another one if there is one.
    Replace,
    /// It goes on, or begins if there is none.
    GoOn,
}

/// What the command line says besides what is run.
struct Manner {
    /// When the process began.
    began: Instant,
    way: Entry,
    verbosity: Verbosity,
}

/// How the command ended, where there is no error to tell.
enum Ending {
    Done,
    /// A fault ended the run.
    Fault,
    Interrupted(Signal),
}

impl Ending {
    /// Called last of all: it may end the process. All is closed and unlocked then.
    fn exit_code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Fault => ExitCode::FAILURE,
            Self::Interrupted(signal) => signal.exit_code(),
        }
    }
}

/// Runs the command; exit code 1 where a fault ended the run, that of the signal where one did.
///
/// # Errors
/// The input is wrong (nothing is left behind then), or the run failed.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let began = Instant::now();
    hints::expect_run_file(&args.config)?;
    let plan = config::load(&args.config, &args.overrides, args.out.as_deref())?;
    let manner = Manner {
        began,
        way: match (args.resume, args.force) {
            (true, _) => Entry::GoOn,
            (false, true) => Entry::Replace,
            (false, false) => Entry::Begin,
        },
        verbosity: Verbosity {
            quiet: args.quiet,
            json: args.json,
        },
    };
    begin_to_end(plan, &manner).map(Ending::exit_code)
}

/// Runs `mdrun resume RUN_DIR`; exit codes are those of [`run`].
///
/// # Errors
/// As for [`run`]; or the directory holds no run.
pub fn resume(args: &ResumeArgs) -> Result<ExitCode> {
    let began = Instant::now();
    let plan = recorded::plan(args)?;
    let manner = Manner {
        began,
        way: Entry::GoOn,
        verbosity: Verbosity {
            quiet: args.quiet,
            json: args.json,
        },
    };
    begin_to_end(plan, &manner).map(Ending::exit_code)
}

fn begin_to_end(mut plan: Plan, manner: &Manner) -> Result<Ending> {
    assemble::threads(&plan.device)?;
    let model = assemble::load(&plan)?;
    let source = model.source().cloned();
    let sha256 = source.as_ref().map(|model| model.sha256.as_str());
    // Before this nothing is held that a signal could leave behind.
    let interrupt = Interrupt::watch()?;
    let resumed = match manner.way {
        Entry::Begin | Entry::Replace => None,
        Entry::GoOn => Some(resume::look(&mut plan, sha256)?),
    };
    let plan = plan;
    let console = Console::new(manner.verbosity, plan.dynamics.steps);
    let opening = match resumed {
        None => Opening::default(),
        Some(Way::Complete { earlier, remark }) => {
            complete_already(&console, manner.verbosity.json, &earlier, &remark)?;
            return Ok(Ending::Done);
        }
        Some(Way::Begin { directory, remark }) => Opening::anew(directory, &remark, &console),
        Some(Way::GoOn(sitting)) => Opening::from(*sitting, plan.dynamics.steps, &console),
    };
    let (engine, energies) = match opening.checkpoint() {
        None => (assemble::engine(&plan, &model)?, assemble::energies(&plan)),
        Some(checkpoint) => (
            assemble::engine_at(&plan, &model, checkpoint.start())?,
            Energies::new(checkpoint.energies.clone()),
        ),
    };
    let identity = recorded::identity(&plan, sha256, opening.checkpoint()).on(&engine.about());
    opening.compare(&identity, &console);
    if let Some(signal) = interrupt.signal() {
        let name = signal.name();
        console.remark(&format!(
            "{name} came before the first step: nothing was written"
        ));
        return Ok(Ending::Interrupted(signal));
    }

    // Until the run begins, all that can fail is the place it is to be written to: a wrong input.
    let at_output =
        |e: Error| Error::input(e.to_string()).within(plan.places.of("output.directory"));
    let (directory, sitting) =
        (opening.place(&plan, manner.way == Entry::Replace)).map_err(at_output)?;
    let from = sitting.as_ref().map(|(checkpoint, _)| checkpoint);
    let reporters = assemble::reporters(&plan, directory.path(), &energies, &console, from)
        .map_err(at_output)?;
    let structure = sitting
        .as_ref()
        .and_then(|(_, earlier)| earlier.structure.clone());
    let structure = structure.map_or_else(|| Source::read(&plan.start.structure), Ok)?;
    let description = describe(&plan, source, structure, engine.about().to_string());
    introduce(&console, &plan, &model, &description);
    let resumed = sitting.is_some();
    if let Some(warning) = words::repeated_noise(&plan).filter(|_| !resumed) {
        console.remark(&format!("warning: {warning}"));
    }
    let state = || assemble::state(&plan, &energies, identity.clone());
    let (state, record) =
        begin(sitting, state, directory.path(), description).map_err(at_output)?;

    let (step, stretch) = (state.step, state.stretch);
    let state = Checkpoint {
        identity: identity.clone(),
        ..state
    };
    let keeper = Keeper::new(
        directory.path().to_owned(),
        plan.output.checkpoint,
        (state, resumed),
        &energies,
    );
    let mut simulation = Simulation {
        engine,
        program: assemble::program(&plan),
        limits: assemble::limits(&plan),
        reporters,
        guard: assemble::guard(&plan),
        step,
        end: plan.dynamics.steps,
        keeper: Some(Box::new(keeper)),
    };
    let run = Run {
        plan: &plan,
        model: &model,
        json: manner.verbosity.json,
        identity,
        stretch,
        console,
        energies,
        record,
        resumed,
        setup: manner.began.elapsed(),
        interrupt,
        opened: RefCell::new(Some(directory)),
        held: RefCell::default(),
    };
    run.to_the_end(&mut simulation)
}

/// Says that there is nothing left to do.
fn complete_already(console: &Console, json: bool, earlier: &Earlier, remark: &str) -> Result<()> {
    match &earlier.summary {
        Some(summary) if json => streams::print_json(summary),
        None if json => Err(Error::run(
            "there is no summary in the run's record (run.json) to print",
        )),
        _ => {
            console.line(remark);
            Ok(())
        }
    }
}

impl Run<'_> {
    fn to_the_end(&self, simulation: &mut Simulation) -> Result<Ending> {
        let began = Instant::now();
        let warn = &mut |warning: Warning| {
            let text = match &warning {
                Warning::Fault { cause, flight } => {
                    let said = self.tell(cause, flight.as_deref());
                    // So that the record can be looked into while the run goes on; its end writes it anyway.
                    match self.record.update() {
                        Ok(()) => said,
                        Err(error) => format!("{said}; {error}"),
                    }
                }
                Warning::Remark(remark) => remark.clone(),
            };
            self.console.remark(&format!("warning: {text}"));
        };
        let ended = simulation.run_from(self.interrupt.flag(), warn, &mut || self.begin());
        let ended = ended.and_then(|finish| {
            self.write_last(simulation, &finish)?;
            Ok(finish)
        });
        let keeper = simulation.keeper.as_ref();
        let elapsed = keeper.map_or_else(|| began.elapsed(), |keeper| keeper.elapsed());
        self.console.clear();
        let kept =
            (keeper.and_then(|keeper| keeper.kept())).filter(|_| self.held.borrow().is_some());
        let ended = ended.map_err(|error| {
            let limit = match is_file_limit_reached() {
                true => " (the limit on the size of files is reached: `ulimit -f` tells it)",
                false => "",
            };
            match kept {
                // What to do is known for what the world does to a run.
                Some(step) => Error::run(format!(
                    "{error}{limit}; the checkpoint of step {step} is sound: put the cause right, then go on \
                     with {}",
                    self.again()
                )),
                None => Error::run(format!("{error}{limit}")),
            }
        });

        let (status, stopped_by) = match &ended {
            Ok(finish) => self.judge(finish),
            Err(error) => (Status::Failed, Some(error.to_string())),
        };
        let course = Course {
            status,
            steps: simulation.step,
            timestep: self.plan.dynamics.timestep,
            elapsed,
            directory: self.plan.output.directory.clone(),
            stopped_by: stopped_by.clone(),
            bath: assemble::bath(self.plan),
            whole: assemble::lasting_motion(self.plan),
            resumed_from: self.record.resumed_from(),
        };
        let summary = Summary::new(&course, &self.energies);
        let timings = [
            ("setup", self.setup.as_secs_f64()),
            ("steps", elapsed.as_secs_f64()),
        ];
        let mut recorded = self.record.end(status, &summary, &timings);
        let printed = match self.json {
            true => streams::print_json(&summary.to_json()),
            false => Ok(()),
        };
        self.console.summary(&summary);
        if status == Status::Interrupted {
            self.console.line(&match kept == Some(simulation.step) {
                true => format!("  go on with    {}", self.again()),
                false => {
                    let directory = absolute(&self.plan.output.directory);
                    let structure = toml::Value::String(directory);
                    format!("  go on with    a run that begins from it: structure = {structure}")
                }
            });
        }
        let finish = ended?;
        if status != Status::Failed {
            recorded?;
            printed?;
            let signal = (self.interrupt.signal()).filter(|_| status == Status::Interrupted);
            return Ok(signal.map_or(Ending::Done, Ending::Interrupted));
        }
        if let Some(reason) = stopped_by {
            self.console.remark(&format!("error: {reason}"));
        }
        if recorded.is_ok() {
            self.explain(&finish);
            recorded = self.record.end(status, &summary, &timings);
        }
        recorded?;
        printed?;
        Ok(Ending::Fault)
    }

    /// The run has come to its first step: what it writes stays, and the run before it goes.
    fn begin(&self) -> Result<()> {
        let mut opened = self.opened.borrow_mut();
        let Some(directory) = opened.as_mut() else {
            return Ok(());
        };
        self.record.begun()?;
        if self.resumed {
            last::remove(directory.path())?;
        }
        let held = directory.hold()?;
        *opened = None;
        if let Some(remark) = &held.remark {
            self.console.remark(&format!("warning: {remark}"));
        }
        self.held.replace(Some(held));
        Ok(())
    }

    /// Writes the last state, if it is sound: after a broken limit it is in the middle of a block, or its forces
    /// are of wrong pairs.
    fn write_last(&self, simulation: &mut Simulation, finish: &Finish) -> Result<()> {
        let write = |simulation: &mut Simulation| {
            let state = simulation.engine.snapshot(last::WANTS)?;
            let Plan { start, output, .. } = self.plan;
            last::write(&output.directory, &start.system, &state, self.plan.noise())
        };
        match finish {
            Finish::Complete | Finish::Interrupted => write(simulation),
            Finish::Fault {
                cause: Cause::Alarm { .. },
                ..
            } if self.held.borrow().is_some() => {
                // The fault is what there is to tell of.
                if let Err(error) = write(simulation) {
                    self.console.remark(&format!("warning: {error}"));
                }
                Ok(())
            }
            Finish::Fault { .. } => Ok(()),
        }
    }

    /// The command that goes on with this run.
    fn again(&self) -> String {
        format!(
            "mdrun resume {}",
            shell::quoted(&self.plan.output.directory)
        )
    }

    /// How the run ended, and why if before its last step. Writes the flight record of a fault.
    fn judge(&self, finish: &Finish) -> (Status, Option<String>) {
        match finish {
            Finish::Complete => (Status::Complete, None),
            Finish::Interrupted => {
                let name = self.interrupt.signal().map_or("a signal", Signal::name);
                (Status::Interrupted, Some(name.to_owned()))
            }
            Finish::Fault { cause, flight } => {
                (Status::Failed, Some(self.tell(cause, flight.as_deref())))
            }
        }
    }

    /// A fault in words, with where the record of the steps before it is, which this writes.
    fn tell(&self, cause: &Cause, flight: Option<&Flight>) -> String {
        let said = words::cause(cause, self.plan);
        let Some(flight) = flight else {
            return said;
        };
        let dynamics = &self.plan.dynamics;
        let directory = &self.plan.output.directory;
        let energies = self.energies.read(Clone::clone);
        let state = match cause {
            Cause::Alarm { .. } => diagnose::replay_from(flight, &energies, dynamics.timestep),
            _ => &flight.before,
        };
        let about = recorder::About {
            system: &self.plan.start.system,
            cause: said.clone(),
            energies,
            stretch: self.stretch,
            identity: self.identity.clone(),
        };
        match recorder::write(directory, flight, state, &about) {
            Ok(recorded) => {
                let frames = format!(
                    "{said}; the {} steps up to it are in {}, the state of step {} in {}; \
                     `mdrun diagnose {}` looks for the cause",
                    recorded.frames,
                    directory.join(names::FLIGHT).display(),
                    recorded.state_step,
                    names::FLIGHT_STATE,
                    directory.display()
                );
                self.record
                    .keep("flight", serde_json::to_value(recorded).unwrap_or_default());
                frames
            }
            Err(error) => format!("{said}; the steps before it could not be recorded: {error}"),
        }
    }

    /// What a drift that ended the run comes from.
    fn explain(&self, finish: &Finish) {
        let Finish::Fault {
            cause: Cause::Alarm { .. },
            flight: Some(flight),
        } = finish
        else {
            return;
        };
        let energies = self.energies.read(Clone::clone);
        self.console
            .remark("looking for the cause of the drift, for two minutes at most (Ctrl-C ends it)");
        let interrupt = self.interrupt.flag();
        match diagnose::alarm(self.plan, self.model, flight, &energies, interrupt) {
            Ok(report) => {
                self.console.remark(&report.to_text());
                self.record.keep("diagnosis", report.to_json());
            }
            Err(error) => self
                .console
                .remark(&format!("the cause of the drift was not found: {error}")),
        }
    }
}

fn describe(plan: &Plan, model: Option<Source>, structure: Source, engine: String) -> Description {
    let mut seeds = Vec::new();
    if let VelocityPlan::Thermal { seed, .. } = plan.start.velocities {
        seeds.push(("velocities".to_owned(), seed));
    }
    if let Some(bath) = plan.dynamics.ensemble.bath() {
        seeds.push(("thermostat".to_owned(), bath.seed));
    }
    Description {
        config: plan.resolved.clone(),
        config_file: plan.source.clone(),
        model,
        structure: Some(structure),
        formula: elements::formula(&plan.start.system.species),
        atoms: plan.start.system.len(),
        degrees_of_freedom: assemble::degrees_of_freedom(plan),
        device: device(plan),
        engine,
        threads: assemble::thread_count(&plan.device),
        seeds,
        versions: versions(),
        files: assemble::files(plan),
    }
}

/// Versions of the libraries that results may depend on, from the lock file that they were built with.
fn versions() -> Vec<(String, String)> {
    const LOCK: &str = include_str!("../../Cargo.lock");
    let of = |name: &&str| {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let version = LOCK.split_once(&entry)?.1.split('"').next()?;
        Some(((*name).to_owned(), version.to_owned()))
    };
    ["burn", "molly", "rayon"].iter().filter_map(of).collect()
}

fn device(plan: &Plan) -> String {
    match assemble::place(&plan.device, assemble::precision(&plan.potential)) {
        Place::Cuda(index) => format!("cuda:{index}"),
        Place::Cpu => "cpu".to_owned(),
    }
}

/// Says what is about to run.
fn introduce(console: &Console, plan: &Plan, model: &Model, about: &Description) {
    for note in plan.notes.iter().chain(model.notes()) {
        console.note(note);
    }
    if let Some(note) = words::whole_motion(plan) {
        console.note(&note);
    }
    console.line(&format!(
        "system     {}: {}, {}",
        about.formula,
        text::counted(about.atoms as u64, "atom"),
        words::cell(&plan.start.cell)
    ));
    console.line(&format!("potential  {}", model.describe()));
    console.line(&format!("engine     {}", about.engine));
    console.line(&format!("dynamics   {}", words::dynamics(plan)));
    console.line(&format!("output     {}", plan.output.directory.display()));
}
