//! What is read off a phase-space point: kinetic energy, momenta, temperature, pressure.
//!
//! Sums run over atoms in their order, in f64.

use super::{Cell, Mat3, Snapshot, System, Vec3};

/// Kinetic energy (eV) of velocities (angstrom / time).
pub fn kinetic_energy(system: &System, velocities: &[Vec3]) -> f64 {
    let twice: f64 = (system.masses.iter().zip(velocities))
        .map(|(m, v)| m * v.norm_squared())
        .sum();
    0.5 * twice
}

/// Total momentum (u angstrom / time).
pub fn momentum(system: &System, velocities: &[Vec3]) -> Vec3 {
    (system.masses.iter().zip(velocities))
        .map(|(m, v)| *m * v)
        .sum()
}

/// Centre of mass (angstrom) of positions.
pub fn centre_of_mass(system: &System, positions: &[Vec3]) -> Vec3 {
    let weighted: Vec3 = (system.masses.iter().zip(positions))
        .map(|(m, r)| *m * r)
        .sum();
    weighted / system.total_mass()
}

/// Angular momentum (u angstrom^2 / time) about the centre of mass.
pub fn angular_momentum(system: &System, positions: &[Vec3], velocities: &[Vec3]) -> Vec3 {
    let centre = centre_of_mass(system, positions);
    (0..system.len())
        .map(|i| system.masses[i] * (positions[i] - centre).cross(&velocities[i]))
        .sum()
}

/// Moment of inertia (u angstrom^2) about the centre of mass.
pub fn inertia(system: &System, positions: &[Vec3]) -> Mat3 {
    let centre = centre_of_mass(system, positions);
    (system.masses.iter().zip(positions))
        .map(|(m, r)| {
            let d = r - centre;
            *m * (Mat3::identity() * d.norm_squared() - d * d.transpose())
        })
        .sum()
}

/// Number of independent rotations of the arrangement: 3, or 2 of a linear one, or 0 of one atom.
pub fn rotations(system: &System, positions: &[Vec3]) -> usize {
    /// A principal moment below this part of the largest belongs to the axis of a linear molecule.
    const LINEAR: f64 = 1e-6;
    let moments = inertia(system, positions).symmetric_eigenvalues();
    moments
        .iter()
        .filter(|&&m| m > LINEAR * moments.max())
        .count()
}

/// Temperature as kT (eV) of a kinetic energy (eV) in so many degrees of freedom.
pub fn kt(kinetic: f64, degrees_of_freedom: usize) -> f64 {
    2.0 * kinetic / degrees_of_freedom.max(1) as f64
}

/// Instantaneous pressure (eV / cubic angstrom) where the cell is periodic in all directions.
///
/// P V = (2 K - tr dE/d(strain)) / 3, with the kinetic energy of all 3 N degrees of freedom.
pub fn pressure(snapshot: &Snapshot, cell: &Cell) -> Option<f64> {
    let o = &snapshot.observables;
    cell.volume()
        .map(|volume| (2.0 * o.kinetic - o.strain_derivative.trace()) / (3.0 * volume))
}
