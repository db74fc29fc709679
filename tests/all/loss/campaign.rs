//! Every call to the system that concerns a run's files fails, stops halfway, or is the last: while a run begins, goes on,
//! and replaces another one. Whatever happens, no old run is lost, what goes on comes to the bytes of a run that nobody
//! disturbed, and exit codes are the documented ones.
//!
//! All calls with MDRUN_VALIDATE=1, some of each kind otherwise.

use super::shim::{Scene, Stage};

/// Calls tried of each kind of fault where not all are.
const SOME: usize = 6;

/// What happens at a call, and what may come of it.
#[derive(Clone, Copy)]
struct Fault {
    kind: &'static str,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The process is killed.
    Killed,
    /// An error is told, unless it does not matter.
    Told,
    /// Nothing is to be seen of it.
    Unnoticed,
}

const FAULTS: [Fault; 9] = [
    Fault {
        kind: "kill-before",
        outcome: Outcome::Killed,
    },
    Fault {
        kind: "kill-after",
        outcome: Outcome::Killed,
    },
    Fault {
        kind: "kill-half",
        outcome: Outcome::Killed,
    },
    Fault {
        kind: "errno:28",
        outcome: Outcome::Told,
    },
    Fault {
        kind: "errno:5",
        outcome: Outcome::Told,
    },
    Fault {
        kind: "errno:13",
        outcome: Outcome::Told,
    },
    Fault {
        kind: "full:28",
        outcome: Outcome::Told,
    },
    Fault {
        kind: "errno:4",
        outcome: Outcome::Unnoticed,
    },
    Fault {
        kind: "short",
        outcome: Outcome::Unnoticed,
    },
];

/// The calls to try, of so many: all, or some that differ from kind to kind.
fn chosen(calls: usize, kind: usize) -> Vec<usize> {
    if std::env::var_os("MDRUN_VALIDATE").is_some() {
        return (1..=calls).collect();
    }
    let stride = (calls / SOME).max(1);
    (1 + kind * stride / FAULTS.len()..=calls)
        .step_by(stride)
        .collect()
}

fn survives(scene: Scene) {
    let Some(stage) = Stage::new(scene) else {
        return;
    };
    let calls = stage.calls();
    assert!(calls > 50, "only {calls} calls are seen");
    let mut tried = [0; 3];
    for (k, fault) in FAULTS.iter().enumerate() {
        for at in chosen(calls, k) {
            disturb(&stage, *fault, at);
            tried[fault.outcome as usize] += 1;
        }
    }
    let [kills, errors, unnoticed] = tried;
    eprintln!(
        "{scene:?}: {kills} kills, {errors} errors and {unnoticed} interruptions at {calls} calls"
    );
}

/// One run with one fault.
fn disturb(stage: &Stage, fault: Fault, at: usize) {
    let run = stage.set("disturbed");
    let output = stage.run(
        &run,
        &[("SHIM_AT", &at.to_string()), ("SHIM_KIND", fault.kind)],
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    let told = format!(
        "{:?}, {} at call {at}: {:?}, {stderr}",
        stage.scene, fault.kind, output.status
    );
    assert!(!stderr.contains("panicked"), "{told}");
    match (output.status.code(), fault.outcome) {
        // The number of calls is not the same every time: a few more or less.
        (Some(0), _) => assert!(stage.is_right(&run), "{told}"),
        (None, Outcome::Killed) => {}
        (Some(1), Outcome::Told) => assert!(stderr.contains("error: "), "{told}"),
        (Some(2), Outcome::Told) => {
            assert!(stderr.contains("error: "), "{told}");
            // Nothing was written; but on a disk that stays full what was there may still wait to be put back.
            if fault.kind != "full:28" {
                untouched(stage, &run, &told);
            }
        }
        _ => panic!("{told}"),
    }
    stage.check(&run, &told);
}

/// Fails unless a directory is what it was, but for files of a run that were cut back to its checkpoint.
fn untouched(stage: &Stage, run: &std::path::Path, told: &str) {
    match stage.before() {
        None => assert!(!run.exists(), "something is left: {told}"),
        Some(before) => {
            let (now, then) = (super::contents(run), super::contents(before));
            let names =
                |of: &[(String, Vec<u8>)]| of.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
            assert_eq!(names(&now), names(&then), "{told}");
            if stage.scene == Scene::Replace {
                assert!(now == then, "{told}");
            }
        }
    }
}

#[test]
fn a_run_that_begins_survives_every_fault() {
    survives(Scene::Begin);
}

#[test]
fn a_run_that_goes_on_survives_every_fault() {
    survives(Scene::GoOn);
}

#[test]
fn a_run_that_is_replaced_survives_every_fault() {
    survives(Scene::Replace);
}
