//! The physical state and what can be read off it. No files, no configuration, no devices.

pub mod cell;
mod chain;
pub mod elements;
mod lattice;
pub mod members;
pub mod observe;
pub mod rng;
pub mod snapshot;
mod spread;
pub mod system;
pub mod velocities;

pub use cell::{Cell, Fitted};
pub use chain::{ChainState, MOST_LINKS, PistonState};
pub use members::{Kept, Member, Members};
pub use snapshot::{Fields, Observables, Snapshot};
pub use spread::Spread;
pub use system::{AtomName, FormalElectrons, System};

/// A position, velocity, force or other Cartesian vector of one atom.
pub type Vec3 = nalgebra::Vector3<f64>;
/// A 3 x 3 matrix of Cartesian components (or lattice vectors, one per row).
pub type Mat3 = nalgebra::Matrix3<f64>;
