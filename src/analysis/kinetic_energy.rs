//! The distribution of the kinetic energy, beside that of the canonical ensemble.
//!
//! Momenta of a canonical ensemble are Gaussian whatever the potential is, so that twice the kinetic energy in kT is the sum of
//! the squares of as many standard normal numbers as there are degrees of freedom: chi-square, or the kinetic energy itself a
//! gamma distribution of shape n / 2 and scale kT (Shirts, J. Chem. Theory Comput. 9, 909 (2013)).

use crate::plot::{Drawn, Plot, PlotAxis, PlotSeries};

/// Most bars.
const MOST_BARS: usize = 40;
/// Samples for each bar at least, on average.
const PER_BAR: usize = 12;
/// Fewest samples that make a picture.
const FEWEST: usize = 20;
/// Standard deviations of the theory that are always shown.
const SHOWN: f64 = 3.2;
/// Points of the curve.
const CURVE: usize = 160;

/// The kinetic energy that a canonical ensemble has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanonicalKinetic {
    /// Degrees of freedom, at least one.
    pub degrees_of_freedom: usize,
    /// kT, in the unit of the kinetic energy.
    pub kt: f64,
}

impl CanonicalKinetic {
    /// The mean, n kT / 2.
    pub fn mean(&self) -> f64 {
        0.5 * self.degrees_of_freedom as f64 * self.kt
    }

    /// The standard deviation, sqrt(n / 2) kT.
    pub fn deviation(&self) -> f64 {
        (0.5 * self.degrees_of_freedom as f64).sqrt() * self.kt
    }

    /// The probability density at a kinetic energy.
    pub fn density(&self, kinetic: f64) -> f64 {
        if kinetic <= 0.0 || self.kt <= 0.0 {
            return 0.0;
        }
        let shape = 0.5 * self.degrees_of_freedom as f64;
        let x = kinetic / self.kt;
        ((shape - 1.0) * x.ln() - x - ln_gamma_of_half(self.degrees_of_freedom)).exp() / self.kt
    }
}

/// The logarithm of the gamma function of n / 2.
fn ln_gamma_of_half(n: usize) -> f64 {
    // Gamma(1) = 1 and Gamma(1/2) = sqrt(pi), and Gamma(x + 1) = x Gamma(x).
    let (mut x, mut sum) = match n % 2 {
        0 => (1.0, 0.0),
        _ => (0.5, 0.5 * std::f64::consts::PI.ln()),
    };
    while x + 0.25 < 0.5 * n as f64 {
        sum += f64::ln(x);
        x += 1.0;
    }
    sum
}

/// A histogram of kinetic energies, normalised to one.
#[derive(Debug, Clone, PartialEq)]
pub struct KineticHistogram {
    /// The lower end of the first bar.
    pub first: f64,
    /// The width of each.
    pub width: f64,
    /// Probability density in each.
    pub densities: Vec<f64>,
    /// Samples.
    pub samples: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
}

impl KineticHistogram {
    /// Of samples, with room for a theory to be drawn over it; `None` of fewer than 20 samples, or of such that are all alike.
    pub fn of(samples: &[f64], theory: Option<&CanonicalKinetic>) -> Option<Self> {
        let samples: Vec<f64> = (samples.iter().copied())
            .filter(|sample| sample.is_finite())
            .collect();
        if samples.len() < FEWEST {
            return None;
        }
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let squares = samples.iter().map(|sample| (sample - mean).powi(2));
        let deviation = (squares.sum::<f64>() / (count - 1.0)).sqrt();
        let (mut low, mut high) = (samples.iter()).fold((mean, mean), |(low, high), sample| {
            (low.min(*sample), high.max(*sample))
        });
        // Rounding alone makes no distribution.
        if high - low <= 1e-9 * mean.abs() || !deviation.is_finite() {
            return None;
        }
        let bars = (samples.len() / PER_BAR).clamp(5, MOST_BARS);
        let width = (high - low) / bars as f64;
        if let Some(theory) = theory {
            low = low.min((theory.mean() - SHOWN * theory.deviation()).max(0.0));
            high = high.max(theory.mean() + SHOWN * theory.deviation());
        }
        // Bars are no wider than the samples ask for, and no more than can be told apart.
        let bars = (((high - low) / width).ceil() as usize).clamp(5, 2 * MOST_BARS);
        let width = (high - low) / bars as f64;
        let mut densities = vec![0.0; bars];
        for sample in &samples {
            let bar = ((sample - low) / width) as usize;
            densities[bar.min(bars - 1)] += 1.0 / (count * width);
        }
        Some(Self {
            first: low,
            width,
            densities,
            samples: samples.len(),
            mean,
            deviation,
        })
    }

    /// The middle of each bar and its density, as a series of a plot has them.
    pub fn points(&self) -> Vec<[f64; 3]> {
        let bar = |(k, density): (usize, &f64)| {
            let middle = self.first + (k as f64 + 0.5) * self.width;
            [middle, *density, 0.0]
        };
        self.densities.iter().enumerate().map(bar).collect()
    }

    /// The histogram as a plot, with the theory's curve where there is one; `unit` is that of the samples.
    pub fn plot(&self, title: &str, unit: &str, theory: Option<&CanonicalKinetic>) -> Plot {
        let mut series = vec![PlotSeries {
            name: "run".to_owned(),
            colour: 1,
            points: self.points(),
            drawn: Drawn::Bars,
        }];
        if let Some(theory) = theory {
            let span = self.width * self.densities.len() as f64;
            let point = |k: usize| {
                let at = self.first + span * k as f64 / CURVE as f64;
                [at, theory.density(at), 0.0]
            };
            series.push(PlotSeries {
                name: "canonical".to_owned(),
                colour: 3,
                points: (0..=CURVE).map(point).collect(),
                drawn: Drawn::Line,
            });
        }
        Plot {
            title: title.to_owned(),
            x: PlotAxis::close(format!("kinetic energy ({unit})")),
            y: PlotAxis::linear(format!("probability density (1/{unit})")),
            series,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theory(degrees_of_freedom: usize, kt: f64) -> CanonicalKinetic {
        CanonicalKinetic {
            degrees_of_freedom,
            kt,
        }
    }

    /// Values of chi-square distributions of 1, 2, 3, 10 and 1,000 degrees of freedom, by SciPy 1.17.1
    /// (`scipy.stats.chi2.pdf(x, n)`), at kT = 1/2, where twice the kinetic energy in kT is x.
    #[test]
    fn the_density_is_that_of_chi_square() {
        for (n, x, density) in [
            (1, 1.0, 0.241_970_724_519_143_37),
            (2, 1.0, 0.303_265_329_856_316_66),
            (3, 2.0, 0.207_553_748_710_297_4),
            (10, 8.0, 0.097_683_407_406_582_21),
            (1000, 1000.0, 0.008_919_133_934_753_128),
        ] {
            // Kinetic energy x kT / 2, density by dx / dK = 2 / kT.
            let kt = 0.5;
            let found = theory(n, kt).density(0.5 * x * kt) * 0.5 * kt;
            assert!(
                (found / density - 1.0).abs() < 1e-9,
                "{n}: {found}, {density}"
            );
        }
    }

    /// The density integrates to one, with the mean and the deviation that are told.
    #[test]
    fn the_density_integrates_to_one() {
        for n in [3, 21, 24, 3000] {
            let theory = theory(n, 0.025);
            let (low, high) = (
                (theory.mean() - 12.0 * theory.deviation()).max(0.0),
                theory.mean() + 12.0 * theory.deviation(),
            );
            const PARTS: usize = 20_000;
            let step = (high - low) / PARTS as f64;
            let mut moments = [0.0; 3];
            for k in 0..PARTS {
                let at = low + (k as f64 + 0.5) * step;
                let weight = theory.density(at) * step;
                moments[0] += weight;
                moments[1] += weight * at;
                moments[2] += weight * at * at;
            }
            let [whole, mean, square] = moments;
            assert!((whole - 1.0).abs() < 1e-4, "{n}: {whole}");
            assert!((mean / theory.mean() - 1.0).abs() < 1e-3, "{n}: {mean}");
            let deviation = (square - mean * mean).sqrt();
            assert!(
                (deviation / theory.deviation() - 1.0).abs() < 1e-2,
                "{n}: {deviation}"
            );
        }
    }

    #[test]
    fn a_histogram_is_normalised_and_has_room_for_its_theory() {
        let samples: Vec<f64> = (0..1000)
            .map(|k| 1.0 + 0.001 * f64::from(k % 500))
            .collect();
        let theory = theory(24, 0.1);
        let histogram = KineticHistogram::of(&samples, Some(&theory)).unwrap();
        let whole: f64 = histogram.densities.iter().sum::<f64>() * histogram.width;
        assert!((whole - 1.0).abs() < 1e-12);
        assert!((histogram.mean - 1.2495).abs() < 1e-9);
        let end = histogram.first + histogram.width * histogram.densities.len() as f64;
        assert!(histogram.first < 0.2 && end > 2.3, "{histogram:?}");
        assert!(KineticHistogram::of(&[1.0; 100], None).is_none());
        assert!(KineticHistogram::of(&[f64::NAN; 100], None).is_none());
        assert!(KineticHistogram::of(&samples[..10], None).is_none());
    }
}
