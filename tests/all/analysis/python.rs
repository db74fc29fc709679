//! The same trajectories by MDAnalysis, pymbar and numpy (see `tests/python/analysis.py`).

use crate::support::python;

fn check(name: &str) {
    match python::environment() {
        Ok(python) => python::check(&python, "analysis.py", name),
        Err(why) => eprintln!("skipped: {why}"),
    }
}

#[test]
fn a_liquid_is_what_mdanalysis_finds() {
    check("water");
}

#[test]
fn a_molecule_is_what_mdanalysis_finds() {
    check("molecule");
}
