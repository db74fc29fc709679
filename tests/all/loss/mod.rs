//! Nothing is lost: old runs, files outside of a run's directory, results on streams that fail.

mod campaign;
mod force;
mod inputs;
mod links;
mod power;
pub mod shim;
mod streams;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::restart::runs::{Bench, Dynamics, Subject};

/// A short run of argon.
fn argon(steps: u64) -> Bench {
    Bench::new(Subject::Argon, Dynamics::Nve, steps, "")
}

/// All that is in a folder and under it, with its bytes; links as what they point to.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    gather(folder, "", &mut found);
    found.sort();
    found
}

fn gather(folder: &Path, before: &str, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.push((format!("{name}/"), Vec::new()));
            gather(&entry.path(), &format!("{name}/"), found);
        } else if kind.is_symlink() {
            let to = fs::read_link(entry.path()).unwrap();
            found.push((name, to.into_os_string().into_encoded_bytes()));
        } else if kind.is_file() {
            found.push((name, fs::read(entry.path()).unwrap()));
        } else {
            found.push((name, b"special".to_vec()));
        }
    }
}

/// Runs a script in a namespace of its own, where it may mount; `None`, with the reason printed, where this process
/// may not. The script's arguments are the program, the run file and a folder to work in.
fn in_own_namespace(bench: &Bench, script: &str) -> Option<Output> {
    const CANNOT_MOUNT: i32 = 99;
    for flags in ["-m", "-rm"] {
        let output = Command::new("unshare")
            .args([flags, "sh", "-c", script, "sh"])
            .args([Path::new(env!("CARGO_BIN_EXE_mdrun")), &bench.config])
            .arg(bench.folder.path())
            .output();
        let Ok(output) = output else { continue };
        let refused = String::from_utf8_lossy(&output.stderr).contains("unshare:");
        if output.status.code() != Some(CANNOT_MOUNT) && !refused {
            return Some(output);
        }
    }
    eprintln!("skipped: nothing can be mounted here");
    None
}
