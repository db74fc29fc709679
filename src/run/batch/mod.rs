//! The life of a batch: many systems in one directory, from an opened plan to its closing summary.
//!
//! What a member reports is what its lone run reports. The batch is complete when all members are, and failed when one has
//! failed: the others go on to their ends all the same.

mod keeper;
mod resume;
mod underway;
mod words;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::directory::RunDirectory;
use super::underway::DirectoryHold;
use super::{Entry, Interruption, opening};
use crate::assemble::{self, Model};
use crate::config::plan::{BatchPlan, Plan};
use crate::engine::{BatchEngine, Start};
use crate::potential::Precision;
use crate::report::checkpoint::BatchCheckpoint;
use crate::report::members::BatchScope;
use crate::report::{
    BatchReport, BatchSummary, Console, Earlier, Energies, OriginFile, RunRecord, Status, drift,
};
use crate::simulation::BatchSimulation;
use crate::simulation::batch::{BatchBuilder, MemberCourse};
use crate::{Error, Result, streams};
use keeper::BatchKeeper;
use resume::{BatchStanding, EndedBatch, StoppedBatch};
use underway::BatchBegun;

/// How a batch ended.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchEnding {
    /// Whether all members are complete, it was interrupted, or a member failed.
    pub status: Status,
    /// Steps taken since it began, of all members.
    pub steps: u64,
    /// Its closing summary; `None` where no step was taken: it was interrupted before, or had come to its end already.
    pub summary: Option<BatchSummary>,
}

/// A batch that has been opened.
pub struct BatchRun {
    console: Console,
    began: Instant,
    ahead: BatchAhead,
}

/// What there is to do.
enum BatchAhead {
    /// Nothing: all members have come to their ends.
    Ended(Box<EndedBatch>),
    /// Steps.
    Opened(Box<OpenedBatch>),
}

/// A batch whose first step is to come.
struct OpenedBatch {
    plan: BatchPlan,
    model: Model,
    from: BatchOpening,
    sha256: Vec<String>,
    /// Whether it takes the place of another run.
    replaces: bool,
}

/// Where a batch begins: by default in a directory that is still to be made.
#[derive(Default)]
struct BatchOpening {
    directory: Option<RunDirectory>,
    before: Option<(BatchCheckpoint, Earlier)>,
}

impl BatchRun {
    /// Opens a batch: reads its model, and looks at what it is to go on from, with as many threads as the plan says.
    /// `console` hears of it.
    ///
    /// # Errors
    /// The input is wrong: there is no member, the model does not know an element of one, or what is in the directory of a
    /// batch that is to go on is not this one.
    pub fn open(mut plan: BatchPlan, entry: Entry, console: &Console) -> Result<Self> {
        let began = Instant::now();
        let model = load(&mut plan)?;
        let sources = model.sources().into_iter();
        let sha256: Vec<String> = sources.map(|source| source.sha256.clone()).collect();
        let standing = match entry {
            Entry::Begin | Entry::Replace => None,
            Entry::Resume => Some(resume::look(&mut plan, &sha256)?),
        };
        let run = |ahead| Self {
            console: console.clone(),
            began,
            ahead,
        };
        let from = match standing {
            None => BatchOpening::default(),
            Some(BatchStanding::Ended(ended)) => return Ok(run(BatchAhead::Ended(ended))),
            Some(BatchStanding::Nothing { directory, remark }) => {
                console.note(&remark);
                BatchOpening {
                    directory: Some(directory),
                    before: None,
                }
            }
            Some(BatchStanding::Stopped(stopped)) => BatchOpening::of(*stopped, console),
        };
        Ok(run(BatchAhead::Opened(Box::new(OpenedBatch {
            plan,
            model,
            from,
            sha256,
            replaces: entry == Entry::Replace,
        }))))
    }

    /// Counts all time since `began` as that of setting up.
    pub fn counted_from(self, began: Instant) -> Self {
        Self { began, ..self }
    }

    /// Takes all steps that are left of all members, until an interruption ends the batch before.
    ///
    /// # Errors
    /// The input is wrong as far as the directory goes (nothing is left behind then); or the device failed, or an output could
    /// not be written.
    pub fn to_the_end(self, interruption: &dyn Interruption) -> Result<BatchEnding> {
        let opened = match self.ahead {
            BatchAhead::Opened(opened) => opened,
            BatchAhead::Ended(ended) => {
                show_ended(&self.console, &ended)?;
                return Ok(ended.ending);
            }
        };
        if interruption.flag().load(Ordering::Acquire) {
            let name = interruption.name();
            self.console.remark(&format!(
                "{name} came before the first step: nothing was written"
            ));
            let members = opened
                .from
                .before
                .iter()
                .flat_map(|(from, _)| &from.members);
            return Ok(BatchEnding {
                status: Status::Interrupted,
                steps: members.map(|member| member.course.step).sum(),
                summary: None,
            });
        }
        opened.run(&self.console, self.began, interruption)
    }
}

/// Sets the threads and reads the model of a batch, which is what all of its members have.
fn load(plan: &mut BatchPlan) -> Result<Model> {
    let Some(first) = plan.members.first() else {
        return Err(Error::input("a batch of no members"));
    };
    check_batch_numbers(&first.plan)?;
    // Of one system with the atoms of all, so that what is said of elements is said of all.
    let mut whole = first.plan.clone();
    assemble::threads(&whole.device)?;
    whole.start.system.species = words::elements(plan);
    let told = whole.notes.len();
    let model = assemble::load(&mut whole)?;
    plan.notes.extend(whole.notes.drain(told..));
    for (k, member) in plan.members.iter_mut().enumerate() {
        member.plan.device = whole.device;
        (model.check_species(&member.plan.start.system))
            .map_err(|e| e.within(words::member(k, &member.name)))?;
    }
    Ok(model)
}

/// Checks that the numbers of a batch, which `plan` is of, are not audited, and are none that are found for one system: its
/// members share an engine.
///
/// # Errors
/// They are.
pub fn check_batch_numbers(plan: &Plan) -> Result<()> {
    if assemble::precision(&plan.potential) == Precision::Int8 {
        return Err(Error::input(
            "weights in 8 bits are found for one system, not for many at once: set precision = \"f32\", or run a member alone, \
             with --member",
        )
        .within(plan.places.of("potential.precision")));
    }
    if plan.monitor.numbers.is_none() {
        return Ok(());
    }
    let keys = ["monitor.precision", "monitor.precision_every"];
    let given = keys
        .into_iter()
        .find(|key| plan.places.0.contains_key(*key));
    Err(Error::input(
        "the numbers of a run of one system are audited, not those of many at once: run a member alone, with --member",
    )
    .within(plan.places.of(given.unwrap_or(keys[0]))))
}

/// Says that there is nothing left to do.
fn show_ended(console: &Console, ended: &EndedBatch) -> Result<()> {
    match &ended.earlier.summary {
        Some(summary) if console.is_json() => streams::print_json(summary),
        None if console.is_json() => Err(Error::run(
            "there is no summary in the run's record (run.json) to print",
        )),
        _ => {
            console.line(&ended.remark);
            Ok(())
        }
    }
}

impl BatchOpening {
    /// Goes on from a checkpoint.
    fn of(stopped: StoppedBatch, console: &Console) -> Self {
        let StoppedBatch {
            directory,
            checkpoint,
            earlier,
            unsound,
        } = stopped;
        if let Some(why) = unsound {
            let instead = "the checkpoint before it is used";
            console.remark(&format!("warning: {why}; {instead}"));
        }
        let steps: u64 = checkpoint
            .members
            .iter()
            .map(|member| member.course.step)
            .sum();
        console.note(&format!("resumed after {steps} steps of all members"));
        Self {
            directory: Some(directory),
            before: Some((checkpoint, earlier)),
        }
    }
}

impl OpenedBatch {
    /// Takes the directory, makes the engine, and takes all steps.
    fn run(
        mut self,
        console: &Console,
        began: Instant,
        interruption: &dyn Interruption,
    ) -> Result<BatchEnding> {
        let before = self.from.before.take();
        let (checkpoint, earlier) = before.unzip();
        let plan = &self.plan;
        let first = &plan.members[0].plan;
        let places = places(plan, &self.model, checkpoint.as_ref())?;
        // Until the batch begins, all that can fail is the place it is to be written to: a wrong input.
        let at_output =
            |e: Error| Error::input(e.to_string()).within(first.places.of("output.directory"));
        let directory = self.from.directory.take();
        let directory = place(directory, plan, checkpoint.as_ref(), self.replaces);
        let directory = directory.map_err(at_output)?;
        let path = directory.path().to_owned();
        let energies = energies(plan, checkpoint.as_ref());
        let stretch = stretch(plan, checkpoint.as_ref());
        let scope = BatchScope {
            plan,
            directory: &path,
            energies: &energies,
            stretch,
        };
        let marks = checkpoint.as_ref().map(BatchCheckpoint::marks);
        let report = BatchReport::open(&scope, marks.as_ref(), console).map_err(at_output)?;
        let structure = earlier
            .as_ref()
            .and_then(|earlier| earlier.structure.clone());
        let structure = structure.map_or_else(|| OriginFile::read(&first.start.structure), Ok)?;
        let description = words::describe(plan, &self.model, structure);
        words::introduce(console, plan, &self.model, &description, places);
        let setting = keeper::KeeperSetup {
            identities: resume::identities(plan, &self.sha256),
            energies: &energies,
            places,
            stretch,
        };
        let keeper = BatchKeeper::new(plan, &path, setting, checkpoint.as_ref());
        let resumed = checkpoint.is_some();
        let (members, clock) = courses(plan, checkpoint);
        let at = (
            members.iter().map(|course| course.step).sum(),
            keeper.before(),
        );
        let record = match earlier {
            None => RunRecord::begin(&path, description),
            Some(earlier) => RunRecord::resume(&path, description, at, earlier),
        };
        let record = record.map_err(at_output)?;
        let mut simulation = BatchSimulation {
            members,
            end: first.dynamics.steps,
            places,
            clock,
            cycle: assemble::program(first).cycle(),
            stop: assemble::limits(first).stop,
            audit: assemble::guard(first).audit,
            build: builder((plan, &self.model), keeper.platform(), console),
            observer: Box::new(report),
            keeper: Some(Box::new(keeper)),
        };
        let begun = BatchBegun {
            plan,
            console,
            energies: &energies,
            record,
            resumed,
            setup: began.elapsed(),
        };
        begun.to_the_end(
            DirectoryHold::Opened(directory),
            &mut simulation,
            interruption,
        )
    }
}

/// What makes engines of members, and tells of the first what will make the batch go on with other bits than it would have had.
fn builder<'b>(
    (plan, model): (&'b BatchPlan, &'b Model),
    platform: keeper::BatchPlatform,
    console: &'b Console,
) -> Box<BatchBuilder<'b>> {
    Box::new(move |numbers, courses| {
        let engine = engine(plan, model, numbers, courses)?;
        platform.tell(&engine.about(), console);
        Ok(engine)
    })
}

/// The directory, made if it is still to be, once there is room in it for what the batch will write.
fn place(
    directory: Option<RunDirectory>,
    plan: &BatchPlan,
    from: Option<&BatchCheckpoint>,
    force: bool,
) -> Result<RunDirectory> {
    let directory = match directory {
        Some(directory) => directory,
        None => RunDirectory::create(&plan.members[0].plan.output.directory, force)?,
    };
    let there = from.map_or(0, |from| {
        let own = from.members.iter().flat_map(|member| &member.files);
        own.chain(&from.files).map(|mark| mark.length).sum()
    });
    let least = plan
        .members
        .iter()
        .map(|member| opening::least_bytes(&member.plan));
    let least = least.fold(0, u64::saturating_add);
    directory.check_room(least.saturating_sub(there))?;
    Ok(directory)
}

/// Most members that run at once: what the plan says, what the batch began with, or as many as there is memory for.
fn places(plan: &BatchPlan, model: &Model, before: Option<&BatchCheckpoint>) -> Result<usize> {
    let asked = plan.in_flight.or(before.map(|before| before.places));
    let places = match asked {
        Some(places) => places,
        None => assemble::in_flight(plan.members.iter().map(|member| &member.plan), model)?,
    };
    Ok(places.clamp(1, plan.members.len().max(1)))
}

/// The energies of each member: fresh, or those of a checkpoint.
fn energies(plan: &BatchPlan, from: Option<&BatchCheckpoint>) -> Vec<Energies> {
    let known = |k: usize| from?.members.get(k)?.energies.clone();
    let members = plan.members.iter().enumerate();
    members
        .map(|(k, member)| match known(k) {
            Some(record) => Energies::new(record),
            None => assemble::energies(&member.plan),
        })
        .collect()
}

/// Steps between samples of the drift: they depend on how long the batch was to be when it began.
fn stretch(plan: &BatchPlan, from: Option<&BatchCheckpoint>) -> u64 {
    let dynamics = &plan.members[0].plan.dynamics;
    from.map_or_else(
        || drift::stretch(dynamics.timestep, dynamics.steps),
        |from| from.stretch,
    )
}

/// How far each member has come, and the batch's clock.
fn courses(plan: &BatchPlan, from: Option<BatchCheckpoint>) -> (Vec<MemberCourse>, u64) {
    let Some(from) = from else {
        return (vec![MemberCourse::new(); plan.members.len()], 0);
    };
    let clock = from.clock;
    (
        from.members
            .into_iter()
            .map(|member| member.course)
            .collect(),
        clock,
    )
}

/// The engine of some members, each from its state or, where it has none, from its plan's start.
fn engine(
    plan: &BatchPlan,
    model: &Model,
    numbers: &[usize],
    courses: &[MemberCourse],
) -> Result<Box<dyn BatchEngine>> {
    let members = numbers.iter().map(|&k| {
        let own = &plan.members[k].plan;
        let mut member = assemble::batch_member(own);
        if let Some(state) = &courses[k].state {
            let start = Start::new(
                own.start.system.clone(),
                state.cell.clone(),
                state.positions.clone(),
                state.velocities.clone(),
            );
            let replica = own.start.replica.unwrap_or(0);
            member.start = start
                .of_replica(replica)
                .after(state.step, state.observables.kept)
                .with_groups(member.start.groups)
                .with_constraints(member.start.constraints);
        }
        member
    });
    assemble::batch_engine(&plan.members[0].plan, model, members.collect())
}

/// The time that a checkpoint says (s).
fn seconds(elapsed: f64) -> Duration {
    Duration::try_from_secs_f64(elapsed).unwrap_or_default()
}

/// The plan of a member.
fn plan_of(plan: &BatchPlan, member: usize) -> &Plan {
    &plan.members[member].plan
}
