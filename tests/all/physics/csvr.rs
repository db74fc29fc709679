//! Velocity rescaling: the canonical distribution of the kinetic energy, what is conserved, and what is not touched.

use mdrun::core::observe::Thermometer;
use mdrun::core::rng::Noise;
use mdrun::core::{Fields, observe};
use mdrun::dynamics::{Collective, Csvr, Ensemble, Op, Program, baoab};

use super::bodies::{self, SIGMAS, conserved_of, observe as watch, run};
use super::statistics::{
    deviation, gamma_cdf, inefficiency, kolmogorov_smirnov, mean, standard_error, variance,
};
use super::subjects::{FS, Subject, argon, cluster};

/// Exceeded by chance in 0.3 % of cases, as 3 standard errors are.
const KS: f64 = 1.8;

fn csvr(subject: &Subject, relaxation: f64) -> Csvr {
    Csvr {
        kt: subject.kt,
        relaxation,
        seed: 7,
    }
}

fn degrees(subject: &Subject) -> usize {
    let whole = observe::WholeMotion::Conserved;
    observe::degrees_of_freedom(&subject.system, &subject.cell, &subject.positions, whole)
}

fn program(subject: &Subject, timestep: f64, relaxation: f64) -> Program {
    let thermometer = Thermometer::of_all(degrees(subject));
    csvr(subject, relaxation).program(timestep, &thermometer)
}

/// R is normal, and the sum of f - 1 squares twice a gamma number of shape (f - 1) / 2, for odd and even numbers.
#[test]
fn draws_have_their_distributions() {
    let noise = Noise::new(3);
    for degrees in [2, 3, 4, 5, 12, 321, 30_000] {
        let draws: Vec<(f64, f64)> = (0..4000).map(|step| noise.chi(step, degrees)).collect();
        let squares: Vec<f64> = draws.iter().map(|d| 0.5 * d.1).collect();
        let shape = 0.5 * (degrees - 1) as f64;
        let ks = kolmogorov_smirnov(&squares, |s| gamma_cdf(shape, s));
        let normal: Vec<f64> = draws.iter().map(|d| 0.5 * d.0 * d.0).collect();
        let of_normal = kolmogorov_smirnov(&normal, |s| gamma_cdf(0.5, s));
        let signed: Vec<f64> = draws.iter().map(|d| d.0).collect();
        let off = deviation(&signed, 0.0);
        let together: Vec<f64> = draws.iter().map(|d| d.0 * (0.5 * d.1 - shape)).collect();
        let correlation = deviation(&together, 0.0);
        println!(
            "{degrees}: KS {ks:.2}, {of_normal:.2}; mean {off:+.2}, correlation {correlation:+.2}"
        );
        assert!(ks < KS && of_normal < KS && off.abs() < SIGMAS && correlation.abs() < SIGMAS);
    }
    assert_eq!(noise.chi(1, 1).1, 0.0);
}

/// The kinetic energy alone is an Ornstein-Uhlenbeck-like process: its mean comes back as exp(-t / relaxation), and what
/// stays is the gamma distribution of shape f / 2, however long a step is against the relaxation time.
#[test]
fn the_factor_is_that_of_the_paper() {
    const KT: f64 = 0.0259;
    for (degrees, c) in [(1, 0.6), (3, 0.2), (6, 0.9), (300, 0.5)] {
        let op = mdrun::dynamics::csvr::Rescaling {
            c,
            kt: KT,
            degrees_of_freedom: degrees,
        };
        let middle = 0.5 * degrees as f64 * KT;
        let noise = Noise::new(11);
        let start = 3.0 * middle;
        let once: Vec<f64> = (0..4000)
            .map(|step| op.factor(start, &noise, step).powi(2) * start)
            .collect();
        let back = deviation(&once, middle + c * (start - middle));
        let mut kinetic = middle;
        let mut series = Vec::new();
        for step in 10_000..60_000 {
            kinetic *= op.factor(kinetic, &noise, step).powi(2);
            series.push(kinetic / KT);
        }
        let thin: Vec<f64> = (series.iter().copied())
            .step_by(inefficiency(&series).ceil() as usize)
            .collect();
        let ks = kolmogorov_smirnov(&thin, |k| gamma_cdf(0.5 * degrees as f64, k));
        println!(
            "{degrees} degrees: back {back:+.2} standard errors, KS {ks:.2} of {}",
            thin.len()
        );
        assert!(back.abs() < SIGMAS && ks < KS, "{degrees}");
    }
    let op = mdrun::dynamics::csvr::Rescaling {
        c: 0.5,
        kt: KT,
        degrees_of_freedom: 1,
    };
    // With one degree of freedom velocities turn round as often as they must to be normal.
    let noise = Noise::new(5);
    let (mut v, mut turned) = (1.0, Vec::new());
    for step in 0..40_000 {
        v *= op.factor(0.5 * v * v, &noise, step);
        turned.push(v);
    }
    assert!(deviation(&turned, 0.0).abs() < SIGMAS);
    // What is at rest stays there.
    assert_eq!(op.factor(0.0, &noise, 1), 1.0);
}

/// In argon, with the atoms' own motion: gamma distribution of shape (3 N - 3) / 2, momentum of zero, and the same potential
/// energy as Langevin dynamics.
#[test]
fn argon_is_canonical() {
    const SAMPLES: u64 = 1500;
    let subject = argon();
    let dof = degrees(&subject) as f64;
    let program = program(&subject, subject.timestep, 100.0 * FS);
    let mut engine = (subject.build)(subject.start(2), Noise::new(1), 1.0);
    run(&mut *engine, &program, 0..2000);
    let mut moments = Vec::new();
    for k in 0..SAMPLES {
        let first = 2000 + 30 * k;
        run(&mut *engine, &program, first..first + 30);
        moments.push(engine.snapshot(Fields::NONE).unwrap().observables);
    }
    let kinetic: Vec<f64> = moments.iter().map(|o| o.kinetic / subject.kt).collect();
    let off = deviation(&kinetic, 0.5 * dof);
    let squares: Vec<f64> = kinetic.iter().map(|k| (k - 0.5 * dof).powi(2)).collect();
    let off_variance = deviation(&squares, 0.5 * dof);
    let thin: Vec<f64> = (kinetic.iter().copied())
        .step_by(inefficiency(&kinetic).ceil() as usize)
        .collect();
    let ks = kolmogorov_smirnov(&thin, |k| gamma_cdf(0.5 * dof, k));
    println!(
        "kinetic energy {:.4} of {} kT ({off:+.2} standard errors), variance {:.2} ({off_variance:+.2}), KS {ks:.2} of {}",
        mean(&kinetic),
        0.5 * dof,
        mean(&squares),
        thin.len()
    );
    assert!(off.abs() < SIGMAS && off_variance.abs() < SIGMAS && ks < KS);
    let momentum = moments.last().unwrap().momentum.norm();
    assert!(momentum < 1e-9, "momentum {momentum:e}");
    let mut reference = subject.engine(subject.start(3));
    let bath = baoab(subject.timestep, subject.kt, 1.0 / (300.0 * FS));
    run(&mut *reference, &bath, 0..2000);
    let mut other = Vec::new();
    for k in 0..SAMPLES {
        let first = 2000 + 30 * k;
        run(&mut *reference, &bath, first..first + 30);
        other.push(
            reference
                .snapshot(Fields::NONE)
                .unwrap()
                .observables
                .potential,
        );
    }
    let potential: Vec<f64> = moments.iter().map(|o| o.potential).collect();
    let error = standard_error(&potential).hypot(standard_error(&other));
    let apart = (mean(&potential) - mean(&other)) / error;
    println!(
        "potential energy {:.4} and {:.4} eV: {apart:+.2} standard errors",
        mean(&potential),
        mean(&other)
    );
    assert!(apart.abs() < SIGMAS);
}

/// Energy less heat is conserved: no slope, and a fluctuation of second order in the step.
#[test]
fn energy_less_heat_is_conserved() {
    /// meV / ps / atom: the heat goes up and down by some 10 meV / atom.
    const DRIFT: f64 = 2e-4;
    let subject = argon();
    let atoms = subject.system.len() as f64;
    let mut deviations = Vec::new();
    for (timestep, steps) in [(4.0 * FS, 5000), (2.0 * FS, 10_000)] {
        let mut engine = subject.engine(subject.start(3));
        let program = program(&subject, timestep, 200.0 * FS);
        let moments = watch(&mut *engine, &program, steps, 1);
        let (drift, width) = conserved_of(&subject, timestep, &moments);
        let heat: Vec<f64> = moments.iter().map(|o| 1e3 * o.kept.heat / atoms).collect();
        println!(
            "step {:.0} fs: {drift:+.1e} meV/atom/ps, +- {width:.2e} meV/atom; heat +- {:.2}",
            timestep / FS,
            variance(&heat).sqrt()
        );
        assert!(drift.abs() < DRIFT);
        deviations.push(width);
    }
    let ratio = deviations[0] / deviations[1];
    assert!((3.4..4.6).contains(&ratio), "{ratio}");
}

/// A flight of the whole is neither heated nor cooled, and the atoms have their temperature beside it.
#[test]
fn a_flight_is_left_alone() {
    let subject = argon();
    let program = program(&subject, subject.timestep, 40.0 * FS);
    bodies::a_flight_is_left_alone(&subject, &program, degrees(&subject));
}

/// A molecule in the open that does not turn does not begin to.
#[test]
fn a_cluster_at_rest_stays_at_rest() {
    let subject = cluster();
    let program = program(&subject, subject.timestep, 40.0 * FS);
    bodies::what_is_at_rest_stays_at_rest(&subject, &program);
    assert!(matches!(
        program.ops[2],
        Op::Collective {
            every: 1,
            what: Collective::RescaleVelocities(_)
        }
    ));
}
