//! RATTLE: one constraint after another is satisfied, again and again, until all of them are (Andersen, J. Comput. Phys. 52, 24
//! (1983)).

use super::{BondConstraint, UnmetConstraint};
use crate::core::{Mat3, Vec3};

/// Most rounds over the constraints of a molecule. Bonds to hydrogen take some ten, rings of bonds some hundred.
const MOST_ROUNDS: usize = 5000;

/// What constraints push with, and how far it goes.
pub(super) struct RattleScene<'s> {
    /// Constraints that hang together.
    pub cluster: &'s [BondConstraint],
    /// Inverse masses of all atoms (1/u).
    pub inverse: &'s [f64],
    pub tolerance: f64,
}

impl RattleScene<'_> {
    /// Brings positions that have drifted over `time` from `before` (angstrom) back onto the constraints, along the directions
    /// that they had, and changes the velocities by what this moves in the time.
    pub fn place(
        &self,
        before: &[Vec3],
        (positions, velocities): (&mut [Vec3], &mut [Vec3]),
        time: f64,
    ) -> Result<(), UnmetConstraint> {
        let mut worst = None;
        for _ in 0..MOST_ROUNDS {
            worst = None;
            for bond in self.cluster {
                let [i, j] = bond.atoms;
                let now = positions[i] - positions[j];
                let wanted = bond.length * bond.length;
                let off = now.norm_squared() - wanted;
                // True also for what is not a number.
                if !(off.abs() > 2.0 * self.tolerance * wanted || off.is_nan()) {
                    continue;
                }
                worst = Some(UnmetConstraint {
                    atoms: bond.atoms,
                    deviation: (now.norm() / bond.length - 1.0).abs(),
                });
                let then = before[i] - before[j];
                let share = self.inverse[i] + self.inverse[j];
                let push = then * (off / (2.0 * share * now.dot(&then)));
                positions[i] -= push * self.inverse[i];
                positions[j] += push * self.inverse[j];
                velocities[i] -= push * (self.inverse[i] / time);
                velocities[j] += push * (self.inverse[j] / time);
            }
            match &worst {
                None => return Ok(()),
                Some(unmet) if !unmet.deviation.is_finite() => break,
                Some(_) => {}
            }
        }
        worst.map_or(Ok(()), Err)
    }

    /// Changes vectors (velocities, or accelerations) by pushes along the constraints over masses, until the difference of both
    /// atoms along each is what `rate` asks for. Gives the sum of the pushes' virials, r (push) over all constraints.
    pub fn project(
        &self,
        positions: &[Vec3],
        vectors: &mut [Vec3],
        rate: impl Fn(&BondConstraint) -> f64,
    ) -> Result<Mat3, UnmetConstraint> {
        let mut virial = Mat3::zeros();
        let mut worst = None;
        for _ in 0..MOST_ROUNDS {
            worst = None;
            for bond in self.cluster {
                let [i, j] = bond.atoms;
                let along = positions[i] - positions[j];
                let square = along.norm_squared();
                let off = along.dot(&(vectors[i] - vectors[j])) - rate(bond);
                if !(off.abs() > self.tolerance * square || off.is_nan()) {
                    continue;
                }
                worst = Some(UnmetConstraint {
                    atoms: bond.atoms,
                    deviation: (off / square).abs(),
                });
                let push = along * (off / (square * (self.inverse[i] + self.inverse[j])));
                vectors[i] -= push * self.inverse[i];
                vectors[j] += push * self.inverse[j];
                virial -= along * push.transpose();
            }
            match &worst {
                None => return Ok(virial),
                Some(unmet) if !unmet.deviation.is_finite() => break,
                Some(_) => {}
            }
        }
        worst.map_or(Ok(virial), Err)
    }
}
