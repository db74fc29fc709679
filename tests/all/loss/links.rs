//! Links, pipes and devices at a run's names: nothing outside of the directory is touched, nothing is waited for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{argon, contents};
use crate::restart::runs::{Bench, stderr};

/// Names of a run's files, complete and not.
const NAMES: [&str; 15] = [
    "run.json",
    "report.html",
    "run.json.part",
    "thermo.csv",
    "topology.pdb",
    "topology.pdb.part",
    "traj.xyz",
    "traj.dcd",
    "traj.xtc",
    "state.ckpt",
    "state.ckpt.part",
    "state_prev.ckpt",
    "flight.xyz",
    "flight.ckpt.part",
    "final.xyz",
];
/// The lock, and folders that a run leaves when it is killed.
const MARKERS: [&str; 4] = [".lock", ".replacing", ".replaced", ".removed"];

/// What stands at a name.
#[derive(Clone, Copy, Debug)]
enum Thing {
    LinkToFile,
    LinkToFolder,
    LinkToNothing,
    Pipe,
    Folder,
}

const THINGS: [Thing; 5] = [
    Thing::LinkToFile,
    Thing::LinkToFolder,
    Thing::LinkToNothing,
    Thing::Pipe,
    Thing::Folder,
];

/// Puts it there, with what it points to in `outside`.
fn put(thing: Thing, path: &Path, outside: &Path) {
    match thing {
        Thing::LinkToFile => symlink(outside.join("precious"), path).unwrap(),
        Thing::LinkToFolder => symlink(outside, path).unwrap(),
        Thing::LinkToNothing => symlink(outside.join("new"), path).unwrap(),
        Thing::Folder => {
            fs::create_dir(path).unwrap();
            fs::write(path.join("mine"), "mine").unwrap();
        }
        Thing::Pipe => {
            let made = Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        }
    }
}

/// The exit code and what was said; a program that waits for ever fails the test.
fn run(bench: &Bench, directory: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let mut child = bench.start(directory, flags);
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("it waits for ever");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), stderr(&output))
}

/// Whatever stands at one of a run's names and is none of its files is refused by name, in a new directory and in
/// that of a run, and nothing is touched.
#[test]
fn what_is_no_file_of_a_run_is_refused_by_name() {
    let bench = argon(10);
    let (whole, outside) = (bench.at("whole"), bench.at("outside"));
    bench.complete(&whole, &["-q"]);
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "years of work").unwrap();
    fs::write(outside.join("traj.dcd"), "mine too").unwrap();
    let guarded = contents(&outside);
    for (k, name) in NAMES.iter().chain(&MARKERS).enumerate() {
        let thing = THINGS[k % THINGS.len()];
        for thing in [thing, Thing::LinkToFile] {
            if matches!(thing, Thing::Folder) && MARKERS[1..].contains(name) {
                continue;
            }
            for flags in [
                &["--resume", "--set", "dynamics.steps=12"][..],
                &["--force"],
                &[],
            ] {
                let directory = bench.at("run");
                fs::create_dir(&directory).unwrap();
                if !flags.is_empty() {
                    for entry in fs::read_dir(&whole).unwrap() {
                        let entry = entry.unwrap();
                        fs::copy(entry.path(), directory.join(entry.file_name())).unwrap();
                    }
                }
                let path = directory.join(name);
                let _ = fs::remove_file(&path);
                put(thing, &path, &outside);
                let before = contents(&directory);
                let (code, message) = run(&bench, &directory, flags);
                let told = format!("{name} {thing:?} {flags:?}: {message}");
                assert_eq!(code, Some(2), "{told}");
                assert!(message.contains(name), "{told}");
                assert_eq!(contents(&directory), before, "{told}");
                assert_eq!(contents(&outside), guarded, "{told}");
                fs::remove_dir_all(&directory).unwrap();
            }
        }
    }
}

/// The directory itself may be a link: that is what its user wants.
#[test]
fn the_directory_itself_may_be_a_link() {
    let bench = argon(10);
    let (real, link) = (bench.at("real"), bench.at("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    bench.complete(&link, &["-q"]);
    bench.complete(&link, &["-q", "--resume", "--set", "dynamics.steps=12"]);
    bench.complete(&link, &["-q", "--force"]);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(real.join("run.json").exists());
}

/// A file that another name shares its bytes with would be altered under that name too.
#[test]
fn an_output_of_two_names_is_not_written_to() {
    let bench = argon(10);
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    fs::hard_link(run.join("traj.dcd"), bench.at("backup.dcd")).unwrap();
    let more = ["--resume", "--set", "dynamics.steps=12"];
    let before = fs::read(bench.at("backup.dcd")).unwrap();
    let output = bench.run(&run, &more);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(
        message.contains("traj.dcd") && message.contains("hard link"),
        "{message}"
    );
    assert_eq!(fs::read(bench.at("backup.dcd")).unwrap(), before);
    // A copy in its place, as the message says.
    fs::copy(bench.at("backup.dcd"), run.join("copy")).unwrap();
    fs::rename(run.join("copy"), run.join("traj.dcd")).unwrap();
    bench.complete(&run, &more);
    assert_eq!(fs::read(bench.at("backup.dcd")).unwrap(), before);
}

/// A lock of another program is not overwritten, and one that a killed run left is.
#[test]
fn a_lock_of_another_program_is_left_alone() {
    let bench = argon(10);
    let run = bench.at("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join(".lock"), "pid 7 of backup.sh").unwrap();
    let output = bench.run(&run, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("belongs to another program"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        fs::read_to_string(run.join(".lock")).unwrap(),
        "pid 7 of backup.sh"
    );
    fs::write(run.join(".lock"), "process 7 on a machine\n").unwrap();
    bench.complete(&run, &["-q"]);
}
