//! What is left of the time that a suite may take.

use std::time::{Duration, Instant};

/// Time is up at a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct SuiteClock {
    begin: Instant,
    end: Instant,
}

impl SuiteClock {
    /// Begins now, and ends in so many minutes.
    pub(super) fn of(minutes: f64) -> Self {
        let begin = Instant::now();
        let length = Duration::try_from_secs_f64(60.0 * minutes).unwrap_or(Duration::MAX);
        Self {
            begin,
            end: begin.checked_add(length).unwrap_or(begin + YEAR),
        }
    }

    /// Whether there are so many seconds left.
    pub(super) fn has(&self, seconds: f64) -> bool {
        self.left().as_secs_f64() > seconds
    }

    /// What is left.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// What has gone by.
    pub(super) fn taken(&self) -> Duration {
        self.begin.elapsed()
    }
}

/// Longer than anyone waits.
const YEAR: Duration = Duration::from_secs(365 * 86400);
