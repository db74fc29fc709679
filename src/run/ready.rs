//! A run that is ready for its first step, or for that of a stage: files, reporters and the loop are made.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::biased::{self, BiasEnd};
use super::int8::Int8File;
use super::opening::begin;
use super::resume::Before;
use super::underway::{self, Begun};
use super::{Keeper, Pauses, description, words};
use crate::assemble::{self, Model};
use crate::config::plan::Plan;
use crate::engine::Engine;
use crate::plumed::PlumedKernel;
use crate::report::pace::{PaceMonitor, RunPace};
use crate::report::{Console, Energies, Identity, OriginFile, RunRecord};
use crate::simulation::Simulation;
use crate::{Error, Result};

/// What a run, or a stage of one, is made of.
pub(super) struct ReadyRun {
    pub plan: Plan,
    pub model: Arc<Model>,
    pub engine: Box<dyn Engine>,
    pub energies: Energies,
    pub identity: Identity,
    /// The weights in 8 bits that it begins with.
    pub int8: Option<Int8File>,
    /// What biases it.
    pub plumed: Option<PlumedKernel>,
}

/// What it is told, and what of time is none of its steps'.
pub(super) struct RunSurroundings {
    pub console: Console,
    /// When it began to be set up.
    pub began: Instant,
    pub pauses: Pauses,
}

/// How fast a run was up to the checkpoint that it goes on from.
fn pace_so_far(before: Option<&Before>) -> RunPace {
    before.map_or_else(RunPace::default, |before| {
        let (step, elapsed) = (before.checkpoint.step, before.checkpoint.elapsed);
        let known = before.earlier.pace.clone().unwrap_or_default();
        RunPace::new(known.until(step, elapsed), elapsed)
    })
}

/// An error of the place that a run is to be written to: until it begins, all that can fail.
pub(super) fn at_output(plan: &Plan) -> impl Fn(Error) -> Error + use<> {
    let place = plan.places.of("output.directory");
    move |e: Error| Error::input(e.to_string()).within(&place)
}

impl ReadyRun {
    /// Writes what a run writes before its first step. The `record` is that of the stages before, where a stage follows them.
    ///
    /// # Errors
    /// A file cannot be written, or is not what it was at the checkpoint.
    pub fn assemble(
        self,
        directory: &Path,
        (before, record): (Option<Before>, Option<RunRecord>),
        around: RunSurroundings,
    ) -> Result<(Begun, Simulation)> {
        let Self {
            plan,
            model,
            mut engine,
            energies,
            identity,
            int8,
            plumed,
        } = self;
        let RunSurroundings {
            console,
            began,
            pauses,
        } = around;
        let at_output = at_output(&plan);
        if let Some(file) = &int8 {
            file.write(directory).map_err(&at_output)?;
        }
        let from = before.as_ref().map(|before| &before.checkpoint);
        let others = from.map_or_else(Vec::new, |from| assemble::other_marks(&plan, from));
        let biased = plumed
            .map(|kernel| biased::begin(&mut engine, kernel, (&plan, directory, from)))
            .transpose()?;
        let mut reporters =
            assemble::reporters(&plan, directory, &energies, &console, from).map_err(&at_output)?;
        if let Some(monitor) = assemble::numbers_monitor(&plan, &model, &energies)? {
            reporters.insert(0, Box::new(monitor));
        }
        let foreign = biased.map(|(files, ends)| {
            reporters.push(Box::new(BiasEnd::new(ends, &console)));
            files
        });
        let pace = pace_so_far(before.as_ref());
        let clock = pauses.clone();
        let monitor = PaceMonitor::new(&pace, plan.output.thermo_every, move || clock.total());
        reporters.push(Box::new(monitor));
        let structure = before.as_ref().and_then(|b| b.earlier.structure.clone());
        let structure = structure.map_or_else(|| OriginFile::read(&plan.start.structure), Ok)?;
        let sources = model.sources().into_iter().cloned().collect();
        let about = engine.about().to_string();
        let description = description::of(&plan, sources, structure, about);
        match record {
            None => description::introduce(&console, &plan, &model, &description),
            Some(_) => description::introduce_stage(&console, &plan),
        }
        let resumed = before.is_some();
        if let Some(warning) = words::repeated_noise(&plan).filter(|_| !resumed) {
            console.remark(&format!("warning: {warning}"));
        }
        let anew = || assemble::state(&plan, &energies, identity.clone());
        let (mut state, record) = match (before, record) {
            (Some(before), Some(record)) => (before.checkpoint, record),
            (before, _) => begin(before, anew, directory, description).map_err(&at_output)?,
        };
        state.identity = identity.clone();
        let (step, stretch) = (state.step, state.stretch);
        underway::keep_raises(&record, &energies);
        let successor = assemble::FinerEngine::new(&plan, &model, &energies);
        let keeper = Keeper::new(
            directory.to_owned(),
            plan.output.checkpoint,
            (state, resumed),
            &energies,
        )
        .with_pauses(pauses)
        .with_pace(pace.clone())
        .with_others(others)
        .with_foreign(foreign);
        let simulation = Simulation {
            engine,
            program: assemble::program(&plan),
            limits: assemble::limits(&plan),
            reporters,
            guard: assemble::guard(&plan),
            step,
            end: plan.dynamics.steps,
            keeper: Some(Box::new(keeper)),
            successor: Some(Box::new(successor)),
        };
        let begun = Begun {
            plan,
            model,
            identity,
            stretch,
            console,
            energies,
            record,
            pace,
            resumed,
            setup: began.elapsed(),
        };
        Ok((begun, simulation))
    }
}
