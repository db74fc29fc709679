//! The run file: read, checked, and resolved into a [`plan::Plan`] in internal units.
//!
//! The run file is TOML. Every quantity is text with its unit (`"0.5 fs"`, `"300 K"`; see
//! [`crate::units::parse`]); paths are relative to the run file; unknown keys are errors. docs/guide.md
//! has the table of all keys; `configs/` has commented examples.

pub mod plan;

mod ensemble;
mod keys;
mod output;
mod overlap;
mod raw;
mod repulsion;
mod resolve;
mod section;
mod source;
mod start;

use std::path::Path;

use toml::{Spanned, Table};

use crate::Result;
use output::OutputContext;
use plan::{Places, Plan, StartPlan};
use raw::Raw;
use section::Section;
use source::Source;

pub use keys::reference::{listing, reference};
pub use overlap::check_overlaps;

/// Reads a run file, applies overrides (each `table.key=VALUE` with a TOML value; entries of arrays
/// by their index, `output.trajectory.0.every=10`), reads the structure, and resolves all of it. The
/// model is only seen to be there. `out` takes the place of the output directory (relative to the
/// process).
///
/// # Errors
/// All of them are the input's: each names file, line and column (or the override), the key, and what
/// to do.
pub fn load(path: &Path, overrides: &[String], out: Option<&Path>) -> Result<Plan> {
    whole(&Source::read(path, overrides)?, out)
}

/// All tables.
fn whole(source: &Source, out: Option<&Path>) -> Result<Plan> {
    let raw: Raw = source.parse()?;
    let base = source.path.parent().unwrap_or(Path::new(""));
    let mut done = Done::default();

    let (mut section, table) = required(source, &keys::system::TABLE, &raw.system)?;
    let start = start::system(&mut section, table, base)?;
    done.take(section);
    rest(source, raw, start, done, out)
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
    /// Resolves it for a run that does not start from its structure: that file is not looked for.
    ///
    /// # Errors
    /// It is not a resolved run file, or the model is not where it says.
    pub fn from_state(&self, start: StartPlan) -> Result<Plan> {
        let source = self.source()?;
        let raw: Raw = source.parse()?;
        let mut plan = rest(&source, raw, start, Done::default(), self.directory)?;
        // The plan is that of the run all the same.
        if let Some(system) = self.config.get("system") {
            plan.resolved.insert("system".to_owned(), system.clone());
        }
        Ok(plan)
    }

    /// Resolves it for a run that starts from its structure.
    ///
    /// # Errors
    /// It is not a resolved run file, or structure or model are not where it says.
    pub fn from_structure(&self) -> Result<Plan> {
        whole(&self.source()?, self.directory)
    }

    fn source(&self) -> Result<Source> {
        let text = toml::to_string(self.config).map_err(|e| {
            crate::Error::input(format!("{}: its config: {e}", self.path.display()))
        })?;
        Ok(Source::recorded(self.path, text, self.overrides))
    }
}

/// All tables after `[system]`.
fn rest(
    source: &Source,
    raw: Raw,
    start: StartPlan,
    mut done: Done,
    out: Option<&Path>,
) -> Result<Plan> {
    let path = source.path.clone();
    let base = path.parent().unwrap_or(Path::new(""));
    let (mut section, table) = required(source, &keys::potential::TABLE, &raw.potential)?;
    let potential = resolve::potential(&mut section, table, base)?;
    let stated_elements = resolve::elements(&mut section, table)?;
    let repulsion = repulsion::resolve(&mut section, &table.repulsion)?;
    done.take(section);

    let (mut section, table) = required(source, &keys::dynamics::TABLE, &raw.dynamics)?;
    let dynamics = resolve::dynamics(&mut section, table, &start)?;
    if start.system.len() == 1 && dynamics.remove_drift > 0 {
        let why =
            "takes away the only motion that one atom has: nothing is left to move; remove it";
        return Err(section.fault(&keys::dynamics::REMOVE_DRIFT, &table.remove_drift, why));
    }
    done.take(section);

    let (mut section, table) = optional(source, &keys::output::TABLE, raw.output);
    let context = OutputContext {
        source: &path,
        base,
        out,
        dynamics: &dynamics,
        periodic: start.cell.is_periodic(),
        noise: start.noise,
    };
    let output = output::output(&mut section, &table, &context)?;
    done.take(section);

    let (mut section, table) = optional(source, &keys::monitor::TABLE, raw.monitor);
    let monitor = resolve::monitor(&mut section, &table, dynamics.timestep, &potential)?;
    done.take(section);

    let (mut section, table) = optional(source, &keys::device::TABLE, raw.device);
    let device = resolve::device(&mut section, &table, &potential)?;
    done.take(section);

    Ok(Plan {
        source: path,
        resolved: done.resolved,
        start,
        potential,
        stated_elements,
        repulsion,
        dynamics,
        output,
        monitor,
        device,
        notes: done.notes,
        places: done.places,
    })
}

/// What the tables resolved so far have left.
#[derive(Default)]
struct Done {
    resolved: Table,
    places: Places,
    notes: Vec<String>,
}

impl Done {
    fn take(&mut self, section: Section<'_>) {
        section.finish(&mut self.resolved, &mut self.places, &mut self.notes);
    }
}

/// A table that has to be there.
fn required<'s, 't, T>(
    source: &'s Source,
    row: &keys::row::KeyTable,
    table: &'t Option<Spanned<T>>,
) -> Result<(Section<'s>, &'t T)> {
    let Some(table) = table else {
        let why = format!("the table {} is missing", row.heading());
        return Err(source.fault(&(0..0), why));
    };
    let section = Section::new(source, row.name, table.span());
    Ok((section, table.get_ref()))
}

/// A table that need not be there; then all of it is at its defaults.
fn optional<'s, T: Default>(
    source: &'s Source,
    row: &keys::row::KeyTable,
    table: Option<Spanned<T>>,
) -> (Section<'s>, T) {
    let table = table.unwrap_or_else(|| Spanned::new(0..0, T::default()));
    let section = Section::new(source, row.name, table.span());
    (section, table.into_inner())
}
