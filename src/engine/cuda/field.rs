//! The force field on a card: an engine at rest.
//!
//! It stands here and not in `forcefield`, since the kernels that find pairs and sum forces are the engine's.

use super::CudaEngine;
use crate::Result;
use crate::core::rng::Noise;
use crate::core::{Cell, Fields, Snapshot, System, Vec3};
use crate::cuda::Device;
use crate::engine::{Engine as _, Start};
use crate::forcefield::ForceField;
use crate::potential::device::DevicePotential;
use crate::potential::{About, Evaluation, Processor};

/// Skin (angstrom). Pairs are searched anew for every arrangement, so that none is needed: it keeps the range of the search
/// clear of the cutoff's rounding.
pub(super) const SKIN: f64 = 0.1;

/// What is taken of an arrangement.
pub(super) const FORCES: Fields = Fields {
    forces: true,
    ..Fields::NONE
};

/// A potential on a card, with the engine's kernels to find its pairs and to sum its forces.
///
/// An arrangement is a state that the engine is put into. Its pairs are searched anew, and the numbers are, bit for bit, those
/// that a run has there.
pub struct DeviceForceField<'p> {
    potential: Box<dyn DevicePotential + 'p>,
    system: System,
    index: usize,
    about: About,
    /// Once there was an arrangement to begin with. An engine has its periodic directions for life.
    engine: Option<CudaEngine>,
}

impl<'p> DeviceForceField<'p> {
    /// A force field for atoms of these species on CUDA device `index`. Memory on the card is taken with the first arrangement.
    ///
    /// # Errors
    /// There is no such device, or no compiler for it.
    pub fn new(
        potential: Box<dyn DevicePotential + 'p>,
        species: &[u8],
        index: usize,
    ) -> Result<Self> {
        let device = Device::open(index)?;
        let about = potential.about(Processor::Card {
            name: device.name.clone(),
            index: device.index,
        });
        let system = System {
            species: species.to_vec(),
            // No atom moves: any mass does.
            masses: vec![1.0; species.len()],
        };
        Ok(Self {
            potential,
            system,
            index,
            about,
            engine: None,
        })
    }

    /// The engine in an arrangement.
    fn engine_at(&mut self, cell: &Cell, positions: &[Vec3]) -> Result<&mut CudaEngine> {
        let rest = vec![Vec3::zeros(); positions.len()];
        let start = Start::new(self.system.clone(), cell.clone(), positions.to_vec(), rest);
        start.check()?;
        // The memory of one that does not fit is given back before another is made.
        let mut engine = self.engine.take();
        engine.take_if(|engine| engine.systems.members[0].cell.periodic() != cell.periodic());
        let engine = match engine {
            Some(mut engine) => {
                engine.restore(&state(cell.clone(), start))?;
                engine
            }
            None => {
                let noise = Noise::new(0);
                CudaEngine::new(start, self.potential.as_ref(), noise, SKIN, self.index)?
            }
        };
        Ok(self.engine.insert(engine))
    }
}

/// A start as a state to restore.
fn state(cell: Cell, start: Start) -> Snapshot {
    Snapshot {
        positions: start.positions,
        velocities: start.velocities,
        ..Snapshot::blank(start.step, 0.0, cell)
    }
}

impl ForceField for DeviceForceField<'_> {
    fn cutoff(&self) -> f64 {
        self.potential.cutoff()
    }

    fn evaluate(&mut self, cell: &Cell, positions: &[Vec3], out: &mut Evaluation) -> Result<()> {
        let found = self.engine_at(cell, positions)?.snapshot(FORCES)?;
        out.energy = found.observables.potential;
        out.strain_derivative = found.observables.strain_derivative;
        out.spread = found.observables.spread;
        out.forces = found.forces;
        Ok(())
    }

    fn pairs(&self) -> u64 {
        let engine = self.engine.as_ref();
        engine.map_or(0, |engine| engine.statistics().pairs)
    }

    fn about(&self) -> About {
        self.about.clone()
    }
}
