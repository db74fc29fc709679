//! Thermostats of groups: each has its temperature, and one without friction has none.

use mdrun::core::rng::{Noise, Stream};
use mdrun::core::{Cell, Fields, System, Vec3};
use mdrun::dynamics::baoab;
use mdrun::engine::{Engine as _, GroupRules, HostEngine, OwnBath, Start};

use crate::physics::bodies::{self, SIGMAS};
use crate::physics::doubles::Free;
use crate::physics::statistics::{deviation, mean};
use crate::physics::subjects::{FS, KB};

const MASS: f64 = 39.948;
const KT: f64 = 100.0 * KB;
const OWN: OwnBath = OwnBath {
    kt: 3.0 * KT,
    friction: 0.5,
};
const NONE: OwnBath = OwnBath {
    kt: 0.0,
    friction: 0.0,
};

/// Free atoms: of the ensemble's bath, of one of their own, and of none.
fn engine(each: usize) -> HostEngine {
    let atoms = 3 * each;
    let system = System {
        species: vec![18; atoms],
        masses: vec![MASS; atoms],
    };
    let positions = (0..atoms).map(|i| Vec3::x() * (3.0 * i as f64)).collect();
    let bath = |i: usize| [None, Some(OWN), Some(NONE)][i / each];
    let rules = GroupRules {
        baths: (0..atoms).map(bath).collect(),
        ..GroupRules::default()
    };
    let start = Start::new(
        system,
        Cell::open(),
        positions,
        vec![Vec3::y() * 0.01; atoms],
    );
    HostEngine::new(start.with_groups(rules), Noise::new(9), 1.0, Box::new(Free)).unwrap()
}

/// One step of noise is that of the friction and the temperature of each.
#[test]
fn noise_is_that_of_the_bath() {
    let mut engine = engine(1);
    let (friction, timestep) = (1.0 / (50.0 * FS), 5.0 * FS);
    bodies::run(&mut engine, &baoab(timestep, KT, friction), 0..1);
    let state = engine.snapshot(Fields::ALL).unwrap();
    let before = Vec3::y() * 0.01;
    let mut heat = 0.0;
    for (i, rate, kt) in [
        (0, friction, KT),
        (1, 0.5 * friction, 3.0 * KT),
        (2, 0.0, 0.0),
    ] {
        let c = (-rate * timestep).exp();
        let xi = Noise::new(9).normal3(0, i as u32, Stream::Thermostat);
        let wanted = before * c + xi * ((1.0 - c * c) * kt / MASS).sqrt();
        assert!((state.velocities[i] - wanted).norm() < 1e-15, "atom {i}");
        heat += 0.5 * MASS * (wanted.norm_squared() - before.norm_squared());
    }
    assert_eq!(state.velocities[2], before);
    assert!((state.observables.kept.heat - heat).abs() < 1e-14);
}

#[test]
fn each_group_has_its_temperature() {
    const EACH: usize = 20;
    let mut engine = engine(EACH);
    let program = baoab(5.0 * FS, KT, 1.0 / (50.0 * FS));
    bodies::run(&mut engine, &program, 1 << 40..(1 << 40) + 500);
    let mut kinetic = [Vec::new(), Vec::new(), Vec::new()];
    for block in 0..3000_u64 {
        bodies::run(&mut engine, &program, 10 * block..10 * (block + 1));
        let state = engine.snapshot(Fields::PHASE).unwrap();
        for (group, own) in kinetic.iter_mut().zip(state.velocities.chunks(EACH)) {
            let twice: f64 = own.iter().map(|v| MASS * v.norm_squared()).sum();
            group.push(twice / (3 * EACH) as f64 / KT);
        }
    }
    for (own, wanted) in kinetic.iter().zip([1.0, 3.0]) {
        let off = deviation(own, wanted);
        println!("{:.4} of {wanted} ({off:+.2} standard errors)", mean(own));
        assert!(off.abs() < SIGMAS);
    }
    let still = MASS * 1e-4 / 3.0 / KT;
    assert!(kinetic[2].iter().all(|k| (k - still).abs() < 1e-15));
}
