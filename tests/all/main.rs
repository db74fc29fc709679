//! The integration tests, one binary: a second one would link Burn again.

mod bench;
mod cli;
mod config;
#[cfg(feature = "cuda")]
mod cuda;
mod fused;
mod fuzz;
mod neighbors;
mod parity;
mod physics;
mod report;
mod support;
mod tidy;
