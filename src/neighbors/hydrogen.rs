//! Hydrogen mass repartitioning: hydrogen is made heavier by mass that its neighbours give, so that bonds to it vibrate slowly
//! enough for a longer step (Feenstra, Hess, Berendsen, J. Comput. Chem. 20, 786 (1999); Hopkins et al., J. Chem. Theory
//! Comput. 11, 1864 (2015)). Averages over positions do not depend on masses.

use super::bonds;
use crate::core::{Cell, System, Vec3, elements};
use crate::{Error, Result};

/// Atomic number of hydrogen.
const HYDROGEN: u8 = 1;

/// Gives every hydrogen this mass (u), taken from the nearest other element that it is bonded to at `positions` (angstrom), and
/// returns how many became heavier. The total mass stays what it is, apart from rounding.
///
/// # Errors
/// A hydrogen is bonded to none, or is heavier already; or an atom would be left lighter than the hydrogen that it gives to.
pub fn repartition(
    system: &mut System,
    cell: &Cell,
    positions: &[Vec3],
    mass: f64,
) -> Result<usize> {
    let givers = givers(&system.species, cell, positions);
    let mut masses = system.masses.clone();
    let mut count = 0;
    for (i, giver) in givers.iter().enumerate() {
        if system.species[i] != HYDROGEN {
            continue;
        }
        let missing = mass - masses[i];
        if missing < 0.0 {
            return Err(Error::input(format!(
                "hydrogen {i} has {} u, more than {mass} u: mass is given to hydrogen, not taken from it",
                masses[i]
            )));
        }
        let (giver, _) = giver.ok_or_else(|| {
            Error::input(format!(
                "hydrogen {i} is bonded to no other element that could give it mass"
            ))
        })?;
        if missing > 0.0 {
            masses[i] = mass;
            masses[giver] -= missing;
            count += 1;
        }
    }
    if let Some(i) = (0..masses.len()).find(|&i| masses[i] != system.masses[i] && masses[i] < mass)
    {
        return Err(Error::input(format!(
            "atom {i} ({}) would keep {:.3} u of its {:.3} u, less than the {mass} u of a hydrogen",
            elements::symbol(system.species[i]),
            masses[i],
            system.masses[i]
        )));
    }
    system.masses = masses;
    Ok(count)
}

/// Of each hydrogen the nearest other element that it is bonded to, with the distance (angstrom).
fn givers(species: &[u8], cell: &Cell, positions: &[Vec3]) -> Vec<Option<(usize, f64)>> {
    let mut givers: Vec<Option<(usize, f64)>> = vec![None; species.len()];
    for bond in bonds::find(species, cell, positions) {
        let vector = positions[bond.second] - positions[bond.first] + cell.shift(bond.image);
        let distance = vector.norm();
        for (own, other) in [(bond.first, bond.second), (bond.second, bond.first)] {
            let gives = species[own] == HYDROGEN && species[other] != HYDROGEN;
            if gives && givers[own].is_none_or(|(_, least)| distance < least) {
                givers[own] = Some((other, distance));
            }
        }
    }
    givers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::observe;

    /// Methanol, roughly.
    fn methanol() -> (System, Vec<Vec3>) {
        let positions = [
            [-0.7, 0.0, 0.0],
            [0.7, 0.0, 0.0],
            [-1.1, 1.0, 0.0],
            [-1.1, -0.5, 0.9],
            [-1.1, -0.5, -0.9],
            [1.0, 0.9, 0.0],
        ];
        let system = System::of_standard_masses(&[6, 8, 1, 1, 1, 1]);
        (system, positions.map(Vec3::from).to_vec())
    }

    #[test]
    fn mass_goes_from_neighbours_to_hydrogen() -> Result<()> {
        let (mut system, positions) = methanol();
        let before = system.clone();
        assert_eq!(repartition(&mut system, &Cell::open(), &positions, 3.0)?, 4);
        assert_eq!(system.masses[2..], [3.0; 4]);
        let given = 3.0 - before.masses[2];
        assert!((system.masses[0] - (before.masses[0] - 3.0 * given)).abs() < 1e-12);
        assert!((system.masses[1] - (before.masses[1] - given)).abs() < 1e-12);
        assert!((system.total_mass() - before.total_mass()).abs() < 1e-12);
        // The centre of mass moves by what the mass moves, and nothing else.
        let shift = observe::centre_of_mass(&system, &positions)
            - observe::centre_of_mass(&before, &positions);
        let bonds = (2..5).map(|i| positions[i] - positions[0]).sum::<Vec3>();
        let moved = (bonds + positions[5] - positions[1]) * given / before.total_mass();
        assert!((shift - moved).norm() < 1e-12);
        // Those that have it already are left alone.
        let again = system.clone();
        assert_eq!(repartition(&mut system, &Cell::open(), &positions, 3.0)?, 0);
        assert_eq!(system, again);
        Ok(())
    }

    #[test]
    fn what_cannot_be_given_is_refused() {
        let (system, positions) = methanol();
        let refused = |system: &System, positions: &[Vec3], mass| {
            let mut tried = system.clone();
            let error = repartition(&mut tried, &Cell::open(), positions, mass).err();
            assert_eq!(&tried, system);
            error.map(|e| e.to_string()).unwrap_or_default()
        };
        let says = refused(&system, &positions, 5.0);
        assert!(says.contains("atom 0 (C) would keep 0.035 u"), "{says}");
        let says = refused(&system, &positions, 0.5);
        assert!(says.contains("hydrogen 2 has 1.008 u"), "{says}");
        let pair = System::of_standard_masses(&[1, 1]);
        let says = refused(&pair, &[Vec3::zeros(), Vec3::x() * 0.74], 3.0);
        assert!(says.contains("hydrogen 0 is bonded to no other"), "{says}");
    }
}
