//! Batches as they are run: what is written of each member, and what of all together; faults, interrupts, and going on.

mod alone;
mod ends;
mod many;
pub mod plans;
