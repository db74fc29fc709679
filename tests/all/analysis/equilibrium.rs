//! Where a series comes to equilibrium.

use mdrun::analysis::equilibrium;
use mdrun::core::rng::{Noise, Stream};

fn noise(step: u64) -> f64 {
    Noise::new(5).normal3(step, 0, Stream::Velocities).x
}

/// A first-order process of correlation `a` between neighbours has the inefficiency (1 + a) / (1 - a).
fn process(samples: u64, a: f64, offset: impl Fn(u64) -> f64) -> Vec<f64> {
    let mut value = noise(0) / (1.0 - a * a).sqrt();
    let next = |k: u64| {
        value = a * value + noise(k + 1);
        value + offset(k)
    };
    (0..samples).map(next).collect()
}

#[test]
fn correlated_samples_count_for_fewer() {
    for a in [0.0, 0.5, 0.8] {
        let series = process(20_000, a, |_| 0.0);
        let (found, right) = (equilibrium::inefficiency(&series), (1.0 + a) / (1.0 - a));
        // Of 20,000 samples the sum up to its first zero is off by less than a sixth.
        assert!(
            (found / right - 1.0).abs() < 1.0 / 6.0,
            "{a}: {found} is not {right}"
        );
    }
}

/// A start that decays is left out, and nothing of a series that is in equilibrium all along.
#[test]
fn a_decaying_start_is_left_out() {
    let decay = |k: u64| 40.0 * (-(k as f64) / 60.0).exp();
    let found = equilibrium::find(&process(2000, 0.5, decay)).unwrap();
    // Where 40 exp(-t / 60) is from one deviation of the noise down to a tenth of it.
    assert!((200..500).contains(&found.start), "{found:?}");
    let steady = equilibrium::find(&process(2000, 0.5, |_| 0.0)).unwrap();
    assert!(steady.start < 200, "{steady:?}");
    assert!((400.0..900.0).contains(&steady.independent), "{steady:?}");
    assert!(equilibrium::find(&[1.0; 100]).is_none());
    assert!(equilibrium::find(&[1.0, 2.0]).is_none());
}
