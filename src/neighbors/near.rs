//! What is near an atom at one moment, for those who count: no list is kept.

use super::grid::Grid;
use crate::Result;
use crate::core::{Cell, Vec3};

/// Atoms of one moment, sorted for searches within one range.
pub struct Near<'a> {
    grid: Grid<'a>,
    square: f64,
}

impl<'a> Near<'a> {
    /// Sorts atoms at `positions` (angstrom) for searches within `range` (angstrom).
    ///
    /// # Errors
    /// A position that is not finite or is too far out; a cell far smaller than the range.
    pub fn new(cell: &'a Cell, positions: &[Vec3], range: f64) -> Result<Self> {
        Ok(Self {
            grid: Grid::new(cell, positions, range)?,
            square: range * range,
        })
    }

    /// Shows the atoms nearer to `atom` than the range, images included: each by its number and the vector to it (angstrom).
    pub fn each(&self, atom: usize, mut see: impl FnMut(usize, Vec3)) {
        self.grid.around(atom, |candidate, vector| {
            if vector.norm_squared() < self.square {
                see(candidate.neighbor as usize, vector);
            }
        });
    }
}
