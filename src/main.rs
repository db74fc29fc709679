//! The binary: runs the command line, and ends with its exit code.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    mdrun::cli::program(std::env::args_os().collect())
}
