//! Starting velocities of a temperature.

use rand_distr::{Distribution, StandardNormal};

use super::rng::{Noise, Stream};
use super::{Cell, System, Vec3, observe};

/// A temperature to start from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    /// kT (eV).
    pub kt: f64,
    /// Degrees of freedom that the run counts ([`observe::degrees_of_freedom`]).
    pub degrees_of_freedom: usize,
}

/// Velocities (angstrom / time) drawn from the Maxwell-Boltzmann distribution, without motion of the
/// whole, scaled so that the kinetic energy is that of the temperature to the last digit.
///
/// The whole does not move: no momentum, and no angular momentum about the centre of mass where
/// nothing is periodic. One atom alone keeps its velocity. `positions` in angstrom, one per atom.
/// Each atom's draw depends on the noise and its index alone.
pub fn thermal(
    system: &System,
    cell: &Cell,
    positions: &[Vec3],
    temperature: Temperature,
    noise: Noise,
) -> Vec<Vec3> {
    let mut velocities = maxwell_boltzmann(system, temperature.kt, noise);
    if system.len() > 1 {
        remove_momentum(system, &mut velocities);
        if !cell.is_periodic() {
            remove_angular_momentum(system, positions, &mut velocities);
        }
    }
    scale(system, temperature, &mut velocities);
    velocities
}

/// Velocities (angstrom / time) of a system some of whose atoms rest for good and hold it in its place: the others have all their
/// motion, that of the whole too, scaled so that the kinetic energy is that of the temperature to the last digit.
pub fn thermal_among(
    system: &System,
    moves: impl Fn(usize) -> bool,
    temperature: Temperature,
    noise: Noise,
) -> Vec<Vec3> {
    let mut velocities = maxwell_boltzmann(system, temperature.kt, noise);
    let resting = (velocities.iter_mut().enumerate()).filter(|(i, _)| !moves(*i));
    resting.for_each(|(_, velocity)| *velocity = Vec3::zeros());
    scale(system, temperature, &mut velocities);
    velocities
}

/// Velocities (angstrom / time) drawn from the Maxwell-Boltzmann distribution at kT (eV): every
/// component normal, with variance kT / m.
pub fn maxwell_boltzmann(system: &System, kt: f64, noise: Noise) -> Vec<Vec3> {
    (system.masses.iter().enumerate())
        .map(|(i, m)| {
            let mut words = noise.words(i as u32, Stream::Velocities);
            let width = (kt / m).sqrt();
            Vec3::from_fn(|_, _| {
                let xi: f64 = StandardNormal.sample(&mut words);
                width * xi
            })
        })
        .collect()
}

/// Takes the velocity of the centre of mass off all velocities.
pub fn remove_momentum(system: &System, velocities: &mut [Vec3]) {
    let mass = system.total_mass();
    if mass > 0.0 {
        let drift = observe::momentum(system, velocities) / mass;
        velocities.iter_mut().for_each(|v| *v -= drift);
    }
}

/// Takes the rotation about the centre of mass off all velocities: v -= w x (r - centre), where
/// inertia w = angular momentum. A linear arrangement has no rotation about its own axis.
pub fn remove_angular_momentum(system: &System, positions: &[Vec3], velocities: &mut [Vec3]) {
    let inertia = observe::inertia(system, positions);
    let momentum = observe::angular_momentum(system, positions, velocities);
    let rotation = observe::pseudo_inverse(inertia) * momentum;
    let centre = observe::centre_of_mass(system, positions);
    for (v, r) in velocities.iter_mut().zip(positions) {
        *v -= rotation.cross(&(r - centre));
    }
}

/// Multiplies all velocities so that the kinetic energy is exactly that of the temperature. Nothing
/// can be done with atoms that do not move at all.
pub fn scale(system: &System, temperature: Temperature, velocities: &mut [Vec3]) {
    let wanted = 0.5 * temperature.kt * temperature.degrees_of_freedom as f64;
    let present = observe::kinetic_energy(system, velocities);
    if present > 0.0 {
        let factor = (wanted / present).sqrt();
        velocities.iter_mut().for_each(|v| *v *= factor);
    }
}
