//! Findings as files: a table (CSV) and pictures (SVG) of each, and a page of all of them if it is wanted. Each file is replaced
//! as a whole.

use std::path::Path;

use super::AnalysisFinding;
use crate::Result;
use crate::report::{make_folder, replace};

/// The folder in a run's directory where findings go.
pub const FOLDER: &str = "analysis";
/// The page.
pub const PAGE: &str = "analysis.html";

/// Writes findings into a folder, which is made if it is not there, and gives the names of the files.
///
/// # Errors
/// The folder cannot be made, or a file not be written.
pub fn write(
    folder: &Path,
    findings: &[AnalysisFinding],
    page: Option<&str>,
) -> Result<Vec<String>> {
    make_folder(folder)?;
    let mut files = Vec::new();
    let mut put = |name: String, bytes: &[u8]| -> Result<()> {
        replace(&folder.join(&name), bytes)?;
        files.push(name);
        Ok(())
    };
    for finding in findings {
        put(format!("{}.csv", finding.name), finding.table.bytes())?;
        for (name, plot) in &finding.plots {
            put(format!("{name}.svg"), plot.file().as_bytes())?;
        }
    }
    if let Some(page) = page {
        put(PAGE.to_owned(), page.as_bytes())?;
    }
    Ok(files)
}
