//! The temperature where the motion of the centre of mass is taken out now and then: that of the bath.

use mdrun::core::observe::Thermometer;
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, System, Vec3, observe, velocities};
use mdrun::dynamics::{self, Program};
use mdrun::engine::{Engine, Flags, HostEngine, Limits, Start, Watched};
use mdrun::potential::Potential;

use super::bodies::{self, SIGMAS};
use super::doubles::{Free, Springs};
use super::statistics::{deviation, mean};
use super::subjects::{FS, KB};

const KT: f64 = 300.0 * KB;
const FRICTION: f64 = 1.0 / (100.0 * FS);

/// An engine of atoms on a line, moving thermally.
fn engine(masses: &[f64], potential: Box<dyn Potential>) -> HostEngine {
    let system = System {
        species: vec![18; masses.len()],
        masses: masses.to_vec(),
    };
    let positions = (0..masses.len()).map(|i| Vec3::x() * (0.1 * i as f64));
    let velocities = velocities::maxwell_boltzmann(&system, KT, Noise::new(1));
    let start = Start::new(system, Cell::open(), positions.collect(), velocities);
    HostEngine::new(start, Noise::new(5), 1.0, potential).unwrap()
}

/// The thermometer of so many atoms with a held centre of mass.
fn held(masses: &[f64]) -> Thermometer {
    Thermometer {
        degrees_of_freedom: 3 * masses.len() - 3,
        held_mass: Some(masses.iter().sum()),
        flying_mass: Some(masses.iter().sum()),
    }
}

/// Free atoms, with removals so often that the centre of mass never moves, as often as it takes to warm up, and so
/// rarely that it is warm all the time: the temperature is the bath's. Without leaving out what the centre of mass
/// has, three atoms would show up to 3/2 of it.
#[test]
fn the_temperature_is_the_baths_however_often_the_centre_is_stopped() {
    const MASSES: [f64; 3] = [39.948, 20.18, 83.798];
    let timestep = 2.0 * FS;
    for every in [1, 50, 500] {
        let mut engine = engine(&MASSES, Box::new(Free));
        let program = dynamics::baoab(timestep, KT, FRICTION).remove_drift(every);
        // An odd interval, so that samples are spread over the time between removals.
        let moments = bodies::observe(&mut engine, &program, 300_000, 37);
        let thermometer = held(&MASSES);
        let relative: Vec<f64> = moments.iter().map(|o| thermometer.kt(o) / KT).collect();
        let centre: Vec<f64> = (moments.iter())
            .map(|o| 2.0 * (o.kinetic - thermometer.kinetic(o)) / (3.0 * KT))
            .collect();
        let off = deviation(&relative, 1.0);
        println!(
            "removal every {every}: {:.4} of the bath ({off:+.2} standard errors), the centre {:.3}",
            mean(&relative),
            mean(&centre)
        );
        assert!(off.abs() < SIGMAS);
        // k steps after a removal the centre has 1 - c^(2 k) of its share; k is anything below `every`.
        let c2 = (-2.0 * FRICTION * timestep).exp();
        let n = every as f64;
        let share = 1.0 - (1.0 - c2.powf(n)) / (n * (1.0 - c2));
        match every {
            1 => assert!(mean(&centre) < 1e-25),
            _ => assert!(deviation(&centre, share).abs() < SIGMAS, "{share}"),
        }
    }
}

/// Atoms on springs: kinetic and potential energy of the relative motion have the temperature of the bath.
#[test]
fn relative_motion_has_its_equipartition() {
    const MASSES: [f64; 5] = [12.011, 1.008, 15.999, 1.008, 12.011];
    const STIFFNESS: f64 = 2.0;
    // Every atom is tied to every other one: the lightest vibrates at sqrt(5 k / m) about.
    let timestep = 0.05 / (5.0 * STIFFNESS / 1.008_f64).sqrt();
    let springs = Springs {
        stiffness: STIFFNESS,
    };
    let mut engine = engine(&MASSES, Box::new(springs));
    let program = dynamics::baoab(timestep, KT, FRICTION).remove_drift(300);
    let moments = bodies::observe(&mut engine, &program, 600_000, 29);
    let thermometer = held(&MASSES);
    let degrees = thermometer.degrees_of_freedom as f64;
    for (what, values) in [
        (
            "kinetic",
            moments
                .iter()
                .map(|o| thermometer.kt(o) / KT)
                .collect::<Vec<_>>(),
        ),
        (
            "potential",
            moments
                .iter()
                .map(|o| 2.0 * o.potential / (degrees * KT))
                .collect(),
        ),
    ] {
        let off = deviation(&values, 1.0);
        println!(
            "{what}: {:.4} of kT ({off:+.2} standard errors)",
            mean(&values)
        );
        // BAOAB's kinetic energy at a step's end is short of (omega t)^2 / 4 = 6e-4: less than an error.
        assert!(off.abs() < SIGMAS, "{what}");
    }
}

/// The limit on the temperature is one on the same temperature.
#[test]
fn a_limit_leaves_the_held_centre_out() {
    const MASSES: [f64; 2] = [10.0, 30.0];
    let mut engine = engine(&MASSES, Box::new(Free));
    let mut state = engine.snapshot(Fields::ALL).unwrap();
    let relative = held(&MASSES).kinetic(&state.observables);
    for v in &mut state.velocities {
        *v += Vec3::new(1.0, -2.0, 0.5);
    }
    engine.restore(&state).unwrap();
    let mut watch = |kinetic: f64, held_mass: Option<f64>| {
        engine.watch(Limits {
            kinetic: Some(kinetic),
            held_mass,
            ..Limits::default()
        });
        engine.run(&Program::velocity_verlet(0.1), 0..0).unwrap()
    };
    assert_eq!(watch(1.001 * relative, Some(40.0)).flags, Flags::OK);
    let broken = watch(0.999 * relative, Some(40.0)).breach.unwrap();
    assert_eq!(broken.what, Watched::Kinetic);
    assert!((broken.value / relative - 1.0).abs() < 1e-9);
    assert!(watch(1.001 * relative, None).breach.is_some());
}

#[test]
fn a_thermometer_counts_what_it_says() {
    let mut engine = engine(&[2.0, 6.0], Box::new(Free));
    let mut state = engine.snapshot(Fields::ALL).unwrap();
    state.velocities = vec![Vec3::new(3.0, 0.0, 0.0), Vec3::new(1.0, 0.0, 0.0)];
    engine.restore(&state).unwrap();
    let o = engine.snapshot(Fields::NONE).unwrap().observables;
    // 9 + 3 eV, of which 12^2 / 16 = 9 are flight of the whole.
    assert_eq!(Thermometer::of_all(6).kt(&o), 4.0);
    assert_eq!(held(&[2.0, 6.0]).kinetic(&o), 3.0);
    assert_eq!(held(&[2.0, 6.0]).kt(&o), 2.0);
    assert_eq!(observe::counted_kinetic(&o, None), 12.0);
}
