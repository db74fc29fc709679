//! `mdrun report RUN_DIR [RUN_DIR ..]`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::overview::{self, RunOverview, beside};
use crate::report::names;
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
    let runs: Vec<RunOverview> = args
        .directories
        .iter()
        .map(|directory| RunOverview::read(directory))
        .collect::<Result<_>>()?;
    let (path, html) = match (runs.as_slice(), &args.out) {
        ([one], out) => {
            let own = one.directory.join(names::REPORT);
            (out.clone().unwrap_or(own), one.html(&one.states()))
        }
        (several, Some(out)) if several.len() <= beside::MOST_RUNS => {
            (out.clone(), beside::html(several))
        }
        (several, None) => {
            let all: Vec<String> = several
                .iter()
                .map(|run| shell::quoted(&run.directory))
                .collect();
            return Err(Error::input(format!(
                "say where the page of several runs is to go: mdrun report {} --out runs.html",
                all.join(" ")
            )));
        }
        (several, Some(_)) => {
            return Err(Error::input(format!(
                "{} runs are too many for one page: name {} at most",
                several.len(),
                beside::MOST_RUNS
            )));
        }
    };
    overview::put(&path, &html)?;
    for why in runs.iter().filter_map(|run| run.course.as_ref().err()) {
        streams::tell(&Terminal::err().message(&format!("warning: {why}; the page is without it")));
    }
    streams::print(&format!("{}\n", path.display()))?;
    Ok(ExitCode::SUCCESS)
}
