//! Potentials with a fault put in on purpose, and argon to run them on.

use mdrun::Result;
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Mat3, System, Vec3};
use mdrun::engine::{Engine, HostEngine, Start};
use mdrun::forcefield::HostForceField;
use mdrun::neighbors::{Pairs, VerletList};
use mdrun::potential::{About, Evaluation, Potential};

use crate::physics::subjects::{CUTOFF, EPSILON, SIGMA, Subject, argon_potential, face_centred};

/// An engine in host memory with a skin of 1 A, or with pairs by brute force.
pub fn engine(start: Start, potential: Box<dyn Potential>, exhaustive: bool) -> Box<dyn Engine> {
    let noise = Noise::new(7);
    Box::new(match exhaustive {
        true => HostEngine::of(start, noise, HostForceField::exhaustive(potential))
            .expect("the start is sound"),
        false => HostEngine::new(start, noise, 1.0, potential).expect("the start is sound"),
    })
}

/// 108 argon atoms as a liquid, all alike.
pub fn liquid(kt: f64) -> Subject {
    let mut subject = crate::physics::subjects::argon();
    subject.system = System {
        species: vec![18; 108],
        masses: vec![39.948; 108],
    };
    subject.kt = kt;
    subject
}

/// 108 argon atoms in the open, hot enough to fly apart: pairs leave the range and do not come back.
pub fn evaporating(kt: f64) -> Subject {
    Subject {
        cell: Cell::open(),
        positions: face_centred(3, 5.4),
        ..liquid(kt)
    }
}

/// Another potential, its forces in fixed point: whole numbers of a quantum, too coarse.
pub struct Rounded {
    pub inner: Box<dyn Potential>,
    /// eV / angstrom.
    pub quantum: f64,
}

impl Potential for Rounded {
    fn cutoff(&self) -> f64 {
        self.inner.cutoff()
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        self.inner.evaluate(pairs, out)?;
        for force in &mut out.forces {
            *force = force.map(|x| (x / self.quantum).round() * self.quantum);
        }
        Ok(())
    }

    fn about(&self) -> About {
        About::plain("in fixed point")
    }
}

/// Another potential, whose pairs come from a list that is built anew too rarely: those that have come into
/// range since are missing.
pub struct Stale {
    pub inner: Box<dyn Potential>,
    /// Evaluations that one list serves.
    pub lasts: u64,
    pub evaluations: u64,
    pub known: Vec<(u32, u32)>,
}

impl Stale {
    pub fn new(inner: Box<dyn Potential>, lasts: u64) -> Self {
        Self {
            inner,
            lasts,
            evaluations: 0,
            known: Vec::new(),
        }
    }
}

impl Potential for Stale {
    fn cutoff(&self) -> f64 {
        self.inner.cutoff()
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        let name = |p: usize| (pairs.receivers[p], pairs.neighbors[p]);
        if self.evaluations.is_multiple_of(self.lasts) {
            self.known = (0..pairs.len()).map(name).collect();
        }
        self.evaluations += 1;
        let kept: Vec<usize> = (0..pairs.len())
            .filter(|&p| self.known.binary_search(&name(p)).is_ok())
            .collect();
        let mut place = vec![u32::MAX; pairs.len()];
        for (new, &old) in kept.iter().enumerate() {
            place[old] = new as u32;
        }
        let row = |i: usize| kept.partition_point(|&p| (pairs.receivers[p] as usize) < i) as u32;
        let listed = Pairs {
            rows: (0..=pairs.atoms()).map(row).collect(),
            receivers: kept.iter().map(|&p| pairs.receivers[p]).collect(),
            neighbors: kept.iter().map(|&p| pairs.neighbors[p]).collect(),
            reverse: kept
                .iter()
                .map(|&p| place[pairs.reverse[p] as usize])
                .collect(),
            vectors: kept.iter().map(|&p| pairs.vectors[p]).collect(),
            distances: kept.iter().map(|&p| pairs.distances[p]).collect(),
        };
        self.inner.evaluate(&listed, out)
    }

    fn about(&self) -> About {
        About::plain("old pairs")
    }
}

/// The 12-6 potential, cut off where it is: its energy jumps there.
pub struct Truncated {
    pub cutoff: f64,
}

impl Potential for Truncated {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        *out = Evaluation::zeros(pairs.atoms());
        for (p, distance) in pairs.distances.iter().enumerate() {
            let sixth = (SIGMA / distance).powi(6);
            out.energy += 2.0 * EPSILON * sixth * (sixth - 1.0);
            let slope = -24.0 * EPSILON * sixth * (2.0 * sixth - 1.0) / distance;
            let pull = pairs.vectors[p] * (slope / distance);
            out.forces[pairs.receivers[p] as usize] += pull;
            out.strain_derivative += 0.5 * pairs.vectors[p] * pull.transpose();
        }
        Ok(())
    }

    fn about(&self) -> About {
        About::plain("Lennard-Jones, truncated")
    }
}

/// Argon's potential with a push that is no slope of anything: each pair is turned about an axis.
pub struct Swirling {
    pub inner: Box<dyn Potential>,
    /// Push over the distance (eV / angstrom^2).
    pub strength: f64,
}

impl Potential for Swirling {
    fn cutoff(&self) -> f64 {
        self.inner.cutoff()
    }

    fn evaluate(&mut self, pairs: &Pairs, out: &mut Evaluation) -> Result<()> {
        self.inner.evaluate(pairs, out)?;
        for (p, vector) in pairs.vectors.iter().enumerate() {
            // Goes to zero smoothly at the cutoff; opposite for the two atoms, so that momentum is kept.
            let fade = (1.0 - pairs.distances[p] / self.cutoff()).powi(2);
            let push = Vec3::z().cross(vector) * (self.strength * fade);
            out.forces[pairs.receivers[p] as usize] += push;
        }
        Ok(())
    }

    fn about(&self) -> About {
        About::plain("swirling")
    }
}

/// An engine whose pairs, as far as an audit sees them, are those of a list built at the start and never
/// again.
pub struct Unlisted {
    pub inner: Box<dyn Engine>,
    pub list: VerletList,
    /// Appends a neighbour that is not there.
    pub extra: bool,
}

impl Unlisted {
    /// Over the engine of argon at this start.
    pub fn new(start: Start, skin: f64) -> Self {
        let list = VerletList::build(
            &start.members.only().unwrap().cell,
            &start.positions,
            CUTOFF,
            skin,
        )
        .unwrap();
        Self {
            list,
            inner: engine(start, argon_potential(), false),
            extra: false,
        }
    }
}

/// A cube.
pub fn cube(edge: f64) -> Cell {
    Cell::new(Mat3::identity() * edge, [true; 3]).expect("a cube")
}
