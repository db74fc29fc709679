//! Constant energy, for every engine.

use super::bodies;
use super::subjects::{argon, cluster};

/// Relative rounding of some hundred additions a step, for some hundred steps, in random directions.
const ROUNDING: f64 = 1e-13;

/// How near to the start the way back must lead (angstrom); rounding is 1e-15, the motion 1 A.
const BACK: f64 = 1e-8;

#[test]
fn argon_conserves_energy_to_second_order() {
    let mut subject = argon();
    subject.timestep *= 2.0;
    bodies::energy_fluctuation_falls_fourfold("argon", &subject, 500);
}

#[test]
fn argon_is_reversible() {
    bodies::reversed_velocities_lead_back("argon", &argon(), BACK);
}

#[test]
fn argon_conserves_momentum() {
    bodies::momenta_are_conserved("argon", &argon(), 500, ROUNDING);
}

#[test]
fn a_cluster_conserves_energy_and_momenta() {
    bodies::energy_fluctuation_falls_fourfold("cluster", &cluster(), 500);
    bodies::reversed_velocities_lead_back("cluster", &cluster(), BACK);
    bodies::momenta_are_conserved("cluster", &cluster(), 500, ROUNDING);
}
