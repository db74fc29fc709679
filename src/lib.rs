//! mdrun: molecular dynamics of a trained PaiNN potential.
//!
//! The modules in reading order: [`units`] and [`error`] are used everywhere; [`input`] opens files that users
//! name; [`terminal`] knows what the user's can show, [`streams`]
//! what becomes of what is printed; [`core`] holds the
//! physical state (species, cell, snapshots, observables, noise); [`integrate`] says what a step is;
//! [`neighbors`] and [`potential`] turn positions into energies and forces, together they are a [`forcefield`]; [`engine`]
//! owns the phase space and runs blocks of steps; [`simulation`] plans, commits and rolls back blocks; [`report`]
//! watches and writes; [`formats`] reads structures; [`models`] finds models; [`config`] reads the run file;
//! [`memory`] knows what room there is; [`diagnose`] replays a run to say what is wrong with it; [`assemble`] puts all
//! of it together; [`mod@bench`] measures it; [`cli`] is the command line.
//!
//! # Invariants
//!
//! * Architecture invariant: `core`, `integrate`, `engine`, `potential` and `neighbors` never import
//!   `std::fs`, serde or `config`; files are read by `config` and `formats` and written by `report`. Two
//!   exceptions: `engine::cuda::cache` keeps compiled kernels in the user's cache folder, and
//!   `potential::painn::reference::cuda` looks whether CUDA's headers are there, without which Burn would panic. And
//!   `potential::painn::import` parses the metadata of a model file, which are JSON.
//! * Architecture invariant: inside, quantities are in eV, angstrom and u, temperatures are kT in eV,
//!   and time is in angstrom sqrt(u / eV) (10.18 fs). Only `config`, `formats`,
//!   `report`, `diagnose`, `assemble`, `bench` and `cli` import `units`.
//! * Architecture invariant: phase space is f64 whatever the network's precision is; energies are
//!   summed in f64 in a fixed order.
//! * Architecture invariant: pairs are sorted by receiver, then by neighbour id, then by image, and
//!   every sum over neighbours is a gather in that order. Same input, same bits, on one device.
//! * Architecture invariant: noise is a pure function of (seed, replica, step, atom, stream).
//! * Architecture invariant: positions are unwrapped inside; wrapping is a choice of a writer.
//! * Architecture invariant: Burn's types stop at `Box<dyn Potential>` and `Box<dyn Engine>`.

#![warn(missing_docs)]

pub mod error;
pub mod input;
pub mod paths;
pub mod streams;
pub mod terminal;
pub mod text;
pub mod units;

pub mod core;
pub mod integrate;

pub mod neighbors;
pub mod potential;

pub mod forcefield;

pub mod engine;
pub mod simulation;

pub mod formats;
pub mod models;
pub mod report;

pub mod config;

pub mod diagnose;
pub mod memory;
pub mod shell;

pub mod assemble;

pub mod bench;
pub mod cli;

pub use error::{Error, Result};
