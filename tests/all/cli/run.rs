//! `mdrun CONFIG`: the shipped run files, the summary, interrupts, broken limits.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{json, mdrun, stderr, stdout, text};
use crate::support::root;

/// Keys that scripts rely on.
const SUMMARY_KEYS: [&str; 12] = [
    "status",
    "steps",
    "atoms",
    "steps_per_second",
    "ns_per_day",
    "mean_temperature_k",
    "energy_drift_mev_per_atom_ps",
    "energy_drift_stderr",
    "drift_over_std_ekin",
    "energy_fluctuation_mev_per_atom",
    "output_directory",
    "stopped_by",
];

/// Those of many systems at once.
const SUMMARY_OF_MANY: [&str; 10] = [
    "status",
    "members",
    "complete",
    "failed",
    "steps",
    "atom_steps_per_second",
    "mean_temperature_k",
    "worst_drift",
    "output_directory",
    "stopped_by",
];

fn shipped() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("configs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    names
}

#[test]
fn every_shipped_run_file_runs() {
    let names = shipped();
    for wanted in [
        "ethanol_nve",
        "ethanol_langevin",
        "aspirin_nve",
        "water_nve",
        "water_langevin",
        "water_npt",
        "argon_nve",
        "conformers",
    ] {
        assert!(
            names.contains(&format!("{wanted}.toml")),
            "{wanted} is missing"
        );
    }
    for name in names {
        let out = TempDir::new().unwrap();
        let run = out.path().join("run");
        let config = format!("configs/{name}");
        let short = "dynamics.duration=\"20 fs\"";
        let output = mdrun(&[&config, "--set", short, "--out", text(&run), "--json"]);
        let summary = json(&output);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        let many = name == "conformers.toml";
        let keys = if many {
            &SUMMARY_OF_MANY[..]
        } else {
            &SUMMARY_KEYS
        };
        for key in keys {
            assert!(summary.get(key).is_some(), "{name}: no {key} in {summary}");
        }
        assert!(summary["stopped_by"].is_null(), "{name}: {summary}");
        assert!(summary["steps"].as_u64().unwrap() > 0, "{name}");
        let lines = fs::read_to_string(run.join("thermo.csv")).unwrap();
        assert!(lines.lines().count() > 1, "{name}: no thermo");
        let topology = if many {
            "members/0015/topology.pdb"
        } else {
            "topology.pdb"
        };
        for file in ["run.json", topology] {
            assert!(run.join(file).is_file(), "{name}: no {file}");
        }
        let record: serde_json::Value =
            serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
        assert_eq!(record["status"], "complete", "{name}");
    }
}

#[test]
fn the_resolved_run_file_gives_the_same_run() {
    let out = TempDir::new().unwrap();
    let (first, second) = (out.path().join("first"), out.path().join("second"));
    let short = "dynamics.duration=\"50 fs\"";
    let config = "configs/ethanol_langevin.toml";
    assert!(
        mdrun(&[config, "--set", short, "--out", text(&first), "-q"])
            .status
            .success()
    );
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(first.join("run.json")).unwrap()).unwrap();
    let resolved = toml::to_string(&record["config"]).unwrap();
    let again = out.path().join("again.toml");
    fs::write(&again, resolved).unwrap();
    let output = mdrun(&[text(&again), "--out", text(&second), "-q"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let thermo = |run: &Path| fs::read(run.join("thermo.csv")).unwrap();
    assert_eq!(thermo(&first), thermo(&second));
}

#[test]
fn an_earlier_run_is_kept_unless_forced() {
    let out = TempDir::new().unwrap();
    let run = out.path().join("run");
    let base = [
        "configs/argon_nve.toml",
        "--set",
        "dynamics.duration=\"40 fs\"",
        "-q",
        "--out",
    ];
    let with = |extra: &[&str]| mdrun(&[&base[..], &[text(&run)], extra].concat());
    assert!(with(&[]).status.success());
    let before = fs::read(run.join("run.json")).unwrap();
    let refused = with(&[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));
    assert_eq!(before, fs::read(run.join("run.json")).unwrap());
    assert!(with(&["--force"]).status.success());
}

#[test]
fn a_broken_limit_ends_the_run_with_the_frames_before_it() {
    let out = TempDir::new().unwrap();
    let run = out.path().join("run");
    let output = mdrun(&[
        "configs/ethanol_nve.toml",
        "--set",
        "velocities=1",
        "--out",
        text(&run),
    ]);
    assert_eq!(output.status.code(), Some(2), "a key outside of all tables");
    // Half of the kinetic energy goes into the bonds, but some of it comes back: with a limit just
    // over the start the run breaks it within a few hundred steps.
    let output = mdrun(&[
        "configs/ethanol_langevin.toml",
        "--set",
        "monitor.temperature=\"420 K\"",
        "--set",
        "monitor.action=\"stop\"",
        "--json",
        "--out",
        text(&run),
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let summary = json(&output);
    let reason = summary["stopped_by"].as_str().unwrap();
    assert!(
        reason.contains("temperature") && reason.contains("420.0 K"),
        "{reason}"
    );
    let frames = fs::read_to_string(run.join("flight.xyz")).unwrap();
    assert!(frames.contains("velo:R:3"), "{frames}");
    assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["status"], "failed");
}

#[test]
fn an_exploding_run_stops_and_says_where() {
    let out = TempDir::new().unwrap();
    let run = out.path().join("run");
    let output = mdrun(&[
        "configs/ethanol_nve.toml",
        "--set",
        "dynamics.timestep=\"20 fs\"",
        "--set",
        "monitor={}",
        "--json",
        "--out",
        text(&run),
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let reason = json(&output)["stopped_by"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("step "), "{reason}");
    assert!(run.join("flight.xyz").is_file(), "{reason}");
}

/// How long a run may take to start and to stop, on a machine that does much else.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_run_with_all_files_complete() {
    let out = TempDir::new().unwrap();
    let run = out.path().join("run");
    let mut child = Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args([
            "configs/ethanol_nve.toml",
            "--set",
            "dynamics.duration=\"1 ns\"",
        ])
        .args([
            "--set",
            "output.thermo_every=1",
            "--json",
            "--out",
            text(&run),
        ])
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let thermo = run.join("thermo.csv");
    let lines = || fs::read_to_string(&thermo).map_or(0, |t| t.lines().count());
    let began = std::time::Instant::now();
    while lines() < 20 && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let began = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < PATIENCE, "the interrupt was not heard");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let summary = json(&output);
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(summary["stopped_by"], "SIGINT");
    assert_eq!(summary["status"], "interrupted");
    let steps = summary["steps"].as_u64().unwrap();
    assert!(steps >= 19);
    // One line a step, the header and the start; the last line is whole.
    assert_eq!(lines() as u64, steps + 2);
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["status"], "interrupted");
}

#[test]
fn quiet_runs_print_nothing() {
    let out = TempDir::new().unwrap();
    let run = out.path().join("run");
    let short = "dynamics.duration=\"20 fs\"";
    let output = mdrun(&[
        "configs/argon_nve.toml",
        "--set",
        short,
        "-q",
        "--out",
        text(&run),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!((stdout(&output), stderr(&output)), ("", ""));
}

#[test]
fn no_run_file_is_an_error_that_says_so() {
    let output = mdrun(&[]);
    assert_eq!(output.status.code(), Some(2));
    let output = mdrun(&["no_such_file.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("no_such_file.toml"),
        "{}",
        stderr(&output)
    );
}
