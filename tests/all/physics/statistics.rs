//! Statistics of correlated series, and the gamma distribution.

/// Mean of a series.
pub fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Variance of a series.
pub fn variance(x: &[f64]) -> f64 {
    let m = mean(x);
    x.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (x.len() - 1) as f64
}

/// Samples per independent sample of a stationary series: 1 + 2 sum of the autocorrelation, summed
/// until it first falls below zero (Chodera et al., J. Chem. Theory Comput. 3, 26 (2007)).
pub fn inefficiency(x: &[f64]) -> f64 {
    let (m, n) = (mean(x), x.len());
    let d: Vec<f64> = x.iter().map(|x| x - m).collect();
    let zero = d.iter().map(|d| d * d).sum::<f64>() / n as f64;
    let mut g = 1.0;
    for lag in 1..n / 2 {
        let c: f64 = (0..n - lag).map(|i| d[i] * d[i + lag]).sum();
        let c = c / ((n - lag) as f64 * zero);
        if c <= 0.0 {
            break;
        }
        g += 2.0 * c * (1.0 - lag as f64 / n as f64);
    }
    g
}

/// Standard error of the mean of a correlated series.
pub fn standard_error(x: &[f64]) -> f64 {
    (variance(x) * inefficiency(x) / x.len() as f64).sqrt()
}

/// How many standard errors the mean of a series is away from `expected`.
pub fn deviation(x: &[f64], expected: f64) -> f64 {
    (mean(x) - expected) / standard_error(x)
}

/// Least-squares slope of y over x.
pub fn slope(x: &[f64], y: &[f64]) -> f64 {
    let (mx, my) = (mean(x), mean(y));
    let above: f64 = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum();
    above / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
}

/// ln Gamma(a) by Stirling's series, shifted up to where it is exact to rounding.
fn ln_gamma(a: f64) -> f64 {
    let mut shift = 0.0;
    let mut x = a;
    while x < 30.0 {
        shift += x.ln();
        x += 1.0;
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - shift
}

/// The regularised lower incomplete gamma function P(a, x), by its power series.
pub fn gamma_cdf(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let (mut term, mut sum, mut k) = (1.0, 1.0, a);
    while term > 1e-17 * sum {
        k += 1.0;
        term *= x / k;
        sum += term;
    }
    (sum.ln() + a * x.ln() - x - ln_gamma(a + 1.0))
        .exp()
        .min(1.0)
}

/// Kolmogorov-Smirnov: sqrt(n) times the largest distance between the distribution of independent
/// samples and `cdf`. Exceeds 1.63 by chance in 1 of 100 cases, 1.95 in 1 of 1000.
pub fn kolmogorov_smirnov(samples: &[f64], cdf: impl Fn(f64) -> f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distance = |(i, x): (usize, &f64)| {
        let p = cdf(*x);
        (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
    };
    sorted.iter().enumerate().map(distance).fold(0.0, f64::max) * n.sqrt()
}

#[test]
fn the_gamma_distribution_is_right() {
    // P(1, x) = 1 - exp(-x); P(1/2, x) = erf(sqrt x); P(a, a) -> 1/2 + 1 / (3 sqrt(2 pi a)).
    for x in [0.1, 1.0, 5.0, 30.0_f64] {
        assert!((gamma_cdf(1.0, x) - (1.0 - (-x).exp())).abs() < 1e-12);
    }
    assert!((gamma_cdf(0.5, 1.0) - 0.842_700_792_949_715).abs() < 1e-12);
    let a = 162.0_f64;
    let middle = 0.5 + 1.0 / (3.0 * (std::f64::consts::TAU * a).sqrt());
    assert!((gamma_cdf(a, a) - middle).abs() < 1e-4);
}
