//! Text for people on standard output.

use crate::terminal::Terminal;
use crate::{Result, streams};

/// Prints text for people on standard output: long lines are broken where it is a terminal.
///
/// # Errors
/// Some of it is lost, though someone is there to read it.
pub fn show(text: &str) -> Result<()> {
    streams::print(&Terminal::out().fit(text))
}
