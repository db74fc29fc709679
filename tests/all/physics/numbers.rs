//! Audits of a network's numbers, with forces whose error is set by hand.
//!
//! Two free atoms fly apart by 0.1 A a step from 5 A on; rough numbers pull at them with a part of their distance, which the
//! energy knows nothing of, and which is the error of the force on either.

use std::time::Duration;

use mdrun::config::plan::{NumbersAction, NumbersAudit};
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Snapshot, System, Vec3};
use mdrun::dynamics::Program;
use mdrun::engine::{Engine, HostEngine, Limits, Start};
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::neighbors::Pairs;
use mdrun::potential::{About, Evaluation, Potential, Precision};
use mdrun::report::numbers::NumbersRecord;
use mdrun::report::{Energies, EnergyRecord, NumbersMonitor, Raise, Rungs};
use mdrun::simulation::{Cause, Finish, Guard, Ring, Simulation, Successor, Warning};
use mdrun::{Error, Result};

use super::doubles::{Beside, Seen, bits};
use super::simulation::{record, run};

/// Steps between audits, and steps of a run.
const EVERY: u64 = 20;
const STEPS: u64 = 100;
/// Limit (eV / angstrom): that of the coarsest numbers at 10 A, step 50.
const LIMIT: f64 = 0.01;
const COARSE: f64 = 1e-3;

/// Forces of this part of the distance, and no energy.
struct Rough(f64);

impl Potential for Rough {
    fn cutoff(&self) -> f64 {
        1000.0
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        *out = Evaluation::zeros(pairs.atoms());
        for (p, r) in pairs.vectors.iter().enumerate() {
            out.forces[pairs.receivers[p] as usize] += self.0 * r;
        }
        Ok(())
    }

    fn about(&self) -> About {
        About::plain("rough")
    }
}

/// What judges, after so long.
struct Judge {
    field: HostForceField,
    takes: Duration,
    breaks: bool,
}

impl Judge {
    fn quick() -> Self {
        Self {
            field: HostForceField::new(Box::new(Rough(0.0)), 1.0),
            takes: Duration::ZERO,
            breaks: false,
        }
    }
}

impl ForceField for Judge {
    fn cutoff(&self) -> f64 {
        self.field.cutoff()
    }

    fn evaluate(&mut self, cell: &Cell, positions: &[Vec3], out: &mut Evaluation) -> Result<()> {
        std::thread::sleep(self.takes);
        match self.breaks {
            true => Err(Error::run("the judge is broken")),
            false => self.field.evaluate(cell, positions, out),
        }
    }

    fn pairs(&self) -> u64 {
        self.field.pairs()
    }

    fn about(&self) -> About {
        self.field.about()
    }
}

fn engine(start: Start, part: f64) -> HostEngine {
    HostEngine::new(start, Noise::new(1), 1.0, Box::new(Rough(part))).unwrap()
}

fn start() -> Start {
    let system = System {
        species: vec![1; 2],
        // So heavy that their errors do not move them.
        masses: vec![1e7; 2],
    };
    let velocities = vec![Vec3::x() * -0.05, Vec3::x() * 0.05];
    Start::new(
        system,
        Cell::open(),
        vec![Vec3::zeros(), Vec3::x() * 5.0],
        velocities,
    )
}

/// An engine at the state of a snapshot.
fn engine_at(state: &Snapshot, part: f64) -> HostEngine {
    let here = Start::new(
        start().system,
        state.cell.clone(),
        state.positions.clone(),
        state.velocities.clone(),
    );
    engine(here.after(state.step, state.observables.kept), part)
}

/// Errors of finer numbers, by what a run was raised to.
struct Finer {
    energies: Energies,
    parts: Vec<(Precision, f64)>,
}

impl Successor for Finer {
    fn take_over(&mut self, state: &Snapshot) -> Result<Box<dyn Engine>> {
        let now = self.energies.read(|record| record.numbers.raised_to());
        let (_, part) = self.parts.iter().find(|p| Some(p.0) == now).unwrap();
        Ok(Box::new(engine_at(state, *part)))
    }
}

/// A run whose numbers are audited.
struct Audited {
    simulation: Simulation,
    energies: Energies,
    seen: std::sync::Arc<std::sync::Mutex<Seen>>,
}

impl Audited {
    /// In f16 at first, with finer numbers of these errors above.
    fn new(action: NumbersAction, finer: &[(Precision, f64)], judge: Judge) -> Self {
        let energies = Energies::new(EnergyRecord::new(2, 6));
        let audit = NumbersAudit {
            limit: Some(LIMIT),
            every: EVERY,
            action,
        };
        let rungs = Rungs {
            present: Precision::F16,
            finer: finer.iter().map(|(precision, _)| *precision).collect(),
        };
        let monitor = NumbersMonitor::new(&energies, audit, rungs, Box::new(judge)).unwrap();
        let mut simulation = Simulation {
            engine: Box::new(engine(start(), COARSE)),
            program: Program::velocity_verlet(1.0),
            limits: Limits::default(),
            reporters: vec![Box::new(monitor)],
            guard: Guard::new(Some(Ring::new(2)), 0),
            step: 0,
            end: STEPS,
            keeper: None,
            successor: Some(Box::new(Finer {
                energies: energies.clone(),
                parts: finer.to_vec(),
            })),
        };
        let seen = record(&mut simulation, 1);
        Self {
            simulation,
            energies,
            seen,
        }
    }

    /// How it ended, what was told, and what is known then.
    fn run(&mut self) -> (Finish, Vec<Warning>, NumbersRecord) {
        let (finish, warnings) = run(&mut self.simulation);
        let known = self.energies.read(|record| record.numbers.clone());
        (finish, warnings, known)
    }

    fn bits(&self) -> Vec<Vec<u64>> {
        let seen = self.seen.lock().unwrap();
        seen.snapshots.iter().map(bits).collect()
    }
}

fn raise(step: u64, precision: Precision) -> Raise {
    Raise {
        step,
        precision: precision.to_string(),
    }
}

/// The error of numbers whose part is this at a step, to nine digits.
#[track_caller]
fn assert_error(found: f64, part: f64, step: u64) {
    let right = part * (5.0 + 0.1 * step as f64);
    assert!((found / right - 1.0).abs() < 1e-6, "{found} {right}");
}

/// The frame of step 60 is the first beyond the limit, and step 80 the next audit: from there on the run is one in finer
/// numbers that began there.
#[test]
fn what_is_found_takes_effect_at_the_next_audit() {
    const FINER: [(Precision, f64); 1] = [(Precision::Tf32, 1e-4)];
    let mut audited = Audited::new(NumbersAction::Raise, &FINER, Judge::quick());
    let (finish, warnings, known) = audited.run();
    assert_eq!(finish, Finish::Complete);
    let [Warning::Raise(told)] = warnings.as_slice() else {
        panic!("{warnings:?}");
    };
    assert!(
        told.starts_with("step 60: the force on an atom in f16 is 11.0 meV/A off that in f64")
            && told.ends_with("from step 80 on it is computed in tf32"),
        "{told}"
    );
    assert_eq!(known.raises, [raise(80, Precision::Tf32)]);
    // At 0, 20, 40 and 60, and the first of the finer numbers at 81; that of step 100 is ahead.
    assert_eq!((known.count, known.all()), (5, 6));
    assert_error(known.newest.unwrap(), 1e-4, 81);
    assert_error(known.ahead.unwrap().difference, 1e-4, 100);
    assert_error(known.most().unwrap(), COARSE, 60);

    let seen = audited.seen.lock().unwrap();
    let mut alone = engine_at(&seen.snapshots[80], 1e-4);
    for step in 80..STEPS {
        let program = Program::velocity_verlet(1.0);
        alone.run(&program, step..step + 1).unwrap();
        let state = alone.snapshot(Fields::ALL).unwrap();
        assert_eq!(bits(&state), bits(&seen.snapshots[step as usize + 1]));
    }
    assert_eq!(seen.snapshots.len() as u64, STEPS + 1);
}

/// Neither how long the judge takes nor whether the engine runs on meanwhile alters a bit.
#[test]
fn no_clock_decides() {
    const FINER: [(Precision, f64); 1] = [(Precision::Tf32, 1e-4)];
    let mut right = Audited::new(NumbersAction::Raise, &FINER, Judge::quick());
    let (_, told, known) = right.run();
    for (milliseconds, beside) in [(15, false), (0, true), (15, true)] {
        let slow = Judge {
            takes: Duration::from_millis(milliseconds),
            ..Judge::quick()
        };
        let mut other = Audited::new(NumbersAction::Raise, &FINER, slow);
        if beside {
            let inner = Box::new(engine(start(), COARSE));
            other.simulation.engine = Box::new(Beside::new(inner));
        }
        let (finish, warnings, found) = other.run();
        assert_eq!((finish, &warnings), (Finish::Complete, &told));
        assert_eq!(found, known);
        assert_eq!(other.bits(), right.bits());
    }
}

/// The first frame in finer numbers is judged at once: where they are too coarse too, no interval is lost.
#[test]
fn several_rungs_are_gone_at_once() {
    const FINER: [(Precision, f64); 3] = [
        (Precision::Tf32, 0.9e-3),
        (Precision::F32, 0.8e-3),
        (Precision::F64, 0.0),
    ];
    let mut audited = Audited::new(NumbersAction::Raise, &FINER, Judge::quick());
    let (finish, warnings, known) = audited.run();
    assert_eq!((finish, warnings.len()), (Finish::Complete, 3));
    let rungs = [
        (80, Precision::Tf32),
        (81, Precision::F32),
        (82, Precision::F64),
    ];
    assert_eq!(known.raises, rungs.map(|(step, one)| raise(step, one)));
    assert_eq!(known.newest, Some(0.0));
}

/// Without finer numbers the run goes on, and says so once.
#[test]
fn limits_warn_or_stop() {
    for (action, told) in [
        (NumbersAction::Warn, "([monitor] precision)"),
        (NumbersAction::Raise, "its device has no finer numbers"),
    ] {
        let mut audited = Audited::new(action, &[], Judge::quick());
        let (finish, warnings, known) = audited.run();
        assert_eq!((finish, known.raises.len()), (Finish::Complete, 0));
        let [Warning::Fault { cause, flight }] = warnings.as_slice() else {
            panic!("{warnings:?}");
        };
        let Cause::Alarm { step: 80, reason } = cause else {
            panic!("{cause:?}");
        };
        assert!(reason.ends_with(told), "{reason}");
        assert!(flight.is_some());
        assert_error(known.newest.unwrap(), COARSE, 80);
        assert_error(known.most().unwrap(), COARSE, 100);
    }
    let mut audited = Audited::new(NumbersAction::Stop, &[], Judge::quick());
    let (finish, ..) = audited.run();
    let Finish::Fault { cause, .. } = finish else {
        panic!("{finish:?}");
    };
    assert!(matches!(cause, Cause::Alarm { step: 80, .. }), "{cause:?}");
}

/// A judge that fails ends the run with its error.
#[test]
fn a_judge_that_fails_is_an_error() {
    let broken = Judge {
        breaks: true,
        ..Judge::quick()
    };
    let mut audited = Audited::new(NumbersAction::Warn, &[], broken);
    let never = std::sync::atomic::AtomicBool::new(false);
    let error = audited.simulation.run(&never, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("the judge is broken"), "{error}");
}
