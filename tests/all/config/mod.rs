//! Run files, good and bad.

mod bad;
mod good;
mod models;
mod structures;
