//! Molecules: groups of bonded atoms, and how to make whole what the faces of the cell cut.

use super::bonds::{self, Bond};
use crate::core::{Cell, Vec3};

/// Stands for: not reached yet.
const NONE: usize = usize::MAX;

/// The molecules of a system: groups of bonded atoms, in the order of their first atoms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Molecules {
    /// Molecule of each atom.
    pub of_atom: Vec<usize>,
    /// Atoms of each molecule, ascending.
    pub atoms: Vec<Vec<usize>>,
    /// Lattice translation of each atom that makes its molecule whole, the first atom at rest.
    pub images: Vec<[i32; 3]>,
    /// Directions along which each molecule has no end, as a crystal or a nanotube: it is bonded to its own
    /// image. It cannot be whole along these, and its atoms are left where they are.
    pub endless: Vec<[bool; 3]>,
}

impl Molecules {
    /// Groups atoms of these elements at `positions` (angstrom) by the bonds that their distances tell.
    pub fn of(species: &[u8], cell: &Cell, positions: &[Vec3]) -> Self {
        Self::new(species.len(), &bonds::find(species, cell, positions))
    }

    /// Groups `atoms` atoms by their bonds.
    pub fn new(atoms: usize, bonds: &[Bond]) -> Self {
        let adjacent = Adjacent::new(atoms, bonds);
        let mut molecules = Self {
            of_atom: vec![NONE; atoms],
            atoms: Vec::new(),
            images: vec![[0; 3]; atoms],
            endless: Vec::new(),
        };
        for start in 0..atoms {
            if molecules.of_atom[start] == NONE {
                molecules.gather(start, &adjacent);
            }
        }
        molecules.find_ends(bonds);
        molecules
    }

    /// Takes in all that is bonded to an atom, directly or not.
    fn gather(&mut self, start: usize, adjacent: &Adjacent) {
        let number = self.atoms.len();
        self.of_atom[start] = number;
        let mut members = vec![start];
        let mut next = 0;
        while let Some(&i) = members.get(next) {
            next += 1;
            for &(j, image) in adjacent.of(i) {
                if self.of_atom[j] == NONE {
                    self.of_atom[j] = number;
                    self.images[j] = sum(self.images[i], image);
                    members.push(j);
                }
            }
        }
        members.sort_unstable();
        self.atoms.push(members);
        self.endless.push([false; 3]);
    }

    /// Marks the directions without end: there a ring of bonds leads to another image of its first atom.
    fn find_ends(&mut self, bonds: &[Bond]) {
        for bond in bonds {
            let reached = sum(self.images[bond.first], bond.image);
            for k in 0..3 {
                if reached[k] != self.images[bond.second][k] {
                    self.endless[self.of_atom[bond.first]][k] = true;
                }
            }
        }
        for (image, &molecule) in self.images.iter_mut().zip(&self.of_atom) {
            for k in 0..3 {
                if self.endless[molecule][k] {
                    image[k] = 0;
                }
            }
        }
    }

    /// Whether atoms have to be moved to make molecules whole, and how many molecules that are.
    pub fn cut(&self) -> usize {
        let cut = |atoms: &&Vec<usize>| atoms.iter().any(|&i| self.images[i] != [0; 3]);
        self.atoms.iter().filter(cut).count()
    }

    /// Moves atoms at `positions` (angstrom) by lattice vectors so that molecules are whole, the first atom of
    /// each at rest. Atoms that are not moved keep every bit.
    pub fn make_whole(&self, cell: &Cell, positions: &mut [Vec3]) {
        for (position, &image) in positions.iter_mut().zip(&self.images) {
            if image != [0; 3] {
                *position += cell.shift(image);
            }
        }
    }
}

fn sum(a: [i32; 3], b: [i32; 3]) -> [i32; 3] {
    [0, 1, 2].map(|k| a[k] + b[k])
}

/// The bonds of each atom, as (other atom, image of the other).
struct Adjacent {
    /// Entries `starts[i]..starts[i + 1]` are of atom i.
    starts: Vec<usize>,
    others: Vec<(usize, [i32; 3])>,
}

impl Adjacent {
    fn new(atoms: usize, bonds: &[Bond]) -> Self {
        let mut starts = vec![0; atoms + 1];
        for bond in bonds {
            starts[bond.first + 1] += 1;
            starts[bond.second + 1] += 1;
        }
        for i in 0..atoms {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut others = vec![(0, [0; 3]); 2 * bonds.len()];
        for bond in bonds {
            let back = bond.image.map(|n| -n);
            for (from, to, image) in [
                (bond.first, bond.second, bond.image),
                (bond.second, bond.first, back),
            ] {
                others[next[from]] = (to, image);
                next[from] += 1;
            }
        }
        Self { starts, others }
    }

    fn of(&self, atom: usize) -> &[(usize, [i32; 3])] {
        &self.others[self.starts[atom]..self.starts[atom + 1]]
    }
}
