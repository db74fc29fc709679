//! `[plumed]`.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use toml::Spanned;

use super::keys::plumed::{INPUT, KERNEL, TABLE};
use super::keys::row::{ConfigKey, Text};
use super::plan::{PlumedPlan, StartPlan};
use super::raw::{Leaf, PlumedTable};
use super::section::{Resolved, Section};
use super::source::Source;
use crate::Result;
use crate::input::{self, path_of};
use crate::paths::{absolute, join};
use crate::text::hexadecimal;

/// Longest input (bytes).
const LONGEST: u64 = 16 << 20;

/// What it depends on.
pub(super) struct PlumedContext<'p> {
    /// Where it is written.
    pub source: &'p Source,
    /// The folder that paths start from.
    pub base: &'p Path,
    /// The system.
    pub start: &'p StartPlan,
    /// Whether it is one of many.
    pub of_many: bool,
}

/// PLUMED, where a run has it.
pub(super) fn resolve(
    raw: &Option<Spanned<PlumedTable>>,
    context: &PlumedContext<'_>,
) -> Result<(Option<PlumedPlan>, Resolved)> {
    let Some(raw) = raw else {
        return Ok((None, Resolved::default()));
    };
    let mut section = Section::new(context.source, TABLE.name, raw.span());
    let raw = raw.get_ref();
    if context.of_many {
        let why =
            "PLUMED is one for a run of one system: remove it, or write a run file for each system";
        return Err(section.fault(&INPUT, &raw.input, why));
    }
    let periodic = context.start.cell.periodic();
    if periodic.contains(&true) && periodic.contains(&false) {
        let why = "PLUMED takes a cell that is periodic in all directions or in none, and this one is in some: \
                   set [system] periodic";
        return Err(section.fault(&INPUT, &raw.input, why));
    }
    let input = path(&mut section, &INPUT, (&raw.input, context.base))?;
    let bytes = input::read(&input, LONGEST).map_err(|e| {
        let why = format!("{} cannot be read: {e}", input.display());
        section.fault(&INPUT, &raw.input, why)
    })?;
    let kernel = match &raw.kernel {
        None => None,
        Some(_) => Some(path(&mut section, &KERNEL, (&raw.kernel, context.base))?),
    };
    let plan = PlumedPlan {
        input,
        sha256: hexadecimal(&Sha256::digest(bytes)),
        kernel,
    };
    Ok((Some(plan), section.finish(TABLE.name)))
}

/// The file that a key names.
fn path(
    section: &mut Section<'_>,
    key: &ConfigKey<Text>,
    (leaf, base): (&Leaf, &Path),
) -> Result<PathBuf> {
    let named = path_of(section.text(key, leaf)?);
    let path = join(section.base(leaf, base), &named);
    section.keep(key, leaf, absolute(&path));
    Ok(path)
}
