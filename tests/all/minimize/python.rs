//! ASE's minimisers on the same potential (`tests/python/minima.py`).

use crate::support::python;

/// Runs a check of the script, where there is a Python with ASE.
fn check(name: &str) {
    match python::environment() {
        Ok(python) => python::check(&python, "minima.py", name),
        Err(why) => python::skip(why),
    }
}

#[test]
fn ases_bfgs_finds_the_same_minima_of_small_molecules() {
    check("small");
}

#[test]
fn ases_bfgs_finds_the_same_minimum_of_what_is_held() {
    check("held");
}

/// Runs a check that takes minutes, where it is asked for.
fn check_at_length(name: &str) {
    match std::env::var_os("MDRUN_VALIDATE") {
        Some(_) => check(name),
        None => eprintln!("skipped: set MDRUN_VALIDATE=1 to run it (minutes)"),
    }
}

#[test]
fn ases_bfgs_finds_the_same_minima_of_ten_molecules() {
    check_at_length("molecules");
}

#[test]
fn ases_bfgs_finds_the_same_crystals_with_their_cells() {
    check_at_length("crystals");
}
