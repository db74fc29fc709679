//! The engine in host memory: phase space in f64, any [`Potential`].

use std::ops::Range;

use super::{Breach, Engine, Flags, Limits, Outcome, Start, Statistics, Watched, restorable};
use crate::core::rng::{Noise, Stream};
use crate::core::{Cell, Fields, Observables, Snapshot, System, Vec3, observe};
use crate::forcefield::{ForceField as _, HostForceField};
use crate::integrate::{Integrator, Op};
use crate::neighbors::{self, Listed, Neighbor};
use crate::potential::{About, Evaluation, Potential};
use crate::{Error, Result};

/// Owns phase space in host memory, and asks a [`HostForceField`] for forces.
///
/// A step allocates nothing, apart from a rebuild and from what the potential does. What is summed is
/// summed in the order of atoms, so the state depends neither on threads nor on the skin.
pub struct HostEngine {
    system: System,
    cell: Cell,
    noise: Noise,
    field: HostForceField,
    /// Whether the pairs found are those of another state (after a rollback).
    stale: bool,
    state: State,
    saved: State,
    limits: Limits,
    /// Time step of the program last run; a snapshot's time is its step times this, so that time does
    /// not gather rounding.
    timestep: f64,
}

/// What a rollback restores.
#[derive(Clone)]
struct State {
    step: u64,
    positions: Vec<Vec3>,
    velocities: Vec<Vec3>,
    heat: f64,
    evaluation: Evaluation,
    pairs: usize,
}

impl State {
    /// Becomes a copy of `other` without allocating.
    fn copy_from(&mut self, other: &Self) {
        self.step = other.step;
        self.positions.clone_from(&other.positions);
        self.velocities.clone_from(&other.velocities);
        self.heat = other.heat;
        self.evaluation.energy = other.evaluation.energy;
        self.evaluation.forces.clone_from(&other.evaluation.forces);
        self.evaluation.strain_derivative = other.evaluation.strain_derivative;
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

    /// An engine at `start` with forces evaluated by `field`.
    ///
    /// # Errors
    /// Arrays that do not belong together, positions or a cell that cannot be listed, or a potential
    /// that failed. Energies and forces that are not finite are found by the first [`Engine::run`].
    pub fn of(start: Start, noise: Noise, mut field: HostForceField) -> Result<Self> {
        start.check()?;
        let mut evaluation = Evaluation::zeros(start.system.len());
        field.evaluate(&start.cell, &start.positions, &mut evaluation)?;
        let state = State {
            step: start.step,
            positions: start.positions,
            velocities: start.velocities,
            heat: start.heat,
            evaluation,
            pairs: field.found().len(),
        };
        Ok(Self {
            system: start.system,
            cell: start.cell,
            noise,
            field,
            stale: false,
            saved: state.clone(),
            state,
            limits: Limits::default(),
            timestep: 0.0,
        })
    }

    /// One step, or as much of it as is possible before a position is no longer usable.
    fn step(&mut self, program: &Integrator, step: u64) -> Result<()> {
        for op in &program.0 {
            match *op {
                Op::Kick(time) => self.kick(time),
                Op::Drift(time) => self.drift(time),
                Op::Noise { c, kt } => self.add_noise(step, c, kt),
                Op::Forces if self.lost().next().is_some() => break,
                Op::Forces => self.evaluate()?,
                Op::RemoveDrift { every } if (step + 1).is_multiple_of(every.max(1)) => {
                    self.remove_drift();
                }
                Op::RemoveDrift { .. } => {}
            }
        }
        self.state.step = step + 1;
        Ok(())
    }

    fn kick(&mut self, time: f64) {
        let forces = &self.state.evaluation.forces;
        let atoms = self.system.masses.iter().zip(forces);
        for (v, (m, f)) in self.state.velocities.iter_mut().zip(atoms) {
            *v += f * (time / m);
        }
    }

    fn drift(&mut self, time: f64) {
        for (r, v) in self.state.positions.iter_mut().zip(&self.state.velocities) {
            *r += v * time;
        }
    }

    fn add_noise(&mut self, step: u64, c: f64, kt: f64) {
        let variance = (1.0 - c * c) * kt;
        let atoms = self.system.masses.iter().zip(&mut self.state.velocities);
        for (i, (m, v)) in atoms.enumerate() {
            let xi = self.noise.normal3(step, i as u32, Stream::Thermostat);
            let before = v.norm_squared();
            *v = *v * c + xi * (variance / m).sqrt();
            self.state.heat += 0.5 * m * (v.norm_squared() - before);
        }
    }

    fn remove_drift(&mut self) {
        let mass = self.system.total_mass();
        let drift = observe::momentum(&self.system, &self.state.velocities) / mass;
        for v in &mut self.state.velocities {
            *v -= drift;
        }
        self.state.heat -= 0.5 * mass * drift.norm_squared();
    }

    /// Pairs, energy, forces and strain derivative at the present positions.
    fn evaluate(&mut self) -> Result<()> {
        self.find_pairs()?;
        self.state.pairs = self.field.found().len();
        self.field.evaluate_found(&mut self.state.evaluation)
    }

    fn find_pairs(&mut self) -> Result<()> {
        let found = self.field.find(&self.cell, &self.state.positions);
        found
            .map(drop)
            .map_err(|error| Error::run(format!("pairs at step {}: {error}", self.state.step)))?;
        self.stale = false;
        Ok(())
    }

    /// Atoms whose positions are not finite, or too far out to count cells.
    fn lost(&self) -> impl Iterator<Item = (usize, f64)> {
        let farthest = neighbors::farthest(&self.cell);
        let positions = self.state.positions.iter().enumerate();
        // False for coordinates that are not numbers, too.
        positions.filter_map(move |(i, r)| {
            let usable = r.norm_squared() <= farthest * farthest;
            (!usable).then(|| (i, worst(r)))
        })
    }

    /// What is wrong with the present state.
    fn inspect(&self) -> Option<Breach> {
        let finite = || self.not_finite().map(|found| (Watched::Finite, found));
        let force = || Some((Watched::Force, self.force_over(self.limits.force?)?));
        let contact = || Some((Watched::Contact, self.contact_under(self.limits.contact?)?));
        let kinetic = || Some((Watched::Kinetic, self.kinetic_over(self.limits.kinetic?)?));
        let found = finite().or_else(force).or_else(contact).or_else(kinetic);
        found.map(|(what, (value, atoms))| Breach {
            step: self.state.step,
            what,
            value,
            atoms,
        })
    }

    fn observables(&self) -> Observables {
        let state = &self.state;
        Observables {
            potential: state.evaluation.energy,
            kinetic: observe::kinetic_energy(&self.system, &state.velocities),
            heat: state.heat,
            momentum: observe::momentum(&self.system, &state.velocities),
            strain_derivative: state.evaluation.strain_derivative,
        }
    }

    /// A number that is not finite: positions first, since the others follow from them.
    fn not_finite(&self) -> Option<(f64, Vec<usize>)> {
        let evaluation = &self.state.evaluation;
        let first = |mut found: Vec<(usize, f64)>| {
            found.truncate(Breach::MOST_ATOMS);
            let value = found.first()?.1;
            Some((value, found.into_iter().map(|(i, _)| i).collect()))
        };
        let energy = || (!evaluation.energy.is_finite()).then(|| (evaluation.energy, Vec::new()));
        first(self.lost().take(Breach::MOST_ATOMS).collect())
            .or_else(|| first(not_numbers(&evaluation.forces)))
            .or_else(|| first(not_numbers(&self.state.velocities)))
            .or_else(energy)
    }

    /// The largest force, if over the limit.
    fn force_over(&self, limit: f64) -> Option<(f64, Vec<usize>)> {
        let norms = (self.state.evaluation.forces.iter()).map(|f| f.norm());
        let (atom, force) = norms.enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        (force > limit).then(|| (force, vec![atom]))
    }

    /// The smallest distance, if under the limit.
    fn contact_under(&self, limit: f64) -> Option<(f64, Vec<usize>)> {
        let pairs = self.field.found();
        let distances = pairs.distances.iter().copied().enumerate();
        let (pair, distance) = distances.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let atoms = || [pairs.receivers[pair], pairs.neighbors[pair]];
        (distance < limit).then(|| (distance, atoms().map(|i| i as usize).to_vec()))
    }

    /// The kinetic energy, if over the limit.
    fn kinetic_over(&self, limit: f64) -> Option<(f64, Vec<usize>)> {
        let kinetic = observe::counted_kinetic(&self.observables(), self.limits.held_mass);
        (kinetic > limit).then(|| (kinetic, Vec::new()))
    }
}

/// Atoms with a component that is not finite, with one such component, at most
/// [`Breach::MOST_ATOMS`].
fn not_numbers(vectors: &[Vec3]) -> Vec<(usize, f64)> {
    let bad = |(i, v): (usize, &Vec3)| {
        let component = v.iter().find(|x| !x.is_finite())?;
        Some((i, *component))
    };
    (vectors.iter().enumerate())
        .filter_map(bad)
        .take(Breach::MOST_ATOMS)
        .collect()
}

/// The component at fault: one that is not finite, else the largest.
fn worst(vector: &Vec3) -> f64 {
    let bad = vector.iter().copied().find(|x| !x.is_finite());
    bad.unwrap_or_else(|| vector[vector.iamax()])
}

impl Engine for HostEngine {
    fn run(&mut self, program: &Integrator, steps: Range<u64>) -> Result<Outcome> {
        self.timestep = program.timestep();
        self.state.step = steps.start;
        if self.stale {
            self.find_pairs()?;
        }
        let mut outcome = Outcome::none(steps.start);
        if steps.is_empty() {
            note(&mut outcome, self.inspect());
            return Ok(outcome);
        }
        for step in steps {
            self.step(program, step)?;
            outcome.step = step + 1;
            note(&mut outcome, self.inspect());
            let broken = self.limits.stop && outcome.flags.contains(Flags::LIMIT);
            if broken || outcome.flags.contains(Flags::NONFINITE) {
                break;
            }
        }
        Ok(outcome)
    }

    fn save(&mut self) -> Result<()> {
        self.saved.copy_from(&self.state);
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        self.state.copy_from(&self.saved);
        self.stale = true;
        Ok(())
    }

    fn restore(&mut self, state: &Snapshot) -> Result<()> {
        restorable(state, self.system.len())?;
        self.state.step = state.step;
        self.state.heat = state.observables.heat;
        self.state.positions.clone_from(&state.positions);
        self.state.velocities.clone_from(&state.velocities);
        self.evaluate()?;
        self.save()
    }

    fn rebuild(&mut self) -> Result<()> {
        self.field.search(&self.cell, &self.state.positions)?;
        self.find_pairs()
    }

    fn watch(&mut self, limits: Limits) {
        self.limits = limits;
    }

    fn snapshot(&mut self, want: Fields) -> Result<Snapshot> {
        let state = &self.state;
        let copy = |wanted: bool, values: &Vec<Vec3>| {
            if wanted { values.clone() } else { Vec::new() }
        };
        Ok(Snapshot {
            step: state.step,
            time: state.step as f64 * self.timestep,
            cell: self.cell.clone(),
            observables: self.observables(),
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

/// Adds a breach to the outcome of a block: the first one stays, except that a number that is not
/// finite, which ends the block, takes its place.
fn note(outcome: &mut Outcome, breach: Option<Breach>) {
    let Some(breach) = breach else { return };
    let fatal = breach.what == Watched::Finite;
    let flag = if fatal {
        Flags::NONFINITE
    } else {
        Flags::LIMIT
    };
    outcome.flags = outcome.flags.union(flag);
    if fatal || outcome.breach.is_none() {
        outcome.breach = Some(breach);
    }
}
