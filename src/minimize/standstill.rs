//! Whether a minimisation still goes anywhere.

use std::collections::VecDeque;

/// A largest force that falls to this part of the least before is progress.
const SMALLER: f64 = 0.9;

/// So many standard errors are seen.
const SEEN: f64 = 3.0;

/// Steps since the forces became smaller, and energies of the last ones.
#[derive(Debug, Clone)]
pub(super) struct Standstill {
    window: usize,
    values: VecDeque<f64>,
    least: f64,
    since: usize,
}

impl Standstill {
    /// Looks at so many steps.
    pub fn over(window: usize) -> Self {
        Self {
            window,
            values: VecDeque::with_capacity(window),
            least: f64::INFINITY,
            since: 0,
        }
    }

    /// Takes note of a step's energy (eV), and of its largest force as parts of what is asked for. Says whether neither has
    /// become lower by more than scatter in as many steps as it looks at.
    pub fn is_after(&mut self, value: f64, excess: f64) -> bool {
        if self.values.len() == self.window {
            self.values.pop_front();
        }
        self.values.push_back(value);
        self.since += 1;
        if excess < SMALLER * self.least {
            self.least = excess;
            self.since = 0;
        }
        if self.since < self.window || self.values.len() < self.window {
            return false;
        }
        self.since = 0;
        !self.goes_down()
    }

    /// Whether the second half of the energies lies below the first by more than its scatter.
    fn goes_down(&self) -> bool {
        let half = self.window / 2;
        let mean = |from: usize| self.values.range(from..from + half).sum::<f64>() / half as f64;
        let (before, after) = (mean(0), mean(half));
        let squares = (self.values.range(half..2 * half)).map(|v| (v - after) * (v - after));
        let error = (squares.sum::<f64>() / half as f64 / half as f64).sqrt();
        before - after > SEEN * error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_descents_go_on_and_scatter_is_an_end() {
        let mut slow = Standstill::over(100);
        assert!(!(0..10_000).any(|k| slow.is_after(-300.0 - 1e-9 * f64::from(k), 5.0)));
        // Smaller forces are progress too, where energies are at their last digit.
        let mut flat = Standstill::over(100);
        let excess = |k: i32| 100.0 * 0.99_f64.powi(k);
        assert!(!(0..1_000).any(|k| flat.is_after(-300.0, excess(k))));
        let mut rough = Standstill::over(100);
        let scatter = |k: u32| f64::from(k * 7919 % 101) * 1e-6;
        assert!((0..1_000).any(|k| rough.is_after(-300.0 + scatter(k), 5.0)));
    }
}
