//! Tells the program which commit it is built from, for `mdrun --version`.
//!
//! It looks again only when the sources have changed, and the program is built anew anyway: a commit alone rebuilds
//! nothing. What it says stays true, since sources that were not committed then are called modified.

use std::path::Path;
use std::process::Command;

/// What the program is made of.
const SOURCES: [&str; 5] = ["src", "models", "Cargo.toml", "Cargo.lock", "build.rs"];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    // For packages that are built without the repository.
    println!("cargo::rerun-if-env-changed=MDRUN_COMMIT");
    let given = std::env::var("MDRUN_COMMIT").ok();
    let commit = given.filter(|text| !text.is_empty()).or_else(commit);
    println!(
        "cargo::rustc-env=MDRUN_COMMIT={}",
        commit
            .as_deref()
            .unwrap_or("unknown (not built from a repository)")
    );
}

/// Hash and date of the commit, and whether the sources are others; `None` where this folder is no repository of its own,
/// as in an unpacked archive.
fn commit() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&here).canonicalize().ok()? {
        return None;
    }
    let commit = git(&["log", "-1", "--format=%h of %cs"])?;
    let mut status = vec!["status", "--porcelain", "--untracked-files=normal", "--"];
    status.extend(SOURCES);
    let modified = match git(&status)?.is_empty() {
        true => "",
        false => ", modified",
    };
    Some(format!("{commit}{modified}"))
}

/// What git prints on one line; `None` where there is no git, or it fails.
fn git(arguments: &[&str]) -> Option<String> {
    // Without locks: another git may be at work in the folder.
    let output = Command::new("git")
        .arg("--no-optional-locks")
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
