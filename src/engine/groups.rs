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

    /// Whether the system that has these of the atoms is tied to places in space.
    pub fn anchors(&self, atoms: Range<usize>) -> bool {
        let held = |term: &ExternalTerm| {
            term.is_anchored() && term.atoms.iter().any(|atom| atoms.contains(atom))
        };
        let frozen = self.frozen.get(atoms.clone());
        frozen.is_some_and(|frozen| frozen.contains(&true)) || self.terms.iter().any(held)
    }

    /// Adds those of a system of `atoms` atoms behind the `before` that are there.
    pub fn append(&mut self, before: usize, other: Self, atoms: usize) {
        let moved = other.terms.into_iter().map(|term| term.behind(before));
        self.terms.extend(moved);
        extend(&mut self.frozen, (before, atoms), other.frozen);
        extend(&mut self.baths, (before, atoms), other.baths);
    }

    /// For each of so many atoms the temperature kT (eV) of its bath, negative where it is that of the ensemble, and its friction
    /// over that of the ensemble: for engines that keep them apart.
    pub fn own_baths(&self, atoms: usize) -> (Vec<f64>, Vec<f64>) {
        let bath = |i| match self.bath(i) {
            Some(own) => (own.kt, own.friction),
            None => (-1.0, 1.0),
        };
        (0..atoms).map(bath).unzip()
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

/// Puts what is said of the atoms of a system behind what is said of those before; nothing where nothing is said of any.
fn extend<T: Clone + Default>(all: &mut Vec<T>, (before, atoms): (usize, usize), own: Vec<T>) {
    if all.is_empty() && own.is_empty() {
        return;
    }
    all.resize(before, T::default());
    all.extend(own);
    all.resize(before + atoms, T::default());
}
