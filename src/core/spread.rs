//! How far the members of a committee are apart.

use super::Vec3;

/// How far the members of a committee are apart: what their mean is not known better than.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Largest over atoms of the standard deviation of the force, sqrt(sum over members and components of (F - mean F)^2
    /// / (members - 1)) (eV / angstrom).
    pub force: f64,
    /// Standard deviation of the energy, per atom (eV).
    pub energy: f64,
}

impl Spread {
    /// That of members with these energies (eV) and forces on each atom (eV / angstrom), at least two.
    pub fn of(energies: &[f64], forces: &[&[Vec3]]) -> Self {
        let atoms = forces.first().map_or(0, |forces| forces.len());
        let free = (energies.len() - 1) as f64;
        let mean = energies.iter().sum::<f64>() / energies.len() as f64;
        let squares: f64 = energies.iter().map(|e| (e - mean).powi(2)).sum();
        let most = (0..atoms)
            .map(|i| {
                let mean = forces.iter().map(|f| f[i]).sum::<Vec3>() / forces.len() as f64;
                forces.iter().map(|f| (f[i] - mean).norm_squared()).sum()
            })
            // What is not a number stays so.
            .fold(0.0, |most: f64, one: f64| {
                match most.is_nan() || one <= most {
                    true => most,
                    false => one,
                }
            });
        Self {
            force: (most / free).sqrt(),
            energy: (squares / free).sqrt() / atoms.max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_by_hand() {
        let (a, b, c) = (
            [Vec3::new(1.0, 0.0, 0.0), Vec3::new(0.0, 0.0, 3.0)],
            [Vec3::new(1.0, 2.0, 0.0), Vec3::new(0.0, 0.0, 3.0)],
            [Vec3::new(1.0, 4.0, 3.0), Vec3::new(0.0, 0.0, 3.0)],
        );
        let spread = Spread::of(&[1.0, 2.0, 6.0], &[&a, &b, &c]);
        // Of the first atom: y is 0, 2, 4 (squares 4 + 0 + 4), z is 0, 0, 3 (1 + 1 + 4), over 2.
        assert_eq!(spread.force, 7.0_f64.sqrt());
        // 4 + 1 + 9 over 2, and two atoms.
        assert_eq!(spread.energy, 7.0_f64.sqrt() / 2.0);
    }

    #[test]
    fn what_is_not_a_number_is_not_hidden() {
        let (a, b) = (
            [Vec3::zeros(), Vec3::x()],
            [Vec3::repeat(f64::NAN), Vec3::y()],
        );
        assert!(Spread::of(&[0.0, 0.0], &[&a, &b]).force.is_nan());
    }
}
