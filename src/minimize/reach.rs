//! How far one step may go, and steps that forces of any size allow.

use super::landscape::LooseCell;
use crate::core::Vec3;

/// Forces larger than this (eV / angstrom) are those of atoms that are pushed into each other: bonds have some 100 eV / A^2, and
/// no molecule that holds together stretches one by half an angstrom. They tell nothing of the shape of a minimum.
const HUGE: f64 = 50.0;

/// What a bond has about, as a stiffness (eV / A^2): steps along forces are these over it, before curvature was seen.
const STIFFNESS: f64 = 70.0;

/// Largest strain of the cell in one step.
const MOST_STRAIN: f64 = 0.04;

/// The limits of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Farthest that an atom moves (angstrom).
    pub longest: f64,
    atoms: usize,
    /// Farthest that the coordinates of the cell move.
    strain: f64,
}

impl Reach {
    /// That of atoms, and of a cell that may change.
    pub fn new(longest: f64, atoms: usize, loose: Option<&LooseCell>) -> Self {
        Self {
            longest,
            atoms,
            strain: loose.map_or(0.0, |loose| loose.scale * MOST_STRAIN),
        }
    }

    /// Whether a gradient is that of atoms in each other.
    pub fn is_huge(&self, gradient: &[Vec3]) -> bool {
        gradient[..self.atoms].iter().any(|g| g.norm() > HUGE)
    }

    /// How many times a direction may be gone; infinite for one of zero length.
    pub fn most(&self, direction: &[Vec3]) -> f64 {
        let (atoms, cell) = direction.split_at(self.atoms);
        let farthest = atoms.iter().map(Vec3::norm).fold(0.0, f64::max);
        let strain = length(cell);
        let times = |limit: f64, size: f64| match size > 0.0 {
            true => limit / size,
            false => f64::INFINITY,
        };
        times(self.longest, farthest).min(times(self.strain, strain))
    }

    /// A step along the forces in which each atom by itself, and the cell, goes no farther than it may: it leads down whatever
    /// the forces are.
    pub fn plain(&self, gradient: &[Vec3]) -> Vec<Vec3> {
        let (atoms, cell) = gradient.split_at(self.atoms);
        let step = |g: &Vec3, size: f64, limit: f64| {
            let factor = match size > limit * STIFFNESS {
                true => limit / size,
                false => 1.0 / STIFFNESS,
            };
            -g * factor
        };
        let mut direction: Vec<Vec3> = (atoms.iter())
            .map(|g| step(g, g.norm(), self.longest))
            .collect();
        let size = length(cell);
        direction.extend(cell.iter().map(|g| step(g, size, self.strain)));
        direction
    }

    /// Forces without those of atoms in each other, which are taken to be as large as any other at the most.
    pub fn tamed(&self, gradient: &[Vec3]) -> Vec<Vec3> {
        let tame = |g: &Vec3| match g.norm() > HUGE {
            true => -g * (HUGE / g.norm()),
            false => -g,
        };
        gradient.iter().map(tame).collect()
    }
}

/// The scalar product of two lists of vectors, in the order of their atoms.
pub(super) fn product(a: &[Vec3], b: &[Vec3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.dot(b)).sum()
}

/// The length of a list of vectors.
pub(super) fn length(of: &[Vec3]) -> f64 {
    product(of, of).sqrt()
}
