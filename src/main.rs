//! The binary: runs the command line, prints an error, and ends with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match mdrun::cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
