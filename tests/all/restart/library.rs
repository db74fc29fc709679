//! A run by the library's one call is the run of the program, with a reporter of the user's own beside those of its plan.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use mdrun::config;
use mdrun::config::plan::Plan;
use mdrun::core::{Fields, Snapshot};
use mdrun::report::{Console, Status};
use mdrun::run::{Ending, Entry, Interruption, Run};
use mdrun::simulation::{Reporter, Signal, next_multiple};
use mdrun::{Error, Result};

use super::runs::{Bench, Dynamics, Subject, assert_same, hashes, record, status};

const STEPS: u64 = 60;
/// Steps between looks, and the one at which a run is interrupted: none of a checkpoint by the clock or by steps.
const EVERY: u64 = 10;
const INTERRUPTED: u64 = 20;

/// What a reporter saw: each step with the number of positions, velocities and forces.
#[derive(Default)]
struct Seen {
    steps: Vec<(u64, [usize; 3])>,
    finished: u32,
}

/// A reporter of the user's own, which may raise a flag.
struct Own {
    seen: Arc<Mutex<Seen>>,
    raises: Option<(u64, Arc<AtomicBool>)>,
}

impl Reporter for Own {
    fn next(&self, step: u64) -> u64 {
        next_multiple(step, EVERY)
    }

    fn wants(&self) -> Fields {
        Fields {
            positions: true,
            ..Fields::NONE
        }
    }

    fn report(&mut self, s: &Snapshot) -> Result<Signal> {
        let lengths = [s.positions.len(), s.velocities.len(), s.forces.len()];
        self.seen.lock().unwrap().steps.push((s.step, lengths));
        if let Some((_, flag)) = self.raises.as_ref().filter(|(at, _)| *at == s.step) {
            flag.store(true, Ordering::Release);
        }
        Ok(Signal::Continue)
    }

    fn finish(&mut self) -> Result<()> {
        self.seen.lock().unwrap().finished += 1;
        Ok(())
    }
}

fn argon() -> Bench {
    Bench::new(
        Subject::Argon,
        Dynamics::Langevin,
        STEPS,
        "[device]\nkind = \"cpu\"",
    )
}

fn plan(bench: &Bench, directory: &Path) -> Plan {
    config::load(&bench.config, &[], Some(directory)).unwrap()
}

/// Enters a run and takes its steps; raises the interrupt at a step, if one is given. What its reporter saw.
fn enter(plan: Plan, entry: Entry, interrupted: Option<u64>) -> Result<(Ending, Seen)> {
    let (seen, flag) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
    let own = Own {
        seen: Arc::clone(&seen),
        raises: interrupted.map(|step| (step, Arc::clone(&flag))),
    };
    let run = Run::open(plan, entry, &Console::silent())?.watched_by(Box::new(own));
    let ending = run.to_the_end(flag.as_ref())?;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    Ok((ending, seen))
}

fn steps_of(seen: &Seen) -> Vec<u64> {
    seen.steps.iter().map(|(step, _)| *step).collect()
}

#[test]
fn one_call_runs_a_plan() {
    let bench = argon();
    let (program, library) = (bench.at("program"), bench.at("library"));
    bench.complete(&program, &["-q"]);
    let (ending, seen) = enter(plan(&bench, &library), Entry::Begin, None).unwrap();
    assert_eq!((ending.status, ending.steps), (Status::Complete, STEPS));
    let summary = ending.summary.unwrap();
    assert_eq!((summary.steps, summary.stopped_by), (STEPS, None));
    assert_eq!(record(&library)["summary"]["steps"], STEPS);
    assert_same(&library, &hashes(&program), "by the library");
    let looks: Vec<u64> = (0..=STEPS).step_by(EVERY as usize).collect();
    assert_eq!((steps_of(&seen), seen.finished), (looks, 1));
    // Where another reporter wants more at the same step, all get it.
    let at = |step: u64| seen.steps.iter().find(|(s, _)| *s == step).unwrap().1;
    assert_eq!((at(10), at(30)), ([256, 0, 0], [256; 3]));
}

#[test]
fn a_run_that_was_interrupted_goes_on_in_another_thread() {
    let bench = argon();
    let (whole, parts) = (bench.at("whole"), bench.at("parts"));
    bench.complete(&whole, &["-q"]);
    let (ending, seen) = enter(plan(&bench, &parts), Entry::Begin, Some(INTERRUPTED)).unwrap();
    let stopped = (Status::Interrupted, INTERRUPTED);
    assert_eq!((ending.status, ending.steps), stopped);
    assert_eq!((steps_of(&seen), seen.finished), (vec![0, 10, 20], 1));
    assert_eq!(status(&parts), "interrupted");
    assert_eq!(record(&parts)["summary"]["stopped_by"], "a signal");

    let again = plan(&bench, &parts);
    let resumed = std::thread::spawn(move || enter(again, Entry::Resume, None).unwrap());
    let (ending, seen) = resumed.join().unwrap();
    assert_eq!((ending.status, ending.steps), (Status::Complete, STEPS));
    assert_eq!(steps_of(&seen), [30, 40, 50, 60]);
    assert_same(&parts, &hashes(&whole), "gone on with");

    // There is nothing left to do, nor anything to look at.
    let (ending, seen) = enter(plan(&bench, &parts), Entry::Resume, None).unwrap();
    assert_eq!((ending.status, ending.steps), (Status::Complete, STEPS));
    assert_eq!(
        (ending.summary, steps_of(&seen), seen.finished),
        (None, vec![], 0)
    );
}

#[test]
fn a_run_in_the_way_is_refused_and_replaced_when_asked_for() {
    let bench = argon();
    let run = bench.at("run");
    enter(plan(&bench, &run), Entry::Begin, None).unwrap();
    let before = hashes(&run);
    match enter(plan(&bench, &run), Entry::Begin, None) {
        Err(Error::Input(message)) => assert!(message.contains("holds a run already"), "{message}"),
        other => panic!("{:?}", other.map(|(ending, _)| ending)),
    }
    assert_same(&run, &before, "after a refusal");
    let (ending, _) = enter(plan(&bench, &run), Entry::Replace, Some(INTERRUPTED)).unwrap();
    assert_eq!(ending.status, Status::Interrupted);
    assert_eq!(status(&run), "interrupted");
}

/// What asks for the end has a name, and comes before the first step: nothing is written.
#[test]
fn a_run_that_is_not_to_begin_leaves_nothing() {
    struct Asked(AtomicBool);
    impl Interruption for Asked {
        fn flag(&self) -> &AtomicBool {
            &self.0
        }

        fn name(&self) -> &str {
            "the user"
        }
    }
    let bench = argon();
    let run = bench.at("run");
    let opened = Run::open(plan(&bench, &run), Entry::Begin, &Console::silent()).unwrap();
    let ending = opened.to_the_end(&Asked(AtomicBool::new(true))).unwrap();
    let nothing = Ending {
        status: Status::Interrupted,
        steps: 0,
        summary: None,
    };
    assert_eq!(ending, nothing);
    assert!(!run.exists());
}
