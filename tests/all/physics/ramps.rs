//! Baths that change in the course of a run: every step is that of the bath of its moment, and heat is accounted for.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Observables, Snapshot, System, Vec3};
use mdrun::dynamics::{Op, Program, Ramp, Ramps, baoab};
use mdrun::engine::{Engine, HostEngine, Start};

use super::bodies::{self, SIGMAS, run};
use super::doubles::Free;
use super::pressed::{BAR, programs};
use super::statistics::{deviation, slope};
use super::subjects::{FS, Subject, argon};
use crate::support::calculators::{Calculator, for_every_calculator};

for_every_calculator!([Argon]:
    steps_are_those_of_the_bath_of_their_moment,
    energy_less_heat_is_conserved_while_the_bath_warms,
);

fn ramp(points: &[[f64; 2]]) -> Ramp {
    Ramp::through(points.to_vec()).expect("a ramp")
}

fn ramps(subject: &Subject) -> Ramps {
    let kt = subject.kt;
    Ramps {
        temperature: Some(ramp(&[[3.0, 0.2 * kt], [17.0, 2.0 * kt], [28.5, kt]])),
        pressure: Some(ramp(&[[0.0, 0.0], [30.0, 900.0 * BAR]])),
    }
}

fn state(engine: &mut dyn Engine) -> Snapshot {
    engine.snapshot(Fields::ALL).expect("the device works")
}

fn farthest(a: &[Vec3], b: &[Vec3]) -> f64 {
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).norm());
    apart.fold(0.0, f64::max)
}

/// A ramp is a run in which each step has a program of its own, whose bath is written out; and blocks are cut as they come,
/// to the same bits. A ramp that is a step late is off by 1e-4 and more; one in the last bits of a temperature by 1e-13.
fn steps_are_those_of_the_bath_of_their_moment(calculator: &Calculator) {
    const STEPS: u64 = 40;
    const APART: f64 = 1e-9;
    let subject = argon().by(calculator);
    let ramps = ramps(&subject);
    let langevin = (
        "langevin".to_owned(),
        baoab(subject.timestep, subject.kt, 1.0 / (100.0 * FS)),
    );
    for (name, constant) in programs(&subject).into_iter().chain([langevin]) {
        let ramped = constant.clone().with_ramps(ramps.clone());
        let mut by_hand = subject.engine(subject.start(1));
        for step in 0..STEPS {
            let bath = ramps.at(step);
            let ops: Vec<Op> = constant.ops.iter().map(|op| bath.of(*op)).collect();
            run(&mut *by_hand, &Program::of(ops), step..step + 1);
        }
        let mut whole = subject.engine(subject.start(1));
        run(&mut *whole, &ramped, 0..STEPS);
        let mut cut = subject.engine(subject.start(1));
        for (from, to) in [(0, 1), (1, 17), (17, 30), (30, STEPS)] {
            run(&mut *cut, &ramped, from..to);
        }
        let [by_hand, whole, cut] = [by_hand, whole, cut].map(|mut engine| state(&mut *engine));
        assert_eq!(whole, cut, "{name}");
        let off = farthest(&by_hand.velocities, &whole.velocities)
            + farthest(&by_hand.positions, &whole.positions)
            + (by_hand.observables.conserved() - whole.observables.conserved()).abs();
        assert!(off < APART, "{name}: {off:e}");
        let mut still = subject.engine(subject.start(1));
        run(&mut *still, &constant, 0..STEPS);
        let moved = farthest(&state(&mut *still).velocities, &whole.velocities);
        assert!(moved > 1e-4, "{name}: the ramp does nothing ({moved:e})");
    }
}

/// As without a ramp: what the bath puts in is counted, whatever its temperature is.
fn energy_less_heat_is_conserved_while_the_bath_warms(calculator: &Calculator) {
    /// meV / ps / atom. The bath puts 9 meV / atom / ps in: of it, one part in a thousand is more than this.
    const DRIFT: f64 = 4e-3;
    let subject = argon().by(calculator);
    let (timestep, steps) = (2.0 * FS, 2000);
    let program = baoab(timestep, subject.kt, 1.0 / (200.0 * FS)).with_ramps(Ramps {
        temperature: Some(ramp(&[
            [0.0, 0.5 * subject.kt],
            [steps as f64, 3.0 * subject.kt],
        ])),
        pressure: None,
    });
    let mut engine = subject.engine(subject.start(1));
    let moments = bodies::observe(&mut *engine, &program, steps, 5);
    let times: Vec<f64> = (1..=moments.len())
        .map(|k| 5.0 * timestep * k as f64)
        .collect();
    let atoms = subject.system.len() as f64;
    let per_ps = 1e3 * 1000.0 * FS / atoms;
    let conserved: Vec<f64> = moments.iter().map(Observables::conserved).collect();
    let heat: Vec<f64> = moments.iter().map(|o| o.kept.heat).collect();
    let [drift, heating] = [conserved, heat].map(|of| per_ps * slope(&times, &of));
    println!("{drift:+.2e} meV/atom/ps of {heating:.2}");
    assert!(heating > 4.0 && drift.abs() < DRIFT, "{drift} {heating}");
}

/// Free atoms: the mean square of a velocity follows <v^2> <- c^2 <v^2> + (1 - c^2) 3 kT(s) / m from rest.
#[test]
fn free_atoms_follow_the_bath() {
    const ATOMS: usize = 4000;
    const STEPS: u64 = 200;
    const KT: f64 = 0.025;
    let (timestep, friction) = (1.0 * FS, 1.0 / (50.0 * FS));
    let system = System {
        species: vec![18; ATOMS],
        masses: vec![40.0; ATOMS],
    };
    let positions = (0..ATOMS).map(|i| Vec3::x() * (1e3 * i as f64)).collect();
    let start = Start::new(system, Cell::open(), positions, vec![Vec3::zeros(); ATOMS]);
    let mut engine = HostEngine::new(start, Noise::new(3), 1.0, Box::new(Free)).expect("a start");
    let heating = ramp(&[[0.0, 0.0], [STEPS as f64, KT]]);
    let program = baoab(timestep, KT, friction).with_ramps(Ramps {
        temperature: Some(heating),
        pressure: None,
    });
    run(&mut engine, &program, 0..STEPS);
    let squares: Vec<f64> = (state(&mut engine).velocities.iter())
        .map(|v| 40.0 * v.norm_squared() / (3.0 * KT))
        .collect();
    let c = (-friction * timestep).exp();
    let follow = |x: f64, s: u64| c * c * x + (1.0 - c * c) * (s as f64 + 0.5) / STEPS as f64;
    let wanted = (0..STEPS).fold(0.0, follow);
    let off = deviation(&squares, wanted);
    println!("{wanted:.4}: {off:+.2} standard errors");
    // The bath is at KT in the end, and the atoms a lag of 1 / (2 friction) behind.
    assert!((wanted - 0.875).abs() < 0.01 && off.abs() < SIGMAS);
}
