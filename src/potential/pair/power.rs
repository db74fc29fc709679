//! A repulsion that is a power of the distance.

use super::PairEnergy;
use crate::{Error, Result};

/// energy (sigma / r)^power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerLaw {
    energy: f64,
    sigma: f64,
    power: i32,
}

impl PowerLaw {
    /// Highest power.
    pub const MOST: usize = 64;

    /// A repulsion of `energy` (eV) at the distance `sigma` (angstrom).
    ///
    /// # Errors
    /// A parameter that is not positive, or a power over [`PowerLaw::MOST`].
    pub fn new(energy: f64, sigma: f64, power: usize) -> Result<Self> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        if !positive(energy) || !positive(sigma) || !(1..=Self::MOST).contains(&power) {
            return Err(Error::input(format!(
                "a repulsion {energy} eV ({sigma} A / r)^{power}: energy and distance have to be positive, the power from 1 \
                 to {}",
                Self::MOST
            )));
        }
        Ok(Self {
            energy,
            sigma,
            power: power as i32,
        })
    }
}

impl PowerLaw {
    /// The energy (eV) of two atoms at that distance.
    pub fn energy(&self) -> f64 {
        self.energy
    }

    /// The distance (angstrom) whose power it is of, and the power.
    pub fn shape(&self) -> (f64, i32) {
        (self.sigma, self.power)
    }
}

impl PairEnergy for PowerLaw {
    fn at(&self, _species: [u8; 2], distance: f64) -> (f64, f64) {
        let energy = self.energy * (self.sigma / distance).powi(self.power);
        (energy, -f64::from(self.power) * energy / distance)
    }

    fn words(&self) -> String {
        format!("{} eV ({} A / r)^{}", self.energy, self.sigma, self.power)
    }

    #[cfg(feature = "cuda")]
    fn source(&self, _elements: &[u8]) -> String {
        let Self {
            energy,
            sigma,
            power,
        } = self;
        format!(
            "__device__ __forceinline__ void pair_at(int, int, double r, double &energy, double &slope) {{\n\
             energy = {energy:?} * pow({sigma:?} / r, {power}.0);\n\
             slope = -{power}.0 * energy / r;\n\
             }}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_the_distance_and_its_slope() {
        let law = PowerLaw::new(0.5, 1.5, 12).unwrap();
        let (energy, slope) = law.at([1, 1], 3.0);
        assert_eq!(energy, 0.5 / 4096.0);
        assert_eq!(slope, -12.0 * energy / 3.0);
        for (energy, sigma, power) in [
            (0.0, 1.5, 12),
            (1.0, f64::NAN, 12),
            (1.0, 1.5, 0),
            (1.0, 1.5, 65),
        ] {
            assert!(PowerLaw::new(energy, sigma, power).is_err());
        }
    }
}
