//! The house rules that a search can check. Each names the file and line that breaks it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Longest source file: a reader still knows the room.
const MOST_LINES: usize = 600;

/// Rooms that know nothing of files, formats or the run file.
const INNER: [&str; 6] = [
    "src/core",
    "src/integrate.rs",
    "src/engine",
    "src/potential",
    "src/neighbors",
    "src/simulation.rs",
];

/// Keeps compiled kernels in the user's cache folder, the one room of the engines that touches files.
const CACHE: &str = "src/engine/cuda/cache.rs";

/// Parses the bytes of a model file: its metadata is JSON.
const PARSES_JSON: &str = "src/potential/painn/import";

/// Rooms that turn quantities with units into numbers and back.
const OUTER: [&str; 9] = [
    "src/config",
    "src/formats",
    "src/diagnose",
    "src/report",
    "src/assemble",
    "src/assemble.rs",
    "src/cli",
    "src/bench",
    "src/units.rs",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "cu") {
            found.push(path);
        }
    }
}

/// Each line of each source under `folder`: (path from the root, line number, line).
fn lines(folder: &str) -> Vec<(String, usize, String)> {
    let mut files = Vec::new();
    sources(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "no sources under {folder}");
    files
        .iter()
        .flat_map(|file| {
            let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
            let text = fs::read_to_string(file).unwrap();
            let numbered = text.lines().enumerate();
            let own = |(n, line): (usize, &str)| (name.to_owned(), n + 1, line.to_owned());
            numbered.map(own).collect::<Vec<_>>()
        })
        .collect()
}

/// Fails with every line that is code and that `broken` says is wrong.
fn check(folder: &str, broken: impl Fn(&str, &str) -> bool) {
    let wrong: Vec<String> = lines(folder)
        .into_iter()
        .filter(|(file, _, line)| !line.trim_start().starts_with("//") && broken(file, line))
        .map(|(file, n, line)| format!("{file}:{n}: {}", line.trim()))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn within(file: &str, rooms: &[&str]) -> bool {
    rooms.iter().any(|room| file.starts_with(room))
}

#[test]
fn inner_rooms_know_no_files_formats_or_run_file() {
    check("src", |file, line| {
        let foreign = ["std::fs", "chemfiles", "crate::config", "crate::report"];
        within(file, &INNER)
            && (foreign.iter().any(|name| line.contains(name))
                && !(file == "src/simulation.rs" && line.contains("crate::report::"))
                && !(file == CACHE && line.contains("std::fs"))
                || line.contains("serde") && !file.starts_with(PARSES_JSON))
    });
}

#[test]
fn units_stay_in_the_outer_rooms() {
    check("src", |file, line| {
        !within(file, &OUTER) && line.contains("crate::units")
    });
}

#[test]
fn burn_stays_behind_the_potential() {
    check("src", |file, line| {
        !file.starts_with("src/engine/burn")
            && !file.starts_with("src/potential/painn/")
            && (line.contains("burn::tensor") || line.contains("burn_cuda::"))
    });
}

#[test]
fn noise_has_no_shared_state() {
    check("src", |_, line| {
        line.contains("thread_rng") || line.contains("rand::rng()") || line.contains("from_os_rng")
    });
}

#[test]
fn nothing_is_left_unfinished_or_tied_to_one_machine() {
    let words = ["to", "do!("].concat();
    let fix = ["FIX", "ME"].concat();
    let unfinished = ["unimplemen", "ted!("].concat();
    let home = ["\"/ho", "me/"].concat();
    for folder in ["src", "tests"] {
        check(folder, |_, line| {
            [&words, &fix, &unfinished, &home]
                .iter()
                .any(|word| line.contains(word.as_str()))
        });
    }
}

#[test]
fn files_open_with_their_purpose_and_stay_short() {
    for folder in ["src", "tests"] {
        let mut files = Vec::new();
        sources(&root().join(folder), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let purpose = text.starts_with("//!") || text.starts_with("//");
            assert!(purpose, "{} does not say what it is for", file.display());
            let count = text.lines().count();
            assert!(
                count <= MOST_LINES,
                "{} has {count} lines; split it at {MOST_LINES}",
                file.display()
            );
        }
    }
}
