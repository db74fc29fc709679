//! The engine in host memory: its state depends on the start and the steps alone; it sees what goes
//! wrong.

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Snapshot, System, Vec3};
use mdrun::dynamics::{self, Local, Op, Program};
use mdrun::engine::{Engine, Flags, HostEngine, Limits, Start, Watched};

use super::bodies::run;
use super::doubles::{Free, Hole, bits};
use super::subjects::{FS, Subject, argon, argon_potential};

/// BAOAB with the drift taken out now and then: every operator there is.
fn everything(subject: &Subject) -> Program {
    dynamics::baoab(subject.timestep, subject.kt, 1.0 / (200.0 * FS)).remove_drift(7)
}

fn snapshot(engine: &mut dyn Engine) -> Snapshot {
    engine.snapshot(Fields::ALL).unwrap()
}

/// Runs 300 steps of hot argon with a skin (angstrom), in blocks of so many steps.
fn hot_argon(skin: f64, block: u64) -> (Snapshot, u64) {
    let mut subject = argon();
    subject.kt *= 4.0;
    let program = everything(&subject);
    let mut engine = (subject.build)(subject.start(1), Noise::new(7), skin);
    for first in (0..300).step_by(block as usize) {
        engine.save().unwrap();
        run(&mut *engine, &program, first..first + block);
    }
    (snapshot(&mut *engine), engine.statistics().rebuilds)
}

#[test]
fn the_state_depends_on_the_steps_alone() {
    let (reference, rebuilds) = hot_argon(1.0, 300);
    assert!(rebuilds > 3);
    for (skin, block) in [(0.3, 300), (1.0, 1), (0.3, 100), (2.0, 50), (0.0, 300)] {
        let (other, times) = hot_argon(skin, block);
        assert_eq!(
            bits(&other),
            bits(&reference),
            "skin {skin}, blocks of {block}"
        );
        assert_eq!(times > rebuilds, skin < 1.0);
    }
}

#[test]
fn rolling_back_restores_every_bit() {
    let subject = argon();
    let program = everything(&subject);
    let mut engine = subject.engine(subject.start(1));
    run(&mut *engine, &program, 0..40);
    engine.save().unwrap();
    let (saved, pairs) = (snapshot(&mut *engine), engine.statistics().pairs);
    run(&mut *engine, &program, 40..340);
    let reached = snapshot(&mut *engine);
    assert_ne!(bits(&reached), bits(&saved));
    assert_ne!(reached.observables.kept, saved.observables.kept);
    for rebuild in [false, true] {
        engine.rollback().unwrap();
        assert_eq!(bits(&snapshot(&mut *engine)), bits(&saved));
        assert_eq!(engine.statistics().pairs, pairs);
        if rebuild {
            engine.rebuild().unwrap();
            assert_eq!(bits(&snapshot(&mut *engine)), bits(&saved));
            assert_eq!(engine.statistics().pairs, pairs);
        }
        run(&mut *engine, &program, 40..340);
        assert_eq!(bits(&snapshot(&mut *engine)), bits(&reached));
    }
}

/// A run goes on from its snapshot as if it had not been interrupted.
#[test]
fn a_start_in_the_middle_goes_on() {
    let subject = argon();
    let program = everything(&subject);
    let mut whole = subject.engine(subject.start(1));
    run(&mut *whole, &program, 0..50);
    let middle = snapshot(&mut *whole);
    run(&mut *whole, &program, 50..100);
    let start = Start::new(
        subject.system.clone(),
        middle.cell,
        middle.positions,
        middle.velocities,
    )
    .after(50, middle.observables.kept);
    let mut rest = subject.engine(start);
    run(&mut *rest, &program, 50..100);
    assert_eq!(bits(&snapshot(&mut *rest)), bits(&snapshot(&mut *whole)));
}

/// The heat is the change of the kinetic energy by noise and by the removal of drift, and nothing
/// else: with these operators alone it is all of the change.
#[test]
fn heat_is_what_the_bath_puts_in() {
    let subject = argon();
    let noise = Op::Local(Local::Noise {
        c: 0.9,
        kt: 3.0 * subject.kt,
    });
    let program = Program::of(vec![noise]).remove_drift(2);
    let mut engine = subject.engine(subject.start(1));
    let before = snapshot(&mut *engine).observables;
    for steps in [1, 2, 3, 4] {
        run(&mut *engine, &program, steps - 1..steps);
        let after = snapshot(&mut *engine).observables;
        let gained = after.kinetic - before.kinetic;
        assert!(gained.abs() > 0.01);
        // Sums of some hundred terms of 0.01 eV.
        assert!(
            (after.kept.heat - gained).abs() < 1e-13,
            "{} {gained}",
            after.kept.heat
        );
        let drifts = after.momentum.norm() > 1e-10;
        assert_eq!(drifts, steps % 2 == 1, "momentum {}", after.momentum.norm());
    }
}

/// Two free atoms that fly at each other along x: 10 A apart, closer by 0.1 A in each step.
fn approaching(potential: Box<dyn mdrun::potential::Potential>) -> HostEngine {
    let system = System {
        species: vec![1; 3],
        masses: vec![1.0, 2.0, 1.0],
    };
    let positions = vec![
        Vec3::repeat(500.0),
        Vec3::zeros(),
        Vec3::new(10.0, 0.0, 0.0),
    ];
    let velocities = vec![
        Vec3::zeros(),
        Vec3::new(0.04, 0.0, 0.0),
        Vec3::new(-0.06, 0.0, 0.0),
    ];
    let start = Start::new(system, Cell::open(), positions, velocities);
    HostEngine::new(start, Noise::new(1), 0.5, potential).unwrap()
}

fn hole(energy_only: bool) -> Box<Hole> {
    // Crossed between steps 69 and 70: 10 - 0.1 x 69 = 3.1, 3.0.
    Box::new(Hole {
        distance: 3.05,
        energy_only,
    })
}

#[test]
fn what_is_not_a_number_is_found_at_its_step_and_atoms() {
    let program = Program::velocity_verlet(1.0);
    let mut engine = approaching(hole(false));
    let outcome = engine.run(&program, 0..100).unwrap();
    assert_eq!((outcome.flags, outcome.step), (Flags::NONFINITE, 70));
    let breach = outcome.breach.unwrap();
    assert_eq!((breach.step, breach.what), (70, Watched::Finite));
    assert_eq!(breach.atoms, [1, 2]);
    assert_eq!(breach.value, f64::INFINITY);
    // The energy alone names no atoms.
    let outcome = approaching(hole(true)).run(&program, 0..100).unwrap();
    assert_eq!((outcome.flags, outcome.step), (Flags::NONFINITE, 70));
    let breach = outcome.breach.unwrap();
    assert!(breach.value.is_nan() && breach.atoms.is_empty());
}

#[test]
fn atoms_that_fly_off_to_infinity_are_found() {
    let system = System {
        species: vec![1; 20],
        masses: vec![1.0; 20],
    };
    let positions = (0..20).map(|i| Vec3::x() * f64::from(i)).collect();
    let mut velocities = vec![Vec3::zeros(); 20];
    velocities[3].y = -1e11;
    velocities[7].z = 1e308;
    let start = Start::new(system, Cell::open(), positions, velocities);
    let mut engine = HostEngine::new(start, Noise::new(1), 0.5, Box::new(Free)).unwrap();
    let outcome = engine.run(&Program::velocity_verlet(1.0), 0..20).unwrap();
    assert_eq!((outcome.flags, outcome.step), (Flags::NONFINITE, 1));
    assert_eq!(outcome.breach.unwrap().atoms, [7]);
    // The other one leaves the range of the pairs some steps later.
    engine.rollback().unwrap();
    let outcome = {
        let mut start = Start::new(
            System {
                species: vec![1],
                masses: vec![1.0],
            },
            Cell::open(),
            vec![Vec3::zeros()],
            vec![Vec3::new(0.0, -1e11, 0.0)],
        );
        start.step = 5;
        let mut engine = HostEngine::new(start, Noise::new(1), 0.5, Box::new(Free)).unwrap();
        engine.run(&Program::velocity_verlet(1.0), 5..30).unwrap()
    };
    assert_eq!((outcome.flags, outcome.step), (Flags::NONFINITE, 16));
    assert_eq!(outcome.breach.unwrap().value, -1.1e12);
}

#[test]
fn limits_are_checked_after_every_step() {
    let program = Program::velocity_verlet(1.0);
    let contact = |stop: bool| Limits {
        contact: Some(3.05),
        stop,
        ..Limits::default()
    };
    let wide = || {
        Box::new(Hole {
            distance: 1.0,
            energy_only: true,
        })
    };
    // Pairs within 2 A are known only: a limit beyond is seen late.
    let mut engine = approaching(wide());
    engine.watch(contact(true));
    let outcome = engine.run(&program, 0..85).unwrap();
    assert_eq!((outcome.flags, outcome.step), (Flags::LIMIT, 81));
    let breach = outcome.breach.unwrap();
    assert_eq!(
        (breach.what, &breach.atoms[..]),
        (Watched::Contact, &[1, 2][..])
    );
    assert!((breach.value - 1.9).abs() < 1e-12);
    // Without a stop the block goes on, and remembers the first breach.
    let mut engine = approaching(wide());
    engine.watch(contact(false));
    let outcome = engine.run(&program, 0..85).unwrap();
    assert_eq!((outcome.flags, outcome.step), (Flags::LIMIT, 85));
    assert_eq!(outcome.breach.unwrap().step, 81);
    // What is not a number counts for more.
    let outcome = engine.run(&program, 85..100).unwrap();
    assert_eq!(outcome.flags, Flags::LIMIT.union(Flags::NONFINITE));
    assert_eq!((outcome.step, outcome.breach.unwrap().step), (91, 91));
}

#[test]
fn limits_on_force_and_kinetic_energy_and_of_the_present_state() {
    let subject = argon();
    let program = Program::velocity_verlet(subject.timestep);
    let mut engine = subject.engine(subject.start(1));
    run(&mut *engine, &program, 0..20);
    let now = snapshot(&mut *engine);
    let norms: Vec<f64> = now.forces.iter().map(|f| f.norm()).collect();
    let most = norms.iter().copied().fold(0.0, f64::max);
    let kinetic = now.observables.kinetic;
    let check = |engine: &mut dyn Engine, limits: Limits| {
        engine.watch(limits);
        let outcome = engine.run(&program, 20..20).unwrap();
        assert_eq!(outcome.step, 20);
        assert_eq!(outcome.flags == Flags::OK, outcome.breach.is_none());
        outcome.breach
    };
    let force = |limit: f64| Limits {
        force: Some(limit),
        ..Limits::default()
    };
    let energy = |limit: f64| Limits {
        kinetic: Some(limit),
        ..Limits::default()
    };
    assert_eq!(check(&mut *engine, force(most)), None);
    let breach = check(&mut *engine, force(0.999 * most)).unwrap();
    assert_eq!(
        (breach.what, breach.value, breach.step),
        (Watched::Force, most, 20)
    );
    assert_eq!(norms[breach.atoms[0]], most);
    assert_eq!(check(&mut *engine, energy(kinetic)), None);
    let breach = check(&mut *engine, energy(0.999 * kinetic)).unwrap();
    assert_eq!((breach.what, breach.value), (Watched::Kinetic, kinetic));
    assert!(breach.atoms.is_empty());
    // After a rollback the pairs are those of the state gone back to.
    engine.save().unwrap();
    engine.watch(Limits::default());
    run(&mut *engine, &program, 20..60);
    engine.rollback().unwrap();
    let distance = check(
        &mut *engine,
        Limits {
            contact: Some(100.0),
            ..Limits::default()
        },
    );
    let image = |r: Vec3| {
        let f = subject.cell.fractional(&r);
        subject.cell.cartesian(&f.map(|x| x - x.round())).norm()
    };
    let r = &now.positions;
    let closest = (0..r.len())
        .flat_map(|i| (0..i).map(move |j| image(r[i] - r[j])))
        .fold(f64::INFINITY, f64::min);
    assert!((distance.unwrap().value - closest).abs() < 1e-12);
}

#[test]
fn a_start_that_makes_no_sense_is_refused() {
    let subject = argon();
    let refused = |change: &dyn Fn(&mut Start)| {
        let mut start = subject.start(1);
        change(&mut start);
        let engine = HostEngine::new(start, Noise::new(1), 1.0, argon_potential());
        engine.err().expect("it makes no sense").to_string()
    };
    let nan = Vec3::new(0.0, f64::NAN, 0.0);
    assert_eq!(
        refused(&|s| s.positions.truncate(107)),
        "107 positions for 108 atoms"
    );
    assert_eq!(
        refused(&|s| s.velocities.truncate(107)),
        "107 velocities for 108 atoms"
    );
    assert_eq!(
        refused(&|s| s.system.masses.truncate(107)),
        "107 masses for 108 atoms"
    );
    assert!(refused(&|s| s.system.masses[4] = 0.0).contains("atom 4 has a mass of 0 u"));
    assert!(refused(&|s| s.positions[5] = nan).contains("atom 5 has a position that is not"));
    assert!(refused(&|s| s.velocities[6] = nan).contains("atom 6 has a velocity that is not"));
}

#[test]
fn no_atoms_are_no_trouble() {
    let system = System {
        species: Vec::new(),
        masses: Vec::new(),
    };
    let start = Start::new(system, Cell::open(), Vec::new(), Vec::new());
    let mut engine = HostEngine::new(start, Noise::new(1), 1.0, Box::new(Free)).unwrap();
    engine.watch(Limits {
        force: Some(1.0),
        contact: Some(1.0),
        kinetic: Some(1.0),
        held_mass: None,
        volume: None,
        stop: true,
    });
    let program = dynamics::baoab(1.0, 0.02, 0.1).remove_drift(1);
    run(&mut engine, &program, 0..10);
    let end = snapshot(&mut engine);
    assert_eq!(
        (end.step, end.observables.kinetic, end.time),
        (10, 0.0, 10.0)
    );
}
