//! What is written, read back.

mod directory;
mod drift;
mod faults;
mod formats;
pub mod frames;
mod history;
mod python;
mod series;
mod summary;
mod thermo;
mod topology;
mod verdict;
mod viewers;
mod wrapping;
