//! What several tests need: where the project's files are.

#![allow(dead_code, reason = "not every build of the tests uses every helper")]

pub mod allocator;
pub mod brute;
pub mod double;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the binary in the project's root.
pub fn mdrun(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args(args)
        .current_dir(root())
        .output()
        .unwrap()
}

/// A file of the reference data, which lies beside the project; `None`, with the reason printed,
/// where it is not there.
pub fn reference(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/reference").join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}
