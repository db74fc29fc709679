//! Frozen atoms stay where they are to the bit; the others move as if these had no end of mass, at the bath's temperature.

use mdrun::core::observe::{self, Thermometer};
use mdrun::core::rng::{Noise, Stream};
use mdrun::core::velocities::{self, Temperature};
use mdrun::core::{Cell, Fields, System, Vec3};
use mdrun::dynamics::{Csvr, Ensemble as _, Program, baoab};
use mdrun::engine::{Engine, GroupRules, HostEngine, Start};

use crate::physics::bodies::{self, SIGMAS};
use crate::physics::doubles::{Free, Springs};
use crate::physics::statistics::{deviation, gamma_cdf, inefficiency, kolmogorov_smirnov, mean};
use crate::physics::subjects::{FS, KB, Subject, argon};

/// Rules by which every third atom is frozen.
fn every_third(atoms: usize) -> GroupRules {
    GroupRules {
        frozen: (0..atoms).map(|i| i.is_multiple_of(3)).collect(),
        ..GroupRules::default()
    }
}

/// A start of which every third atom is frozen, the others at the subject's temperature.
pub fn start(subject: &Subject) -> Start {
    let rules = every_third(subject.system.len());
    let temperature = Temperature {
        kt: subject.kt,
        degrees_of_freedom: 3 * rules.moving(subject.system.len()),
    };
    let moves = |atom| rules.moves(atom);
    let velocities = velocities::thermal_among(&subject.system, moves, temperature, Noise::new(1));
    let (cell, positions) = (subject.cell.clone(), subject.positions.clone());
    Start::new(subject.system.clone(), cell, positions, velocities).with_groups(rules)
}

fn bits(vectors: &[Vec3]) -> Vec<[u64; 3]> {
    vectors
        .iter()
        .map(|v| [v.x, v.y, v.z].map(f64::to_bits))
        .collect()
}

/// The programs that are tried, of a system with so many degrees of freedom.
fn programs(subject: &Subject, degrees: usize) -> [(&'static str, Program); 3] {
    let csvr = Csvr {
        kt: subject.kt,
        relaxation: 50.0 * FS,
        seed: 5,
    };
    let thermometer = Thermometer::of_all(degrees);
    [
        ("nve", Program::velocity_verlet(subject.timestep)),
        (
            "langevin",
            baoab(subject.timestep, subject.kt, 1.0 / (200.0 * FS)),
        ),
        ("csvr", csvr.program(subject.timestep, &thermometer)),
    ]
}

#[test]
fn they_keep_every_bit_and_forces_on_them_are_told() {
    let subject = argon();
    let rules = every_third(subject.system.len());
    let degrees = 3 * rules.moving(subject.system.len());
    for (name, program) in programs(&subject, degrees) {
        let mut engine = subject.engine(start(&subject));
        bodies::run(engine.as_mut(), &program.remove_drift(7), 0..60);
        let state = engine.snapshot(Fields::ALL).unwrap();
        let (mut least, mut moved) = (f64::INFINITY, 0.0_f64);
        for i in 0..subject.system.len() {
            let from = subject.positions[i];
            match rules.moves(i) {
                true => moved = moved.max((state.positions[i] - from).norm()),
                false => {
                    assert_eq!(
                        bits(&state.positions[i..=i]),
                        bits(&[from]),
                        "{name}: atom {i}"
                    );
                    assert_eq!(state.velocities[i], Vec3::zeros(), "{name}: atom {i}");
                    least = least.min(state.forces[i].norm());
                }
            }
        }
        // Liquid argon pushes its atoms by 0.01 eV/A.
        assert!(least > 1e-4 && moved > 0.1, "{name}: {least} {moved}");
    }
}

/// An atom on a spring to a frozen one swings with its own mass, as the reduced mass is with an infinite partner; the energy of
/// velocity Verlet is that of its shadow: x(t) is the closed form with the frequency 2 asin(w t / 2) / t.
#[test]
fn an_atom_beside_a_frozen_one_swings_with_its_own_mass() {
    const STIFFNESS: f64 = 1.3;
    const MASS: f64 = 15.999;
    let system = System {
        species: vec![6, 8],
        masses: vec![12.011, MASS],
    };
    let positions = vec![Vec3::zeros(), Vec3::x()];
    let start = Start::new(system, Cell::open(), positions, vec![Vec3::zeros(); 2]);
    let start = start.with_groups(GroupRules {
        frozen: vec![true, false],
        ..GroupRules::default()
    });
    let potential = Box::new(Springs {
        stiffness: STIFFNESS,
    });
    let mut engine = HostEngine::new(start, Noise::new(1), 1.0, potential).unwrap();
    let timestep = 0.1 / (STIFFNESS / MASS).sqrt();
    let frequency = 2.0 * 0.05_f64.asin();
    for step in 1..200 {
        bodies::run(
            &mut engine,
            &Program::velocity_verlet(timestep),
            step - 1..step,
        );
        let state = engine.snapshot(Fields::ALL).unwrap();
        let wanted = (frequency * step as f64).cos();
        // Rounding of 200 steps.
        assert!((state.positions[1].x - wanted).abs() < 1e-12, "step {step}");
    }
}

/// The kinetic energy of those that move has the gamma distribution of three degrees of freedom each, under either thermostat.
#[test]
fn the_others_have_the_temperature_of_the_bath() {
    let subject = argon();
    let degrees = 3 * every_third(subject.system.len()).moving(subject.system.len());
    for (name, program) in programs(&subject, degrees).into_iter().skip(1) {
        let mut engine = subject.engine(start(&subject));
        // With noise that is not drawn again.
        bodies::run(engine.as_mut(), &program, 1 << 40..(1 << 40) + 1_000);
        let moments = bodies::observe(engine.as_mut(), &program, 20_000, 19);
        let kinetic: Vec<f64> = moments.iter().map(|o| o.kinetic / subject.kt).collect();
        let wanted = 0.5 * degrees as f64;
        let off = deviation(&kinetic, wanted);
        println!(
            "{name}: {:.4} of the bath ({off:+.2} standard errors)",
            mean(&kinetic) / wanted
        );
        assert!(off.abs() < SIGMAS, "{name}");
        let apart = inefficiency(&kinetic).ceil() as usize;
        let thin: Vec<f64> = kinetic.iter().step_by(apart).copied().collect();
        let shape = kolmogorov_smirnov(&thin, |x| gamma_cdf(wanted, x));
        // Exceeded by chance in 0.3 % of cases, as 3 standard errors are.
        assert!(shape < 1.8, "{name}: {shape}");
    }
}

/// Noise falls on each atom as if none were frozen, and none on those that are.
#[test]
fn noise_is_that_of_the_atom() {
    let system = System {
        species: vec![18; 3],
        masses: vec![39.948; 3],
    };
    let positions = (0..3).map(|i| Vec3::x() * (3.0 * f64::from(i))).collect();
    let start = Start::new(system, Cell::open(), positions, vec![Vec3::zeros(); 3]);
    let start = start.with_groups(GroupRules {
        frozen: vec![false, true, false],
        ..GroupRules::default()
    });
    let mut engine = HostEngine::new(start, Noise::new(9), 1.0, Box::new(Free)).unwrap();
    let kt = 100.0 * KB;
    bodies::run(&mut engine, &baoab(FS, kt, f64::INFINITY), 0..1);
    let state = engine.snapshot(Fields::ALL).unwrap();
    for i in [0, 2] {
        let xi = Noise::new(9).normal3(0, i as u32, Stream::Thermostat);
        assert_eq!(state.velocities[i], xi * (kt / 39.948).sqrt());
    }
    assert_eq!(state.velocities[1], Vec3::zeros());
    let kinetic = state.observables.kinetic;
    assert!((state.observables.kept.heat - kinetic).abs() < 1e-15);
}

#[test]
fn what_cannot_be_is_refused() {
    let subject = argon();
    let atoms = subject.system.len();
    let refused = |frozen: Vec<bool>| {
        let start = subject.start(1).with_groups(GroupRules {
            frozen,
            ..GroupRules::default()
        });
        start
            .check()
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    };
    assert!(refused(vec![true; atoms]).contains("nothing is left to move"));
    assert!(refused(vec![true; 5]).contains("5 of 108 atoms"));
}

/// The velocities of a start are of the temperature to the last digit, those of frozen atoms are zero.
#[test]
fn starts_have_their_temperature() {
    let subject = argon();
    let start = start(&subject);
    let degrees = 3 * start.groups.moving(subject.system.len());
    let kinetic = observe::kinetic_energy(&start.system, &start.velocities);
    assert!((observe::kt(kinetic, degrees) / subject.kt - 1.0).abs() < 1e-14);
}
