//! Two neighbouring states of one ensemble: the logarithm of the ratio of their distributions is a straight line.
//!
//! Samples of an energy x at two temperatures have ln(P2 / P1) = const - (1/kT2 - 1/kT1) x whatever the density of states is,
//! and samples of a volume at two pressures ln(P2 / P1) = const - (p2 - p1) V / kT (Shirts, J. Chem. Theory Comput. 9, 909
//! (2013)). The slope is found by maximum likelihood: to which of the two states a value belongs is a logistic function of it.

use super::distribution::correlation;
use crate::report::series::Estimate;

/// Newton steps.
const STEPS: usize = 50;

/// A straight line through the logarithm of a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogRatio {
    /// Its slope, per unit of the samples.
    pub slope: Estimate,
    /// Its value where the samples are zero.
    pub constant: f64,
    /// Independent samples of each state.
    pub independent: [f64; 2],
}

/// Independent samples of a series, and whether it is long enough to tell which those are.
fn apart(series: &[f64]) -> (Vec<f64>, bool) {
    let (correlated, converged) = correlation(series);
    let stride = correlated.ceil().max(1.0) as usize;
    (series.iter().step_by(stride).copied().collect(), converged)
}

/// The line through ln(P2 / P1) of two series; `None` where they are too few, or do not overlap.
pub fn log_ratio(first: &[f64], second: &[f64]) -> Option<LogRatio> {
    const FEWEST: usize = 10;
    let [(first, known), (second, known_too)] = [apart(first), apart(second)];
    let states = [first, second];
    if states.iter().any(|state| state.len() < FEWEST) {
        return None;
    }
    let all = || states.iter().flatten().copied();
    let n = all().count() as f64;
    let mean = all().sum::<f64>() / n;
    let width = (all().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    if width <= 0.0 || width.is_nan() {
        return None;
    }
    let [one, two] = [0, 1].map(|k| states[k].len() as f64);
    let more = (two / one).ln();
    let [mut a, mut b] = [0.0; 2];
    for _ in 0..STEPS {
        let [mut ga, mut gb, mut aa, mut ab, mut bb] = [0.0; 5];
        for (k, state) in states.iter().enumerate() {
            for x in state {
                let z = (x - mean) / width;
                let p = 1.0 / (1.0 + (-(a + b * z + more)).exp());
                let (off, weight) = (k as f64 - p, p * (1.0 - p));
                ga += off;
                gb += off * z;
                aa += weight;
                ab += weight * z;
                bb += weight * z * z;
            }
        }
        let determinant = aa * bb - ab * ab;
        if determinant <= 1e-12 * n || determinant.is_nan() {
            return None;
        }
        let step = [
            (bb * ga - ab * gb) / determinant,
            (aa * gb - ab * ga) / determinant,
        ];
        a += step[0];
        b += step[1];
        if step[0].abs() + step[1].abs() < 1e-12 {
            let error = (aa / determinant).sqrt() / width;
            return Some(LogRatio {
                slope: Estimate {
                    value: b / width,
                    error,
                    converged: known && known_too,
                },
                constant: a - b * mean / width,
                independent: [one, two],
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::rng::{Noise, Stream};

    /// Normal numbers of one width about two means: the slope is the distance of the means over the square of the width.
    #[test]
    fn the_slope_of_normal_numbers_is_known() {
        let noise = Noise::new(3);
        let draw = |mean: f64, k: u32| -> Vec<f64> {
            let at = |i: u64| mean + 2.0 * noise.normal3(i, k, Stream::Velocities).x;
            (0..20_000).map(at).collect()
        };
        let found = log_ratio(&draw(10.0, 0), &draw(13.0, 1)).unwrap();
        let Estimate { value, error, .. } = found.slope;
        assert!((value - 0.75).abs() < 4.0 * error, "{value} +- {error}");
        assert!(error < 0.01, "{error}");
        // The line is zero halfway.
        assert!(
            (found.constant + 0.75 * 11.5).abs() < 0.2,
            "{}",
            found.constant
        );
    }
}
