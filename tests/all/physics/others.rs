//! Runs at constant temperature and pressure against other programs: `tests/python/ensembles.py` makes the runs,
//! compares, and prints each figure with its error.

use std::process::Command;

use crate::support::{python, root};

/// Says why a comparison is skipped.
///
/// # Panics
/// It may not be: MDRUN_REQUIRE_VALIDATION is set.
fn skip(why: &str) {
    let required = std::env::var_os("MDRUN_REQUIRE_VALIDATION").is_some();
    assert!(!required, "{why}, and MDRUN_REQUIRE_VALIDATION is set");
    eprintln!("skipped: {why}");
}

/// Runs a comparison of the script.
///
/// # Panics
/// A figure deviates by three standard errors or more.
fn compare(name: &str) {
    if std::env::var_os("MDRUN_VALIDATE").is_none() {
        eprintln!("skipped: set MDRUN_VALIDATE=1 to run it (minutes)");
        return;
    }
    if name == "lammps" && Command::new("lmp").arg("-h").output().is_err() {
        return skip(
            "there is no LAMMPS (lmp) on the PATH; on Debian or Ubuntu: apt-get install lammps",
        );
    }
    let python = match python::environment() {
        Ok(python) => python,
        Err(why) => return skip(why),
    };
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new(python)
        .arg(root().join("tests/python/ensembles.py"))
        .arg(env!("CARGO_BIN_EXE_mdrun"))
        .arg(folder.path())
        .arg(name)
        .status()
        .unwrap();
    assert!(status.success(), "{name}: {status}; figures above");
}

#[test]
fn lammps_finds_the_same_densities() {
    compare("lammps");
}

#[test]
fn physical_validation_finds_the_ensemble() {
    compare("physical_validation");
}

#[test]
fn the_fluid_has_the_density_of_nists_simulations() {
    compare("literature");
}
