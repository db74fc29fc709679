//! A stage that is a minimisation: its keys, and the dynamics that its plan has in their place.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::minimize::{
    CELL, ENSEMBLE, FORCE, METHOD, MINIMIZE, MOST_STEPS, PRESSURE, STRESS, TABLE,
};
use super::plan::StartPlan;
use super::raw::DescentKeys;
use super::section::Section;
use super::source::Source;
use crate::Result;
use crate::minimize::{LONGEST, MinimizerSettings};

/// Takes the table of a minimisation out of the way: `[dynamics]`, over which it is laid, becomes one at constant energy that
/// takes no step. `None` where a stage is none.
///
/// # Errors
/// It has a key that a minimisation does not have.
pub(super) fn take<'s>(
    source: &Source,
    under: &mut DeTable<'s>,
    over: &Spanned<DeValue<'s>>,
) -> Result<Option<Spanned<DescentKeys>>> {
    let Some(table) = over.get_ref().as_table() else {
        return Ok(None);
    };
    let word = table.get(ENSEMBLE.name).map(Spanned::get_ref);
    if word.and_then(DeValue::as_str) != Some(MINIMIZE) {
        return Ok(None);
    }
    let span = over.span();
    let keys = source.read_from(Spanned::new(span.clone(), table.clone()))?;
    let skin = under.remove_entry("skin");
    under.clear();
    under.extend(skin);
    // Steps are those that it may take, of a time that no state has.
    let most = match table.get(MOST_STEPS.name).map(Spanned::get_ref) {
        Some(DeValue::Integer(most)) => most.as_str().replace('_', ""),
        _ => MOST_STEPS.absent.value().unwrap_or("1").to_owned(),
    };
    let text = |text: String| Spanned::new(span.clone(), DeValue::String(Cow::Owned(text)));
    for (key, value) in [
        ("ensemble", "nve".to_owned()),
        ("timestep", "1 fs".to_owned()),
        ("duration", format!("{most} fs")),
    ] {
        under.insert(Spanned::new(span.clone(), Cow::Borrowed(key)), text(value));
    }
    Ok(Some(Spanned::new(span, keys)))
}

/// What a minimisation is asked for, with what it resolves to.
///
/// # Errors
/// A value is none of those that there may be, or the cell is one that cannot change so.
pub(super) fn resolve<'s>(
    source: &'s Source,
    keys: &Spanned<DescentKeys>,
    start: &StartPlan,
) -> Result<(MinimizerSettings, Section<'s>)> {
    let mut section = Section::new(source, TABLE.name, keys.span());
    let keys = keys.get_ref();
    section.keep(&ENSEMBLE, &keys.ensemble, MINIMIZE);
    let method = section.choice(&METHOD, &keys.method)?;
    let force = section.quantity(&FORCE, &keys.force)?;
    let most_steps = match section.whole(&MOST_STEPS, &keys.most_steps)? {
        Some(most) => most,
        None => {
            let usual = MOST_STEPS.absent.value().and_then(|text| text.parse().ok());
            let usual: u32 = usual.unwrap_or(1);
            section.keep(&MOST_STEPS, &None, i64::from(usual));
            u64::from(usual)
        }
    };
    let cell = section.choice(&CELL, &keys.cell)?;
    let settings = MinimizerSettings {
        method,
        cell,
        pressure: 0.0,
        force,
        stress: 0.0,
        most_steps,
        longest: LONGEST,
    };
    let Some(coupling) = cell else {
        let why = "is of a cell that may change, and this one is fixed: remove it, or set cell";
        section.refuse(&PRESSURE, &keys.pressure, why)?;
        section.refuse(&STRESS, &keys.stress, why)?;
        return Ok((settings, section));
    };
    if start.cell.volume().is_none() {
        let why = "changes a cell, which has to be periodic in all directions; this one is not: make it \"fixed\"";
        return Err(section.misfit(&CELL, &keys.cell, why));
    }
    if let Some(wanted) = coupling.lacks(&start.cell) {
        let why = format!("is for a cell with {wanted}; use \"triclinic\" or \"isotropic\"");
        return Err(section.misfit(&CELL, &keys.cell, why));
    }
    let pressure = section.quantity(&PRESSURE, &keys.pressure)?;
    let stress = section.quantity(&STRESS, &keys.stress)?;
    Ok((settings.with_cell(coupling, pressure, stress), section))
}
