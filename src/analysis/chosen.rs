//! Which atoms are looked at, and of what elements they are.

use crate::core::elements;
use crate::{Error, Result};

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

    /// The atoms that a text names: symbols of elements, numbers of atoms and ranges of them, such as `O,H` or `0-63,99`, both
    /// ends included.
    ///
    /// # Errors
    /// A word is none of these, or names no atom that there is.
    pub fn parse(text: &str, species: &[u8]) -> Result<Self> {
        let mut chosen = vec![false; species.len()];
        for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
            choose(word, species, &mut chosen)?;
        }
        let atoms: Vec<usize> = (0..species.len()).filter(|&i| chosen[i]).collect();
        match atoms.is_empty() {
            true => Err(Error::input(format!(
                "{text:?} names no atom: elements, as in O,H, or atoms counted from 0, as in 0-63, are wanted"
            ))),
            false => Ok(Self::of(species, atoms)),
        }
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

fn choose(word: &str, species: &[u8], chosen: &mut [bool]) -> Result<()> {
    if let Some(z) = elements::number(word) {
        if !species.contains(&z) {
            let there: Vec<&str> = (elements::kinds(species).iter())
                .map(|&z| elements::symbol(z))
                .collect();
            return Err(Error::input(format!(
                "there is no {word} in this run; it has {}",
                there.join(", ")
            )));
        }
        let same = species.iter().zip(chosen).filter(|(s, _)| **s == z);
        same.for_each(|(_, chosen)| *chosen = true);
        return Ok(());
    }
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
        return Err(Error::input(format!(
            "{word:?} is neither the symbol of an element nor the number of an atom, or a range such as 0-63"
        )));
    };
    if first > last || last >= species.len() {
        return Err(Error::input(format!(
            "{word}: atoms are 0 to {}",
            species.len().saturating_sub(1)
        )));
    }
    chosen[first..=last].fill(true);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATERS: [u8; 6] = [8, 1, 1, 8, 1, 1];

    #[test]
    fn elements_and_numbers_choose_atoms() {
        let chosen = |text: &str| Chosen::parse(text, &WATERS).map(|c| c.atoms);
        assert_eq!(chosen("O").ok(), Some(vec![0, 3]));
        assert_eq!(chosen("O,1-2").ok(), Some(vec![0, 1, 2, 3]));
        assert_eq!(chosen("5 4").ok(), Some(vec![4, 5]));
        for (text, says) in [
            ("Fe", "there is no Fe in this run; it has H, O"),
            ("Q", "neither the symbol of an element"),
            ("6", "atoms are 0 to 5"),
            ("3-1", "atoms are 0 to 5"),
            ("", "names no atom"),
        ] {
            let error = chosen(text).err().map(|e| e.to_string());
            assert!(error.is_some_and(|e| e.contains(says)), "{text}");
        }
        let all = Chosen::all(&WATERS);
        assert_eq!((all.kinds, all.counts), (vec![1, 8], vec![4, 2]));
    }
}
