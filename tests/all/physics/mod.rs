//! Physics: what must hold of any engine is one body of tests (`bodies`), run for every subject.

mod allocations;
mod bodies;
mod doubles;
mod host_engine;
mod langevin;
mod lennard_jones;
mod noise;
mod nve;
mod simulation;
mod statistics;
mod subjects;
mod velocities;
