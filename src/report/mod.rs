//! Reporters: what watches a run and writes it down. The loop in [`crate::simulation`] shows them its states.
//!
//! A run has an [`EnergyRecord`] shared through [`Energies`] and a [`Console`];
//! from these the reporters: [`DriftMonitor`] keeps the record, [`Thermo`] and [`Progress`] show it, a
//! [`pace::PaceMonitor`] looks at the clock, a [`Trajectory`] each writes frames, and a [`SpreadMonitor`] those that a
//! committee's models disagree on; a [`NumbersMonitor`] compares a network's numbers with f64.
//! [`members`] does all of this for the members of a batch.
//! [`topology`](crate::formats::write::topology) stands beside the trajectories, [`RunRecord`] (`run.json`) around all of it,
//! and [`Summary`] closes. [`recorder`] writes the steps before a fault.

pub mod checkpoint;
pub mod console;
mod course;
pub mod drift;
pub(crate) mod file;
mod foreign;
pub mod history;
pub mod members;
pub mod names;
pub mod numbers;
pub(crate) mod own;
pub mod pace;
mod pool;
pub mod progress;
pub mod record;
pub mod recorder;
pub mod series;
pub mod settle;
pub mod spread;
pub mod summary;
mod table;
pub mod thermo;
pub mod trajectory;
mod verdict;
pub mod view;

pub use checkpoint::{Checkpoint, Identity};
pub use console::{Console, Verbosity};
pub use course::{RunOutcome, Status};
pub use drift::{DriftMonitor, Energies, EnergyRecord};
pub use file::{Verified, WholeFile, look_at, make_folder, replace};
pub use foreign::ForeignFiles;
pub use members::BatchReport;
pub use members::summary::BatchSummary;
pub use numbers::{NumbersMonitor, NumbersRecord, Raise, Rungs};
pub use progress::Progress;
pub use record::{Description, Earlier, OriginFile, RunRecord};
pub use recorder::Recorded;
pub use settle::{SettleMonitor, SettleRecord};
pub use spread::{SpreadLimit, SpreadMonitor};
pub use summary::Summary;
pub use thermo::Thermo;
pub use trajectory::Trajectory;
