//! Structure files: one reader a format, all of them behind [`read::read_frame`].

pub mod read;
pub mod structure;

mod chemfiles;
mod labels;
mod lattice;
mod mmcif;
mod xyz;

pub use chemfiles::{collect_warnings, take_warnings};
pub use read::{FINAL, read, read_frame};
pub use structure::Structure;
pub use xyz::{INTERNAL, NOISE_SEED, NOISE_STEP};
