//! Runs at constant temperature and pressure against other programs: `tests/python/ensembles.py` makes the runs,
//! compares, and prints each figure with its error.

use std::process::Command;

use crate::support::python;

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
        return python::skip(
            "there is no LAMMPS (lmp) on the PATH; on Debian or Ubuntu: apt-get install lammps",
        );
    }
    let python = match python::environment() {
        Ok(python) => python,
        Err(why) => return python::skip(why),
    };
    python::check(&python, "ensembles.py", name);
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
fn physical_validation_finds_the_ensembles_of_chains() {
    compare("chains");
}

#[test]
fn the_fluid_has_the_density_of_nists_simulations() {
    compare("literature");
}
