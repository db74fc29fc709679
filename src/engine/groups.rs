//! What is done to some atoms of a system while it moves.

use std::ops::Range;

use crate::core::Vec3;
use crate::forcefield::external::ExternalTerm;
use crate::{Error, Result};

/// What is done to some atoms of a system; by default nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupRules {
    /// Whether each atom stays where it is, at rest; empty where all move.
    pub frozen: Vec<bool>,
    /// What acts beside the potential.
    pub terms: Vec<ExternalTerm>,
    /// The bath of each atom under Langevin dynamics, where it is not that of the ensemble; empty where all have that one.
    pub baths: Vec<Option<OwnBath>>,
}

/// A bath of some atoms under Langevin dynamics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnBath {
    /// Temperature kT (eV).
    pub kt: f64,
    /// Its friction over that of the ensemble; 0 for no bath at all.
    pub friction: f64,
}

impl OwnBath {
    /// What is left of a velocity where the ensemble's friction leaves the part `c`: exp(-friction t).
    pub fn left(&self, c: f64) -> f64 {
        c.powf(self.friction)
    }
}

impl GroupRules {
    /// Whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.frozen.is_empty() && self.terms.is_empty() && self.baths.is_empty()
    }

    /// Whether an atom moves.
    pub fn moves(&self, atom: usize) -> bool {
        self.frozen.get(atom) != Some(&true)
    }

    /// Whether the system is tied to places in space, so that its momentum is not conserved.
    pub fn is_anchored(&self) -> bool {
        self.frozen.contains(&true) || self.terms.iter().any(ExternalTerm::is_anchored)
    }

    /// The bath of an atom, where it has one of its own.
    pub fn bath(&self, atom: usize) -> Option<OwnBath> {
        self.baths.get(atom).copied().flatten()
    }

    /// Checks that nothing but frozen atoms is asked for: for engines that have no more.
    ///
    /// # Errors
    /// There is more.
    pub fn check_frozen_alone(&self) -> Result<()> {
        match self.terms.is_empty() && self.baths.is_empty() {
            true => Ok(()),
            false => Err(Error::input(
                "springs, walls, forces and thermostats of groups act on the processor alone",
            )),
        }
    }

    /// Whether the system that has these of the atoms is.
    pub fn anchors(&self, atoms: Range<usize>) -> bool {
        (self.frozen.get(atoms)).is_some_and(|frozen| frozen.contains(&true))
    }

    /// Adds those of a system of `atoms` atoms behind the `before` that are there.
    pub fn append(&mut self, before: usize, other: &Self, atoms: usize) {
        if !(self.frozen.is_empty() && other.frozen.is_empty()) {
            self.frozen.resize(before, false);
            self.frozen.extend(&other.frozen);
            self.frozen.resize(before + atoms, false);
        }
    }

    /// Masses (u) for engines whose frozen atoms are told by the sign.
    pub fn signed(&self, masses: &[f64]) -> Vec<f64> {
        let atoms = masses.iter().enumerate();
        let signed = |(i, m): (usize, &f64)| if self.moves(i) { *m } else { -m };
        atoms.map(signed).collect()
    }

    /// Number of those of so many atoms that move.
    pub fn moving(&self, atoms: usize) -> usize {
        (0..atoms).filter(|&i| self.moves(i)).count()
    }

    /// Takes the velocities of those that do not move.
    pub fn rest(&self, velocities: &mut [Vec3]) {
        for (velocity, _) in velocities.iter_mut().zip(&self.frozen).filter(|(_, f)| **f) {
            *velocity = Vec3::zeros();
        }
    }

    /// Checks that it is of so many atoms.
    ///
    /// # Errors
    /// It is of another number, or none of them moves.
    pub fn check(&self, atoms: usize) -> Result<()> {
        if !self.frozen.is_empty() && self.frozen.len() != atoms {
            let length = self.frozen.len();
            return Err(Error::input(format!(
                "{length} of {atoms} atoms are told whether they move"
            )));
        }
        if !self.baths.is_empty() && self.baths.len() != atoms {
            let length = self.baths.len();
            return Err(Error::input(format!(
                "{length} of {atoms} atoms are told their baths"
            )));
        }
        self.terms.iter().try_for_each(|term| term.check(atoms))?;
        if atoms > 0 && self.moving(atoms) == 0 {
            return Err(Error::input(
                "all atoms are frozen: nothing is left to move",
            ));
        }
        Ok(())
    }
}
