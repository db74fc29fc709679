//! What must hold of any engine and potential: called by the tests of each subject.

use mdrun::core::{Fields, Observables, Snapshot, Vec3, observe};
use mdrun::dynamics::{self, Program};
use mdrun::engine::{Engine, Flags, Start};

use super::statistics::{
    deviation, gamma_cdf, inefficiency, kolmogorov_smirnov, mean, slope, standard_error, variance,
};
use super::subjects::{FS, Subject};

/// Deviations of more standard errors are a fault.
pub const SIGMAS: f64 = 3.0;

/// Runs `steps` steps, that nothing disturbs, in one block.
pub fn run(engine: &mut dyn Engine, program: &Program, steps: std::ops::Range<u64>) {
    let end = steps.end;
    let outcome = engine.run(program, steps).expect("the device works");
    assert_eq!(
        (outcome.flags, outcome.step),
        (Flags::OK, end),
        "{outcome:?}"
    );
}

/// Runs to `steps` and returns the observables after every `every` steps.
pub fn observe(
    engine: &mut dyn Engine,
    program: &Program,
    steps: u64,
    every: u64,
) -> Vec<Observables> {
    let block = |k: u64| {
        run(engine, program, k * every..(k + 1) * every);
        engine
            .snapshot(Fields::NONE)
            .expect("the device works")
            .observables
    };
    (0..steps / every).map(block).collect()
}

/// Root mean square fluctuation (eV) of the total energy over `steps` steps of NVE.
fn fluctuation(subject: &Subject, timestep: f64, steps: u64) -> f64 {
    let mut engine = subject.engine(subject.start(1));
    let moments = observe(&mut *engine, &Program::velocity_verlet(timestep), steps, 1);
    let energies: Vec<f64> = moments.iter().map(Observables::total).collect();
    variance(&energies).sqrt()
}

/// Velocity Verlet is of second order: half the step, a quarter of the fluctuation of the energy.
pub fn energy_fluctuation_falls_fourfold(name: &str, subject: &Subject, steps: u64) {
    let whole = fluctuation(subject, subject.timestep, steps);
    let half = fluctuation(subject, 0.5 * subject.timestep, 2 * steps);
    let atoms = subject.system.len() as f64;
    println!(
        "{name}: energy fluctuation {:.3e} and {:.3e} meV/atom, ratio {:.3}",
        1e3 * whole / atoms,
        1e3 * half / atoms,
        whole / half
    );
    assert!((3.6..4.4).contains(&(whole / half)));
}

/// Velocity Verlet is reversible: the way back is the way there, within `tolerance` (angstrom), which
/// is for the growth of rounding.
pub fn reversed_velocities_lead_back(name: &str, subject: &Subject, tolerance: f64) {
    const STEPS: u64 = 200;
    let program = Program::velocity_verlet(subject.timestep);
    let mut there = subject.engine(subject.start(1));
    run(&mut *there, &program, 0..STEPS);
    let turn = there.snapshot(Fields::ALL).expect("the device works");
    let reversed = turn.velocities.iter().map(|v| -v).collect();
    let start = Start::new(
        subject.system.clone(),
        subject.cell.clone(),
        turn.positions.clone(),
        reversed,
    );
    let mut back = subject.engine(start);
    run(&mut *back, &program, 0..STEPS);
    let end = back.snapshot(Fields::ALL).expect("the device works");
    let moved = farthest(&turn.positions, &subject.positions);
    let missed = farthest(&end.positions, &subject.positions);
    println!("{name}: moved {moved:.3} A, came back within {missed:.1e} A");
    assert!(moved > 0.1 && missed < tolerance);
}

fn farthest(a: &[Vec3], b: &[Vec3]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).norm())
        .fold(0.0, f64::max)
}

/// Momentum is conserved to rounding, and angular momentum where nothing is periodic.
pub fn momenta_are_conserved(name: &str, subject: &Subject, steps: u64, tolerance: f64) {
    let mut start = subject.start(1);
    // Not at rest as a whole, so that there is something to lose.
    let push = |(i, v): (usize, &mut Vec3)| {
        *v += Vec3::new(0.01, -0.02, 0.005) + Vec3::z().cross(&subject.positions[i]) * 1e-3;
    };
    start.velocities.iter_mut().enumerate().for_each(push);
    let mut engine = subject.engine(start);
    let momenta = |s: &Snapshot| {
        let l = observe::angular_momentum(&subject.system, &s.positions, &s.velocities);
        (s.observables.momentum, l)
    };
    let before = momenta(&engine.snapshot(Fields::ALL).expect("the device works"));
    run(
        &mut *engine,
        &Program::velocity_verlet(subject.timestep),
        0..steps,
    );
    let after = engine.snapshot(Fields::ALL).expect("the device works");
    let (p, l) = momenta(&after);
    // Rounding adds up over atoms and steps, of terms of this size.
    let impulse: f64 = (subject.system.masses.iter().zip(&after.velocities))
        .map(|(m, v)| m * v.norm())
        .sum();
    let lever = (after.positions.iter())
        .map(|r| r.norm())
        .fold(0.0, f64::max);
    let dp = (p - before.0).norm() / impulse;
    let dl = (l - before.1).norm() / (impulse * lever);
    println!("{name}: relative change of momentum {dp:.1e}, of angular momentum {dl:.1e}");
    assert!(dp < tolerance);
    assert_eq!(dl < tolerance, !subject.cell.is_periodic());
}

/// What is conserved over a run: its slope (meV / ps / atom) and the width of its fluctuation (meV / atom), of states one step
/// apart.
pub fn conserved_of(subject: &Subject, timestep: f64, moments: &[Observables]) -> (f64, f64) {
    let times: Vec<f64> = (0..moments.len())
        .map(|k| k as f64 * timestep / (1000.0 * FS))
        .collect();
    let conserved: Vec<f64> = moments.iter().map(Observables::conserved).collect();
    let scale = 1e3 / subject.system.len() as f64;
    (
        scale * slope(&times, &conserved),
        scale * variance(&conserved).sqrt(),
    )
}

/// A thermostat neither heats nor cools a flight of the whole, and the atoms have their temperature beside it.
pub fn a_flight_is_left_alone(subject: &Subject, program: &Program, degrees: usize) {
    let mut start = subject.start(1);
    let flight = Vec3::new(0.02, -0.01, 0.03);
    start.velocities.iter_mut().for_each(|v| *v += flight);
    let before = observe::momentum(&subject.system, &start.velocities);
    let mut engine = subject.engine(start);
    let moments = self::observe(&mut *engine, program, 6000, 20);
    let mass = subject.system.total_mass();
    let after = moments.last().unwrap().momentum;
    assert!((after - before).norm() < 1e-9, "{after} {before}");
    let inner: Vec<f64> = (moments[50..].iter())
        .map(|o| observe::counted_kinetic(o, Some(mass)) / subject.kt)
        .collect();
    let off = deviation(&inner, 0.5 * degrees as f64);
    println!("kinetic energy about the centre of mass: {off:+.2} standard errors off");
    assert!(off.abs() < SIGMAS);
}

/// A molecule in the open that does not turn does not begin to, nor to fly.
pub fn what_is_at_rest_stays_at_rest(subject: &Subject, program: &Program) {
    let mut engine = subject.engine(subject.start(1));
    run(&mut *engine, program, 0..2000);
    let s = engine.snapshot(Fields::ALL).unwrap();
    let spin = observe::angular_momentum(&subject.system, &s.positions, &s.velocities);
    assert!(
        spin.norm() < 1e-7 && s.observables.momentum.norm() < 1e-9,
        "{spin}"
    );
}

/// How to sample a canonical ensemble.
pub struct Sampling {
    /// Friction (inverse time).
    pub friction: f64,
    /// Steps to forget the start.
    pub settle: u64,
    /// Samples to take, and steps between two.
    pub samples: u64,
    pub every: u64,
}

/// Kinetic energies of a Langevin run, over kT: of all atoms, and of each element and direction.
struct Kinetics {
    total: Vec<f64>,
    shares: Vec<Share>,
}

struct Share {
    element: u8,
    axis: usize,
    atoms: usize,
    series: Vec<f64>,
}

fn sample(subject: &Subject, plan: &Sampling) -> Kinetics {
    let program = dynamics::baoab(subject.timestep, subject.kt, plan.friction);
    let mut engine = subject.engine(subject.start(2));
    run(&mut *engine, &program, 0..plan.settle);
    let mut elements = subject.system.species.clone();
    elements.sort_unstable();
    elements.dedup();
    let share = |(element, axis): (u8, usize)| Share {
        element,
        axis,
        atoms: subject
            .system
            .species
            .iter()
            .filter(|&&z| z == element)
            .count(),
        series: Vec::new(),
    };
    let axes = |z: &u8| [(*z, 0), (*z, 1), (*z, 2)];
    let mut kinetics = Kinetics {
        total: Vec::new(),
        shares: elements.iter().flat_map(axes).map(share).collect(),
    };
    let want = Fields {
        velocities: true,
        ..Fields::NONE
    };
    for k in 0..plan.samples {
        let first = plan.settle + k * plan.every;
        run(&mut *engine, &program, first..first + plan.every);
        let s = engine.snapshot(want).expect("the device works");
        kinetics.total.push(s.observables.kinetic / subject.kt);
        for share in &mut kinetics.shares {
            let of = |i: usize| subject.system.species[i] == share.element;
            let energy = |i: usize| {
                0.5 * subject.system.masses[i] * s.velocities[i][share.axis].powi(2) / subject.kt
            };
            share
                .series
                .push((0..s.velocities.len()).filter(|&i| of(i)).map(energy).sum());
        }
    }
    kinetics
}

/// The kinetic energy in the canonical ensemble, over kT, has a gamma distribution of shape
/// a = 3 N / 2: mean a, variance a. Each element and direction has its equal share.
pub fn kinetic_energy_is_canonical(name: &str, subject: &Subject, plan: &Sampling) {
    let kinetics = sample(subject, plan);
    let shape = 1.5 * subject.system.len() as f64;
    let total = &kinetics.total;
    let off = deviation(total, shape);
    let squares: Vec<f64> = total.iter().map(|k| (k - shape).powi(2)).collect();
    let off_variance = deviation(&squares, shape);
    let thin: Vec<f64> = (total.iter().copied())
        .step_by(inefficiency(total).ceil() as usize)
        .collect();
    let ks = kolmogorov_smirnov(&thin, |k| gamma_cdf(shape, k));
    println!(
        "{name}: {} samples, inefficiency {:.2}; kinetic energy {:.5} of {shape} kT ({off:+.2} standard \
         errors of {:.4}), variance {:.4} of {shape} ({off_variance:+.2}); Kolmogorov-Smirnov {ks:.2} of {}",
        total.len(),
        inefficiency(total),
        mean(total),
        standard_error(total),
        mean(&squares),
        thin.len()
    );
    // Exceeded by chance in 0.3 % of cases, as 3 standard errors are.
    const KS: f64 = 1.8;
    assert!(off.abs() < SIGMAS && off_variance.abs() < SIGMAS && ks < KS);
    for share in &kinetics.shares {
        let expected = 0.5 * share.atoms as f64;
        let off = deviation(&share.series, expected);
        let part = mean(&share.series) / expected;
        let (z, axis) = (share.element, ["x", "y", "z"][share.axis]);
        println!("{name}: element {z}, {axis}: {part:.4} of its share ({off:+.2} standard errors)");
        assert!(off.abs() < SIGMAS, "element {z}, {axis}");
    }
}

/// Slope (eV / ps / atom) of the energy, less the heat of a bath, over a run.
fn slope_of(subject: &Subject, program: &Program, steps: u64) -> f64 {
    let mut engine = subject.engine(subject.start(3));
    let moments = observe(&mut *engine, program, steps, 1);
    1e-3 * conserved_of(subject, program.timestep(), &moments).0
}

/// The drift of constant energy: its slope (eV / ps / atom).
pub fn slope_of_the_energy(subject: &Subject, steps: u64) -> f64 {
    slope_of(subject, &Program::velocity_verlet(subject.timestep), steps)
}

/// Energy less heat is conserved by Langevin dynamics: its slope (eV / ps / atom).
pub fn slope_of_the_conserved_quantity(
    subject: &Subject,
    timestep: f64,
    friction: f64,
    steps: u64,
) -> f64 {
    let program = dynamics::baoab(timestep, subject.kt, friction);
    slope_of(subject, &program, steps)
}
