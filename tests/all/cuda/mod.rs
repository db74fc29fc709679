//! The CUDA engine: kernels compile everywhere NVRTC is found; what needs a GPU is skipped without one.
//!
//! On a machine that has no reference data where they lay at compile time, MDRUN_REFERENCE names their folder.

mod audit;
mod batch;
mod bench;
mod compile;
mod dynamics;
pub mod lennard_jones;
mod limits;
mod naive;
mod parity;
mod room;
mod snapshots;

use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Mat3, System, Vec3};
use mdrun::cuda::{Device, devices};
use mdrun::engine::Start;
use mdrun::engine::cuda::CudaEngine;
use mdrun::potential::painn::cuda::{Choice, CudaPainn};
use mdrun::potential::painn::{RadialBasis, Spec, Weights};

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
        CudaEngine::new(self.start(), &potential, Noise::new(7, 0), skin, 0).unwrap()
    }

    /// Choices of kernels for the first GPU among which are all kinds that a model allows.
    fn choices(&self, spec: &Spec, weights: &Weights) -> Vec<Choice> {
        let card = Device::open(0).unwrap().card;
        Choice::every(card, spec, weights, self.positions.len())
    }
}

/// Numbers in \[0, 1\), the same ever again.
struct Uniform(u32);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 += 1;
        let bits = mdrun::core::rng::philox([self.0, 0, 0, 0], [11, 13]);
        f64::from(bits[0]) / 4_294_967_296.0
    }

    fn vector(&mut self) -> Vec3 {
        Vec3::new(self.next(), self.next(), self.next())
    }
}

const ELEMENTS: [u8; 4] = [1, 6, 7, 8];

/// Atoms at random in a cell, none nearer than 0.9 angstrom to another or to an image of any atom.
fn random_scene(count: usize, vectors: Mat3, periodic: [bool; 3], seed: u32) -> Scene {
    const NEAREST: f64 = 0.9;
    let cell = Cell::new(vectors, periodic).unwrap();
    let mut uniform = Uniform(seed << 16);
    let mut positions: Vec<Vec3> = Vec::new();
    let shifts: Vec<Vec3> = (0..27)
        .map(|n| [n % 3 - 1, n / 3 % 3 - 1, n / 9 - 1])
        .filter(|image| (0..3).all(|k| periodic[k] || image[k] == 0))
        .map(|image| cell.shift(image))
        .collect();
    for _ in 0..200_000 {
        if positions.len() == count {
            break;
        }
        let r = cell.cartesian(&uniform.vector());
        let far = |other: &Vec3| shifts.iter().all(|s| (other + s - r).norm() > NEAREST);
        if positions.iter().all(far) {
            positions.push(r);
        }
    }
    assert_eq!(positions.len(), count, "the cell has room for all atoms");
    let species: Vec<u8> = (0..count)
        .map(|_| ELEMENTS[(uniform.next() * 4.0) as usize])
        .collect();
    let masses = species
        .iter()
        .map(|&z| f64::from(z) * 2.0 - f64::from(z == 1))
        .collect();
    let velocities = (0..count)
        .map(|_| (uniform.vector() - Vec3::repeat(0.5)) * 0.02)
        .collect();
    Scene {
        system: System { species, masses },
        cell,
        positions,
        velocities,
    }
}

/// A model of random weights. Filters are scaled down, so that sums over some twenty neighbours grow little from layer to
/// layer, as in a trained model: otherwise forces of 1e5 eV/A result, and with them an f32 error to match.
fn random_model(features: usize, layers: usize, basis: RadialBasis) -> (Spec, Weights) {
    const FILTER: f64 = 0.2;
    let spec = Spec::new(features, layers, basis, 5.0, &ELEMENTS);
    let mut weights = Weights::random(&spec, (features * 10 + layers) as u32);
    for layer in &mut weights.layers {
        let numbers = layer.filter.weight.iter_mut().chain(&mut layer.filter.bias);
        numbers.for_each(|x| *x *= FILTER);
    }
    (spec, weights)
}
