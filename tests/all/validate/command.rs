//! `mdrun validate` as users meet it.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::mdrun;

/// Validates a configuration of the project, quickly.
fn quick(config: &str, folder: &Path, more: &[&str]) -> Output {
    let out = folder.to_str().unwrap();
    mdrun(&[&["validate", config, "--quick", "--out", out][..], more].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn verdict<'v>(found: &'v Value, key: &str) -> &'v Value {
    let tests = found["tests"].as_array().unwrap();
    let test = tests.iter().find(|test| test["key"] == key);
    &test.unwrap_or_else(|| panic!("there is no test {key}"))["verdict"]
}

#[test]
fn ethanol_passes() {
    let folder = tempfile::tempdir().unwrap();
    let output = quick("configs/ethanol_nve.toml", folder.path(), &[]);
    let shown = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{shown}{}",
        text(&output.stderr)
    );
    let found = fs::read(folder.path().join("validation.json")).unwrap();
    let found: Value = serde_json::from_slice(&found).unwrap();
    assert_eq!(found["verdict"], "pass", "{shown}");
    for test in found["tests"].as_array().unwrap() {
        let told = ["pass", "not_applicable"].contains(&test["verdict"].as_str().unwrap());
        assert!(told, "{test}");
        let reasoned = test["reason"].as_str().unwrap();
        assert!(!reasoned.is_empty() || test["verdict"] == "not_applicable");
    }
    let page = fs::read_to_string(folder.path().join("report.html")).unwrap();
    // Two atoms at the cutoff, energies, fluctuations.
    assert_eq!(page.matches("<svg ").count(), 3);
    assert!(!page.contains("NaN") && !page.contains("http") && !page.contains("<script"));
}

#[test]
fn a_step_that_is_too_long_fails() {
    let folder = tempfile::tempdir().unwrap();
    let step = ["--set", "dynamics.timestep=2.5 fs", "--json"];
    let output = quick("configs/ethanol_nve.toml", folder.path(), &step);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["verdict"], "fail");
    assert_eq!(verdict(&found, "timestep"), "fail");
    assert_eq!(verdict(&found, "forces_are_slopes"), "pass");
}

#[test]
fn what_cannot_be_validated_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = quick("configs/conformers.toml", folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(message.contains("--member 0"), "{message}");
    // What belongs to the suite says nothing of a run file.
    for option in [
        "--precision=int8",
        "--device=cpu",
        "--largest=24",
        "--duration=1ps",
    ] {
        let output = quick("configs/ethanol_nve.toml", folder.path(), &[option]);
        assert_eq!(output.status.code(), Some(2), "{option}");
    }
    // Somebody else's page is seen before anything is measured.
    let foreign = folder.path().join("report.html");
    fs::write(&foreign, "<p>mine</p>").unwrap();
    let output = quick("configs/ethanol_nve.toml", folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty() && text(&output.stderr).contains("--out"));
    assert_eq!(fs::read_to_string(&foreign).unwrap(), "<p>mine</p>");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [file.clone(), file.join("under")] {
        let output = quick("configs/ethanol_nve.toml", &place, &[]);
        assert_eq!(output.status.code(), Some(2));
        let message = text(&output.stderr);
        assert!(
            message.contains("is a file") && message.contains("--out"),
            "{message}"
        );
    }
    let negative = ["validate", "configs/ethanol_nve.toml", "--minutes", "-1"];
    let output = mdrun(&negative);
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(message.contains("greater than zero"), "{message}");
}

/// What is broken off is not passed, and says so.
#[cfg(unix)]
#[test]
fn an_interrupted_validation_has_not_passed() {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args([
            "validate",
            "configs/ethanol_langevin.toml",
            "--minutes",
            "30",
            "--out",
        ])
        .arg(folder.path())
        .current_dir(crate::support::root())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Until it has begun to walk.
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("constant energy") || line.contains("Langevin") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut output, &mut line).unwrap() > 0);
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(
        rest.contains("Interrupted") && !rest.contains("--minutes"),
        "{rest}"
    );
    let found = fs::read(folder.path().join("validation.json")).unwrap();
    let found: Value = serde_json::from_slice(&found).unwrap();
    assert_eq!(found["verdict"], "undecided");
    assert_eq!(found["interrupted"], true);
    let tests = found["tests"].as_array().unwrap();
    assert!(
        tests
            .iter()
            .all(|test| test["verdict"] == "pass" || test["verdict"] == "not_applicable")
    );
}
