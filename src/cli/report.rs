//! `mdrun report RUN_DIR [RUN_DIR ..]`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::overview::{self, RunOverview, beside};
use crate::report::{names, record};
use crate::terminal::Terminal;
use crate::{Error, Result, shell, streams};

/// `mdrun report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Of one run the page goes into its directory, as report.html; of several, which are shown side by side, to where --out says. A \
page is one file that needs no other, and no network. The run may still be going on.

  mdrun report trajectories/ethanol_nve
  mdrun report trajectories/water_nve trajectories/water_npt --out both.html

Exit codes: 0 done; 1 the page could not be written; 2 the input is wrong.")]
pub struct ReportArgs {
    /// The run's directory, or several
    #[arg(value_name = "RUN_DIR", required = true)]
    pub directories: Vec<PathBuf>,
    /// Write the page into this file; a page of mdrun that is there is replaced, anything else is not
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A directory holds no run, its record is damaged, or the page cannot be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    if let [directory] = args.directories.as_slice() {
        let (html, doubts) =
            overview::page_of(directory, &record::read(directory, overview::COMMAND)?)?;
        let own = directory.join(names::REPORT);
        return write(args.out.as_ref().unwrap_or(&own), &html, &doubts);
    }
    let runs: Vec<RunOverview> = (args.directories.iter())
        .map(|directory| RunOverview::read(directory))
        .collect::<Result<_>>()?;
    if runs.len() > beside::MOST_RUNS {
        return Err(Error::input(format!(
            "{} runs are too many for one page: name {} at most",
            runs.len(),
            beside::MOST_RUNS
        )));
    }
    expect_different(&args.directories)?;
    let Some(path) = &args.out else {
        let all: Vec<String> = (runs.iter())
            .map(|run| shell::quoted(&run.directory))
            .collect();
        return Err(Error::input(format!(
            "say where the page of several runs is to go: mdrun report {} --out runs.html",
            all.join(" ")
        )));
    };
    let doubts = runs.iter().filter_map(|run| run.course.clone().err());
    write(path, &beside::html(&runs), &doubts.collect::<Vec<_>>())
}

/// Sees to it that no run is named twice, by whatever path: beside itself it shows nothing.
fn expect_different(directories: &[PathBuf]) -> Result<()> {
    let whole = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let all: Vec<PathBuf> = directories.iter().map(whole).collect();
    let again =
        (0..all.len()).find_map(|k| Some((k, all[..k].iter().position(|one| *one == all[k])?)));
    let Some((second, first)) = again else {
        return Ok(());
    };
    let [first, second] = [first, second].map(|k| directories[k].display());
    Err(Error::input(format!(
        "{second} is the same run as {first}: name each once"
    )))
}

/// Writes the page, and tells what it is without.
fn write(path: &Path, html: &str, doubts: &[String]) -> Result<ExitCode> {
    overview::put(path, html)?;
    for doubt in doubts {
        let told = format!("warning: {doubt}; the page is without it");
        streams::tell(&Terminal::err().message(&told));
    }
    streams::print(&format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}
