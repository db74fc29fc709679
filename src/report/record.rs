//! `run.json`: what was run, with what, and how it ended; enough to run it again.
//!
//! Written when the run begins (`"status": "running"`) and again when it ends (`"complete"`,
//! `"interrupted"` or `"failed"`), each time whole or not at all. A file that still says `running`
//! belongs to a run that is going on or was killed.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::file;
use super::summary::Summary;
use super::text::timestamp;
use crate::{Error, Result};

/// The name of the file in the run's directory.
pub const NAME: &str = "run.json";

/// A file that the run was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

impl Source {
    /// Looks at a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let fault = |e| Error::input(format!("cannot read {}: {e}", path.display()));
        let mut file = File::open(path).map_err(fault)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            let count = file.read(&mut buffer).map_err(fault)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            bytes += count as u64;
        }
        let digest = hash.finalize();
        Ok(Self {
            path: path.to_owned(),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes,
        })
    }
}

/// What is known of a run before it begins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// The resolved run file, overrides applied.
    pub config: toml::Table,
    /// The run file itself.
    pub config_file: PathBuf,
    /// The trained model; null for a potential without one.
    pub model: Option<Source>,
    /// The structure file.
    pub structure: Option<Source>,
    /// Sum formula.
    pub formula: String,
    /// Number of atoms.
    pub atoms: usize,
    /// Degrees of freedom of the kinetic energy.
    pub degrees_of_freedom: usize,
    /// What runs, on what.
    pub engine: String,
    /// The device.
    pub device: String,
    /// CPU threads.
    pub threads: usize,
    /// Seeds by what they are for, such as `velocities` and `thermostat`.
    pub seeds: Vec<(String, u32)>,
    /// Versions of what the results depend on, by name; this crate's comes by itself.
    pub versions: Vec<(String, String)>,
    /// Files in the run's directory.
    pub files: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is going on.
    Running,
    /// All steps were taken.
    Complete,
    /// It was interrupted; all that was reached is written.
    Interrupted,
    /// A limit was broken, or something failed.
    Failed,
}

/// The record of a run.
#[derive(Debug)]
pub struct RunRecord {
    path: PathBuf,
    description: Description,
    started: SystemTime,
    began: Instant,
    /// What happened on the way, by name.
    events: RefCell<serde_json::Map<String, Value>>,
}

impl RunRecord {
    /// Writes the record of a run that begins now into `directory`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(directory: &Path, description: Description) -> Result<Self> {
        let record = Self {
            path: directory.join(NAME),
            description,
            started: SystemTime::now(),
            began: Instant::now(),
            events: RefCell::default(),
        };
        record.write(Status::Running, None, Value::Null)?;
        Ok(record)
    }

    /// Keeps something that happened on the way, to be written when the run ends: `flight`, the record of the
    /// steps before a fault, and `diagnosis`, what was found to be wrong.
    pub fn keep(&self, event: &str, what: Value) {
        self.events.borrow_mut().insert(event.to_owned(), what);
    }

    /// Writes how it ended. `timings` are seconds by what they were spent on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(&self, status: Status, summary: &Summary, timings: &[(&str, f64)]) -> Result<()> {
        let mut seconds: serde_json::Map<String, Value> = (timings.iter())
            .map(|(what, s)| ((*what).to_owned(), Value::from(*s)))
            .collect();
        let total = self.began.elapsed().as_secs_f64();
        seconds.insert("total".to_owned(), Value::from(total));
        self.write(status, Some(summary), Value::Object(seconds))
    }

    fn write(&self, status: Status, summary: Option<&Summary>, timings: Value) -> Result<()> {
        let d = &self.description;
        let pairs = |list: &[(String, Value)]| Value::Object(list.iter().cloned().collect());
        let own = ("mdrun".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let versions = std::iter::once(&own).chain(&d.versions);
        let versions: Vec<_> = versions
            .map(|(k, v)| (k.clone(), Value::from(v.as_str())))
            .collect();
        let seeds: Vec<_> = d
            .seeds
            .iter()
            .map(|(k, v)| (k.clone(), Value::from(*v)))
            .collect();
        let record = serde_json::json!({
            "status": status,
            "started": timestamp(self.started),
            "ended": summary.map(|_| timestamp(SystemTime::now())),
            "versions": pairs(&versions),
            "config_file": d.config_file,
            "config": d.config,
            "model": d.model,
            "structure": d.structure,
            "formula": d.formula,
            "atoms": d.atoms,
            "degrees_of_freedom": d.degrees_of_freedom,
            "engine": d.engine,
            "device": d.device,
            "threads": d.threads,
            "seeds": pairs(&seeds),
            "files": d.files,
            "timings_s": timings,
            "summary": summary.map(Summary::to_json),
            "flight": self.events.borrow().get("flight"),
            "diagnosis": self.events.borrow().get("diagnosis"),
        });
        let text = serde_json::to_string_pretty(&record)
            .map_err(|e| Error::run(format!("cannot write {}: {e}", self.path.display())))?;
        file::replace(&self.path, format!("{text}\n").as_bytes())
    }
}
