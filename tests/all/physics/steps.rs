//! The shortest vibration and the trial of a time step, against what is known of springs.

use std::time::{Duration, Instant};

use mdrun::Result;
use mdrun::core::observe::Thermometer;
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, System, Vec3};
use mdrun::diagnose::trial::{Attempt, attempt};
use mdrun::diagnose::vibration::{Vibrating, shortest_period};
use mdrun::dynamics::Constraints;
use mdrun::engine::{Engine, HostEngine, Limits, Start, Watched};
use mdrun::neighbors::Pairs;
use mdrun::potential::{About, Evaluation, Potential};

use super::doubles::{Free, Hole, Springs};
use super::subjects::argon;

const STIFFNESS: f64 = 2.0;

fn system(masses: &[f64]) -> System {
    System {
        species: vec![6; masses.len()],
        masses: masses.to_vec(),
    }
}

fn springs(masses: &[f64], velocities: Vec<Vec3>) -> HostEngine {
    let positions = (0..masses.len()).map(|i| Vec3::x() * (1.3 * i as f64));
    let start = Start::new(
        system(masses),
        Cell::open(),
        positions.collect(),
        velocities,
    );
    let springs = Springs {
        stiffness: STIFFNESS,
    };
    HostEngine::new(start, Noise::new(1), 1.0, Box::new(springs)).unwrap()
}

/// A spring between two: omega^2 = k / reduced mass. N alike, each tied to each: omega^2 = N k / m.
#[test]
fn the_shortest_period_is_that_of_the_stiffest_spring() {
    for (masses, squared) in [
        (vec![1.0, 3.0], STIFFNESS / 0.75),
        (vec![2.0; 3], 3.0 * STIFFNESS / 2.0),
        (vec![5.0; 20], 20.0 * STIFFNESS / 5.0),
    ] {
        let velocities = vec![Vec3::new(0.01, 0.02, -0.03); masses.len()];
        let mut engine = springs(&masses, velocities);
        let state = engine.snapshot(Fields::ALL).unwrap();
        let system = system(&masses);
        let vibrating = Vibrating::new(&system, &Constraints::default());
        let period = shortest_period(&mut engine, &vibrating, &state).unwrap();
        let right = std::f64::consts::TAU / squared.sqrt();
        let off = period.unwrap() / right - 1.0;
        assert!(off.abs() < 1e-6, "{masses:?}: {off}");
        assert_eq!(engine.snapshot(Fields::ALL).unwrap(), state, "as it was");
    }
}

#[test]
fn what_is_free_does_not_vibrate() {
    let masses = [1.0, 2.0];
    let start = Start::new(
        system(&masses),
        Cell::open(),
        vec![Vec3::zeros(), Vec3::x() * 5.0],
        vec![Vec3::zeros(); 2],
    );
    let mut engine = HostEngine::new(start, Noise::new(1), 1.0, Box::new(Free)).unwrap();
    let state = engine.snapshot(Fields::ALL).unwrap();
    let system = system(&masses);
    let vibrating = Vibrating::new(&system, &Constraints::default());
    assert_eq!(
        shortest_period(&mut engine, &vibrating, &state).unwrap(),
        None
    );
}

fn how(timestep: f64, degrees_of_freedom: usize) -> Attempt {
    Attempt {
        timestep,
        steps: 1000,
        deadline: Instant::now() + Duration::from_secs(600),
        limits: Limits::default(),
        thermometer: Thermometer::of_all(degrees_of_freedom),
    }
}

/// Velocity Verlet conserves K + (1 - a) U of a spring, a = (omega t)^2 / 4, to the last digit: K + U goes up and down
/// by a U, K by (1 - a) U.
#[test]
fn the_fluctuation_of_a_spring_is_known() {
    let masses = [1.0, 3.0];
    let omega = (STIFFNESS / 0.75_f64).sqrt();
    // Stretched from rest at no length, along the spring.
    let velocities = vec![Vec3::x() * -0.3, Vec3::x() * 0.1];
    for angle in [0.1, 0.45, 0.63, 1.0_f64] {
        let mut engine = springs(&masses, velocities.clone());
        let state = engine.snapshot(Fields::ALL).unwrap();
        let found = attempt(&mut engine, &state, &how(angle / omega, 1)).unwrap();
        let a = angle * angle / 4.0;
        let off = found.fluctuation.unwrap() / (a / (1.0 - a)) - 1.0;
        assert!(off.abs() < 1e-9, "{angle}: {off}");
        assert_eq!((found.steps, found.breach), (1000, None));
        assert_eq!(engine.snapshot(Fields::ALL).unwrap(), state, "as it was");
    }
}

/// Beyond omega t = 2 the motion grows without end, until a limit ends the trial.
#[test]
fn an_unstable_step_breaks_off() {
    let mut engine = springs(&[1.0, 3.0], vec![Vec3::x() * -0.3, Vec3::x() * 0.1]);
    let state = engine.snapshot(Fields::ALL).unwrap();
    let omega = (STIFFNESS / 0.75_f64).sqrt();
    let mut hot = how(2.2 / omega, 1);
    hot.limits.kinetic = Some(100.0);
    let found = attempt(&mut engine, &state, &hot).unwrap();
    assert_eq!(found.breach.unwrap().what, Watched::Kinetic);
    assert!(found.steps < 100);
    assert_eq!(engine.snapshot(Fields::ALL).unwrap(), state, "as it was");
}

#[test]
fn what_does_not_move_tells_nothing() {
    let mut subject = argon();
    subject.kt = 0.0;
    let hole = Hole {
        distance: 0.5,
        energy_only: true,
    };
    let mut start = subject.start(1);
    start.velocities.iter_mut().for_each(|v| *v = Vec3::zeros());
    let mut engine = HostEngine::new(start, Noise::new(1), 1.0, Box::new(hole)).unwrap();
    let state = engine.snapshot(Fields::ALL).unwrap();
    let found = attempt(&mut engine, &state, &how(subject.timestep, 321)).unwrap();
    assert_eq!(
        (found.fluctuation, found.kt, found.breach),
        (None, 0.0, None)
    );
}

/// An energy (eV) of this much per angstrom of distance, of which the forces know nothing.
struct Leaking(f64);

impl Potential for Leaking {
    fn cutoff(&self) -> f64 {
        1000.0
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        *out = Evaluation::zeros(pairs.rows.len() - 1);
        out.energy = 0.5 * self.0 * pairs.distances.iter().sum::<f64>();
        Ok(())
    }

    fn about(&self) -> About {
        About::plain("leaking")
    }
}

/// Two free atoms that fly apart at 2 v gain 2 v g of energy each unit of time.
#[test]
fn the_drift_is_the_slope_of_the_energy() {
    const SPEED: f64 = 0.07;
    for gain in [0.013, -0.4] {
        let start = Start::new(
            system(&[2.0, 2.0]),
            Cell::open(),
            vec![Vec3::zeros(), Vec3::x() * 5.0],
            vec![Vec3::x() * -SPEED, Vec3::x() * SPEED],
        );
        let leaking = Box::new(Leaking(gain));
        let mut engine = HostEngine::new(start, Noise::new(1), 1.0, leaking).unwrap();
        let state = engine.snapshot(Fields::ALL).unwrap();
        let found = attempt(&mut engine, &state, &how(0.05, 6)).unwrap();
        let off = found.drift.unwrap().value / (2.0 * SPEED * gain) - 1.0;
        assert!(off.abs() < 1e-9, "{gain}: {off}");
    }
}
