//! What the world does to a run: full disks, directories that are read-only or go away, a second process.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use mdrun::report::checkpoint::store;
use mdrun::report::names::NEWEST;

use super::runs::{self, Bench, Dynamics, Subject, outputs, record, status, stderr};

/// How long a run may take to start and to stop, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Steps of a run that lasts for as long as a test looks at it.
pub const LONG: &str = "dynamics.steps=4000000";
/// No checkpoint while the run goes on.
pub const SELDOM: &str = "output.checkpoint_every=\"1 h\"";

pub fn ethanol(steps: u64) -> Bench {
    let device = "[device]\nkind = \"cpu\"\nthreads = 1\n";
    Bench::new(Subject::Ethanol, Dynamics::Langevin, steps, device)
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn lines(run: &Path) -> usize {
    fs::read_to_string(run.join("thermo.csv")).map_or(0, |text| text.lines().count())
}

/// Waits until a run has taken some steps.
pub fn wait_for_steps(run: &Path) {
    wait_until("no steps are taken", || lines(run) > 20);
}

pub fn end_of(mut child: Child) -> Output {
    wait_until("the run does not end", || {
        child.try_wait().unwrap().is_some()
    });
    child.wait_with_output().unwrap()
}

#[test]
fn a_second_run_in_the_same_directory_is_refused() {
    let bench = ethanol(10);
    let run = bench.at("run");
    let mut first = bench.start(&run, &["--set", LONG]);
    wait_for_steps(&run);
    wait_until("no checkpoint", || run.join(NEWEST).exists());
    for flags in [&["--resume"][..], &["--force"], &[]] {
        let output = bench.run(&run, flags);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains("another mdrun (process "), "{message}");
        assert!(first.try_wait().unwrap().is_none(), "the first run goes on");
    }
    // A killed process leaves no lock behind.
    first.kill().unwrap();
    first.wait().unwrap();
    let output = bench.run(&run, &["--resume"]);
    let message = stderr(&output);
    assert!(
        message.contains("gone past the steps asked for"),
        "{message}"
    );
    bench.complete(&run, &["--force", "-q"]);
}

/// Removed or moved away, with and without checkpoints.
#[test]
fn a_directory_that_vanishes_ends_the_run() {
    for every in [
        "output.checkpoint_every=\"5 steps\"",
        "output.checkpoint_every=\"off\"",
    ] {
        let bench = ethanol(10);
        let run = bench.at("run");
        let child = bench.start(&run, &["--set", LONG, "--set", every]);
        wait_for_steps(&run);
        wait_until("it cannot be removed", || {
            let _ = fs::remove_dir_all(&run);
            !run.exists()
        });
        let output = end_of(child);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let message = stderr(&output);
        assert!(message.contains("cannot write"), "{message}");
        let why = ["was removed while the run went on", "No such file"];
        assert!(why.iter().any(|why| message.contains(why)), "{message}");
    }
}

#[test]
fn an_output_that_cannot_be_opened_is_named_before_the_run() {
    let bench = ethanol(10);
    let run = bench.at("run");
    fs::create_dir_all(run.join("traj.dcd")).unwrap();
    let output = bench.run(&run, &[]);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("traj.dcd is a folder, not a plain file"),
        "{message}"
    );
    assert_eq!(
        fs::read_dir(&run).unwrap().count(),
        1,
        "nothing else is left"
    );
}

/// Runs a script in a namespace of its own, where it may mount; `None`, with the reason printed, where
/// this process may not. The script's arguments are a folder to mount at, the program, the run file and a
/// folder for what is to be looked at.
pub fn in_own_namespace(bench: &Bench, script: &str) -> Option<Output> {
    const CANNOT_MOUNT: i32 = 99;
    let place = bench.at("disk");
    let _ = fs::create_dir(&place);
    for flags in ["-m", "-rm"] {
        let output = Command::new("unshare")
            .args([flags, "sh", "-c", script, "sh"])
            .args([&place, Path::new(env!("CARGO_BIN_EXE_mdrun"))])
            .args([&bench.config, &bench.at("")])
            .output();
        let Ok(output) = output else { continue };
        let refused = stderr(&output).contains("unshare:");
        if output.status.code() != Some(CANNOT_MOUNT) && !refused {
            return Some(output);
        }
    }
    eprintln!("skipped: nothing can be mounted here");
    None
}

/// A disk that is full after some hundred steps; with more room the run goes on as if nothing had been.
#[test]
fn a_disk_that_fills_up_costs_nothing_but_time() {
    let bench = Bench::new(Subject::Argon, Dynamics::Langevin, 1500, "");
    // The table alone: how long it will be is not foreseen.
    let text = fs::read_to_string(&bench.config).unwrap();
    let (little, _) = text.split_once("[[output.trajectory]]").unwrap();
    fs::write(&bench.config, little).unwrap();
    let script = "mount -t tmpfs -o size=160k tmpfs \"$1\" || exit 99
        \"$2\" \"$3\" --out \"$1/run\" -q; echo \"code $?\"
        cp -r \"$1/run\" \"$4/full\"
        mount -o remount,size=4m \"$1\" || exit 98
        \"$2\" \"$3\" --out \"$1/run\" --resume -q; echo \"code $?\"
        cp -r \"$1/run\" \"$4/after\"";
    let Some(output) = in_own_namespace(&bench, script) else {
        return;
    };
    let message = stderr(&output);
    let codes = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(codes, "code 1\ncode 0\n", "{message}");
    for part in [
        "No space left on device",
        "the checkpoint of step",
        "go on with mdrun resume ",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let full = bench.at("full");
    assert_eq!(status(&full), "failed");
    let reason = record(&full)["summary"]["stopped_by"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(reason.contains("No space left on device"), "{reason}");
    assert!(store::newest(&full).unwrap().unwrap().remark.is_none());
    let whole = bench.at("whole");
    bench.complete(&whole, &["-q", "--set", SELDOM]);
    let after = bench.at("after");
    assert_eq!(status(&after), "complete");
    for name in ["thermo.csv", "topology.pdb"] {
        let of = |run: &Path| fs::read(run.join(name)).unwrap();
        assert!(of(&after) == of(&whole), "{name}");
    }
    let state = |run: &Path| {
        let mut state = runs::newest(run);
        state.elapsed = 0.0;
        state.encode().unwrap()
    };
    assert!(state(&after) == state(&whole));
}

#[test]
fn a_read_only_directory_is_named() {
    let bench = ethanol(30);
    let script = "mount --bind \"$1\" \"$1\" || exit 99
        \"$2\" \"$3\" --out \"$1/run\" -q || exit 98
        mount -o remount,ro,bind \"$1\" || exit 99
        \"$2\" \"$3\" --out \"$1/run\" --resume; echo \"code $?\"
        \"$2\" \"$3\" --out \"$1/run\" --force; echo \"code $?\"
        \"$2\" \"$3\" --out \"$1/other\"; echo \"code $?\"";
    let Some(output) = in_own_namespace(&bench, script) else {
        return;
    };
    let message = stderr(&output);
    let codes = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(codes, "code 2\ncode 2\ncode 2\n", "{message}");
    assert_eq!(
        message.matches("Read-only file system").count(),
        3,
        "{message}"
    );
    let run = bench.at("disk").join("run");
    assert_eq!(
        (status(&run), outputs(&run).len()),
        ("complete".to_owned(), 6)
    );
}

/// Where no second file can be made beside it, how the run ended is written into the record's own place.
#[test]
fn the_record_never_stays_at_running() {
    let bench = ethanol(10);
    let run = bench.at("run");
    let child = bench.start(&run, &["--set", LONG, "--set", SELDOM]);
    wait_for_steps(&run);
    fs::create_dir(run.join("run.json.part")).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = end_of(child);
    assert_eq!(output.status.code(), Some(143), "{}", stderr(&output));
    assert_eq!(status(&run), "interrupted");
}
