//! One moment of a run, as it leaves the device.

use super::{Cell, Kept, Mat3, Spread, Vec3};

/// Which arrays a reader of snapshots wants. Observables always come along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields {
    /// Unwrapped positions.
    pub positions: bool,
    /// Velocities.
    pub velocities: bool,
    /// Forces.
    pub forces: bool,
}

impl Fields {
    /// Nothing but the observables.
    pub const NONE: Self = Self {
        positions: false,
        velocities: false,
        forces: false,
    };
    /// What has to be kept to go on from a state: forces follow from the positions.
    pub const PHASE: Self = Self {
        positions: true,
        velocities: true,
        forces: false,
    };
    /// All arrays.
    pub const ALL: Self = Self {
        positions: true,
        velocities: true,
        forces: true,
    };

    /// What either of the two wants.
    pub fn union(self, other: Self) -> Self {
        Self {
            positions: self.positions || other.positions,
            velocities: self.velocities || other.velocities,
            forces: self.forces || other.forces,
        }
    }
}

/// The scalars (and small tensors) of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observables {
    /// Potential energy (eV).
    pub potential: f64,
    /// The part of it that acts from outside of the potential: springs, walls and forces of groups (eV).
    pub external: f64,
    /// Kinetic energy (eV).
    pub kinetic: f64,
    /// What thermostat and barostat have put in.
    pub kept: Kept,
    /// Total momentum (u angstrom / time).
    pub momentum: Vec3,
    /// Derivative of the potential energy with respect to a homogeneous strain (eV):
    /// dE/d(strain)\[a\]\[b\] = sum over pairs of r_a dE/dr_b. Stress is this over the volume.
    pub strain_derivative: Mat3,
    /// How far the members of a committee are apart; `None` of a potential that is none.
    pub spread: Option<Spread>,
}

impl Observables {
    /// Total energy (eV).
    pub fn total(&self) -> f64 {
        self.potential + self.kinetic
    }

    /// The quantity (eV) that exact dynamics conserves: total energy, less the heat and the work put in.
    pub fn conserved(&self) -> f64 {
        self.total() - self.kept.heat - self.kept.work - self.kept.pulled
    }
}

/// One moment of a run: observables, and the arrays that were asked for (the others are empty).
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Steps taken since the run began.
    pub step: u64,
    /// Simulated time (angstrom sqrt(u / eV)).
    pub time: f64,
    /// The cell.
    pub cell: Cell,
    /// Scalars.
    pub observables: Observables,
    /// Unwrapped positions, one per atom (angstrom).
    pub positions: Vec<Vec3>,
    /// Velocities, one per atom (angstrom / time).
    pub velocities: Vec<Vec3>,
    /// Forces, one per atom (eV / angstrom).
    pub forces: Vec<Vec3>,
}

impl Snapshot {
    /// A moment of which nothing is known but its step, its time (angstrom sqrt(u / eV)) and its cell.
    pub fn blank(step: u64, time: f64, cell: Cell) -> Self {
        Self {
            step,
            time,
            cell,
            observables: Observables::default(),
            positions: Vec::new(),
            velocities: Vec::new(),
            forces: Vec::new(),
        }
    }
}
