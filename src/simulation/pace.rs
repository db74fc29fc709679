//! How long a block of steps may be: the latency of an interrupt.

use std::time::Duration;

/// A block is cut so that it takes about this long.
const BLOCK_TIME: Duration = Duration::from_millis(200);

/// How many steps fit into a block of [`BLOCK_TIME`].
#[derive(Default)]
pub(super) struct Pace {
    seconds_per_step: Option<f64>,
}

impl Pace {
    pub fn steps(&self) -> u64 {
        self.seconds_per_step
            .map_or(1, |s| (BLOCK_TIME.as_secs_f64() / s).max(1.0) as u64)
    }

    pub fn record(&mut self, steps: u64, elapsed: Duration) {
        if steps > 0 {
            self.seconds_per_step = Some((elapsed.as_secs_f64() / steps as f64).max(1e-9));
        }
    }
}
