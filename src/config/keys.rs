//! The table of the run file's keys: what each is called, what it may be, what it is where it is left out, and what it is for.
//!
//! A key is read by its row. The hint where a misplaced key belongs and the reference in docs/guide.md are made from the
//! rows as well. Each table of the run file has a file here.

pub mod constraints;
pub mod device;
pub mod dynamics;
pub mod group;
pub mod minimize;
pub mod monitor;
pub mod output;
pub mod plumed;
pub mod potential;
pub mod reference;
pub mod row;
pub mod stage;
pub mod system;

use row::{Form, KeyTable};

/// All tables, in the order of the reference.
pub static TABLES: [&KeyTable; 18] = [
    &system::TABLE,
    &system::VELOCITIES_TABLE,
    &potential::TABLE,
    &potential::LENNARD_JONES_TABLE,
    &potential::REPULSION_TABLE,
    &dynamics::TABLE,
    &output::TABLE,
    &output::TRAJECTORY_TABLE,
    &monitor::TABLE,
    &device::TABLE,
    &constraints::TABLE,
    &group::TABLE,
    &group::SPRING_TABLE,
    &group::WALL_TABLE,
    &group::THERMOSTAT_TABLE,
    &plumed::TABLE,
    &stage::TABLE,
    &minimize::TABLE,
];

/// The table with a heading of its own that a key belongs in.
pub fn home(key: &str) -> Option<&'static KeyTable> {
    (TABLES.iter().copied()).find(|table| table.form != Form::Inline && table.has(key))
}
