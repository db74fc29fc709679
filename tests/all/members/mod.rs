//! Batches as they are run: what is written of each member, and what of all together; faults, interrupts, and going on.

mod alone;
mod ends;
mod format;
mod loss;
mod many;
mod others;
pub mod plans;
mod program;
