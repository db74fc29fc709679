//! Weights in 8 bits, found from a short trajectory of the system that they are for.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice, Plan, VelocityPlan};
use crate::core::rng::Noise;
use crate::core::velocities::{self, Temperature};
use crate::core::{Cell, Fields, System, Vec3};
use crate::dynamics;
use crate::engine::{Engine as _, Flags, HostEngine, Start};
use crate::neighbors::Pairs;
use crate::potential::Precision;
use crate::potential::painn::cpu::FusedPainn;
use crate::potential::painn::{InputMoments, Int8Weights, Spec, Weights};
use crate::units::{FEMTOSECOND, KELVIN};

use super::{Model, ModelKind};

/// Temperature (eV) where none is said.
const USUAL_KT: f64 = 300.0 * KELVIN;
/// Friction of the thermostat (1 / fs), time step (fs), and skin of the list of pairs (angstrom).
const FRICTION: f64 = 0.02;
const TIMESTEP: f64 = 0.5;
const SKIN: f64 = 0.5;
/// Steps of a tenth of that first, as part of all: a start may have atoms too close to each other.
const CAREFUL: f64 = 0.1;
/// Atoms times steps of the trajectory, and its fewest and most steps: seconds on one thread.
const ATOM_STEPS: usize = 20_000;
const STEPS: [usize; 2] = [8, 2000];
/// Steps from one state that is taken to the next (10 fs), and most states.
const BETWEEN: usize = 20;
const MOST_STATES: usize = 100;

/// The system that weights in 8 bits are found for.
#[derive(Debug, Clone, Copy)]
pub struct Int8Scene<'a> {
    /// Species and masses.
    pub system: &'a System,
    /// The cell.
    pub cell: &'a Cell,
    /// Positions (angstrom).
    pub positions: &'a [Vec3],
    /// Temperature (eV) of the trajectory; `None` for 300 K.
    pub kt: Option<f64>,
}

impl<'a> Int8Scene<'a> {
    /// The start of a plan, at the temperature of its thermostat or else of its velocities.
    pub fn of(plan: &'a Plan) -> Self {
        let start = &plan.start;
        let drawn = match start.velocities {
            VelocityPlan::Thermal { kt, .. } => Some(kt),
            VelocityPlan::Given(_) => None,
        };
        Self {
            system: &start.system,
            cell: &start.cell,
            positions: &start.positions,
            kt: super::bath(plan).or(drawn).filter(|kt| *kt > 0.0),
        }
    }
}

/// Finds the weights in 8 bits of a model's networks for some systems, where its numbers are those, and they are not there yet.
/// The same systems give the same weights, on any number of threads. Of no system they are the nearest ones.
///
/// # Errors
/// A network has none, or the model cannot compute the system's forces.
pub fn find_int8(
    model: &Model,
    precision: Precision,
    device: &DevicePlan,
    scenes: &[Int8Scene<'_>],
) -> Result<()> {
    if precision != Precision::Int8 || model.members.iter().all(ModelKind::has_int8) {
        return Ok(());
    }
    find_int8_anew(model, device, scenes)
}

/// Finds the weights in 8 bits of a model's networks for some systems, whether or not some are there already. What is bound to
/// atoms keeps those that it has.
///
/// # Errors
/// As for [`find_int8`].
pub fn find_int8_anew(model: &Model, device: &DevicePlan, scenes: &[Int8Scene<'_>]) -> Result<()> {
    let part = scenes.len().max(1);
    let states = |scene: &Int8Scene<'_>| states(model, device, scene, ATOM_STEPS / part);
    let states = scenes.iter().map(states).collect::<Result<Vec<_>>>()?;
    for member in &model.members {
        if let ModelKind::Painn {
            spec,
            weights,
            int8,
            ..
        } = member
        {
            int8.set(found(spec, weights, scenes, &states)?);
        }
    }
    Ok(())
}

/// The weights of one network for systems in some states.
fn found(
    spec: &Spec,
    weights: &Weights,
    scenes: &[Int8Scene<'_>],
    states: &[Vec<Vec<Vec3>>],
) -> Result<Int8Weights> {
    if scenes.is_empty() {
        return Ok(Int8Weights::nearest(weights));
    }
    let mut seen = InputMoments::new(weights);
    for (scene, states) in scenes.iter().zip(states) {
        let species = &scene.system.species;
        let exact = FusedPainn::new(spec, weights, species, Precision::F64, 1)?;
        for positions in states {
            let pairs = Pairs::within(scene.cell, positions, spec.cutoff)?;
            exact.visit_inputs(&pairs, &mut |product, inputs| seen.add(product, inputs))?;
        }
    }
    Int8Weights::found(weights, &seen)
}

/// Where products in 8 bits are kept, once they are found.
#[derive(Debug, Default)]
pub struct Int8Slot(Mutex<Option<Arc<Int8Weights>>>);

impl Int8Slot {
    /// Those that are there.
    pub fn get(&self) -> Option<Arc<Int8Weights>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts some there, in place of any others.
    pub fn set(&self, found: Int8Weights) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(found));
    }
}

/// States of a short trajectory in f32, the start among them.
fn states(
    model: &Model,
    device: &DevicePlan,
    scene: &Int8Scene<'_>,
    atom_steps: usize,
) -> Result<Vec<Vec<Vec3>>> {
    let device = DevicePlan {
        kind: DeviceKind::Cpu,
        engine: EngineChoice::Fused,
        ..*device
    };
    let mut states = vec![scene.positions.to_vec()];
    let field = model.in_host_memory(scene.system, Precision::F32, &device, Some(SKIN))?;
    let kt = scene.kt.unwrap_or(USUAL_KT);
    let mut engine = HostEngine::of(start(scene, kt), Noise::new(1), field)?;
    let steps = (atom_steps / scene.system.len().max(1)).clamp(STEPS[0], STEPS[1]);
    let between = BETWEEN.max(steps.div_ceil(MOST_STATES)).min(steps);
    let careful = (CAREFUL * steps as f64) as u64;
    let usual = TIMESTEP * FEMTOSECOND;
    let mut step = 0;
    for (count, timestep) in [(careful, 0.1 * usual), (steps as u64, usual)] {
        let program = dynamics::baoab(timestep, kt, FRICTION / FEMTOSECOND);
        let end = step + count;
        while step < end {
            let next = (step + between as u64).min(end);
            let outcome = engine.run(&program, step..next)?;
            // Dynamics that break off have shown what they came through.
            if outcome.flags != Flags::OK {
                return Ok(states);
            }
            step = next;
            states.push(engine.snapshot(POSITIONS)?.positions);
        }
    }
    Ok(states)
}

const POSITIONS: Fields = Fields {
    positions: true,
    velocities: false,
    forces: false,
};

/// Where the trajectory starts: at the scene's positions, with velocities of its temperature.
fn start(scene: &Int8Scene<'_>, kt: f64) -> Start {
    let temperature = Temperature {
        kt,
        degrees_of_freedom: (3 * scene.system.len()).saturating_sub(3).max(1),
    };
    let (system, cell, positions) = (scene.system, scene.cell, scene.positions);
    let noise = Noise::new(1);
    let velocities = velocities::thermal(system, cell, positions, temperature, noise);
    Start::new(system.clone(), cell.clone(), positions.to_vec(), velocities)
}
