//! Constant temperature: canonical sampling through velocity rescaling (CSVR; Bussi, Donadio, Parrinello, J. Chem. Phys.
//! 126, 014101 (2007)).
//!
//! All velocities, counted from that of the centre of mass, are scaled by one number, drawn so that the kinetic energy
//! follows its own stochastic dynamics, of which the canonical distribution is the only one that stays. Momentum is
//! conserved, and a long relaxation disturbs the motion of atoms hardly at all.

use super::{Bath, Collective, Ensemble, Op, Parameter, Program, Value};
use crate::core::observe::Thermometer;
use crate::core::rng::Noise;

/// The canonical ensemble, by scaling all velocities alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Csvr {
    /// Temperature kT (eV).
    pub kt: f64,
    /// Time in which a deviation of the kinetic energy falls to 1/e (angstrom sqrt(u / eV)).
    pub relaxation: f64,
    /// Seed of the noise.
    pub seed: u32,
}

/// What one scaling of the velocities is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rescaling {
    /// exp(-t / relaxation), dimensionless.
    pub c: f64,
    /// Temperature kT (eV).
    pub kt: f64,
    /// Degrees of freedom that share the kinetic energy about the centre of mass.
    pub degrees_of_freedom: usize,
}

impl Rescaling {
    /// The operator for a time t (as `relaxation`) of dynamics.
    pub(super) fn over(time: f64, kt: f64, relaxation: f64, degrees_of_freedom: usize) -> Op {
        let what = Collective::RescaleVelocities(Self {
            c: (-time / relaxation).exp(),
            kt,
            degrees_of_freedom,
        });
        Op::Collective { every: 1, what }
    }

    /// The factor by which velocities of the kinetic energy `kinetic` (eV) are scaled, with noise of this step.
    ///
    /// Equation A7 of the paper, with q = kT / 2K and the sign of Bussi and Parrinello (Comput. Phys. Commun. 179, 26
    /// (2008)), which matters for a few degrees of freedom alone:
    /// alpha^2 = c + q (1 - c) (R^2 + S) + 2 R sqrt(c (1 - c) q), sign of R + sqrt(c / ((1 - c) q)).
    /// R is standard normal, S the sum of the squares of f - 1 more. What does not move stays at rest.
    pub fn factor(&self, kinetic: f64, noise: &Noise, step: u64) -> f64 {
        let Self { c, kt, .. } = *self;
        // False for a kinetic energy that is not a number, which stays one.
        if kinetic <= 0.0 || self.degrees_of_freedom == 0 {
            return 1.0;
        }
        let (r, s) = noise.chi(step, self.degrees_of_freedom);
        let q = 0.5 * kt / kinetic;
        let square = c + q * (1.0 - c) * (r * r + s) + 2.0 * r * (c * (1.0 - c) * q).sqrt();
        let turns = r * ((1.0 - c) * q).sqrt() + c.sqrt() < 0.0;
        let factor = square.max(0.0).sqrt();
        if turns { -factor } else { factor }
    }
}

impl Ensemble for Csvr {
    fn name(&self) -> &'static str {
        "csvr"
    }

    fn describe(&self) -> &'static str {
        "CSVR (velocity rescaling)"
    }

    fn program(&self, timestep: f64, thermometer: &Thermometer) -> Program {
        let degrees = thermometer.degrees_of_freedom;
        let rescaling = Rescaling::over(timestep, self.kt, self.relaxation, degrees);
        Program::with_middle(timestep, [rescaling])
    }

    fn bath(&self) -> Option<Bath> {
        let Self { kt, seed, .. } = *self;
        Some(Bath {
            kt,
            seed: Some(seed),
        })
    }

    fn conserves_momentum(&self) -> bool {
        true
    }

    fn parameters(&self) -> Vec<Parameter> {
        [
            ("temperature", Value::Temperature(self.kt)),
            ("relaxation", Value::Time(self.relaxation)),
            ("seed", Value::Seed(self.seed)),
        ]
        .map(|(key, value)| Parameter { key, value })
        .to_vec()
    }
}
