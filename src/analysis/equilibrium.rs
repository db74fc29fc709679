//! Where a time series has come to equilibrium (Chodera, J. Chem. Theory Comput. 12, 1799 (2016)): what is thrown away is so
//! much that the most independent samples are left.

/// Lags that are summed even where their correlation is negative (Chodera et al., J. Chem. Theory Comput. 3, 26 (2007)).
const LEAST_LAG: usize = 3;
/// Starts that are tried.
const STARTS: usize = 200;

/// Where equilibrium begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equilibrium {
    /// Samples before it.
    pub start: usize,
    /// Samples that one independent of it takes, from there on (1 where they do not know each other).
    pub inefficiency: f64,
    /// Independent samples from there on.
    pub independent: f64,
}

/// Steps between the starts that are tried in a series of so many samples.
pub fn stride(samples: usize) -> usize {
    samples.div_ceil(STARTS).max(1)
}

/// Finds where equilibrium begins; `None` for a series of fewer than 10 samples, or one that does not change.
pub fn find(series: &[f64]) -> Option<Equilibrium> {
    find_within(series, series.len())
}

/// Finds it among so many samples at the beginning: of a short series its end alone may seem the best part, where there are too
/// few samples left to tell how long they know each other.
pub fn find_within(series: &[f64], beginning: usize) -> Option<Equilibrium> {
    const FEWEST: usize = 10;
    let first = *series.first().filter(|_| series.len() >= FEWEST)?;
    if series.iter().all(|value| *value == first) {
        return None;
    }
    let starts = (0..(series.len() - 1).min(beginning.max(1))).step_by(stride(series.len()));
    let judged = starts.map(|start| {
        let rest = &series[start..];
        let inefficiency = inefficiency(rest);
        Equilibrium {
            start,
            inefficiency,
            independent: (rest.len() as f64 + 1.0) / inefficiency,
        }
    });
    judged.fold(None, |best: Option<Equilibrium>, one| match best {
        Some(best) if best.independent >= one.independent => Some(best),
        _ => Some(one),
    })
}

/// The statistical inefficiency of a series: 1 + 2 sum over lags t of (1 - t / n) C(t), up to where the correlation C is first
/// zero or less.
pub fn inefficiency(series: &[f64]) -> f64 {
    let n = series.len();
    let mean = series.iter().sum::<f64>() / n as f64;
    let about: Vec<f64> = series.iter().map(|value| value - mean).collect();
    let variance = about.iter().map(|d| d * d).sum::<f64>() / n as f64;
    // A rest that does not change is one sample.
    if variance <= 0.0 {
        return n as f64 + 1.0;
    }
    let mut sum = 1.0;
    for lag in 1..n.saturating_sub(1) {
        let pairs = about.iter().zip(&about[lag..]);
        let correlation = pairs.map(|(a, b)| a * b).sum::<f64>() / ((n - lag) as f64 * variance);
        if correlation <= 0.0 && lag > LEAST_LAG {
            break;
        }
        sum += 2.0 * correlation * (1.0 - lag as f64 / n as f64);
    }
    sum.max(1.0)
}
