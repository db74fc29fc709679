//! `mdrun completions` and `mdrun man`: from clap's own description of the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::Cli;
use crate::models;
use crate::{Error, Result, streams};

/// `mdrun completions SHELL`.
#[derive(Debug, Args)]
#[command(after_help = "\
For this session: `source <(mdrun completions bash)`, the same with zsh, `mdrun completions fish | source`. `make install` \
puts them where shells look for them.")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: Shell,
}

/// `mdrun man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command that the page is of; that of all of mdrun if none is named
    pub command: Option<String>,
    /// Write all pages into this folder instead
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    pub into: Option<PathBuf>,
}

/// What every page and `--help` cannot say of a command: sections of the main page.
const SECTIONS: [(&str, &[&str]); 4] = [
    (
        "EXAMPLES",
        &[
            "mdrun init my.sdf",
            "mdrun check run.toml",
            "mdrun run.toml --set dynamics.duration=1ps --out try",
            "mdrun watch try",
            "mdrun resume try",
            "mdrun energy --model painn_hcno_gfn2 --structure molecule.xyz",
            "mdrun minimize --structure molecule.sdf --out minimum.xyz",
            "i-pi input.xml & mdrun serve --model painn_hcno_gfn2 --structure molecule.xyz --address unix:water",
            "mdrun diagnose trajectories/run",
            "mdrun analyze trajectories/run --what rdf,msd --html",
        ],
    ),
    (
        "EXIT STATUS",
        &[
            "0: done.",
            "1: the run failed: a limit was broken, a number is not finite, a disk is full.",
            "2: the input is wrong, and nothing was written.",
            "3, 4: mdrun diagnose has found a cause, or cannot tell; 3: mdrun minimize has not converged.",
            "128 + the number of a signal: it was interrupted; all files are complete.",
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            "MDRUN_DATA, XDG_DATA_HOME: a model that is named without a path is looked for in the folder models of the \
             first, and mdrun/models of the second.",
            "NO_COLOR, CLICOLOR_FORCE, TERM: whether output is in colour.",
        ],
    ),
    (
        "FILES",
        &[
            "PREFIX/share/mdrun/configs: commented run files to begin with.",
            "PREFIX/share/mdrun/models: trained potentials.",
            "PREFIX/share/doc/mdrun: the guide, with every key of the run file.",
        ],
    ),
];

/// Prints completions.
///
/// # Errors
/// Standard output cannot be written.
pub fn completions(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mdrun", &mut script);
    streams::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a manual page in roff, or writes all of them.
///
/// # Errors
/// There is no such command, or a page cannot be written.
pub fn man(args: &ManArgs) -> Result<ExitCode> {
    let mut all = Cli::command();
    all.build();
    if let Some(folder) = &args.into {
        write(&folder.join("mdrun.1"), &render(all.clone(), true)?)?;
        for command in all
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            let path = folder.join(format!("mdrun-{}.1", command.get_name()));
            write(&path, &page(command)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let text = match &args.command {
        None => render(all, true)?,
        Some(name) => {
            let found = all.find_subcommand(name);
            page(found.ok_or_else(|| Error::input(format!("there is no command {name:?}")))?)?
        }
    };
    streams::print(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}

/// The page of a command.
fn page(command: &Command) -> Result<Vec<u8>> {
    let name = format!("mdrun-{}", command.get_name());
    render(command.clone().display_name(name), false)
}

fn write(path: &Path, text: &[u8]) -> Result<()> {
    std::fs::write(path, text).map_err(|e| Error::run(format!("{}: {e}", path.display())))
}

fn render(page: Command, main: bool) -> Result<Vec<u8>> {
    roff(page, main).map_err(|e| Error::run(format!("the manual page: {e}")))
}

fn roff(page: Command, main: bool) -> std::io::Result<Vec<u8>> {
    // A page without a date would have what comes next in its place.
    let date = env!("MDRUN_COMMIT").split(" of ").nth(1);
    let date = date.and_then(|date| date.get(..10)).unwrap_or("2026");
    let man = Man::new(page)
        .date(date)
        .source(concat!("mdrun ", env!("CARGO_PKG_VERSION")))
        .manual("mdrun");
    let mut text = Vec::new();
    if !main {
        man.render(&mut text)?;
        return Ok(text);
    }
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    man.render_subcommands_section(&mut text)?;
    let mut roff = Roff::new();
    for (title, paragraphs) in SECTIONS {
        roff.control("SH", [title]);
        for paragraph in paragraphs {
            roff.control("PP", []);
            roff.text([roman(*paragraph)]);
        }
    }
    roff.control("SH", ["MODELS"]);
    roff.text([roman(format!(
        "Inside the program: {}.",
        models::names().join(", ")
    ))]);
    roff.to_writer(&mut text)?;
    Ok(text)
}
