//! The run file: read, checked, and resolved into a [`plan::Plan`] in internal units.
//!
//! The run file is TOML. Every quantity is text with its unit (`"0.5 fs"`, `"300 K"`; see
//! [`crate::units::parse`]); paths are relative to the run file; unknown keys are errors. docs/guide.md
//! has the table of all keys; `configs/` has commented examples.

pub mod plan;

mod batch;
mod constraints;
mod descent;
mod ensemble;
mod group;
mod keys;
mod ladder;
mod output;
mod overlap;
mod plumed;
mod ramp;
mod raw;
mod repulsion;
mod resolve;
mod section;
mod source;
mod stages;
mod start;
mod tables;

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::paths::absolute;
use crate::{Error, Result};
use plan::{BatchPlan, Plan, PotentialPlan, StagedPlan, StartPlan};
use raw::{Raw, Systems};
use section::Resolved;
use source::Source;
use tables::{Tables, required};

pub use keys::reference::{listing, reference};
pub use overlap::check_overlaps;

/// What a run file asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// A run of one system.
    One(Box<Plan>),
    /// Runs of many systems side by side, of which there may be a single one.
    Several(Box<BatchPlan>),
    /// A run of one system in stages.
    Staged(Box<StagedPlan>),
}

/// Reads a run file of one system, applies overrides (each `table.key=VALUE` with a TOML value; entries of arrays
/// by their index, `output.trajectory.0.every=10`), reads the structure, and resolves all of it. The
/// model is only seen to be there. `out` takes the place of the output directory (relative to the
/// process).
///
/// # Errors
/// All of them are the input's: each names file, line and column (or the override), the key, and what
/// to do. A run file of many systems is one of them.
pub fn load(path: &Path, overrides: &[String], out: Option<&Path>) -> Result<Plan> {
    one(path, whole(&Source::read(path, overrides)?, out)?)
}

/// Does as [`load`] with a run file of one system or of many.
///
/// # Errors
/// As for [`load`]; or many systems are to have the forces of another program.
pub fn load_any(path: &Path, overrides: &[String], out: Option<&Path>) -> Result<Asked> {
    let asked = whole(&Source::read(path, overrides)?, out)?;
    if let Asked::Several(batch) = &asked
        && let plan = &batch.members[0].plan
        && let PotentialPlan::Socket { .. } = plan.potential
    {
        return Err(Error::input(format!(
            "{}: a program at a socket computes one system, and there are {}: run them one by one, with --member 0 and so on, \
             or with a potential of this program",
            plan.places.of("potential.socket"),
            batch.members.len()
        )));
    }
    Ok(asked)
}

/// The plan of a member of many systems, as a run alone: it has the member's velocities and noise, and a directory of its own
/// beside that of all of them, or `out`.
///
/// # Errors
/// As for [`load`]; or there is no such member, or the run file is one of one system.
pub fn load_member(
    path: &Path,
    overrides: &[String],
    out: Option<&Path>,
    member: usize,
) -> Result<Plan> {
    let batch = match whole(&Source::read(path, overrides)?, out)? {
        Asked::Several(batch) => batch,
        Asked::One(_) | Asked::Staged(_) => return Err(no_members(path, member)),
    };
    let mut plan = batch.member(member)?.plan.clone();
    if out.is_none() {
        let directory = member_directory(&plan.output.directory, member);
        if let Some(Value::Table(output)) = plan.resolved.get_mut(keys::output::TABLE.name) {
            let key = keys::output::DIRECTORY.name.to_owned();
            output.insert(key, absolute(&directory).into());
        }
        plan.output.directory = directory;
    }
    Ok(plan)
}

/// Says that a run file of one system has no members.
pub(crate) fn no_members(path: &Path, member: usize) -> Error {
    Error::input(format!(
        "{}: is a run of one system, which has no members: leave --member out; --set system.replica={member} gives it the \
         velocities and noise of another replica",
        path.display()
    ))
}

/// Where a member of a batch runs alone that has this directory.
fn member_directory(batch: &Path, member: usize) -> PathBuf {
    let own = format!("member-{member:04}");
    match batch.file_name() {
        Some(name) => batch.with_file_name(format!("{}-{own}", name.display())),
        None => batch.join(own),
    }
}

/// The one system that is asked for.
///
/// # Errors
/// There are many.
fn one(path: &Path, asked: Asked) -> Result<Plan> {
    match asked {
        Asked::One(plan) => Ok(*plan),
        Asked::Several(batch) => Err(Error::input(format!(
            "{}: is of many systems at once: {}; name one with --member K",
            path.display(),
            batch.numbers()
        ))),
        Asked::Staged(staged) => Err(Error::input(format!(
            "{}: is of a run in stages: {}; name one with --stage NAME",
            path.display(),
            staged.names()
        ))),
    }
}

/// The plan of a stage of a run in stages, as it is for who looks at it alone: it starts from the structure.
///
/// # Errors
/// As for [`load`]; or there is no such stage, or the run file has none.
pub fn load_stage(
    path: &Path,
    overrides: &[String],
    out: Option<&Path>,
    stage: &str,
) -> Result<Plan> {
    match whole(&Source::read(path, overrides)?, out)? {
        Asked::Staged(staged) => {
            let plan = staged.stages[staged.number(stage)?].clone();
            match plan.minimizer() {
                None => Ok(plan),
                Some(_) => Err(Error::input(format!(
                    "{}: stage {stage:?} is a minimisation, in which nothing moves: choose another",
                    path.display()
                ))),
            }
        }
        Asked::One(_) | Asked::Several(_) => Err(Error::input(format!(
            "{}: has no stages: leave --stage out",
            path.display()
        ))),
    }
}

/// All tables.
fn whole(source: &Source, out: Option<&Path>) -> Result<Asked> {
    let mut document = source.document()?;
    if let Some(stages) = stages::take(source, document.get_mut())? {
        let staged = stages::resolve(source, document.get_ref(), stages, out)?;
        return Ok(Asked::Staged(Box::new(staged)));
    }
    let raw: Raw = source.read_from(document)?;
    let tables = Tables {
        source,
        raw: &raw,
        out,
        stage: None,
    };
    if batch::is_batch(&raw) {
        return Ok(Asked::Several(Box::new(batch::batch(&tables)?)));
    }
    let (mut section, table) = required(source, &keys::system::TABLE, &raw.system)?;
    let Systems::One(table) = table else {
        return Err(source.fault(&(0..0), "several tables [[system]] are many systems"));
    };
    let start = start::system(&mut section, table, tables.base())?;
    let system = section.finish(keys::system::TABLE.name);
    Ok(Asked::One(Box::new(tables.alone(start, system)?)))
}

/// A run file that was resolved before, as `run.json` keeps it.
#[derive(Debug, Clone, Copy)]
pub struct RecordedConfig<'a> {
    /// The resolved run file.
    pub config: &'a Table,
    /// The record, which errors name.
    pub path: &'a Path,
    /// Overrides, as for [`load`].
    pub overrides: &'a [String],
    /// The run's directory, where it is not the one that was recorded.
    pub directory: Option<&'a Path>,
}

impl RecordedConfig<'_> {
    /// Resolves it for a run that does not start from its structure: that file is not looked for. The start is of the run's
    /// replica.
    ///
    /// # Errors
    /// It is not a resolved run file, or the model is not where it says.
    pub fn from_state(&self, start: StartPlan) -> Result<Plan> {
        let source = self.source()?;
        let raw: Raw = source.read_from(source.document()?)?;
        let tables = Tables {
            source: &source,
            raw: &raw,
            out: self.directory,
            stage: None,
        };
        let replica = self.replica();
        let start = StartPlan { replica, ..start };
        let mut plan = tables.alone(start, Resolved::default())?;
        // The plan is that of the run all the same.
        if let Some(system) = self.config.get("system") {
            plan.resolved.insert("system".to_owned(), system.clone());
        }
        Ok(plan)
    }

    /// Does as [`RecordedConfig::from_state`] for a stage of a run in stages.
    ///
    /// # Errors
    /// As there; or it has no such stage.
    pub fn from_state_in(&self, start: StartPlan, stage: &str) -> Result<Plan> {
        let source = self.source()?;
        let mut document = source.document()?;
        let all = stages::take(&source, document.get_mut())?.unwrap_or_default();
        let replica = self.replica();
        let start = StartPlan { replica, ..start };
        let plan = stages::one(&source, document.get_ref(), all, (stage, start))?;
        plan.ok_or_else(|| {
            let path = self.path.display();
            Error::input(format!("{path}: it has no stage {stage:?}"))
        })
    }

    /// Resolves it for a run that starts from its structure.
    ///
    /// # Errors
    /// It is not a resolved run file, or structure or model are not where it says.
    pub fn from_structure(&self) -> Result<Plan> {
        one(self.path, whole(&self.source()?, self.directory)?)
    }

    /// Resolves it for many systems at once, which start from their structures.
    ///
    /// # Errors
    /// It is not a resolved run file of many systems, or a structure or the model is not where it says.
    pub fn of_many(&self) -> Result<BatchPlan> {
        match whole(&self.source()?, self.directory)? {
            Asked::Several(batch) => Ok(*batch),
            Asked::One(_) | Asked::Staged(_) => Err(Error::input(format!(
                "{}: is the record of a run of one system",
                self.path.display()
            ))),
        }
    }

    /// Resolves it for a run in stages, which starts from its structure.
    ///
    /// # Errors
    /// It is not a resolved run file of a run in stages, or structure or model are not where it says.
    pub fn staged(&self) -> Result<StagedPlan> {
        match whole(&self.source()?, self.directory)? {
            Asked::Staged(staged) => Ok(*staged),
            Asked::One(_) | Asked::Several(_) => Err(Error::input(format!(
                "{}: is the record of a run without stages",
                self.path.display()
            ))),
        }
    }

    /// Whether it is one of a run in stages.
    pub fn is_staged(&self) -> bool {
        self.config.contains_key(keys::stage::TABLE.name)
    }

    /// Whether it is one of many systems at once.
    pub fn is_of_many(&self) -> bool {
        match self.config.get(keys::system::TABLE.name) {
            Some(Value::Array(_)) => true,
            Some(system) => {
                let frame = system.get(keys::system::FRAME.name);
                let all = frame.and_then(Value::as_str) == Some(keys::system::ALL_FRAMES);
                all || system.get(keys::system::REPLICAS.name).is_some()
            }
            None => false,
        }
    }

    /// The number of its system among those that share its seeds, where it has one.
    fn replica(&self) -> Option<u32> {
        let system = self.config.get(keys::system::TABLE.name)?;
        let replica = system.get(keys::system::REPLICA.name)?.as_integer()?;
        u32::try_from(replica).ok()
    }

    fn source(&self) -> Result<Source> {
        let text = toml::to_string(self.config).map_err(|e| {
            crate::Error::input(format!("{}: its config: {e}", self.path.display()))
        })?;
        Ok(Source::recorded(self.path, text, self.overrides))
    }
}
