//! Reports that are made while the next block runs: on an engine that takes half of that block first, all is as on
//! one that waits for them.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use mdrun::core::Fields;
use mdrun::dynamics::Program;
use mdrun::engine::{Engine, Limits, Outcome};
use mdrun::simulation::{Cause, Finish, Guard, Ring, Signal, Simulation, Warning};
use mdrun::{Error, Result};

use super::doubles::{Beside, Event, Recorder, Seen, bits, full};
use super::simulation::{Interrupter, argon_engine, falling, record, run, simulation, steps};
use crate::support::double::pass_on;

static NEVER: AtomicBool = AtomicBool::new(false);

/// A simulation on an engine that waits for reports, and the same on one that does not.
fn both(make: impl Fn() -> Simulation) -> [Simulation; 2] {
    let inner = make();
    let beside = Simulation {
        engine: Box::new(Beside::new(inner.engine)),
        ..inner
    };
    [make(), beside]
}

/// All that is left of a run: how it ended, what was told, what two reporters saw, where it is.
type Left = (
    std::result::Result<Finish, String>,
    Vec<Warning>,
    [Vec<Vec<u64>>; 2],
    u64,
    Vec<u64>,
);

/// Runs with a reporter that answers every 5 steps, between two that keep what they see.
fn left(mut simulation: Simulation, answer: fn(u64) -> Result<Signal>) -> Left {
    let before = record(&mut simulation, 5);
    let (mut recorder, _) = Recorder::new(5);
    recorder.answer = answer;
    simulation.reporters.push(Box::new(recorder));
    let after = record(&mut simulation, 3);
    let mut warnings = Vec::new();
    let ended = simulation.run(&NEVER, &mut |w| warnings.push(w));
    let seen = [before, after].map(|s| s.lock().unwrap().snapshots.iter().map(bits).collect());
    let state = simulation.engine.snapshot(Fields::ALL).unwrap();
    (
        ended.map_err(|e| e.to_string()),
        warnings,
        seen,
        simulation.step,
        bits(&state),
    )
}

/// Answers at step 10.
fn at_ten(signal: fn(String) -> Signal) -> impl Fn(u64) -> Result<Signal> {
    move |step| match step {
        10 => Ok(signal("seen".into())),
        _ => Ok(Signal::Continue),
    }
}

fn argon_run() -> Simulation {
    let mut simulation = simulation(argon_engine(), 23);
    simulation.guard = Guard::new(Some(Ring::new(108)), 0);
    simulation
}

#[test]
fn reports_are_made_while_the_next_block_runs() {
    let mut simulation = simulation(argon_engine(), 20);
    let engine = Beside::new(argon_engine());
    let log = Arc::clone(&engine.log);
    simulation.engine = Box::new(engine);
    let (recorder, seen) = Recorder::new(10);
    simulation.reporters.push(Box::new(recorder));
    let (finish, _) = run(&mut simulation);
    assert_eq!(finish, Finish::Complete);
    assert_eq!(steps(&seen), [0, 10, 20]);
    use Event::{Begun, Done, Requested, Taken};
    let log = log.lock().unwrap();
    // The start and the end are waited for.
    assert_eq!(log[log.len() - 2..], [Requested(20), Taken(20)]);
    let first = log.iter().position(|e| *e == Requested(0)).unwrap();
    assert_eq!(log[first + 1], Taken(0));
    let middle = log.iter().position(|e| *e == Requested(10)).unwrap();
    let during = [Requested(10), Begun(10), Taken(10), Done(10)];
    assert_eq!(log[middle..middle + 4], during);
}

#[test]
fn an_engine_that_goes_on_meanwhile_alters_nothing() {
    let quiet: fn(u64) -> Result<Signal> = |_| Ok(Signal::Continue);
    let [plain, beside] = both(argon_run).map(|simulation| left(simulation, quiet));
    assert_eq!(plain.0, Ok(Finish::Complete));
    assert_eq!(plain.2[1].len(), 8);
    assert!(plain == beside);
}

/// A stop, an alarm (with the steps before it recorded), a remark and an error are those of the step at which the
/// reporter saw them: nothing of later steps is shown to anyone, and the run stays there, or goes on from there.
#[test]
fn what_reporters_say_counts_at_their_step() {
    let stop: fn(u64) -> Result<Signal> = |step| at_ten(Signal::Stop)(step);
    let alarm: fn(u64) -> Result<Signal> = |step| at_ten(Signal::Alarm)(step);
    let remark: fn(u64) -> Result<Signal> = |step| at_ten(Signal::Warn)(step);
    let fail: fn(u64) -> Result<Signal> = |step| match step {
        10 => full(step),
        _ => Ok(Signal::Continue),
    };
    for (name, answer, end) in [
        ("stop", stop, 10),
        ("alarm", alarm, 23),
        ("remark", remark, 23),
        ("error", fail, 10),
    ] {
        let [plain, beside] = both(argon_run).map(|simulation| left(simulation, answer));
        assert_eq!(beside.3, end, "{name}");
        assert_eq!(beside.4[0], end, "{name}: the engine is where the run is");
        assert!(plain == beside, "{name}");
        let told = match name {
            "stop" => {
                matches!(&beside.0, Ok(Finish::Fault { cause, flight: Some(_) }) if cause.step() == 10)
            }
            "error" => beside.0 == Err("no space left".into()),
            "alarm" => matches!(
                &beside.1[..],
                [Warning::Fault { cause, flight: Some(flight) }]
                    if cause.step() == 10 && flight.frames.last().is_some_and(|f| f.step == 10)
            ),
            _ => beside.1 == [Warning::Remark("seen".into())],
        };
        assert!(told, "{name}");
    }
}

/// Two atoms break a limit at step 50: in the block after the one whose end a reporter speaks of.
#[test]
fn signals_come_before_the_breach_of_the_block_after() {
    let limited = |stop: bool| {
        move || {
            let mut simulation = falling(10.0);
            simulation.end = 60;
            simulation.limits = Limits {
                contact: Some(5.05),
                stop,
                ..Limits::default()
            };
            simulation
        }
    };
    let alarm: fn(u64) -> Result<Signal> = |step| {
        Ok(match step {
            45 => Signal::Alarm("seen".into()),
            _ => Signal::Continue,
        })
    };
    let halt: fn(u64) -> Result<Signal> = |step| {
        Ok(match step {
            45 => Signal::Stop("seen".into()),
            _ => Signal::Continue,
        })
    };
    let left = |mut simulation: Simulation, answer| {
        let (mut recorder, seen) = Recorder::new(5);
        recorder.answer = answer;
        simulation.reporters.push(Box::new(recorder));
        let (finish, warnings) = self::run(&mut simulation);
        (finish, warnings, steps(&seen), simulation.step)
    };
    let [plain, beside] = both(limited(true)).map(|s| left(s, alarm));
    assert!(plain == beside);
    let (finish, warnings, seen, step) = beside;
    assert!(matches!(finish, Finish::Fault { cause: Cause::Breach(b), .. } if b.step == 50));
    assert!(matches!(&warnings[..], [Warning::Fault { cause, .. }] if cause.step() == 45));
    assert_eq!((seen.last(), step), (Some(&45), 49));

    let [plain, beside] = both(limited(false)).map(|s| left(s, alarm));
    assert!(plain == beside);
    let told: Vec<u64> = (beside.1.iter())
        .filter_map(|w| match w {
            Warning::Fault { cause, .. } => Some(cause.step()),
            Warning::Remark(_) | Warning::Raise(_) => None,
        })
        .collect();
    assert_eq!(told, [45, 50]);

    // A run that ends at 45 knows of no breach.
    let [plain, beside] = both(limited(true)).map(|s| left(s, halt));
    assert!(plain == beside);
    assert!(matches!(
        beside.0,
        Finish::Fault {
            cause: Cause::Alarm { step: 45, .. },
            ..
        }
    ));
    assert!(beside.1.is_empty());
}

/// An interrupt that comes with a report ends the run at that report's step, between blocks or with the next one undone.
#[test]
fn an_interrupt_ends_the_run_at_the_report_it_comes_with() {
    let ended = both(|| simulation(argon_engine(), 1_000_000_000)).map(|mut simulation| {
        let interrupt = Arc::new(AtomicBool::new(false));
        let seen = record(&mut simulation, 10);
        simulation.reporters.push(Box::new(Interrupter {
            at: 30,
            flag: Arc::clone(&interrupt),
        }));
        let finish = simulation.run(&interrupt, &mut |_| {}).unwrap();
        assert_eq!((finish, simulation.step), (Finish::Interrupted, 30));
        assert_eq!(steps(&seen), [0, 10, 20, 30]);
        assert_eq!(seen.lock().unwrap().finished, 1);
        bits(&simulation.engine.snapshot(Fields::ALL).unwrap())
    });
    assert!(ended[0] == ended[1]);
}

/// Audits look at a state that nobody is still to be shown: the engine of these tests says so.
#[test]
fn audits_wait_for_reports() {
    let audited = || {
        let mut simulation = argon_run();
        simulation.guard = Guard::new(Some(Ring::new(108)), 5);
        simulation
    };
    let quiet: fn(u64) -> Result<Signal> = |_| Ok(Signal::Continue);
    let [plain, beside] = both(audited).map(|simulation| left(simulation, quiet));
    assert_eq!(plain.0, Ok(Finish::Complete));
    assert!(plain == beside);
}

/// A device that fails before it comes to the host's work: what was reached is reported, then the failure.
#[test]
fn a_failing_device_leaves_no_report_out() {
    let mut simulation = simulation(argon_engine(), 20);
    simulation.engine = Box::new(Dying(argon_engine()));
    let seen: Arc<Mutex<Seen>> = record(&mut simulation, 5);
    let error = simulation.run(&NEVER, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "the device is gone");
    assert_eq!((steps(&seen), simulation.step), (vec![0, 5, 10], 10));
    assert_eq!(seen.lock().unwrap().finished, 1);
}

/// Fails as soon as it is to go on from step 10.
struct Dying(Box<dyn Engine>);

impl Engine for Dying {
    pass_on!(0: run save rollback rebuild restore listed watch snapshot request statistics about);

    fn run_beside(
        &mut self,
        program: &Program,
        steps: Range<u64>,
        meanwhile: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Outcome>> {
        match steps.start < 10 {
            true => self.0.run_beside(program, steps, meanwhile),
            false => Err(Error::run("the device is gone")),
        }
    }
}
