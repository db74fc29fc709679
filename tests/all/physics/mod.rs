//! Physics: what must hold of any engine is one body of tests (`bodies`), run for every subject.

mod allocations;
mod beside;
pub mod bodies;
mod csvr;
pub mod doubles;
mod held;
mod host_engine;
mod langevin;
mod lennard_jones;
pub mod members;
mod molecules;
mod noise;
mod npt;
mod numbers;
pub mod nve;
mod others;
pub mod pressed;
mod pressure;
mod ramps;
mod reference_fluid;
pub mod simulation;
mod slopes;
pub mod statistics;
mod steps;
pub mod subjects;
mod velocities;
