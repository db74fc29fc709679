//! What does not change during a run: which atoms there are, how heavy they are and what they are called.

use super::elements;

/// The atoms of a simulation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct System {
    /// Atomic number of each atom, 1 to 118.
    pub species: Vec<u8>,
    /// Mass of each atom (u), positive.
    pub masses: Vec<f64>,
}

impl System {
    /// Atoms of these species for what does not move them: each has a mass of 1 u.
    pub fn of_species(species: &[u8]) -> Self {
        Self {
            species: species.to_vec(),
            masses: vec![1.0; species.len()],
        }
    }

    /// Atoms of these species with standard masses (1 u where an element has none).
    pub fn of_standard_masses(species: &[u8]) -> Self {
        let mass = |&z: &u8| elements::mass(z).unwrap_or(1.0);
        Self {
            species: species.to_vec(),
            masses: species.iter().map(mass).collect(),
        }
    }

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

/// What a structure file says of the electrons of its atoms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FormalElectrons {
    /// Formal charge of each atom (e); empty where the file gives none.
    pub charges: Vec<i64>,
    /// Atoms that it marks as radicals, with unpaired electrons.
    pub radicals: Vec<usize>,
}

impl FormalElectrons {
    /// Formal charges (e) of all atoms; where all are zero, nothing is said.
    pub fn of_charges(charges: Vec<i64>) -> Self {
        let said = charges.iter().any(|charge| *charge != 0);
        Self {
            charges: if said { charges } else { Vec::new() },
            radicals: Vec::new(),
        }
    }

    /// Sum of the formal charges (e).
    pub fn charge(&self) -> i64 {
        (self.charges.iter()).fold(0, |sum, charge| sum.saturating_add(*charge))
    }
}

/// What a structure file calls an atom: viewers select by these. Texts are as the file has them, without
/// padding; empty where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtomName {
    /// The atom within its residue: CA.
    pub atom: String,
    /// The residue: ALA.
    pub residue: String,
    /// The residue's number.
    pub number: i32,
    /// PDB's insertion code: residues 52 and 52A are two.
    pub insertion: String,
    /// The chain: A.
    pub chain: String,
}
