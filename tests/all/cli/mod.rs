//! The binary as a user runs it.

mod all_frames;
mod check;
mod energy;
mod hints;
mod init;
mod long;
mod members;
mod models;
mod precision;
mod run;
mod terminal;
mod verdict;

use std::path::Path;
use std::process::Output;

use crate::support::mdrun;

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The JSON on standard output; fails with what was printed if the command failed.
fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(stdout(output)).unwrap_or_else(|e| {
        let (out, err) = (stdout(output), stderr(output));
        panic!("{e}\nstdout: {out}\nstderr: {err}")
    })
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
