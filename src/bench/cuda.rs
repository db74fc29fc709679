//! What is measured on a GPU: the engine that lives there.

use super::{FixedPairs, Job, Workshop};
use crate::Result;
use crate::assemble::{self, Residence};
use crate::core::rng::Noise;
use crate::cuda::Device;
use crate::engine::Engine;
use crate::engine::cuda::CudaEngine;

/// Phase space, pairs and network in the memory of the GPU of this index.
pub struct CudaWorkshop(pub usize);

impl CudaWorkshop {
    fn make(&self, job: &Job) -> Result<CudaEngine> {
        let at = Residence {
            index: self.0,
            precision: job.precision,
        };
        assemble::cuda_engine(job.start.clone(), job.model, Noise::new(0), job.skin, at)
    }
}

/// Memory (bytes) that is free on the GPU of this index.
pub(super) fn free(index: usize) -> Option<u64> {
    let [free, _] = Device::open(index)
        .and_then(|device| device.memory())
        .ok()?;
    Some(free as u64)
}

/// Evaluations between two waits for the card, as many as MD takes steps between two looks at its flags.
const ROW: u32 = 20;

/// Evaluations where the atoms are.
struct Resident(CudaEngine);

impl FixedPairs for Resident {
    fn call(&mut self) -> Result<()> {
        self.0.evaluate_in_a_row(ROW)
    }

    fn in_a_row(&self) -> usize {
        ROW as usize
    }

    fn pairs(&self) -> u64 {
        self.0.statistics().pairs
    }

    fn memory(&self) -> Option<u64> {
        Some(self.0.memory() as u64)
    }
}

impl Workshop for CudaWorkshop {
    fn skin(&self, skin: f64, atoms: usize) -> f64 {
        assemble::cuda_skin(skin, atoms)
    }

    fn fixed_pairs(&self, job: &Job) -> Result<Box<dyn FixedPairs>> {
        Ok(Box::new(Resident(self.make(job)?)))
    }

    fn engine(&self, job: &Job) -> Result<Box<dyn Engine>> {
        Ok(Box::new(self.make(job)?))
    }
}
