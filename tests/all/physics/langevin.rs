//! Langevin dynamics: the canonical ensemble for every engine, and exact results.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, System, Vec3, velocities};
use mdrun::dynamics;
use mdrun::engine::{Engine, HostEngine, Start};

use super::bodies::{self, SIGMAS, Sampling, run};
use super::doubles::{Free, Springs};
use super::statistics::{deviation, mean};
use super::subjects::{FS, argon};
use crate::support::calculators::{Calculator, for_every_calculator};

for_every_calculator!([Argon]:
    argon_has_the_kinetic_energy_of_its_temperature,
    energy_less_heat_is_conserved,
);

fn argon_has_the_kinetic_energy_of_its_temperature(calculator: &Calculator) {
    let plan = Sampling {
        friction: 1.0 / (100.0 * FS),
        settle: 2000,
        samples: 1500,
        every: 30,
    };
    bodies::kinetic_energy_is_canonical("argon", &argon().by(calculator), &plan);
}

/// The heat of the bath is accounted for: what is left is the integrator's own error, which is of
/// second order, so that a small step has none.
fn energy_less_heat_is_conserved(calculator: &Calculator) {
    const FRICTION: f64 = 1.0 / (500.0 * FS);
    /// meV / ps / atom. The heat of the run goes up and down by some 10 meV / atom: 1 part in 1000
    /// of it not accounted for is more than this.
    const DRIFT: f64 = 2e-4;
    let subject = argon().by(calculator);
    for (timestep, steps) in [(4.0 * FS, 5000), (2.0 * FS, 10_000)] {
        let slope = bodies::slope_of_the_conserved_quantity(&subject, timestep, FRICTION, steps);
        println!(
            "step {:.0} fs: {:+.2e} meV/atom/ps",
            timestep / FS,
            1e3 * slope
        );
        assert!((1e3 * slope).abs() < DRIFT);
    }
}

/// Dimers of atoms on springs without length: harmonic in every direction, whatever the distance.
///
/// BAOAB samples harmonic positions exactly at any step within stability, and the momenta at the end
/// of a step with (omega t)^2 / 4 less than kT (Leimkuhler and Matthews 2013, section III).
#[test]
fn harmonic_positions_are_exact_at_a_large_step() {
    const DIMERS: usize = 60;
    const MASSES: [f64; 2] = [1.0, 3.0];
    const KT: f64 = 0.025;
    const STIFFNESS: f64 = 1.0;
    let reduced = MASSES[0] * MASSES[1] / (MASSES[0] + MASSES[1]);
    let omega = (STIFFNESS / reduced).sqrt();
    let timestep = 1.0 / omega;
    let positions = (0..2 * DIMERS)
        .map(|i| Vec3::x() * (1e4 * (i / 2) as f64))
        .collect();
    let system = System {
        species: vec![1; 2 * DIMERS],
        masses: MASSES.repeat(DIMERS),
    };
    let velocities = velocities::maxwell_boltzmann(&system, KT, Noise::new(1));
    let start = Start::new(system, Cell::open(), positions, velocities);
    let springs = Springs {
        stiffness: STIFFNESS,
    };
    let mut engine = HostEngine::new(start, Noise::new(2), 100.0, Box::new(springs)).unwrap();
    let program = dynamics::baoab(timestep, KT, 0.7 * omega);
    run(&mut engine, &program, 0..100);
    let [mut stretch, mut relative, mut whole] = [Vec::new(), Vec::new(), Vec::new()];
    for step in 100..30_000 {
        run(&mut engine, &program, step..step + 1);
        let s = engine.snapshot(Fields::ALL).unwrap();
        let dimers = || s.positions.chunks(2).zip(s.velocities.chunks(2));
        let mean_of = |value: &dyn Fn(&[Vec3], &[Vec3]) -> f64| {
            dimers().map(|(r, v)| value(r, v)).sum::<f64>() / (3.0 * DIMERS as f64 * KT)
        };
        let total: f64 = MASSES.iter().sum();
        stretch.push(mean_of(&|r, _| STIFFNESS * (r[1] - r[0]).norm_squared()));
        relative.push(mean_of(&|_, v| reduced * (v[1] - v[0]).norm_squared()));
        whole.push(mean_of(&|_, v| {
            (MASSES[0] * v[0] + MASSES[1] * v[1]).norm_squared() / total
        }));
    }
    let expected = [
        ("k r^2", &stretch, 1.0),
        (
            "relative m v^2",
            &relative,
            1.0 - (omega * timestep).powi(2) / 4.0,
        ),
        ("m v^2 of the whole", &whole, 1.0),
    ];
    for (name, series, value) in expected {
        let off = deviation(series, value);
        println!(
            "{name} / 3 kT: {:.5}, exactly {value} ({off:+.2} standard errors)",
            mean(series)
        );
        assert!(off.abs() < SIGMAS, "{name}");
    }
}

/// Free atoms diffuse: <r^2> = 6 D (t - (1 - exp(-g t)) / g), D = kT / (m g) (Langevin 1908).
#[test]
fn free_atoms_diffuse_as_langevin_said() {
    const ATOMS: usize = 20_000;
    const STEPS: u64 = 400;
    const KT: f64 = 0.03;
    const MASS: f64 = 20.0;
    const TIMESTEP: f64 = 1.0;
    const FRICTION: f64 = 0.05;
    let system = System {
        species: vec![10; ATOMS],
        masses: vec![MASS; ATOMS],
    };
    let positions: Vec<Vec3> = (0..ATOMS).map(|i| Vec3::x() * (1e4 * i as f64)).collect();
    let velocities = velocities::maxwell_boltzmann(&system, KT, Noise::new(1));
    let start = Start::new(system, Cell::open(), positions.clone(), velocities);
    let mut engine = HostEngine::new(start, Noise::new(2), 500.0, Box::new(Free)).unwrap();
    run(
        &mut engine,
        &dynamics::baoab(TIMESTEP, KT, FRICTION),
        0..STEPS,
    );
    let end = engine.snapshot(Fields::ALL).unwrap();
    let time = STEPS as f64 * TIMESTEP;
    let diffusion = KT / (MASS * FRICTION);
    let expected = 2.0 * diffusion * (time - (1.0 - (-FRICTION * time).exp()) / FRICTION);
    for axis in 0..3 {
        let squares = (end.positions.iter().zip(&positions)).map(|(r, s)| (r - s)[axis].powi(2));
        let ratio = squares.sum::<f64>() / ATOMS as f64 / expected;
        let error = (2.0 / ATOMS as f64).sqrt();
        println!("diffusion along {axis}: {ratio:.4} +- {error:.4} of the exact one");
        assert!((ratio - 1.0).abs() < SIGMAS * error);
    }
}
