//! `mdrun CONFIG`: a run from its file to its closing summary.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::{RunArgs, diagnose, words};
use crate::assemble::{self, Model, Place};
use crate::config;
use crate::config::plan::{Ensemble, Plan, VelocityPlan};
use crate::core::elements;
use crate::report::{
    Console, Course, Description, Energies, RunDirectory, RunRecord, Source, Status, Summary,
    Verbosity, drift, recorder, trajectory,
};
use crate::simulation::{Cause, Finish, Flight, Simulation, Warning};
use crate::{Error, Result};

/// A run that has begun: what its end needs.
struct Run<'a> {
    plan: &'a Plan,
    model: &'a Model,
    console: Console,
    energies: Energies,
    record: RunRecord,
    setup: Duration,
}

/// Runs the command; exit code 1 where a fault ended the run.
///
/// # Errors
/// The input is wrong (nothing is left behind then), or the run failed.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let began = Instant::now();
    let plan = config::load(&args.config, &args.overrides, args.out.as_deref())?;
    assemble::threads(&plan.device)?;
    let model = assemble::load(&plan)?;
    let engine = assemble::engine(&plan, &model)?;
    let console = Console::new(
        Verbosity {
            quiet: args.quiet,
            json: args.json,
        },
        plan.dynamics.steps,
    );
    let energies = assemble::energies(&plan);

    // Until the run begins, all that can fail is the place it is to be written to: a wrong input.
    let at_output =
        |e: Error| Error::input(e.to_string()).within(plan.places.of("output.directory"));
    let directory = RunDirectory::create(&plan.output.directory, args.force).map_err(at_output)?;
    directory
        .check_room(least_bytes(&plan))
        .map_err(at_output)?;
    let reporters =
        assemble::reporters(&plan, directory.path(), &energies, &console).map_err(at_output)?;
    let description = describe(&plan, &model, engine.describe())?;
    if !args.quiet {
        introduce(&console, &plan, &model, &description);
    }
    let record = RunRecord::begin(directory.path(), description).map_err(at_output)?;
    directory.keep()?;

    let mut simulation = Simulation {
        engine,
        program: assemble::program(&plan),
        limits: assemble::limits(&plan),
        reporters,
        guard: assemble::guard(&plan),
        step: 0,
        end: plan.dynamics.steps,
    };
    let run = Run {
        plan: &plan,
        model: &model,
        console,
        energies,
        record,
        setup: began.elapsed(),
    };
    run.to_the_end(&mut simulation, args.json)
}

impl Run<'_> {
    fn to_the_end(&self, simulation: &mut Simulation, json: bool) -> Result<ExitCode> {
        let interrupt = interrupts()?;
        let began = Instant::now();
        let ended = simulation.run(&interrupt, &mut |warning| {
            let text = match &warning {
                Warning::Fault { cause, flight } => self.tell(cause, flight.as_deref()),
                Warning::Remark(remark) => remark.clone(),
            };
            self.console.remark(&format!("warning: {text}"));
        });
        let elapsed = began.elapsed();
        self.console.clear();

        let (status, stopped_by) = match &ended {
            Ok(finish) => self.judge(finish),
            Err(error) => (Status::Failed, Some(error.to_string())),
        };
        let course = Course {
            steps: simulation.step,
            timestep: self.plan.dynamics.timestep,
            elapsed,
            directory: self.plan.output.directory.clone(),
            stopped_by: stopped_by.clone(),
            thermostat: matches!(self.plan.dynamics.ensemble, Ensemble::Langevin { .. }),
        };
        let summary = Summary::new(&course, &self.energies);
        let timings = [
            ("setup", self.setup.as_secs_f64()),
            ("steps", elapsed.as_secs_f64()),
        ];
        let mut recorded = self.record.end(status, &summary, &timings);
        if json {
            words::print(&format!("{}\n", summary.to_json()));
        }
        self.console.line(&summary.to_text());
        let finish = ended?;
        if status != Status::Failed {
            recorded?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(reason) = stopped_by {
            self.console.remark(&format!("error: {reason}"));
        }
        if recorded.is_ok() {
            self.explain(&finish, &interrupt);
            recorded = self.record.end(status, &summary, &timings);
        }
        recorded?;
        Ok(ExitCode::FAILURE)
    }

    /// How the run ended, and why if before its last step. Writes the flight record of a fault.
    fn judge(&self, finish: &Finish) -> (Status, Option<String>) {
        match finish {
            Finish::Complete => (Status::Complete, None),
            Finish::Interrupted => (Status::Interrupted, Some("interrupt".to_owned())),
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
            stretch: drift::stretch(dynamics.timestep, dynamics.steps),
            identity: Default::default(),
        };
        match recorder::write(directory, flight, state, &about) {
            Ok(recorded) => {
                let frames = format!(
                    "{said}; the {} steps up to it are in {}, the state of step {} in {}",
                    recorded.frames,
                    directory.join(recorder::FRAMES).display(),
                    recorded.state_step,
                    recorder::STATE
                );
                self.record
                    .keep("flight", serde_json::to_value(recorded).unwrap_or_default());
                frames
            }
            Err(error) => format!("{said}; the steps before it could not be recorded: {error}"),
        }
    }

    /// What a drift that ended the run comes from.
    fn explain(&self, finish: &Finish, interrupt: &AtomicBool) {
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

/// Becomes true at Ctrl-C or a request to terminate; the second one ends the process at once.
///
/// # Errors
/// The signals cannot be watched for.
pub fn interrupts() -> Result<Arc<AtomicBool>> {
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // In this order: the first signal finds the flag unset.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupt))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&interrupt)))
            .map_err(|e| Error::run(format!("cannot watch for Ctrl-C: {e}")))?;
    }
    Ok(interrupt)
}

/// Bytes that the trajectories will take at the least.
pub fn least_bytes(plan: &Plan) -> u64 {
    let atoms = plan.start.system.len();
    (plan.output.trajectories.iter())
        .map(|t| trajectory::least_bytes(t, atoms, plan.dynamics.steps))
        .sum()
}

fn describe(plan: &Plan, model: &Model, engine: String) -> Result<Description> {
    let mut seeds = Vec::new();
    if let VelocityPlan::Thermal { seed, .. } = plan.start.velocities {
        seeds.push(("velocities".to_owned(), seed));
    }
    if let Ensemble::Langevin { seed, .. } = plan.dynamics.ensemble {
        seeds.push(("thermostat".to_owned(), seed));
    }
    let source = |path: &Path| Source::read(path);
    Ok(Description {
        config: plan.resolved.clone(),
        config_file: plan.source.clone(),
        model: model.path().map(source).transpose()?,
        structure: Some(source(&plan.start.structure)?),
        formula: elements::formula(&plan.start.system.species),
        atoms: plan.start.system.len(),
        degrees_of_freedom: assemble::degrees_of_freedom(plan),
        device: device(plan),
        engine,
        threads: assemble::thread_count(&plan.device),
        seeds,
        versions: versions(),
        files: assemble::files(plan),
    })
}

/// Versions of the libraries that results may depend on, from the lock file that they were built with.
fn versions() -> Vec<(String, String)> {
    const LOCK: &str = include_str!("../../Cargo.lock");
    let of = |name: &&str| {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let version = LOCK.split_once(&entry)?.1.split('"').next()?;
        Some(((*name).to_owned(), version.to_owned()))
    };
    ["burn", "chemfiles", "molly", "rayon"]
        .iter()
        .filter_map(of)
        .collect()
}

fn device(plan: &Plan) -> String {
    match assemble::place(&plan.device, assemble::precision(&plan.potential)) {
        Place::Cuda(index) => format!("cuda:{index}"),
        Place::Cpu => "cpu".to_owned(),
    }
}

/// Says what is about to run.
fn introduce(console: &Console, plan: &Plan, model: &Model, about: &Description) {
    for note in &plan.notes {
        console.remark(&format!("note: {note}"));
    }
    console.line(&format!(
        "system     {}: {} atoms, {}",
        about.formula,
        about.atoms,
        words::cell(&plan.start.cell)
    ));
    console.line(&format!("potential  {}", model.describe()));
    console.line(&format!("engine     {}", about.engine));
    console.line(&format!("dynamics   {}", words::dynamics(plan)));
    console.line(&format!("output     {}", plan.output.directory.display()));
}
