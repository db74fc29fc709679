//! Many systems at once: each is what it is alone, to the last bit.

mod bound;
#[cfg(feature = "cuda")]
mod card;
mod faults;
mod host;
pub mod mixes;
