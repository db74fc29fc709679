//! Plans of a run in stages.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{GroupPlan, Plan, VelocityPlan};
use crate::forcefield::external::ExternalTerm;
use crate::minimize::MinimizerSettings;
use crate::{Error, Result};

/// A run in stages, one after another.
#[derive(Debug, Clone, PartialEq)]
pub struct StagedPlan {
    /// The run file.
    pub source: PathBuf,
    /// The resolved run file as TOML, overrides applied: what `run.json` keeps.
    pub resolved: toml::Table,
    /// The plan of each stage, each as if it were the first: [`Plan::begun_at`] has it begin where the one before has ended.
    /// Start, potential, device and directory are alike in all.
    pub stages: Vec<Plan>,
    /// Remarks for the user on all of it.
    pub notes: Vec<String>,
}

impl StagedPlan {
    /// The number of the stage of a name.
    ///
    /// # Errors
    /// There is none of it.
    pub fn number(&self, name: &str) -> Result<usize> {
        let found = (self.stages.iter()).position(|plan| plan.stage_name() == Some(name));
        found.ok_or_else(|| {
            Error::input(format!(
                "{}: there is no stage {name:?}: {}",
                self.source.display(),
                self.names()
            ))
        })
    }

    /// How its stages are called, in words.
    pub fn names(&self) -> String {
        let names: Vec<&str> = self.stages.iter().filter_map(Plan::stage_name).collect();
        match names.as_slice() {
            [one] => format!("the only one is {one}"),
            _ => format!("they are {}", names.join(", ")),
        }
    }

    /// Steps of all stages, if none ends before.
    pub fn steps(&self) -> u64 {
        let steps = self.stages.iter().map(|plan| plan.dynamics.steps);
        steps.fold(0, u64::saturating_add)
    }
}

/// Which stage of a run in stages a plan is.
#[derive(Debug, Clone, PartialEq)]
pub struct StagePlace {
    /// Its name.
    pub name: String,
    /// Its number, from 0, and how many there are.
    pub index: usize,
    /// How many there are.
    pub of: usize,
    /// What it is asked for, where it is a minimisation.
    pub minimizer: Option<MinimizerSettings>,
    /// What ends it before its duration is over.
    pub until: Option<SettlePlan>,
    /// New velocities that it begins with.
    pub velocities: Option<VelocityPlan>,
    /// Whether its trajectories are files of its own; else they go through all stages that have none.
    pub own_trajectories: bool,
    /// Whether a barostat changes the cell in any of the stages: all of them share a table.
    pub pressed: bool,
    /// Whether the network's numbers are audited in any of the stages.
    pub audited: bool,
    /// Whether something acts beside the potential in any of the stages.
    pub external: bool,
    /// Where it began.
    pub began: StageBeginning,
}

/// Where a stage begins in its run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StageBeginning {
    /// Steps of the run.
    pub step: u64,
    /// Time (internal).
    pub time: f64,
    /// For how long (internal) the springs of groups have moved in the stages before, by names of groups.
    pub moved: BTreeMap<String, f64>,
}

/// A condition that ends a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlePlan {
    /// What is to come to rest.
    pub what: Settled,
    /// Steps in which one sample of it is taken.
    pub every: u64,
}

/// What may come to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The density.
    Density,
    /// The temperature.
    Temperature,
    /// The potential energy.
    Energy,
}

impl Settled {
    /// What run files call it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Density => "density settled",
            Self::Temperature => "temperature settled",
            Self::Energy => "energy settled",
        }
    }
}

impl Plan {
    /// The name of the stage that it is.
    pub fn stage_name(&self) -> Option<&str> {
        self.stage.as_ref().map(|stage| stage.name.as_str())
    }

    /// What it is asked for, where it is a stage that is a minimisation.
    pub fn minimizer(&self) -> Option<&MinimizerSettings> {
        self.stage.as_ref()?.minimizer.as_ref()
    }

    /// Whether another stage comes behind it.
    pub fn has_next_stage(&self) -> bool {
        (self.stage.as_ref()).is_some_and(|stage| stage.index + 1 < stage.of)
    }

    /// The plan of a stage that begins somewhere: steps and ramps count from there, and springs move on from where they were.
    #[must_use]
    pub fn begun_at(&self, from: StageBeginning) -> Self {
        let mut plan = self.clone();
        let stands = self.minimizer().is_some();
        let Some(stage) = &mut plan.stage else {
            return plan;
        };
        let (step, timestep) = (from.step, plan.dynamics.timestep);
        plan.dynamics.steps = plan.dynamics.steps.saturating_add(step);
        plan.dynamics.ramps = plan.dynamics.ramps.map(|ramp| ramp.from_step(step));
        for group in &mut plan.groups {
            let moved = from.moved.get(&group.name).copied().unwrap_or(0.0);
            let terms = std::mem::take(&mut group.terms).into_iter();
            let terms = terms.map(|term| term.moved_on(step, moved / timestep));
            // No time goes by in a minimisation.
            group.terms = match stands {
                true => terms.map(ExternalTerm::at_rest).collect(),
                false => terms.collect(),
            };
        }
        stage.began = from;
        plan
    }

    /// For how long (internal) springs of groups have moved when a stage has come to a step, by names of groups.
    pub fn moved_by(&self, step: u64) -> BTreeMap<String, f64> {
        let Some(stage) = &self.stage else {
            return BTreeMap::new();
        };
        let mut moved = stage.began.moved.clone();
        let moving = |group: &&GroupPlan| group.terms.iter().any(ExternalTerm::is_moving);
        for group in self.groups.iter().filter(moving) {
            *moved.entry(group.name.clone()).or_default() += self.time(step) - stage.began.time;
        }
        moved
    }

    /// The first step and its time (internal): those of a run, or of the stage that it is.
    pub fn began(&self) -> (u64, f64) {
        let stage = self.stage.as_ref();
        stage.map_or((0, 0.0), |stage| (stage.began.step, stage.began.time))
    }

    /// The time (internal) of the state after so many steps.
    pub fn time(&self, step: u64) -> f64 {
        let (from, time) = self.began();
        if self.minimizer().is_some() {
            return time;
        }
        time + (step as f64 - from as f64) * self.dynamics.timestep
    }
}
