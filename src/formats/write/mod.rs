//! What is written for viewers and other programs: trajectories, frames and topologies.

pub mod dcd;
mod encoder;
mod labels;
pub mod orient;
pub mod topology;
pub mod wrap;
pub mod xtc;
pub mod xyz;

pub use encoder::Encoder;
