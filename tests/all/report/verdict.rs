//! The verdict on a run: a sentence that a chemist understands, and whose judgement is right.

use mdrun::core::observe::WholeBody;
use mdrun::report::{Energies, EnergyRecord, RunOutcome, Summary};
use mdrun::units::{ANGSTROM_PER_FS, KELVIN};

use super::summary::{Sampled, course};

/// The summary of a run at constant energy.
fn summary(sampled: &Sampled) -> Summary {
    Summary::new(&course(20_000), &sampled.energies())
}

/// The same with a thermostat at 300 K.
fn bathed(sampled: &Sampled) -> Summary {
    let course = RunOutcome {
        bath: Some(300.0 * KELVIN),
        ..course(20_000)
    };
    Summary::new(&course, &sampled.energies())
}

fn expect(summary: &Summary, conserved: Option<bool>, says: &str) {
    let verdict = &summary.verdict;
    assert!(verdict.contains(says), "{says}: {verdict}");
    assert_eq!(summary.energy_conserved, conserved, "{verdict}");
    assert!(summary.to_text().contains(verdict));
}

/// At 300 K, 0.1 kT per atom and ns are 2.585e-3 meV/atom/ps. The slope's error is 0.2 meV sqrt(12 / n) / t: 6.9e-5
/// over 100 ps with a sample each 10 fs, 2.2e-3 over 10 ps. The kinetic energy of 12 atoms fluctuates by
/// 300 K k sqrt(33 / 2) = 105 meV.
#[test]
fn a_drift_is_held_against_a_tenth_of_kt_per_atom_and_nanosecond() {
    for (picoseconds, slope, conserved, says) in [
        (
            100,
            0.0,
            Some(true),
            "energy is conserved: the total energy drifts by",
        ),
        (
            100,
            0.002,
            Some(true),
            "within the 0.0026 that 0.1 kT per atom and ns are",
        ),
        (
            100,
            0.01,
            Some(false),
            "energy is not conserved: the total energy drifts by 0.0099",
        ),
        (100, -0.01, Some(false), "enough to cool the system by"),
        // 0.0026 itself is neither within nor beyond.
        (100, 0.0026, None, "too short a run to say"),
        (
            10,
            0.0,
            None,
            "too short a run to say whether the energy is conserved: the drift",
        ),
        (
            10,
            5.0,
            Some(false),
            "enough to heat the system by 193 K in this run of 9.99 ps",
        ),
        (0, 0.0, None, "too short a run"),
    ] {
        let sampled = Sampled {
            picoseconds,
            slope,
            ..Sampled::default()
        };
        expect(&summary(&sampled), conserved, says);
    }
}

/// 0.4 meV an atom are 4.6 % of what the kinetic energy of 12 atoms does, 0.82 are 9.4 %.
#[test]
fn a_fluctuation_over_a_twentieth_is_a_time_step_too_long() {
    let with = |noise: f64| {
        summary(&Sampled {
            picoseconds: 400,
            noise,
            ..Sampled::default()
        })
    };
    expect(&with(0.4), Some(true), "energy is conserved");
    // It grows as the square of the step: 0.5 fs sqrt(5 / 9.4) = 0.365 fs.
    expect(
        &with(0.82),
        Some(false),
        "the time step is too long: the total energy fluctuates by 9.",
    );
    expect(&with(0.82), Some(false), "0.36 fs would be short enough");
    expect(&with(3.0), Some(false), "the time step is too long");
}

/// A run that tells nothing says how long one would, and one of that length does tell.
#[test]
fn a_run_of_the_length_that_is_asked_for_tells() {
    for picoseconds in [6, 8, 10] {
        let short = summary(&Sampled {
            picoseconds,
            ..Sampled::default()
        });
        assert_eq!(short.energy_conserved, None, "{}", short.verdict);
        let needs = short.verdict_needs_ps.unwrap();
        // sigma sqrt(12 / (100 t)) / t is a quarter of the limit at 22 ps.
        assert!((16.0..34.0).contains(&needs), "{needs}");
        let steps = needs / 0.5e-3;
        let said = short.verdict.split_once(" ps (").unwrap().1;
        let said: f64 = said.split(' ').next().unwrap().parse().unwrap();
        assert!((said / steps - 1.0).abs() < 0.1, "{said} {steps}");
        let long = summary(&Sampled {
            picoseconds: needs.ceil() as u64,
            ..Sampled::default()
        });
        assert_eq!(long.energy_conserved, Some(true), "{}", long.verdict);
    }
}

/// What was called conserved once: from 500 to 10,133 K with +294 meV/atom/ps.
#[test]
fn a_run_that_blows_up_is_not_conserved() {
    for picoseconds in [1, 3, 10] {
        let blown = Sampled {
            picoseconds,
            slope: 294.0,
            kelvin: |part| 500.0 + 9633.0 * part * part,
            ..Sampled::default()
        };
        expect(&summary(&blown), Some(false), "energy is not conserved");
    }
}

#[test]
fn a_temperature_that_is_not_steady_is_told() {
    let warming = Sampled {
        kelvin: |part| 300.0 + 120.0 * part,
        ..Sampled::default()
    };
    expect(
        &summary(&warming),
        None,
        "the temperature is not steady: 31",
    );
    let hardly = Sampled {
        kelvin: |part| 300.0 + 50.0 * part,
        ..Sampled::default()
    };
    expect(&summary(&hardly), Some(true), "energy is conserved");
    // With a thermostat it may warm up, if it comes to the bath in the end.
    let cold = Sampled {
        picoseconds: 400,
        kelvin: |part| (600.0 * part).min(300.0),
        ..Sampled::default()
    };
    expect(
        &bathed(&cold),
        Some(true),
        "the total energy less the thermostat's heat drifts",
    );
    let colder = Sampled {
        kelvin: |_| 200.0,
        ..cold
    };
    expect(&bathed(&colder), None, "is at 200");
    expect(&bathed(&colder), None, "the bath at 300.0 K");
}

/// A thermostat's kicks leave errors for good: the conserved energy goes off on a random walk, which is no drift and no
/// fluctuation of the time step.
#[test]
fn a_thermostats_random_walk_is_no_fault() {
    let walk = Sampled {
        picoseconds: 400,
        kick: 0.05,
        ..Sampled::default()
    };
    let found = bathed(&walk);
    // The slope of a walk has the error s sqrt(6 / (5 T)): 0.05 meV each 10 fs is 0.5 meV / sqrt(ps).
    let error = found.energy_drift_stderr.unwrap() / (0.5 * (1.2_f64 / 400.0).sqrt());
    assert!((0.5..2.0).contains(&error), "{error}");
    assert!(found.energy_conserved.is_none(), "{}", found.verdict);
    assert!(
        found.verdict.contains("too short a run"),
        "{}",
        found.verdict
    );
    let ratio = found.fluctuation_over_std_ekin.unwrap();
    // Noise of 0.2 meV an atom, and within 0.1 ps a little of the walk.
    assert!((0.02..0.03).contains(&ratio), "{ratio}");
}

#[test]
fn what_does_not_move_is_not_judged() {
    let still = Sampled {
        noise: 0.0,
        kelvin: |_| 0.0,
        ..Sampled::default()
    };
    expect(&summary(&still), None, "nothing moves");
    let none = Energies::new(EnergyRecord::new(3, 6));
    expect(&Summary::new(&course(0), &none), None, "too short a run");
}

/// A box that flies: 300 K are 0.4265 eV in 33 degrees of freedom, of which 0.4 eV are flight.
#[test]
fn motion_of_the_whole_is_named() {
    let whole = |flight: f64| WholeBody {
        flight,
        rotation: 0.0,
        speed: 0.005 * ANGSTROM_PER_FS,
        degrees_of_freedom: 3,
    };
    let with = |flight: f64| {
        let course = RunOutcome {
            whole: Some(whole(flight)),
            ..course(20_000)
        };
        Summary::new(&course, &Sampled::default().energies())
    };
    let flying = with(0.4);
    let kinetic = flying.mean_kinetic_energy_ev.unwrap();
    let fraction = flying.whole_motion_fraction.unwrap();
    assert!((fraction - 0.4 / kinetic).abs() < 1e-12);
    let inner = flying.mean_temperature_without_whole_motion_k.unwrap();
    assert!((inner - 2.0 * (kinetic - 0.4) / (33.0 * KELVIN)).abs() < 1e-9);
    let text = flying.to_text();
    assert!(
        text.contains("motion of the system as a whole (500 m/s)"),
        "{text}"
    );
    // The limit is that of the temperature inside.
    let limit = flying.energy_drift_limit_mev_per_atom_ps.unwrap();
    assert!((limit / (0.1 * inner * 8.617_333e-5) - 1.0).abs() < 1e-6);
    // A tenth of the kinetic energy, and twice the share of 3 in 36, is where it begins.
    assert!(with(0.16 * kinetic).whole_motion_fraction.is_none());
    assert!(with(0.18 * kinetic).whole_motion_fraction.is_some());
}
