//! A run in stages: one after another in one directory, each from the state at which the one before has ended.
//!
//! A stage ends with a checkpoint, of which a copy stays (`state.NAME.ckpt`), and the next one begins from that file, whether
//! the run has been going on all the time or was killed and resumed there. The state after a step depends on the state before
//! and on the step's number alone, so that an engine made anew at the border is exact. Steps count on, and the noise with them.

mod found;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::opening::Opening;
use super::ready::{self, ReadyRun, RunSurroundings};
use super::resume::Before;
use super::underway::{Begun, DirectoryHold};
use super::{Ending, Interruption, Pauses, int8};
use crate::assemble::{self, Model};
use crate::config::plan::{
    CheckpointPlan, Plan, StageBeginning, StagedPlan, StartPlan, VelocityPlan,
};
use crate::core::rng::NoiseMark;
use crate::report::checkpoint::{Checkpoint, Identity, store};
use crate::report::names::{self, PREVIOUS};
use crate::report::{
    Console, Earlier, Energies, RunOutcome, RunRecord, Status, Summary, drift, own,
};
use crate::simulation::Finish;
use crate::units::{KELVIN, PICOSECOND};
use crate::{Error, Result, text};
use found::{FoundStage, StagedPlace, began, end_of, from, identity, look};

/// How a run in stages is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagedEntry {
    /// It begins, where no other one is.
    Begin,
    /// It begins, in place of another one if there is one.
    Replace,
    /// It goes on, or begins if there is none.
    Resume,
    /// It goes on from the beginning of a stage; what was written from there on is replaced.
    From(String),
}

/// A run in stages that has been opened.
pub struct StagedRun {
    console: Console,
    began: Instant,
    plan: StagedPlan,
    model: Arc<Model>,
    /// Hashes of its models' files.
    sha256: Vec<String>,
    place: StagedPlace,
}

/// What the record of a run keeps of a stage that has come to a step.
pub(super) fn entry(plan: &Plan, step: u64, summary: &Summary) -> serde_json::Value {
    let (first, time) = plan.began();
    serde_json::json!({
        "name": plan.stage_name(),
        "first_step": first,
        "last_step": step,
        "begins_ps": text::round(time / PICOSECOND),
        "ends_ps": text::round(plan.time(step) / PICOSECOND),
        "timestep_fs": text::round(plan.dynamics.timestep / crate::units::FEMTOSECOND),
        "degrees_of_freedom": assemble::degrees_of_freedom(plan),
        "summary": summary.to_json(),
    })
}

impl StagedRun {
    /// Opens a run in stages, whose model has been read already, and looks at what it is to go on from. `console` hears of it.
    ///
    /// # Errors
    /// The input is wrong: a run without checkpoints, no stage of that name, or what is in the directory of a run that is to
    /// go on.
    pub fn open(
        mut plan: StagedPlan,
        model: Model,
        entry: &StagedEntry,
        console: &Console,
    ) -> Result<Self> {
        let began = Instant::now();
        let first = &plan.stages[0];
        if first.output.checkpoint == CheckpointPlan::Off {
            return Err(Error::input(format!(
                "{}: a stage begins from the checkpoint that the one before ends with; leave checkpoint_every out, or give \
                 it a time",
                first.places.of("output.checkpoint_every")
            )));
        }
        let sources = model.sources().into_iter();
        let sha256: Vec<String> = sources.map(|source| source.sha256.clone()).collect();
        let place = match entry {
            StagedEntry::Begin | StagedEntry::Replace => StagedPlace::Start {
                directory: None,
                replaces: *entry == StagedEntry::Replace,
            },
            StagedEntry::Resume => look(&mut plan, &sha256, console)?,
            StagedEntry::From(name) => from(&plan, &sha256, name)?,
        };
        Ok(Self {
            console: console.clone(),
            began,
            plan,
            model: Arc::new(model),
            sha256,
            place,
        })
    }

    /// Takes all steps that are left, until an interruption or a fault ends the run before.
    ///
    /// # Errors
    /// As for [`super::Run::to_the_end`].
    pub fn to_the_end(self, interruption: &dyn Interruption) -> Result<Ending> {
        let Self {
            console,
            began,
            plan,
            model,
            sha256,
            place,
        } = self;
        let stages = StageCourse {
            plan: &plan,
            model: &model,
            sha256: &sha256,
            console: &console,
        };
        let stopped = |status, steps| Ending {
            status,
            steps,
            summary: None,
        };
        if interruption.flag().load(Ordering::Acquire) {
            let name = interruption.name();
            console.remark(&format!(
                "{name} came before the first step: nothing was written"
            ));
            return Ok(stopped(Status::Interrupted, 0));
        }
        let (mut leg, mut tenure) = match place {
            StagedPlace::Complete(remark, steps) => {
                console.line(&remark);
                return Ok(stopped(Status::Complete, steps));
            }
            StagedPlace::Start {
                directory,
                replaces,
            } => {
                let opening = directory.map_or_else(Opening::default, Opening::within);
                stages.start(opening, replaces)?
            }
            StagedPlace::At(found) => stages.go_on(*found)?,
        };
        let mut began = began;
        loop {
            let (ready, before, record) = leg;
            let path = plan.stages[0].output.directory.clone();
            let index = ready.plan.stage.as_ref().map_or(0, |stage| stage.index);
            let around = RunSurroundings {
                console: console.clone(),
                began,
                pauses: Pauses::default(),
            };
            let (begun, mut simulation) = ready.assemble(&path, (before, record), around)?;
            let walking = Instant::now();
            let ended = begun.walk(&mut tenure, &mut simulation, interruption);
            let passed = matches!(ended, Ok(Finish::Complete)) && begun.plan.has_next_stage();
            if !passed {
                return begun.close((ended, walking), &tenure, &mut simulation, interruption);
            }
            began = Instant::now();
            // The engine's memory is given back before the next one is made.
            drop(simulation);
            leg = stages.pass(&path, index, begun)?;
        }
    }
}

/// A stage that is about to begin: what it is made of, what it goes on from, and the record so far.
type Leg = (ReadyRun, Option<Before>, Option<RunRecord>);

/// What all stages share.
struct StageCourse<'s> {
    plan: &'s StagedPlan,
    model: &'s Arc<Model>,
    sha256: &'s [String],
    console: &'s Console,
}

impl StageCourse<'_> {
    /// The first leg of a run that begins, and the directory that it has taken.
    fn start(&self, opening: Opening, replaces: bool) -> Result<(Leg, DirectoryHold)> {
        let ready = self.first(self.plan.stages[0].begun_at(StageBeginning::default()))?;
        let placed = opening.place(&ready.plan, replaces);
        let (directory, _) = placed.map_err(ready::at_output(&ready.plan))?;
        Ok(((ready, None, None), DirectoryHold::Opened(directory)))
    }

    /// The first leg of a run that goes on.
    fn go_on(&self, found: FoundStage) -> Result<(Leg, DirectoryHold)> {
        let FoundStage {
            directory,
            before,
            stage,
            ended,
            anew,
        } = found;
        let path = directory.path().to_owned();
        if anew {
            self.forget_from(&path, stage + 1, &before.checkpoint)?;
        }
        let (ready, before) = match ended {
            true => self.border(&path, stage, before)?,
            false => self.middle(&path, stage, before)?,
        };
        Ok((
            (ready, Some(before), None),
            DirectoryHold::Opened(directory),
        ))
    }

    /// The first stage, from the structure.
    fn first(&self, plan: Plan) -> Result<ReadyRun> {
        let int8 = int8::find(&plan, self.model)?;
        let engine = assemble::engine(&plan, self.model)?;
        let energies = assemble::energies(&plan);
        let identity = identity(self.plan, &plan, self.sha256);
        let identity = match &int8 {
            Some(file) => identity.with_int8(&file.sha256),
            None => identity,
        };
        Ok(ReadyRun {
            identity: identity.on(&engine.about()),
            plumed: assemble::plumed_kernel(&plan)?,
            plan,
            model: Arc::clone(self.model),
            engine,
            energies,
            int8,
        })
    }

    /// A stage in its middle.
    fn middle(&self, path: &Path, stage: usize, before: Before) -> Result<(ReadyRun, Before)> {
        let checkpoint = &before.checkpoint;
        let mut plan = began(&self.plan.stages[stage], checkpoint);
        let identity = identity(self.plan, &plan, self.sha256);
        if stage > 0 {
            let previous = self.end_of(path, stage - 1)?;
            let noise = self.noise_before(stage, plan.began().0);
            enter(&mut plan, noise, &previous);
        }
        let energies = Energies::new(checkpoint.energies.clone());
        let ready = self.at(path, (plan, identity), energies, checkpoint)?;
        ready.opening_compare(checkpoint, self.console);
        self.console.note(&format!(
            "resumed from step {} of {}, in stage {}",
            checkpoint.step,
            ready.plan.dynamics.steps,
            ready.plan.stage_name().unwrap_or_default()
        ));
        Ok((ready, before))
    }

    /// The stage behind one that has ended at a checkpoint.
    fn border(&self, path: &Path, stage: usize, before: Before) -> Result<(ReadyRun, Before)> {
        let Before {
            mut checkpoint,
            earlier,
        } = before;
        let ended = began(&self.plan.stages[stage], &checkpoint);
        let time = ended.time(checkpoint.step);
        let step = checkpoint.step;
        let mut plan = self.plan.stages[stage + 1].begun_at(StageBeginning {
            step,
            time,
            moved: ended.moved_by(step),
        });
        let identity = identity(self.plan, &plan, self.sha256);
        let file = path.join(names::end_of_stage(ended.stage_name().unwrap_or_default()));
        if !file.is_file() {
            store::save(&file, &checkpoint)?;
        }
        enter(&mut plan, self.noise_before(stage + 1, step), &checkpoint);
        if ended.minimizer().is_some() && plan.minimizer().is_none() {
            assemble::bring_onto_constraints(&mut plan)?;
            checkpoint.positions.clone_from(&plan.start.positions);
        }
        let raises = checkpoint.energies.numbers.raises.clone();
        let mut record = assemble::energies(&plan).read(Clone::clone);
        record.numbers.raises = raises;
        checkpoint.kept.work += assemble::taken_over((&ended, &plan), &checkpoint);
        if new_velocities(&plan).is_some() {
            checkpoint.velocities = assemble::start(&plan).velocities;
        }
        checkpoint.energies = record;
        let (dynamics, first) = (&plan.dynamics, plan.began().0);
        checkpoint.stretch = drift::stretch(dynamics.timestep, dynamics.steps - first);
        checkpoint.stage = assemble::stage_mark(&plan);
        let energies = Energies::new(checkpoint.energies.clone());
        let ready = self.at(path, (plan, identity), energies, &checkpoint)?;
        let before = Before {
            checkpoint,
            earlier,
        };
        Ok((ready, before))
    }

    /// The engine of a stage at a checkpoint, and all around it.
    fn at(
        &self,
        path: &Path,
        (plan, identity): (Plan, Identity),
        energies: Energies,
        checkpoint: &Checkpoint,
    ) -> Result<ReadyRun> {
        let present = energies.read(|record| assemble::in_present_numbers(&plan, record));
        int8::read(path, &present, self.model, &checkpoint.identity)?;
        let engine = assemble::engine_at(&present, self.model, checkpoint.start())?;
        let identity = match checkpoint.identity.int8() {
            Some(sha256) => identity.with_int8(sha256),
            None => identity,
        };
        Ok(ReadyRun {
            identity: identity.on(&engine.about()),
            plumed: assemble::plumed_kernel(&plan)?,
            plan,
            model: Arc::clone(self.model),
            engine,
            energies,
            int8: None,
        })
    }

    /// Keeps what has become of a stage, and goes to the next one.
    fn pass(&self, path: &Path, index: usize, begun: Begun) -> Result<Leg> {
        let checkpoint = store::newest(path)?.map(|found| found.checkpoint);
        let checkpoint = checkpoint.ok_or_else(|| {
            let place = path.display();
            Error::run(format!(
                "{place} has lost the checkpoint of the end of a stage"
            ))
        })?;
        let plan = &begun.plan;
        let summary = Summary::new(&outcome(plan, &checkpoint), &begun.energies);
        let record = begun.record;
        record.keep_stage(index, entry(plan, checkpoint.step, &summary));
        record.keep("pace", serde_json::json!(begun.pace.record()));
        let file = path.join(names::end_of_stage(plan.stage_name().unwrap_or_default()));
        store::save(&file, &checkpoint)?;
        record.update()?;
        let kelvin = checkpoint
            .energies
            .mean_kt()
            .map(|kt| kt.scaled(1.0 / KELVIN).text());
        let kelvin = kelvin.map_or_else(String::new, |kelvin| format!(", {kelvin} K"));
        self.console.line(&format!(
            "stage {} ended at step {}, {} ps{kelvin}",
            plan.stage_name().unwrap_or_default(),
            checkpoint.step,
            text::round(plan.time(checkpoint.step) / PICOSECOND),
        ));
        let earlier = Earlier {
            pace: Some(begun.pace.record()),
            structure: record.structure(),
            ..Earlier::default()
        };
        let before = Before {
            checkpoint,
            earlier,
        };
        let (ready, before) = self.border(path, index, before)?;
        Ok((ready, Some(before), Some(record)))
    }

    /// Takes what was written for stages from a number on out of the way of a run that goes on before them.
    fn forget_from(&self, path: &Path, first: usize, checkpoint: &Checkpoint) -> Result<()> {
        store::write(path, checkpoint)?;
        let gone = |name: &str| {
            let file = path.join(name);
            match std::fs::remove_file(&file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::input(format!(
                    "cannot remove {}: {e}",
                    file.display()
                ))),
                _ => Ok(()),
            }
        };
        // Of a state behind this one.
        gone(PREVIOUS)?;
        for plan in &self.plan.stages[first..] {
            gone(&names::end_of_stage(plan.stage_name().unwrap_or_default()))?;
        }
        let kept = |name: &String| checkpoint.file(name).is_some();
        for name in own::files(path)?
            .iter()
            .filter(|name| own::is_trajectory(name))
        {
            if !kept(name) {
                gone(name)?;
            }
        }
        Ok(())
    }

    /// The state at the end of a stage, as its file has it.
    fn end_of(&self, path: &Path, stage: usize) -> Result<Checkpoint> {
        end_of(path, &self.plan.stages[stage])
    }

    /// How far the noise had come that was drawn before a stage, which begins at a step: that of the last one with a bath.
    fn noise_before(&self, stage: usize, step: u64) -> Option<NoiseMark> {
        let before = self.plan.stages[..stage].iter().rev();
        let mut drawn = before.filter_map(|plan| {
            let bath = plan.dynamics.ensemble.bath()?;
            Some(NoiseMark {
                seed: bath.seed?,
                step: plan.dynamics.noise_start.saturating_add(step),
            })
        });
        drawn.next().or(self.plan.stages[0].start.noise)
    }
}

impl ReadyRun {
    /// Says what will make a stage go on with other bits than it would have had.
    fn opening_compare(&self, checkpoint: &Checkpoint, console: &Console) {
        for other in checkpoint.identity.platform_differences(&self.identity) {
            console.remark(&format!(
                "warning: {other}: the run goes on with other rounding than it would have had"
            ));
        }
    }
}

/// How a stage went that has ended at a checkpoint.
fn outcome(plan: &Plan, checkpoint: &Checkpoint) -> RunOutcome {
    RunOutcome {
        status: Status::Complete,
        steps: checkpoint.step,
        timestep: plan.dynamics.timestep,
        began: plan.began(),
        elapsed: std::time::Duration::try_from_secs_f64(checkpoint.elapsed).unwrap_or_default(),
        directory: plan.output.directory.clone(),
        stopped_by: None,
        bath: assemble::bath(plan),
        ramped: plan.dynamics.ramps.temperature.is_some(),
        press: assemble::press(plan),
        whole: assemble::lasting_motion(plan),
        resumed_from: Vec::new(),
    }
}

/// The velocities that a stage begins with, where it asks for new ones.
fn new_velocities(plan: &Plan) -> Option<&VelocityPlan> {
    plan.stage.as_ref()?.velocities.as_ref()
}

/// Has a plan start from the state at which the stage before has ended, with new velocities if they are asked for.
fn enter(plan: &mut Plan, noise: Option<NoiseMark>, from: &Checkpoint) {
    let asked = new_velocities(plan).cloned();
    plan.start = StartPlan {
        cell: from.cell.clone(),
        positions: from.positions.clone(),
        velocities: asked.unwrap_or_else(|| VelocityPlan::Given(from.velocities.clone())),
        noise,
        degrees_of_freedom: None,
        volume: None,
        ..plan.start.clone()
    };
    let course = plan.noise();
    for trajectory in &mut plan.output.trajectories {
        if trajectory.noise.is_some() {
            trajectory.noise = course;
        }
    }
}
