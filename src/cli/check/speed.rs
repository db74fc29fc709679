//! How long a step takes: the median over blocks of steps, whose length grows until their time can be told.

use std::time::{Duration, Instant};

use crate::Result;

/// What blocks of steps are timed.
pub(super) struct BlockTimer {
    /// How many count.
    pub blocks: usize,
    /// Least time that one takes; the short ones before are for warming up.
    pub block_time: Duration,
    /// Most steps of one.
    pub most_steps: u64,
    /// Time that all of them may take; one is timed whatever it takes.
    pub patience: Duration,
}

impl BlockTimer {
    /// The median time of a step (s). `run` takes so many steps and says how long they took; `None`, for it and for the
    /// whole, where they broke off.
    ///
    /// # Errors
    /// Those of `run`.
    pub fn median(
        &self,
        mut run: impl FnMut(u64) -> Result<Option<Duration>>,
    ) -> Result<Option<f64>> {
        let deadline = Instant::now() + self.patience;
        let mut times: Vec<f64> = Vec::new();
        let mut steps = 1;
        while times.len() < self.blocks && (times.is_empty() || Instant::now() < deadline) {
            let Some(elapsed) = run(steps)? else {
                return Ok(None);
            };
            if elapsed < self.block_time && steps < self.most_steps {
                steps *= 2
            } else {
                times.push(elapsed.as_secs_f64() / steps as f64)
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(times.get(times.len() / 2).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks double until they are long enough, and those alone count.
    #[test]
    fn short_blocks_do_not_count() {
        let timer = BlockTimer {
            blocks: 3,
            block_time: Duration::from_millis(7),
            most_steps: 1 << 10,
            patience: Duration::from_secs(60),
        };
        let mut lengths = Vec::new();
        let median = timer.median(|steps| {
            lengths.push(steps);
            let warm = if lengths.len() < 3 { 2 } else { 1 };
            Ok(Some(Duration::from_millis(warm * steps)))
        });
        assert_eq!(lengths, [1, 2, 4, 8, 8, 8]);
        assert_eq!(median.unwrap(), Some(1e-3));
        assert_eq!(timer.median(|_| Ok(None)).unwrap(), None);
    }
}
