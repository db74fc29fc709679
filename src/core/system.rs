//! What does not change during a run: which atoms there are and how heavy they are.

/// The atoms of a simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    /// Atomic number of each atom, 1 to 118.
    pub species: Vec<u8>,
    /// Mass of each atom (u), positive.
    pub masses: Vec<f64>,
}

impl System {
    /// Number of atoms.
    pub fn len(&self) -> usize {
        self.species.len()
    }

    /// Whether there are no atoms.
    pub fn is_empty(&self) -> bool {
        self.species.is_empty()
    }

    /// Sum of the masses (u).
    pub fn total_mass(&self) -> f64 {
        self.masses.iter().sum()
    }
}
