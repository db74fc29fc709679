//! `mdrun keys`: the reference of the run file's keys.

use std::process::ExitCode;

use super::{KeysArgs, words};
use crate::{Result, config};

/// Prints it.
///
/// # Errors
/// There is no such table, or standard output cannot be written.
pub fn run(args: &KeysArgs) -> Result<ExitCode> {
    let name = args
        .table
        .as_deref()
        .map(|name| name.trim_matches(['[', ']']));
    words::show(&config::listing(name)?)?;
    Ok(ExitCode::SUCCESS)
}
