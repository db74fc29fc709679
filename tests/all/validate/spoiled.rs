//! Potentials, force fields and engines, each with one fault.

use std::ops::Range;

use mdrun::Result;
use mdrun::core::{Cell, Fields, Snapshot, Vec3};
use mdrun::dynamics::Program;
use mdrun::engine::{Engine, Limits, Outcome, Statistics};
use mdrun::forcefield::ForceField;
use mdrun::neighbors::{Listed, Pairs};
use mdrun::potential::{About, Evaluation, Potential};

use crate::physics::subjects::{EPSILON, SIGMA};

/// A pair potential by its energy and slope as functions of the pair's vector: f64 energy of one pair and its gradient.
pub struct PairFunction {
    pub cutoff: f64,
    pub function: fn(&Vec3, f64) -> (f64, Vec3),
}

impl Potential for PairFunction {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        *out = Evaluation::zeros(pairs.atoms());
        for (p, vector) in pairs.vectors.iter().enumerate() {
            let (energy, gradient) = (self.function)(vector, self.cutoff);
            out.energy += 0.5 * energy;
            // Each pair comes twice, once for each atom, with the opposite vector.
            out.forces[pairs.receivers[p] as usize] += gradient;
            out.strain_derivative += 0.5 * vector * gradient.transpose();
        }
        Ok(())
    }

    fn about(&self) -> About {
        About::plain("spoiled")
    }
}

fn lennard_jones(r: f64) -> (f64, f64) {
    let sixth = (SIGMA / r).powi(6);
    (
        4.0 * EPSILON * sixth * (sixth - 1.0),
        -24.0 * EPSILON * sixth * (2.0 * sixth - 1.0) / r,
    )
}

/// Zero with its slope at the cutoff: (1 - (r / cutoff)^2)^2, and the slope.
fn fade(r: f64, cutoff: f64) -> (f64, f64) {
    let left = 1.0 - (r / cutoff).powi(2);
    (left * left, -4.0 * left * r / (cutoff * cutoff))
}

/// Cut off and shifted: the energy is zero at the cutoff, and its slope is not.
pub fn shifted(vector: &Vec3, cutoff: f64) -> (f64, Vec3) {
    let r = vector.norm();
    let (energy, slope) = lennard_jones(r);
    (energy - lennard_jones(cutoff).0, vector * (slope / r))
}

/// Stronger along z than across.
pub fn slanted(vector: &Vec3, cutoff: f64) -> (f64, Vec3) {
    let r = vector.norm();
    let ((pair, pair_slope), (fade, fade_slope)) = (lennard_jones(r), fade(r, cutoff));
    let (energy, slope) = (pair * fade, pair_slope * fade + pair * fade_slope);
    let cosine = vector.z / r;
    let factor = 1.0 + 0.01 * cosine * cosine;
    let turn = (Vec3::z() - vector * (cosine / r)) * (0.02 * cosine / r);
    (
        energy * factor,
        vector * (slope * factor / r) + turn * energy,
    )
}

/// A force field with something added to what it finds.
pub struct Added {
    pub inner: Box<dyn ForceField>,
    pub add: fn(&Cell, &[Vec3], &mut Evaluation),
}

impl ForceField for Added {
    fn cutoff(&self) -> f64 {
        self.inner.cutoff()
    }

    fn evaluate(&mut self, cell: &Cell, positions: &[Vec3], out: &mut Evaluation) -> Result<()> {
        self.inner.evaluate(cell, positions, out)?;
        (self.add)(cell, positions, out);
        Ok(())
    }

    fn pairs(&self) -> u64 {
        self.inner.pairs()
    }

    fn about(&self) -> About {
        self.inner.about()
    }
}

/// All atoms are bound to a plane: space has an origin.
pub fn bound(_: &Cell, positions: &[Vec3], out: &mut Evaluation) {
    const STIFFNESS: f64 = 1e-3;
    for (force, r) in out.forces.iter_mut().zip(positions) {
        out.energy += 0.5 * STIFFNESS * r.x * r.x;
        force.x -= STIFFNESS * r.x;
    }
}

/// The first two atoms are on a spring, whichever they are: atoms are not alike.
pub fn leashed(_: &Cell, positions: &[Vec3], out: &mut Evaluation) {
    const STIFFNESS: f64 = 1e-3;
    let way = positions[1] - positions[0];
    out.energy += 0.5 * STIFFNESS * way.norm_squared();
    out.forces[0] += STIFFNESS * way;
    out.forces[1] -= STIFFNESS * way;
}

/// The energy has a part that is its square: twice as many atoms have four times of it.
pub fn squared(_: &Cell, _: &[Vec3], out: &mut Evaluation) {
    const PART: f64 = 0.01;
    let factor = 1.0 + 2.0 * PART * out.energy;
    out.energy += PART * out.energy * out.energy;
    out.forces.iter_mut().for_each(|f| *f *= factor);
    out.strain_derivative *= factor;
}

/// The stress is a hundredth too large.
pub fn stressed(_: &Cell, _: &[Vec3], out: &mut Evaluation) {
    out.strain_derivative *= 1.01;
}

/// A potential that lacks the pairs that are nearly out of its range.
pub struct Blind(pub Box<dyn Potential>);

impl Potential for Blind {
    fn cutoff(&self) -> f64 {
        self.0.cutoff()
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        let seen = |p: &usize| pairs.distances[*p] < 0.85 * self.0.cutoff();
        let kept: Vec<usize> = (0..pairs.len()).filter(seen).collect();
        let mut place = vec![0; pairs.len()];
        for (new, &old) in kept.iter().enumerate() {
            place[old] = new as u32;
        }
        let row = |i: usize| kept.partition_point(|&p| (pairs.receivers[p] as usize) < i) as u32;
        let fewer = Pairs {
            rows: (0..=pairs.atoms()).map(row).collect(),
            receivers: kept.iter().map(|&p| pairs.receivers[p]).collect(),
            neighbors: kept.iter().map(|&p| pairs.neighbors[p]).collect(),
            reverse: (kept.iter())
                .map(|&p| place[pairs.reverse[p] as usize])
                .collect(),
            vectors: kept.iter().map(|&p| pairs.vectors[p]).collect(),
            distances: kept.iter().map(|&p| pairs.distances[p]).collect(),
        };
        self.0.evaluate(&fewer, out)
    }

    fn about(&self) -> About {
        About::plain("blind")
    }
}

/// An engine that shows pairs less one of each row.
pub struct Forgetful(pub Box<dyn Engine>);

impl Engine for Forgetful {
    fn run(&mut self, program: &Program, steps: Range<u64>) -> Result<Outcome> {
        self.0.run(program, steps)
    }

    fn save(&mut self) -> Result<()> {
        self.0.save()
    }

    fn rollback(&mut self) -> Result<()> {
        self.0.rollback()
    }

    fn restore(&mut self, state: &Snapshot) -> Result<()> {
        self.0.restore(state)
    }

    fn rebuild(&mut self) -> Result<()> {
        self.0.rebuild()
    }

    fn watch(&mut self, limits: Limits) {
        self.0.watch(limits);
    }

    fn snapshot(&mut self, want: Fields) -> Result<Snapshot> {
        self.0.snapshot(want)
    }

    fn listed(&mut self, receivers: &[usize]) -> Result<Listed> {
        let mut listed = self.0.listed(receivers)?;
        for row in &mut listed.rows {
            row.pop();
        }
        Ok(listed)
    }

    fn statistics(&self) -> Statistics {
        self.0.statistics()
    }

    fn about(&self) -> About {
        self.0.about()
    }
}
