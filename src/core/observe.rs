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

/// A principal moment below this part of the largest belongs to the axis of a linear molecule.
pub(super) const LINEAR: f64 = 1e-6;

/// Number of independent rotations of the arrangement: 3, or 2 of a linear one, or 0 of one atom.
pub fn rotations(system: &System, positions: &[Vec3]) -> usize {
    let moments = inertia(system, positions).symmetric_eigenvalues();
    let most = moments.max();
    moments.iter().filter(|&&m| m > LINEAR * most).count()
}

/// What becomes of the motion of the system as a whole, which decides how many degrees of freedom
/// share the temperature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholeMotion {
    /// Constant energy: momentum is conserved, and angular momentum too where nothing is periodic.
    /// Both are taken to be zero, as [`super::velocities::thermal`] makes them.
    Conserved,
    /// A Langevin thermostat acts on every atom: the whole moves thermally too.
    Thermal,
    /// A Langevin thermostat acts, and the velocity of the centre of mass is removed.
    Held,
}

/// Degrees of freedom that the kinetic energy is shared by, of N atoms:
///
/// | | periodic anywhere | open | open, linear |
/// |---|---|---|---|
/// | conserved | 3N - 3 | 3N - 6 | 3N - 5 |
/// | thermal | 3N | 3N | 3N |
/// | held | 3N - 3 | 3N - 3 | 3N - 3 |
///
/// One atom whose momentum is conserved has 3: its flight is the only motion that there is, and no
/// one takes it away.
///
/// `positions` (angstrom) tell a linear arrangement of atoms, the two of a dimer for one.
pub fn degrees_of_freedom(
    system: &System,
    cell: &Cell,
    positions: &[Vec3],
    whole: WholeMotion,
) -> usize {
    let all = 3 * system.len();
    match whole {
        WholeMotion::Thermal => all,
        WholeMotion::Held => all.saturating_sub(3),
        WholeMotion::Conserved if system.len() == 1 => all,
        WholeMotion::Conserved if cell.is_periodic() => all.saturating_sub(3),
        WholeMotion::Conserved => all.saturating_sub(3 + rotations(system, positions)),
    }
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
