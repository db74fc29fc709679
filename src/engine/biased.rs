//! A bias in an engine: asked once a step, its energy, and the work that it does where it changes.
//!
//! Between two steps the energy V of a bias changes because atoms and cell have moved, and because the bias itself is another
//! one: a hill has been added, or what it holds on to has moved. The first is minus what its forces have done on the way, in the
//! trapezoidal rule that velocity Verlet conserves energy by, -(F + F') (x' - e x'') / 2 + (D + D') e / 2, with strain
//! derivatives D, the strain e of the cell, and x'' in the middle; what is left of the change of V is work.

use crate::core::{Cell, Mat3, Vec3};
use crate::forcefield::{BiasScene, RunBias};
use crate::potential::Evaluation;
use crate::{Error, Result};

/// A bias, and what it was at the step before.
pub(super) struct EngineBias {
    bias: Box<dyn RunBias>,
    past: Option<BiasPast>,
    /// Forces without the bias, of the step asked for.
    without: Vec<Vec3>,
    /// Whether it was asked since the state was last saved.
    asked: bool,
}

/// A bias at a step.
struct BiasPast {
    cell: Cell,
    positions: Vec<Vec3>,
    forces: Vec<Vec3>,
    energy: f64,
    derivative: Mat3,
}

/// What a bias comes to at a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BiasSums {
    /// Its energy (eV).
    pub energy: f64,
    /// The work (eV) that it has done since the step before by being another one.
    pub work: f64,
}

impl EngineBias {
    pub fn new(bias: Box<dyn RunBias>) -> Self {
        Self {
            bias,
            past: None,
            without: Vec::new(),
            asked: false,
        }
    }

    /// Adds energy, forces and strain derivative to what acts without it.
    ///
    /// # Errors
    /// It has failed.
    pub fn act(&mut self, scene: &BiasScene<'_>, out: &mut Evaluation) -> Result<BiasSums> {
        self.asked = true;
        self.without.clone_from(&out.forces);
        let without = out.strain_derivative;
        let energy = self.bias.act(scene, out)?;
        out.energy += energy;
        let forces = (out.forces.iter().zip(&self.without)).map(|(with, without)| with - without);
        let derivative = out.strain_derivative - without;
        let work = match &mut self.past {
            Some(past) => {
                let led = past.led_to(scene, forces.clone(), derivative);
                let work = energy - past.energy - led;
                past.cell.clone_from(scene.cell);
                past.positions.copy_from_slice(scene.positions);
                (past.forces.iter_mut().zip(forces)).for_each(|(to, force)| *to = force);
                (past.energy, past.derivative) = (energy, derivative);
                work
            }
            None => {
                self.past = Some(BiasPast {
                    cell: scene.cell.clone(),
                    positions: scene.positions.to_vec(),
                    forces: forces.collect(),
                    energy,
                    derivative,
                });
                0.0
            }
        };
        Ok(BiasSums { energy, work })
    }

    /// Hears that the present state is saved.
    pub fn save(&mut self) {
        self.asked = false;
    }

    /// Checks that the state saved is the one that it was last asked for.
    ///
    /// # Errors
    /// It is not.
    pub fn check_rollback(&self) -> Result<()> {
        match self.asked {
            false => Ok(()),
            true => Err(Error::run(
                "what biases the system cannot go back to an earlier step",
            )),
        }
    }
}

impl BiasPast {
    /// The change of the energy (eV) that motion alone leads to, as forces and strain derivatives at both ends tell.
    fn led_to(
        &self,
        scene: &BiasScene<'_>,
        forces: impl Iterator<Item = Vec3>,
        derivative: Mat3,
    ) -> f64 {
        let strain = strain_between(&self.cell, scene.cell);
        let ways = self.positions.iter().zip(scene.positions);
        let mut change = 0.5 * (self.derivative + derivative).dot(&strain);
        for ((from, to), (before, after)) in ways.zip(self.forces.iter().zip(forces)) {
            let own = (to - from) - strain * (0.5 * (from + to));
            change -= 0.5 * (before + after).dot(&own);
        }
        change
    }
}

/// The strain between two cells, right to its second order where it is symmetric; none where they are the same.
fn strain_between(from: &Cell, to: &Cell) -> Mat3 {
    if from == to {
        return Mat3::zeros();
    }
    let stretch = from.strain_to(to);
    let middle = (stretch + Mat3::identity()).try_inverse();
    2.0 * (stretch - Mat3::identity()) * middle.unwrap_or_else(Mat3::zeros)
}
