//! Faults put in on purpose, one of each kind: the replays name the right one.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mdrun::Result;
use mdrun::core::observe::Thermometer;
use mdrun::diagnose::{Built, Case, Question, Report, Suspect, Variant, diagnose, window};
use mdrun::dynamics::{self, Program};
use mdrun::engine::{Engine, Start};
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::potential::Potential;
use mdrun::report::series::Estimate;
use mdrun::units::MEV_PER_PS;

use super::potentials::{
    Rounded, Stale, Swirling, Truncated, Unlisted, engine, evaporating, liquid,
};
use crate::physics::subjects::{FS, KB, Subject, argon_potential};

static NEVER: AtomicBool = AtomicBool::new(false);

/// A drift worth explaining (meV/atom/ps).
const TOLERABLE: f64 = 0.02;

/// What the potential itself is looked at with.
const JUDGE: Variant = Variant {
    divisor: 1,
    double: true,
    exhaustive: true,
};

fn case(subject: &Subject, timestep: f64, window: u64) -> Case {
    Case {
        start: subject.start(1),
        timestep,
        thermometer: Thermometer::of_all(321),
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
    found_with(case, make, &Program::velocity_verlet)
}

/// The same with a program made for a time step.
fn found_with(
    case: &Case,
    make: impl Fn(Variant) -> Box<dyn Potential>,
    program: &dyn Fn(f64) -> Program,
) -> Report {
    let build = |start: Start, variant: Variant| {
        Ok(Built {
            engine: engine(start, make(variant), variant.exhaustive),
            program: program(case.timestep / variant.divisor as f64),
        })
    };
    let judge =
        || -> Result<Box<dyn ForceField>> { Ok(Box::new(HostForceField::exhaustive(make(JUDGE)))) };
    let report = diagnose(case, (&build, &judge), &NEVER).unwrap();
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
    assert_eq!(report.replays[3].end, report.replays[0].end);
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

/// Under a thermostat the conserved energy is what is left when its heat is taken away; with half the step the
/// noise is another one, and the comparison one of two drifts with their errors.
#[test]
fn a_thermostat_hides_nothing() {
    let langevin = |kt: f64| move |step: f64| dynamics::baoab(step, kt, 1.0 / (1000.0 * FS));
    let mut long = case(&liquid(300.0 * KB), 40.0 * FS, 500);
    long.thermometer = Thermometer::of_all(324);
    let report = found_with(&long, |_| argon_potential(), &langevin(300.0 * KB));
    let text = report.to_text();
    assert_eq!(report.verdict.suspect, Suspect::TimeStep, "{text}");
    let short = case(&liquid(95.0 * KB), 4.0 * FS, 1000);
    let report = found_with(&short, |_| argon_potential(), &langevin(95.0 * KB));
    assert_eq!(
        report.verdict.suspect,
        Suspect::Nothing,
        "{}",
        report.to_text()
    );
}

/// What cannot be decided in the time given is said to be so, not guessed.
#[test]
fn too_little_time_decides_nothing() {
    let mut case = case(&liquid(300.0 * KB), 40.0 * FS, 256);
    case.budget = Duration::ZERO;
    let report = found(&case, |_| argon_potential());
    assert_eq!(report.verdict.suspect, Suspect::Undecided);
    assert!(
        report.sentence().contains("cannot be decided"),
        "{}",
        report.sentence()
    );
    assert_eq!(report.to_json()["suspect"], "undecided");
}

/// A drift that the run had, and that the window does not have.
#[test]
fn a_drift_that_has_passed_is_said_to_have_passed() {
    let mut case = case(&liquid(95.0 * KB), 4.0 * FS, 1000);
    case.question = Question::Drift {
        seen: Some(Estimate {
            value: MEV_PER_PS,
            error: 0.1 * MEV_PER_PS,
            converged: true,
        }),
        window: 1000,
        tolerable: 0.5 * MEV_PER_PS,
    };
    let report = found(&case, |_| argon_potential());
    assert_eq!(
        report.verdict.suspect,
        Suspect::Passed,
        "{}",
        report.to_text()
    );
}

/// Pairs that an audit of the replay finds missing need no statistics.
#[test]
fn an_audit_of_the_replay_is_proof() {
    let case = case(&liquid(95.0 * KB), 4.0 * FS, 300);
    let build = |start: Start, variant: Variant| {
        let engine: Box<dyn Engine> = match variant == Variant::AS_RUN {
            true => Box::new(Unlisted::new(start, 0.05)),
            false => engine(start, argon_potential(), variant.exhaustive),
        };
        let program = Program::velocity_verlet(case.timestep / variant.divisor as f64);
        Ok(Built { engine, program })
    };
    let judge = || -> Result<Box<dyn ForceField>> {
        Ok(Box::new(HostForceField::exhaustive(argon_potential())))
    };
    let report = diagnose(&case, (&build, &judge), &NEVER).unwrap();
    assert_eq!(report.verdict.suspect, Suspect::PairList);
    let (step, mismatch) = report.replays[0].mismatch.expect("found");
    let said = report.sentence();
    assert!(
        said.contains(&format!("at step {step}")) && mismatch.missing,
        "{said}"
    );
}

/// The window is as long as a drift of that clearness asks for.
#[test]
fn windows_are_as_long_as_they_have_to_be() {
    let seen = |error: f64| Estimate {
        value: -1.0,
        error,
        converged: true,
    };
    // Eight standard errors are wanted; those of a slope go as the time to the power of -3/2.
    assert_eq!(window(&seen(1.0 / 64.0), 10_000), 2500);
    assert_eq!(window(&seen(0.125), 10_000), 10_000);
    assert_eq!(window(&seen(0.5), 10_000), 10_000);
    assert_eq!(window(&seen(0.0), 10_000), 256);
    assert_eq!(window(&seen(f64::NAN), 300), 300);
}
