//! Run files with slips and forged numbers in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mdrun::assemble;
use mdrun::config::plan::{DeviceKind, Plan};
use mdrun::config::{self, Asked};
use mdrun::neighbors::expected_neighbors;

use super::slips::{forge, slip};
use super::{put, survives, tries, watched};
use crate::support::root;

const TRIES: u32 = 50;

/// More neighbours than this, and an engine takes too long for a test.
const MOST_NEIGHBORS: f64 = 3e5;
/// Nor more threads than a machine has.
const MOST_THREADS: usize = 8;

/// The good run files, each with the folder that its paths start from.
fn subjects() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["configs", "tests/all/config/good", "tests/all/config/many"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        files.extend(entries.map(|e| e.unwrap().path()));
    }
    files.retain(|f| f.extension().is_some_and(|e| e == "toml"));
    files.sort();
    files
}

/// Reads a run file that stands in `folder`; what it accepts must come to an engine, or to an error.
/// Whether it was accepted.
pub fn accepted(text: &str, folder: &Path, what: &str) -> bool {
    let path = folder.join("run.toml");
    put(&path, text.as_bytes());
    // The structure and the resolved file are read with it.
    let length = text.len() + (1 << 20);
    let Some(asked) = survives(what, length, || config::load_any(&path, &[], None)) else {
        return false;
    };
    match asked {
        Asked::One(plan) => watched(what, || start(&plan, what)),
        Asked::Staged(staged) => watched(what, || start(&staged.stages[0], what)),
        Asked::Several(batch) => {
            // Those between are made as these are.
            for member in [batch.members.first(), batch.members.last()] {
                watched(what, || start(&member.unwrap().plan, what));
            }
        }
    }
    true
}

/// Takes one step where that is soon done.
fn start(plan: &Plan, what: &str) {
    let mut plan = plan.clone();
    let Ok(model) = assemble::load(&mut plan) else {
        return;
    };
    let (cell, positions) = (&plan.start.cell, &plan.start.positions);
    let range = model.cutoff() + plan.dynamics.skin;
    let few = expected_neighbors(cell, positions, range).is_ok_and(|n| n < MOST_NEIGHBORS);
    let threads = plan.device.threads.unwrap_or(1);
    // Whether there is a GPU does not depend on the file.
    let elsewhere = matches!(plan.device.kind, DeviceKind::Cuda(_));
    // A socket waits for its client for as long as it takes.
    if !few || threads > MOST_THREADS || elsewhere || model.is_remote() {
        return;
    }
    let Ok(mut engine) = assemble::engine(&plan, &model) else {
        return;
    };
    engine.watch(assemble::limits(&plan));
    let outcome = engine.run(&assemble::program(&plan), 0..1).unwrap();
    assert!(outcome.step <= 1, "{what}");
}

/// The run file with its paths made absolute, so that it can stand anywhere.
fn rooted(path: &Path) -> String {
    let folder = path.parent().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        for key in ["structure = \"", "model = \""] {
            // A model's bare name is no path.
            if let Some(rest) = line.strip_prefix(key)
                && rest.contains('/')
            {
                *line = format!("{key}{}/{rest}", folder.display());
            }
        }
    }
    lines.join("\n")
}

#[test]
fn slips_in_run_files_are_errors_or_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (mut tried, mut refused) = (0, 0);
    for subject in subjects() {
        let text = rooted(&subject);
        assert!(
            accepted(&text, folder.path(), "a good run file"),
            "{}",
            subject.display()
        );
        for seed in 0..tries(TRIES) {
            for (how, text) in [("slip", slip(&text, seed)), ("forgery", forge(&text, seed))] {
                let what = format!("{}, {how} {seed}", subject.display());
                tried += 1;
                refused += u32::from(!accepted(&text, folder.path(), &what));
            }
        }
    }
    assert!(refused > tried / 4, "{refused} of {tried} were refused");
    assert!(refused < tried, "none was accepted");
}

/// A list of neighbours for which there is no room is refused before it is built: 256 atoms within 400 A
/// of each other and their images are 1e9 pairs.
#[test]
fn neighbours_beyond_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let command = format!(
        "ulimit -v 8000000; exec '{}' configs/argon_nve.toml --out '{}' \
         --set 'potential.lennard_jones.cutoff=\"400 A\"'",
        env!("CARGO_BIN_EXE_mdrun"),
        folder.path().join("run").display()
    );
    let output = Command::new("sh")
        .args(["-c", &command])
        .current_dir(root())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    for part in [
        "potential.lennard_jones.cutoff",
        "256 atoms",
        "neighbours within 400.8 A",
        "GiB of memory, and",
    ] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    assert!(!folder.path().join("run").exists());
}
