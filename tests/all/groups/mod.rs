//! Groups of atoms: what is done to them while they move, and hydrogen made heavier.

mod baths;
mod external;
pub mod frozen;
mod hydrogen;
mod keys;
mod restart;
mod stages;
