//! Every file in `bad/` is refused by the binary: exit code 2, nothing written, and one line of error,
//! the one that the file holds, with the line that it holds it under.
//!
//! A file marks the fault with a comment under the line at fault, `#^ message`. Words in it stand for
//! folders: `@files@` for `bad/files`, `@models@` for models made here, `@earlier@` for a run's
//! directory, `@out@` for a folder that is not there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::models;
use crate::support::root;

/// The exit code of a wrong input.
const WRONG_INPUT: i32 = 2;

fn folder() -> PathBuf {
    root().join("tests/all/config/bad")
}

fn mdrun() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mdrun"))
}

/// A scratch folder with models, an earlier run, and the run files copied into it.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        let scratch = Self(tempfile::tempdir().unwrap());
        fs::create_dir(scratch.at("models")).unwrap();
        models::write(&scratch.at("models"));
        fs::create_dir(scratch.at("earlier")).unwrap();
        fs::write(scratch.at("earlier/run.json"), "{}").unwrap();
        scratch
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The text of a bad file, its folders filled in.
    fn fill(&self, text: &str) -> String {
        let files = folder().join("files");
        text.replace("@files@", files.to_str().unwrap())
            .replace("@models@", self.at("models").to_str().unwrap())
            .replace("@earlier@", self.at("earlier").to_str().unwrap())
            .replace("@out@", self.at("out").to_str().unwrap())
    }

    /// Every file and folder in it.
    fn contents(&self) -> Vec<PathBuf> {
        let mut found = vec![self.0.path().to_owned()];
        let mut next = 0;
        while next < found.len() {
            if let Ok(entries) = fs::read_dir(&found[next]) {
                found.extend(entries.map(|e| e.unwrap().path()));
            }
            next += 1;
        }
        found.sort();
        found
    }
}

/// The line (from 1) and the message of the fault that a file holds.
fn fault(text: &str, name: &str) -> (usize, String) {
    let marks: Vec<(usize, &str)> = (text.lines().enumerate())
        .filter_map(|(k, line)| line.strip_prefix("#^ ").map(|m| (k, m)))
        .collect();
    assert_eq!(marks.len(), 1, "{name} has one `#^ message`");
    (marks[0].0, marks[0].1.to_owned())
}

/// What is wrong with how a run was refused; nothing if it is as it should be.
fn judge(output: &Output, parts: &[&str]) -> Vec<String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut wrong = Vec::new();
    if output.status.code() != Some(WRONG_INPUT) {
        wrong.push(format!("ended with {}", output.status));
    }
    if !output.stdout.is_empty() {
        wrong.push("wrote to standard output".to_owned());
    }
    if errors.lines().count() != 1 || !errors.starts_with("error: ") {
        wrong.push("did not say one line of error".to_owned());
    }
    for part in parts.iter().filter(|part| !errors.contains(**part)) {
        wrong.push(format!("did not say {part}"));
    }
    if !wrong.is_empty() {
        wrong.push(format!("it said: {errors}"));
    }
    wrong
}

fn bad_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "toml"));
    files.sort();
    assert!(
        files.len() >= 130,
        "only {} bad files are there",
        files.len()
    );
    files
}

#[test]
fn bad_files_are_refused_with_the_message_they_hold() {
    let scratch = Scratch::new();
    let mut faults = Vec::new();
    for file in bad_files() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = scratch.fill(&fs::read_to_string(&file).unwrap());
        let (line, message) = fault(&text, name);
        let run_file = scratch.at(name);
        fs::write(&run_file, &text).unwrap();
        let before = scratch.contents();
        let output = mdrun()
            .arg(&run_file)
            .current_dir(&scratch.0)
            .output()
            .unwrap();
        let place = format!("{name}:{line}:");
        let mut wrong = judge(&output, &[&place, &message]);
        if scratch.contents() != before {
            wrong.push("it left something behind".to_owned());
        }
        faults.extend(wrong.iter().map(|w| format!("{name} {w}")));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// A disk of 64 KiB, in a namespace of its own that ends with the run. Runs that cannot fit are
/// refused before they begin; the disk is as empty as before.
#[test]
fn a_full_disk_is_seen_before_the_run_begins() {
    let scratch = Scratch::new();
    let disk = scratch.at("disk");
    fs::create_dir(&disk).unwrap();
    let run_file = scratch.at("full.toml");
    let template = folder().join("disk/full_disk.toml");
    let text = scratch.fill(&fs::read_to_string(template).unwrap());
    let text = text.replace("@disk@", disk.to_str().unwrap());
    // Nothing but the thermo table and the records: too little to be foreseen.
    let (little, _) = text.split_once("[[output.trajectory]]").unwrap();
    for (text, filler, says) in [
        (text.as_str(), "true", "the run will write at least"),
        (
            little,
            "head -c 65536 /dev/zero > $1/filler",
            "No space left on device",
        ),
    ] {
        fs::write(&run_file, text).unwrap();
        let script = format!(
            "mount -t tmpfs -o size=64k tmpfs $1 || exit 99; {filler}; $2 $3; code=$?; \
             rm -f $1/filler; ls $1; exit $code"
        );
        let Some(output) = in_own_namespace(&script, &disk, &run_file) else {
            eprintln!("skipped: no small disk can be mounted here");
            return;
        };
        let wrong = judge(&output, &["full.toml:", "output.directory: ", says]);
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}

/// Runs a script that may mount; `None` where this process may not.
fn in_own_namespace(script: &str, disk: &Path, run_file: &Path) -> Option<Output> {
    const CANNOT_MOUNT: i32 = 99;
    for flags in ["-m", "-rm"] {
        let output = Command::new("unshare")
            .args([flags, "sh", "-c", script, "sh"])
            .args([disk, Path::new(env!("CARGO_BIN_EXE_mdrun")), run_file])
            .output()
            .ok()?;
        let code = output.status.code();
        let refused = String::from_utf8_lossy(&output.stderr).contains("unshare:");
        if code != Some(CANNOT_MOUNT) && !refused {
            return Some(output);
        }
    }
    None
}

/// Faults of overrides name the flag; a directory that is given as a flag does so too.
#[test]
fn faults_of_flags_name_the_flag() {
    let scratch = Scratch::new();
    let config = root().join("configs/ethanol_nve.toml");
    let file = folder().join("files/ethanol.xyz");
    let file = file.to_str().unwrap();
    for (flags, says) in [
        (
            ["--set", "dynamics.steps=-1"],
            "--set dynamics.steps=-1: dynamics.steps: -1 is negative",
        ),
        (
            ["--set", "potential.model=\"x.safetensors\""],
            "x.safetensors: no such file",
        ),
        (["--out", file], "output.directory: the output directory"),
    ] {
        let output = mdrun()
            .arg(&config)
            .args(flags)
            .current_dir(&scratch.0)
            .output()
            .unwrap();
        let wrong = judge(&output, &[&format!("{} {}", flags[0], flags[1]), says]);
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}
