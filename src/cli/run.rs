//! `mdrun CONFIG` and `mdrun resume RUN_DIR`.

use std::process::ExitCode;
use std::time::Instant;

use super::interrupt::Interrupt;
use super::{ResumeArgs, RunArgs, hints};
use crate::config::plan::{BatchPlan, Plan, StagedPlan};
use crate::config::{self, Asked};
use crate::report::{Console, Status, Verbosity};
use crate::run::batch::BatchRun;
use crate::run::{Entry, Run, StagedEntry, StagedRun, recorded};
use crate::{Error, Result, assemble};

/// Runs the command; exit code 1 where a fault ended the run, that of the signal where one did.
///
/// # Errors
/// The input is wrong (nothing is left behind then), or the run failed.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let began = Instant::now();
    hints::expect_run_file(&args.config)?;
    let (config, overrides, out) = (&args.config, &args.overrides, args.out.as_deref());
    let asked = match args.member {
        Some(member) => Asked::One(Box::new(config::load_member(
            config, overrides, out, member,
        )?)),
        None => config::load_any(config, overrides, out)?,
    };
    let entry = match (args.resume, args.force) {
        (true, _) => Entry::Resume,
        (false, true) => Entry::Replace,
        (false, false) => Entry::Begin,
    };
    let verbosity = Verbosity {
        quiet: args.quiet,
        json: args.json,
    };
    match (asked, &args.from) {
        (asked, None) => to_the_end(asked, entry, verbosity, began),
        (Asked::Staged(plan), Some(stage)) => {
            staged(*plan, &StagedEntry::From(stage.clone()), verbosity)
        }
        (Asked::One(_) | Asked::Several(_), Some(stage)) => Err(Error::input(format!(
            "{}: --from {stage}: the run file has no stages",
            config.display()
        ))),
    }
}

/// Runs `mdrun resume RUN_DIR`; exit codes are those of [`run`].
///
/// # Errors
/// As for [`run`]; or the directory holds no run.
pub fn resume(args: &ResumeArgs) -> Result<ExitCode> {
    let began = Instant::now();
    let asked = recorded::asked(&args.directory, &args.models, &args.settings())?;
    let verbosity = Verbosity {
        quiet: args.quiet,
        json: args.json,
    };
    to_the_end(asked, Entry::Resume, verbosity, began)
}

/// Runs what is asked for.
fn to_the_end(
    asked: Asked,
    entry: Entry,
    verbosity: Verbosity,
    began: Instant,
) -> Result<ExitCode> {
    match asked {
        Asked::One(plan) => one(*plan, entry, verbosity, began),
        Asked::Several(batch) => many(*batch, entry, verbosity, began),
        Asked::Staged(plan) => {
            let entry = match entry {
                Entry::Begin => StagedEntry::Begin,
                Entry::Replace => StagedEntry::Replace,
                Entry::Resume => StagedEntry::Resume,
            };
            staged(*plan, &entry, verbosity)
        }
    }
}

/// Runs one system in stages.
fn staged(mut plan: StagedPlan, entry: &StagedEntry, verbosity: Verbosity) -> Result<ExitCode> {
    assemble::threads(&plan.stages[0].device)?;
    let model = assemble::load_staged(&mut plan)?;
    // Before this nothing is held that a signal could leave behind.
    let interrupt = Interrupt::watch()?;
    let console = Console::new(verbosity, plan.steps());
    let run = StagedRun::open(plan, model, entry, &console)?;
    let ending = run.to_the_end(&interrupt)?;
    Ok(exit_code(ending.status, &interrupt))
}

/// Runs many systems at once; the exit code is that of a failed run where a member failed.
fn many(batch: BatchPlan, entry: Entry, verbosity: Verbosity, began: Instant) -> Result<ExitCode> {
    // Before this nothing is held that a signal could leave behind.
    let interrupt = Interrupt::watch()?;
    let steps = batch.members[0].plan.dynamics.steps;
    let console = Console::new(verbosity, steps);
    let run = BatchRun::open(batch, entry, &console)?.counted_from(began);
    let ending = run.to_the_end(&interrupt)?;
    Ok(exit_code(ending.status, &interrupt))
}

/// Runs one system.
fn one(mut plan: Plan, entry: Entry, verbosity: Verbosity, began: Instant) -> Result<ExitCode> {
    assemble::threads(&plan.device)?;
    let model = assemble::load(&mut plan)?;
    // Before this nothing is held that a signal could leave behind.
    let interrupt = Interrupt::watch()?;
    model.heed(&interrupt.shared());
    let console = Console::new(verbosity, plan.dynamics.steps);
    let run = match (
        Run::with_model(plan, model, entry, &console),
        interrupt.signal(),
    ) {
        (Ok(run), _) => run.counted_from(began),
        // It waited for a client, and was asked to end.
        (Err(_), Some(signal)) => {
            let name = signal.name();
            console.remark(&format!(
                "{name} came before the first step: nothing was written"
            ));
            return Ok(signal.exit_code());
        }
        (Err(error), None) => return Err(error),
    };
    let ending = run.to_the_end(&interrupt)?;
    Ok(exit_code(ending.status, &interrupt))
}

/// What a run's end means to whoever started it.
fn exit_code(status: Status, interrupt: &Interrupt) -> ExitCode {
    // Last of all, since it may end the process: all is closed and unlocked now.
    match (status, interrupt.signal()) {
        (Status::Failed, _) => ExitCode::FAILURE,
        (Status::Interrupted, Some(signal)) => signal.exit_code(),
        _ => ExitCode::SUCCESS,
    }
}
