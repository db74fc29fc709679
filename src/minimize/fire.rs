//! FIRE 2.0: a motion that is turned towards the forces while it goes down, and stopped where it goes up (Bitzek, Koskinen,
//! Gahler, Moseler and Gumbsch, Phys. Rev. Lett. 97, 170201 (2006); Guenole et al., Comput. Mater. Sci. 175, 109584 (2020),
//! semi-implicit Euler with the step back by half).

use super::landscape::WalkPoint;
use super::minimizer::{Descent, DescentReply};
use super::reach::{Reach, length, product};
use crate::core::Vec3;

/// Time step at first, at the most, and at the least (angstrom sqrt(u / eV)), of atoms of 1 u each: those of ASE, and of the
/// paper's ratios.
const TIMESTEP: f64 = 0.1;
const LONGEST_TIMESTEP: f64 = 1.0;
const SHORTEST_TIMESTEP: f64 = 0.002;
/// Steps downhill before the time step grows.
const DELAY: u32 = 20;
/// Factors of the time step downhill and uphill.
const GROW: f64 = 1.1;
const SHRINK: f64 = 0.5;
/// How much the motion is turned towards the forces, at first, and its factor downhill.
const TURN: f64 = 0.25;
const TURN_SHRINK: f64 = 0.99;
/// Trials that are no numbers, one after another.
const MOST_TRIALS: u32 = 20;

/// The walk down.
pub(super) struct Fire {
    reach: Reach,
    here: WalkPoint,
    velocities: Vec<Vec3>,
    timestep: f64,
    turn: f64,
    downhill: u32,
    trials: u32,
    trial: Vec<Vec3>,
}

impl Fire {
    /// A walk that begins at a place.
    pub fn new(here: WalkPoint, reach: Reach) -> Self {
        let mut walk = Self {
            reach,
            velocities: vec![Vec3::zeros(); here.x.len()],
            trial: here.x.clone(),
            here,
            timestep: TIMESTEP,
            turn: TURN,
            downhill: 0,
            trials: 0,
        };
        walk.go();
        walk
    }

    /// Moves from the place where it is.
    fn go(&mut self) {
        let forces = self.reach.tamed(&self.here.gradient);
        let mut from = self.here.x.clone();
        let power = product(&forces, &self.velocities);
        if power > 0.0 {
            self.downhill += 1;
            if self.downhill > DELAY {
                self.timestep = (GROW * self.timestep).min(LONGEST_TIMESTEP);
                self.turn *= TURN_SHRINK;
            }
        } else if self.velocities.iter().any(|v| *v != Vec3::zeros()) {
            self.downhill = 0;
            self.timestep = (SHRINK * self.timestep).max(SHORTEST_TIMESTEP);
            self.turn = TURN;
            let back = 0.5 * self.timestep;
            (from.iter_mut().zip(&self.velocities)).for_each(|(x, v)| *x -= back * v);
            self.velocities.fill(Vec3::zeros());
        }
        let step = self.timestep;
        (self.velocities.iter_mut().zip(&forces)).for_each(|(v, f)| *v += step * f);
        let towards = match length(&forces) {
            0.0 => 0.0,
            size => self.turn * length(&self.velocities) / size,
        };
        let keep = 1.0 - self.turn;
        (self.velocities.iter_mut().zip(&forces)).for_each(|(v, f)| *v = keep * *v + towards * f);
        // What is too fast is slowed down: it would go on as fast after the wall that has thrown it.
        let most = self.reach.most(&self.velocities) / step;
        if most < 1.0 {
            self.velocities.iter_mut().for_each(|v| *v *= most);
        }
        self.trial = (from.iter().zip(&self.velocities))
            .map(|(x, v)| x + step * v)
            .collect();
    }
}

impl Descent for Fire {
    fn trial(&self) -> &[Vec3] {
        &self.trial
    }

    fn here(&self) -> &WalkPoint {
        &self.here
    }

    fn tell(&mut self, there: WalkPoint) -> DescentReply {
        if there.is_finite() {
            self.trials = 0;
            self.here = there;
            self.go();
            return DescentReply::Taken;
        }
        self.trials += 1;
        if self.trials > MOST_TRIALS {
            return DescentReply::Stuck;
        }
        // Begins anew from the last place of numbers, more slowly.
        self.velocities.fill(Vec3::zeros());
        self.downhill = 0;
        self.timestep *= SHRINK;
        self.go();
        DescentReply::Refused
    }
}
