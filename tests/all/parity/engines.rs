//! The ways to run PaiNN that are tested: each test runs on all of them, or on all that take pairs from outside.

use std::sync::Once;

use mdrun::Result;
use mdrun::forcefield::{ForceField, HostForceField};
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
    /// `None` of the engine that finds its pairs on a card.
    make: Option<Make>,
}

const BOTH: &[Precision] = &[Precision::F32, Precision::F64];

/// All there are on this machine that are given their pairs.
pub fn engines() -> Vec<Engine> {
    let burn_cpu: Make = |s, w, z, p| reference::potential(s, w, z, p, BurnDevice::Cpu);
    let fused_cpu: Make = |s, w, z, p| Ok(Box::new(FusedPainn::new(s, w, z, p, 2)?));
    let mut all = vec![
        Engine {
            name: "burn on the CPU",
            precisions: BOTH,
            make: Some(burn_cpu),
        },
        Engine {
            name: "fused on the CPU",
            precisions: BOTH,
            make: Some(fused_cpu),
        },
    ];
    match reference::cuda_device(0) {
        Ok(_) => all.push(Engine {
            name: "burn on CUDA",
            precisions: &[Precision::F32],
            make: Some(|s, w, z, p| reference::potential(s, w, z, p, BurnDevice::Cuda(0))),
        }),
        Err(reason) => NO_CUDA.call_once(|| println!("skipped on CUDA: {reason}")),
    }
    all
}

/// All there are on this machine.
pub fn force_fields() -> Vec<Engine> {
    let mut all = engines();
    #[cfg(feature = "cuda")]
    if crate::cuda::gpu() {
        all.push(Engine {
            name: "fused on CUDA",
            precisions: &[Precision::F32],
            make: None,
        });
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
    /// Whether it is the one that finds its pairs on a card.
    pub fn is_on_a_card(&self) -> bool {
        self.make.is_none()
    }

    /// A potential of this engine, which must be one that is given its pairs.
    #[track_caller]
    pub fn make(
        &self,
        model: &(Spec, Weights),
        species: &[u8],
        precision: Precision,
    ) -> Box<dyn Potential> {
        let make = self.make.expect("it is given its pairs");
        make(&model.0, &model.1, species, precision).unwrap()
    }

    /// A force field of this engine.
    #[track_caller]
    pub fn field<'m>(
        &self,
        model: &'m (Spec, Weights),
        species: &[u8],
        precision: Precision,
    ) -> Box<dyn ForceField + 'm> {
        if !self.is_on_a_card() {
            let potential = self.make(model, species, precision);
            return Box::new(HostForceField::new(potential, SKIN));
        }
        on_a_card(model, species)
    }
}

/// Skin (angstrom) of the lists of arrangements that are evaluated once.
const SKIN: f64 = 0.5;

#[cfg(feature = "cuda")]
fn on_a_card<'m>(model: &'m (Spec, Weights), species: &[u8]) -> Box<dyn ForceField + 'm> {
    let potential = mdrun::potential::painn::cuda::CudaPainn::new(&model.0, &model.1);
    let field = mdrun::engine::cuda::DeviceForceField::new(Box::new(potential), species, 0);
    Box::new(field.unwrap())
}

#[cfg(not(feature = "cuda"))]
fn on_a_card<'m>(_: &'m (Spec, Weights), _: &[u8]) -> Box<dyn ForceField + 'm> {
    unreachable!("there is no such engine without CUDA")
}
