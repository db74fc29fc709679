//! `mdrun diagnose RUN_DIR`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::DiagnoseArgs;
use super::interrupt::Interrupt;
use crate::assemble;
use crate::config::RecordedConfig;
use crate::config::plan::{Plan, PotentialPlan, StartPlan, VelocityPlan};
use crate::core::observe::Thermometer;
use crate::core::{FormalElectrons, Snapshot};
use crate::diagnose::{Case, Question, Report, Suspect};
use crate::potential::Precision;
use crate::report::checkpoint::{self, Checkpoint};
use crate::report::names;
use crate::report::recorder::FaultKind;
use crate::report::{Recorded, record};
use crate::run::Interruption as _;
use crate::run::drift::{question, replay};
use crate::run::int8 as run_int8;
use crate::run::recorded::rename_models;
use crate::terminal::{Mood, Terminal};
use crate::{Error, Result, input, shell, streams};

/// Steps replayed at first where no drift was seen.
const USUAL_WINDOW: u64 = 2000;

/// A cause was found.
const FOUND: u8 = 3;
/// It cannot be decided, or has passed.
const UNDECIDED: u8 = 4;

/// Runs the command.
///
/// # Errors
/// The directory does not hold a run with a state to start from, the model is not the run's, or a replay failed.
pub fn run(args: &DiagnoseArgs) -> Result<ExitCode> {
    let mut past = FinishedRun::read(&args.directory, &args.models)?;
    if past.plan.plumed.is_some() {
        let place = args.directory.display();
        let why =
            "PLUMED biases this run, and its steps cannot be replayed: PLUMED does not go back";
        return Err(Error::input(format!("{place}: {why}")));
    }
    assemble::threads(&past.plan.device)?;
    let model = assemble::load(&mut past.plan)?;
    run_int8::read(&args.directory, &past.plan, &model, &past.state.identity)?;
    let budget = Duration::from_secs_f64(60.0 * args.minutes);
    let case = past.case(budget);
    let interrupt = Interrupt::watch()?;
    if !args.json {
        let said = format!(
            "replaying {} from step {} on, for {} minutes at most (Ctrl-C ends it)",
            args.directory.display(),
            case.start.step,
            args.minutes
        );
        streams::tell(&Terminal::err().message(&said));
    }
    let report = replay(&past.plan, &model, &case, interrupt.flag())?;
    if args.json {
        streams::print_json(&report.to_json())?
    } else {
        show(&report)?
    }
    if let Some(signal) = interrupt.signal() {
        return Ok(signal.exit_code());
    }
    Ok(match report.verdict.suspect {
        Suspect::Nothing => ExitCode::SUCCESS,
        Suspect::Undecided | Suspect::Passed => ExitCode::from(UNDECIDED),
        _ => ExitCode::from(FOUND),
    })
}

/// Prints a diagnosis for people.
///
/// # Errors
/// Standard output cannot be written.
fn show(report: &Report) -> Result<()> {
    let mood = match report.verdict.suspect {
        Suspect::Nothing => Mood::Good,
        Suspect::Undecided | Suspect::Passed => Mood::Doubt,
        _ => Mood::Bad,
    };
    let text = Terminal::out().verdict(&report.to_text(), "verdict:", mood);
    streams::print(&format!("{text}\n"))
}

/// A run that is over, as its directory has it.
struct FinishedRun {
    plan: Plan,
    /// What to start from.
    state: Checkpoint,
    /// A state that the run came through later.
    later: Option<Checkpoint>,
    flight: Option<Recorded>,
    thermometer: Thermometer,
}

impl FinishedRun {
    fn read(directory: &Path, models: &[PathBuf]) -> Result<Self> {
        let path = directory.join(names::RECORD);
        let name = path.display();
        let bytes = input::read(&path, record::LONGEST)
            .map_err(|e| Error::input(format!("{name}: {e}; name the directory of a run")))?;
        let record: Value = serde_json::from_slice(&bytes)
            .map_err(|e| Error::input(format!("{name} is not the record of a run: {e}")))?;
        let lacks = |what: &str| {
            Error::input(format!(
                "{name} is not the record of a run: it has no {what}"
            ))
        };
        let config = record.get("config").cloned();
        let mut config: toml::Table = config
            .and_then(|config| serde_json::from_value(config).ok())
            .ok_or_else(|| lacks("config"))?;
        if !models.is_empty() {
            rename_models(&mut config, models)?;
        }
        let recorded = RecordedConfig {
            config: &config,
            path: &path,
            overrides: &[],
            directory: None,
        };
        if recorded.is_of_many() {
            return Err(of_many(directory, &record));
        }
        let flight = record.get("flight").filter(|f| !f.is_null());
        let flight: Option<Recorded> = flight
            .map(|f| serde_json::from_value(f.clone()))
            .transpose()
            .map_err(|e| Error::input(format!("{name}: its flight record: {e}")))?;
        let (state, later) = match &flight {
            Some(_) => (
                checkpoint::read(&directory.join(names::FLIGHT_STATE))?,
                None,
            ),
            None => last_two(directory)?,
        };
        let start = StartPlan {
            structure: path.clone(),
            system: state.system.clone(),
            names: None,
            cell: state.cell.clone(),
            positions: state.positions.clone(),
            electrons: FormalElectrons::default(),
            velocities: VelocityPlan::Given(state.velocities.clone()),
            // The plan takes that of the record.
            replica: None,
            noise: None,
            degrees_of_freedom: None,
            volume: None,
        };
        let plan = match &state.stage {
            None => recorded.from_state(start)?,
            Some(mark) => (recorded.from_state_in(start, &mark.name)?).begun_at(mark.beginning()),
        };
        let plan = assemble::in_present_numbers(&plan, &state.energies);
        check_models(&record, &plan)?;
        let freedom = record.get("degrees_of_freedom").and_then(Value::as_u64);
        let freedom = freedom.ok_or_else(|| lacks("degrees_of_freedom"))?;
        let thermometer = match &state.stage {
            None => assemble::thermometer_of(&plan, freedom as usize),
            // The record has those of another stage.
            Some(_) => state.energies.thermometer(),
        };
        Ok(Self {
            plan,
            state,
            later,
            flight,
            thermometer,
        })
    }

    fn case(&self, budget: Duration) -> Case {
        let plan = &self.plan;
        let question = match &self.flight {
            Some(flight) if !matches!(flight.kind, FaultKind::Drift | FaultKind::Pairs) => {
                Question::Breach {
                    step: flight.step,
                    limits: assemble::limits_of(plan, &self.thermometer),
                }
            }
            Some(flight) => {
                let window = flight.step.saturating_sub(self.state.step);
                question(plan, flight.drift(), window)
            }
            None => {
                let window = self.later.as_ref().map_or(0, |l| l.step - self.state.step);
                let seen = (self.later.as_ref().unwrap_or(&self.state))
                    .energies
                    .drift();
                question(plan, seen, window.clamp(USUAL_WINDOW, 10 * USUAL_WINDOW))
            }
        };
        Case {
            start: self.state.start(),
            timestep: plan.dynamics.timestep,
            thermometer: self.thermometer,
            question,
            later: self.later.as_ref().map(moment),
            double: assemble::precision(&plan.potential) != Precision::F64,
            budget,
        }
    }
}

/// Says what to diagnose instead of many systems at once.
fn of_many(directory: &Path, record: &Value) -> Error {
    let config = record.get("config_file").and_then(Value::as_str);
    let config = shell::quoted(Path::new(config.unwrap_or("CONFIG.toml")));
    Error::input(format!(
        "{} is the directory of many systems at once, and a diagnosis is of one: run the one in question alone, which takes \
         the same steps, with `mdrun {config} --member K`, then diagnose its directory",
        directory.display()
    ))
}

/// The checkpoint before the last as a start, and the last one as what the run came through later; the last
/// one alone where the other is not sound.
fn last_two(directory: &Path) -> Result<(Checkpoint, Option<Checkpoint>)> {
    let newest = checkpoint::newest(directory)?.ok_or_else(|| {
        Error::input(format!(
            "{}: there is neither a flight record nor a checkpoint to start from",
            directory.display()
        ))
    })?;
    let newest = newest.checkpoint;
    let before = checkpoint::read(&directory.join(names::PREVIOUS));
    Ok(match before {
        // One in coarser numbers does not lead to the newest.
        Ok(before)
            if before.stage == newest.stage
                && before.step < newest.step
                && before.energies.numbers.raises == newest.energies.numbers.raises =>
        {
            (before, Some(newest))
        }
        _ => (newest, None),
    })
}

/// A checkpoint's state as a moment of the run.
fn moment(checkpoint: &Checkpoint) -> Snapshot {
    Snapshot {
        step: checkpoint.step,
        time: 0.0,
        cell: checkpoint.cell.clone(),
        observables: crate::core::Observables {
            kept: checkpoint.kept,
            ..Default::default()
        },
        positions: checkpoint.positions.clone(),
        velocities: checkpoint.velocities.clone(),
        forces: Vec::new(),
    }
}

/// Checks that the models are those that the run had.
fn check_models(record: &Value, plan: &Plan) -> Result<()> {
    let PotentialPlan::Network { models, .. } = &plan.potential else {
        return Ok(());
    };
    let several = models.len() > 1;
    for (k, model) in models.iter().enumerate() {
        let place = match several {
            true => format!("/model/{k}/sha256"),
            false => "/model/sha256".to_owned(),
        };
        let had = record.pointer(&place).and_then(Value::as_str);
        let has = assemble::origin(model, &model.read()?)?.sha256;
        if had != Some(&has) {
            return Err(Error::input(format!(
                "{model}: this is not the model of the run: its SHA-256 is {has}, that of the run's was {}; name the \
                 right one with --model",
                had.unwrap_or("not recorded")
            )));
        }
    }
    Ok(())
}
