//! ASE's RATTLE on the same trained potential (`tests/python/rattle.py`).

use crate::support::python;

/// Ethanol with rigid bonds to hydrogen, by a run file and by `FixBondLengths` under `VelocityVerlet`.
#[test]
fn ethanol_goes_the_way_of_ases_rattle() {
    match python::environment() {
        Ok(python) => python::check(&python, "rattle.py", "rattle"),
        Err(why) => python::skip(why),
    }
}
