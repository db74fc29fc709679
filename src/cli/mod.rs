//! The command line.

mod analyze;
mod check;
mod diagnose;
mod energy;
mod energy_of_all;
mod hints;
mod init;
mod interrupt;
mod keys;
mod manual;
mod minimize;
mod minimize_all;
mod model;
mod report;
mod run;
mod serve;
mod stability;
mod subject;
mod validate;
mod version;
mod watch;
mod words;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::terminal::{Terminal, shown};
use crate::{Error, Result, bench, streams};
use subject::SubjectArgs;

/// Molecular dynamics of a trained PaiNN potential, from one TOML file.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Examples:
  mdrun init my.sdf         write a run file for a molecule of your own: my.toml
  mdrun check run.toml      what it means, and whether the model is sound
  mdrun run.toml            run it
  mdrun run.toml --set dynamics.duration=1ps --out try
  mdrun energy --model painn_hcno_gfn2 --structure molecule.xyz

`mdrun keys` prints every key of the run file, configs/ has commented ones, docs/guide.md the rest."
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Option<RunArgs>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Go on with the run in a directory, as its run.json says what it is, wherever the directory is now
    Resume(ResumeArgs),
    /// Write a commented run file for a structure of your own: minimise, heat, equilibrate, produce
    Init(init::InitArgs),
    /// Do everything but the run: read it all, test the model's physics, estimate memory and speed
    Check(CheckArgs),
    /// Test a run's physics: model, time step, ensemble, numbers; each test with its figure, its bar and the reason
    Validate(validate::ValidateArgs),
    /// Say what is wrong with a run: replay it with half the time step, in f64, and with brute-force pairs
    Diagnose(DiagnoseArgs),
    /// Show a running run from elsewhere, as it goes on: progress, time left, temperature, drift, energies
    Watch(watch::WatchArgs),
    /// Measure what a run's trajectory says: distances, diffusion, vibrations, bonds, densities, hydrogen bonds
    Analyze(analyze::AnalyzeArgs),
    /// Make the page of a run again, or one of several runs side by side
    Report(report::ReportArgs),
    /// Print energy, forces and, for a cell, stress of one structure
    Energy(EnergyArgs),
    /// Move atoms, and the cell where that is asked for, down to a minimum of the energy
    Minimize(minimize::MinimizeArgs),
    /// Compute energies and forces for i-PI, ASE or another server of i-PI's protocol, over a socket
    Serve(serve::ServeArgs),
    /// Measure how fast a model runs on this machine, on boxes of water
    Bench(bench::Args),
    /// Convert a model of another program, or say what a model is
    Model(model::ModelArgs),
    /// Print every key of the run file: what it may be, its default, and what it is for
    Keys(KeysArgs),
    /// Print completions of the command line for a shell
    Completions(manual::CompletionsArgs),
    /// Print the manual page, or that of a command
    #[command(hide = true)]
    Man(manual::ManArgs),
}

/// `mdrun CONFIG`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The run file (TOML)
    #[arg(required = true)]
    pub config: PathBuf,
    /// Override a key of the run file, as in --set dynamics.timestep=1fs; paths are the shell's
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Of many systems, run this one alone; the first is 0
    #[arg(long, value_name = "K")]
    pub member: Option<usize>,
    /// Write into this directory instead of the run file's
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,
    /// Replace an earlier run in the output directory
    #[arg(long, conflicts_with = "resume")]
    pub force: bool,
    /// Go on with the run in the output directory from its newest checkpoint; begin it if there is none
    #[arg(long)]
    pub resume: bool,
    /// Of a run in stages in the output directory, take this stage and those behind it anew
    #[arg(long, value_name = "STAGE", conflicts_with_all = ["resume", "force", "member"])]
    pub from: Option<String>,
    /// Print nothing but errors and warnings
    #[arg(long, short)]
    pub quiet: bool,
    /// Print a machine-readable summary on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// `mdrun resume RUN_DIR`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The run's directory; it may have been moved or copied
    #[arg(value_name = "RUN_DIR")]
    pub directory: PathBuf,
    /// The model, if it is no longer where it was; of a committee each, in their order
    #[arg(long = "model", value_name = "MODEL")]
    pub models: Vec<PathBuf>,
    /// Make the run so long in all, as in --duration '20 ps'
    #[arg(long, value_name = "TIME", conflicts_with = "steps")]
    pub duration: Option<String>,
    /// Make the run so many steps long in all
    #[arg(long, value_name = "STEPS")]
    pub steps: Option<u64>,
    /// Override a key of the run file: what the run's own files do not depend on may change
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Print nothing but errors and warnings
    #[arg(long, short)]
    pub quiet: bool,
    /// Print a machine-readable summary on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

impl ResumeArgs {
    /// All overrides.
    fn settings(&self) -> Vec<String> {
        let duration = self
            .duration
            .as_ref()
            .map(|time| format!("dynamics.duration={time:?}"));
        let steps = self.steps.map(|steps| format!("dynamics.steps={steps}"));
        let own = duration.into_iter().chain(steps);
        self.overrides.iter().cloned().chain(own).collect()
    }
}

/// `mdrun check CONFIG`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The run file (TOML)
    pub config: PathBuf,
    /// Override a key of the run file
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Of many systems, check this one; the first is 0
    #[arg(long, value_name = "K")]
    pub member: Option<usize>,
    /// Of a run in stages, check this one, as if it began from the structure [default: the last]
    #[arg(long, value_name = "NAME", conflicts_with = "member")]
    pub stage: Option<String>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// `mdrun diagnose RUN_DIR`.
#[derive(Debug, Args)]
#[command(after_help = "\
The run is replayed from the checkpoint before its fault, or, where there was none, from its last checkpoints: as it \
was, with half the time step, in f64, with pairs found by brute force at every step. What removes the drift, or the \
broken limit, is its cause; where nothing does, the potential's forces are held against the slopes of its energy, and \
its energy at the cutoff is looked at.

Needs the run's directory and the model file, which must be the one of the run. Writes nothing.

Exit codes: 0 nothing is wrong; 3 a cause was found; 4 it cannot be decided, or what was wrong has passed; \
1 a replay failed; 2 the input is wrong; 128 + a signal's number: it was interrupted, and tells what it had found.")]
pub struct DiagnoseArgs {
    /// The run's directory
    #[arg(value_name = "RUN_DIR")]
    pub directory: PathBuf,
    /// The model, if it is no longer where it was; of a committee each, in their order
    #[arg(long = "model", value_name = "MODEL")]
    pub models: Vec<PathBuf>,
    /// Most minutes to take
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true, value_parser = parse_minutes)]
    pub minutes: f64,
    /// Print the diagnosis as JSON
    #[arg(long)]
    pub json: bool,
}

fn parse_minutes(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= 1e6 => Ok(minutes),
        _ => Err("a number of minutes, greater than zero".to_owned()),
    }
}

/// `mdrun energy`.
#[derive(Debug, Args)]
#[command(after_help = "\
With --frame all, energies and forces of all frames of the structure file are computed over all threads, or together on \
a card, and written as \
extended XYZ (energy, forces, stress for a cell; ASE and OVITO read them) or, with --json, as a line of JSON for each. \
Frames may be of different atoms. One that cannot be evaluated is told at the end, and the others are written.

  mdrun energy --model painn_hcno_gfn2 --structure many.sdf --frame all --out many.xyz

Exit codes: 0 done; 1 the energy is not a finite number, or some frames have none; 2 the input is wrong.")]
pub struct EnergyArgs {
    /// What is computed, and where.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// With --frame all: write into this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file of --out
    #[arg(long, requires = "out")]
    pub force: bool,
    /// Print JSON (with --frame all a line for each, with its number as frame): energy_ev, forces_ev_per_angstrom,
    /// stress_ev_per_angstrom3 (cells only), pairs, of a committee
    /// force_spread_ev_per_angstrom and energy_spread_ev_per_atom, and what was read: elements, positions_angstrom,
    /// cell_angstrom, periodic, frames, notes
    #[arg(long)]
    pub json: bool,
}

/// `mdrun keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// Print those of one table alone, as in: mdrun keys dynamics
    pub table: Option<String>,
}

/// Runs a command line, the name of the program first, prints what is wrong, and gives the exit code of the process.
pub fn program(arguments: Vec<OsString>) -> ExitCode {
    // A fault of the program has said what it is already; it ends with a documented exit code as well.
    let ended = std::panic::catch_unwind(|| run(arguments)).unwrap_or_else(|_| {
        Err(Error::run(
            "this is a fault of the program (see the line above): please report it, with the run file",
        ))
    });
    ended.unwrap_or_else(|error| {
        streams::tell(&Terminal::err().message(&format!("error: {error}")));
        ExitCode::from(error.exit_code())
    })
}

/// Runs a command line, and returns its exit code: 0 done, 1 a run that a broken limit ended.
///
/// # Errors
/// The input is wrong or the run failed.
pub fn run(arguments: Vec<OsString>) -> Result<ExitCode> {
    interrupt::outlive_file_limit()?;
    if arguments.get(1..).is_some_and(|rest| rest == ["--version"]) {
        version::print()?;
        return Ok(ExitCode::SUCCESS);
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(answer) => {
            return match hints::of(&arguments, &answer) {
                Some(hint) => Err(Error::input(hint)),
                None => instead(&answer),
            };
        }
    };
    match (cli.command, cli.run) {
        (Some(Command::Resume(args)), _) => run::resume(&args),
        (Some(Command::Init(args)), _) => init::run(&args),
        (Some(Command::Check(args)), _) => check::run(&args),
        (Some(Command::Validate(args)), _) => validate::run(&args),
        (Some(Command::Diagnose(args)), _) => diagnose::run(&args),
        (Some(Command::Watch(args)), _) => watch::run(&args),
        (Some(Command::Analyze(args)), _) => analyze::run(&args),
        (Some(Command::Report(args)), _) => report::run(&args),
        (Some(Command::Energy(args)), _) => energy::run(&args),
        (Some(Command::Minimize(args)), _) => minimize::run(&args),
        (Some(Command::Serve(args)), _) => serve::run(&args),
        (Some(Command::Bench(args)), _) => bench::run(&args),
        (Some(Command::Model(args)), _) => model::run(&args),
        (Some(Command::Keys(args)), _) => keys::run(&args),
        (Some(Command::Completions(args)), _) => manual::completions(&args),
        (Some(Command::Man(args)), _) => manual::man(&args),
        (None, Some(args)) => run::run(&args),
        (None, None) => Err(Error::input(
            "give a run file: mdrun CONFIG.toml (mdrun --help)",
        )),
    }
}

/// Prints what is wrong with the arguments (exit code 2), or the help or version that was asked for.
///
/// # Errors
/// What was asked for cannot be printed.
fn instead(answer: &clap::Error) -> Result<ExitCode> {
    if !answer.use_stderr() {
        // A reader that has gone away has had what it wanted.
        let printed = answer.print().and_then(|()| std::io::stdout().flush());
        return match printed {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::run(format!(
                "standard output cannot be written: {e}"
            ))),
            _ => Ok(ExitCode::SUCCESS),
        };
    }
    let plain = answer.render().to_string();
    match shown(&plain) {
        // In colour where the terminal has it; there is nowhere to say that it is lost.
        Cow::Borrowed(_) => drop(answer.print()),
        Cow::Owned(text) => streams::tell(text.trim_end()),
    }
    Ok(ExitCode::from(2))
}
