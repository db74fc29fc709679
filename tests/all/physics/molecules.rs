//! Molecules under the trained potential that is shipped, for every engine.

use std::sync::OnceLock;

use mdrun::core::System;
use mdrun::formats;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::{self, Spec, Weights, reference};
use mdrun::potential::{Potential, Precision};

use super::bodies::{self, Sampling};
use super::subjects::{Build, FS, KB, Subject, host};
use crate::support::root;

/// The shipped potential.
pub fn model() -> &'static (Spec, Weights) {
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

/// The Burn module in f64 on the CPU.
fn portable(system: &System) -> Build {
    let species = system.species.clone();
    host(move || {
        let (spec, weights) = model();
        let device = reference::BurnDevice::Cpu;
        let potential = reference::potential(spec, weights, &species, Precision::F64, device);
        potential.expect("the model knows the elements")
    })
}

/// A structure of `configs/structures` at 300 K, run with a step of half a femtosecond.
fn subject(name: &str, engine: Make) -> Subject {
    let path = root().join("configs/structures").join(name);
    let found = formats::read(&path).expect("the structure is shipped");
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

/// 64 waters, by the fused engine in f64.
pub fn water() -> Subject {
    subject("water64.xyz", fused)
}

/// The engine on the first GPU, in f32.
#[cfg(feature = "cuda")]
fn resident(_system: &System) -> Build {
    use mdrun::engine::cuda::CudaEngine;
    use mdrun::potential::painn::cuda::CudaPainn;
    Box::new(|start, noise, skin| {
        let (spec, weights) = model();
        let potential = CudaPainn::new(spec, weights);
        let engine = CudaEngine::new(start, &potential, noise, skin, 0);
        Box::new(engine.expect("the card takes the molecule"))
    })
}

/// Engines that run a molecule in f64.
const ENGINES: [(&str, Make); 2] = [("fused", fused), ("burn", portable)];

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
        settle: 500,
        samples,
        every: 20,
    };
    bodies::kinetic_energy_is_canonical(name, &ethanol, &plan);
}

#[test]
fn ethanol_has_the_kinetic_energy_of_its_temperature() {
    sampled("fused", fused, 400);
}

/// The same bodies on a GPU, whose network is in f32.
#[cfg(feature = "cuda")]
mod on_a_gpu {
    use super::super::bodies;
    use super::{resident, sampled, subject};
    use crate::cuda::gpu;

    /// How near to the start the way back must lead (angstrom). Positions are in f64, but those of the way back, off by
    /// rounding, are now and then rounded to another f32 on their way into the network: a force off by some
    /// 1e-6 eV/A moves a hydrogen by 2e-9 A in a step of 0.5 fs, a hundred such steps add up to 2e-7 A, and the
    /// stretching of bonds multiplies that by less than 50.
    const BACK: f64 = 1e-5;
    /// Forces are those between pairs, each exactly minus the other, so that momentum is conserved to rounding in f64. Torques
    /// cancel as far as the network is invariant: to some 1e-6 of the forces, for 300 steps.
    const INVARIANCE: f64 = 1e-5;

    #[test]
    fn ethanol_conserves_energy_to_second_order() {
        if gpu() {
            let ethanol = subject("ethanol.xyz", resident);
            bodies::energy_fluctuation_falls_fourfold("cuda", &ethanol, 400);
        }
    }

    #[test]
    fn ethanol_is_reversible() {
        if gpu() {
            let ethanol = subject("ethanol.xyz", resident);
            bodies::reversed_velocities_lead_back("cuda", &ethanol, BACK);
        }
    }

    #[test]
    fn ethanol_conserves_its_momenta() {
        if gpu() {
            let ethanol = subject("ethanol.xyz", resident);
            bodies::momenta_are_conserved("cuda", &ethanol, 300, INVARIANCE);
        }
    }

    #[test]
    fn ethanol_has_the_kinetic_energy_of_its_temperature() {
        if gpu() {
            sampled("cuda", resident, 400);
        }
    }
}

/// What takes minutes.
mod validate {
    use super::super::bodies;
    use super::super::subjects::FS;
    use super::{ENGINES, fused, sampled, subject};

    /// Whether to go on; says that it does not, otherwise.
    fn wanted(what: &str) -> bool {
        let wanted = std::env::var_os("MDRUN_VALIDATE").is_some();
        if !wanted {
            eprintln!("skipped: set MDRUN_VALIDATE=1 to {what}");
        }
        wanted
    }

    #[test]
    fn ethanol_has_the_kinetic_energy_of_its_temperature() {
        if wanted("sample ethanol for long") {
            sampled("fused", fused, 5000);
            sampled(ENGINES[1].0, ENGINES[1].1, 1000);
        }
    }

    /// The slope of the energy over 10 ps: bonds vibrate through a thousand periods.
    #[test]
    fn ethanol_does_not_drift() {
        /// meV / atom / ps.
        const DRIFT: f64 = 0.01;
        if wanted("run ethanol for 10 ps") {
            for (name, engine) in ENGINES {
                let slope = bodies::slope_of_the_energy(&subject("ethanol.xyz", engine), 20_000);
                println!("{name}: {:+.2e} meV/atom/ps", 1e3 * slope);
                assert!((1e3 * slope).abs() < DRIFT);
            }
        }
    }

    /// A periodic box of 64 molecules of water, 12.42 A wide, under the fused engine.
    #[test]
    fn water_conserves_energy_and_momentum_and_is_reversible() {
        if wanted("run a box of water") {
            let mut water = super::water();
            bodies::energy_fluctuation_falls_fourfold("water", &water, 100);
            bodies::reversed_velocities_lead_back("water", &water, 1e-8);
            water.timestep = 0.25 * FS;
            bodies::momenta_are_conserved("water", &water, 100, 1e-12);
        }
    }
}
