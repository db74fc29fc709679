//! `mdrun CONFIG` and `mdrun resume RUN_DIR`.

use std::process::ExitCode;
use std::time::Instant;

use super::interrupt::Interrupt;
use super::{ResumeArgs, RunArgs, hints};
use crate::config::plan::Plan;
use crate::report::{Console, Status, Verbosity};
use crate::run::{Entry, Run, recorded};
use crate::{Result, assemble, config};

/// Runs the command; exit code 1 where a fault ended the run, that of the signal where one did.
///
/// # Errors
/// The input is wrong (nothing is left behind then), or the run failed.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let began = Instant::now();
    hints::expect_run_file(&args.config)?;
    let (config, overrides, out) = (&args.config, &args.overrides, args.out.as_deref());
    let plan = match args.member {
        Some(member) => config::load_member(config, overrides, out, member)?,
        None => config::load(config, overrides, out)?,
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
    to_the_end(plan, entry, verbosity, began)
}

/// Runs `mdrun resume RUN_DIR`; exit codes are those of [`run`].
///
/// # Errors
/// As for [`run`]; or the directory holds no run.
pub fn resume(args: &ResumeArgs) -> Result<ExitCode> {
    let began = Instant::now();
    let plan = recorded::plan(&args.directory, &args.models, &args.settings())?;
    let verbosity = Verbosity {
        quiet: args.quiet,
        json: args.json,
    };
    to_the_end(plan, Entry::Resume, verbosity, began)
}

fn to_the_end(
    mut plan: Plan,
    entry: Entry,
    verbosity: Verbosity,
    began: Instant,
) -> Result<ExitCode> {
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
    // Last of all, since it may end the process: all is closed and unlocked now.
    Ok(match (ending.status, interrupt.signal()) {
        (Status::Failed, _) => ExitCode::FAILURE,
        (Status::Interrupted, Some(signal)) => signal.exit_code(),
        _ => ExitCode::SUCCESS,
    })
}
