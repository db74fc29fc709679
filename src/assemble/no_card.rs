//! What stands in for engines on a card where there are none: this program was built without them.

use super::{Model, Residence, model};
use crate::Result;
use crate::config::plan::Plan;
use crate::engine::{BatchEngine, BatchMember, Engine, Start};
use crate::forcefield::ManyForceField;

/// Refuses.
pub(super) fn engine(_: &Plan, _: &Model, at: Residence, _: Start) -> Result<Box<dyn Engine>> {
    Err(model::built_without(at.index))
}

/// Refuses.
pub(super) fn batch(
    _: &Plan,
    _: &Model,
    at: Residence,
    _: Vec<BatchMember>,
) -> Result<Box<dyn BatchEngine>> {
    Err(model::built_without(at.index))
}

/// Refuses.
pub(super) fn many<'m>(
    _: &'m Model,
    _: &[u8],
    at: Residence,
) -> Result<Box<dyn ManyForceField + 'm>> {
    Err(model::built_without(at.index))
}

/// Refuses.
pub(super) fn needs<'p>(
    _: impl IntoIterator<Item = &'p Plan>,
    _: &Model,
    at: Residence,
) -> Result<(Vec<f64>, f64)> {
    Err(model::built_without(at.index))
}
