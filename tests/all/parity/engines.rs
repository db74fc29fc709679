//! The ways to run PaiNN that are tested: each test runs on all of them.

use std::sync::Once;

use mdrun::Result;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::reference::{self, BurnDevice};
use mdrun::potential::painn::{Spec, Weights};
use mdrun::potential::{Potential, Precision};

/// Makes a potential of a model for atoms of some species.
type Make = fn(&Spec, &Weights, &[u8], Precision) -> Result<Box<dyn Potential>>;

/// One way to run it.
pub struct Engine {
    /// For messages.
    pub name: &'static str,
    /// In which numbers it can compute.
    pub precisions: &'static [Precision],
    make: Make,
}

const BOTH: &[Precision] = &[Precision::F32, Precision::F64];

/// All engines there are on this machine.
pub fn engines() -> Vec<Engine> {
    let burn_cpu: Make = |s, w, z, p| reference::potential(s, w, z, p, BurnDevice::Cpu);
    let fused_cpu: Make = |s, w, z, p| Ok(Box::new(FusedPainn::new(s, w, z, p, 2)?));
    let mut all = vec![
        Engine {
            name: "burn on the CPU",
            precisions: BOTH,
            make: burn_cpu,
        },
        Engine {
            name: "fused on the CPU",
            precisions: BOTH,
            make: fused_cpu,
        },
    ];
    match reference::cuda_device(0) {
        Ok(_) => all.push(Engine {
            name: "burn on CUDA",
            precisions: &[Precision::F32],
            make: |s, w, z, p| reference::potential(s, w, z, p, BurnDevice::Cuda(0)),
        }),
        Err(reason) => NO_CUDA.call_once(|| println!("skipped on CUDA: {reason}")),
    }
    all
}

/// Says once why CUDA is left out.
static NO_CUDA: Once = Once::new();

/// Those that compute in f64.
pub fn double() -> Vec<Engine> {
    let mut all = engines();
    all.retain(|e| e.precisions.contains(&Precision::F64));
    assert!(!all.is_empty());
    all
}

impl Engine {
    /// A potential of this engine.
    #[track_caller]
    pub fn make(
        &self,
        model: &(Spec, Weights),
        species: &[u8],
        precision: Precision,
    ) -> Box<dyn Potential> {
        (self.make)(&model.0, &model.1, species, precision).unwrap()
    }
}
