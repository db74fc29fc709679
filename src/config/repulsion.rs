//! `[potential.repulsion]`.

use toml::Spanned;

use super::keys::potential::{AT, END, ENERGY, KIND, POWER, REPULSION as TABLE, RepulsionKind};
use super::plan::{RepulsionLaw, RepulsionPlan};
use super::raw::RepulsionTable;
use super::section::Section;
use crate::Result;
use crate::potential::pair::{PowerLaw, RepulsionEnd};

/// The power where none is given.
const USUAL: u64 = 12;

/// The repulsion beside a potential, where there is one.
pub(super) fn resolve(
    section: &mut Section<'_>,
    raw: &Option<Spanned<RepulsionTable>>,
) -> Result<Option<RepulsionPlan>> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    let mut inner = section.inner(&TABLE, raw.span());
    let raw = raw.get_ref();
    let law = match inner.choice(&KIND, &raw.kind)? {
        RepulsionKind::Zbl => {
            let why = "is of kind = \"power\"; \"zbl\" has no parameters: remove it";
            inner.refuse(&ENERGY, &raw.energy, why)?;
            inner.refuse(&AT, &raw.sigma, why)?;
            inner.refuse(&POWER, &raw.power, why)?;
            RepulsionLaw::Zbl
        }
        RepulsionKind::Power => RepulsionLaw::Power(power(&mut inner, raw)?),
    };
    let end = match &raw.end {
        None => RepulsionEnd::Covalent,
        Some(_) => RepulsionEnd::Distance(inner.quantity(&END, &raw.end)?),
    };
    section.adopt(&TABLE, inner);
    Ok(Some(RepulsionPlan { law, end }))
}

fn power(section: &mut Section<'_>, raw: &RepulsionTable) -> Result<PowerLaw> {
    let energy = section.quantity(&ENERGY, &raw.energy)?;
    let sigma = section.quantity(&AT, &raw.sigma)?;
    let power = section.whole(&POWER, &raw.power)?.unwrap_or(USUAL);
    if raw.power.is_none() {
        section.keep(&POWER, &None, i64::try_from(power).unwrap_or_default());
    }
    PowerLaw::new(energy, sigma, usize::try_from(power).unwrap_or(usize::MAX))
        .map_err(|e| section.fault(&ENERGY, &raw.energy, e.to_string()))
}
