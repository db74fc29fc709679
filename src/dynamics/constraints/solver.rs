//! All constraints of a system: what brings positions and velocities onto them, and what they press with.

use super::clusters::clusters;
use super::rattle::RattleScene;
use super::{BondConstraint, Constraints, UnmetConstraint, settle};
use crate::core::{Mat3, Vec3};

/// Constraints of atoms with masses.
#[derive(Debug, Clone)]
pub struct ConstraintSolver {
    constraints: Constraints,
    /// Bonds that hang together.
    clusters: Vec<Vec<BondConstraint>>,
    masses: Vec<f64>,
    /// Inverse masses (1/u).
    inverse: Vec<f64>,
}

impl ConstraintSolver {
    /// Of constraints that [`Constraints::check`] passes, and masses (u) of all atoms.
    pub fn new(constraints: &Constraints, masses: &[f64]) -> Self {
        Self {
            clusters: clusters(&constraints.bonds, masses.len()),
            constraints: constraints.clone(),
            masses: masses.to_vec(),
            inverse: masses.iter().map(|m| 1.0 / m).collect(),
        }
    }

    /// What they are.
    pub fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// Bonds that hang together, kept to so many tolerances.
    fn scene<'s>(&'s self, cluster: &'s [BondConstraint], tolerances: f64) -> RattleScene<'s> {
        RattleScene {
            cluster,
            inverse: &self.inverse,
            tolerance: self.constraints.tolerance * tolerances,
        }
    }

    /// Brings positions (angstrom) that have drifted over `time` from `before`, which satisfies them, back onto them, and
    /// changes the velocities by what this moves in the time (angstrom sqrt(u / eV)).
    ///
    /// # Errors
    /// The atoms have moved too far.
    pub fn place(
        &self,
        before: &[Vec3],
        (positions, velocities): (&mut [Vec3], &mut [Vec3]),
        time: f64,
    ) -> Result<(), UnmetConstraint> {
        for cluster in &self.clusters {
            (self.scene(cluster, 1.0)).place(before, (&mut *positions, &mut *velocities), time)?;
        }
        for water in &self.constraints.waters {
            let masses = [self.masses[water[0]], self.masses[water[1]]];
            let drifted = water.map(|i| positions[i]);
            let placed = settle::place(
                &self.constraints.shape,
                masses,
                &water.map(|i| before[i]),
                &drifted,
            );
            for (k, &i) in water.iter().enumerate() {
                positions[i] = placed[k];
                velocities[i] += (placed[k] - drifted[k]) / time;
            }
            self.check_water(water, positions)?;
        }
        Ok(())
    }

    /// Checks the distances of a molecule of water.
    fn check_water(&self, water: &[usize; 3], positions: &[Vec3]) -> Result<(), UnmetConstraint> {
        for ([i, j], length) in self.constraints.shape.distances() {
            let atoms = [water[i], water[j]];
            let deviation = BondConstraint { atoms, length }.deviation(positions);
            if deviation > self.constraints.tolerance || deviation.is_nan() {
                return Err(UnmetConstraint { atoms, deviation });
            }
        }
        Ok(())
    }

    /// Takes from velocities what changes a constrained distance, over masses: what is left is as near to them as it can be. The
    /// tolerance is that of speeds of 1 angstrom / time (98 km/s) and less.
    ///
    /// # Errors
    /// There are none.
    pub fn project(
        &self,
        positions: &[Vec3],
        velocities: &mut [Vec3],
    ) -> Result<(), UnmetConstraint> {
        self.push(positions, velocities, |_| 0.0).map(drop)
    }

    /// The virial of the forces of constraint (eV), the sum of r F over all atoms, in a state with these positions (angstrom),
    /// velocities (angstrom / time) and other forces (eV / angstrom).
    ///
    /// The forces are those of this moment: distances that do not change have r a + v v = 0 for the differences r, v and a of
    /// positions, velocities and accelerations of both atoms.
    ///
    /// # Errors
    /// There are no such forces.
    pub fn virial(
        &self,
        positions: &[Vec3],
        velocities: &[Vec3],
        forces: &[Vec3],
    ) -> Result<Mat3, UnmetConstraint> {
        let mut accelerations: Vec<Vec3> = (forces.iter().zip(&self.inverse))
            .map(|(force, inverse)| force * *inverse)
            .collect();
        let turning = |[i, j]: [usize; 2]| -(velocities[i] - velocities[j]).norm_squared();
        self.push(positions, &mut accelerations, turning)
    }

    /// Pushes along all constraints, until the differences of vectors along them are what `rate` asks for; gives their virial.
    fn push(
        &self,
        positions: &[Vec3],
        vectors: &mut [Vec3],
        rate: impl Fn([usize; 2]) -> f64,
    ) -> Result<Mat3, UnmetConstraint> {
        let mut virial = Mat3::zeros();
        // Rounding of what is large is no smaller than a part of it: a force that blows a molecule up is told as a force.
        let largest = vectors.iter().map(|v| v.amax()).fold(1.0, f64::max);
        for cluster in &self.clusters {
            let scene = self.scene(cluster, largest);
            virial += scene.project(positions, vectors, |bond| rate(bond.atoms))?;
        }
        for water in &self.constraints.waters {
            let mut own = water.map(|i| vectors[i]);
            let rates = [[0, 1], [0, 2], [1, 2]].map(|[i, j]| rate([water[i], water[j]]));
            let found = settle::project(
                &water.map(|i| positions[i]),
                &water.map(|i| self.inverse[i]),
                &mut own,
                rates,
            );
            virial += found.ok_or(UnmetConstraint {
                atoms: [water[0], water[1]],
                deviation: f64::NAN,
            })?;
            for (&i, vector) in water.iter().zip(own) {
                vectors[i] = vector;
            }
        }
        Ok(virial)
    }

    /// Brings positions (angstrom) that are off the constraints onto them, with as little as can be moved over masses.
    ///
    /// # Errors
    /// They are too far off.
    pub fn bring(&self, positions: &mut [Vec3]) -> Result<(), UnmetConstraint> {
        let before = positions.to_vec();
        let pairs: Vec<BondConstraint> = self.constraints.pairs().collect();
        let mut unused = vec![Vec3::zeros(); positions.len()];
        for cluster in clusters(&pairs, self.inverse.len()) {
            (self.scene(&cluster, 1.0)).place(&before, (&mut *positions, &mut unused), 1.0)?;
        }
        Ok(())
    }
}
