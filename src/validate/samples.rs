//! Samples of an ensemble: what is read off a run under its thermostat now and then.

use std::time::{Duration, Instant};

use super::{Course, Setup};
use crate::analysis::equilibrium;
use crate::core::observe::{self, Thermometer};
use crate::core::{Fields, Mat3, Snapshot, System, Vec3, elements};
use crate::dynamics::{Constraints, Dynamics};
use crate::engine::{Engine, Flags, Start};
use crate::units::FEMTOSECOND;
use crate::{Error, Result};

/// Time (internal) between two samples.
const EVERY: f64 = 10.0 * FEMTOSECOND;
/// Most samples of one state.
const MOST: usize = 20_000;

/// One moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Kinetic energy that counts (eV).
    pub kinetic: f64,
    /// Potential energy (eV).
    pub potential: f64,
    /// Volume (cubic angstrom), where the cell is periodic in all directions.
    pub volume: f64,
    /// Kinetic energy of each element (eV), about the centre of mass where its flight does not count.
    pub of_elements: Vec<f64>,
    /// Degrees of freedom of each element.
    pub freedoms: Vec<f64>,
}

/// Samples of one state, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    /// One number of each.
    pub fn each(&self, read: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.0.iter().map(read).collect()
    }

    /// Those in equilibrium: behind the latest start of it in potential energy, kinetic energy and volume.
    pub fn equilibrated(&self) -> Self {
        let columns = [
            self.each(|s| s.potential),
            self.each(|s| s.kinetic),
            self.each(|s| s.volume),
        ];
        let starts = columns.iter().filter_map(|c| equilibrium::find(c));
        let start = starts.map(|found| found.start).max().unwrap_or(0);
        Self(self.0[start..].to_vec())
    }
}

/// What reads samples of one system.
pub(super) struct SampleReader<'s> {
    system: &'s System,
    thermometer: Thermometer,
    /// Elements (atomic numbers).
    kinds: Vec<u8>,
    /// Whether the thermostat leaves the motion of the whole as it is, and that is at rest.
    rests: bool,
    /// Whether that holds for the rotation.
    rotates: bool,
    /// What takes degrees of freedom from atoms.
    constraints: &'s Constraints,
}

impl<'s> SampleReader<'s> {
    /// Of the system of a setup.
    pub fn new(setup: &'s Setup<'_>) -> Result<Self> {
        let system = &setup.start.system;
        let rests = setup.thermometer.held_mass.is_some();
        let periodic = setup.start.members.only()?.cell.is_periodic();
        let constraints = &setup.start.constraints;
        let free = setup.thermometer.degrees_of_freedom + constraints.count();
        let lost = (3 * system.len()).saturating_sub(free);
        Ok(Self {
            system,
            thermometer: setup.thermometer,
            kinds: elements::kinds(&system.species),
            rests,
            rotates: rests && !periodic && lost > 3,
            constraints,
        })
    }

    /// The elements, in the order of [`Sample::of_elements`].
    pub fn kinds(&self) -> &[u8] {
        &self.kinds
    }

    /// What a state with velocities shows.
    pub fn read(&self, state: &Snapshot) -> Sample {
        let o = &state.observables;
        let mass = self.system.total_mass();
        let flight = match self.rests {
            true => o.momentum / mass,
            false => Vec3::zeros(),
        };
        let tensors = self.rotates.then(|| self.turning(&state.positions));
        let mut of_elements = vec![0.0; self.kinds.len()];
        let mut freedoms = vec![0.0; self.kinds.len()];
        let taken = (self.constraints).taken(&self.system.masses, &state.positions);
        for (i, velocity) in state.velocities.iter().enumerate() {
            let own = self.system.masses[i];
            let kind = self.kinds.binary_search(&self.system.species[i]);
            let kind = kind.unwrap_or(0);
            of_elements[kind] += 0.5 * own * (velocity - flight).norm_squared();
            freedoms[kind] += 3.0 - taken[i];
            if self.rests {
                freedoms[kind] -= 3.0 * own / mass;
            }
            if let Some((centre, inverse)) = &tensors {
                let d = state.positions[i] - centre;
                let inertia = own * (Mat3::identity() * d.norm_squared() - d * d.transpose());
                freedoms[kind] -= (inverse * inertia).trace();
            }
        }
        Sample {
            kinetic: self.thermometer.kinetic(o),
            potential: o.potential,
            volume: state.cell.volume().unwrap_or(0.0),
            of_elements,
            freedoms,
        }
    }

    /// Centre of mass and inverse of the tensor of inertia.
    fn turning(&self, positions: &[Vec3]) -> (Vec3, Mat3) {
        let inertia = observe::inertia(self.system, positions);
        (
            observe::centre_of_mass(self.system, positions),
            observe::pseudo_inverse(inertia),
        )
    }
}

/// A run under a thermostat, of which samples are taken.
pub(super) struct EnsembleSampler<'s> {
    setup: &'s Setup<'s>,
    engine: Box<dyn Engine>,
    ensemble: Dynamics,
    samples: Samples,
    step: u64,
}

impl<'s> EnsembleSampler<'s> {
    /// Of an ensemble, from a start, with noise of its own.
    pub fn begin(
        setup: &'s Setup<'_>,
        ensemble: Dynamics,
        (start, replica): (Start, u32),
    ) -> Result<Self> {
        Ok(Self {
            step: start.step,
            engine: setup.workshop.engine(start, replica)?,
            setup,
            ensemble,
            samples: Samples::default(),
        })
    }

    /// Takes samples for so long.
    ///
    /// # Errors
    /// The device failed, or a number ceased to be finite.
    pub fn sample(
        &mut self,
        reader: &SampleReader<'_>,
        time: Duration,
        course: &Course<'_>,
    ) -> Result<()> {
        let timestep = self.setup.timestep;
        let program = self.setup.workshop.ensemble(&self.ensemble, timestep);
        let every = (EVERY / timestep).round().max(1.0) as u64;
        let began = Instant::now();
        let want = Fields::PHASE;
        while began.elapsed() < time && self.samples.0.len() < MOST && !course.is_interrupted() {
            let outcome = self.engine.run(&program, self.step..self.step + every)?;
            self.step += every;
            if outcome.flags.intersects(Flags::FATAL) {
                return Err(Error::run(format!(
                    "{} steps under the thermostat: a number ceased to be finite, or the cell broke down",
                    self.step
                )));
            }
            let state = self.engine.snapshot(want)?;
            self.samples.0.push(reader.read(&state));
        }
        Ok(())
    }

    /// The samples in equilibrium.
    pub fn samples(&self) -> Samples {
        self.samples.equilibrated()
    }

    /// Its engine.
    pub fn engine(&mut self) -> &mut dyn Engine {
        self.engine.as_mut()
    }

    /// A start at the present state.
    pub fn start(&mut self) -> Result<Start> {
        let state = self.engine.snapshot(Fields::PHASE)?;
        let system = self.setup.start.system.clone();
        Ok(Start::new(
            system,
            state.cell,
            state.positions,
            state.velocities,
        ))
    }
}
