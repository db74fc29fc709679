//! A batch from its first step to its closing summary.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::{BatchEnding, plan_of, words};
use crate::assemble;
use crate::config::plan::BatchPlan;
use crate::paths::absolute;
use crate::report::members::summary::{BatchOutcome, MemberSummary};
use crate::report::{BatchSummary, Console, Energies, RunOutcome, RunRecord, Status, Summary};
use crate::run::underway::DirectoryHold;
use crate::run::{Interruption, last};
use crate::simulation::BatchSimulation;
use crate::simulation::batch::{BatchFinish, MemberCourse, MemberEvent, MemberStage};
use crate::{Error, Result, overview, shell};

/// Lines about single members that are printed, of those that fail and of those that warn; the others are in the table of
/// members.
const MOST_TOLD: usize = 20;

/// A batch that has begun: what its end needs.
pub(super) struct BatchBegun<'b> {
    pub plan: &'b BatchPlan,
    pub console: &'b Console,
    pub energies: &'b [Energies],
    pub record: RunRecord,
    /// Whether it goes on from a checkpoint.
    pub resumed: bool,
    pub setup: Duration,
}

/// How many lines about single members were printed.
#[derive(Default)]
struct Told {
    faults: Cell<usize>,
    warnings: Cell<usize>,
}

impl BatchBegun<'_> {
    /// Takes the steps and completes the files.
    ///
    /// # Errors
    /// The device failed, or an output could not be written.
    pub fn to_the_end(
        &self,
        mut tenure: DirectoryHold,
        simulation: &mut BatchSimulation<'_>,
        interruption: &dyn Interruption,
    ) -> Result<BatchEnding> {
        let began = Instant::now();
        let told = Told::default();
        let ended = simulation.run_from(
            interruption.flag(),
            &mut |member, event| self.tell(member, event, &told),
            &mut || self.begin(&mut tenure),
        );
        let ended = ended.and_then(|finish| {
            self.write_last(&simulation.members)?;
            Ok(finish)
        });
        let keeper = simulation.keeper.as_ref();
        let elapsed = keeper.map_or_else(|| began.elapsed(), |keeper| keeper.elapsed());
        let kept = keeper.is_some_and(|keeper| keeper.has_kept());
        self.console.clear();
        if ended.is_err() && !tenure.is_held() {
            // Nothing is left of it.
            return Err(ended.map_or_else(|error| error, |_| Error::run("it has not begun")));
        }
        let ended = ended.map_err(|error| self.advise(&error, kept, interruption));
        let members = &simulation.members;
        let (status, stopped_by) = match &ended {
            Ok(finish) => judge(*finish, members, interruption),
            Err(error) => (Status::Failed, Some(error.to_string())),
        };
        let outcome = BatchOutcome {
            status,
            elapsed,
            directory: self.plan.members[0].plan.output.directory.clone(),
            stopped_by,
        };
        let summary = self.sum_up(&outcome, members);
        let timings = [
            ("setup", self.setup.as_secs_f64()),
            ("steps", elapsed.as_secs_f64()),
        ];
        self.record.keep_remarks(self.console.remarks());
        let first = &self.plan.members[0].plan.output;
        if first.report && tenure.is_held() {
            let record = self.record.at_end(status, summary.to_json(), &timings);
            if let Some(doubt) = overview::leave(&first.directory, &record) {
                self.console.remark(&format!("warning: {doubt}"));
            }
        }
        let recorded = self.record.close(status, summary.to_json(), &timings);
        let printed = self.console.summary_of_batch(&summary);
        if first.report && tenure.is_held() {
            self.console.page(&first.directory);
        }
        if status == Status::Interrupted {
            self.tell_how_to_go_on(kept);
        }
        ended?;
        recorded?;
        printed?;
        Ok(BatchEnding {
            status,
            steps: summary.steps,
            summary: Some(summary),
        })
    }

    /// The batch has come to its first step: what it writes stays, and the run before it goes.
    fn begin(&self, tenure: &mut DirectoryHold) -> Result<()> {
        tenure.hold(self.console, |directory| {
            self.record.begun()?;
            match self.resumed {
                true => last::remove(directory),
                false => Ok(()),
            }
        })
    }

    /// Tells what happens to a member, in one line, and gives it in words. Of many such lines the first are printed.
    fn tell(&self, member: usize, event: &MemberEvent<'_>, told: &Told) -> String {
        let plan = plan_of(self.plan, member);
        let (text, kind, count) = match event {
            MemberEvent::Fault(cause) => (crate::run::words::cause(cause, plan), "", &told.faults),
            MemberEvent::Warning(cause) => (
                crate::run::words::cause(cause, plan),
                "warning: ",
                &told.warnings,
            ),
            MemberEvent::Remark(remark) => ((*remark).to_owned(), "warning: ", &told.warnings),
        };
        let before = count.replace(count.get() + 1);
        let name = words::member(member, &self.plan.members[member].name);
        if before < MOST_TOLD {
            self.console.remark(&format!(
                "{kind}{name}: {text}; to look: {}",
                self.command_to_look(member)
            ));
        } else if before == MOST_TOLD {
            let what = if kind.is_empty() { "fail" } else { "warn" };
            self.console
                .remark(&format!("more members {what}: members.csv has them all"));
        }
        text
    }

    fn command_to_look(&self, member: usize) -> String {
        format!(
            "`mdrun {} --member {member}`",
            shell::quoted(&self.plan.source)
        )
    }

    /// Writes the last states of all members that have a sound one.
    fn write_last(&self, members: &[MemberCourse]) -> Result<()> {
        let mut text = Vec::new();
        for (member, course) in members.iter().enumerate() {
            if let Some(state) = &course.state {
                let plan = plan_of(self.plan, member);
                let status = crate::report::members::table::status(course, true);
                let tag = format!("member={member} status={status}");
                last::frame((&plan.start.system, &tag), state, plan.noise(), &mut text);
            }
        }
        last::put(&self.plan.members[0].plan.output.directory, &text)
    }

    /// What each member's lone run would sum up, and all of them together.
    fn sum_up(&self, outcome: &BatchOutcome, members: &[MemberCourse]) -> BatchSummary {
        let summaries: Vec<Summary> = (members.iter().zip(self.energies).enumerate())
            .map(|(member, (course, energies))| {
                Summary::new(&self.course_of(member, course, outcome), energies)
            })
            .collect();
        let all = members.iter().zip(&summaries).zip(&self.plan.members);
        let all: Vec<MemberSummary<'_>> = all
            .map(|((course, summary), member)| MemberSummary {
                name: &member.name,
                course,
                summary,
            })
            .collect();
        BatchSummary::new(outcome, &all)
    }

    fn course_of(&self, member: usize, course: &MemberCourse, of_all: &BatchOutcome) -> RunOutcome {
        let plan = plan_of(self.plan, member);
        RunOutcome {
            status: of_all.status,
            steps: course.step,
            timestep: plan.dynamics.timestep,
            elapsed: of_all.elapsed,
            directory: of_all.directory.clone(),
            stopped_by: None,
            bath: assemble::bath(plan),
            began: (0, 0.0),
            ramped: plan.dynamics.ramps.temperature.is_some(),
            press: assemble::press(plan),
            whole: assemble::lasting_motion(plan),
            resumed_from: Vec::new(),
        }
    }

    /// What the world did to a batch, with what to do where a checkpoint was kept.
    fn advise(&self, error: &Error, kept: bool, interruption: &dyn Interruption) -> Error {
        let obstacle =
            (interruption.obstacle()).map_or_else(String::new, |why| format!(" ({why})"));
        match kept {
            true => Error::run(format!(
                "{error}{obstacle}; the newest checkpoint is sound: put the cause right, then go on with {}",
                self.command_to_go_on()
            )),
            false => Error::run(format!("{error}{obstacle}")),
        }
    }

    /// Tells how an interrupted batch is gone on with, from its checkpoint or from its last states.
    fn tell_how_to_go_on(&self, has_checkpoint: bool) {
        let how = if has_checkpoint {
            self.command_to_go_on()
        } else {
            let directory = absolute(&self.plan.members[0].plan.output.directory);
            let structure = toml::Value::String(directory);
            format!("a run that begins from them: structure = {structure}, frame = \"all\"")
        };
        self.console.line(&format!("  go on with    {how}"));
    }

    fn command_to_go_on(&self) -> String {
        let directory = &self.plan.members[0].plan.output.directory;
        format!("mdrun resume {}", shell::quoted(directory))
    }
}

/// How a batch ended, and why if before all members had.
fn judge(
    finish: BatchFinish,
    members: &[MemberCourse],
    interruption: &dyn Interruption,
) -> (Status, Option<String>) {
    let failed = members
        .iter()
        .any(|course| course.stage == MemberStage::Failed);
    match finish {
        BatchFinish::Interrupted => (Status::Interrupted, Some(interruption.name().to_owned())),
        BatchFinish::Ended if failed => (Status::Failed, None),
        BatchFinish::Ended => (Status::Complete, None),
    }
}
