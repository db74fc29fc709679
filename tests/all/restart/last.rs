//! The last state of a run, and runs that begin from it: two in a row are one.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::{Pid, Signal, kill_process};

use super::faults::{SELDOM, end_of, wait_for_steps};
use super::runs::{Bench, Dynamics, Subject, newest, record, status, stderr};

const FINAL: &str = "final.xyz";
const FROM_FILE: &str = "system.velocities=\"from the file\"";
/// Steps of a run that lasts for as long as a test looks at it, and whose trajectories any disk has room for.
const LONG: &str = "dynamics.steps=40000";
const CPU: &str = "[device]\nkind = \"cpu\"\n";

fn bench(dynamics: Dynamics, steps: u64) -> Bench {
    Bench::new(Subject::Argon, dynamics, steps, CPU)
}

/// The comment and the atoms of the last state in a run's directory.
fn last(run: &Path) -> (String, Vec<String>) {
    let text = fs::read_to_string(run.join(FINAL)).unwrap();
    let mut lines = text.lines().map(str::to_owned);
    let atoms: usize = lines.next().unwrap().parse().unwrap();
    let comment = lines.next().unwrap();
    let rows: Vec<String> = lines.collect();
    assert_eq!(rows.len(), atoms);
    (comment, rows)
}

/// The value of a key of a comment.
fn key(comment: &str, key: &str) -> Option<u64> {
    let (_, after) = comment.split_once(&format!(" {key}="))?;
    after.split(' ').next()?.parse().ok()
}

/// Runs `steps` steps from a structure, with its velocities.
fn run_from(bench: &Bench, structure: &Path, run: &Path, steps: u64, more: &[&str]) -> Output {
    let structure = format!("system.structure={:?}", structure.display().to_string());
    let steps = format!("dynamics.steps={steps}");
    let own = [
        "-q", "--set", &structure, "--set", FROM_FILE, "--set", &steps,
    ];
    bench.run(run, &[&own, more].concat())
}

fn good(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

/// Every bit of the state is that of a run that never stopped, also where the thermostat is at work: its noise is gone
/// on with.
#[test]
fn two_runs_in_a_row_are_one() {
    for subject in [Subject::Argon, Subject::Ethanol] {
        for dynamics in [Dynamics::Nve, Dynamics::Langevin] {
            let bench = Bench::new(subject, dynamics, 70, CPU);
            let (whole, first, second) = (bench.at("whole"), bench.at("first"), bench.at("second"));
            bench.complete(&whole, &["-q"]);
            // A multiple of the steps between removals of the drift, which count from each run's start.
            bench.complete(&first, &["-q", "--set", "dynamics.steps=40"]);
            // The directory of a run stands for its last state.
            good(&run_from(&bench, &first, &second, 30, &[]));
            let (of_whole, of_second) = (last(&whole), last(&second));
            assert_eq!(of_whole.1, of_second.1, "{subject:?} {dynamics:?}");
            assert_eq!(key(&of_second.0, "step"), Some(30));
            let drawn = (dynamics == Dynamics::Langevin).then_some(70);
            assert_eq!(key(&of_second.0, "noise_step"), drawn);
            assert_eq!(key(&of_whole.0, "noise_step"), drawn);
            // A third one, of the file itself.
            let (longer, third) = (bench.at("longer"), bench.at("third"));
            bench.complete(&longer, &["-q", "--set", "dynamics.steps=80"]);
            let again = run_from(&bench, &first.join(FINAL), &third, 40, &[]);
            good(&again);
            assert_eq!(last(&longer).1, last(&third).1, "{subject:?} {dynamics:?}");
        }
    }
}

/// A run in the middle of a chain goes on from its own checkpoints, and in its own noise.
#[test]
fn a_chained_run_that_is_interrupted_goes_on() {
    let bench = bench(Dynamics::Langevin, 70);
    let (whole, first, second) = (bench.at("whole"), bench.at("first"), bench.at("second"));
    bench.complete(&whole, &["-q"]);
    bench.complete(&first, &["-q", "--set", "dynamics.steps=40"]);
    good(&run_from(&bench, &first, &second, 11, &[]));
    assert_eq!(record(&second)["config"]["dynamics"]["noise_start"], 40);
    let mut resume = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    let output = resume
        .args(["resume", "--steps", "30"])
        .arg(&second)
        .output();
    good(&output.unwrap());
    assert_eq!(last(&whole).1, last(&second).1);
    // Other noise would be another run.
    let other = ["--resume", "--set", "dynamics.noise_start=39"];
    let output = run_from(&bench, &first, &second, 30, &other);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("dynamics.noise_start was 40 and is 39 now"),
        "{message}"
    );
}

/// Frames of a trajectory say how far the noise had come, too.
#[test]
fn a_run_from_a_frame_goes_on_in_the_noise() {
    let bench = bench(Dynamics::Langevin, 40);
    let (first, second) = (bench.at("first"), bench.at("second"));
    bench.complete(&first, &["-q"]);
    // Every third step is written: the last frame is of step 39.
    let structure = first.join("traj.xyz");
    let output = run_from(
        &bench,
        &structure,
        &second,
        10,
        &["--set", "system.frame=-1"],
    );
    good(&output);
    assert_eq!(stderr(&output), "");
    assert_eq!(key(&last(&second).0, "noise_step"), Some(49));
    // Another seed has noise of its own.
    let third = bench.at("third");
    let other = ["--set", "system.frame=-1", "--set", "dynamics.seed=4"];
    good(&run_from(&bench, &structure, &third, 10, &other));
    assert_eq!(key(&last(&third).0, "noise_step"), Some(10));
}

/// From the thermostat to constant energy and back: the noise waits.
#[test]
fn a_run_without_a_thermostat_hands_the_noise_on() {
    let thermostat = bench(Dynamics::Langevin, 40);
    let free = bench(Dynamics::Nve, 20);
    let (first, second, third) = (
        thermostat.at("first"),
        thermostat.at("second"),
        thermostat.at("third"),
    );
    thermostat.complete(&first, &["-q"]);
    good(&run_from(&free, &first, &second, 20, &[]));
    assert_eq!(key(&last(&second).0, "noise_step"), Some(40));
    good(&run_from(&thermostat, &second, &third, 5, &[]));
    assert_eq!(key(&last(&third).0, "noise_step"), Some(45));
}

/// Frames of earlier versions, and of other programs.
#[test]
fn noise_that_may_be_repeated_is_warned_of() {
    let bench = bench(Dynamics::Langevin, 10);
    let first = bench.at("first");
    bench.complete(&first, &["-q"]);
    let text = fs::read_to_string(first.join(FINAL)).unwrap();
    let (before, _) = text.split_once(" noise_seed=").unwrap();
    let (_, after) = text.split_once(" noise_step=10").unwrap();
    let old = format!("{before}{after}");
    let warning = |structure: &Path, more: &[&str]| {
        let output = run_from(
            &bench,
            structure,
            &bench.at("next"),
            5,
            &[&["--force"], more].concat(),
        );
        good(&output);
        stderr(&output)
    };
    // Nobody knows who wrote it.
    let elsewhere = bench.at("elsewhere.xyz");
    fs::write(&elsewhere, &old).unwrap();
    let message = warning(&elsewhere, &[]);
    assert!(message.starts_with("warning: "), "{message}");
    assert!(
        message.contains("if it was written by a run with the seed 3 too"),
        "{message}"
    );
    // The run that it is of has this seed.
    let beside = first.join("old.xyz");
    fs::write(&beside, &old).unwrap();
    let message = warning(&beside, &[]);
    assert!(
        message.contains("is of a run with the seed 3 too"),
        "{message}"
    );
    assert_eq!(message.matches("warning: ").count(), 1, "{message}");
    // What is known to be other noise, or wanted.
    assert_eq!(warning(&beside, &["--set", "dynamics.seed=5"]), "");
    assert_eq!(
        warning(&elsewhere, &["--set", "dynamics.noise_start=0"]),
        ""
    );
    // A last state as it is.
    assert_eq!(warning(&first, &[]), "");
}

/// Masses and the cell come along too, unless the run file says otherwise.
#[test]
fn masses_and_the_cell_come_along() {
    let bench = bench(Dynamics::Nve, 10);
    let (first, second, third) = (bench.at("first"), bench.at("second"), bench.at("third"));
    let heavy = "system.masses={ Ar = \"36 u\" }";
    let cell = "system.cell=[\"23 A\", \"23.5 A\", \"24 A\"]";
    bench.complete(&first, &["-q", "--set", heavy, "--set", cell]);
    good(&run_from(&bench, &first, &second, 10, &[]));
    let state = newest(&second);
    assert!(state.system.masses.iter().all(|m| *m == 36.0));
    assert_eq!(state.cell, newest(&first).cell);
    let light = "system.masses={ Ar = \"40 u\" }";
    good(&run_from(&bench, &first, &third, 10, &["--set", light]));
    assert!(newest(&third).system.masses.iter().all(|m| *m == 40.0));
}

/// The file holds the state of the step that the run has come to, however it ended, if that is a sound one.
#[test]
fn every_sound_end_leaves_its_state() {
    let bench = bench(Dynamics::Langevin, 10);
    let run = bench.at("run");
    let child = bench.start(&run, &["--set", LONG, "--set", SELDOM]);
    wait_for_steps(&run);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(end_of(child).status.code(), Some(143));
    let step = newest(&run).step;
    assert_eq!(key(&last(&run).0, "step"), Some(step));
    assert!(
        record(&run)["files"]
            .as_array()
            .unwrap()
            .contains(&FINAL.into())
    );

    // Without checkpoints it is all there is, and a run begins from it.
    let without = bench.at("without");
    let off = "output.checkpoint_every=\"off\"";
    let mut command = bench.command(&without, &["--set", LONG, "--set", off]);
    let child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_steps(&without);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = end_of(child);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = format!("structure = {:?}", without.display().to_string());
    assert!(told.contains(&line), "{told}");
    good(&run_from(&bench, &without, &bench.at("next"), 5, &[]));

    // A drift that ends a run does not spoil its state. Without a record its cause is not looked for.
    let bench = Bench::new(Subject::Argon, Dynamics::Nve, 4000, CPU);
    let drift = bench.at("drift");
    let coarse = [
        "-q",
        "--set",
        "dynamics.timestep=\"25 fs\"",
        "--set",
        "system.velocities.temperature=\"600 K\"",
        "--set",
        "monitor.drift=\"0.01 meV/atom/ps\"",
        "--set",
        "monitor.record=false",
    ];
    let output = bench.run(&drift, &coarse);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let step = record(&drift)["summary"]["steps"].as_u64();
    assert!(step > Some(0));
    assert_eq!(key(&last(&drift).0, "step"), step);

    // A limit that breaks is in the middle of a block. The bath has 200 K.
    let bench = Bench::new(Subject::Argon, Dynamics::Langevin, 4000, CPU);
    let broken = bench.at("broken");
    let output = bench.run(&broken, &["-q", "--set", "monitor.temperature=\"190 K\""]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(record(&broken)["summary"]["steps"].as_u64() > Some(0));
    assert!(!broken.join(FINAL).exists());
}

/// A run that goes on has no last state until it ends again.
#[test]
fn a_last_state_is_never_an_old_one() {
    let bench = bench(Dynamics::Langevin, 10);
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    let mut child = bench.start(&run, &["--resume", "--set", LONG, "--set", SELDOM]);
    wait_for_steps(&run);
    assert!(!run.join(FINAL).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status(&run), "running");
    let output = run_from(&bench, &run, &bench.at("next"), 5, &[]);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for part in ["has not come to its end", "mdrun resume "] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let empty = bench.at("empty");
    fs::create_dir(&empty).unwrap();
    let output = run_from(&bench, &empty, &bench.at("next"), 5, &[]);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("is a directory; name a structure file in it"),
        "{message}"
    );
}

/// A run that writes no trajectory says where its end will be.
#[test]
fn no_trajectory_is_said_once() {
    let bench = bench(Dynamics::Nve, 10);
    let text = fs::read_to_string(&bench.config).unwrap();
    let (before, _) = text.split_once("[[output.trajectory]]").unwrap();
    fs::write(&bench.config, before).unwrap();
    let output = bench.complete(&bench.at("run"), &[]);
    let message = stderr(&output);
    assert_eq!(
        message
            .matches("output.trajectory: none is written")
            .count(),
        1,
        "{message}"
    );
    assert!(message.contains(FINAL), "{message}");
}
