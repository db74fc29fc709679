//! mdrun: molecular dynamics of a trained potential, as a library. `examples/bond_length.rs` is a run of its own making.
//!
#![doc = include_str!("../docs/architecture.md")]
#![warn(missing_docs)]

pub mod error;
pub mod input;
pub mod paths;
pub mod plot;
pub mod streams;
pub mod terminal;
pub mod text;
pub mod units;
pub mod workers;

pub mod core;
pub mod dynamics;

#[cfg(feature = "cuda")]
pub mod cuda;

pub mod neighbors;
pub mod potential;
pub mod selection;

pub mod forcefield;
pub mod minimize;

pub mod engine;
pub mod simulation;

pub mod ipi;
pub mod plumed;

pub mod formats;
pub mod models;
pub mod report;

pub mod config;

pub mod analysis;
pub mod diagnose;
pub mod memory;
pub mod overview;
pub mod shell;
pub mod validate;

pub mod convert;

pub mod assemble;
pub mod run;

pub mod bench;
pub mod cli;

pub use error::{Error, Result};
