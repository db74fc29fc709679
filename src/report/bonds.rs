//! Bonds guessed from distances, and the molecules that they make: what viewers need beside coordinates.
//!
//! Two atoms are bonded where they are nearer than the sum of their covalent radii (chemfiles' table)
//! and a margin. Nothing in the dynamics depends on it.

use std::collections::HashMap;

use crate::core::{Cell, System, Vec3, elements};

/// Added to the sum of two covalent radii (angstrom): a bond stretched by thermal motion is still one
/// (O-H at 1.35 A), a hydrogen bond (1.7 A) is not, nor are the two H of a water (1.5 A).
const MARGIN: f64 = 0.4;

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

/// Finds the bonds, sorted.
pub fn find(system: &System, cell: &Cell, positions: &[Vec3]) -> Vec<Bond> {
    let radii = radii(&system.species);
    let reach = 2.0 * radii.iter().copied().fold(0.0, f64::max) + MARGIN;
    let grid = Grid::new(cell, positions, reach);
    let mut bonds = Vec::new();
    for i in 0..positions.len() {
        for (j, image) in grid.near(i) {
            // Each bond once: from its first atom, or for an image of itself in one direction.
            if j < i || j == i && image <= [0; 3] {
                continue;
            }
            let image = [0, 1, 2].map(|k| image[k] + grid.images[j][k] - grid.images[i][k]);
            let vector = positions[j] + cell.shift(image) - positions[i];
            if vector.norm() < radii[i] + radii[j] + MARGIN {
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

/// Covalent radius of each atom (angstrom); zero where the table has none.
fn radii(species: &[u8]) -> Vec<f64> {
    let mut known: HashMap<u8, f64> = HashMap::new();
    let radius = |z: &u8| {
        *(known.entry(*z))
            .or_insert_with(|| chemfiles::Atom::new(elements::symbol(*z)).covalent_radius())
    };
    species.iter().map(radius).collect()
}

/// Atoms sorted into bins of fractional coordinates, at least `reach` wide.
struct Grid {
    /// Number of bins along each lattice vector; only periodic directions wrap around.
    counts: [i32; 3],
    periodic: [bool; 3],
    bins: HashMap<[i32; 3], Vec<usize>>,
    /// Bin of each atom.
    place: Vec<[i32; 3]>,
    /// Lattice translation that brings each atom into the cell.
    images: Vec<[i32; 3]>,
}

impl Grid {
    fn new(cell: &Cell, positions: &[Vec3], reach: f64) -> Self {
        let periodic = cell.periodic();
        let fit = |k: usize| (cell.height(k) / reach).floor();
        // Where nothing wraps around, the bins' width is the reach itself.
        let width = [0, 1, 2].map(|k| match periodic[k] {
            true => 1.0 / fit(k).clamp(1.0, 1e6),
            false => reach / cell.height(k),
        });
        let counts = width.map(|w| (1.0 / w).round() as i32);
        let mut grid = Self {
            counts,
            periodic,
            bins: HashMap::new(),
            place: Vec::with_capacity(positions.len()),
            images: Vec::with_capacity(positions.len()),
        };
        for (i, position) in positions.iter().enumerate() {
            let fractional = cell.fractional(position);
            let mut place = [0; 3];
            let mut image = [0; 3];
            for k in 0..3 {
                if periodic[k] {
                    image[k] = -(fractional[k].floor() as i32);
                    let inside = fractional[k] + f64::from(image[k]);
                    place[k] = ((inside / width[k]) as i32).min(counts[k] - 1);
                } else {
                    place[k] = (fractional[k] / width[k]).floor() as i32;
                }
            }
            grid.bins.entry(place).or_default().push(i);
            grid.place.push(place);
            grid.images.push(image);
        }
        grid
    }

    /// Atoms in the bins around that of atom `i`, with the image they are seen in there (both taken
    /// into the cell first).
    fn near(&self, i: usize) -> Vec<(usize, [i32; 3])> {
        let mut found = Vec::new();
        for offset in 0..27 {
            let step = [offset / 9 - 1, offset / 3 % 3 - 1, offset % 3 - 1];
            let mut bin = [0; 3];
            let mut image = [0; 3];
            for k in 0..3 {
                bin[k] = self.place[i][k].saturating_add(step[k]);
                if self.periodic[k] {
                    image[k] = bin[k].div_euclid(self.counts[k]);
                    bin[k] = bin[k].rem_euclid(self.counts[k]);
                }
            }
            let atoms = self.bins.get(&bin).into_iter().flatten();
            found.extend(atoms.map(|&j| (j, image)));
        }
        found
    }
}

/// The molecules of a system: groups of bonded atoms, in the order of their first atoms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Molecules {
    /// Molecule of each atom.
    pub of_atom: Vec<usize>,
    /// Atoms of each molecule, ascending.
    pub atoms: Vec<Vec<usize>>,
    /// Lattice translation of each atom that makes its molecule whole, the first atom at rest.
    pub images: Vec<[i32; 3]>,
}

impl Molecules {
    /// Groups `atoms` atoms by their bonds. In a network without end (a crystal) there is no whole
    /// molecule; its atoms are laid out along the bonds first reached.
    pub fn new(atoms: usize, bonds: &[Bond]) -> Self {
        const NONE: usize = usize::MAX;
        let mut adjacent = vec![Vec::new(); atoms];
        for bond in bonds {
            adjacent[bond.first].push((bond.second, bond.image));
            adjacent[bond.second].push((bond.first, bond.image.map(|n| -n)));
        }
        let mut molecules = Self {
            of_atom: vec![NONE; atoms],
            atoms: Vec::new(),
            images: vec![[0; 3]; atoms],
        };
        for start in 0..atoms {
            if molecules.of_atom[start] != NONE {
                continue;
            }
            let number = molecules.atoms.len();
            molecules.of_atom[start] = number;
            let mut members = vec![start];
            let mut next = 0;
            while let Some(&i) = members.get(next) {
                next += 1;
                for &(j, image) in &adjacent[i] {
                    if molecules.of_atom[j] == NONE {
                        molecules.of_atom[j] = number;
                        molecules.images[j] = [0, 1, 2].map(|k| molecules.images[i][k] + image[k]);
                        members.push(j);
                    }
                }
            }
            members.sort_unstable();
            molecules.atoms.push(members);
        }
        molecules
    }
}
