//! Whether a file holds a molecule in space with all of its hydrogens: what people draw or take from a crystal often does not.
//!
//! Bonds are told by distances alone. A carbon of two neighbours at an angle, or of three out of their plane, has lost one.

use std::path::Path;

use crate::core::elements::{self, covalent_radius};
use crate::core::{Cell, Vec3};
use crate::formats::Structure;
use crate::neighbors::{Near, bonds};
use crate::shell::quoted;
use crate::{Error, Result};

const CARBON: u8 = 6;
const NITROGEN: u8 = 7;
const OXYGEN: u8 = 8;
const SULFUR: u8 = 16;

/// Largest angle (degrees) of a carbon's two neighbours that is a bent chain's: those of a triple bond and of CO2 are near 180,
/// and move by less than 30 where they vibrate at 300 K.
const BENT: f64 = 150.0;
/// Distance of a carbon from the plane of its three neighbours (angstrom) from which a fourth is missing: 0.5 at a tetrahedron's
/// corner, 0.29 in C60, 0.2 where a flat one vibrates.
const PYRAMID: f64 = 0.4;
/// Bonds of an atom that has no other (element of the end, of its neighbour, angstrom) from which on it lacks hydrogens. A C=C is
/// 1.34 long, C=N 1.28, C=O 1.21, a carboxylate's C-O 1.26, C=S 1.61; single bonds are 1.53, 1.36 to 1.47, 1.34 to 1.43 and 1.82.
const SINGLE: [(u8, u8, f64); 6] = [
    (CARBON, CARBON, 1.42),
    (CARBON, NITROGEN, 1.40),
    (CARBON, OXYGEN, 1.38),
    (CARBON, SULFUR, 1.72),
    (NITROGEN, CARBON, 1.32),
    (OXYGEN, CARBON, 1.33),
];
/// Distances over sums of covalent radii between which bonds are: that of N2 is 0.77, that of F2 1.24. Drawings have other units.
const BONDED: std::ops::Range<f64> = 0.72..1.3;

/// How far neighbours are looked for (angstrom): farther than any bond is long.
const FARTHEST: f64 = 4.0;

/// Neighbours of each atom, as vectors to them (angstrom).
type BondVectors = Vec<Vec<(u8, Vec3)>>;

/// Checks that a structure is one in space with all its hydrogens.
///
/// # Errors
/// It is flat as only drawings are, or lacks hydrogens: what to do is said.
pub(super) fn check(structure: &Structure, cell: &Cell) -> Result<()> {
    let neighbors = neighbors(structure, cell);
    let species = &structure.species;
    // Ions make no bonds that distances tell, and what is between them has none.
    let ions = species.iter().any(|z| bonds::radius(*z).is_none());
    let lacking: Vec<usize> = (0..species.len())
        .filter(|&i| !(ions && neighbors[i].is_empty()) && lacks(species[i], &neighbors[i]))
        .collect();
    let flat = species.len() > 2 && structure.positions.iter().all(|r| r.z == 0.0);
    if flat && (!lacking.is_empty() || strange(structure, cell)) {
        return Err(Error::input(format!(
            "all atoms are at z = 0, where this molecule's cannot be: it is a flat drawing. Make a structure in space of it, \
             with its hydrogens: by Open Babel, `{}`; by RDKit, AllChem.EmbedMolecule(Chem.AddHs(mol)); PubChem has 3D \
             files as well (--as-is takes it as it is)",
            obabel(&structure.path, "_3d", "--gen3d")
        )));
    }
    let Some(&first) = lacking.first() else {
        return Ok(());
    };
    let count = match lacking.len() {
        1 => "an atom has".to_owned(),
        n => format!("{n} atoms have"),
    };
    Err(Error::input(format!(
        "hydrogens seem to be missing: {count} fewer neighbours than it takes, the first is atom {first} ({}, counted from 0) \
         with {}. Add them: by Open Babel, `{}`; by RDKit, Chem.AddHs(mol, addCoords=True) (--as-is takes it as it is)",
        elements::symbol(species[first]),
        neighbors[first].len(),
        obabel(&structure.path, "_h", "-h")
    )))
}

/// A command of Open Babel that makes another file of one.
fn obabel(path: &Path, more: &str, option: &str) -> String {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(more);
    name.push(".sdf");
    format!(
        "obabel {} -O {} {option}",
        quoted(path),
        quoted(Path::new(&name))
    )
}

fn neighbors(structure: &Structure, cell: &Cell) -> BondVectors {
    let Structure {
        species, positions, ..
    } = structure;
    let mut found: BondVectors = vec![Vec::new(); species.len()];
    for bond in bonds::find(species, cell, positions) {
        let (i, j) = (bond.first, bond.second);
        let vector = positions[j] - positions[i] + cell.shift(bond.image);
        found[i].push((species[j], vector));
        found[j].push((species[i], -vector));
    }
    found
}

/// Whether an atom has fewer neighbours than it takes.
fn lacks(species: u8, neighbors: &[(u8, Vec3)]) -> bool {
    match (species, neighbors) {
        (CARBON | NITROGEN | OXYGEN, []) => true,
        (end, &[(other, vector)]) => SINGLE
            .iter()
            .any(|(z, to, least)| (*z, *to) == (end, other) && vector.norm() > *least),
        (CARBON, &[(_, a), (_, b)]) => a.angle(&b).to_degrees() < BENT,
        (CARBON, &[(_, a), (_, b), (_, c)]) => {
            let normal = (b - a).cross(&(c - a));
            normal.norm() > 0.0 && (a.dot(&normal) / normal.norm()).abs() > PYRAMID
        }
        _ => false,
    }
}

/// Whether an atom's nearest is at a distance where no bond's other end is.
fn strange(structure: &Structure, cell: &Cell) -> bool {
    let Structure {
        species, positions, ..
    } = structure;
    let radius = |i: usize| covalent_radius(species[i]).unwrap_or(1.5);
    let Ok(near) = Near::new(cell, positions, FARTHEST) else {
        return false;
    };
    (0..species.len()).any(|i| {
        let mut nearest = f64::INFINITY;
        near.each(i, |j, vector| {
            nearest = nearest.min(vector.norm() / (radius(i) + radius(j)));
        });
        !BONDED.contains(&nearest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(atoms: &[(u8, [f64; 3])]) -> Structure {
        Structure {
            species: atoms.iter().map(|a| a.0).collect(),
            positions: atoms.iter().map(|a| Vec3::from(a.1)).collect(),
            path: "my.sdf".into(),
            ..Structure::default()
        }
    }

    fn refused(atoms: &[(u8, [f64; 3])]) -> Option<String> {
        check(&of(atoms), &Cell::open())
            .err()
            .map(|e| e.to_string())
    }

    /// Molecules without any hydrogen, or with few neighbours, that are whole.
    #[test]
    fn whole_molecules_pass() {
        let carbon_dioxide = [(6, [0.0; 3]), (8, [0.0, 0.0, 1.16]), (8, [0.0, 0.0, -1.16])];
        let monoxide = [(6, [0.0; 3]), (8, [1.13, 0.0, 0.0])];
        let acetonitrile = [
            (6, [0.0; 3]),
            (7, [1.16, 0.0, 0.0]),
            (6, [-1.46, 0.0, 0.0]),
            (1, [-1.83, 1.02, 0.0]),
            (1, [-1.83, -0.51, 0.89]),
            (1, [-1.83, -0.51, -0.89]),
        ];
        let water = [
            (8, [0.0, 0.0, 0.0]),
            (1, [0.957, 0.0, 0.0]),
            (1, [-0.24, 0.927, 0.0]),
        ];
        let flat = [
            (6, [0.0, 0.0, 0.0]),
            (8, [1.21, 0.0, 0.0]),
            (1, [-0.55, 0.95, 0.0]),
            (1, [-0.55, -0.95, 0.0]),
        ];
        for whole in [&carbon_dioxide[..], &monoxide, &acetonitrile, &water, &flat] {
            assert_eq!(refused(whole), None);
        }
    }

    #[test]
    fn what_lacks_hydrogens_is_told() {
        let methanol = [(6, [0.0; 3]), (8, [1.0, 1.0, 0.2])];
        let propane = [
            (6, [0.0, 0.0, 0.1]),
            (6, [1.53, 0.0, 0.0]),
            (6, [2.1, 1.42, 0.0]),
        ];
        let oxygen = [(8, [0.0, 0.0, 1.0])];
        for (atoms, count) in [
            (&methanol[..], "2 atoms have"),
            (&propane, "3 atoms have"),
            (&oxygen, "an atom has"),
        ] {
            let says = refused(atoms).unwrap_or_default();
            assert!(says.contains("hydrogens seem to be missing"), "{says}");
            assert!(says.contains(count), "{says}");
            assert!(says.contains("obabel my.sdf -O my_h.sdf -h"), "{says}");
        }
    }

    /// Methane as RDKit draws it, with bonds of 1.5, and as PubChem does, with bonds of less than one.
    #[test]
    fn drawings_are_told() {
        for length in [1.5, 0.62] {
            let arm = |x: f64, y: f64| (1, [x * length, y * length, 0.0]);
            let drawn = [
                (CARBON, [0.0; 3]),
                arm(1.0, 0.0),
                arm(0.0, 1.0),
                arm(-1.0, 0.0),
                arm(0.0, -1.0),
            ];
            let says = refused(&drawn).unwrap_or_default();
            assert!(says.contains("flat drawing"), "{says}");
            assert!(says.contains("--gen3d"), "{says}");
        }
    }
}
