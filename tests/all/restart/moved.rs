//! `mdrun resume RUN_DIR`: a run goes on from its own directory, wherever that is now.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::faults::{SELDOM, end_of, wait_for_steps};
use super::runs::{
    Bench, Dynamics, Subject, assert_same, hashes, newest, outputs, record, status, stderr,
};
use crate::support::root;

const STEPS: u64 = 60;
const HALF: &str = "dynamics.steps=30";
/// Steps of a run that lasts for as long as a test looks at it, and whose trajectories any disk has room for.
const LONG: &str = "dynamics.steps=40000";
/// What the two subjects are made from.
const STRUCTURE: &str = "configs/structures/ethanol.xyz";
const MODEL: &str = "models/painn_hcno_gfn2.safetensors";

/// Ethanol, of a structure and a model in a folder of its own, which can be taken away.
fn ethanol() -> (Bench, [PathBuf; 2]) {
    let device = "[device]\nkind = \"cpu\"\nthreads = 1\n";
    let bench = Bench::new(Subject::Ethanol, Dynamics::Langevin, STEPS, device);
    let folder = bench.at("inputs");
    fs::create_dir(&folder).unwrap();
    let mut text = fs::read_to_string(&bench.config).unwrap();
    let copies = [STRUCTURE, MODEL].map(|name| {
        let (from, to) = (
            root().join(name),
            folder.join(Path::new(name).file_name().unwrap()),
        );
        fs::copy(&from, &to).unwrap();
        text = text.replace(&from.display().to_string(), &to.display().to_string());
        to
    });
    fs::write(&bench.config, text).unwrap();
    (bench, copies)
}

/// `mdrun resume`, from another directory than the run was begun in.
fn resume(run: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    let folder = run.parent().unwrap();
    (command
        .arg("resume")
        .arg(run.file_name().unwrap())
        .args(more))
    .current_dir(folder)
    .output()
    .unwrap()
}

fn good(output: &Output) -> String {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(0), "{message}");
    message
}

/// Must be refused as a wrong input and leave all as it is; the message.
fn refused(run: &Path, more: &[&str]) -> String {
    let before = outputs(run);
    let output = resume(run, more);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(outputs(run), before);
    message
}

/// Copies all files of a folder into a new one.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// With the run file gone, its `--set`s not repeated, moved, and copied, with and without its structure.
#[test]
fn a_run_goes_on_wherever_its_directory_is() {
    let (bench, [structure, _]) = ethanol();
    let other = ["-q", "--set", "dynamics.temperature=\"310 K\""];
    let (whole, run) = (bench.at("whole"), bench.at("run"));
    bench.complete(&whole, &other);
    bench.complete(&run, &[&other[..], &["--set", HALF]].concat());
    fs::remove_file(&bench.config).unwrap();
    let copies = ["a copy", "b/deep/copy"].map(|name| bench.at(name));
    for to in &copies {
        copy(&run, to);
    }
    let moved = bench.at("moved");
    fs::rename(&run, &moved).unwrap();
    good(&resume(&moved, &["--steps", "60"]));
    assert_same(&moved, &hashes(&whole), "moved");
    assert_eq!(
        record(&moved)["config_file"],
        bench.config.display().to_string()
    );
    let now = record(&moved)["config"]["output"]["directory"].clone();
    assert_eq!(
        Path::new(now.as_str().unwrap()).canonicalize().unwrap(),
        moved.canonicalize().unwrap()
    );
    good(&resume(&copies[0], &["--duration", "30 fs"]));
    assert_same(&copies[0], &hashes(&whole), "copied");
    // The checkpoint has all that is needed of the structure.
    fs::remove_file(structure).unwrap();
    good(&resume(&copies[1], &["--set", "dynamics.steps=45"]));
    good(&resume(
        &copies[1],
        &["--set", "dynamics.duration=\"30 fs\""],
    ));
    assert_same(&copies[1], &hashes(&whole), "copied, without its structure");
    let had = record(&moved)["structure"].clone();
    assert_eq!(record(&copies[1])["structure"], had);
    assert_eq!(
        record(&copies[1])["config"]["system"],
        record(&moved)["config"]["system"]
    );
}

/// The degrees of freedom, the temperature in the table, and limits are those of the start that is gone.
#[test]
fn a_run_with_velocities_of_its_file_goes_on_without_it() {
    let (bench, [structure, _]) = ethanol();
    let first = bench.at("first");
    bench.complete(&first, &["-q", "--set", "dynamics.steps=20"]);
    fs::copy(first.join("final.xyz"), &structure).unwrap();
    let text = fs::read_to_string(&bench.config).unwrap();
    let line = text.lines().find(|l| l.starts_with("velocities")).unwrap();
    fs::write(
        &bench.config,
        text.replace(line, "velocities = \"from the file\""),
    )
    .unwrap();
    let (whole, run) = (bench.at("whole"), bench.at("run"));
    bench.complete(&whole, &["-q"]);
    bench.complete(&run, &["-q", "--set", HALF]);
    fs::remove_file(&structure).unwrap();
    good(&resume(&run, &["--steps", "60"]));
    assert_same(&run, &hashes(&whole), "without its structure");
    assert_eq!(
        record(&run)["degrees_of_freedom"],
        record(&whole)["degrees_of_freedom"]
    );
}

/// A structure that is another one by now is not the run's.
#[test]
fn a_structure_that_was_altered_is_not_looked_at() {
    let (bench, [structure, _]) = ethanol();
    let (whole, run) = (bench.at("whole"), bench.at("run"));
    bench.complete(&whole, &["-q"]);
    bench.complete(&run, &["-q", "--set", HALF]);
    fs::copy(root().join("configs/structures/aspirin.xyz"), &structure).unwrap();
    let message = refused(&run, &["--set", "system.frame=0"]);
    assert!(
        message.contains("no key of [system] can be set"),
        "{message}"
    );
    good(&resume(&run, &["--steps", "60"]));
    assert_same(&run, &hashes(&whole), "with another structure");
}

#[test]
fn a_model_that_is_gone_is_asked_for() {
    let (bench, [_, model]) = ethanol();
    let (whole, run) = (bench.at("whole"), bench.at("run"));
    bench.complete(&whole, &["-q"]);
    bench.complete(&run, &["-q", "--set", HALF]);
    let elsewhere = bench.at("elsewhere.safetensors");
    fs::rename(&model, &elsewhere).unwrap();
    let message = refused(&run, &["--steps", "60"]);
    assert!(
        message.contains("--model tells where it is now"),
        "{message}"
    );
    assert!(message.contains(&model.display().to_string()), "{message}");
    let other = root().join("models/painn_organic_gfn2.safetensors");
    let message = refused(
        &run,
        &["--steps", "60", "--model", &other.display().to_string()],
    );
    assert!(
        message.contains("potential.model was a file of SHA-256"),
        "{message}"
    );
    good(&resume(
        &run,
        &["--steps", "40", "--model", "elsewhere.safetensors"],
    ));
    // From then on it is where it was found.
    good(&resume(&run, &["--steps", "60"]));
    assert_same(&run, &hashes(&whole), "with its model elsewhere");
}

/// What the run is defined by stays; what it does not depend on may change.
#[test]
fn overrides_are_those_of_resuming() {
    let bench = Bench::new(Subject::Argon, Dynamics::Langevin, 30, "");
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    let message = refused(&run, &["--set", "dynamics.seed=4", "--steps", "60"]);
    assert!(
        message.contains("dynamics.seed was 3 and is 4 now"),
        "{message}"
    );
    let message = refused(&run, &["--set", "dynamics.stepss=4"]);
    assert!(message.contains("did you mean \"steps\"?"), "{message}");
    let message = refused(&run, &["--steps", "20"]);
    assert!(
        message.contains("the run has gone past the steps asked for"),
        "{message}"
    );
    let message = stderr(&bench.run(&run, &["--resume", "--set", "dynamics.steps=20"]));
    assert!(
        message.contains("the run has gone past the steps asked for"),
        "{message}"
    );
    let output = resume(&run, &[]);
    good(&output);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        told.contains("is complete: all 30 steps are taken"),
        "{told}"
    );
    let other = [
        "--steps",
        "50",
        "--set",
        "dynamics.skin=\"0.3 A\"",
        "--json",
    ];
    let output = resume(&run, &other);
    good(&output);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["status"], &summary["steps"]),
        (&"complete".into(), &50.into())
    );
    assert_eq!(record(&run)["config"]["dynamics"]["skin"], "0.3 A");
}

#[test]
fn what_holds_no_run_is_refused() {
    let bench = Bench::new(Subject::Argon, Dynamics::Nve, 10, "");
    let none = bench.at("none");
    let output = resume(&none, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("there is no such directory"),
        "{}",
        stderr(&output)
    );
    assert!(!none.exists());
    let output = resume(&bench.config, &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let strange = bench.at("strange");
    fs::create_dir(&strange).unwrap();
    for text in ["", "{}", "{\"config\": 3}", "no JSON"] {
        fs::write(strange.join("run.json"), text).unwrap();
        let output = resume(&strange, &[]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            stderr(&output).contains("holds no run to go on with"),
            "{}",
            stderr(&output)
        );
        assert_eq!(fs::read_dir(&strange).unwrap().count(), 1, "{text}");
    }
}

/// What an interrupted run prints is what is typed next, whatever its directory is called.
#[test]
fn the_line_of_an_interrupted_run_goes_on_with_it() {
    let bench = Bench::new(Subject::Argon, Dynamics::Langevin, 10, "");
    let names: [&[u8]; 5] = [
        b"plain",
        b"two words",
        b"it's $HOME",
        b"-dash",
        b"J\xf6rg\n",
    ];
    for name in names.map(OsStr::from_bytes) {
        let run = bench.folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
        command
            .arg(&bench.config)
            .args(["--set", LONG, "--set", SELDOM]);
        command
            .current_dir(bench.folder.path())
            .args([OsStr::from_bytes(&[b"--out=", name.as_bytes()].concat())]);
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        wait_for_steps(&run);
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = end_of(child);
        assert_eq!(output.status.code(), Some(130));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = told
            .lines()
            .find(|l| l.trim_start().starts_with("go on with"));
        let (_, typed) = line.unwrap().split_once("mdrun ").unwrap();
        let step = newest(&run).step;
        let script = format!("\"$0\" {typed} -q --steps {}", step + 5);
        let mut shell = Command::new("bash");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_mdrun")]);
        let output = shell.current_dir(bench.folder.path()).output().unwrap();
        good(&output);
        assert_eq!(
            (status(&run), newest(&run).step),
            ("complete".to_owned(), step + 5)
        );
    }
}
