//! The terminal: table and closing summary on stdout, progress bar and remarks on stderr, without one
//! tearing the other.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::members::summary::BatchSummary;
use super::names;
use super::summary::Summary;
use crate::terminal::{Mood, Terminal, shown};
use crate::{Result, streams};

/// Most remarks that are kept: those that come first.
const MOST_KEPT: usize = 100;

/// What the user wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verbosity {
    /// Nothing but warnings and errors.
    pub quiet: bool,
    /// stdout is for a machine: no table, no summary for people.
    pub json: bool,
}

/// The terminal, shared by those who write to it.
#[derive(Debug, Clone)]
pub struct Console {
    bar: ProgressBar,
    table: bool,
    notes: bool,
    remarks: bool,
    /// Whether stdout is for a machine.
    json: bool,
    /// Whether it was said that standard output is lost.
    lost: Arc<AtomicBool>,
    /// Remarks and notes, shown or not.
    kept: Arc<Mutex<Vec<String>>>,
}

impl Console {
    /// A terminal for a run to step `end`. The bar is there only where stderr is a terminal.
    pub fn new(verbosity: Verbosity, end: u64) -> Self {
        let target = if verbosity.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(5)
        };
        let bar = ProgressBar::with_draw_target(Some(end), target);
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:10} {percent:>3}% step {pos}, {eta} left | {wide_msg}",
        ) {
            bar.set_style(style);
        }
        Self {
            bar,
            table: !verbosity.quiet && !verbosity.json,
            notes: !verbosity.quiet,
            remarks: true,
            json: verbosity.json,
            lost: Arc::default(),
            kept: Arc::default(),
        }
    }

    /// A terminal that shows nothing.
    pub fn silent() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            table: false,
            notes: false,
            remarks: false,
            json: false,
            lost: Arc::default(),
            kept: Arc::default(),
        }
    }

    /// The progress bar.
    pub fn bar(&self) -> &ProgressBar {
        &self.bar
    }

    /// Whether lines for people are shown.
    pub fn is_table(&self) -> bool {
        self.table
    }

    /// Whether stdout is for a machine.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Prints text for people on stdout, long lines broken where it is a terminal; nothing where stdout is for a machine
    /// or to be quiet.
    pub fn line(&self, text: &str) {
        self.row(&Terminal::out().fit(&shown(text)));
    }

    /// Prints a line of a table on stdout as it is; nothing where stdout is for a machine or to be quiet.
    pub fn row(&self, text: &str) {
        if self.table {
            // The same is in the run's files: what is lost here does not end the run.
            let printed = self.bar.suspend(|| streams::print(&format!("{text}\n")));
            if let Err(error) = printed
                && !self.lost.swap(true, Ordering::Relaxed)
            {
                self.remark(&format!(
                    "warning: {error}; the run goes on, and its table and summary are in its directory"
                ));
            }
        }
    }

    /// Prints the closing summary on stdout: as JSON where that is for a machine, else for people, its verdict in colour;
    /// nothing where it is to be quiet.
    ///
    /// # Errors
    /// A machine would miss some of it. People find it in the run's directory too.
    pub fn summary(&self, summary: &Summary) -> Result<()> {
        if self.json {
            return streams::print_json(&summary.to_json());
        }
        let mood = match summary.energy_conserved {
            Some(true) => Mood::Good,
            Some(false) => Mood::Bad,
            None => Mood::Doubt,
        };
        let out = Terminal::out();
        self.row(&out.verdict(&summary.to_text(), "verdict", mood));
        Ok(())
    }

    /// Prints the closing summary of a batch, as [`Console::summary`].
    ///
    /// # Errors
    /// As for [`Console::summary`].
    pub fn summary_of_batch(&self, summary: &BatchSummary) -> Result<()> {
        if self.json {
            return streams::print_json(&summary.to_json());
        }
        let out = Terminal::out();
        self.row(&out.verdict(&summary.to_text(), "verdict", summary.mood()));
        Ok(())
    }

    /// Tells where the page of a run is that ends, under its summary.
    pub fn page(&self, directory: &Path) {
        self.line(&format!(
            "  page          {}",
            directory.join(names::REPORT).display()
        ));
    }

    /// Prints a remark on stderr, quiet or not; a silent terminal has none.
    pub fn remark(&self, text: &str) {
        self.keep(text);
        if !self.remarks {
            return;
        }
        let text = Terminal::err().message(text);
        self.bar.suspend(|| streams::tell(&text));
    }

    /// Prints what is good to know, as a note on stderr; nothing where it is to be quiet.
    pub fn note(&self, text: &str) {
        let text = format!("note: {text}");
        match self.notes {
            true => self.remark(&text),
            false => self.keep(&text),
        }
    }

    /// Keeps a remark, once.
    fn keep(&self, text: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MOST_KEPT && !kept.iter().any(|before| before == text) {
            kept.push(text.to_owned());
        }
    }

    /// Remarks and notes so far, shown or not; the first hundred of them.
    pub fn remarks(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    /// Takes the progress bar away: the run has ended.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
