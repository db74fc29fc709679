//! L-BFGS: directions from the curvature of the last steps (Nocedal, Math. Comp. 35, 773 (1980); Nocedal and Wright, Numerical
//! Optimization (2006), algorithms 7.4 and 7.5).
//!
//! A step along a direction is taken where the energy falls by a part of what its slope says (Armijo), and gone farther while the
//! slope stays as steep as it was: both of Wolfe's conditions. Near a minimum the fall is smaller than the energy's last digits;
//! there the slopes judge alone (Hager and Zhang, SIAM J. Optim. 16, 170 (2005), "approximate Wolfe conditions").

use std::collections::VecDeque;

use super::landscape::WalkPoint;
use super::minimizer::{Descent, DescentReply};
use super::reach::{Reach, length, product};
use crate::core::Vec3;

/// Steps whose curvature is remembered.
const MEMORY: usize = 30;
/// Part of the foretold fall that a step has to bring.
const FALL: f64 = 1e-4;
/// A slope larger than this part of that at the start is still as steep.
const STEEP: f64 = 0.9;
/// A step that may be longer is made so many times as long.
const LONGER: f64 = 3.0;
/// A step that was too long is made shorter, to within these parts of it.
const SHORTER: [f64; 2] = [0.1, 0.5];
/// Trials along one direction.
const MOST_TRIALS: u32 = 20;
/// Scatter of the energy (eV) of one atom; of N, it grows with the root of N. It is that of f32.
const SCATTER: f64 = 1e-6;
/// Cosine between a step and the change of its gradient below which curvature is rounding.
const CURVED: f64 = 1e-10;
/// Cosine between a direction and the forces below which it does not lead down.
const DOWNWARD: f64 = 1e-8;

/// What a step has told of the curvature.
struct CurvaturePair {
    step: Vec<Vec3>,
    change: Vec<Vec3>,
    /// Their scalar product.
    product: f64,
}

/// The walk down.
pub(super) struct Lbfgs {
    reach: Reach,
    here: WalkPoint,
    pairs: VecDeque<CurvaturePair>,
    direction: Vec<Vec3>,
    /// Change of the energy along the direction (eV).
    slope: f64,
    /// Times that it may be gone, and is gone in the trial.
    most: f64,
    times: f64,
    trials: u32,
    /// A trial that is good enough, while one farther on is made.
    kept: Option<WalkPoint>,
    trial: Vec<Vec3>,
}

impl Lbfgs {
    /// A walk that begins at a place.
    pub fn new(here: WalkPoint, reach: Reach) -> Self {
        let mut walk = Self {
            reach,
            trial: here.x.clone(),
            here,
            pairs: VecDeque::with_capacity(MEMORY),
            direction: Vec::new(),
            slope: 0.0,
            most: 1.0,
            times: 1.0,
            trials: 0,
            kept: None,
        };
        walk.turn();
        walk
    }

    /// Takes the direction that the place where it is asks for.
    fn turn(&mut self) {
        let gradient = &self.here.gradient;
        if self.reach.is_huge(gradient) {
            self.pairs.clear();
        }
        let mut direction = self.newton();
        let downward = |d: &[Vec3]| -product(d, gradient) > DOWNWARD * length(d) * length(gradient);
        if self.pairs.is_empty() || !downward(&direction) {
            self.pairs.clear();
            direction = self.reach.plain(gradient);
        }
        self.slope = product(&direction, gradient);
        self.most = self.reach.most(&direction);
        self.direction = direction;
        self.trials = 0;
        self.kept = None;
        self.go(self.most.min(1.0));
    }

    /// Minus the inverse of the curvature times the gradient.
    fn newton(&self) -> Vec<Vec3> {
        let mut direction: Vec<Vec3> = self.here.gradient.iter().map(|g| -g).collect();
        let add = |factor: f64, of: &[Vec3], to: &mut Vec<Vec3>| {
            to.iter_mut().zip(of).for_each(|(d, v)| *d += factor * v);
        };
        let mut parts = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let part = product(&pair.step, &direction) / pair.product;
            add(-part, &pair.change, &mut direction);
            parts.push(part);
        }
        if let Some(last) = self.pairs.back() {
            let scale = last.product / product(&last.change, &last.change);
            direction.iter_mut().for_each(|d| *d *= scale);
        }
        for (pair, part) in self.pairs.iter().zip(parts.into_iter().rev()) {
            let other = product(&pair.change, &direction) / pair.product;
            add(part - other, &pair.step, &mut direction);
        }
        direction
    }

    /// Tries so many times the direction.
    fn go(&mut self, times: f64) {
        self.times = times;
        let from = self.here.x.iter().zip(&self.direction);
        self.trial = from.map(|(x, d)| x + times * d).collect();
    }

    /// Steps to a place.
    fn step(&mut self, to: WalkPoint) -> DescentReply {
        let minus = |a: &[Vec3], b: &[Vec3]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        let step: Vec<Vec3> = minus(&to.x, &self.here.x);
        let change: Vec<Vec3> = minus(&to.gradient, &self.here.gradient);
        let product = product(&step, &change);
        if product > CURVED * length(&step) * length(&change) {
            if self.pairs.len() == MEMORY {
                self.pairs.pop_front();
            }
            self.pairs.push_back(CurvaturePair {
                step,
                change,
                product,
            });
        }
        self.here = to;
        self.turn();
        DescentReply::Taken
    }

    /// Makes the step shorter after a trial that was too long.
    fn shorten(&mut self, there: &WalkPoint, slope: f64) -> DescentReply {
        self.trials += 1;
        if self.trials > MOST_TRIALS {
            if self.pairs.is_empty() {
                return DescentReply::Stuck;
            }
            self.pairs.clear();
            self.turn();
            return DescentReply::Refused;
        }
        let rise = there.value - self.here.value - self.times * self.slope;
        let part = match there.is_finite() {
            true if slope > 0.0 => self.slope / (self.slope - slope),
            true => -0.5 * self.times * self.slope / rise,
            false => SHORTER[0],
        };
        let [least, most] = SHORTER;
        let part = if part.is_finite() {
            part.clamp(least, most)
        } else {
            least
        };
        self.go(self.times * part);
        DescentReply::Refused
    }
}

impl Descent for Lbfgs {
    fn trial(&self) -> &[Vec3] {
        &self.trial
    }

    fn here(&self) -> &WalkPoint {
        &self.here
    }

    fn tell(&mut self, there: WalkPoint) -> DescentReply {
        let slope = product(&self.direction, &there.gradient);
        let foretold = self.times * self.slope;
        let scatter = SCATTER * (self.here.positions.len() as f64).sqrt();
        let rise = there.value - self.here.value;
        let falls = there.is_finite() && rise <= FALL * foretold;
        let flattens = there.is_finite()
            && -foretold <= scatter
            && rise <= scatter
            && slope.abs() <= STEEP * self.slope.abs();
        match self.kept.take() {
            Some(kept) if !falls || there.value > kept.value => self.step(kept),
            _ if falls && slope < STEEP * self.slope && self.times < STEEP * self.most => {
                self.kept = Some(there);
                self.go((LONGER * self.times).min(self.most));
                DescentReply::Refused
            }
            _ if falls || flattens => self.step(there),
            _ => self.shorten(&there, slope),
        }
    }
}
