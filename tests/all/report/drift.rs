//! The watch over the energy: when it looks, what it concludes.

use mdrun::config::plan::{Action, Audit, MonitorPlan};
use mdrun::core::rng::{Noise, Stream};
use mdrun::core::{Cell, Snapshot};
use mdrun::report::drift::stretch;
use mdrun::report::{DriftMonitor, Energies, EnergyRecord};
use mdrun::simulation::{Reporter, Signal};
use mdrun::units::{FEMTOSECOND, KELVIN, MEV_PER_PS, PICOSECOND};

use super::frames;

const ATOMS: usize = 10;
const TIMESTEP: f64 = 0.5 * FEMTOSECOND;

fn plan(limit: f64, action: Action) -> MonitorPlan {
    MonitorPlan {
        drift: Some(limit * MEV_PER_PS),
        temperature: None,
        force: None,
        contact: None,
        spread: None,
        spread_every: None,
        numbers: None,
        action,
        audit: Audit::Off,
        record: false,
    }
}

fn monitor(every: u64, plan: &MonitorPlan) -> (DriftMonitor, Energies) {
    let energies = Energies::new(EnergyRecord::new(ATOMS, 3 * ATOMS - 3));
    (DriftMonitor::new(energies.clone(), every, plan), energies)
}

/// A moment at which the conserved energy has drifted by `slope` (meV/atom/ps) since the start, with
/// noise of 1 meV; the kinetic energy is that of 300 K with the fluctuation of the canonical ensemble.
fn moment(step: u64, slope: f64) -> Snapshot {
    let noise = Noise::new(3).normal3(step, 0, Stream::Thermostat);
    let degrees = (3 * ATOMS - 3) as f64;
    let mut snapshot = frames::frame(0, 0, &Cell::open());
    snapshot.step = step;
    snapshot.time = step as f64 * TIMESTEP;
    let o = &mut snapshot.observables;
    o.kinetic = 300.0 * KELVIN * (degrees / 2.0 + (degrees / 2.0).sqrt() * noise.y);
    o.kept.heat = 0.7 * snapshot.time;
    let conserved = -500.0 + slope * MEV_PER_PS * ATOMS as f64 * snapshot.time + 1e-3 * noise.x;
    o.potential = conserved + o.kept.heat - o.kinetic;
    snapshot
}

/// The first signal that is not to go on, and the step where it comes.
fn run(monitor: &mut DriftMonitor, slope: f64, steps: u64) -> Option<(u64, Signal)> {
    let mut step = 0;
    loop {
        step = monitor.next(step);
        if step > steps {
            return None;
        }
        let signal = monitor.report(&moment(step, slope)).unwrap();
        if signal != Signal::Continue {
            return Some((step, signal));
        }
        step += 1;
    }
}

/// One sample in every stretch, wherever one asks from, and not at a fixed distance.
#[test]
fn samples_are_one_a_stretch_and_irregular() {
    let (monitor, _) = monitor(20, &plan(1.0, Action::Warn));
    let samples: Vec<u64> = (0..2000).map(|n| monitor.next(20 * n)).collect();
    for (n, &sample) in samples.iter().enumerate() {
        assert!(sample / 20 == n as u64);
        assert!((20 * n as u64..=sample).all(|step| monitor.next(step) == sample));
        assert!(monitor.next(sample + 1) > sample);
    }
    // Uniform over the stretch: mean 9.5, variance (20^2 - 1) / 12.
    let mean = samples.iter().map(|s| (s % 20) as f64).sum::<f64>() / 2000.0;
    assert!(
        (mean - 9.5).abs() < 4.0 * (399.0_f64 / 12.0 / 2000.0).sqrt(),
        "{mean}"
    );
    let (every, _) = super::drift::monitor(1, &plan(1.0, Action::Warn));
    assert!((0..100).all(|step| every.next(step) == step));
    assert_eq!(every.next(u64::MAX), u64::MAX);
}

/// A vibration that a fixed interval would see standing still is averaged out.
#[test]
fn fast_vibrations_do_not_alias() {
    let (mut monitor, energies) = monitor(20, &plan(1.0, Action::Warn));
    let period = 20.01 * TIMESTEP;
    let mut step = 0;
    let mut fixed = mdrun::report::series::Series::default();
    let vibration = |t: f64| 0.1 * (std::f64::consts::TAU * t / period).cos();
    while step < 20_000 {
        step = monitor.next(step);
        let mut snapshot = moment(step, 0.0);
        snapshot.observables.potential += vibration(snapshot.time);
        monitor.report(&snapshot).unwrap();
        step += 1;
    }
    for k in 0..1000 {
        let t = f64::from(20 * k) * TIMESTEP;
        fixed.add(t, vibration(t));
    }
    let drift = energies.read(|r| r.conserved.slope()).unwrap();
    assert!(
        drift.value.abs() < 4.0 * drift.error && drift.converged,
        "{drift:?}"
    );
    let aliased = fixed.slope().unwrap();
    assert!(
        aliased.value.abs() > 20.0 * drift.error,
        "{aliased:?} {drift:?}"
    );
}

#[test]
fn the_drift_of_the_conserved_energy_is_found() {
    for slope in [0.0, 0.05, -2.0] {
        let (mut monitor, energies) = monitor(20, &plan(100.0, Action::Stop));
        assert_eq!(run(&mut monitor, slope, 20_000), None);
        energies.read(|record| {
            let drift = record.drift().unwrap();
            // 1 meV of noise over 10 atoms, 1000 independent samples over 10 ps.
            let error = 0.1 / 10.0 * (12.0_f64 / 1000.0).sqrt();
            assert!(
                (drift.error / MEV_PER_PS / error - 1.0).abs() < 0.35,
                "{drift:?}"
            );
            let off = drift.value / MEV_PER_PS - slope;
            assert!(off.abs() < 4.0 * error, "{slope}: {off}");
            assert!((record.fluctuation().unwrap() / 1e-4 - 1.0).abs() < 0.1);
            let kt = record.mean_kt().unwrap();
            assert!((kt.value / KELVIN - 300.0).abs() < 4.0 * kt.error / KELVIN);
            // Drift over the run against sigma = kT sqrt(f / 2) of the kinetic energy.
            let sigma = 300.0 * KELVIN * (27.0_f64 / 2.0).sqrt();
            let ratio = slope * 1e-3 * 10.0 * ATOMS as f64 / sigma;
            let found = record.drift_over_deviation().unwrap();
            assert!(
                (found - ratio).abs() < 0.1 * ratio.abs() + 0.01,
                "{found} {ratio}"
            );
        });
    }
}

/// A drift within the limit is let be, however long; one beyond it is told once, or ends the run.
#[test]
fn only_a_drift_surely_beyond_the_limit_is_told() {
    let (mut within, _) = monitor(20, &plan(1.0, Action::Stop));
    assert_eq!(run(&mut within, 0.9, 40_000), None);
    let (mut beyond, _) = monitor(20, &plan(1.0, Action::Stop));
    let Some((step, Signal::Stop(reason))) = run(&mut beyond, -1.5, 40_000) else {
        panic!("not stopped");
    };
    // Not before a picosecond: 2000 steps.
    assert!((2000..20_000).contains(&step), "{step}");
    assert!(
        reason.contains(&format!("step {step}: the energy drifts by -1.")),
        "{reason}"
    );
    assert!(
        reason.contains("beyond the limit of 1 ([monitor] drift)"),
        "{reason}"
    );
    let (mut warning, _) = monitor(20, &plan(1.0, Action::Warn));
    assert!(matches!(
        run(&mut warning, 5.0, 40_000),
        Some((_, Signal::Alarm(_)))
    ));
    assert_eq!(run(&mut warning, 5.0, 40_000), None, "told once");
    let mut silent = plan(1.0, Action::Stop);
    silent.drift = None;
    assert_eq!(run(&mut monitor(20, &silent).0, 1e6, 10_000), None);
}

#[test]
fn stretches_fit_time_step_and_length() {
    assert_eq!(stretch(0.5 * FEMTOSECOND, 20_000), 20);
    assert_eq!(stretch(0.5 * FEMTOSECOND, 2_000), 5);
    assert_eq!(stretch(5.0 * FEMTOSECOND, 1_000_000), 2);
    assert_eq!(stretch(PICOSECOND, 1_000_000), 1);
    assert_eq!((stretch(FEMTOSECOND, 0), stretch(FEMTOSECOND, 10)), (1, 1));
}

#[test]
fn a_record_survives_a_checkpoint() {
    let (mut monitor, energies) = monitor(20, &plan(100.0, Action::Warn));
    run(&mut monitor, 0.1, 5_000);
    let text = energies.read(|record| serde_json::to_string(record).unwrap());
    let again: EnergyRecord = serde_json::from_str(&text).unwrap();
    energies.read(|record| assert_eq!(*record, again));
}
