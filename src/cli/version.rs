//! `mdrun --version`: what this program is, and what it finds on this machine.

use std::fmt::Write as _;

use super::words;
use crate::potential::painn::cpu::Isa;
use crate::{Result, models};

/// Prints it.
///
/// # Errors
/// Standard output cannot be written.
pub fn print() -> Result<()> {
    words::show(&describe())
}

fn describe() -> String {
    let mut text = format!("mdrun {}\n", env!("CARGO_PKG_VERSION"));
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:9} {value}");
    };
    line("commit", env!("MDRUN_COMMIT"));
    line(
        "features",
        if cfg!(feature = "cuda") {
            "cuda"
        } else {
            "none"
        },
    );
    let known: Vec<&str> = Isa::available().iter().map(|isa| isa.name()).collect();
    line("SIMD", known.first().unwrap_or(&"none"));
    line("CUDA", &cuda());
    let folders: Vec<String> = (models::folders().iter())
        .map(|folder| folder.display().to_string())
        .collect();
    line(
        "models",
        &format!(
            "{} inside; others by name from {}",
            models::names().join(", "),
            folders.join(", ")
        ),
    );
    text
}

#[cfg(feature = "cuda")]
fn cuda() -> String {
    let found = crate::cuda::survey();
    let version = |version: Option<(i32, i32)>, what: &str| match version {
        Some((major, minor)) => format!("{what} {major}.{minor}"),
        None => format!("no {what}"),
    };
    let mut parts = vec![
        version(found.driver, "driver"),
        version(found.compiler, "compiler library (libnvrtc)"),
    ];
    parts.extend((found.cards.iter().enumerate()).map(|(k, name)| format!("cuda:{k} {name}")));
    parts.join(", ")
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> String {
    "not built in (the feature `cuda`)".to_owned()
}
