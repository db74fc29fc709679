//! How much a validation measures: times to simulate, and what may be spent on it.

use std::time::Duration;

use crate::units::PICOSECOND;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Depth {
    /// Time (internal) of a run at constant energy.
    pub constant_energy: f64,
    /// Time that all of it may take, as far as what a test needs at the least allows it.
    pub whole: Duration,
    /// Time that steps at constant energy may take.
    pub stepping: Duration,
    /// Time that samples of an ensemble may take.
    pub sampling: Duration,
    /// Relative deviation of a temperature that has to be seen for certain.
    pub temperature: f64,
    /// Relative deviation of the slope of a logarithm of ratios that has to be seen for certain.
    pub ratio: f64,
}

impl Depth {
    /// What takes a minute at the most, where the system is small.
    pub const QUICK: Self = Self {
        constant_energy: 5.0 * PICOSECOND,
        whole: Duration::from_secs(60),
        stepping: Duration::from_secs(20),
        sampling: Duration::from_secs(20),
        temperature: 0.1,
        ratio: 1.0,
    };

    /// What takes so long at the most: as much as tells a temperature that is off by 3 %.
    pub fn within(time: Duration) -> Self {
        Self {
            constant_energy: 50.0 * PICOSECOND,
            whole: time,
            stepping: time.mul_f64(0.35),
            sampling: time.mul_f64(0.55),
            temperature: 0.03,
            ratio: 0.5,
        }
    }
}
