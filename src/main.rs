//! The binary: runs the command line, prints an error, and ends with its exit code.

use std::process::ExitCode;

use mdrun::terminal::Terminal;

fn main() -> ExitCode {
    match mdrun::cli::run() {
        Ok(code) => code,
        Err(error) => {
            let terminal = Terminal::err();
            eprintln!("{}", terminal.message(&format!("error: {error}")));
            ExitCode::from(error.exit_code())
        }
    }
}
