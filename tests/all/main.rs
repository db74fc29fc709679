//! The integration tests, one binary: a second one would link Burn again.

mod analysis;
mod batch;
mod bench;
mod cif;
mod cli;
mod committee;
mod config;
mod constraints;
mod contract;
#[cfg(feature = "cuda")]
pub mod cuda;
mod formats;
mod fused;
mod fuzz;
mod groups;
#[cfg(unix)]
mod ipi;
mod loss;
mod members;
mod minimize;
mod models;
mod neighbors;
mod parity;
mod physics;
mod plumed;
mod readme;
mod recorder;
mod release;
mod report;
mod report_page;
mod restart;
mod schnet;
mod student;
mod support;
mod tidy;
mod validate;
mod view;
mod watch;
