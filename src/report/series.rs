//! Statistics of a time series, gathered sample by sample: mean and slope with error bars that heed
//! how samples are correlated.
//!
//! # Slope
//!
//! The slope of the least-squares line through samples (t, y) is S_ty / S_tt, with the sums of products
//! of deviations from the means, updated as each sample comes (Welford, Technometrics 4, 419 (1962)):
//! nothing large is subtracted from anything large, and both t and y count from their first sample, so
//! that an energy of -1e6 eV costs no digits.
//!
//! # Error bars
//!
//! Blocking (Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989)): level k sees means of 2^k samples
//! in sequence. If blocks were independent, the variance of the slope fitted to the n_k block means
//! would be RSS_k / (n_k - 2) / S_tt,k, with the residual sum of squares RSS = S_yy - S_ty^2 / S_tt, and
//! that of the mean S_yy,k / (n_k (n_k - 1)). Correlated samples make low levels too hopeful (or, where
//! neighbours are anticorrelated as in a fast vibration, too gloomy); once blocks are longer than the
//! correlation the estimate stays level, while its own scatter grows as fewer blocks remain. Chosen is
//! the shortest block B = 2^k with B^3 > 2 n (e_k / e_0)^4, e_k the error bar at level k (Lee, Conduit,
//! Nemec, Lopez Rios, Drummond, Phys. Rev. E 83, 066706 (2011)), which balances the two. Where no level
//! with enough blocks fulfils it, the series is too short for its correlation: the largest error bar
//! seen is given and marked as a lower bound. Of a series only 40 times as long as its correlation the
//! error bar comes out a quarter too small; of one 100 times as long, a tenth.
//!
//! Memory is one small record per level: 30 of them for 1e9 samples.

use serde::{Deserialize, Serialize};

use crate::text::significant;

/// Fewest blocks from which a variance is estimated: its own relative error is then sqrt(2 / 14) / 2,
/// or 19 %.
const FEWEST_BLOCKS: u64 = 16;

/// Fewest differences of neighbouring blocks from which a random walk is told.
const FEWEST_PAIRS: u64 = 8;

/// A number with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// Whether the series is long enough, compared with its correlation time, for the error to be
    /// more than a lower bound.
    pub converged: bool,
}

impl Estimate {
    /// Converts to another unit.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            error: self.error * factor.abs(),
            ..self
        }
    }

    /// The number with its error, to two digits of the error: `"164.9 +- 1.1"`.
    pub fn text(&self) -> String {
        /// Most decimals of a number that is nearly exact.
        const MOST: f64 = 9.0;
        if !(self.error > 0.0 && self.error.is_finite()) {
            return significant(self.value, 6);
        }
        let decimals = (1.0 - self.error.log10().floor()).clamp(0.0, MOST) as usize;
        format!("{:.decimals$} +- {:.decimals$}", self.value, self.error)
    }
}

/// Sums of deviations from the means of points (t, y).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Sums {
    count: u64,
    mean_t: f64,
    mean_y: f64,
    tt: f64,
    ty: f64,
    yy: f64,
}

impl Sums {
    fn add(&mut self, t: f64, y: f64) {
        self.count += 1;
        let weight = 1.0 / self.count as f64;
        let (before_t, before_y) = (t - self.mean_t, y - self.mean_y);
        self.mean_t += before_t * weight;
        self.mean_y += before_y * weight;
        let after_y = y - self.mean_y;
        self.tt += before_t * (t - self.mean_t);
        self.ty += before_t * after_y;
        self.yy += before_y * after_y;
    }

    fn slope(&self) -> f64 {
        self.ty / self.tt
    }

    /// Sum of squared residuals about the line.
    fn residual(&self) -> f64 {
        (self.yy - self.ty * self.slope()).max(0.0)
    }

    /// Variance of the slope, if the points are independent.
    fn slope_variance(&self) -> f64 {
        self.residual() / (self.count as f64 - 2.0) / self.tt
    }

    /// Variance of the mean of y, if the points are independent.
    fn mean_variance(&self) -> f64 {
        let n = self.count as f64;
        self.yy / (n * (n - 1.0))
    }
}

/// One level of blocking.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Level {
    sums: Sums,
    /// The first of two blocks that will make one of the next level.
    half: Option<(f64, f64)>,
    /// Sum of the squared differences of such two.
    differences: f64,
}

/// A time series as it is remembered: see the module for the method.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Series {
    origin: Option<(f64, f64)>,
    levels: Vec<Level>,
    last: f64,
}

impl Series {
    /// Takes in the value `y` at time `t`; times ascend.
    pub fn add(&mut self, t: f64, y: f64) {
        let (t0, y0) = *self.origin.get_or_insert((t, y));
        self.last = t;
        let (mut t, mut y) = (t - t0, y - y0);
        for k in 0.. {
            if k == self.levels.len() {
                self.levels.push(Level::default());
            }
            let level = &mut self.levels[k];
            level.sums.add(t, y);
            match level.half.take() {
                None => {
                    level.half = Some((t, y));
                    break;
                }
                Some((t1, y1)) => {
                    level.differences += (y - y1).powi(2);
                    (t, y) = (0.5 * (t1 + t), 0.5 * (y1 + y));
                }
            }
        }
    }

    fn all(&self) -> Option<&Sums> {
        self.levels.first().map(|level| &level.sums)
    }

    /// Number of levels of blocking.
    pub(super) fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.all().map_or(0, |sums| sums.count)
    }

    /// The first value.
    pub fn first(&self) -> Option<f64> {
        self.origin.map(|(_, value)| value)
    }

    /// Time from the first sample to the last.
    pub fn span(&self) -> f64 {
        self.origin.map_or(0.0, |(first, _)| self.last - first)
    }

    /// Mean of the values.
    pub fn mean(&self) -> Option<Estimate> {
        let (_, y0) = self.origin?;
        let value = y0 + self.all()?.mean_y;
        let (error, converged) = self.error(Sums::mean_variance)?;
        Some(Estimate {
            value,
            error,
            converged,
        })
    }

    /// Slope of the least-squares line; none for fewer than three samples.
    pub fn slope(&self) -> Option<Estimate> {
        let sums = self.all().filter(|sums| sums.tt > 0.0)?;
        let (error, converged) = self.error(Sums::slope_variance)?;
        Some(Estimate {
            value: sums.slope(),
            error,
            converged,
        })
    }

    /// Slope of the least-squares line through values that go off on a random walk, besides their noise: an error
    /// that is made anew each time and never taken back. Its error bar falls as the time to the power of -1/2.
    ///
    /// With d the difference of the means of two neighbouring blocks of length t, <d^2> = a / t + 2/3 s^2 t: noise,
    /// and a walk of variance s^2 per time. Both are fitted to the blocks that last `shortest` or longer, for which
    /// noise is white. The slope then has the variance 6 a / T^3 + 6/5 s^2 / T over the time T.
    pub fn slope_of_walk(&self, shortest: f64) -> Option<Estimate> {
        let sums = self.all().filter(|sums| sums.tt > 0.0)?;
        let (error, _) = self.error(Sums::slope_variance)?;
        let unsure = Estimate {
            value: sums.slope(),
            error,
            converged: false,
        };
        let spacing = self.span() / (sums.count as f64 - 1.0);
        let blocks = self.levels.iter().enumerate().filter_map(|(k, level)| {
            let (time, pairs) = (spacing * 2_f64.powi(k as i32), level.sums.count / 2);
            let usable = time >= shortest && pairs >= FEWEST_PAIRS && level.differences > 0.0;
            usable.then(|| (time, level.differences / pairs as f64, pairs as f64))
        });
        let Some([noise, walk]) = noise_and_walk(blocks) else {
            return Some(unsure);
        };
        let total = self.span();
        let variance = 6.0 * noise / total.powi(3) + 1.2 * walk / total;
        Some(Estimate {
            error: variance.sqrt(),
            converged: true,
            ..unsure
        })
    }

    /// Root mean square deviation from the least-squares line.
    pub fn fluctuation(&self) -> Option<f64> {
        let sums = self.all().filter(|sums| sums.tt > 0.0)?;
        Some((sums.residual() / sums.count as f64).sqrt())
    }

    /// Standard deviation of the values within blocks that last `time` or longer (at most twice as long): what goes on
    /// faster, whatever the values do in the long run. `None` where there is no such block.
    ///
    /// Blocks of 2^k samples consist of two halves each, which consist of two halves each. With d_j the difference of
    /// the means of two neighbours of 2^j samples, the variance within is 2^(k-2) / (2^k - 1) times the sum over
    /// j < k of the mean of d_j^2 (analysis of variance).
    pub fn deviation_within(&self, time: f64) -> Option<f64> {
        let sums = self.all().filter(|sums| sums.count > 1)?;
        let spacing = self.span() / (sums.count as f64 - 1.0);
        let mut mean_squares = 0.0;
        for (k, level) in self.levels.iter().enumerate() {
            let pairs = level.sums.count / 2;
            if pairs == 0 {
                return None;
            }
            mean_squares += level.differences / pairs as f64;
            let block = 2_f64.powi(k as i32 + 1);
            if block * spacing >= time {
                return Some((0.25 * block / (block - 1.0) * mean_squares).sqrt());
            }
        }
        None
    }

    /// Standard deviation of the values.
    pub fn deviation(&self) -> Option<f64> {
        let sums = self.all().filter(|sums| sums.count > 1)?;
        Some((sums.yy / (sums.count as f64 - 1.0)).sqrt())
    }

    /// The error bar by blocking, and whether it is converged; none for fewer than three samples.
    fn error(&self, variance: impl Fn(&Sums) -> f64) -> Option<(f64, bool)> {
        let sums = self.all().filter(|sums| sums.count > 2)?;
        let (samples, lowest) = (sums.count as f64, variance(sums));
        let enough = |level: &&Level| level.sums.count >= FEWEST_BLOCKS;
        let mut largest = lowest;
        for (k, level) in self.levels.iter().take_while(enough).enumerate() {
            let here = variance(&level.sums);
            largest = largest.max(here);
            // e_k^4 is the square of the variance; all zero for a perfectly straight line.
            let ratio = if lowest > 0.0 { here / lowest } else { 1.0 };
            if 8_f64.powi(k as i32) > 2.0 * samples * ratio * ratio {
                return Some((here.sqrt(), true));
            }
        }
        Some((largest.sqrt(), false))
    }
}

/// Fits a / t + 2/3 s^2 t to mean squared differences of blocks, given as (t, mean, how many): a and s^2. `None` for
/// fewer than three lengths. A walk that is not seen is as large as the error of the fit.
fn noise_and_walk(blocks: impl Iterator<Item = (f64, f64, f64)>) -> Option<[f64; 2]> {
    let mut lengths = 0;
    let [mut xx, mut xy, mut yy, mut xd, mut yd] = [0.0; 5];
    for (time, mean, pairs) in blocks {
        // A mean of n squares of normal numbers has the relative variance 2 / n.
        let weight = pairs / (2.0 * mean * mean);
        let (x, y) = (1.0 / time, 2.0 / 3.0 * time);
        xx += weight * x * x;
        xy += weight * x * y;
        yy += weight * y * y;
        xd += weight * x * mean;
        yd += weight * y * mean;
        lengths += 1;
    }
    let determinant = xx * yy - xy * xy;
    let solvable = determinant > 0.0;
    if lengths < 3 || !solvable {
        return None;
    }
    let noise = (yy * xd - xy * yd) / determinant;
    let walk = (xx * yd - xy * xd) / determinant;
    let least = (xx / determinant).sqrt();
    Some([noise.max(0.0), walk.max(least)])
}
