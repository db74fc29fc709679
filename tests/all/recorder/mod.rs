//! The flight recorder, audits of the pairs, and what a run's drift comes from.

mod audit;
mod causes;
mod command;
mod cost;
mod flight;
pub mod potentials;
