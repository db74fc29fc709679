//! Molecules under the trained potential that is shipped, for every engine.

use std::sync::OnceLock;

use mdrun::config::structure;
use mdrun::core::System;
use mdrun::engine::cpu::FusedPainn;
use mdrun::potential::painn::{self, Spec, Weights};
use mdrun::potential::{Potential, Precision};

use super::bodies::{self, Sampling};
use super::subjects::{Build, FS, KB, Subject, host};
use crate::support::root;

/// The shipped potential.
fn model() -> &'static (Spec, Weights) {
    static MODEL: OnceLock<(Spec, Weights)> = OnceLock::new();
    MODEL.get_or_init(|| {
        let name = "models/painn_hcno_gfn2.safetensors";
        let bytes = std::fs::read(root().join(name)).expect("the model is shipped");
        painn::import::import(&bytes, name).expect("the model is sound")
    })
}

/// The fused engine in f64 on one thread.
fn fused(system: &System) -> Build {
    let species = system.species.clone();
    host(move || -> Box<dyn Potential> {
        let (spec, weights) = model();
        let potential = FusedPainn::new(spec, weights, &species, Precision::F64, 1);
        Box::new(potential.expect("the model knows the elements"))
    })
}

/// A structure of `configs/structures` at 300 K, run with a step of half a femtosecond.
fn subject(name: &str, engine: Make) -> Subject {
    let path = root().join("configs/structures").join(name);
    let found = structure::read(&path).expect("the structure is shipped");
    let system = found.system();
    Subject {
        build: engine(&system),
        system,
        cell: found.cell().expect("the cell is sound"),
        positions: found.positions,
        timestep: 0.5 * FS,
        kt: 300.0 * KB,
    }
}

/// Makes engines for a system.
type Make = fn(&System) -> Build;

/// Engines that run a molecule in f64.
const ENGINES: [(&str, Make); 1] = [("fused", fused)];

/// Rounding of the forces of a network in f64, relative, over some hundred steps: forces of all atoms
/// add up to zero but for what rounding leaves.
const ROUNDING: f64 = 1e-13;

#[test]
fn ethanol_conserves_energy_to_second_order() {
    for (name, engine) in ENGINES {
        let ethanol = subject("ethanol.xyz", engine);
        bodies::energy_fluctuation_falls_fourfold(name, &ethanol, 400);
    }
}

#[test]
fn ethanol_is_reversible() {
    for (name, engine) in ENGINES {
        bodies::reversed_velocities_lead_back(name, &subject("ethanol.xyz", engine), 1e-8);
    }
}

#[test]
fn ethanol_conserves_its_momenta() {
    for (name, engine) in ENGINES {
        bodies::momenta_are_conserved(name, &subject("ethanol.xyz", engine), 300, ROUNDING);
    }
}

/// The step is short, since the kinetic energy of a harmonic mode falls short of kT / 2 by a part
/// (omega t)^2 / 4: 0.5 % of the stretching of O-H at 0.2 fs, a tenth of that of the whole.
fn sampled(name: &str, engine: Make, samples: u64) {
    let mut ethanol = subject("ethanol.xyz", engine);
    ethanol.timestep = 0.2 * FS;
    let plan = Sampling {
        friction: 1.0 / (4.0 * FS),
        settle: 2000,
        samples,
        every: 25,
    };
    bodies::kinetic_energy_is_canonical(name, &ethanol, &plan);
}

#[test]
fn ethanol_has_the_kinetic_energy_of_its_temperature() {
    for (name, engine) in ENGINES {
        sampled(name, engine, 400);
    }
}

/// The same, longer.
mod validate {
    use super::{ENGINES, sampled};

    #[test]
    fn ethanol_has_the_kinetic_energy_of_its_temperature() {
        if std::env::var_os("MDRUN_VALIDATE").is_none() {
            eprintln!("skipped: set MDRUN_VALIDATE=1 to sample ethanol for long");
            return;
        }
        for (name, engine) in ENGINES {
            sampled(name, engine, 20_000);
        }
    }
}
