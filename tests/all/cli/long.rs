//! A long run: no growth of memory or of open files, no drift.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{json, text};
use crate::support::root;

/// Growth of memory (bytes) over most of a run that is none: buffers that are filled for the first time
/// late, such as that of a file's last block.
const GROWTH: u64 = 1 << 20;

/// Drift (meV / atom / ps) that a run of 500 ps must stay under, and can resolve: the demo's 10 ps
/// have a standard error of 2e-4.
const DRIFT: f64 = 0.01;

/// What a process holds at one moment.
#[derive(Debug, Clone, Copy)]
struct Held {
    memory: u64,
    files: usize,
}

impl Held {
    /// `None` once the process has ended.
    fn by(child: &Child) -> Option<Self> {
        let process = format!("/proc/{}", child.id());
        let status = fs::read_to_string(format!("{process}/status")).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        let files = fs::read_dir(format!("{process}/fd")).ok()?.count();
        let memory = kib * 1024;
        Some(Self { memory, files })
    }
}

/// Runs ethanol for so many steps on the CPU; the summary, and what was held at every look at it.
fn ethanol(steps: u64, between: Duration) -> (serde_json::Value, Vec<Held>) {
    let out = TempDir::new().unwrap();
    let run = out.path().join("run");
    let duration = format!("dynamics.duration=\"{} fs\"", steps as f64 / 2.0);
    let mut child = Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args(["configs/ethanol_nve.toml", "--json", "--out", text(&run)])
        .args(["--set", "device.kind=\"cpu\"", "--set", &duration])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut held = Vec::new();
    while child.try_wait().unwrap().is_none() {
        held.extend(Held::by(&child));
        std::thread::sleep(between);
    }
    (json(&child.wait_with_output().unwrap()), held)
}

/// Looks of the first part of a run, while it gets to its size, are left out, and those of the last, when files are closed and
/// the page of the run is made.
fn does_not_grow(held: &[Held]) {
    let settled = &held[held.len() / 5..held.len() - held.len() / 20 - 1];
    let (first, last) = (settled[0], settled[settled.len() - 1]);
    assert!(last.memory <= first.memory + GROWTH, "{first:?}, {last:?}");
    assert!(
        settled.iter().all(|h| h.files == first.files),
        "{settled:?}"
    );
}

#[test]
fn a_run_does_not_grow() {
    let (summary, held) = ethanol(20_000, Duration::from_millis(50));
    assert_eq!(summary["steps"], 20_000);
    does_not_grow(&held);
}

#[test]
fn a_million_steps_of_ethanol_neither_grow_nor_drift() {
    if std::env::var_os("MDRUN_VALIDATE").is_none() {
        eprintln!("skipped: set MDRUN_VALIDATE=1 to run a million steps of ethanol");
        return;
    }
    let (summary, held) = ethanol(1_000_000, Duration::from_secs(1));
    assert_eq!(summary["steps"], 1_000_000);
    does_not_grow(&held);
    let drift = summary["energy_drift_mev_per_atom_ps"].as_f64().unwrap();
    let error = summary["energy_drift_stderr"].as_f64().unwrap();
    println!(
        "drift {drift} +- {error} meV/atom/ps, {:?} to {:?}",
        held[held.len() / 5],
        held[held.len() - 2]
    );
    assert!(
        drift.abs() < DRIFT && error < DRIFT / 4.0,
        "{drift} +- {error}"
    );
}
