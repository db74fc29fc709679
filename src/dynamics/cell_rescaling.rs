//! Stochastic cell rescaling: what a barostat does to the cell (isotropic: Bernetti and Bussi, J. Chem. Phys. 153, 114107
//! (2020); anisotropic and triclinic: Del Tatto, Raiteri, Bernetti and Bussi, Appl. Sci. 12, 1139 (2022)).
//!
//! Every so many steps, of together a time t, the cell is strained by exp(e), with the symmetric e
//!
//! ```text
//! e = -(B t / 3 T) C(P0 1 - P) + sqrt(2 kT B t / (3 V T)) C(X)
//! ```
//!
//! P is the pressure tensor (2 K - W) / V of the kinetic energy tensor K and the strain derivative W of the energy, B the
//! compressibility, T the relaxation time, P0 the pressure asked for, V the volume. X is symmetric: standard normal on its
//! diagonal, with half the variance off it. C takes what the coupling lets the cell do: a third of the trace, the
//! stretches of the three edges, those of the first two together, or all of it. In terms of the logarithm e the noise's own
//! drift (the papers' kT / V) is gone: Ito's correction to the logarithm takes it back, for every C. Rotations, which
//! the papers' noise has and takes out again, never come in.
//!
//! A condensed system is stiffer at once than in the long run, and a strain finds it so: the Euler step of this equation makes
//! volumes vary too much, by 1 / (1 - x/2) for x = B K' t / T and a modulus K' at once. P therefore is not the pressure found but
//! that with half of what the last strain added to it: the mean over a strain to come, as Heun's method has it, foretold from
//! the strain before. Of the error x^2 / 2 stays, and steps are stable below x = 1.
//!
//! What stays is exp(-(E + P0 V) / kT), with the volume's measure dV (dh / V^2 for a cell of any shape h). Positions are
//! strained by exp(e), velocities by exp(-e), so that the measure of phase space is what it was.
//!
//! # What is conserved
//!
//! The work of a strain is what it changes: the kinetic energy at once, and the potential energy by the mean of W before and
//! after, W:e, whose error is of third order like that of the step itself. In the middle of a step's drift W is known of
//! its start and end, so that no energy has to be computed beside those of the steps.

use super::{Collective, Op};
use crate::core::rng::Noise;
use crate::core::{Cell, Mat3};

/// Largest strain of an edge in one rescaling: a cell that wants more is not near any equilibrium, or is pressed far too fast.
pub const MOST_STRAIN: f64 = 0.1;

/// Cosine of an angle that is right but for the rounding of a file.
const RIGHT: f64 = 1e-4;

/// What one rescaling is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellRescaling {
    /// Temperature kT (eV).
    pub kt: f64,
    /// Pressure (eV / cubic angstrom).
    pub pressure: f64,
    /// Compressibility times the time between two rescalings, over three relaxation times (cubic angstrom / eV).
    pub mobility: f64,
    /// What the cell may do.
    pub coupling: Coupling,
    /// Whether the flight of the centre of mass presses too: where the thermostat acts on it.
    pub flight: bool,
}

/// What a cell may do under pressure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coupling {
    /// Its size changes, its shape does not.
    Isotropic,
    /// Its edges, at right angles, change each for itself.
    Anisotropic,
    /// All of its edges and angles change.
    Triclinic,
    /// The edges a and b change by the same factor, c, at right angles to them, does not.
    Plane,
}

impl Coupling {
    /// What run files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Isotropic => "isotropic",
            Self::Anisotropic => "anisotropic",
            Self::Triclinic => "triclinic",
            Self::Plane => "xy",
        }
    }

    /// What a cell lacks for it, in words; `None` where it fits.
    pub fn lacks(self, cell: &Cell) -> Option<&'static str> {
        let edge = |k: usize| cell.vector(k).normalize();
        let right = |k: usize, l: usize| edge(k).dot(&edge(l)).abs() < RIGHT;
        let (fits, wanted) = match self {
            Self::Isotropic | Self::Triclinic => (true, ""),
            Self::Anisotropic => (
                right(0, 1) && right(0, 2) && right(1, 2),
                "edges at right angles",
            ),
            Self::Plane => (
                right(0, 2) && right(1, 2),
                "an edge c at right angles to a and b",
            ),
        };
        (!fits).then_some(wanted)
    }

    /// The part of a symmetric tensor that a cell of such edges takes.
    pub fn part(self, of: &Mat3, cell: &Cell) -> Mat3 {
        let along = |k: usize| {
            let axis = cell.vector(k).normalize();
            (axis * axis.transpose(), axis.dot(&(of * axis)))
        };
        match self {
            Self::Isotropic => Mat3::identity() * (of.trace() / 3.0),
            Self::Anisotropic => {
                let [a, b, c] = [0, 1, 2].map(|k| {
                    let (projector, value) = along(k);
                    projector * value
                });
                a + b + c
            }
            Self::Triclinic => *of,
            Self::Plane => {
                let (projector, value) = along(2);
                (Mat3::identity() - projector) * (0.5 * (of.trace() - value))
            }
        }
    }
}

impl CellRescaling {
    /// The operator, every so many steps.
    pub(super) fn every(self, every: u64) -> Op {
        let what = Collective::RescaleCell(self);
        Op::Collective { every, what }
    }

    /// The logarithm e of the strain of a periodic cell, given the pressure tensor P (eV / cubic angstrom) and the noise X.
    pub fn strain(&self, cell: &Cell, pressure: &Mat3, noise: Mat3) -> Mat3 {
        let volume = volume(cell);
        let lack = Mat3::identity() * self.pressure - pressure;
        let width = (2.0 * self.kt * self.mobility / volume).sqrt();
        (self.coupling).part(&(noise * width - lack * self.mobility), cell)
    }
}

fn volume(cell: &Cell) -> f64 {
    cell.vectors().determinant().abs()
}

/// The pressure tensor (eV / cubic angstrom) of a periodic cell with twice the kinetic energy tensor and the strain derivative
/// (eV).
pub fn pressure(cell: &Cell, twice: &Mat3, derivative: &Mat3) -> Mat3 {
    (twice - 0.5 * (derivative + derivative.transpose())) / volume(cell)
}

/// The symmetric noise X of a step.
pub fn noise(noise: &Noise, step: u64) -> Mat3 {
    let half = std::f64::consts::FRAC_1_SQRT_2;
    let [xx, yy, zz, yz, xz, xy] = noise.cell(step);
    let [yz, xz, xy] = [yz, xz, xy].map(|x| x * half);
    Mat3::new(xx, xy, xz, xy, yy, yz, xz, yz, zz)
}

/// The exponential of a symmetric matrix of a norm of at most a few [`MOST_STRAIN`]: its series, whose term number 16 is
/// beyond f64 then.
pub fn exponential(of: &Mat3) -> Mat3 {
    let mut sum = Mat3::identity();
    for k in (1..=16).rev() {
        sum = Mat3::identity() + of * sum / f64::from(k);
    }
    sum
}
