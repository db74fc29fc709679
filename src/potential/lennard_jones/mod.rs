//! Lennard-Jones, the closed-form subject of physics tests.

#[cfg(feature = "cuda")]
mod cuda;

use super::pair::{ReceiverSum, Switch, rows};
use super::{About, Evaluation, Potential};
use crate::neighbors::Pairs;
use crate::{Error, Result};

/// The switch begins at this part of the cutoff.
const SWITCH_ON: f64 = 0.8;

/// The 12-6 potential (Jones, Proc. R. Soc. A 106, 463 (1924)), the same for all atoms, switched off
/// before the cutoff r_c so that energy, force and the force's slope are continuous everywhere:
///
/// u(r) = 4 epsilon ((sigma / r)^12 - (sigma / r)^6) S(x),  x = (r - 0.8 r_c) / (0.2 r_c),
///
/// S(x) = 1 for x < 0,  1 - 10 x^3 + 15 x^4 - 6 x^5 for 0 <= x < 1,  0 beyond.
///
/// Up to 0.8 r_c it is the 12-6 potential itself, so the well keeps its depth and place. With a jump
/// in the force, energy would not be conserved to second order in the step.
#[derive(Debug, Clone)]
pub struct LennardJones {
    epsilon: f64,
    sigma: f64,
    cutoff: f64,
    /// What each receiver adds.
    shares: Vec<ReceiverSum>,
}

impl LennardJones {
    /// Depth of the well `epsilon` (eV), distance of zero energy `sigma` (angstrom), range `cutoff`
    /// (angstrom).
    ///
    /// # Errors
    /// A parameter that is not a positive number.
    pub fn new(epsilon: f64, sigma: f64, cutoff: f64) -> Result<Self> {
        let parameters = [("epsilon", epsilon), ("sigma", sigma), ("cutoff", cutoff)];
        for (name, value) in parameters {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::input(format!(
                    "Lennard-Jones: {name} is {value}, but must be a positive number"
                )));
            }
        }
        Ok(Self {
            epsilon,
            sigma,
            cutoff,
            shares: Vec::new(),
        })
    }

    /// The potential with its parameters, for people.
    fn words(&self) -> String {
        format!(
            "Lennard-Jones, epsilon {} eV, sigma {} A, cutoff {} A",
            self.epsilon, self.sigma, self.cutoff
        )
    }

    /// Energy (eV) and slope du/dr (eV / angstrom) of two atoms at a distance (angstrom).
    pub fn pair(&self, distance: f64) -> (f64, f64) {
        let sixth = (self.sigma / distance).powi(6);
        let energy = 4.0 * self.epsilon * sixth * (sixth - 1.0);
        let slope = -24.0 * self.epsilon * sixth * (2.0 * sixth - 1.0) / distance;
        let [switch, change] = self.switch().at(distance);
        (energy * switch, slope * switch + energy * change)
    }

    fn switch(&self) -> Switch {
        let on = SWITCH_ON * self.cutoff;
        let width = self.cutoff - on;
        Switch { on, width }
    }
}

impl Potential for LennardJones {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        let mut shares = std::mem::take(&mut self.shares);
        let at = |_, _, distance| self.pair(distance);
        rows(&at, pairs, &mut out.forces, &mut shares);
        out.energy = ReceiverSum::energy(&shares);
        out.strain_derivative = ReceiverSum::strain(&shares);
        self.shares = shares;
        Ok(())
    }

    fn about(&self) -> About {
        About::plain(self.words())
    }

    fn atom_energies(&self) -> Option<Vec<f64>> {
        Some(ReceiverSum::energies(&self.shares).collect())
    }

    fn bound_to(&self, _species: &[u8]) -> Result<Option<Box<dyn Potential>>> {
        Ok(Some(Box::new(Self {
            shares: Vec::new(),
            ..*self
        })))
    }
}
