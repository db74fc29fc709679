//! Run files, good and bad.

mod bad;
mod batch;
mod good;
mod keys;
mod models;
mod structures;
