//! Ramps: the temperature and the pressure of a bath in the course of a run, such as heating, annealing and compression.
//!
//! A ramp is a pure function of the step's number: linear between points, and constant before the first of them and behind
//! the last. A step takes the value of its middle, so that heating and cooling by the same points are images of each other.
//!
//! What a thermostat puts in is counted as what it changes, step by step, whatever its temperature is then; so is the work of
//! a barostat. The energy less heat and work is conserved on a ramp as it is without one.

use super::op::{Collective, Local, Op};

/// Most points of a ramp: a card keeps them among its constants.
pub const MOST_POINTS: usize = 32;

/// A value in the course of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Ramp {
    /// Steps, ascending, and values.
    points: Vec<[f64; 2]>,
}

impl Ramp {
    /// A ramp through points (step, value) of ascending steps; `None` where there is none, where there are too many, or where
    /// steps do not ascend or a number is not finite.
    pub fn through(points: Vec<[f64; 2]>) -> Option<Self> {
        let counted = (1..=MOST_POINTS).contains(&points.len());
        let ascending = points.windows(2).all(|pair| pair[0][0] < pair[1][0]);
        let finite = points.iter().flatten().all(|x| x.is_finite());
        (counted && ascending && finite).then_some(Self { points })
    }

    /// Its points: steps and values.
    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    /// The value of a step (step s leads from state s to state s + 1).
    pub fn at(&self, step: u64) -> f64 {
        let x = step as f64 + 0.5;
        let behind = self.points.iter().position(|point| x < point[0]);
        match behind {
            Some(0) => self.points[0][1],
            None => self.last(),
            Some(k) => {
                let ([from, low], [to, high]) = (self.points[k - 1], self.points[k]);
                low + (high - low) * ((x - from) / (to - from))
            }
        }
    }

    /// The value that it ends at.
    pub fn last(&self) -> f64 {
        self.points[self.points.len() - 1][1]
    }

    /// Its largest value.
    pub fn largest(&self) -> f64 {
        let values = self.points.iter().map(|point| point[1]);
        values.fold(f64::NEG_INFINITY, f64::max)
    }

    /// Its smallest value.
    pub fn smallest(&self) -> f64 {
        let values = self.points.iter().map(|point| point[1]);
        values.fold(f64::INFINITY, f64::min)
    }

    /// The same over steps so many times as short.
    #[must_use]
    pub fn divided(&self, divisor: u64) -> Self {
        let points = self.points.iter();
        Self {
            points: points
                .map(|[step, value]| [step * divisor as f64, *value])
                .collect(),
        }
    }

    /// The same of a run whose step 0 is this step of another.
    #[must_use]
    pub fn from_step(&self, step: u64) -> Self {
        let points = self.points.iter();
        Self {
            points: points
                .map(|[at, value]| [at + step as f64, *value])
                .collect(),
        }
    }
}

/// What of a bath changes in the course of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ramps {
    /// Temperature kT (eV).
    pub temperature: Option<Ramp>,
    /// Pressure (eV / cubic angstrom).
    pub pressure: Option<Ramp>,
}

impl Ramps {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.temperature.is_none() && self.pressure.is_none()
    }

    /// What they are in a step.
    pub fn at(&self, step: u64) -> RampValues {
        RampValues {
            kt: self.temperature.as_ref().map(|ramp| ramp.at(step)),
            pressure: self.pressure.as_ref().map(|ramp| ramp.at(step)),
        }
    }

    /// Changes both.
    #[must_use]
    pub fn map(&self, change: impl Fn(&Ramp) -> Ramp) -> Self {
        Self {
            temperature: self.temperature.as_ref().map(&change),
            pressure: self.pressure.as_ref().map(&change),
        }
    }
}

/// What ramps are in one step; `None` of what does not change.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RampValues {
    /// Temperature kT (eV).
    pub kt: Option<f64>,
    /// Pressure (eV / cubic angstrom).
    pub pressure: Option<f64>,
}

impl RampValues {
    /// An operator as it is in this step.
    pub fn of(self, mut op: Op) -> Op {
        match &mut op {
            Op::Local(Local::Noise { kt, .. }) => *kt = self.kt.unwrap_or(*kt),
            Op::Local(Local::Kick(_) | Local::Drift(_)) | Op::Forces => {}
            Op::Collective { what, .. } => match what {
                Collective::RemoveDrift => {}
                Collective::RescaleVelocities(how) => how.kt = self.kt.unwrap_or(how.kt),
                Collective::MoveChain(how) => how.kt = self.kt.unwrap_or(how.kt),
                Collective::MovePiston(how) => {
                    how.atoms.kt = self.kt.unwrap_or(how.atoms.kt);
                    how.pressure = self.pressure.unwrap_or(how.pressure);
                }
                Collective::RescaleCell(how) => {
                    how.kt = self.kt.unwrap_or(how.kt);
                    how.pressure = self.pressure.unwrap_or(how.pressure);
                }
            },
        }
        op
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step takes the value of its middle: the mean over the ramp is that of its ends, and turned round it is its image.
    #[test]
    fn values_are_those_of_the_middle_of_steps() {
        let up = Ramp::through(vec![[0.0, 0.0], [4.0, 8.0]]).unwrap();
        let values: Vec<f64> = (0..6).map(|step| up.at(step)).collect();
        assert_eq!(values, [1.0, 3.0, 5.0, 7.0, 8.0, 8.0]);
        let down = Ramp::through(vec![[0.0, 8.0], [4.0, 0.0]]).unwrap();
        let turned: Vec<f64> = (0..4).rev().map(|step| down.at(step)).collect();
        assert_eq!(values[..4], turned);
    }

    #[test]
    fn before_the_first_point_and_behind_the_last_nothing_changes() {
        let ramp = Ramp::through(vec![[2.0, 1.0], [4.0, 5.0], [5.0, 2.0]]).unwrap();
        let values: Vec<f64> = (0..7).map(|step| ramp.at(step)).collect();
        assert_eq!(values, [1.0, 1.0, 2.0, 4.0, 3.5, 2.0, 2.0]);
        assert_eq!((ramp.last(), ramp.largest()), (2.0, 5.0));
        assert_eq!(ramp.smallest(), 1.0);
        let later = ramp.from_step(3);
        assert!((0..7).all(|step| later.at(step + 3) == ramp.at(step)));
    }

    #[test]
    fn what_is_no_ramp_is_none() {
        assert!(Ramp::through(Vec::new()).is_none());
        assert!(Ramp::through(vec![[1.0, 0.0], [1.0, 1.0]]).is_none());
        assert!(Ramp::through(vec![[0.0, f64::NAN]]).is_none());
        let many = (0..=MOST_POINTS).map(|k| [k as f64, 0.0]).collect();
        assert!(Ramp::through(many).is_none());
    }
}
