//! A member of many systems that runs alone is a run like any other, and goes on as the replica that it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::runs::{Bench, Dynamics, Subject, assert_same, hashes, outputs, record, stderr};
use crate::support::root;

const STEPS: u64 = 40;
const HALF: &str = "dynamics.steps=20";

/// Three replicas of ethanol on a ladder of temperatures, whose structure can be taken away.
fn replicas() -> (Bench, PathBuf) {
    let device = "[device]\nkind = \"cpu\"\nthreads = 1\n";
    let bench = Bench::new(Subject::Ethanol, Dynamics::Langevin, STEPS, device);
    let from = root().join("configs/structures/ethanol.xyz");
    let copy = bench.at("ethanol.xyz");
    fs::copy(&from, &copy).unwrap();
    let text = fs::read_to_string(&bench.config).unwrap();
    let text = text
        .replace(&from.display().to_string(), &copy.display().to_string())
        .replace("[system]\n", "[system]\nreplicas = 3\n")
        .replace(
            "\ntemperature = \"200 K\"",
            "\ntemperature = [\"200 K\", \"800 K\"]",
        );
    fs::write(&bench.config, text).unwrap();
    (bench, copy)
}

fn resume(run: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.arg("resume").arg(run).args(["--steps", "40"]);
    command.output().unwrap()
}

/// By itself, from its run file, and from its checkpoint alone, it leaves the files of the run that was not interrupted; the same
/// as a run file of one system does that says which replica it is.
#[test]
fn a_member_alone_goes_on_as_itself() {
    let (bench, structure) = replicas();
    let member = ["--member", "1"];
    let whole = bench.at("whole");
    bench.complete(&whole, &member);
    let right = hashes(&whole);
    let half = [&member[..], &["--set", HALF]].concat();
    for name in ["resumed", "again", "without"] {
        bench.complete(&bench.at(name), &half);
    }
    let resumed = bench.at("resumed");
    let output = resume(&resumed);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_same(&resumed, &right, "resumed");
    assert_eq!(record(&resumed)["config"]["system"]["replica"], 1);
    bench.complete(&bench.at("again"), &["--member", "1", "--resume"]);
    assert_same(&bench.at("again"), &right, "from the run file");

    let lone = [
        "--set",
        "system.replica=1",
        "--set",
        "dynamics.temperature=400 K",
    ];
    bench.complete(&bench.at("lone"), &lone);
    assert_same(&bench.at("lone"), &right, "a run of one system");
    bench.complete(&bench.at("other"), &["--member", "2"]);
    assert_ne!(outputs(&bench.at("other")), outputs(&whole));

    fs::remove_file(structure).unwrap();
    let without = bench.at("without");
    let output = resume(&without);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_same(&without, &right, "without its structure");
}

/// Another member does not go on with its files, and all of them at once are not one run.
#[test]
fn another_member_is_another_run() {
    let (bench, _) = replicas();
    let run = bench.at("run");
    bench.complete(&run, &["--member", "1", "--set", HALF]);
    let before = outputs(&run);
    let output = bench.run(&run, &["--member", "2", "--resume"]);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("system.replica was 1 and is 2 now"),
        "{message}"
    );
    let output = bench.run(&run, &["--member", "3"]);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("there is no member 3: there are 3, numbered from 0 to 2"),
        "{message}"
    );
    assert_eq!(outputs(&run), before);
}

/// Without a directory of its own it has one beside that of all.
#[test]
fn a_member_alone_has_a_directory_beside_that_of_all() {
    let (bench, _) = replicas();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command
        .arg(&bench.config)
        .args(["--member", "2", "--set", "dynamics.steps=2"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let folder = bench.at("trajectories");
    let made: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(made, ["run-member-0002"]);
}
