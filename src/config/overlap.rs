//! Atoms on top of each other: a slip in a structure file that no potential survives.

use std::collections::HashMap;

use crate::core::{Cell, System, Vec3, elements};
use crate::{Error, Result};

/// Two atoms nearer than this (angstrom) are one atom given twice: a tenth of the shortest bond
/// there is (H2, 0.74), a fifth of what zero-point motion and collisions reach.
pub const NEAREST: f64 = 0.1;

/// Thinnest periodic cell (angstrom): below it, it is in the wrong unit (nanometres, or fractions).
const THINNEST: f64 = 1.0;

/// Checks that no two atoms, nor images of atoms, lie within 0.1 angstrom of each other, and that the
/// cell is not thinner than an atom.
///
/// # Errors
/// Names two such atoms (counted from 0), or the direction of the cell.
pub fn check_overlaps(system: &System, positions: &[Vec3], cell: &Cell) -> Result<()> {
    for k in (0..3).filter(|&k| cell.periodic()[k]) {
        if cell.height(k) < THINNEST {
            return Err(Error::input(format!(
                "the cell is only {:.3} A high along {}, thinner than an atom: is its unit right?",
                cell.height(k),
                ["a", "b", "c"][k]
            )));
        }
    }
    let Some((i, j, distance)) = find(positions, cell) else {
        return Ok(());
    };
    let name = |k: usize| format!("{k} ({})", elements::symbol(system.species[k]));
    let image = match (positions[i] - positions[j]).norm() < NEAREST {
        true => "",
        false => " across the periodic boundary",
    };
    Err(Error::input(format!(
        "atoms {} and {} (counted from 0) are {distance:.3} A apart{image}: one atom given twice, \
         or a cell or unit that is wrong; remove one, or mend the cell",
        name(i),
        name(j)
    )))
}

/// So few atoms in the open are compared with each other sooner than they are sorted.
const FEW: usize = 64;

/// Whether no two positions are within [`NEAREST`] of each other.
fn all_are_apart(positions: &[Vec3]) -> bool {
    (positions.iter().enumerate()).all(|(i, r)| {
        let mut before = positions[..i].iter();
        before.all(|other| (r - other).norm() >= NEAREST)
    })
}

/// The first pair of atoms (i < j) within [`NEAREST`], and their distance.
///
/// Atoms are sorted into cubes of edge [`NEAREST`], so that only neighbouring cubes are searched.
/// Atoms near a lower face of the cell get images beyond the upper one; two of them may meet there.
fn find(positions: &[Vec3], cell: &Cell) -> Option<(usize, usize, f64)> {
    if positions.len() <= FEW && !cell.is_periodic() && all_are_apart(positions) {
        return None;
    }
    let mut cubes: HashMap<[i64; 3], Vec<(usize, Vec3)>> = HashMap::new();
    let mut nearest: Option<(usize, usize, f64)> = None;
    for (i, position) in positions.iter().enumerate() {
        for r in images(position, cell) {
            let cube = [r.x, r.y, r.z].map(|x| (x / NEAREST).floor() as i64);
            for near in neighbours(cube) {
                for (j, other) in cubes.get(&near).into_iter().flatten() {
                    let distance = (r - other).norm();
                    if *j != i && distance < NEAREST {
                        let pair = (*j, i, distance);
                        nearest =
                            Some(nearest.map_or(pair, |n| if n.2 <= distance { n } else { pair }));
                    }
                }
            }
            cubes.entry(cube).or_default().push((i, r));
        }
        if nearest.is_some() {
            return nearest;
        }
    }
    None
}

/// The cube and the 26 around it.
fn neighbours(cube: [i64; 3]) -> impl Iterator<Item = [i64; 3]> {
    (0..27).map(move |n| {
        [
            cube[0] + n % 3 - 1,
            cube[1] + n / 3 % 3 - 1,
            cube[2] + n / 9 - 1,
        ]
    })
}

/// The atom in the cell, and its images beyond the upper faces to whose lower counterparts it is
/// near.
fn images(position: &Vec3, cell: &Cell) -> Vec<Vec3> {
    if !cell.is_periodic() {
        return vec![*position];
    }
    let home = cell.wrap(position);
    let fractional = cell.fractional(&home);
    let mut all = vec![home];
    for k in (0..3).filter(|&k| cell.periodic()[k]) {
        if fractional[k] * cell.height(k) < NEAREST {
            let shifted: Vec<Vec3> = all.iter().map(|r| r + cell.vector(k)).collect();
            all.extend(shifted);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Mat3;

    fn system(n: usize) -> System {
        System {
            species: vec![1; n],
            masses: vec![1.0; n],
        }
    }

    fn skewed(periodic: [bool; 3]) -> Cell {
        let vectors = Mat3::new(5.0, 0.0, 0.0, 2.0, 6.0, 0.0, -1.0, 1.5, 7.0);
        Cell::new(vectors, periodic).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Pairs put at a known distance anywhere, across any face, edge or corner of a skewed cell, are
    /// found if and only if they are nearer than the limit.
    #[test]
    fn pairs_are_found_across_all_faces() {
        let cell = skewed([true; 3]);
        for n in 0..27_u32 {
            let corner = Vec3::new(f64::from(n % 3), f64::from(n / 3 % 3), f64::from(n / 9)) * 0.5;
            let centre = cell.cartesian(&corner);
            for direction in [
                Vec3::x(),
                Vec3::y(),
                Vec3::z(),
                Vec3::new(1.0, -1.0, 1.0).normalize(),
            ] {
                for (distance, found) in [(0.99 * NEAREST, true), (1.01 * NEAREST, false)] {
                    let half = 0.5 * distance * direction;
                    let far = cell.shift([3, -2, 1]);
                    let pair = [centre - half, centre + half + far];
                    let result = check_overlaps(&system(2), &pair, &cell);
                    assert_eq!(result.is_err(), found, "{centre} {direction} {distance}");
                }
            }
        }
    }

    #[test]
    fn only_periodic_directions_have_images() {
        let pair = [Vec3::new(0.0, 0.0, 0.01), Vec3::new(-1.0, 1.5, 6.99)];
        assert!(check_overlaps(&system(2), &pair, &skewed([true, true, false])).is_ok());
        assert!(check_overlaps(&system(2), &pair, &skewed([false, false, true])).is_err());
        assert!(check_overlaps(&system(2), &pair, &Cell::open()).is_ok());
    }

    /// Few atoms in the open and many are looked at in two ways, which find the same.
    #[test]
    fn few_atoms_and_many_are_told_the_same() {
        for count in [2, FEW, FEW + 1] {
            for (distance, found) in [(0.99 * NEAREST, true), (1.01 * NEAREST, false)] {
                let mut all: Vec<Vec3> = (0..count).map(|k| Vec3::x() * (2.0 * k as f64)).collect();
                all[count - 1] = all[0] + Vec3::new(0.6, -0.8, 0.0) * distance;
                let said = check_overlaps(&system(count), &all, &Cell::open());
                let last = format!("atoms 0 (H) and {} (H)", count - 1);
                match said {
                    Ok(()) => assert!(!found, "{count} {distance}"),
                    Err(e) => assert!(found && e.to_string().contains(&last), "{e}"),
                }
            }
        }
    }

    #[test]
    fn a_cell_in_nanometres_is_refused() {
        let cell = Cell::new(Mat3::from_diagonal_element(0.9), [true; 3]);
        let cell = cell.unwrap_or_else(|e| panic!("{e}"));
        let error = check_overlaps(&system(1), &[Vec3::zeros()], &cell).map_err(|e| e.to_string());
        assert!(error.is_err_and(|e| e.contains("only 0.900 A high along a")));
    }
}
