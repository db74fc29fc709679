//! A run in a thread of its own, which Python steps, looks at and ends.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mdrun::config::plan::Plan;
use mdrun::config::{self, RecordedConfig};
use mdrun::core::System;
use mdrun::core::observe::Thermometer;
use mdrun::report::{Console, Status, Verbosity};
use mdrun::run::{Ending, Entry, Pauses, Run};
use mdrun::units::FEMTOSECOND;
use mdrun::{Error, Result, assemble};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::desk::{Bell, Desk, Orders, Told};
use crate::fault::Fault;
use crate::potential::{check_process, common_threads, own_threads};
use crate::state::{bytes, state};

/// How long a wait lasts before signals are looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// What errors call settings that are no file; the output directory has its name too where none is given.
const SETTINGS: &str = "settings";

/// A run of one system. `mdrun.Simulation` is made around it.
#[pyclass(frozen, module = "mdrun._mdrun")]
pub struct Course {
    link: Mutex<Link>,
    orders: Arc<Orders>,
    bell: Arc<Bell>,
    /// How it ended, once Python was told.
    ended: OnceLock<Result<Ending>>,
    facts: Facts,
}

/// What does not change.
struct Facts {
    system: System,
    thermometer: Thermometer,
    steps: u64,
    timestep: f64,
    directory: PathBuf,
    notes: Vec<String>,
}

/// The ends of the channels in Python's hands, and the thread at the others.
struct Link {
    told: Receiver<Told>,
    /// Gone once nothing more is to be answered.
    answers: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a run is made of.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Wish {
    /// The run file, or its tables as JSON.
    config: Option<PathBuf>,
    settings: Option<String>,
    overrides: Vec<String>,
    out: Option<PathBuf>,
    member: Option<usize>,
    entry: String,
    quiet: bool,
}

#[pymethods]
impl Course {
    /// Opens a run, as a dictionary says: `config` or `settings`, `overrides`, `out`, `member`, `entry`, `quiet`.
    #[new]
    fn new(py: Python<'_>, wish: Wish) -> Result<Self, Fault> {
        Ok(py.detach(|| Self::open(&wish))?)
    }

    /// What does not change: `numbers`, `masses`, `steps`, `timestep` (fs), `directory`, `notes`.
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let facts = &self.facts;
        let found = PyDict::new(py);
        found.set_item("numbers", PyBytes::new(py, &facts.system.species))?;
        let masses = facts.system.masses.iter().copied();
        found.set_item("masses", bytes(py, facts.system.len(), masses)?)?;
        found.set_item("steps", facts.steps)?;
        found.set_item("timestep", facts.timestep / FEMTOSECOND)?;
        found.set_item("directory", &facts.directory)?;
        found.set_item("notes", &facts.notes)?;
        Ok(found)
    }

    /// Shows moments so many steps apart from now on.
    fn look_every(&self, steps: u64) {
        self.orders.look_every(steps);
    }

    /// Goes on until so many steps are taken since the run began, from where it waits.
    fn go_on(&self, until: u64) {
        self.orders.go_until(until);
        if let Some(answers) = &self.link().answers {
            // Where nobody listens any more, the run says how it ended.
            let _ = answers.send(());
        }
    }

    /// Waits for what comes next: the steps that a run was opened after, a moment, or its end.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loop {
            let told = py.detach(|| self.link().told.recv_timeout(GLANCE));
            match told {
                Ok(Told::Opened(step)) => return Ok(step.into_pyobject(py)?.into_any()),
                Ok(Told::Shown(moment)) => {
                    let moment = state(py, &moment, &self.facts.thermometer)?;
                    return Ok(moment.into_any());
                }
                Ok(Told::Ended(ended)) => {
                    let ended = self.ended.get_or_init(|| *ended);
                    return Ok(self.ending(py, ended)?.into_any());
                }
                Err(RecvTimeoutError::Timeout) => py.check_signals()?,
                // A signal may have kept Python from taking in that it has ended.
                Err(RecvTimeoutError::Disconnected) => {
                    let ended = self.ended.get_or_init(|| Err(gone()));
                    return Ok(self.ending(py, ended)?.into_any());
                }
            }
        }
    }

    /// Asks the run to end, in the name of `by`, and lets it.
    fn stop(&self, by: &str) {
        self.bell.ring(by);
        // What waits for an answer has none to wait for now.
        self.link().answers = None;
    }

    /// Ends the run where it is, and waits until its files are complete.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.end());
    }
}

impl Course {
    fn open(wish: &Wish) -> Result<Self> {
        check_process()?;
        let mut plan = wish.plan()?;
        let pool = match plan.device.threads {
            Some(count) => Some(own_threads(count)?),
            None => {
                common_threads()?;
                None
            }
        };
        let model = assemble::load(&mut plan)?;
        let entry = entry(&wish.entry)?;
        let facts = Facts {
            thermometer: assemble::thermometer(&plan),
            system: plan.start.system.clone(),
            steps: plan.dynamics.steps,
            timestep: plan.dynamics.timestep,
            directory: plan.output.directory.clone(),
            notes: plan.notes.clone(),
        };
        let verbosity = Verbosity {
            quiet: wish.quiet,
            json: false,
        };
        let console = Console::new(verbosity, facts.steps);
        let (orders, bell) = (Arc::new(Orders::default()), Arc::new(Bell::default()));
        model.heed(&bell.rung);
        let (told, hears) = mpsc::channel();
        let (answers, answered) = mpsc::channel();
        let pauses = Pauses::default();
        let desk = Desk {
            orders: Arc::clone(&orders),
            told: told.clone(),
            answers: answered,
            pauses: pauses.clone(),
        };
        let rung = Arc::clone(&bell);
        let life = move || {
            let run = Run::with_model(plan, model, entry, &console)?;
            let step = run.step();
            desk.open(step);
            if rung.rung.load(Ordering::Acquire) {
                // It was closed without a word: there is nothing to tell.
                return Ok(Ending {
                    status: Status::Interrupted,
                    steps: step,
                    summary: None,
                });
            }
            let run = run.paused_by(&pauses).watched_by(Box::new(desk));
            run.to_the_end(&*rung)
        };
        let thread = std::thread::Builder::new().name("mdrun-run".to_owned());
        let thread = thread.spawn(move || {
            let ended = match &pool {
                Some(pool) => pool.install(life),
                None => life(),
            };
            // Nobody may be there to hear it.
            let _ = told.send(Told::Ended(Box::new(ended)));
        });
        let thread = thread.map_err(|e| Error::run(format!("cannot start a thread: {e}")))?;
        Ok(Self {
            link: Mutex::new(Link {
                told: hears,
                answers: Some(answers),
                thread: Some(thread),
            }),
            orders,
            bell,
            ended: OnceLock::new(),
            facts,
        })
    }

    /// No one leaves it half changed.
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.stop("close()");
        let thread = self.link().thread.take();
        if let Some(thread) = thread {
            // It has said what a panic is about by itself.
            let _ = thread.join();
        }
    }

    /// How a run ended: `status`, `steps`, `summary` (JSON) and `stopped_by`.
    fn ending<'py>(&self, py: Python<'py>, ended: &Result<Ending>) -> PyResult<Bound<'py, PyDict>> {
        let ending = match ended {
            Ok(ending) => ending,
            Err(Error::Input(words)) => return Err(Fault(Error::input(words)).into()),
            Err(Error::Run(words)) => return Err(Fault(Error::run(words)).into()),
        };
        let summary = ending.summary.as_ref();
        let found = PyDict::new(py);
        found.set_item("status", name(ending.status))?;
        found.set_item("steps", ending.steps)?;
        found.set_item("summary", summary.map(|s| s.to_json().to_string()))?;
        found.set_item("stopped_by", summary.and_then(|s| s.stopped_by.clone()))?;
        Ok(found)
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        self.end();
    }
}

impl Desk {
    /// Says that a run was opened, after so many steps, and waits until it is to go on.
    fn open(&self, step: u64) {
        // Where nobody listens any more, the run hears so at its first moment.
        let _ = self.told.send(Told::Opened(step));
        let _ = self.answers.recv();
    }
}

impl Wish {
    fn plan(&self) -> Result<Plan> {
        let (overrides, out) = (&self.overrides, self.out.as_deref());
        match (&self.config, &self.settings, self.member) {
            (Some(path), _, None) => config::load(path, overrides, out),
            (Some(path), _, Some(member)) => config::load_member(path, overrides, out, member),
            (None, Some(_), Some(member)) => Err(Error::input(format!(
                "member = {member} is of a run file of many systems; settings are of one"
            ))),
            (None, settings, None) => {
                let settings = settings.as_deref().unwrap_or_default();
                let table: toml::Table = serde_json::from_str(settings)
                    .map_err(|e| Error::input(format!("{SETTINGS}: {e}")))?;
                let recorded = RecordedConfig {
                    config: &table,
                    path: Path::new(SETTINGS),
                    overrides,
                    directory: out,
                };
                recorded.from_structure()
            }
            (None, None, Some(_)) => Err(Error::input("there is no run file")),
        }
    }
}

fn entry(word: &str) -> Result<Entry> {
    match word {
        "begin" => Ok(Entry::Begin),
        "replace" => Ok(Entry::Replace),
        "resume" => Ok(Entry::Resume),
        _ => Err(Error::input(format!(
            "entry = {word:?}: begin, replace or resume is wanted"
        ))),
    }
}

fn name(status: Status) -> &'static str {
    match status {
        Status::Complete => "complete",
        Status::Interrupted => "interrupted",
        Status::Failed => "failed",
        Status::Running => "running",
    }
}

/// The run's thread has ended without a word.
fn gone() -> Error {
    Error::run(
        "this is a fault of the program (see the line above): please report it, with the run file",
    )
}
