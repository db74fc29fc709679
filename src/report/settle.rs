//! Whether a quantity has come to rest: what ends a stage that is to last until then.
//!
//! One sample is taken in every stretch of steps, at a step chosen by a hash of the stretch's number, as for the drift
//! ([`super::drift`]): a vibration does not show up as a slow wave. [`SAMPLES`] of them are a window. Looked at are the last two
//! windows, each time that half a window has gone by: the quantity has settled where their means agree, and the last one has no
//! slope, both within twice their standard errors ([`super::series`], which heed how samples are correlated). What has a longer
//! correlation than a window cannot be seen to have settled, and takes more time than it needs rather than less.
//!
//! All of it depends on the numbers of steps alone, and the samples are in the checkpoint: a run that is killed and gone on with
//! decides the same.

use serde::{Deserialize, Serialize};

use super::console::Console;
use super::drift::{Energies, next_sample};
use super::series::Series;
use crate::Result;
use crate::config::plan::{SettlePlan, Settled};
use crate::core::{Fields, Snapshot};
use crate::simulation::{Reporter, Signal};

/// Samples of a window.
pub const SAMPLES: u64 = 128;
/// Standard errors within which means agree and slopes are none.
const SURE: f64 = 2.0;

/// What was seen of a quantity that is to settle. Plain data: a checkpoint holds it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SettleRecord {
    /// Samples of the last two windows.
    newest: Vec<f64>,
    /// Samples in all.
    taken: u64,
    /// The step at which it had settled.
    settled: Option<u64>,
}

impl SettleRecord {
    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.taken == 0 && self.settled.is_none()
    }

    /// The step at which it had settled.
    pub fn settled(&self) -> Option<u64> {
        self.settled
    }

    /// Notes the end at a step, whatever was seen.
    pub(super) fn end(&mut self, step: u64) {
        self.settled = Some(step);
    }

    /// Takes in a sample of a step; whether it has settled.
    pub fn add(&mut self, step: u64, value: f64) -> bool {
        if self.newest.len() as u64 == 2 * SAMPLES {
            self.newest.remove(0);
        }
        self.newest.push(value);
        self.taken += 1;
        let full = self.newest.len() as u64 == 2 * SAMPLES;
        if full && self.taken.is_multiple_of(SAMPLES / 2) && has_settled(&self.newest) {
            self.settled = Some(step);
        }
        self.settled.is_some()
    }
}

/// Whether two windows of samples say that a quantity has settled.
fn has_settled(samples: &[f64]) -> bool {
    let series = |samples: &[f64]| {
        let mut series = Series::default();
        let numbered = samples.iter().enumerate();
        numbered.for_each(|(k, value)| series.add(k as f64, *value));
        series
    };
    let (before, last) = samples.split_at(samples.len() / 2);
    let (before, last) = (series(before), series(last));
    let (Some(a), Some(b), Some(slope)) = (before.mean(), last.mean(), last.slope()) else {
        return false;
    };
    // False for what is not a number.
    (b.value - a.value).abs() <= SURE * a.error.hypot(b.error)
        && slope.value.abs() <= SURE * slope.error
}

/// Ends a stage once a quantity has settled.
pub struct SettleMonitor {
    plan: SettlePlan,
    energies: Energies,
    console: Console,
}

impl SettleMonitor {
    /// Keeps what it sees in `energies`, and tells the end.
    pub fn new(plan: SettlePlan, energies: &Energies, console: &Console) -> Self {
        Self {
            plan,
            energies: energies.clone(),
            console: console.clone(),
        }
    }

    fn value(&self, snapshot: &Snapshot) -> f64 {
        let o = &snapshot.observables;
        match self.plan.what {
            Settled::Energy => o.potential,
            Settled::Temperature => self.energies.read(|record| record.thermometer().kt(o)),
            Settled::Density => {
                let mass = self.energies.read(|record| record.mass);
                snapshot
                    .cell
                    .volume()
                    .map_or(f64::NAN, |volume| mass / volume)
            }
        }
    }
}

impl Reporter for SettleMonitor {
    fn next(&self, step: u64) -> u64 {
        next_sample(step, self.plan.every)
    }

    fn wants(&self) -> Fields {
        Fields::NONE
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        let value = self.value(snapshot);
        let settled = self
            .energies
            .settle(|record| record.add(snapshot.step, value));
        if !settled {
            return Ok(Signal::Continue);
        }
        let words = self.plan.what.words();
        self.console
            .note(&format!("step {}: {words}", snapshot.step));
        Ok(Signal::Enough)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rng::philox;

    /// Noise of unit variance, correlated over some five samples, about a course.
    fn settles_at(course: impl Fn(f64) -> f64, most: u64, seed: u32) -> Option<u64> {
        let mut record = SettleRecord::default();
        let mut walk = 0.0;
        (0..most).find(|step| {
            let words = philox([*step as u32, seed, 0, 0], [1, 2]);
            let sum: f64 = words
                .iter()
                .map(|w| f64::from(*w) / 4_294_967_296.0 - 0.5)
                .sum();
            walk = 0.8 * walk + 0.6 * sum * 3.0_f64.sqrt();
            record.add(*step, course(*step as f64) + walk)
        })
    }

    #[test]
    fn what_is_steady_settles_and_what_drifts_does_not() {
        let steady: Vec<Option<u64>> = (0..40)
            .map(|seed| settles_at(|_| 5.0, 4000, seed))
            .collect();
        assert!(steady.iter().all(Option::is_some), "{steady:?}");
        // Two windows at the least.
        assert!(steady.iter().flatten().all(|step| step + 1 >= 2 * SAMPLES));
        let soon = steady
            .iter()
            .flatten()
            .filter(|step| **step < 6 * SAMPLES)
            .count();
        assert!(soon > 30, "{soon} of 40");
        // A slope of four deviations a window is seen at every look.
        let drifts = |seed| settles_at(|x| 4.0 * x / SAMPLES as f64, 4000, seed);
        assert!((0..40).all(|seed| drifts(seed).is_none()));
    }

    /// An exponential approach of 20 deviations has ended, but for a deviation or so, when it is said to have.
    #[test]
    fn an_approach_is_waited_for() {
        let tau = 2.0 * SAMPLES as f64;
        for seed in 0..20 {
            let step = settles_at(|x| 20.0 * (-x / tau).exp(), 20_000, seed).unwrap();
            let left = 20.0 * (-(step as f64) / tau).exp();
            assert!(left < 1.5, "{seed}: {left} left at {step}");
        }
    }

    #[test]
    fn what_never_changes_has_settled_and_what_is_no_number_never() {
        let mut record = SettleRecord::default();
        let at = (0..1000).find(|step| record.add(*step, 1.0));
        assert_eq!(at, Some(2 * SAMPLES - 1));
        let mut record = SettleRecord::default();
        assert!((0..1000).all(|step| !record.add(step, f64::NAN)));
    }
}
