//! How fast a run goes, from what is seen of it.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::text;

/// Time over which the speed is taken.
const WINDOW: Duration = Duration::from_secs(60);
/// A shorter time tells no speed.
const SHORTEST: Duration = Duration::from_millis(500);

/// How fast a run goes.
#[derive(Debug, Default)]
pub(super) struct WatchedPace {
    /// Moments at which steps were seen to have been taken.
    seen: VecDeque<(Instant, u64)>,
    /// Steps a second since the sitting began, until more is seen.
    whole: Option<f64>,
}

impl WatchedPace {
    /// Takes note of `steps`, which a table that `path` names tells of; the sitting began at a step, at a moment.
    pub fn note(&mut self, steps: u64, (from, at): (u64, Option<&str>), path: &Path) {
        let now = Instant::now();
        if self.seen.back().is_none_or(|(_, last)| *last != steps) {
            self.seen.push_back((now, steps));
        }
        while self.seen.len() > 2 && now.duration_since(self.seen[0].0) > WINDOW {
            self.seen.pop_front();
        }
        let written = fs::metadata(path).and_then(|found| found.modified()).ok();
        let began = at.and_then(text::moment);
        self.whole =
            (written.zip(began)).and_then(|(written, began)| since(written, began, steps, from));
    }

    /// Steps a second, of all members together.
    pub fn steps_per_second(&self) -> Option<f64> {
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let time = last.0.duration_since(first.0);
        match last.1.checked_sub(first.1) {
            // The first change came at some moment between two looks: two more make a good measure.
            Some(steps @ 1..) if time >= SHORTEST && self.seen.len() > 2 => {
                Some(steps as f64 / time.as_secs_f64())
            }
            _ => self.whole,
        }
    }
}

/// Steps a second from a moment, at which `from` steps were taken, to another.
fn since(written: SystemTime, began: SystemTime, steps: u64, from: u64) -> Option<f64> {
    let time = written.duration_since(began).ok()?;
    let steps = steps.checked_sub(from).filter(|steps| *steps > 0)?;
    (time >= SHORTEST).then(|| steps as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_steps_over_time() {
        let began = SystemTime::UNIX_EPOCH;
        let after = |seconds: f64| began + Duration::from_secs_f64(seconds);
        assert_eq!(since(after(10.0), began, 300, 100), Some(20.0));
        assert_eq!(since(after(10.0), began, 100, 100), None);
        assert_eq!(since(after(0.1), began, 300, 100), None);
        assert_eq!(since(began, after(1.0), 300, 100), None);
        let now = Instant::now();
        let pace = WatchedPace {
            seen: [(0, 0), (2, 50), (4, 100)]
                .map(|(seconds, step)| (now + Duration::from_secs(seconds), step))
                .into(),
            whole: Some(7.0),
        };
        assert_eq!(pace.steps_per_second(), Some(25.0));
        let seen = VecDeque::from([(now, 5)]);
        assert_eq!(
            WatchedPace {
                seen,
                whole: Some(7.0)
            }
            .steps_per_second(),
            Some(7.0)
        );
    }
}
