//! Bonds guessed from distances: what viewers, and wrapping that keeps molecules whole, need beside
//! coordinates.
//!
//! Two atoms are bonded where they are nearer than the sum of their covalent radii and a margin. Nothing
//! in the dynamics depends on it.
//!
//! The alkali metals and the alkaline earths from magnesium on have no radius here: as ions they stand apart from
//! what is around them, and a salt's water would be one molecule with it.

use super::Candidate;
use super::grid::Grid;
use crate::core::elements::covalent_radius;
use crate::core::{Cell, Vec3};

/// Added to the sum of two covalent radii (angstrom): a bond stretched by thermal motion is still one
/// (O-H at 1.35 A), a hydrogen bond (1.7 A) is not, nor are the two H of a water (1.5 A).
pub const MARGIN: f64 = 0.4;

/// Most neighbours of an atom, on average, that are looked at: ten times what the densest matter has.
/// Atoms that are packed more densely are on top of each other, and no chemistry tells them apart.
const MOST_NEIGHBORS: f64 = 1000.0;

/// Elements that make no bonds here: the alkali metals, and the alkaline earths from magnesium on.
const IONS: [u8; 11] = [3, 11, 12, 19, 20, 37, 38, 55, 56, 87, 88];

/// A bond of atoms `first` < `second`, or of an atom with its own image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bond {
    /// One atom (counted from 0).
    pub first: usize,
    /// The other.
    pub second: usize,
    /// Lattice translation that brings the second one near the first.
    pub image: [i32; 3],
}

/// The covalent radius (angstrom) of an element, if it makes such bonds.
pub fn radius(species: u8) -> Option<f64> {
    covalent_radius(species).filter(|_| !IONS.contains(&species))
}

/// Finds the bonds of atoms of these elements at `positions` (angstrom), sorted. Time and memory grow
/// as the number of atoms. There are none where a position is not a finite number, or too far out to be
/// searched around.
pub fn find(species: &[u8], cell: &Cell, positions: &[Vec3]) -> Vec<Bond> {
    let radii: Vec<Option<f64>> = species.iter().map(|&z| radius(z)).collect();
    let mut bonds = Vec::new();
    let Some(largest) = radii.iter().flatten().copied().reduce(f64::max) else {
        return bonds;
    };
    let reach = 2.0 * largest + MARGIN;
    let grid = match Grid::new(cell, positions, reach) {
        Ok(grid) if grid.expected() <= MOST_NEIGHBORS * positions.len() as f64 => grid,
        _ => return bonds,
    };
    let mut near: Vec<Candidate> = Vec::new();
    for (i, radius) in radii.iter().enumerate() {
        let Some(radius) = radius else {
            continue;
        };
        near.clear();
        grid.search(i, &mut near);
        for candidate in &near {
            let (j, image) = (candidate.neighbor as usize, candidate.image);
            // Each bond once: from its first atom, or for an image of itself in one direction.
            if j < i || j == i && image <= [0; 3] {
                continue;
            }
            let Some(other) = radii[j] else {
                continue;
            };
            let vector = positions[j] - positions[i] + cell.shift(image);
            if vector.norm() < radius + other + MARGIN {
                bonds.push(Bond {
                    first: i,
                    second: j,
                    image,
                });
            }
        }
    }
    bonds.sort_unstable();
    bonds
}
