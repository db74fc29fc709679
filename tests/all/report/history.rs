//! The course of a quantity: fifths of a run of any length.

use mdrun::core::rng::{Noise, Stream};
use mdrun::report::history::History;

fn normal(k: u64) -> f64 {
    Noise::new(4).normal3(k, 0, Stream::Thermostat).x
}

/// Bins of twice the width change the border of a fifth by less than 1 part in 16.
#[test]
fn fifths_are_fifths_however_long_the_run() {
    for samples in [40_u64, 79, 160, 1000, 12_345, 100_000] {
        let mut history = History::default();
        (0..samples).for_each(|k| history.add(k as f64));
        let [first, last] = history.fifths().unwrap().map(|e| e.value);
        let n = samples as f64;
        assert!(
            (first / n - 0.1).abs() < 0.1 / 16.0 + 1.0 / n,
            "{samples}: {first}"
        );
        assert!(
            (last / n - 0.9).abs() < 0.1 / 8.0 + 1.0 / n,
            "{samples}: {last}"
        );
    }
    let mut short = History::default();
    (0..39).for_each(|_| short.add(1.0));
    assert_eq!(short.fifths(), None);
}

/// The error bar is that of a fifth of the samples, and grows where samples are correlated.
#[test]
fn fifths_have_error_bars() {
    const SAMPLES: u64 = 20_000;
    let (mut white, mut red) = (History::default(), History::default());
    // Forgets itself within 500 samples: 1 / (1 - 0.996) times 2.
    let (memory, mut value) = (0.996_f64, 0.0);
    for k in 0..SAMPLES {
        white.add(3.0 + normal(k));
        value = memory * value + (1.0 - memory * memory).sqrt() * normal(k);
        red.add(3.0 + value);
    }
    let fifth = SAMPLES as f64 / 5.0;
    for found in white.fifths().unwrap() {
        let right = 1.0 / fifth.sqrt();
        assert!((0.6..2.0).contains(&(found.error / right)), "{found:?}");
        assert!((found.value - 3.0).abs() < 4.0 * right);
    }
    for found in red.fifths().unwrap() {
        let right = (500.0 / fifth).sqrt();
        assert!(
            (0.4..2.0).contains(&(found.error / right)),
            "{found:?} {right}"
        );
    }
}

#[test]
fn a_record_reads_back_as_it_was() {
    let mut history = History::default();
    (0..777).for_each(|k| history.add(normal(k)));
    let text = serde_json::to_string(&history).unwrap();
    let mut again: History = serde_json::from_str(&text).unwrap();
    for k in 777..2000 {
        history.add(normal(k));
        again.add(normal(k));
    }
    assert_eq!(history, again);
}
