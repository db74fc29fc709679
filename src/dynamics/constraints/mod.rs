//! Holonomic constraints: distances between atoms that stay what they are.
//!
//! Positions and velocities satisfy them after every operator of a step: RATTLE (Andersen, J. Comput. Phys. 52, 24 (1983)) for
//! bonds, SETTLE (Miyamoto and Kollman, J. Comput. Chem. 13, 952 (1992)) for rigid water. With the noise of Langevin dynamics
//! this is g-BAOAB (Leimkuhler and Matthews, Proc. R. Soc. A 472, 20160138 (2016)): its drift is a geodesic, and kicks and
//! noise are projected to velocities that change no constrained distance.
//!
//! Nothing is carried over from one step to the next, so that what is found is a function of the state alone.

mod clusters;
mod rattle;
mod settle;
mod solver;

use crate::core::Vec3;

pub use solver::ConstraintSolver;

/// Part of a distance by which a structure may be off it and is brought onto it: more is another molecule, or a slip.
pub const MOST_BROUGHT: f64 = 0.2;

/// Distances that stay what they are; by default none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Constraints {
    /// Pairs of atoms, each with its distance.
    pub bonds: Vec<BondConstraint>,
    /// Rigid molecules of water: oxygen and its two hydrogens.
    pub waters: Vec<[usize; 3]>,
    /// The shape of all of these.
    pub shape: WaterShape,
    /// What a distance may be off by, as a part of it, and how fast it may change, as a part of it in a unit of time
    /// (angstrom sqrt(u / eV)).
    pub tolerance: f64,
}

/// Two atoms that stay at a distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BondConstraint {
    /// The atoms (indices from 0).
    pub atoms: [usize; 2],
    /// Their distance (angstrom).
    pub length: f64,
}

/// The shape of a molecule of water.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WaterShape {
    /// Distance of oxygen and hydrogen (angstrom).
    pub oh: f64,
    /// Distance of the hydrogens (angstrom).
    pub hh: f64,
}

impl WaterShape {
    /// Its three distances by pairs of its atoms, oxygen first.
    pub fn distances(&self) -> [([usize; 2], f64); 3] {
        [([0, 1], self.oh), ([0, 2], self.oh), ([1, 2], self.hh)]
    }

    /// Whether three such distances are a triangle that is not flat.
    pub fn is_triangle(&self) -> bool {
        self.oh > 0.0 && self.hh > 0.0 && self.hh < 2.0 * self.oh
    }

    /// The angle at the oxygen (degrees).
    pub fn angle(&self) -> f64 {
        2.0 * (0.5 * self.hh / self.oh).asin().to_degrees()
    }
}

/// A constraint that could not be satisfied.
#[derive(Debug, Clone, PartialEq)]
pub struct UnmetConstraint {
    /// Its atoms (indices from 0).
    pub atoms: [usize; 2],
    /// What its distance is off by, as a part of it, or how fast it changes, as a part of it in a unit of time.
    pub deviation: f64,
}

impl Constraints {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bonds.is_empty() && self.waters.is_empty()
    }

    /// How many degrees of freedom they take away.
    pub fn count(&self) -> usize {
        self.bonds.len() + 3 * self.waters.len()
    }

    /// All of them as pairs of atoms with their distances: bonds, then rigid water.
    pub fn pairs(&self) -> impl Iterator<Item = BondConstraint> + '_ {
        let of_water = |water: &[usize; 3]| {
            let water = *water;
            (self.shape.distances()).map(|([i, j], length)| BondConstraint {
                atoms: [water[i], water[j]],
                length,
            })
        };
        (self.bonds.iter().copied()).chain(self.waters.iter().flat_map(of_water))
    }

    /// The one whose distance is off by most at `positions` (angstrom), as a part of it; what is not a number is.
    pub fn worst(&self, positions: &[Vec3]) -> Option<UnmetConstraint> {
        let off = |pair: BondConstraint| UnmetConstraint {
            atoms: pair.atoms,
            deviation: pair.deviation(positions),
        };
        self.pairs()
            .map(off)
            .max_by(|a, b| a.deviation.total_cmp(&b.deviation))
    }

    /// How fast a distance changes at most, as a part of it in a unit of time, with `positions` (angstrom) and `velocities`.
    pub fn fastest(&self, positions: &[Vec3], velocities: &[Vec3]) -> f64 {
        let rate = |pair: BondConstraint| {
            let [i, j] = pair.atoms;
            let along = positions[i] - positions[j];
            (along.dot(&(velocities[i] - velocities[j])) / along.norm_squared()).abs()
        };
        self.pairs().map(rate).fold(0.0, f64::max)
    }
}

impl BondConstraint {
    /// What the distance is off by at `positions` (angstrom), as a part of it.
    pub fn deviation(&self, positions: &[Vec3]) -> f64 {
        let [i, j] = self.atoms;
        ((positions[i] - positions[j]).norm() / self.length - 1.0).abs()
    }
}
