//! The loop: blocks, reports and ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use mdrun::Error;
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, Snapshot, System, Vec3};
use mdrun::dynamics::{self, Program};
use mdrun::engine::{Breach, Engine, Flags, HostEngine, Limits, Start, Watched};
use mdrun::neighbors::Listed;
use mdrun::potential::About;
use mdrun::simulation::{
    Cause, Finish, Flight, Guard, Reporter, Ring, Signal, Simulation, Warning,
};

use super::doubles::{Hole, Recorder, Seen, bits, full};
use super::subjects::{FS, argon};

static NEVER: AtomicBool = AtomicBool::new(false);

/// A Langevin run of argon to step `end`.
pub fn simulation(engine: Box<dyn Engine>, end: u64) -> Simulation {
    let subject = argon();
    Simulation {
        engine,
        program: dynamics::baoab(subject.timestep, subject.kt, 1.0 / (200.0 * FS)).remove_drift(5),
        limits: Limits::default(),
        reporters: Vec::new(),
        guard: Guard::default(),
        step: 0,
        end,
        keeper: None,
        successor: None,
    }
}

pub fn argon_engine() -> Box<dyn Engine> {
    let subject = argon();
    subject.engine(subject.start(1))
}

pub fn record(simulation: &mut Simulation, every: u64) -> Arc<Mutex<Seen>> {
    let (recorder, seen) = Recorder::new(every);
    simulation.reporters.push(Box::new(recorder));
    seen
}

pub fn run(simulation: &mut Simulation) -> (Finish, Vec<Warning>) {
    let mut warnings = Vec::new();
    let finish = simulation.run(&NEVER, &mut |w| warnings.push(w)).unwrap();
    (finish, warnings)
}

pub fn steps(seen: &Mutex<Seen>) -> Vec<u64> {
    seen.lock()
        .unwrap()
        .snapshots
        .iter()
        .map(|s| s.step)
        .collect()
}

#[test]
fn every_step_due_is_reported_once_start_and_end_included() {
    let mut simulation = simulation(argon_engine(), 60);
    let seen = [7, 20, 1, 0, 500].map(|every| record(&mut simulation, every));
    let (finish, warnings) = run(&mut simulation);
    assert_eq!(
        (finish, warnings.len(), simulation.step),
        (Finish::Complete, 0, 60)
    );
    let multiples = |every: usize| (0..=60).step_by(every).collect::<Vec<u64>>();
    assert_eq!(steps(&seen[0]), multiples(7));
    assert_eq!(steps(&seen[1]), multiples(20));
    assert_eq!(steps(&seen[2]), multiples(1));
    assert!(steps(&seen[3]).is_empty());
    assert_eq!(steps(&seen[4]), [0]);
    assert!(seen.iter().all(|s| s.lock().unwrap().finished == 1));
}

#[test]
fn reporters_get_the_arrays_they_want() {
    let mut simulation = simulation(argon_engine(), 4);
    let (mut recorder, seen) = Recorder::new(2);
    recorder.wants = Fields {
        velocities: true,
        ..Fields::NONE
    };
    simulation.reporters.push(Box::new(recorder));
    let all = record(&mut simulation, 4);
    run(&mut simulation);
    let lengths = |s: &Snapshot| [s.positions.len(), s.velocities.len(), s.forces.len()];
    let seen = seen.lock().unwrap();
    // Where someone else wants more, all get the union.
    let found: Vec<_> = seen.snapshots.iter().map(lengths).collect();
    assert_eq!(found, [[108; 3], [0, 108, 0], [108; 3]]);
    assert_eq!(all.lock().unwrap().snapshots.len(), 2);
}

/// Two free atoms, 10 A apart and closer by 0.1 A in each step, that meet a hole at step 70.
pub fn falling(start: f64) -> Simulation {
    let system = System {
        species: vec![1; 2],
        masses: vec![1.0; 2],
    };
    let positions = vec![Vec3::zeros(), Vec3::new(start, 0.0, 0.0)];
    let velocities = vec![Vec3::new(0.05, 0.0, 0.0), Vec3::new(-0.05, 0.0, 0.0)];
    let start = Start::new(system, Cell::open(), positions, velocities);
    let hole = Hole {
        distance: 3.05,
        energy_only: false,
    };
    let engine = HostEngine::new(start, Noise::new(1), 0.5, Box::new(hole)).unwrap();
    Simulation {
        engine: Box::new(engine),
        program: Program::velocity_verlet(1.0),
        limits: Limits::default(),
        reporters: Vec::new(),
        guard: Guard::new(Some(Ring::new(2)), 10),
        step: 0,
        end: 1000,
        keeper: None,
        successor: None,
    }
}

/// The state after `step` steps of [`falling`].
fn falling_at(step: u64) -> Snapshot {
    let mut simulation = falling(10.0);
    simulation.end = step;
    assert_eq!(run(&mut simulation).0, Finish::Complete);
    simulation.engine.snapshot(Fields::ALL).unwrap()
}

#[test]
fn what_is_not_a_number_ends_the_run_with_the_last_good_state() {
    for every in [1, 64, 1000] {
        let mut simulation = falling(10.0);
        let seen = record(&mut simulation, every);
        let (breach, flight) = broken(run(&mut simulation).0);
        assert_eq!((breach.step, breach.what), (70, Watched::Finite));
        assert_eq!(breach.atoms, [0, 1]);
        // What is not finite is not recorded: the last frame is the state before.
        let flight = flight.expect("step 69 is good");
        assert_eq!(bits(flight.frames.last().unwrap()), bits(&falling_at(69)));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.finished, 1);
        assert!(seen.snapshots.iter().all(|s| s.step < 70));
    }
}

#[test]
fn a_start_that_is_not_a_number_has_no_good_state() {
    let mut simulation = falling(2.0);
    let seen = record(&mut simulation, 1);
    let (breach, flight) = broken(run(&mut simulation).0);
    assert_eq!(
        (breach.step, breach.what, flight),
        (0, Watched::Finite, None)
    );
    let seen = seen.lock().unwrap();
    assert_eq!((seen.snapshots.len(), seen.finished), (0, 1));
}

#[test]
fn limits_stop_the_run_or_warn_once() {
    let limits = |stop: bool| Limits {
        contact: Some(5.05),
        stop,
        ..Limits::default()
    };
    let mut stopped = falling(10.0);
    stopped.limits = limits(true);
    let (finish, warnings) = run(&mut stopped);
    let (breach, flight) = broken(finish);
    assert_eq!(
        (breach.step, breach.what, warnings.len()),
        (50, Watched::Contact, 0)
    );
    // The state at fault is the last frame, since its numbers are finite; the one before it is there too.
    let frames = flight.unwrap().frames;
    for (frame, step) in frames.iter().rev().zip([50, 49, 48]) {
        assert_eq!(bits(frame), bits(&falling_at(step)));
    }

    let mut warned = falling(10.0);
    warned.limits = limits(false);
    warned.end = 65;
    // Blocks of one step each: every one of them breaks the limit.
    record(&mut warned, 1);
    let (finish, warnings) = run(&mut warned);
    assert_eq!((finish, warned.step), (Finish::Complete, 65));
    let [
        Warning::Fault {
            cause: Cause::Breach(breach),
            flight: Some(flight),
        },
    ] = &warnings[..]
    else {
        panic!("one warning: {warnings:?}");
    };
    assert_eq!((breach.step, breach.what), (50, Watched::Contact));
    assert_eq!(bits(flight.frames.last().unwrap()), bits(&falling_at(50)));
    // Recording it has left no trace in the run.
    let end = warned.engine.snapshot(Fields::ALL).unwrap();
    assert_eq!(bits(&end), bits(&falling_at(65)));

    // A limit that only warns does not hide the step at which numbers end.
    let mut broken = falling(10.0);
    broken.limits = limits(false);
    let (breach, flight) = self::broken(run(&mut broken).0);
    assert_eq!((breach.step, breach.what), (70, Watched::Finite));
    assert_eq!(
        flight.expect("recorded anew").frames.last().unwrap().step,
        69
    );
}

/// What a run that had to end ended by, and what was recorded.
fn broken(finish: Finish) -> (Breach, Option<Box<Flight>>) {
    match finish {
        Finish::Fault {
            cause: Cause::Breach(breach),
            flight,
        } => (breach, flight),
        other => panic!("the run must end by a breach: {other:?}"),
    }
}

/// Raises the interrupt at a step.
pub struct Interrupter {
    pub at: u64,
    pub flag: Arc<AtomicBool>,
}

impl Reporter for Interrupter {
    fn next(&self, step: u64) -> u64 {
        if step <= self.at { self.at } else { u64::MAX }
    }

    fn wants(&self) -> Fields {
        Fields::NONE
    }

    fn report(&mut self, _: &Snapshot) -> mdrun::Result<Signal> {
        self.flag.store(true, Ordering::Relaxed);
        Ok(Signal::Continue)
    }
}

#[test]
fn reporters_can_warn_stop_and_fail() {
    let answer = |answer: fn(u64) -> mdrun::Result<Signal>| {
        let mut simulation = simulation(argon_engine(), 20);
        let (mut recorder, _) = Recorder::new(5);
        recorder.answer = answer;
        simulation.reporters.push(Box::new(recorder));
        let seen = record(&mut simulation, 5);
        let mut warnings = Vec::new();
        let finish = simulation.run(&NEVER, &mut |w| warnings.push(w));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.finished, 1);
        (finish, warnings, seen.snapshots.len())
    };
    let remark: fn(u64) -> _ = |step| {
        Ok(if step == 10 {
            Signal::Warn("hot".into())
        } else {
            Signal::Continue
        })
    };
    let (finish, warnings, reports) = answer(remark);
    assert_eq!((finish.unwrap(), reports), (Finish::Complete, 5));
    assert_eq!(warnings, [Warning::Remark("hot".into())]);
    let stop: fn(u64) -> _ = |step| {
        Ok(if step == 10 {
            Signal::Stop("drift".into())
        } else {
            Signal::Continue
        })
    };
    // Others still see the step at which one of them stops the run.
    let (finish, _, reports) = answer(stop);
    let cause = Cause::Alarm {
        step: 10,
        reason: "drift".into(),
    };
    let stopped = Finish::Fault {
        cause,
        flight: None,
    };
    assert_eq!((finish.unwrap(), reports), (stopped, 3));
    let (finish, _, reports) = answer(full);
    assert_eq!(
        (finish.unwrap_err().to_string(), reports),
        ("no space left".into(), 0)
    );
}

/// An engine that does not move, and one that does not say what is not a number.
#[test]
fn an_engine_that_misbehaves_is_an_error() {
    let message = |flags: Flags| {
        let mut simulation = simulation(
            Box::new(Idle {
                flags,
                started: false,
            }),
            20,
        );
        simulation.run(&NEVER, &mut |_| {}).unwrap_err().to_string()
    };
    assert!(message(Flags::OK).contains("took no step"));
    assert!(message(Flags::NONFINITE).contains("not a finite number"));
}

struct Idle {
    flags: Flags,
    started: bool,
}

impl Engine for Idle {
    fn run(
        &mut self,
        _: &Program,
        steps: std::ops::Range<u64>,
    ) -> mdrun::Result<mdrun::engine::Outcome> {
        let flags = if self.started { self.flags } else { Flags::OK };
        self.started = true;
        Ok(mdrun::engine::Outcome {
            flags,
            step: steps.start,
            breach: None,
        })
    }
    fn save(&mut self) -> mdrun::Result<()> {
        Ok(())
    }
    fn rollback(&mut self) -> mdrun::Result<()> {
        Ok(())
    }
    fn rebuild(&mut self) -> mdrun::Result<()> {
        Ok(())
    }
    fn restore(&mut self, _: &Snapshot) -> mdrun::Result<()> {
        Ok(())
    }
    fn listed(&mut self, _: &[usize]) -> mdrun::Result<Listed> {
        Err(Error::run("there are none"))
    }
    fn watch(&mut self, _: Limits) {}
    fn snapshot(&mut self, _: Fields) -> mdrun::Result<Snapshot> {
        Err(Error::run("there is none"))
    }
    fn statistics(&self) -> mdrun::engine::Statistics {
        mdrun::engine::Statistics::default()
    }
    fn about(&self) -> About {
        About::plain("idle")
    }
}
