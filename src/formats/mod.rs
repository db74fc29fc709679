//! Formats: structures are read, one reader a format, all of them behind [`read::read_frame`] and [`read::read_all`];
//! trajectories and topologies are [written](mod@write), and trajectories of runs are [read again](trajectory), frame by frame.

pub mod pickle;
pub mod read;
pub mod structure;
pub mod torch;
pub mod trajectory;

mod cif;
mod cif_tags;
mod cml;
mod crystal;
mod embedded;
mod fields;
mod gro;
mod hall;
mod isotopes;
mod labels;
mod lattice;
mod mmcif;
mod mol2;
mod pdb;
mod sdf;
mod spacegroups;
mod star;
mod symmetry;
mod text;
pub mod write;
mod xyz;

pub use embedded::embedded;
pub use read::{read, read_all, read_frame, read_labelled};
pub use structure::{FINAL, Labelled, Structure, TOPOLOGY, check_positions};
pub use xyz::{INTERNAL, NOISE_SEED, NOISE_STEP};
