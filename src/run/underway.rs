//! A run from its first step to its closing summary.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::{HeldDirectory, RunDirectory};
use super::{Ending, Interruption, drift, last, staged, words};
use crate::assemble::{self, Model};
use crate::config::plan::Plan;
use crate::paths::absolute;
use crate::report::drift::LIMIT_OF_DRIFT;
use crate::report::names;
use crate::report::pace::RunPace;
use crate::report::{
    Console, Energies, Identity, RunOutcome, RunRecord, Status, Summary, recorder,
};
use crate::simulation::{Cause, Finish, Flight, Simulation, Warning};
use crate::{Error, Result, overview, shell};

/// A run that has begun: what its end needs.
pub(super) struct Begun {
    pub plan: Plan,
    pub model: Arc<Model>,
    /// Whose run it is, and the steps between samples of its drift: what a flight record keeps of it.
    pub identity: Identity,
    pub stretch: u64,
    pub console: Console,
    pub energies: Energies,
    pub record: RunRecord,
    /// How fast it is.
    pub pace: RunPace,
    /// Whether it goes on from a checkpoint.
    pub resumed: bool,
    pub setup: Duration,
}

/// The directory of a run.
pub(super) enum DirectoryHold {
    /// Until the first step: dropped, it takes what the run has written with it.
    Opened(RunDirectory),
    /// From then on, locked until the run has ended.
    Held { _directory: HeldDirectory },
}

impl DirectoryHold {
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { .. })
    }

    /// The run has come to its first step: once `begin` is done, what it writes stays, and the run before it goes.
    ///
    /// # Errors
    /// Those of `begin`; or it cannot take the place of the run before.
    pub fn hold(
        &mut self,
        console: &Console,
        begin: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let Self::Opened(directory) = self else {
            return Ok(());
        };
        begin(directory.path())?;
        let held = directory.hold()?;
        if let Some(remark) = &held.remark {
            console.remark(&format!("warning: {remark}"));
        }
        *self = Self::Held { _directory: held };
        Ok(())
    }
}

/// Keeps in the record where the run went on in finer numbers, if it did.
pub(super) fn keep_raises(record: &RunRecord, energies: &Energies) {
    let raises = energies.read(|energies| energies.numbers.raises.clone());
    if !raises.is_empty() {
        record.keep("raises", serde_json::to_value(raises).unwrap_or_default());
    }
}

impl Begun {
    /// Takes the steps and completes the files.
    ///
    /// # Errors
    /// The device failed, or an output could not be written.
    pub fn to_the_end(
        &self,
        mut tenure: DirectoryHold,
        simulation: &mut Simulation,
        interruption: &dyn Interruption,
    ) -> Result<Ending> {
        let began = Instant::now();
        let ended = self.walk(&mut tenure, simulation, interruption);
        self.close((ended, began), &tenure, simulation, interruption)
    }

    /// Takes the steps.
    ///
    /// # Errors
    /// As for [`Begun::to_the_end`].
    pub fn walk(
        &self,
        tenure: &mut DirectoryHold,
        simulation: &mut Simulation,
        interruption: &dyn Interruption,
    ) -> Result<Finish> {
        if let Some(settings) = self.plan.minimizer() {
            return self.descend(settings, (tenure, simulation), interruption);
        }
        simulation.run_from(
            interruption.flag(),
            &mut |warning| self.warn(&warning),
            &mut || self.begin(tenure),
        )
    }

    /// Completes the files of a run whose steps have ended so, which began to be taken at a moment.
    ///
    /// # Errors
    /// As for [`Begun::to_the_end`].
    pub fn close(
        &self,
        (ended, began): (Result<Finish>, Instant),
        tenure: &DirectoryHold,
        simulation: &mut Simulation,
        interruption: &dyn Interruption,
    ) -> Result<Ending> {
        let ended = ended.and_then(|finish| {
            self.write_last(simulation, &finish, tenure)?;
            Ok(finish)
        });
        let keeper = simulation.keeper.as_ref();
        let elapsed = keeper.map_or_else(|| began.elapsed(), |keeper| keeper.elapsed());
        self.console.clear();
        let kept = (keeper.and_then(|keeper| keeper.kept())).filter(|_| tenure.is_held());
        let ended = ended.map_err(|error| self.advise(&error, kept, interruption));

        let (status, stopped_by) = match &ended {
            Ok(finish) => self.judge(finish, interruption),
            Err(error) => (Status::Failed, Some(error.to_string())),
        };
        let course = RunOutcome {
            status,
            steps: simulation.step,
            timestep: self.plan.dynamics.timestep,
            elapsed,
            directory: self.plan.output.directory.clone(),
            stopped_by: stopped_by.clone(),
            bath: assemble::bath(&self.plan),
            began: self.plan.began(),
            ramped: self.plan.dynamics.ramps.temperature.is_some(),
            press: assemble::press(&self.plan),
            whole: assemble::lasting_motion(&self.plan),
            resumed_from: self.record.resumed_from(),
        };
        let summary = Summary::new(&course, &self.energies);
        self.keep_stage(simulation.step, &summary);
        let timings = [
            ("setup", self.setup.as_secs_f64()),
            ("steps", elapsed.as_secs_f64()),
        ];
        // A fault takes time that is none of the steps'.
        if status != Status::Failed {
            self.pace.end(simulation.step, elapsed);
        }
        self.record
            .keep("pace", serde_json::json!(self.pace.record()));
        self.record.keep_remarks(self.console.remarks());
        // Before the record says that it has ended: a run that is killed here goes on, and leaves its page once more.
        if status != Status::Failed && tenure.is_held() {
            self.leave_page(&self.record.at_end(status, summary.to_json(), &timings));
        }
        let mut recorded = self.record.end(status, &summary, &timings);
        let printed = self.console.summary(&summary);
        if self.plan.output.report && tenure.is_held() {
            self.console.page(&self.plan.output.directory);
        }
        if status == Status::Interrupted {
            self.tell_how_to_go_on(kept == Some(simulation.step));
        }
        if let (Status::Failed, Some(reason), Ok(finish)) = (status, stopped_by, &ended) {
            self.console.remark(&format!("error: {reason}"));
            if recorded.is_ok() {
                self.explain(finish, interruption);
                self.record.keep_remarks(self.console.remarks());
                recorded = self.record.end(status, &summary, &timings);
            }
        }
        if status == Status::Failed && tenure.is_held() {
            self.leave_page(&self.record.at_end(status, summary.to_json(), &timings));
        }
        ended?;
        recorded?;
        printed?;
        Ok(Ending {
            status,
            steps: simulation.step,
            summary: Some(summary),
        })
    }

    /// Keeps in the record what has become of the stage that it is, which has come to a step.
    fn keep_stage(&self, step: u64, summary: &Summary) {
        if let Some(stage) = &self.plan.stage {
            let entry = staged::entry(&self.plan, step, summary);
            self.record.keep_stage(stage.index, entry);
        }
    }

    /// Leaves the run's page, which its record is for. Nothing that goes wrong with it is a fault of the run.
    fn leave_page(&self, record: &serde_json::Value) {
        if !self.plan.output.report {
            return;
        }
        if let Some(doubt) = overview::leave(&self.plan.output.directory, record) {
            self.console.remark(&format!("warning: {doubt}"));
        }
    }

    /// The run has come to its first step: what it writes stays, and the run before it goes.
    pub(super) fn begin(&self, tenure: &mut DirectoryHold) -> Result<()> {
        tenure.hold(&self.console, |directory| {
            self.record.begun()?;
            match self.resumed {
                true => last::remove(directory),
                false => Ok(()),
            }
        })
    }

    /// Tells of what does not end the run.
    pub(super) fn warn(&self, warning: &Warning) {
        let text = match warning {
            Warning::Fault { cause, flight } => {
                let told = self.tell(cause, flight.as_deref());
                // So that the record can be looked into while the run goes on; its end writes it anyway.
                match self.record.update() {
                    Ok(()) => told,
                    Err(error) => format!("{told}; {error}"),
                }
            }
            Warning::Remark(remark) => remark.clone(),
            Warning::Raise(reason) => {
                keep_raises(&self.record, &self.energies);
                match self.record.update() {
                    Ok(()) => reason.clone(),
                    Err(error) => format!("{reason}; {error}"),
                }
            }
        };
        self.console.remark(&format!("warning: {text}"));
    }

    /// Writes the last state, if it is sound: after a broken limit it is in the middle of a block, or its forces
    /// are of wrong pairs.
    fn write_last(
        &self,
        simulation: &mut Simulation,
        finish: &Finish,
        tenure: &DirectoryHold,
    ) -> Result<()> {
        let write = |simulation: &mut Simulation| {
            let state = simulation.engine.snapshot(last::WANTS)?;
            let Plan { start, output, .. } = &self.plan;
            last::write(&output.directory, &start.system, &state, self.plan.noise())
        };
        match finish {
            Finish::Complete | Finish::Interrupted => write(simulation),
            Finish::Fault {
                cause: Cause::Alarm { .. },
                ..
            } if tenure.is_held() => {
                // The fault is what there is to tell of.
                if let Err(error) = write(simulation) {
                    self.console.remark(&format!("warning: {error}"));
                }
                Ok(())
            }
            Finish::Fault { .. } => Ok(()),
        }
    }

    /// What the world did to a run, with what to do where a checkpoint was kept.
    fn advise(&self, error: &Error, kept: Option<u64>, interruption: &dyn Interruption) -> Error {
        let obstacle =
            (interruption.obstacle()).map_or_else(String::new, |why| format!(" ({why})"));
        match kept {
            Some(step) => Error::run(format!(
                "{error}{obstacle}; the checkpoint of step {step} is sound: put the cause right, then go on \
                 with {}",
                self.command_to_go_on()
            )),
            None => Error::run(format!("{error}{obstacle}")),
        }
    }

    /// Tells how an interrupted run is gone on with, from its checkpoint or from its last state.
    fn tell_how_to_go_on(&self, has_checkpoint: bool) {
        let how = if has_checkpoint {
            self.command_to_go_on()
        } else {
            let directory = absolute(&self.plan.output.directory);
            let structure = toml::Value::String(directory);
            format!("a run that begins from it: structure = {structure}")
        };
        self.console.line(&format!("  go on with    {how}"));
    }

    fn command_to_go_on(&self) -> String {
        format!(
            "mdrun resume {}",
            shell::quoted(&self.plan.output.directory)
        )
    }

    /// How the run ended, and why if before its last step. Writes the flight record of a fault.
    fn judge(&self, finish: &Finish, interruption: &dyn Interruption) -> (Status, Option<String>) {
        match finish {
            Finish::Complete => (Status::Complete, None),
            Finish::Interrupted => (Status::Interrupted, Some(interruption.name().to_owned())),
            Finish::Fault { cause, flight } => {
                (Status::Failed, Some(self.tell(cause, flight.as_deref())))
            }
        }
    }

    /// A fault in words, with where the record of the steps before it is, which this writes.
    fn tell(&self, cause: &Cause, flight: Option<&Flight>) -> String {
        let fault = words::cause(cause, &self.plan);
        let Some(flight) = flight else {
            return fault;
        };
        let directory = &self.plan.output.directory;
        match self.record_flight(cause, &fault, flight) {
            Ok(recorded) => {
                let text = format!(
                    "{fault}; the {} steps up to it are in {}, the state of step {} in {}; \
                     `mdrun diagnose {}` looks for the cause",
                    recorded.frames,
                    directory.join(names::FLIGHT).display(),
                    recorded.state_step,
                    names::FLIGHT_STATE,
                    directory.display()
                );
                self.record
                    .keep("flight", serde_json::to_value(recorded).unwrap_or_default());
                text
            }
            Err(error) => format!("{fault}; the steps before it could not be recorded: {error}"),
        }
    }

    fn record_flight(
        &self,
        cause: &Cause,
        fault: &str,
        flight: &Flight,
    ) -> Result<recorder::Recorded> {
        let energies = self.energies.read(Clone::clone);
        let timestep = self.plan.dynamics.timestep;
        let state = match cause {
            Cause::Alarm { .. } => drift::replay_from(flight, &energies, timestep),
            _ => &flight.before,
        };
        let about = recorder::FlightContext {
            system: &self.plan.start.system,
            cause: fault.to_owned(),
            energies,
            stretch: self.stretch,
            identity: self.identity.clone(),
            stage: assemble::stage_mark(&self.plan),
        };
        recorder::write(&self.plan.output.directory, flight, state, &about)
    }

    /// What a drift that ended the run comes from.
    fn explain(&self, finish: &Finish, interruption: &dyn Interruption) {
        let Finish::Fault {
            cause: Cause::Alarm { reason, .. },
            flight: Some(flight),
        } = finish
        else {
            return;
        };
        // Others tell of themselves what is wrong.
        if !reason.contains(LIMIT_OF_DRIFT) {
            return;
        }
        let energies = self.energies.read(Clone::clone);
        let plan = assemble::in_present_numbers(&self.plan, &energies);
        self.console
            .remark("looking for the cause of the drift, for two minutes at most (Ctrl-C ends it)");
        let interrupt = interruption.flag();
        match drift::explain(&plan, &self.model, flight, &energies, interrupt) {
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
