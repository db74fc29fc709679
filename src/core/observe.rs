//! What is read off a phase-space point: kinetic energy, momenta, temperature, pressure.
//!
//! Sums run over atoms in their order, in f64.

use super::{Cell, Mat3, Observables, Snapshot, System, Vec3};

/// Kinetic energy (eV) of velocities (angstrom / time).
pub fn kinetic_energy(system: &System, velocities: &[Vec3]) -> f64 {
    let twice: f64 = (system.masses.iter().zip(velocities))
        .map(|(m, v)| m * v.norm_squared())
        .sum();
    0.5 * twice
}

/// Twice the kinetic energy tensor, the sum of m v v (eV), of velocities (angstrom / time) counted from `flight`.
pub fn kinetic_about<'v>(
    system: &System,
    velocities: impl Iterator<Item = &'v Vec3>,
    flight: &Vec3,
) -> Mat3 {
    (system.masses.iter().zip(velocities))
        .map(|(m, v)| {
            let v = v - flight;
            *m * (v * v.transpose())
        })
        .sum()
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
const LINEAR: f64 = 1e-6;

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
    /// Constant energy of a system at rest, as [`super::velocities::thermal`] makes it: momentum is
    /// zero and stays so, and angular momentum too where nothing is periodic.
    Conserved,
    /// The whole moves thermally too: a Langevin thermostat acts on every atom, or constant energy
    /// starts from a moment of such a run.
    Thermal,
    /// The motion of the centre of mass is taken out now and then, nothing else is held: removal of drift. It
    /// does not count ([`Thermometer`]).
    Held,
}

impl WholeMotion {
    /// What becomes of it at constant energy from these positions (angstrom) and velocities (angstrom / time): what
    /// rests stays at rest, and what moves has its share of the kinetic energy for good.
    pub fn of_constant_energy(
        system: &System,
        cell: &Cell,
        positions: &[Vec3],
        velocities: &[Vec3],
    ) -> Self {
        /// A motion with less of the kinetic energy than this part of a degree of freedom's mean is
        /// the rounding of velocities that were written down.
        const REST: f64 = 1e-3;
        let kinetic = kinetic_energy(system, velocities);
        let least = REST * kinetic / (3 * system.len()).max(1) as f64;
        let whole = WholeBody::of(system, cell, positions, velocities);
        match whole {
            _ if whole.flight > least => Self::Thermal,
            _ if whole.rotation > least => Self::Held,
            _ => Self::Conserved,
        }
    }
}

/// Degrees of freedom that the kinetic energy is shared by, of N atoms:
///
/// | whole motion | periodic anywhere | open | open, linear |
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

/// Motion of a system as a whole: flight of its centre of mass, and rotation about it where nothing is periodic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WholeBody {
    /// Kinetic energy of the flight (eV).
    pub flight: f64,
    /// Kinetic energy of the rotation (eV).
    pub rotation: f64,
    /// Speed of the centre of mass (angstrom / time).
    pub speed: f64,
    /// Degrees of freedom of both.
    pub degrees_of_freedom: usize,
}

impl WholeBody {
    /// The motion of the whole of a system with these positions (angstrom) and velocities (angstrom / time).
    pub fn of(system: &System, cell: &Cell, positions: &[Vec3], velocities: &[Vec3]) -> Self {
        let (mass, momentum) = (system.total_mass(), momentum(system, velocities));
        let speed = match mass > 0.0 {
            true => momentum.norm() / mass,
            false => 0.0,
        };
        let (mut rotation, mut degrees_of_freedom) = (0.0, 3);
        if !cell.is_periodic() {
            let spin = angular_momentum(system, positions, velocities);
            rotation = 0.5 * spin.dot(&(pseudo_inverse(inertia(system, positions)) * spin));
            degrees_of_freedom += rotations(system, positions);
        }
        Self {
            flight: 0.5 * mass * speed * speed,
            rotation,
            speed,
            degrees_of_freedom,
        }
    }

    /// Kinetic energy of both (eV).
    pub fn kinetic(&self) -> f64 {
        self.flight + self.rotation
    }

    /// Whether it holds more than a tenth of a kinetic energy (eV), and more than twice its share among so many
    /// degrees of freedom, as the thermal motion of a few atoms does not.
    pub fn is_remarkable(&self, kinetic: f64, all_degrees: usize) -> bool {
        let share = self.degrees_of_freedom as f64 / all_degrees.max(1) as f64;
        share < 1.0 && self.kinetic() > kinetic * (2.0 * share).max(0.1).min(0.5 + 0.5 * share)
    }

    /// Temperature as kT (eV) of what is left of a kinetic energy (eV) in so many degrees of freedom.
    pub fn kt_without(&self, kinetic: f64, all_degrees: usize) -> f64 {
        let left = all_degrees.saturating_sub(self.degrees_of_freedom);
        kt((kinetic - self.kinetic()).max(0.0), left)
    }
}

/// The inverse of a tensor of inertia on the axes about which there is inertia.
pub(crate) fn pseudo_inverse(inertia: Mat3) -> Mat3 {
    let eigen = inertia.symmetric_eigen();
    let smallest = LINEAR * eigen.eigenvalues.max();
    (0..3)
        .filter(|&k| eigen.eigenvalues[k] > smallest)
        .map(|k| {
            let axis = eigen.eigenvectors.column(k);
            axis * axis.transpose() / eigen.eigenvalues[k]
        })
        .sum()
}

/// Tells the temperature from the kinetic energy of the degrees of freedom that share it.
///
/// Where the centre of mass is held ([`WholeMotion::Held`]), its kinetic energy P^2 / 2M is left out. A Langevin
/// thermostat pulls at each atom in proportion to its mass, so the total momentum follows a thermostat of its own,
/// whatever acts between the atoms: after each removal it warms up again, with exp(-2 friction t), to its share of
/// 3/2 kT. What removals leave of it depends on how often they come; the other 3N - 3 degrees of freedom have the
/// temperature of the bath always.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thermometer {
    /// Number of degrees of freedom that count ([`degrees_of_freedom`]).
    pub degrees_of_freedom: usize,
    /// Total mass (u) where the kinetic energy of the centre of mass is left out; `None` where all of it counts.
    pub held_mass: Option<f64>,
    /// Total mass (u) where the flight of the centre of mass is no thermal motion, and presses on nothing: where
    /// no thermostat acts on it, or it is held.
    pub flying_mass: Option<f64>,
}

impl Thermometer {
    /// Counts all of the kinetic energy.
    pub fn of_all(degrees_of_freedom: usize) -> Self {
        Self {
            degrees_of_freedom,
            held_mass: None,
            flying_mass: None,
        }
    }

    /// Kinetic energy (eV) that counts.
    pub fn kinetic(&self, o: &Observables) -> f64 {
        counted_kinetic(o, self.held_mass)
    }

    /// Temperature as kT (eV).
    pub fn kt(&self, o: &Observables) -> f64 {
        kt(self.kinetic(o), self.degrees_of_freedom)
    }

    /// Instantaneous pressure (eV / cubic angstrom), as [`pressure`] has it, of a gas that is seen from its centre of
    /// mass where that flies.
    pub fn pressure(&self, snapshot: &Snapshot) -> Option<f64> {
        let o = &snapshot.observables;
        let flight = o.kinetic - counted_kinetic(o, self.flying_mass);
        let volume = snapshot.cell.volume()?;
        Some(pressure(snapshot, &snapshot.cell)? - 2.0 * flight / (3.0 * volume))
    }
}

/// Kinetic energy (eV) less that of the centre of mass, where `held_mass` (u, the total) is given.
pub fn counted_kinetic(o: &Observables, held_mass: Option<f64>) -> f64 {
    held_mass.map_or(o.kinetic, |mass| {
        (o.kinetic - 0.5 * o.momentum.norm_squared() / mass).max(0.0)
    })
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
