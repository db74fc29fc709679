//! How samples of an energy lie beside a gamma distribution: mean, width and shape, each with what correlation leaves of it.

use statrs::function::gamma::gamma_lr;

use super::line::SURE;
use crate::analysis::equilibrium::inefficiency;
use crate::report::series::{Estimate, Series};

/// The gamma distribution's function P(a, x): the part of the values of shape `a` and scale 1 that is less than `x`.
pub fn gamma_cdf(a: f64, x: f64) -> f64 {
    match x > 0.0 {
        true => gamma_lr(a, x),
        false => 0.0,
    }
}

/// Samples that one independent of it takes, by the sum of correlations or by blocks, whichever is more; and whether the series
/// is long enough for blocks to tell.
pub(super) fn correlation(samples: &[f64]) -> (f64, bool) {
    let mut series = Series::default();
    for (k, x) in samples.iter().enumerate() {
        series.add(k as f64, *x);
    }
    let by_sum = inefficiency(samples);
    let (Some(mean), Some(deviation)) = (series.mean(), series.deviation()) else {
        return (by_sum, false);
    };
    let by_blocks = samples.len() as f64 * (mean.error / deviation).powi(2);
    (by_sum.max(by_blocks), mean.converged)
}

/// Samples beside the gamma distribution of some shape and scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GammaFit {
    /// Independent samples.
    pub independent: f64,
    /// Relative deviation of the mean.
    pub mean: Estimate,
    /// Relative deviation of the standard deviation.
    pub width: Estimate,
    /// Probability that independent samples of that distribution are so far from it as these (Kolmogorov, Smirnov).
    pub likelihood: f64,
}

impl GammaFit {
    /// Of samples in their order; `None` where they are too few.
    pub fn of(samples: &[f64], shape: f64, scale: f64) -> Option<Self> {
        const FEWEST: usize = 10;
        if samples.len() < FEWEST {
            return None;
        }
        let n = samples.len() as f64;
        let (correlated, converged) = correlation(samples);
        let independent = n / correlated;
        let mean = samples.iter().sum::<f64>() / n;
        let squares: Vec<f64> = samples.iter().map(|x| (x - mean).powi(2)).collect();
        let variance = squares.iter().sum::<f64>() / (n - 1.0);
        let (expected, deviation) = (shape * scale, shape.sqrt() * scale);
        // The variance of a mean square of n values is (2 + excess kurtosis) / n of its square; a gamma distribution's excess
        // is 6 / shape.
        let of_squares = n / correlation(&squares).0;
        let spread = (2.0 + 6.0 / shape) / of_squares;
        let known = |value: f64, error: f64| Estimate {
            value,
            error,
            converged,
        };
        let stride = correlated.ceil() as usize;
        let apart: Vec<f64> = samples.iter().step_by(stride.max(1)).copied().collect();
        Some(Self {
            independent,
            mean: known(
                mean / expected - 1.0,
                deviation / independent.sqrt() / expected,
            ),
            width: known(variance.sqrt() / deviation - 1.0, 0.5 * spread.sqrt()),
            likelihood: likelihood(apart, |x| gamma_cdf(shape, x / scale)),
        })
    }

    /// Whether the shape is certainly another one.
    pub fn is_another(&self) -> bool {
        self.likelihood < chance()
    }
}

/// The probability of a deviation by [`SURE`] standard errors.
fn chance() -> f64 {
    statrs::function::erf::erfc(SURE / std::f64::consts::SQRT_2)
}

/// The probability that so large a distance between samples and a distribution comes about by chance.
fn likelihood(mut samples: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let n = samples.len() as f64;
    let distance = |(i, x): (usize, &f64)| {
        let p = cdf(*x);
        (p - i as f64 / n).abs().max(((i + 1) as f64 / n - p).abs())
    };
    let most = samples.iter().enumerate().map(distance).fold(0.0, f64::max);
    kolmogorov((n.sqrt() + 0.12 + 0.11 / n.sqrt()) * most)
}

/// Kolmogorov's distribution from `x` on (Stephens' form of it for samples, J. R. Stat. Soc. B 32, 115 (1970)).
fn kolmogorov(x: f64) -> f64 {
    if x < 0.2 {
        return 1.0;
    }
    let term = |k: i32| (-1f64).powi(k - 1) * (-2.0 * f64::from(k * k) * x * x).exp();
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_those_of_tables() {
        // P(1, x) = 1 - exp(-x); P(1/2, 1) = erf(1).
        assert!((gamma_cdf(1.0, 0.3) - (1.0 - (-0.3f64).exp())).abs() < 1e-12);
        assert!((gamma_cdf(0.5, 1.0) - 0.842_700_792_949_715).abs() < 1e-10);
        assert_eq!(gamma_cdf(2.0, -1.0), 0.0);
        // Beyond 1.3581 in one of twenty cases, beyond 1.6276 in one of a hundred (Smirnov's table).
        assert!((kolmogorov(1.3581) - 0.05).abs() < 1e-4);
        assert!((kolmogorov(1.6276) - 0.01).abs() < 1e-4);
        assert!((chance() - 6.334e-5).abs() < 1e-7);
    }
}
