//! The Python environment of the tests (see `tests/python`).

use std::path::PathBuf;
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
