//! `mdrun validate CONFIG`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::interrupt::Interrupt;
use super::stability::{self, StabilityArgs};
use super::{hints, parse_minutes};
use crate::assemble::{self, Int8Scene, Model, PlanWorkshop};
use crate::config::plan::Plan;
use crate::config::{self, Asked};
use crate::core::elements;
use crate::potential::Precision;
use crate::report::{names, replace};
use crate::run::Interruption as _;
use crate::run::words;
use crate::terminal::{Mood, Terminal, shown};
use crate::text::{counted, duration};
use crate::validate::{self, Depth, Judgement, Validated, ValidationLine, ValidationListener};
use crate::{Error, Result, overview, report, streams};

/// A test failed.
const FAILED: u8 = 3;
/// A test could not be decided.
const UNDECIDED: u8 = 4;
/// Minutes that are taken at the most where nothing is said.
const MINUTES: f64 = 10.0;
/// Files of a validation.
pub(super) const PAGE: &str = names::REPORT;
pub(super) const FIGURES: &str = names::VALIDATION;

/// `mdrun validate CONFIG`.
#[derive(Debug, Args)]
#[command(after_help = "\
The model, in f64: forces and stress against slopes of the energy, rotation, translation, permutation, the cutoff, two copies, \
pairs by brute force, the run's numbers. Steps at constant energy with the time step, its half and its quarter: drift, order, \
largest safe step, time reversal, momenta, pairs on the way. Under a thermostat: the kinetic energy's distribution, \
equipartition, pairs of temperatures and pressures. docs/validation.md says how each is judged.

Runs nothing of the run itself. Writes report.html and validation.json into a folder beside the run's, named _validation.

Exit codes: 0 all passed; 3 a test failed; 4 none failed, but one cannot be decided (more --minutes help); 1 a device or a file \
failed; 2 the input is wrong; 128 + a signal's number: it was interrupted, and tells what it had found.")]
pub struct ValidateArgs {
    /// The run file (TOML)
    #[arg(required_unless_present = "suite")]
    pub config: Option<PathBuf>,
    /// Override a key of the run file
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Of many systems, validate this one; the first is 0
    #[arg(long, value_name = "K")]
    pub member: Option<usize>,
    /// Of a run in stages, validate this one, as if it began from the structure
    #[arg(long, value_name = "NAME", conflicts_with = "member")]
    pub stage: Option<String>,
    /// Take a minute at the most, and see coarse faults alone
    #[arg(long, conflicts_with = "minutes")]
    pub quick: bool,
    /// Take so many minutes at the most; what a test needs at the least is done all the same [default: 10]
    #[arg(long, allow_negative_numbers = true, value_parser = parse_minutes)]
    pub minutes: Option<f64>,
    /// Write into this folder
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Print the figures as JSON, and nothing else on standard output
    #[arg(long)]
    pub json: bool,
    /// Instead of a run file, drift at constant energy of systems from 9 to 2,646 atoms, as comparisons of learned potentials
    /// quote it: 50 ps with steps of 1 fs
    #[command(flatten)]
    pub suite: StabilityArgs,
}

impl ValidateArgs {
    fn depth(&self) -> Depth {
        match (self.quick, self.minutes) {
            (true, _) => Depth::QUICK,
            (false, minutes) => {
                let minutes = minutes.unwrap_or(MINUTES);
                Depth::within(Duration::from_secs_f64(60.0 * minutes))
            }
        }
    }

    fn folder(&self, plan: &Plan) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            let run = &plan.output.directory;
            let name = run.file_name().map(|name| name.to_string_lossy());
            run.with_file_name(format!("{}_validation", name.unwrap_or_default()))
        })
    }
}

/// Runs the command.
///
/// # Errors
/// The input is wrong, a device failed, or a file cannot be written.
pub fn run(args: &ValidateArgs) -> Result<ExitCode> {
    let Some(config) = &args.config else {
        return stability::run(args);
    };
    hints::expect_run_file(config)?;
    let mut plan = plan(args, config)?;
    if !plan.groups.is_empty() {
        let why = "mdrun validate judges a system that nothing is done to: take the groups out of a copy of the run file";
        return Err(Error::input(why).within(plan.places.of("group.0.name")));
    }
    if plan.plumed.is_some() {
        let why = "mdrun validate judges a system that nothing is done to: take [plumed] out of a copy of the run file";
        return Err(Error::input(why).within(plan.places.of("plumed.input")));
    }
    assemble::threads(&plan.device)?;
    let model = assemble::load(&mut plan)?;
    prepare(&plan, &model)?;
    let folder = args.folder(&plan);
    make_folder(&folder)?;
    let workshop = PlanWorkshop::new(&plan, &model);
    let setup = workshop.setup(args.depth());
    let interrupt = Interrupt::watch()?;
    let mut teller = Teller { quiet: args.json };
    teller.head(&plan, &model)?;
    let began = Instant::now();
    let found = validate::validate(&setup, &mut teller, interrupt.flag())?;
    if !args.json {
        conclude(&found, began.elapsed())?;
    }
    write(&folder, (&plan, &model), &found)?;
    if args.json {
        let mut figures = found.json();
        figures["report"] = folder.join(PAGE).display().to_string().into();
        streams::print_json(&figures)?;
    } else {
        streams::print(&format!("{}\n", folder.join(PAGE).display()))?;
    }
    if let Some(signal) = interrupt.signal() {
        return Ok(signal.exit_code());
    }
    Ok(match (found.has_failed(), found.is_undecided()) {
        (true, _) => ExitCode::from(FAILED),
        (false, true) => ExitCode::from(UNDECIDED),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// The plan of the one system that is asked for.
fn plan(args: &ValidateArgs, config: &Path) -> Result<Plan> {
    let overrides = &args.overrides;
    if let Some(member) = args.member {
        return config::load_member(config, overrides, None, member);
    }
    if let Some(stage) = &args.stage {
        return config::load_stage(config, overrides, None, stage);
    }
    match config::load_any(config, overrides, None)? {
        Asked::One(plan) => Ok(*plan),
        Asked::Staged(staged) => Err(Error::input(format!(
            "{}: is a run in stages: {}; name one with --stage NAME",
            staged.source.display(),
            staged.names()
        ))),
        Asked::Several(batch) => Err(Error::input(format!(
            "{}: is a run of many systems, and a validation is of one: {}; choose it with --member 0 and so on",
            config.display(),
            batch.numbers()
        ))),
    }
}

/// Finds what the run's numbers need, and room for f64.
fn prepare(plan: &Plan, model: &Model) -> Result<()> {
    assemble::check_room(plan, model, Precision::F64)?;
    let precision = assemble::precision(&plan.potential);
    if precision == Precision::Int8 {
        assemble::check_plan_numbers(plan, model)?;
        assemble::find_int8(model, precision, &plan.device, &[Int8Scene::of(plan)])?;
    }
    Ok(())
}

/// What it is about: atoms and cell, potential, dynamics.
fn about(plan: &Plan, model: &Model) -> [String; 3] {
    let species = &plan.start.system.species;
    [
        format!(
            "{} ({}), {}",
            counted(species.len() as u64, "atom"),
            elements::formula(species),
            words::cell(&plan.start.cell)
        ),
        model.describe(),
        words::dynamics(plan),
    ]
}

fn write(folder: &Path, (plan, model): (&Plan, &Model), found: &Validated) -> Result<()> {
    let subject = plan.source.display().to_string();
    let mut about = about(plan, model).to_vec();
    about.push(format!("mdrun {}", env!("CARGO_PKG_VERSION")));
    // Figures first: they are small, and all that scripts want.
    let figures = streams::json(&found.json());
    replace(&folder.join(FIGURES), figures.as_bytes())?;
    let page = validate::page(found, &subject, &about);
    overview::put(&folder.join(PAGE), &page)
}

/// Makes the folder of a validation, and sees to it that its page can be put there, before anything is measured.
///
/// # Errors
/// It cannot be made, or something else has the name of the page.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    report::make_folder(folder)?;
    overview::check_place(&folder.join(PAGE))
}

fn conclude(found: &Validated, took: Duration) -> Result<()> {
    let mood = match (found.has_failed(), found.is_undecided()) {
        (true, _) => Mood::Bad,
        (false, true) => Mood::Doubt,
        (false, false) => Mood::Good,
    };
    let terminal = Terminal::out();
    let text = format!(
        "\n{} {}\n",
        terminal.paint(mood, &found.summary()),
        duration(took)
    );
    streams::print(&text)?;
    if found.is_undecided() && !found.has_failed() && !found.interrupted {
        streams::print("What is undecided needs more samples: give it more --minutes.\n")?;
    }
    Ok(())
}

/// Tells of the tests as they come.
struct Teller {
    quiet: bool,
}

impl Teller {
    fn head(&self, plan: &Plan, model: &Model) -> Result<()> {
        if self.quiet {
            return Ok(());
        }
        let lines = about(plan, model).map(|line| format!("{}\n", shown(&line)));
        streams::print(&lines.concat())
    }

    fn print(&self, text: &str) {
        if !self.quiet {
            // What is lost of it is in the files.
            drop(streams::print(text));
        }
    }
}

impl ValidationListener for Teller {
    fn begin(&mut self, part: &str) {
        self.print(&format!("\n{part}\n"));
    }

    fn line(&mut self, line: &ValidationLine) {
        /// Columns of the verdict and of what is tested: what is found is set in behind them.
        const WORD: usize = 9;
        const WHAT: usize = 24;
        let terminal = Terminal::out();
        let word = format!("{:WORD$}", line.judgement.word());
        let word = match line.judgement.mood() {
            Some(mood) => terminal.paint(mood, &word),
            None => word,
        };
        let bar = match (line.judgement, line.bar_text()) {
            (Judgement::NotApplicable, _) => String::new(),
            (_, bar) if bar.is_empty() => bar,
            (_, bar) => format!(" (at most {bar})"),
        };
        let text = format!("{word} {:WHAT$}  {}{bar}", line.what, shown(&line.found));
        self.print(&(terminal.fit(&text) + "\n"));
    }
}
