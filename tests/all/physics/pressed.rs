//! Programs in which all atoms are taken together, and what must hold of them on any engine.

use mdrun::core::observe::Thermometer;
use mdrun::core::rng::Noise;
use mdrun::core::{Fields, System};
use mdrun::dynamics::{
    Barostat, Coupling, Csvr, Dynamics, Ensemble, NoseHoover, Npt, Program, Thermostat,
};
use mdrun::engine::{Flags, Limits, Start, Watched};

use super::bodies::run;
use super::mtk::mtk;
use super::nose_hoover::chain;
use super::subjects::{FS, Subject};

/// Bar in eV / angstrom^3.
pub const BAR: f64 = 6.241_509_074e-7;

pub const CSVR: Thermostat = Thermostat::Csvr {
    relaxation: 100.0 * FS,
};
pub const LANGEVIN: Thermostat = Thermostat::Langevin {
    friction: 1.0 / (100.0 * FS),
};

/// What has to be kept to go on from a state.
pub const PHASE: Fields = Fields {
    positions: true,
    velocities: true,
    forces: false,
};

/// A thermometer as a run has it: with velocity rescaling the flight counts for nothing.
pub fn thermometer(system: &System, thermostat: Thermostat) -> Thermometer {
    let mass = system.total_mass();
    match thermostat {
        Thermostat::Csvr { .. } => Thermometer {
            degrees_of_freedom: 3 * system.len() - 3,
            held_mass: Some(mass),
            flying_mass: Some(mass),
        },
        Thermostat::Langevin { .. } => Thermometer::of_all(3 * system.len()),
    }
}

/// Argon's usual barostat.
pub fn npt(kt: f64, pressure: f64, thermostat: Thermostat, coupling: Coupling) -> Npt {
    Npt {
        kt,
        seed: 7,
        thermostat,
        barostat: Barostat {
            pressure,
            relaxation: 1000.0 * FS,
            compressibility: 2e-4 / BAR,
            every: 10,
            coupling,
        },
    }
}

pub fn program(npt: Npt, timestep: f64, system: &System) -> Program {
    let thermometer = thermometer(system, npt.thermostat);
    Dynamics::Npt(npt).program(timestep, &thermometer)
}

/// Velocity rescaling, a chain of thermostats, a piston, and cells under pressure with every coupling and both thermostats, each
/// with its name.
pub fn programs(subject: &Subject) -> Vec<(String, Program)> {
    let csvr = Csvr {
        kt: subject.kt,
        relaxation: 100.0 * FS,
        seed: 7,
    };
    let thermometer = thermometer(&subject.system, CSVR);
    let chain = NoseHoover {
        kt: subject.kt,
        chain: chain(60.0 * FS, 4),
    };
    let mut programs = vec![
        (
            "csvr".to_owned(),
            csvr.program(subject.timestep, &thermometer),
        ),
        (
            "nose_hoover".to_owned(),
            chain.program(subject.timestep, &thermometer),
        ),
        (
            "mtk".to_owned(),
            mtk(subject.kt, 300.0 * BAR, 60.0 * FS, 200.0 * FS)
                .program(subject.timestep, &thermometer),
        ),
    ];
    for thermostat in [CSVR, LANGEVIN] {
        for coupling in [
            Coupling::Isotropic,
            Coupling::Anisotropic,
            Coupling::Triclinic,
            Coupling::Plane,
        ] {
            let mut npt = npt(subject.kt, 300.0 * BAR, thermostat, coupling);
            npt.barostat.relaxation = 500.0 * FS;
            npt.barostat.every = 3;
            let name = format!("npt, {thermostat:?}, {}", coupling.name());
            programs.push((name, program(npt, subject.timestep, &subject.system)));
        }
    }
    programs
}

/// Cutting a run into blocks, going back, restoring a snapshot, starting from one, and other skins change no bit.
pub fn bits_do_not_depend_on_how_a_run_is_cut(subject: &Subject) {
    for (name, program) in programs(subject) {
        let make = |start: Start, skin: f64| (subject.build)(start, Noise::new(7), skin);
        let mut whole = make(subject.start(1), 1.0);
        run(&mut *whole, &program, 0..200);
        let expected = whole.snapshot(Fields::ALL).unwrap();
        let mut cut = make(subject.start(1), 0.2);
        run(&mut *cut, &program, 0..50);
        cut.save().unwrap();
        run(&mut *cut, &program, 50..71);
        cut.rollback().unwrap();
        run(&mut *cut, &program, 50..100);
        let middle = cut.snapshot(PHASE).unwrap();
        run(&mut *cut, &program, 100..133);
        cut.restore(&middle).unwrap();
        for step in 100..110 {
            run(&mut *cut, &program, step..step + 1);
        }
        cut.rebuild().unwrap();
        run(&mut *cut, &program, 110..200);
        let start = Start::new(
            subject.system.clone(),
            middle.cell.clone(),
            middle.positions.clone(),
            middle.velocities.clone(),
        )
        .after(100, middle.observables.kept);
        let mut other = make(start, 1.0);
        run(&mut *other, &program, 100..200);
        for mut engine in [cut, other] {
            let found = engine.snapshot(Fields::ALL).unwrap();
            assert!(
                found == expected,
                "{name}: {:?} {:?}",
                found.observables,
                expected.observables
            );
        }
        let presses = name.starts_with("npt") || name == "mtk";
        assert_eq!(expected.cell != subject.cell, presses, "{name}");
    }
}

/// A cell that is pressed far too fast, and one that leaves its limits, end the block with a reason.
pub fn a_cell_that_fails_ends_the_block(subject: &Subject) {
    let failing = |pressure: f64, relaxation: f64, limits: Limits| {
        let mut npt = npt(subject.kt, pressure, CSVR, Coupling::Isotropic);
        npt.barostat.relaxation = relaxation;
        let program = program(npt, subject.timestep, &subject.system);
        let mut engine = subject.engine(subject.start(1));
        engine.watch(limits);
        engine.run(&program, 0..20_000).unwrap()
    };
    let fast = failing(1.0, 0.1 * FS, Limits::default());
    let breach = fast.breach.unwrap();
    assert_eq!(
        (fast.flags, breach.what, breach.step),
        (Flags::CELL, Watched::Cell, 10)
    );
    assert!(breach.value > 0.1, "{}", breach.value);
    let volume = subject.cell.volume().unwrap();
    let within = Limits {
        volume: Some([volume / 1.5, 1.5 * volume]),
        ..Limits::default()
    };
    let exploding = failing(-2000.0 * BAR, 200.0 * FS, within);
    let breach = exploding.breach.unwrap();
    assert_eq!(
        (exploding.flags, breach.what),
        (Flags::CELL, Watched::Volume)
    );
    assert!(breach.value > 1.5 * volume);
}
