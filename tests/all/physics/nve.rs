//! Constant energy, for every calculator of argon.

use super::bodies;
use super::subjects::{argon, cluster};
use crate::support::calculators::{Calculator, Numbers, for_every_calculator};

for_every_calculator!([Argon]:
    argon_conserves_energy_to_second_order,
    argon_is_reversible,
    argon_conserves_momentum,
    a_cluster_conserves_energy_and_momenta,
    energy_does_not_drift,
);

/// Relative rounding of some hundred additions a step, for some hundred steps, in random directions. Forces are those between
/// pairs, each exactly minus the other.
const ROUNDING: f64 = 1e-13;

/// How near to the start the way back must lead (angstrom), where the motion is 1 A.
pub fn back(numbers: Numbers) -> f64 {
    match numbers {
        // Rounding is 1e-15.
        Numbers::Double => 1e-8,
        // A force off by 1e-8 eV/A, now here and now there, moves an argon atom by 4e-12 A in a step of 4 fs, 200 steps add up
        // to 1e-9 A, and collisions multiply that by less than 100.
        Numbers::RoundedPairs | Numbers::Single => 1e-6,
    }
}

fn argon_conserves_energy_to_second_order(calculator: &Calculator) {
    let mut subject = argon().by(calculator);
    subject.timestep *= 2.0;
    bodies::energy_fluctuation_falls_fourfold("argon", &subject, 500);
}

fn argon_is_reversible(calculator: &Calculator) {
    let subject = argon().by(calculator);
    bodies::reversed_velocities_lead_back("argon", &subject, back(calculator.numbers));
}

fn argon_conserves_momentum(calculator: &Calculator) {
    bodies::momenta_are_conserved("argon", &argon().by(calculator), 500, ROUNDING);
}

fn a_cluster_conserves_energy_and_momenta(calculator: &Calculator) {
    // Directions rounded to f32 make torques of 2^-24 of force and distance: forces change a velocity by some 5 % of it in a
    // step, over 500 steps in random directions by 7e-8 in all.
    let torque = match calculator.numbers {
        Numbers::Double => ROUNDING,
        Numbers::RoundedPairs | Numbers::Single => 1e-7,
    };
    let subject = cluster().by(calculator);
    bodies::energy_fluctuation_falls_fourfold("cluster", &subject, 500);
    bodies::reversed_velocities_lead_back("cluster", &subject, back(calculator.numbers));
    bodies::momenta_are_conserved("cluster", &subject, 500, torque);
}

fn energy_does_not_drift(calculator: &Calculator) {
    /// meV / ps / atom, as for Langevin dynamics.
    const DRIFT: f64 = 2e-4;
    let slope = bodies::slope_of_the_energy(&argon().by(calculator), 5000);
    println!("{:+.2e} meV/atom/ps", 1e3 * slope);
    assert!((1e3 * slope).abs() < DRIFT);
}
