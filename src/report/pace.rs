//! How fast a run was in its course: how many steps it had taken, and how long they took, at some moments.
//!
//! Times on the clock are others every time: they are in the run's record, which no run is compared by, and in none of its
//! outputs. A run that goes on keeps what the record has up to the checkpoint; what a killed sitting was like is not known, and
//! is one stretch up to there, since the checkpoint says how long its steps took.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::core::{Fields, Snapshot};
use crate::simulation::{Reporter, Signal, next_multiple};

/// Most moments that are kept, an even number.
const MOST: usize = 64;
/// Shortest time (s) between moments: shorter ones show the clock more than the run.
const SHORTEST: f64 = 0.05;

/// Steps taken and how long they took, at moments in their order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PaceRecord {
    /// Steps since the run began.
    pub steps: Vec<u64>,
    /// Time that they took (s).
    pub elapsed_s: Vec<f64>,
    /// Least time between moments (s), which grows as the run does.
    spacing_s: f64,
}

impl PaceRecord {
    /// What is known at a checkpoint of a run whose steps had taken `elapsed` seconds there.
    pub fn until(mut self, step: u64, elapsed: f64) -> Self {
        let moments = self.steps.iter().zip(&self.elapsed_s);
        let sound = moments.take_while(|(s, e)| **s < step && **e < elapsed);
        let kept = sound.count();
        self.steps.truncate(kept);
        self.elapsed_s.truncate(kept);
        self.push(step, elapsed);
        self
    }

    fn push(&mut self, step: u64, elapsed: f64) {
        self.steps.push(step);
        self.elapsed_s.push(elapsed);
    }

    /// Takes in a moment, unless it is too near to the one before.
    pub fn add(&mut self, step: u64, elapsed: f64) {
        let spacing = self.spacing_s.max(SHORTEST);
        if let (Some(before), Some(then)) = (self.steps.last(), self.elapsed_s.last())
            && (step <= *before || elapsed - then < spacing)
        {
            return;
        }
        self.push(step, elapsed);
        if self.steps.len() > MOST {
            // The first, then every other one: the last stays.
            let mut k = 0;
            let keep = |k: usize| k.is_multiple_of(2);
            self.steps.retain(|_| (keep(k), k += 1).0);
            k = 0;
            self.elapsed_s.retain(|_| (keep(k), k += 1).0);
            let span = elapsed - self.elapsed_s.first().copied().unwrap_or(0.0);
            self.spacing_s = 2.0 * span / MOST as f64;
        }
    }

    /// Steps at the middle of each stretch, and steps a second in it.
    pub fn speeds(&self) -> Vec<[f64; 2]> {
        let moments: Vec<[f64; 2]> = (self.steps.iter().zip(&self.elapsed_s))
            .map(|(step, elapsed)| [*step as f64, *elapsed])
            .collect();
        let speed = |two: &[[f64; 2]]| {
            let [steps, time] = [two[1][0] - two[0][0], two[1][1] - two[0][1]];
            (steps > 0.0 && time > 0.0).then(|| [0.5 * (two[0][0] + two[1][0]), steps / time])
        };
        moments.windows(2).filter_map(speed).collect()
    }
}

/// The pace of a run that is under way, shared by who watches it, who keeps its clock and who writes it down.
#[derive(Debug, Clone, Default)]
pub struct RunPace(Arc<Mutex<PaceNow>>);

#[derive(Debug, Default)]
struct PaceNow {
    record: PaceRecord,
    /// Seconds that the steps took before this sitting.
    before: f64,
    /// When this sitting took its first step.
    began: Option<Instant>,
}

impl RunPace {
    /// The pace of a run that goes on from what is known so far, whose steps took `before` seconds.
    pub fn new(record: PaceRecord, before: f64) -> Self {
        Self(Arc::new(Mutex::new(PaceNow {
            record,
            before,
            began: None,
        })))
    }

    fn now(&self) -> MutexGuard<'_, PaceNow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock starts.
    pub fn begin(&self) {
        self.now().began = Some(Instant::now());
    }

    /// What is known so far.
    pub fn record(&self) -> PaceRecord {
        self.now().record.clone()
    }

    /// Takes in a moment; `pauses` is the time of this sitting in which no steps were taken.
    fn add(&self, step: u64, pauses: Duration) {
        let mut now = self.now();
        let began = *now.began.get_or_insert_with(Instant::now);
        let elapsed = now.before + began.elapsed().saturating_sub(pauses).as_secs_f64();
        now.record.add(step, elapsed);
    }

    /// Takes in the end of the run, whose steps took so long in all.
    pub fn end(&self, step: u64, elapsed: Duration) {
        self.now().record.add(step, elapsed.as_secs_f64());
    }
}

/// Watches how fast a run is, at the steps of its thermo table: none is looked at for this alone.
pub struct PaceMonitor {
    pace: RunPace,
    every: u64,
    /// Time in which no steps were taken.
    pauses: Box<dyn Fn() -> Duration + Send>,
}

impl PaceMonitor {
    /// Of a run that is looked at every `every` steps; `pauses` tells how much time of this sitting is none of its steps.
    pub fn new(pace: &RunPace, every: u64, pauses: impl Fn() -> Duration + Send + 'static) -> Self {
        Self {
            pace: pace.clone(),
            every,
            pauses: Box::new(pauses),
        }
    }
}

impl Reporter for PaceMonitor {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, self.every)
    }

    fn wants(&self) -> Fields {
        Fields::NONE
    }

    fn report(&mut self, snapshot: &Snapshot) -> Result<Signal> {
        self.pace.add(snapshot.step, (self.pauses)());
        Ok(Signal::Continue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However long a run is, moments are few, in order, evenly spread, and the first and the last are among them or near.
    #[test]
    fn moments_are_few_and_evenly_spread() {
        let mut record = PaceRecord::default();
        for k in 0..100_000_u64 {
            record.add(10 * k, 0.01 * k as f64);
        }
        assert!((20..=MOST).contains(&record.steps.len()), "{record:?}");
        assert_eq!(record.steps[0], 0);
        assert!(*record.steps.last().unwrap() > 950_000);
        let speeds = record.speeds();
        assert!(
            speeds
                .iter()
                .all(|[_, speed]| (speed - 1000.0).abs() < 1e-6)
        );
        let gaps: Vec<u64> = record.steps.windows(2).map(|two| two[1] - two[0]).collect();
        let most = gaps.iter().max().unwrap();
        assert!(gaps.iter().all(|gap| 4 * gap >= *most), "{gaps:?}");
    }

    /// A killed sitting is one stretch up to the checkpoint, whose time is known; what was beyond it is forgotten.
    #[test]
    fn a_run_that_goes_on_has_the_pace_up_to_its_checkpoint() {
        let mut record = PaceRecord::default();
        for k in 0..10 {
            record.add(100 * k, k as f64);
        }
        let record = record.until(450, 5.0);
        assert_eq!(record.steps, [0, 100, 200, 300, 400, 450]);
        assert_eq!(record.speeds()[5 - 1], [425.0, 50.0]);
        let mut anew = PaceRecord::default().until(1000, 10.0);
        anew.add(1100, 12.0);
        assert_eq!(anew.speeds(), [[1050.0, 50.0]]);
    }
}
