//! The CUDA engine: kernels compile everywhere NVRTC is found; what needs a GPU is skipped without one.
//!
//! On a machine that has no reference data where they lay at compile time, MDRUN_REFERENCE names their folder.

mod audit;
mod batch;
mod bench;
mod committee;
mod compile;
mod dynamics;
mod frozen;
mod groups;
pub mod lennard_jones;
mod limits;
mod minimize;
mod networks;
mod numbers;
mod parity;
mod room;
mod shapes;
mod snapshots;

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Mat3, System, Vec3};
use mdrun::cuda::{Device, devices};
use mdrun::engine::Start;
use mdrun::engine::cuda::{CudaEngine, Making};
use mdrun::potential::painn::cuda::{CardNumbers, Choice, CudaPainn};
use mdrun::potential::painn::{Spec, Weights};

use crate::support::atoms::{Atoms, Random};

/// Whether there is a GPU; prints the reason where a test is skipped for want of one, and fails where
/// MDRUN_REQUIRE_GPU says that there is to be one.
pub fn gpu() -> bool {
    match devices() {
        Ok(_) => true,
        Err(reason) => {
            assert!(std::env::var_os("MDRUN_REQUIRE_GPU").is_none(), "{reason}");
            eprintln!("skipped: {reason}");
            false
        }
    }
}

/// An engine that racecheck may watch.
const WATCHED: Making = Making {
    as_member: false,
    watched: true,
};

/// The atoms of one test.
#[derive(Clone)]
struct Scene {
    system: System,
    cell: Cell,
    positions: Vec<Vec3>,
    velocities: Vec<Vec3>,
}

impl Scene {
    fn start(&self) -> Start {
        Start::new(
            self.system.clone(),
            self.cell.clone(),
            self.positions.clone(),
            self.velocities.clone(),
        )
    }

    /// An engine on the first GPU.
    fn engine(&self, spec: &Spec, weights: &Weights, skin: f64) -> CudaEngine {
        self.engine_of(CudaPainn::new(spec, weights), skin)
    }

    fn engine_of(&self, potential: CudaPainn<'_>, skin: f64) -> CudaEngine {
        CudaEngine::new(self.start(), &potential, Noise::new(7), skin, 0).unwrap()
    }

    /// Choices of kernels for the first GPU among which are all kinds that a model allows.
    fn choices(&self, spec: &Spec, weights: &Weights) -> Vec<Choice> {
        self.choices_in(CardNumbers::Single, spec, weights)
    }

    /// The same in other numbers.
    fn choices_in(&self, numbers: CardNumbers, spec: &Spec, weights: &Weights) -> Vec<Choice> {
        let card = Device::open(0).unwrap().card;
        Choice::every(card, spec, weights, self.positions.len(), numbers)
    }
}

/// Atoms at random in a cell, each with a velocity.
fn random_scene(count: usize, vectors: Mat3, periodic: [bool; 3], seed: u32) -> Scene {
    let cell = Cell::new(vectors, periodic).unwrap();
    let mut random = Random::new(seed);
    let atoms = Atoms::random(count, cell, &mut random);
    let velocities = (0..count).map(|_| 0.01 * random.vector()).collect();
    let masses = (atoms.species.iter())
        .map(|&z| f64::from(z) * 2.0 - f64::from(z == 1))
        .collect();
    Scene {
        system: System {
            species: atoms.species,
            masses,
        },
        cell: atoms.cell,
        positions: atoms.positions,
        velocities,
    }
}
