//! Chains of Nose-Hoover thermostats: distributions, the period that their masses give, what is conserved, and trajectories
//! beside those of ASE.

use mdrun::core::observe::Thermometer;
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, ChainState, Fields, Observables, System, Vec3, observe};
use mdrun::dynamics::{Chain, Ensemble, NoseHoover, Program, SuzukiYoshida, baoab};
use mdrun::engine::{HostEngine, Start};
use mdrun::potential::Potential;

use super::bodies::{self, SIGMAS, conserved_of, observe as watch, run};
use super::doubles::{Free, Springs};
use super::statistics::{
    deviation, gamma_cdf, inefficiency, kolmogorov_smirnov, mean, standard_error, variance,
};
use super::subjects::{FS, Subject, argon, cluster};

/// Exceeded by chance in 0.3 % of cases, as 3 standard errors are.
const KS: f64 = 1.8;

pub fn chain(relaxation: f64, links: usize) -> Chain {
    Chain {
        relaxation,
        links,
        steps: 1,
        scheme: SuzukiYoshida::Three,
    }
}

fn degrees(subject: &Subject) -> usize {
    let whole = observe::WholeMotion::Conserved;
    observe::degrees_of_freedom(&subject.system, &subject.cell, &subject.positions, whole)
}

fn program(subject: &Subject, timestep: f64, relaxation: f64) -> Program {
    let thermometer = Thermometer::of_all(degrees(subject));
    let ensemble = NoseHoover {
        kt: subject.kt,
        chain: chain(relaxation, 3),
    };
    ensemble.program(timestep, &thermometer)
}

/// An engine of atoms of 4 u in the open.
fn engine(
    positions: Vec<Vec3>,
    velocities: Vec<Vec3>,
    potential: Box<dyn Potential>,
) -> HostEngine {
    let atoms = positions.len();
    let system = System {
        species: vec![2; atoms],
        masses: vec![4.0; atoms],
    };
    let start = Start::new(system, Cell::open(), positions, velocities);
    HostEngine::new(start, Noise::new(1), 1.0, potential).unwrap()
}

/// Kinetic and potential energies over kT of two atoms on a line with a spring between them, whose one degree of freedom is
/// under a chain.
fn oscillator(links: usize) -> [Vec<f64>; 2] {
    const KT: f64 = 0.025;
    /// Of the reduced mass of 2 u, its frequency is 1.
    const STIFFNESS: f64 = 2.0;
    const STEP: f64 = 0.1;
    let along = |x: f64| vec![Vec3::new(0.5 * x, 0.0, 0.0), Vec3::new(-0.5 * x, 0.0, 0.0)];
    let spring = Box::new(Springs {
        stiffness: STIFFNESS,
    });
    let mut engine = engine(along(0.12), along(0.15), spring);
    let ensemble = NoseHoover {
        kt: KT,
        chain: chain(1.0, links),
    };
    let program = ensemble.program(STEP, &Thermometer::of_all(1));
    let moments = watch(&mut engine, &program, 400_000, 10);
    let each = |of: fn(&Observables) -> f64| moments.iter().map(|o| of(o) / KT).collect();
    [each(|o| o.kinetic), each(|o| o.potential)]
}

/// How far the energy of one degree of freedom, over kT, is from the canonical distribution.
fn off_canonical(energies: &[f64]) -> f64 {
    let thin: Vec<f64> = (energies.iter().copied())
        .step_by(inefficiency(energies).ceil() as usize)
        .collect();
    kolmogorov_smirnov(&thin, |e| gamma_cdf(0.5, e))
}

/// One thermostat never brings a harmonic oscillator everywhere (Martyna, Klein and Tuckerman 1992); a chain does.
#[test]
fn a_chain_samples_an_oscillator_and_one_thermostat_does_not() {
    let [kinetic, potential] = oscillator(4);
    let off = [&kinetic, &potential].map(|energies| off_canonical(energies));
    let means = [&kinetic, &potential].map(|energies| deviation(energies, 0.5));
    println!("four thermostats: KS {off:.2?}, means {means:+.2?} standard errors off");
    assert!(off.iter().all(|off| *off < KS) && means.iter().all(|off| off.abs() < SIGMAS));
    let alone = oscillator(1).map(|energies| off_canonical(&energies));
    println!("one: KS {alone:.2?}");
    assert!(alone.iter().all(|off| *off > 2.0 * KS));
}

/// Without forces the kinetic energy swings about f kT / 2 with the frequency sqrt(2) / T, which is what the mass f kT T^2
/// makes of it.
#[test]
fn the_first_mass_is_that_of_the_period() {
    const KT: f64 = 0.025;
    const ATOMS: usize = 20;
    const RELAXATION: f64 = 100.0;
    /// Of the period: a hundredth of a swing is off by its square.
    const OFF: f64 = 5e-4;
    let position = |i: usize| Vec3::new(10.0 * i as f64, 0.0, 0.0);
    let freedom = 3 * ATOMS - 3;
    // A kinetic energy one part in a hundred too large, with no motion of the whole.
    let speed = (1.01 * freedom as f64 * KT / (4.0 * ATOMS as f64)).sqrt();
    let velocity = |i: usize| Vec3::y() * if i.is_multiple_of(2) { speed } else { -speed };
    let mut engine = engine(
        (0..ATOMS).map(position).collect(),
        (0..ATOMS).map(velocity).collect(),
        Box::new(Free),
    );
    let ensemble = NoseHoover {
        kt: KT,
        chain: chain(RELAXATION, 1),
    };
    let program = ensemble.program(1.0, &Thermometer::of_all(freedom));
    let moments = watch(&mut engine, &program, 20_000, 1);
    let middle = 0.5 * freedom as f64 * KT;
    let off: Vec<f64> = moments.iter().map(|o| o.kinetic - middle).collect();
    let crossings: Vec<f64> = (1..off.len())
        .filter(|&k| off[k - 1] < 0.0 && off[k] >= 0.0)
        .map(|k| k as f64 - off[k] / (off[k] - off[k - 1]))
        .collect();
    let swings = crossings.len() - 1;
    let period = (crossings[swings] - crossings[0]) / swings as f64;
    let expected = std::f64::consts::TAU * RELAXATION / 2.0_f64.sqrt();
    println!("{swings} swings of {period:.2}, {expected:.2} of theory");
    assert!((period / expected - 1.0).abs() < OFF);
}

/// In argon: gamma distribution of shape (3 N - 3) / 2, momentum of zero, and the same potential energy as Langevin dynamics.
#[test]
fn argon_is_canonical() {
    const SAMPLES: u64 = 1500;
    let subject = argon();
    let dof = degrees(&subject) as f64;
    let sampled = |program: &Program, seed: u32| {
        let mut engine = subject.engine(subject.start(seed));
        run(&mut *engine, program, 0..2000);
        let moment = |k: u64| {
            let first = 2000 + 30 * k;
            run(&mut *engine, program, first..first + 30);
            engine.snapshot(Fields::NONE).unwrap().observables
        };
        (0..SAMPLES).map(moment).collect::<Vec<Observables>>()
    };
    let moments = sampled(&program(&subject, subject.timestep, 100.0 * FS), 2);
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
    let bath = baoab(subject.timestep, subject.kt, 1.0 / (300.0 * FS));
    let others = sampled(&bath, 3);
    let [potential, other] =
        [&moments, &others].map(|all| all.iter().map(|o| o.potential).collect::<Vec<f64>>());
    let error = standard_error(&potential).hypot(standard_error(&other));
    let apart = (mean(&potential) - mean(&other)) / error;
    println!("potential energies {apart:+.2} standard errors apart");
    assert!(apart.abs() < SIGMAS);
}

/// The whole energy, the chain's with it, has no slope, and half the step a quarter of its fluctuation. What is left of the
/// chain's energy is the heat.
#[test]
fn the_energy_of_the_whole_is_conserved() {
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
        let swing = variance(&heat).sqrt();
        println!(
            "step {:.0} fs: {drift:+.1e} meV/atom/ps, +- {width:.2e} meV/atom; heat +- {swing:.2}",
            timestep / FS,
        );
        assert!(drift.abs() < DRIFT && swing > 100.0 * width);
        deviations.push(width);
        let kept = moments.last().unwrap().kept;
        let energy = whole_energy(&subject, &kept.chain, 200.0 * FS);
        assert!((kept.heat + energy).abs() < 1e-9, "{} {energy}", kept.heat);
    }
    let ratio = deviations[0] / deviations[1];
    assert!((3.4..4.6).contains(&ratio), "{ratio}");
}

/// The energy of a chain, as the paper has it.
fn whole_energy(subject: &Subject, state: &ChainState, relaxation: f64) -> f64 {
    let freedom = degrees(subject) as f64;
    let scale = subject.kt * relaxation * relaxation;
    let [v, x] = [state.velocities, state.positions];
    0.5 * scale * (freedom * v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        + subject.kt * (freedom * x[0] + x[1] + x[2])
}

/// A flight of the whole is neither heated nor cooled, and the atoms have their temperature beside it.
#[test]
fn a_flight_is_left_alone() {
    let subject = argon();
    let program = program(&subject, subject.timestep, 60.0 * FS);
    bodies::a_flight_is_left_alone(&subject, &program, degrees(&subject));
}

/// A molecule in the open that does not turn does not begin to.
#[test]
fn a_cluster_at_rest_stays_at_rest() {
    let subject = cluster();
    let program = program(&subject, subject.timestep, 40.0 * FS);
    bodies::what_is_at_rest_stays_at_rest(&subject, &program);
}
