//! The Python environment of the tests (see `tests/python`).

use std::path::{Path, PathBuf};
use std::process::Command;

use super::root;

/// The Python of the environment that `tests/python/setup.sh` makes, or why there is none: there is no Python, or it is not
/// wanted.
///
/// # Panics
/// The environment cannot be made.
pub fn environment() -> Result<PathBuf, &'static str> {
    if std::env::var_os("MDRUN_NO_PYTHON").is_some() {
        return Err("MDRUN_NO_PYTHON is set");
    }
    if Command::new("python3").arg("--version").output().is_err() {
        return Err("there is no python3");
    }
    let made = Command::new("sh")
        .arg(root().join("tests/python/setup.sh"))
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "tests/python/setup.sh failed (MDRUN_NO_PYTHON=1 skips this test):\n{}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(root().join(".venv/bin/python"))
}

/// Runs the check of this name of a script in `tests/python`, which prints its figures.
///
/// # Panics
/// A figure is too far off.
pub fn check(python: &Path, script: &str, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(python)
        .arg(root().join("tests/python").join(script))
        .arg(env!("CARGO_BIN_EXE_mdrun"))
        .arg(folder.path())
        .arg(name)
        .status()
        .unwrap();
    assert!(status.success(), "{name}: {status}; figures above");
}

/// Says why a comparison is skipped.
///
/// # Panics
/// It may not be: MDRUN_REQUIRE_VALIDATION is set.
pub fn skip(why: &str) {
    let required = std::env::var_os("MDRUN_REQUIRE_VALIDATION").is_some();
    assert!(!required, "{why}, and MDRUN_REQUIRE_VALIDATION is set");
    eprintln!("skipped: {why}");
}
