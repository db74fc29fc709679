//! Which atoms are looked at, and of what elements they are.

use crate::Result;
use crate::core::elements;
use crate::selection::{Selection, SelectionScene};

/// Atoms that are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Their numbers, counted from 0, ascending.
    pub atoms: Vec<usize>,
    /// The elements among them (atomic numbers, ascending).
    pub kinds: Vec<u8>,
    /// Which of the elements each of them is of.
    pub kind_of: Vec<usize>,
    /// How many there are of each element.
    pub counts: Vec<usize>,
}

impl Chosen {
    /// All atoms of these elements (atomic number of each).
    pub fn all(species: &[u8]) -> Self {
        Self::of(species, (0..species.len()).collect())
    }

    /// The atoms that a text of the selection language names in an arrangement.
    ///
    /// # Errors
    /// It is not of the language, or names no atom that there is.
    pub fn parse(text: &str, scene: &SelectionScene<'_>) -> Result<Self> {
        let atoms = Selection::parse(text)?.atoms(scene)?;
        Ok(Self::of(scene.species, atoms))
    }

    fn of(species: &[u8], atoms: Vec<usize>) -> Self {
        let own: Vec<u8> = atoms.iter().map(|&i| species[i]).collect();
        let kinds = elements::kinds(&own);
        let place = |z: &u8| kinds.binary_search(z).unwrap_or(0);
        let kind_of: Vec<usize> = own.iter().map(place).collect();
        let mut counts = vec![0; kinds.len()];
        for &kind in &kind_of {
            counts[kind] += 1;
        }
        Self {
            atoms,
            kinds,
            kind_of,
            counts,
        }
    }

    /// The symbol of one of the elements.
    pub fn symbol(&self, kind: usize) -> &'static str {
        elements::symbol(self.kinds[kind])
    }

    /// Number of atoms.
    pub fn len(&self) -> usize {
        self.atoms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_counted() {
        let all = Chosen::all(&[8, 1, 1, 8, 1, 1]);
        assert_eq!((all.kinds, all.counts), (vec![1, 8], vec![4, 2]));
    }
}
