//! What several tests need: where the project's files are.

#![allow(dead_code, reason = "not every build of the tests uses every helper")]

pub mod allocator;
pub mod atoms;
pub mod brute;
pub mod calculators;
pub mod data;
pub mod double;
pub mod models;
pub mod naive;
pub mod pty;
pub mod python;
pub mod shapes;

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

/// A file of the third-party reference data, which lie beside the project or in the folder that MDRUN_REFERENCE names; `None`, with
/// the reason printed, where it is not there.
///
/// # Panics
/// It is not there, and MDRUN_REQUIRE_REFERENCE says that it has to be.
pub fn reference(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("MDRUN_REFERENCE")
        .map_or_else(|| root().join("../shared/reference"), PathBuf::from);
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    let missing = format!("{} is not there", path.display());
    let required = std::env::var_os("MDRUN_REQUIRE_REFERENCE").is_some();
    assert!(!required, "{missing}, and MDRUN_REQUIRE_REFERENCE is set");
    eprintln!("skipped: {missing}");
    None
}
