//! Run files, good and bad.

mod bad;
mod good;
mod keys;
mod models;
mod structures;
