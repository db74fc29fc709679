//! The binary: runs the command line, prints an error, and ends with its exit code.

mod allocator;

use std::process::ExitCode;

use mdrun::Error;
use mdrun::streams;
use mdrun::terminal::Terminal;

fn main() -> ExitCode {
    // A fault of the program has said what it is already; it ends with a documented exit code as well.
    let ended = std::panic::catch_unwind(mdrun::cli::run).unwrap_or_else(|_| {
        Err(Error::run(
            "this is a fault of the program (see the line above): please report it, with the run file",
        ))
    });
    ended.unwrap_or_else(|error| {
        streams::tell(&Terminal::err().message(&format!("error: {error}")));
        ExitCode::from(error.exit_code())
    })
}
