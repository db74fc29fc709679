//! The page of a run, `report.html`: what its record, its thermo table and its states say, as plots, pictures and tables; that of
//! many systems at once; or one of several runs side by side.
//!
//! [`RunOverview::read`] reads a run's directory, [`RunOverview::html`] is its page, [`beside::html`] one of several. A page
//! holds all that it shows, and is small however long the run was: columns are drawn in some hundred points, of many atoms those
//! that are seen. What cannot be read of a directory is told in its place; nothing here alters a run.

pub mod beside;
pub mod colours;
pub mod course;
pub mod facts;
mod members;
mod page;
pub mod plots;
pub mod portrait;
mod view;

use std::fs::{self, File};
use std::io::Read as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::formats;
use crate::plot::page::GENERATOR;
use crate::report::checkpoint::store;
use crate::report::{Status, names, own, record, replace};
use crate::{Error, Result, shell};

use course::RunCourse;
use facts::RunFacts;
use portrait::Portrait;

/// The command that makes pages.
pub const COMMAND: &str = "mdrun report";
/// Bytes in which a page says what made it.
const HEAD: usize = 1024;
/// Bytes of the largest page.
pub const MOST_BYTES: usize = 2_000_000;

/// A state that is drawn.
#[derive(Debug, Clone)]
pub struct DrawnState {
    /// Which it is, and where it is from.
    pub title: String,
    /// The atoms; or why there are none to be seen.
    pub portrait: std::result::Result<Portrait, String>,
    /// Whether it should be there.
    pub expected: bool,
}

/// What there is to tell of a run.
#[derive(Debug, Clone)]
pub struct RunOverview {
    /// Its directory.
    pub directory: PathBuf,
    /// The name of it.
    pub name: String,
    /// Its record.
    pub facts: RunFacts,
    /// Its thermo table; or why it cannot be read.
    pub course: std::result::Result<RunCourse, String>,
}

/// Time (fs) at which the last stage of a run began that has several; 0 of one without.
fn last_stage_began(record: &Value) -> f64 {
    let stages = record.get("stages").and_then(Value::as_array);
    let last = stages.and_then(|stages| stages.last());
    let began = last.and_then(|stage| stage.get("begins_ps")?.as_f64());
    began.map_or(0.0, |ps| 1000.0 * ps)
}

impl RunOverview {
    /// Reads the run in a directory, which may still be going on.
    ///
    /// # Errors
    /// There is none, or it is one of many systems. The message says what to do.
    pub fn read(directory: &Path) -> Result<Self> {
        Self::of(directory, &record::read(directory, COMMAND)?)
    }

    /// Reads the run in a directory whose record is known already.
    ///
    /// # Errors
    /// As for [`RunOverview::read`].
    pub fn of(directory: &Path, record: &Value) -> Result<Self> {
        let facts = RunFacts::of(record, directory)?;
        if let Some(members) = facts.members {
            return Err(Error::input(format!(
                "{0} is a run of {members} systems at once, which stands beside no other: mdrun report {1} makes its own page, \
                 and mdrun CONFIG.toml --member K --out DIRECTORY runs one of them by itself",
                directory.display(),
                shell::quoted(directory)
            )));
        }
        Ok(Self {
            directory: directory.to_owned(),
            name: name_of(directory),
            facts,
            course: RunCourse::read(directory)
                .map(|course| course.since(last_stage_began(record)))
                .map_err(|e| e.to_string()),
        })
    }

    /// The state that it began with, and the last one that there is.
    pub fn states(&self) -> [DrawnState; 2] {
        let first = self.state("First state".to_owned(), names::TOPOLOGY, 0);
        let there = |name: &str| self.directory.join(name).is_file();
        let failed = self.facts.status == Some(Status::Failed);
        if let (true, Some(step)) = (
            failed && there(names::FLIGHT),
            self.facts.flight.get("last_step"),
        ) {
            let title = format!("Last step before the end, {step}");
            return [first, self.state(title, names::FLIGHT, -1)];
        }
        if there(names::FINAL) {
            return [first, self.state("Last state".to_owned(), names::FINAL, 0)];
        }
        [first, self.kept_state()]
    }

    /// A state in a file of the directory.
    fn state(&self, title: String, name: &str, frame: i64) -> DrawnState {
        let path = self.directory.join(name);
        let title = format!("{title} ({name})");
        if !path.is_file() {
            return DrawnState {
                title,
                portrait: Err(format!("{} is not there", path.display())),
                expected: true,
            };
        }
        let read = formats::read_frame(&path, frame);
        DrawnState {
            title,
            portrait: read
                .and_then(|structure| Portrait::of(&structure))
                .map_err(|e| e.to_string()),
            expected: true,
        }
    }

    /// The state of the newest checkpoint.
    fn kept_state(&self) -> DrawnState {
        let found = store::newest(&self.directory);
        let expected = found.is_err();
        let (title, portrait) = match found {
            Ok(Some(found)) => {
                let state = found.checkpoint;
                let title = format!("State of the newest checkpoint, step {}", state.step);
                let species = &state.system.species;
                let portrait = Portrait::new(species, &state.cell, &state.positions);
                (title, Ok(portrait))
            }
            Ok(None) => {
                let why = format!("neither {} nor a checkpoint is there", names::FINAL);
                ("Last state".to_owned(), Err(why))
            }
            Err(error) => ("Last state".to_owned(), Err(error.to_string())),
        };
        DrawnState {
            title,
            portrait,
            expected,
        }
    }

    /// The page, with these states.
    pub fn html(&self, states: &[DrawnState]) -> String {
        page::html(self, states)
    }
}

/// What a run is called: the name of its directory.
fn name_of(directory: &Path) -> String {
    // A path such as `..` has none.
    let whole = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let name = whole.file_name().unwrap_or(whole.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The page of the run in a directory, of one system or of many, as its record has it; and what of the run could not be read.
///
/// # Errors
/// The record is none.
pub fn page_of(directory: &Path, record: &Value) -> Result<(String, Vec<String>)> {
    let facts = RunFacts::of(record, directory)?;
    if facts.members.is_some() {
        return Ok(members::html(directory, &name_of(directory), &facts));
    }
    let run = RunOverview::of(directory, record)?;
    let states = run.states();
    let html = run.html(&states);
    let course = run.course.err().into_iter();
    let states = states.into_iter().filter(|state| state.expected);
    let doubts = course.chain(states.filter_map(|state| state.portrait.err()));
    Ok((html, doubts.collect()))
}

/// Leaves the page of a run that ends in its directory, as its record has it, and gives in words what went wrong with it, if
/// anything did: nothing of that is a fault of the run.
pub fn leave(directory: &Path, record: &Value) -> Option<String> {
    let write = || {
        let (html, doubts) = page_of(directory, record)?;
        put(&directory.join(names::REPORT), &html)?;
        Ok(doubts)
    };
    let doubts = match catch_unwind(AssertUnwindSafe(write)) {
        Ok(Ok(doubts)) => doubts,
        Ok(Err(error)) => vec![Error::to_string(&error)],
        Err(_) => vec!["making it failed, which is a fault of the program".to_owned()],
    };
    (!doubts.is_empty()).then(|| {
        format!(
            "the run is written, but its page is not there, or not whole: {}; make it again with mdrun report {}",
            doubts.join("; "),
            shell::quoted(directory)
        )
    })
}

/// Puts a page down, in place of an older one if there is one.
///
/// # Errors
/// Something else is there, or it cannot be written. The message names the file.
pub fn put(path: &Path, html: &str) -> Result<()> {
    check_place(path)?;
    replace(path, html.as_bytes())
}

/// Checks that a page may be put down at a place: nothing is there, or an older page.
///
/// # Errors
/// Something else is there, or it cannot be looked at. The message names the file.
pub fn check_place(path: &Path) -> Result<()> {
    let fault = |e: std::io::Error| Error::run(format!("cannot look at {}: {e}", path.display()));
    let foreign = match own::kind(path).map_err(fault)? {
        None => false,
        Some(kind) if !kind.is_file() => return Err(own::foreign(path, kind, "a page")),
        Some(_) => !is_page(path).map_err(fault)?,
    };
    if foreign {
        return Err(Error::input(format!(
            "{} is there already, and is no page of mdrun: move it away, or give another name with --out",
            path.display()
        )));
    }
    Ok(())
}

/// Whether a file is a page that mdrun has made.
fn is_page(path: &Path) -> std::io::Result<bool> {
    let mut head = Vec::new();
    let file = own::open(File::options().read(true), path)?;
    file.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head.is_empty() || String::from_utf8_lossy(&head).contains(GENERATOR))
}
