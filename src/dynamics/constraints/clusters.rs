//! Which constraints hang together, and whether they depend on each other.

use nalgebra::DMatrix;

use super::{BondConstraint, Constraints};
use crate::core::Vec3;
use crate::{Error, Result};

/// An eigenvalue of the matrix of constraints below this part of the largest belongs to constraints that follow from others.
const DEPENDENT: f64 = 1e-7;
/// Most constraints of a molecule whose matrix is looked at: its eigenvalues take the third power of this.
const MOST_LOOKED_AT: usize = 300;

/// The bonds in groups that share atoms, each in the order of its atoms, groups in the order of their first atoms.
pub(super) fn clusters(bonds: &[BondConstraint], atoms: usize) -> Vec<Vec<BondConstraint>> {
    let mut root: Vec<usize> = (0..atoms).collect();
    for bond in bonds {
        let [a, b] = bond.atoms.map(|atom| find(&mut root, atom));
        let (low, high) = (a.min(b), a.max(b));
        root[high] = low;
    }
    let mut sorted: Vec<(usize, BondConstraint)> = (bonds.iter())
        .map(|bond| (find(&mut root, bond.atoms[0]), *bond))
        .collect();
    sorted.sort_by_key(|(first, bond)| (*first, bond.atoms));
    let groups = sorted.chunk_by(|a, b| a.0 == b.0);
    groups
        .map(|group| group.iter().map(|(_, bond)| *bond).collect())
        .collect()
}

/// The smallest atom that hangs together with another.
fn find(root: &mut [usize], mut atom: usize) -> usize {
    while root[atom] != atom {
        root[atom] = root[root[atom]];
        atom = root[atom];
    }
    atom
}

/// The matrix J M^-1 J^T of some constraints with unit vectors along them, at `positions` (angstrom).
fn matrix(pairs: &[BondConstraint], inverse: &[f64], positions: &[Vec3]) -> DMatrix<f64> {
    let along: Vec<Vec3> = (pairs.iter())
        .map(|pair| (positions[pair.atoms[0]] - positions[pair.atoms[1]]).normalize())
        .collect();
    DMatrix::from_fn(pairs.len(), pairs.len(), |a, b| {
        let mut shared = 0.0;
        for (i, &atom) in pairs[a].atoms.iter().enumerate() {
            for (j, &other) in pairs[b].atoms.iter().enumerate() {
                if atom == other {
                    shared += if i == j {
                        inverse[atom]
                    } else {
                        -inverse[atom]
                    };
                }
            }
        }
        shared * along[a].dot(&along[b])
    })
}

impl Constraints {
    /// Checks that each takes a degree of freedom of its own at `positions` (angstrom) of atoms with these masses (u).
    ///
    /// # Errors
    /// Atoms that there are not, a pair that is named twice, or constraints that follow from others.
    pub fn check(&self, masses: &[f64], positions: &[Vec3]) -> Result<()> {
        let pairs: Vec<BondConstraint> = self.pairs().collect();
        let mut seen = std::collections::BTreeSet::new();
        for pair in &pairs {
            let [a, b] = pair.atoms;
            if let Some(atom) = [a, b].into_iter().find(|&atom| atom >= masses.len()) {
                return Err(Error::input(format!(
                    "there is no atom {atom}: there are {}, counted from 0",
                    masses.len()
                )));
            }
            if a == b {
                return Err(Error::input(format!("atom {a} is constrained to itself")));
            }
            if !seen.insert((a.min(b), a.max(b))) {
                return Err(Error::input(format!("atoms {a} and {b} are named twice")));
            }
        }
        let inverse: Vec<f64> = masses.iter().map(|m| 1.0 / m).collect();
        for cluster in clusters(&pairs, masses.len()) {
            let mut atoms: Vec<usize> = cluster.iter().flat_map(|pair| pair.atoms).collect();
            atoms.sort_unstable();
            atoms.dedup();
            let free = 3 * atoms.len() - if atoms.len() == 2 { 5 } else { 6 };
            let dependent = cluster.len() > free || {
                cluster.len() <= MOST_LOOKED_AT && {
                    let values = matrix(&cluster, &inverse, positions).symmetric_eigenvalues();
                    let (least, most) = (values.min(), values.max());
                    least.is_nan() || most.is_nan() || least <= DEPENDENT * most
                }
            };
            if dependent {
                return Err(Error::input(format!(
                    "the {} constraints of atoms {} follow from each other: leave out those that the others imply",
                    cluster.len(),
                    named(&atoms)
                )));
            }
        }
        Ok(())
    }

    /// Degrees of freedom that they take from each atom at `positions` (angstrom), by which masses (u) share the kinetic energy.
    pub fn taken(&self, masses: &[f64], positions: &[Vec3]) -> Vec<f64> {
        let inverse: Vec<f64> = masses.iter().map(|m| 1.0 / m).collect();
        let mut taken = vec![0.0; masses.len()];
        let pairs: Vec<BondConstraint> = self.pairs().collect();
        for cluster in clusters(&pairs, masses.len()) {
            let Some(inverted) = matrix(&cluster, &inverse, positions).try_inverse() else {
                continue;
            };
            let along = |pair: &BondConstraint| {
                (positions[pair.atoms[0]] - positions[pair.atoms[1]]).normalize()
            };
            for (a, one) in cluster.iter().enumerate() {
                for (b, other) in cluster.iter().enumerate() {
                    let weight = inverted[(a, b)] * along(one).dot(&along(other));
                    for (i, &atom) in one.atoms.iter().enumerate() {
                        for (j, _) in (other.atoms.iter().enumerate()).filter(|(_, o)| **o == atom)
                        {
                            taken[atom] += if i == j { weight } else { -weight } * inverse[atom];
                        }
                    }
                }
            }
        }
        taken
    }
}

/// Some atoms by their numbers, the first few.
fn named(atoms: &[usize]) -> String {
    const MOST: usize = 8;
    let mut words: Vec<String> = atoms.iter().take(MOST).map(usize::to_string).collect();
    if atoms.len() > MOST {
        words.push(format!("and {} more", atoms.len() - MOST));
    }
    words.join(", ")
}
