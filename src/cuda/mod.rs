//! CUDA: cards, their memory, the compiler, launches, and structures that host and card share. Knows no physics.

pub mod array;
pub mod compiler;
pub mod device;
pub(crate) mod fault;
pub mod launch;
pub mod layout;
pub mod memory;

mod cache;

pub use array::CardArray;
pub use device::{Card, Device, Survey, check, check_headers, devices, name, survey};

/// Threads that run in step.
pub const WARP: u32 = 32;
