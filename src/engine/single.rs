//! One arrangement of atoms at a time, without dynamics.

use crate::Result;
use crate::core::{Cell, Vec3};
use crate::neighbors::Pairs;
use crate::potential::{Evaluation, Potential};

/// Energy, forces and strain derivative of `positions` (angstrom) in `cell`, and the pairs they came
/// from.
///
/// # Errors
/// The device failed, or there are more pairs than it can hold.
pub fn single_point(
    potential: &mut dyn Potential,
    cell: &Cell,
    positions: &[Vec3],
) -> Result<(Evaluation, Pairs)> {
    let pairs = Pairs::within(cell, positions, potential.cutoff())?;
    let mut evaluation = Evaluation::zeros(positions.len());
    potential.evaluate(&pairs, &mut evaluation)?;
    Ok((evaluation, pairs))
}
