//! Molecules under trained potentials, for every calculator of molecules.

use mdrun::formats;

use super::bodies::{self, Sampling};
use super::subjects::{FS, KB, Subject};
use crate::support::calculators::{Calculator, Numbers, for_every_calculator};
use crate::support::root;

for_every_calculator!([Molecules]:
    ethanol_conserves_energy_to_second_order,
    ethanol_is_reversible,
    ethanol_conserves_its_momenta,
    ethanol_has_the_kinetic_energy_of_its_temperature,
    ethanol_samples_for_long,
    ethanol_does_not_drift,
    water_conserves_energy_and_momentum_and_is_reversible,
);

/// A structure of `configs/structures` at 300 K, run with a step of half a femtosecond.
fn subject(name: &str, calculator: &Calculator) -> Subject {
    let path = root().join("configs/structures").join(name);
    let found = formats::read(&path).expect("the structure is shipped");
    let system = found.system();
    Subject {
        build: calculator.engines(&system),
        system,
        cell: found.cell().expect("the cell is sound"),
        positions: found.positions,
        timestep: 0.5 * FS,
        kt: 300.0 * KB,
    }
}

/// How near to the start the way back must lead (angstrom). Positions are in f64, but where a network is in f32 those of the way
/// back, off by rounding, are now and then rounded to another f32 on their way into it: a force off by some 1e-6 eV/A moves a
/// hydrogen by 2e-9 A in a step of 0.5 fs, a hundred such steps add up to 2e-7 A, and the stretching of bonds multiplies that by
/// less than 50.
fn back(numbers: Numbers) -> f64 {
    match numbers {
        Numbers::Double => 1e-8,
        Numbers::RoundedPairs | Numbers::Single => 1e-5,
    }
}

/// Relative change of momenta over some hundred steps. In f64 forces of all atoms add up to zero but for what rounding leaves. In
/// f32 torques cancel as far as the network is invariant: to some 1e-6 of the forces.
fn invariance(numbers: Numbers) -> f64 {
    match numbers {
        Numbers::Double => 1e-13,
        Numbers::RoundedPairs | Numbers::Single => 1e-5,
    }
}

fn ethanol_conserves_energy_to_second_order(calculator: &Calculator) {
    let ethanol = subject("ethanol.xyz", calculator);
    bodies::energy_fluctuation_falls_fourfold("ethanol", &ethanol, 400);
}

fn ethanol_is_reversible(calculator: &Calculator) {
    let ethanol = subject("ethanol.xyz", calculator);
    bodies::reversed_velocities_lead_back("ethanol", &ethanol, back(calculator.numbers));
}

fn ethanol_conserves_its_momenta(calculator: &Calculator) {
    let ethanol = subject("ethanol.xyz", calculator);
    bodies::momenta_are_conserved("ethanol", &ethanol, 300, invariance(calculator.numbers));
}

/// The step is short, since the kinetic energy of a harmonic mode falls short of kT / 2 by a part
/// (omega t)^2 / 4: 0.5 % of the stretching of O-H at 0.2 fs, a tenth of that of the whole.
fn sampled(calculator: &Calculator, samples: u64) {
    let mut ethanol = subject("ethanol.xyz", calculator);
    ethanol.timestep = 0.2 * FS;
    let plan = Sampling {
        friction: 1.0 / (4.0 * FS),
        settle: 500,
        samples,
        every: 20,
    };
    bodies::kinetic_energy_is_canonical("ethanol", &ethanol, &plan);
}

fn ethanol_has_the_kinetic_energy_of_its_temperature(calculator: &Calculator) {
    if !calculator.slow {
        sampled(calculator, 400);
    }
}

/// Whether to take minutes; says that it is skipped, otherwise.
fn wanted(what: &str) -> bool {
    let wanted = std::env::var_os("MDRUN_VALIDATE").is_some();
    if !wanted {
        eprintln!("skipped: set MDRUN_VALIDATE=1 to {what}");
    }
    wanted
}

/// Whether what it leaves of conserved quantities is the integrator's alone.
fn is_exact(calculator: &Calculator) -> bool {
    calculator.numbers == Numbers::Double
}

fn ethanol_samples_for_long(calculator: &Calculator) {
    if is_exact(calculator) && wanted("sample ethanol for long") {
        sampled(calculator, if calculator.slow { 1000 } else { 5000 });
    }
}

/// The slope of the energy over 10 ps: bonds vibrate through a thousand periods.
fn ethanol_does_not_drift(calculator: &Calculator) {
    /// meV / atom / ps.
    const DRIFT: f64 = 0.01;
    if is_exact(calculator) && wanted("run ethanol for 10 ps") {
        let slope = bodies::slope_of_the_energy(&subject("ethanol.xyz", calculator), 20_000);
        println!("{:+.2e} meV/atom/ps", 1e3 * slope);
        assert!((1e3 * slope).abs() < DRIFT);
    }
}

/// A periodic box of 64 molecules of water, 12.42 A wide.
fn water_conserves_energy_and_momentum_and_is_reversible(calculator: &Calculator) {
    if is_exact(calculator) && !calculator.slow && wanted("run a box of water") {
        let mut water = subject("water64.xyz", calculator);
        bodies::energy_fluctuation_falls_fourfold("water", &water, 100);
        bodies::reversed_velocities_lead_back("water", &water, back(calculator.numbers));
        water.timestep = 0.25 * FS;
        // More atoms: ten times the rounding.
        let tolerance = 10.0 * invariance(calculator.numbers);
        bodies::momenta_are_conserved("water", &water, 100, tolerance);
    }
}
