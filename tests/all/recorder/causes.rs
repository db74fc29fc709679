//! Faults put in on purpose, one of each kind: the replays name the right one.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mdrun::diagnose::{Built, Case, Question, Report, Suspect, Variant, diagnose};
use mdrun::engine::Start;
use mdrun::integrate;
use mdrun::potential::Potential;
use mdrun::units::MEV_PER_PS;

use super::potentials::{Rounded, Stale, Swirling, Truncated, engine, evaporating, liquid};
use crate::physics::subjects::{FS, KB, Subject, argon_potential};

static NEVER: AtomicBool = AtomicBool::new(false);

/// A drift worth explaining (meV/atom/ps).
const TOLERABLE: f64 = 0.02;

fn case(subject: &Subject, timestep: f64, window: u64) -> Case {
    Case {
        start: subject.start(1),
        timestep,
        degrees_of_freedom: 321,
        question: Question::Drift {
            seen: None,
            window,
            tolerable: TOLERABLE * MEV_PER_PS,
        },
        later: None,
        double: true,
        budget: Duration::from_secs(600),
    }
}

/// Replays with potentials made by `make` for each variant; at constant energy.
fn found(case: &Case, make: impl Fn(Variant) -> Box<dyn Potential>) -> Report {
    let build = |start: Start, variant: Variant| {
        Ok(Built {
            engine: engine(start, make(variant), variant.exhaustive),
            program: integrate::nve(case.timestep / variant.divisor as f64),
        })
    };
    let report = diagnose(case, &build, &NEVER).unwrap();
    println!("{}", report.to_text());
    report
}

#[test]
fn a_sound_run_has_nothing_wrong() {
    let case = case(&liquid(95.0 * KB), 4.0 * FS, 1000);
    let report = found(&case, |_| argon_potential());
    assert_eq!(
        report.verdict.suspect,
        Suspect::Nothing,
        "{}",
        report.to_text()
    );
    // Pairs by brute force are the very same pairs.
    assert_eq!(report.courses[3].end, report.courses[0].end);
}

#[test]
fn a_step_that_is_too_long_is_named() {
    let case = case(&liquid(300.0 * KB), 40.0 * FS, 500);
    let report = found(&case, |_| argon_potential());
    assert_eq!(
        report.verdict.suspect,
        Suspect::TimeStep,
        "{}",
        report.to_text()
    );
}

#[test]
fn coarse_numbers_are_named() {
    let case = case(&liquid(95.0 * KB), 4.0 * FS, 1000);
    let report = found(&case, |variant| match variant.double {
        true => argon_potential(),
        false => Box::new(Rounded {
            inner: argon_potential(),
            quantum: 0.01,
        }),
    });
    assert_eq!(
        report.verdict.suspect,
        Suspect::Precision,
        "{}",
        report.to_text()
    );
}

#[test]
fn pairs_that_are_missing_are_named() {
    let case = case(&liquid(95.0 * KB), 4.0 * FS, 1000);
    let report = found(&case, |variant| match variant.exhaustive {
        true => argon_potential(),
        false => Box::new(Stale::new(argon_potential(), 100)),
    });
    assert_eq!(
        report.verdict.suspect,
        Suspect::PairList,
        "{}",
        report.to_text()
    );
}

#[test]
fn a_jump_at_the_cutoff_is_named() {
    let case = case(&evaporating(300.0 * KB), 4.0 * FS, 500);
    let report = found(&case, |_| Box::new(Truncated { cutoff: 6.0 }));
    assert_eq!(
        report.verdict.suspect,
        Suspect::Cutoff,
        "{}",
        report.to_text()
    );
}

#[test]
fn forces_that_are_no_slopes_are_named() {
    let case = case(&liquid(95.0 * KB), 4.0 * FS, 1000);
    let report = found(&case, |_| {
        Box::new(Swirling {
            inner: argon_potential(),
            strength: 1e-3,
        })
    });
    assert_eq!(
        report.verdict.suspect,
        Suspect::Forces,
        "{}",
        report.to_text()
    );
}
