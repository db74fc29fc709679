//! The engine in host memory: phase space in f64, any [`Potential`].

mod constrained;
mod faults;

use std::ops::Range;

use super::biased::EngineBias;
use super::{Engine, Flags, GroupRules, Limits, Outcome, Start, Statistics, restorable};
use crate::core::rng::{Noise, Stream};
use crate::core::{Fields, Mat3, Member, Observables, Snapshot, System, Vec3, observe};
use crate::dynamics::cell_rescaling::{self, CellRescaling, MOST_STRAIN};
use crate::dynamics::csvr::Rescaling;
use crate::dynamics::mtk::PistonMove;
use crate::dynamics::nose_hoover::ChainMove;
use crate::dynamics::{Collective, Local, Op, Program, StepClock};
use crate::forcefield::external::{self, ExternalSums};
use crate::forcefield::{BiasScene, ForceField as _, HostForceField, RunBias};
use crate::neighbors::{Listed, Neighbor};
use crate::potential::{About, Evaluation, Potential};
use crate::{Error, Result};
use constrained::ConstrainedMotion;

/// Owns phase space in host memory, and asks a [`HostForceField`] for forces.
///
/// A step allocates nothing, apart from a rebuild and from what the potential does. What is summed is
/// summed in the order of atoms, so the state depends neither on threads nor on the skin.
pub struct HostEngine {
    system: System,
    groups: GroupRules,
    /// What keeps distances as they are, where something does.
    constrained: Option<ConstrainedMotion>,
    noise: Noise,
    field: HostForceField,
    bias: Option<EngineBias>,
    /// Whether the pairs found are those of another state (after a rollback).
    stale: bool,
    state: State,
    saved: State,
    limits: Limits,
    /// Of the program last run.
    clock: StepClock,
    /// What a barostat asked of the cell that no cell can do.
    refused: Option<f64>,
}

/// A strain, before its effect on the potential energy is known.
struct Strained {
    /// Its logarithm.
    strain: Mat3,
    /// Twice the kinetic energy tensor that presses behind it (eV).
    twice: Mat3,
    /// The pressure tensor ahead of it (eV / cubic angstrom).
    pressure: Mat3,
}

/// What is still to be done when the forces of a step are there.
enum Unsettled {
    /// Of a strain.
    Strain(Strained),
    /// Of a piston, whose energy (eV) was this at the start of the step.
    Piston(PistonMove, f64),
}

/// What a rollback restores.
#[derive(Clone)]
struct State {
    step: u64,
    member: Member,
    positions: Vec<Vec3>,
    velocities: Vec<Vec3>,
    evaluation: Evaluation,
    external: ExternalSums,
    pairs: usize,
}

impl State {
    /// Becomes a copy of `other` without allocating.
    fn copy_from(&mut self, other: &Self) {
        self.step = other.step;
        self.member.clone_from(&other.member);
        self.positions.clone_from(&other.positions);
        self.velocities.clone_from(&other.velocities);
        self.evaluation.energy = other.evaluation.energy;
        self.evaluation.forces.clone_from(&other.evaluation.forces);
        self.evaluation.strain_derivative = other.evaluation.strain_derivative;
        self.evaluation.spread = other.evaluation.spread;
        self.external = other.external;
        self.pairs = other.pairs;
    }
}

impl HostEngine {
    /// An engine at `start` with forces evaluated; `skin` (angstrom) is that of the Verlet list.
    ///
    /// # Errors
    /// Those of [`HostEngine::of`].
    pub fn new(
        start: Start,
        noise: Noise,
        skin: f64,
        potential: Box<dyn Potential>,
    ) -> Result<Self> {
        Self::of(start, noise, HostForceField::new(potential, skin))
    }

    /// An engine at `start` with forces evaluated by `field`; of `noise` it draws what its replica draws.
    ///
    /// # Errors
    /// Several systems at once, arrays that do not belong together, positions or a cell that cannot be listed, or a potential
    /// that failed. Energies and forces that are not finite are found by the first [`Engine::run`].
    pub fn of(start: Start, noise: Noise, mut field: HostForceField) -> Result<Self> {
        start.check()?;
        let mut evaluation = Evaluation::zeros(start.system.len());
        let member = start.members.only()?.clone();
        let noise = noise.of_replica(member.replica);
        field.evaluate(&member.cell, &start.positions, &mut evaluation)?;
        let atoms = (&start.system, start.positions.as_slice());
        let external = external::act(&start.groups.terms, start.step, atoms, &mut evaluation);
        let state = State {
            step: start.step,
            member,
            positions: start.positions,
            velocities: start.velocities,
            evaluation,
            external,
            pairs: field.found().len(),
        };
        Ok(Self {
            constrained: ConstrainedMotion::new(&start.constraints, &start.system.masses),
            system: start.system,
            groups: start.groups,
            noise,
            field,
            bias: None,
            stale: false,
            saved: state.clone(),
            state,
            limits: Limits::default(),
            clock: StepClock::default(),
            refused: None,
        })
    }

    /// One step, or as much of it as is possible before a position is no longer usable.
    fn step(&mut self, program: &Program, step: u64) -> Result<()> {
        let mut unsettled = None;
        let bath = program.ramps.at(step);
        for op in &program.ops {
            match bath.of(*op) {
                Op::Local(local) => self.act(local, step),
                Op::Forces if self.lost().next().is_some() || self.is_unmet() => break,
                Op::Forces => {
                    let before = self.state.external.work;
                    let biased = self.evaluate(step + 1)?;
                    // Kicks on what a spring hangs on, half at either end of the step, as those on the atoms.
                    let springs = 0.5 * (before + self.state.external.work);
                    self.state.member.kept.pulled += springs + biased;
                }
                Op::Collective { every, what } if (step + 1).is_multiple_of(every.max(1)) => {
                    match what {
                        Collective::RemoveDrift => self.remove_drift(),
                        Collective::RescaleVelocities(how) => self.rescale_velocities(&how, step),
                        Collective::RescaleCell(how) => {
                            unsettled = self.rescale_cell(&how, step)?
                        }
                        Collective::MoveChain(how) => self.move_chain(&how),
                        Collective::MovePiston(how) => unsettled = self.move_piston(&how, step)?,
                    }
                }
                Op::Collective { .. } => {}
            }
        }
        match unsettled {
            Some(Unsettled::Strain(strained)) => self.settle(&strained),
            Some(Unsettled::Piston(how, before)) => self.settle_piston(&how, before),
            None => {}
        }
        self.state.step = step + 1;
        Ok(())
    }

    fn act(&mut self, local: Local, step: u64) {
        if let (Local::Drift(_), Some(constrained)) = (local, &mut self.constrained) {
            constrained.remember(&self.state.positions);
        }
        match local {
            Local::Kick(time) => self.kick(time),
            Local::Drift(time) => self.drift(time),
            Local::Noise { c, kt } => self.add_noise(step, c, kt),
        }
        self.constrain(local);
    }

    fn kick(&mut self, time: f64) {
        let forces = &self.state.evaluation.forces;
        let atoms = self.system.masses.iter().zip(forces);
        for (i, (v, (m, f))) in (self.state.velocities.iter_mut().zip(atoms)).enumerate() {
            if self.groups.moves(i) {
                *v += f * (time / m);
            }
        }
    }

    fn drift(&mut self, time: f64) {
        let atoms = self.state.positions.iter_mut().zip(&self.state.velocities);
        for (i, (r, v)) in atoms.enumerate() {
            if self.groups.moves(i) {
                *r += v * time;
            }
        }
    }

    fn add_noise(&mut self, step: u64, c: f64, kt: f64) {
        let variance = (1.0 - c * c) * kt;
        let atoms = self.system.masses.iter().zip(&mut self.state.velocities);
        for (i, (m, v)) in atoms.enumerate().filter(|(i, _)| self.groups.moves(*i)) {
            let (c, variance) = match self.groups.bath(i) {
                None => (c, variance),
                Some(own) => {
                    let c = own.left(c);
                    (c, (1.0 - c * c) * own.kt)
                }
            };
            let xi = self.noise.normal3(step, i as u32, Stream::Thermostat);
            let before = v.norm_squared();
            *v = *v * c + xi * (variance / m).sqrt();
            self.state.member.kept.heat += 0.5 * m * (v.norm_squared() - before);
        }
    }

    /// Velocity of the centre of mass; none of a system that is tied to places, all of whose motion is thermal.
    fn flight(&self) -> Vec3 {
        match self.groups.is_anchored() {
            true => Vec3::zeros(),
            false => {
                observe::momentum(&self.system, &self.state.velocities) / self.system.total_mass()
            }
        }
    }

    /// Kinetic energy about the centre of mass that flies so.
    fn kinetic_about(&self, flight: &Vec3) -> f64 {
        let velocities = self.state.velocities.iter();
        0.5 * observe::kinetic_about(&self.system, velocities, flight).trace()
    }

    fn scale_about(&mut self, flight: &Vec3, factor: f64) {
        for v in &mut self.state.velocities {
            *v = flight + (*v - flight) * factor;
        }
    }

    fn rescale_velocities(&mut self, how: &Rescaling, step: u64) {
        let flight = self.flight();
        let kinetic = self.kinetic_about(&flight);
        let factor = how.factor(kinetic, &self.noise, step);
        self.scale_about(&flight, factor);
        self.state.member.kept.heat += (factor * factor - 1.0) * kinetic;
    }

    /// Moves the chain. What it has lost of its energy is heat.
    fn move_chain(&mut self, how: &ChainMove) {
        let flight = self.flight();
        let kinetic = self.kinetic_about(&flight);
        let kept = &mut self.state.member.kept;
        let before = how.energy(&kept.chain);
        let factor = how.advance(&mut kept.chain, kinetic);
        kept.heat -= how.energy(&kept.chain) - before;
        self.scale_about(&flight, factor);
    }

    /// Strains cell, positions and velocities, which is to be settled when the forces behind it are there. The strain derivative
    /// is that of the start of the step. A strain too large is refused.
    fn rescale_cell(&mut self, how: &CellRescaling, step: u64) -> Result<Option<Unsettled>> {
        self.refuse_strains()?;
        let state = &mut self.state;
        let rest = Vec3::zeros();
        let twice = observe::kinetic_about(&self.system, state.velocities.iter(), &rest);
        let pressing = match how.flight {
            true => twice,
            false => {
                let p = observe::momentum(&self.system, &state.velocities);
                twice - p * p.transpose() / self.system.total_mass()
            }
        };
        let derivative = state.evaluation.strain_derivative;
        let noise = cell_rescaling::noise(&self.noise, step);
        let Member { cell, kept, .. } = &mut state.member;
        let pressure = cell_rescaling::pressure(cell, &pressing, &derivative);
        let strain = how.strain(cell, &(pressure + 0.5 * kept.response), noise);
        // False also for what is not a number.
        if !strain.iter().all(|e| e.abs() <= MOST_STRAIN) {
            self.refused = Some(strain.amax());
            return Ok(None);
        }
        let (stretch, shrink) = (
            cell_rescaling::exponential(&strain),
            cell_rescaling::exponential(&-strain),
        );
        *cell = (cell.strained(&stretch))
            .map_err(|e| Error::run(format!("the cell at step {step}: {e}")))?;
        state.positions.iter_mut().for_each(|r| *r = stretch * *r);
        (state.velocities.iter_mut()).for_each(|v| *v = shrink * *v);
        let after = shrink * twice * shrink;
        kept.work += 0.5 * (after.trace() - twice.trace() + derivative.dot(&strain));
        Ok(Some(Unsettled::Strain(Strained {
            strain,
            twice: shrink * pressing * shrink,
            pressure,
        })))
    }

    /// Adds the second half of a strain's work, and finds what the strain added to the pressure, when the forces behind it are
    /// there.
    fn settle(&mut self, strained: &Strained) {
        let derivative = self.state.evaluation.strain_derivative;
        let Member { cell, kept, .. } = &mut self.state.member;
        kept.work += 0.5 * derivative.dot(&strained.strain);
        kept.response =
            cell_rescaling::pressure(cell, &strained.twice, &derivative) - strained.pressure;
    }

    /// Moves the piston and the chains, and the cell with all that is in it. The strain derivative is that of the start of the
    /// step, whose kick is done here. A strain too large is refused.
    fn move_piston(&mut self, how: &PistonMove, step: u64) -> Result<Option<Unsettled>> {
        self.refuse_strains()?;
        let flight = self.flight();
        let kinetic = self.kinetic_about(&flight);
        let derivative = self.state.evaluation.strain_derivative.trace();
        let Member { cell, kept, .. } = &mut self.state.member;
        let volume = cell.volume().ok_or_else(no_volume)?;
        let (before, chains) = (how.energy(kept, volume), how.chains(kept));
        how.kick(kept, derivative, volume);
        let growth = how.advance(kept, kinetic);
        kept.heat -= how.chains(kept) - chains;
        if growth.strain.is_nan() || growth.strain.abs() > MOST_STRAIN {
            self.refused = Some(growth.strain.abs());
            return Ok(None);
        }
        let factor = growth.strain.exp();
        *cell = (cell.strained(&(Mat3::identity() * factor)))
            .map_err(|e| Error::run(format!("the cell at step {step}: {e}")))?;
        (self.state.positions.iter_mut()).for_each(|r| *r *= factor);
        self.scale_about(&flight, growth.factor);
        Ok(Some(Unsettled::Piston(*how, before)))
    }

    /// Kicks the piston by what is there at the end of a step; what it has lost since its start is work.
    fn settle_piston(&mut self, how: &PistonMove, before: f64) {
        let derivative = self.state.evaluation.strain_derivative.trace();
        let Member { cell, kept, .. } = &mut self.state.member;
        let volume = cell.volume().unwrap_or(f64::NAN);
        how.kick(kept, derivative, volume);
        kept.work -= how.energy(kept, volume) - before;
    }

    fn remove_drift(&mut self) {
        let mass = self.system.total_mass();
        let drift = self.flight();
        for v in &mut self.state.velocities {
            *v -= drift;
        }
        self.state.member.kept.heat -= 0.5 * mass * drift.norm_squared();
    }

    /// Pairs, energy, forces and strain derivative at the present positions, and at a step; returns the work that a bias has
    /// done since the step before.
    fn evaluate(&mut self, step: u64) -> Result<f64> {
        self.find_pairs()?;
        self.state.pairs = self.field.found().len();
        let State {
            member,
            positions,
            evaluation,
            external,
            ..
        } = &mut self.state;
        self.field
            .evaluate_found(&member.cell, positions, evaluation)?;
        let atoms = (&self.system, positions.as_slice());
        *external = external::act(&self.groups.terms, step, atoms, evaluation);
        self.act_bias(step)
    }

    /// Adds what a bias does at a step, if there is one; returns the work that it has done since the step before.
    fn act_bias(&mut self, step: u64) -> Result<f64> {
        let State {
            member,
            positions,
            evaluation,
            external,
            ..
        } = &mut self.state;
        let Some(bias) = &mut self.bias else {
            return Ok(0.0);
        };
        let scene = BiasScene {
            step,
            cell: &member.cell,
            positions,
        };
        let sums = bias.act(&scene, evaluation)?;
        external.energy += sums.energy;
        Ok(sums.work)
    }

    fn find_pairs(&mut self) -> Result<()> {
        let found = self
            .field
            .find(&self.state.member.cell, &self.state.positions);
        found
            .map(drop)
            .map_err(|error| Error::run(format!("pairs at step {}: {error}", self.state.step)))?;
        self.stale = false;
        Ok(())
    }

    fn observables(&self) -> Observables {
        let state = &self.state;
        Observables {
            potential: state.evaluation.energy,
            external: state.external.energy,
            kinetic: observe::kinetic_energy(&self.system, &state.velocities),
            kept: state.member.kept,
            momentum: observe::momentum(&self.system, &state.velocities),
            strain_derivative: state.evaluation.strain_derivative,
            spread: state.evaluation.spread,
        }
    }
}

fn no_volume() -> Error {
    Error::input("a piston presses on a cell, which has to be periodic in all directions")
}

impl Engine for HostEngine {
    fn run(&mut self, program: &Program, steps: Range<u64>) -> Result<Outcome> {
        self.clock = program.clock();
        self.state.step = steps.start;
        if self.stale {
            self.find_pairs()?;
        }
        let mut outcome = Outcome::none(steps.start);
        if steps.is_empty() {
            self.inspect()
                .into_iter()
                .for_each(|breach| outcome.note(breach));
            return Ok(outcome);
        }
        for step in steps {
            self.step(program, step)?;
            outcome.step = step + 1;
            self.inspect()
                .into_iter()
                .for_each(|breach| outcome.note(breach));
            let broken = self.limits.stop && outcome.flags.contains(Flags::LIMIT);
            if broken || outcome.flags.intersects(Flags::FATAL) {
                break;
            }
        }
        Ok(outcome)
    }

    fn save(&mut self) -> Result<()> {
        self.saved.copy_from(&self.state);
        if let Some(bias) = &mut self.bias {
            bias.save();
        }
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        (self.bias.iter()).try_for_each(EngineBias::check_rollback)?;
        self.state.copy_from(&self.saved);
        self.forget_faults();
        self.stale = true;
        Ok(())
    }

    fn restore(&mut self, state: &Snapshot) -> Result<()> {
        restorable(state, self.system.len())?;
        if self.bias.is_some() {
            return Err(Error::run(
                "what biases the system cannot go to another state",
            ));
        }
        self.forget_faults();
        self.state.step = state.step;
        self.state.member.kept = state.observables.kept;
        self.state.member.cell.clone_from(&state.cell);
        self.state.positions.clone_from(&state.positions);
        self.state.velocities.clone_from(&state.velocities);
        self.evaluate(state.step)?;
        self.save()
    }

    fn rebuild(&mut self) -> Result<()> {
        self.field
            .search(&self.state.member.cell, &self.state.positions)?;
        self.find_pairs()
    }

    fn watch(&mut self, limits: Limits) {
        self.limits = limits;
    }

    fn bias(&mut self, bias: Box<dyn RunBias>) -> Result<()> {
        self.bias = Some(EngineBias::new(bias));
        self.act_bias(self.state.step)?;
        self.save()
    }

    fn snapshot(&mut self, want: Fields) -> Result<Snapshot> {
        let state = &self.state;
        let copy = |wanted: bool, values: &Vec<Vec3>| {
            if wanted { values.clone() } else { Vec::new() }
        };
        Ok(Snapshot {
            step: state.step,
            time: self.clock.time(state.step),
            cell: state.member.cell.clone(),
            observables: self.constrained_observables()?,
            positions: copy(want.positions, &state.positions),
            velocities: copy(want.velocities, &state.velocities),
            forces: copy(want.forces, &state.evaluation.forces),
        })
    }

    fn listed(&mut self, receivers: &[usize]) -> Result<Listed> {
        if self.stale {
            self.find_pairs()?;
        }
        let pairs = self.field.found();
        let neighbor = |p: usize| Neighbor {
            atom: pairs.neighbors[p] as usize,
            vector: pairs.vectors[p],
        };
        Ok(Listed {
            cutoff: self.field.cutoff(),
            rows: (receivers.iter())
                .map(|&i| pairs.row(i).map(neighbor).collect())
                .collect(),
        })
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            rebuilds: self.field.searches(),
            pairs: self.state.pairs as u64,
        }
    }

    fn about(&self) -> About {
        self.field.about()
    }
}
