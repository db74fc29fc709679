//! Statistics against series whose true mean, slope and error are known.

use mdrun::core::rng::{Noise, Stream};
use mdrun::report::series::Series;

/// Independent standard normal numbers.
fn normal(seed: u32, k: u64) -> f64 {
    Noise::new(seed)
        .of_replica(1)
        .normal3(k, 0, Stream::Thermostat)
        .x
}

/// A straight line with noise that forgets itself: x' = a x + sqrt(1 - a^2) xi, of unit variance.
fn correlated(seed: u32, samples: u64, slope: f64, memory: f64) -> Series {
    let mut series = Series::default();
    let mut noise = normal(seed, u64::MAX);
    for k in 0..samples {
        series.add(k as f64, slope * k as f64 + noise);
        noise = memory * noise + (1.0 - memory * memory).sqrt() * normal(seed, k);
    }
    series
}

/// The definition, in two passes.
fn least_squares(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let (t, y) = points
        .iter()
        .fold((0.0, 0.0), |s, p| (s.0 + p.0 / n, s.1 + p.1 / n));
    let tt: f64 = points.iter().map(|p| (p.0 - t).powi(2)).sum();
    let ty: f64 = points.iter().map(|p| (p.0 - t) * (p.1 - y)).sum();
    let rest = |p: &(f64, f64)| (p.1 - y - ty / tt * (p.0 - t)).powi(2);
    (ty / tt, (points.iter().map(rest).sum::<f64>() / n).sqrt())
}

#[test]
fn slope_and_fluctuation_are_those_of_two_passes() {
    let points: Vec<(f64, f64)> = (0..1000)
        .map(|k| {
            (
                0.1 * k as f64 + 0.03 * normal(1, k),
                normal(2, k) + 0.02 * k as f64,
            )
        })
        .collect();
    let mut series = Series::default();
    points.iter().for_each(|p| series.add(p.0, p.1));
    let (slope, fluctuation) = least_squares(&points);
    assert!((series.slope().unwrap().value / slope - 1.0).abs() < 1e-12);
    assert!((series.fluctuation().unwrap() / fluctuation - 1.0).abs() < 1e-12);
    assert_eq!(series.count(), 1000);
    assert_eq!(series.span(), points[999].0 - points[0].0);
}

/// Energies of a million eV, a slope of 1e-9 eV per step and noise of 1e-6 eV: the smallest that f64
/// still resolves there (2^-34 eV), over many samples.
#[test]
fn a_large_energy_hides_no_small_drift() {
    const SAMPLES: u64 = 1 << 20;
    const SLOPE: f64 = 1e-9;
    const NOISE: f64 = 1e-6;
    let mut series = Series::default();
    for k in 0..SAMPLES {
        let y = -1e6 + SLOPE * k as f64 + NOISE * normal(3, k);
        series.add(1e5 + k as f64, y);
    }
    let slope = series.slope().unwrap();
    // Variance of a slope through n independent points a step apart: 12 sigma^2 / n^3.
    let right = NOISE * (12.0 / (SAMPLES as f64).powi(3)).sqrt();
    assert!(
        (slope.value - SLOPE).abs() < 4.0 * right,
        "{slope:?} {right}"
    );
    // The error's own relative error with some 100 blocks is 1 / sqrt(200).
    assert!((slope.error / right - 1.0).abs() < 0.3, "{slope:?} {right}");
    assert!((series.fluctuation().unwrap() / NOISE - 1.0).abs() < 0.01);
    // A straight line without noise, after a million samples: nothing but rounding is left.
    let mut line = Series::default();
    (0..SAMPLES).for_each(|k| line.add(k as f64, 1e6 + k as f64));
    let rounding = line.fluctuation().unwrap() / SAMPLES as f64;
    assert!(rounding < 1e-8, "{rounding}");
    assert!((line.slope().unwrap().value - 1.0).abs() < 1e-12);
}

/// Variance of the mean of `block` samples in sequence, times `block`, for noise of unit variance that
/// keeps `a` of itself from sample to sample.
fn block_variance(a: f64, block: f64) -> f64 {
    (1.0 + a) / (1.0 - a) - 2.0 * a * (1.0 - a.powf(block)) / (block * (1.0 - a).powi(2))
}

/// True error over the error claimed at the block length that the criterion chooses (B^3 > 2 n
/// (v_B / v_1)^2), with what the scatter of a variance from so many blocks adds.
fn expected_pull(memory: f64, samples: f64) -> f64 {
    let fits = |block: &f64| block.powi(3) > 2.0 * samples * block_variance(memory, *block).powi(2);
    let block = (0..).map(|k| 2_f64.powi(k)).find(fits).unwrap();
    let bias = (1.0 + memory) / (1.0 - memory) / block_variance(memory, block);
    let freedom = samples / block - 2.0;
    (bias * freedom / (freedom - 2.0)).sqrt()
}

/// The errors that many repetitions show are those that each of them claims, but for what is known of
/// the method: blocks of finite length miss a little of the correlation.
#[test]
fn error_bars_are_honest_whatever_the_memory() {
    const SAMPLES: u64 = 16_384;
    const REPEATS: u32 = 300;
    const SLOPE: f64 = 1e-3;
    // Three standard errors of a root mean square over the repetitions, and as much again for the
    // block length, which is not the same in all of them.
    const TOLERANCE: f64 = 3.0 / 24.5 + 0.08;
    for memory in [0.0, 0.9, -0.8, 0.95] {
        let mut pulls = [0.0; 2];
        let mut converged = 0;
        for seed in 0..REPEATS {
            let sloped = correlated(seed, SAMPLES, SLOPE, memory).slope().unwrap();
            let mean = correlated(seed, SAMPLES, 0.0, memory).mean().unwrap();
            pulls[0] += ((sloped.value - SLOPE) / sloped.error).powi(2);
            pulls[1] += (mean.value / mean.error).powi(2);
            converged += u32::from(sloped.converged) + u32::from(mean.converged);
        }
        let expected = expected_pull(memory, SAMPLES as f64);
        assert!(
            (0.75..1.25).contains(&expected),
            "memory {memory}: {expected}"
        );
        for pull in pulls.map(|sum| (sum / f64::from(REPEATS)).sqrt()) {
            let off = (pull / expected - 1.0).abs();
            assert!(off < TOLERANCE, "memory {memory}: {pull}, not {expected}");
        }
        assert!(
            converged >= 2 * REPEATS * 9 / 10,
            "memory {memory}: {converged}"
        );
    }
}

/// Taking samples as independent would claim errors seven times too small: the test above can fail.
#[test]
fn memory_makes_naive_errors_wrong() {
    let series = correlated(1, 4096, 0.0, 0.96);
    let naive = series.deviation().unwrap() / 64.0;
    let honest = series.mean().unwrap().error;
    // sqrt((1 + a) / (1 - a)) = 7
    assert!(
        (4.5..10.0).contains(&(honest / naive)),
        "{}",
        honest / naive
    );
}

#[test]
fn a_series_shorter_than_its_memory_says_so() {
    assert!(!correlated(1, 300, 0.0, 0.999).mean().unwrap().converged);
    // A random walk never forgets.
    let mut walk = Series::default();
    let mut y = 0.0;
    for k in 0..4096 {
        walk.add(k as f64, y);
        y += normal(9, k);
    }
    assert!(!walk.slope().unwrap().converged);
}

#[test]
fn too_few_samples_give_nothing_rather_than_nonsense() {
    let mut series = Series::default();
    assert!(series.slope().is_none() && series.mean().is_none() && series.fluctuation().is_none());
    series.add(5.0, 1.0);
    assert!(series.slope().is_none() && series.mean().is_none() && series.deviation().is_none());
    series.add(6.0, 2.0);
    assert!(series.slope().is_none() && series.mean().is_none());
    series.add(7.0, 3.0);
    let slope = series.slope().unwrap();
    assert_eq!(
        (slope.value, slope.error, slope.converged),
        (1.0, 0.0, false)
    );
    // Samples of one moment have no slope.
    let mut still = Series::default();
    (0..9).for_each(|k| still.add(1.0, f64::from(k)));
    assert!(still.slope().is_none());
}

/// A checkpoint holds all of it.
#[test]
fn it_goes_on_from_a_copy_bit_by_bit() {
    let whole = correlated(4, 777, 0.1, 0.5);
    let mut noise = 0.3;
    let mut first = Series::default();
    let mut rest = whole.clone();
    for k in 0..500 {
        noise = 0.7 * noise + normal(5, k);
        first.add(k as f64, noise);
    }
    let text = serde_json::to_string(&first).unwrap();
    let mut again: Series = serde_json::from_str(&text).unwrap();
    for k in 500..900 {
        noise = 0.7 * noise + normal(5, k);
        first.add(k as f64, noise);
        again.add(k as f64, noise);
        rest.add(k as f64 + 1000.0, noise);
    }
    assert_eq!(first, again);
    assert_ne!(first, rest);
}

/// Errors that are made anew and never taken back, over noise: the slope's error bar is right, while that of a line with
/// noise would be several times too small.
#[test]
fn the_slope_of_a_random_walk_has_its_own_error_bar() {
    const SAMPLES: u64 = 4096;
    for kick in [0.02, 0.2] {
        let (mut squares, mut hopeful) = (0.0, 0.0);
        let runs = 100;
        for run in 0..runs {
            let mut series = Series::default();
            let mut walked = 0.0;
            for k in 0..SAMPLES {
                walked += kick * normal(1000 + run, k);
                series.add(k as f64, walked + normal(5000 + run, k));
            }
            let found = series.slope_of_walk(4.0).unwrap();
            assert!(found.converged);
            squares += (found.value / found.error).powi(2) / f64::from(runs);
            let line = series.slope().unwrap();
            hopeful += (line.value / line.error).powi(2) / f64::from(runs);
        }
        // Of 100 squares of normal numbers the mean is 1 +- 0.14; each error bar is known to a quarter.
        assert!((0.5..1.7).contains(&squares), "{kick}: {squares}");
        assert!(kick < 0.1 || hopeful > 4.0, "{hopeful}");
    }
}

/// What goes on within a short time is told apart from where the values go in the long run.
#[test]
fn fluctuations_within_a_time_are_not_those_of_a_walk() {
    let mut series = Series::default();
    let mut walked = 0.0;
    for k in 0..10_000 {
        walked += 0.02 * normal(1, k);
        series.add(k as f64, walked + 0.5 * normal(2, k));
    }
    let within = series.deviation_within(8.0).unwrap();
    // 0.25, and the variance of 8 points of a walk: 4e-4 (8 + 1) / 6.
    let right = (0.25_f64 + 4e-4 * 9.0 / 6.0).sqrt();
    assert!((within / right - 1.0).abs() < 0.02, "{within} {right}");
    let all = series.deviation_within(4096.0).unwrap();
    assert!(all > 1.2 * within, "{all}");
    assert_eq!(series.deviation_within(20_000.0), None);
    let mut alone = Series::default();
    alone.add(0.0, 1.0);
    assert_eq!(alone.deviation_within(1.0), None);
}
