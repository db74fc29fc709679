//! Engines own phase space, forces and pairs, and run blocks of steps.

pub mod batch;
mod biased;
#[cfg(feature = "cuda")]
pub mod cuda;
mod groups;
pub mod host;

use std::ops::{ControlFlow, Range};

use crate::core::{Cell, Fields, Kept, Members, Snapshot, System, Vec3};
use crate::dynamics::{Constraints, Program};
use crate::forcefield::RunBias;
use crate::neighbors::Listed;
use crate::potential::About;
use crate::{Error, Result};

pub use batch::{BatchEngine, BatchMember, HostBatch, PendingBatch, ReadyBatch};
pub use groups::{GroupRules, OwnBath};
pub use host::HostEngine;

/// The point in phase space that an engine starts from.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Species and masses.
    pub system: System,
    /// Which atoms are whose, in which cells, and what was put into them. Engines take one system alone.
    pub members: Members,
    /// Unwrapped positions, one per atom (angstrom).
    pub positions: Vec<Vec3>,
    /// Velocities, one per atom (angstrom / time).
    pub velocities: Vec<Vec3>,
    /// Steps taken already: 0, or those of the checkpoint that this is.
    pub step: u64,
    /// What is done to some of the atoms.
    pub groups: GroupRules,
    /// Distances that stay what they are, which positions and velocities satisfy.
    pub constraints: Constraints,
}

impl Start {
    /// A start of one system alone, of replica 0, at step 0.
    pub fn new(system: System, cell: Cell, positions: Vec<Vec3>, velocities: Vec<Vec3>) -> Self {
        Self {
            members: Members::alone(system.len(), cell),
            system,
            positions,
            velocities,
            step: 0,
            groups: GroupRules::default(),
            constraints: Constraints::default(),
        }
    }

    /// Sets which replica all members are.
    pub fn of_replica(mut self, replica: u32) -> Self {
        for member in self.members.all_mut() {
            member.replica = replica;
        }
        self
    }

    /// Sets the steps taken, and what was put into each member, already.
    pub fn after(mut self, step: u64, kept: Kept) -> Self {
        self.step = step;
        for member in self.members.all_mut() {
            member.kept = kept;
        }
        self
    }

    /// Sets what is done to some of the atoms; those that do not move come to rest.
    pub fn with_groups(mut self, groups: GroupRules) -> Self {
        groups.rest(&mut self.velocities);
        self.groups = groups;
        self
    }

    /// Sets the distances that stay what they are.
    pub fn with_constraints(self, constraints: Constraints) -> Self {
        Self {
            constraints,
            ..self
        }
    }

    /// Checks that there are no constraints: for engines that know none.
    ///
    /// # Errors
    /// There are some.
    pub fn check_unconstrained(&self) -> Result<()> {
        match self.constraints.is_empty() {
            true => Ok(()),
            false => Err(Error::input("constraints are kept on the processor alone")),
        }
    }

    /// Checks that there is a mass, a position and a velocity for each atom of a member, and that they are numbers.
    ///
    /// # Errors
    /// What is missing or wrong, and for which atom (counted from 0).
    pub fn check(&self) -> Result<()> {
        let atoms = self.system.len();
        let lengths = [
            ("atoms of members", self.members.atoms()),
            ("masses", self.system.masses.len()),
            ("positions", self.positions.len()),
            ("velocities", self.velocities.len()),
        ];
        for (name, length) in lengths {
            if length != atoms {
                return Err(Error::input(format!("{length} {name} for {atoms} atoms")));
            }
        }
        self.groups.check(atoms)?;
        if let Some(i) = (self.system.masses.iter()).position(|m| !(*m > 0.0 && m.is_finite())) {
            let mass = self.system.masses[i];
            return Err(Error::input(format!(
                "atom {i} has a mass of {mass} u: masses must be positive"
            )));
        }
        for (name, vectors) in [
            ("position", &self.positions),
            ("velocity", &self.velocities),
        ] {
            if let Some(i) = vectors
                .iter()
                .position(|v| v.iter().any(|x| !x.is_finite()))
            {
                return Err(Error::input(format!(
                    "atom {i} has a {name} that is not a finite number"
                )));
            }
        }
        Ok(())
    }
}

/// What happened in a block, one bit each; read back after every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// Nothing: the block stands.
    pub const OK: Self = Self(0);
    /// An energy, force or coordinate is not a finite number.
    pub const NONFINITE: Self = Self(1);
    /// A limit of [`Limits`] was broken.
    pub const LIMIT: Self = Self(2);
    /// A barostat strained the cell too far.
    pub const CELL: Self = Self(4);
    /// A constraint cannot be satisfied.
    pub const CONSTRAINT: Self = Self(8);
    /// What always ends a block.
    pub const FATAL: Self = Self(Self::NONFINITE.0 | Self::CELL.0 | Self::CONSTRAINT.0);

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets of bits.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Limits that an engine checks after every step. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Largest norm of the force on one atom (eV / angstrom).
    pub force: Option<f64>,
    /// Smallest distance between two atoms (angstrom); seen within the potential's cutoff only.
    pub contact: Option<f64>,
    /// Largest kinetic energy (eV).
    pub kinetic: Option<f64>,
    /// Total mass (u) where that of the centre of mass is left out of it.
    pub held_mass: Option<f64>,
    /// Least and largest volume (cubic angstrom) of a cell that a barostat may change. Outside of them a block always ends.
    pub volume: Option<[f64; 2]>,
    /// Whether a block ends with the step that breaks a limit.
    pub stop: bool,
}

/// Which limit was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// The force on an atom.
    Force,
    /// The distance between two atoms.
    Contact,
    /// The kinetic energy of all atoms, less that of the centre of mass where it is left out.
    Kinetic,
    /// Something is not a finite number.
    Finite,
    /// The strain of the cell in one rescaling of a barostat (dimensionless).
    Cell,
    /// The volume.
    Volume,
    /// What a constrained distance is off by, as a part of it, or how fast it changes.
    Constraint,
}

impl Watched {
    /// The flag that tells of it.
    pub fn flag(self) -> Flags {
        match self {
            Self::Finite => Flags::NONFINITE,
            Self::Cell | Self::Volume => Flags::CELL,
            Self::Constraint => Flags::CONSTRAINT,
            Self::Force | Self::Contact | Self::Kinetic => Flags::LIMIT,
        }
    }
}

/// A broken limit, a number that is not finite, or a cell that cannot be strained as it is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Breach {
    /// Steps taken when it was seen: the state after this many steps is at fault.
    pub step: u64,
    /// Which limit.
    pub what: Watched,
    /// The value found, in the unit of the limit.
    pub value: f64,
    /// The atoms at fault (indices from 0): one for a force, two for a contact, those with numbers
    /// that are not finite (at most [`Breach::MOST_ATOMS`]), none for the kinetic energy.
    pub atoms: Vec<usize>,
}

impl Breach {
    /// Most atoms named in one breach.
    pub const MOST_ATOMS: usize = 8;
}

/// A value and the atoms at fault.
type AtFault = (f64, Vec<usize>);

/// The first of values that are at fault, and the atoms of all of them, at most [`Breach::MOST_ATOMS`].
fn at_fault(found: impl Iterator<Item = (usize, f64)>) -> Option<AtFault> {
    let found: Vec<(usize, f64)> = found.take(Breach::MOST_ATOMS).collect();
    let value = found.first()?.1;
    Some((value, found.into_iter().map(|(i, _)| i).collect()))
}

/// Atoms with a component that is not finite, and the first such component.
fn not_numbers(vectors: &[Vec3]) -> Option<AtFault> {
    let bad = |v: &Vec3| v.iter().copied().find(|x| !x.is_finite());
    at_fault((vectors.iter().enumerate()).filter_map(|(i, v)| Some((i, bad(v)?))))
}

/// How a block ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What happened.
    pub flags: Flags,
    /// Steps taken since the run began; less than the block's end only where a flag ended it.
    pub step: u64,
    /// What ended the block, or else the first broken limit.
    pub breach: Option<Breach>,
}

impl Outcome {
    /// Notes a breach: what ends the block is told, or else the first.
    pub(crate) fn note(&mut self, breach: Breach) {
        let flag = breach.what.flag();
        self.flags = self.flags.union(flag);
        if Flags::FATAL.contains(flag) || self.breach.is_none() {
            self.breach = Some(breach);
        }
    }

    /// No step taken past `step`, nothing seen.
    fn none(step: u64) -> Self {
        Self {
            flags: Flags::OK,
            step,
            breach: None,
        }
    }
}

/// A snapshot on its way from the device. It borrows nothing of the engine, and outlives it.
pub trait Pending: Send {
    /// Waits until it is there.
    ///
    /// # Errors
    /// The device failed.
    fn take(self: Box<Self>) -> Result<Snapshot>;
}

/// A snapshot that is there already.
pub struct Ready(pub Snapshot);

impl Pending for Ready {
    fn take(self: Box<Self>) -> Result<Snapshot> {
        Ok(self.0)
    }
}

/// An engine owns positions, velocities, forces and pairs. A constructed engine holds valid forces.
///
/// The state after a block depends on the state before and the steps alone, not on how steps are cut
/// into blocks, nor on when pairs were rebuilt.
pub trait Engine: Send {
    /// Takes the steps `steps` (step s leads from state s to state s + 1; s counts the noise too).
    /// An empty range takes none and checks the present state as after a step.
    ///
    /// # Errors
    /// The device failed. What physics can do wrong is in the flags instead.
    fn run(&mut self, program: &Program, steps: Range<u64>) -> Result<Outcome>;

    /// Does as [`Engine::run`] and calls `meanwhile` once: beside the block on a device that works by itself, else
    /// before the block. Where `meanwhile` breaks off, so does the block: `None`. The state is undefined then until
    /// [`Engine::rollback`] or [`Engine::restore`].
    ///
    /// # Errors
    /// The device failed, maybe before `meanwhile` was called.
    fn run_beside(
        &mut self,
        program: &Program,
        steps: Range<u64>,
        meanwhile: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Outcome>> {
        match meanwhile() {
            ControlFlow::Continue(()) => self.run(program, steps).map(Some),
            ControlFlow::Break(()) => Ok(None),
        }
    }

    /// Remembers the present state.
    ///
    /// # Errors
    /// The device failed.
    fn save(&mut self) -> Result<()>;

    /// Goes back to the state last saved.
    ///
    /// # Errors
    /// The device failed.
    fn rollback(&mut self) -> Result<()>;

    /// Puts the engine into another state of the same system: step, cell, what was put in, positions and velocities of
    /// a snapshot that holds both. What follows is, bit for bit, what followed then. The state saved is this
    /// one now.
    ///
    /// # Errors
    /// The device failed, or the arrays are not those of this system.
    fn restore(&mut self, state: &Snapshot) -> Result<()>;

    /// Builds the pairs anew from the present positions, with more room if there was too little.
    ///
    /// # Errors
    /// The device failed, or has no room for the pairs.
    fn rebuild(&mut self) -> Result<()>;

    /// Sets what is checked after every step.
    fn watch(&mut self, limits: Limits);

    /// The present state: observables, and the arrays wanted. Arrays leave the device here and by
    /// [`Engine::request`] alone.
    ///
    /// # Errors
    /// The device failed.
    fn snapshot(&mut self, want: Fields) -> Result<Snapshot>;

    /// Starts to take the present state, which may be left before it is taken: several may be under way, and
    /// each is of the moment at which it was requested. Dropped without being taken, it is as if never requested.
    ///
    /// # Errors
    /// The device failed.
    fn request(&mut self, want: Fields) -> Result<Box<dyn Pending>> {
        Ok(Box::new(Ready(self.snapshot(want)?)))
    }

    /// The pairs of some receivers (indices from 0) that the present forces were computed with.
    ///
    /// # Errors
    /// The device failed.
    fn listed(&mut self, receivers: &[usize]) -> Result<Listed>;

    /// Takes in what biases the system from the present state on, which it is asked for at once. From here on there is no way
    /// back to an earlier state.
    ///
    /// # Errors
    /// This engine takes none, or the bias has failed.
    fn bias(&mut self, _bias: Box<dyn RunBias>) -> Result<()> {
        Err(Error::input(
            "what biases a system acts on the processor alone",
        ))
    }

    /// Counts of what was done so far.
    fn statistics(&self) -> Statistics;

    /// What computes the forces, on what.
    fn about(&self) -> About;
}

/// Checks that a state has the arrays to restore a system of as many atoms from.
fn restorable(state: &Snapshot, atoms: usize) -> Result<()> {
    let lengths = [state.positions.len(), state.velocities.len()];
    if lengths != [atoms; 2] {
        return Err(Error::run(format!(
            "step {}: {} positions and {} velocities are not a state of {atoms} atoms",
            state.step, lengths[0], lengths[1]
        )));
    }
    Ok(())
}

/// Counts for the closing summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Times the pairs were built.
    pub rebuilds: u64,
    /// Ordered pairs within the cutoff at the present moment.
    pub pairs: u64,
}
