//! `run.json`: what was run, with what, and how it ended; enough to run it again.
//!
//! Written when the run begins (`"status": "running"`) and again when it ends (`"complete"`,
//! `"interrupted"` or `"failed"`), each time whole or not at all. A file that still says `running`
//! belongs to a run that is going on or was killed.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::course::Status;
use super::names::{self, RECORD};
use super::pace::PaceRecord;
use super::summary::Summary;
use super::{file, own};
use crate::models::ModelFile;
use crate::text::{hexadecimal, timestamp};
use crate::{Error, Result, input};

/// A file that the run was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginFile {
    /// Where it is.
    #[serde(
        serialize_with = "input::serialize_path",
        deserialize_with = "input::deserialize_path"
    )]
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    /// Whether it is inside the program; then its path is its name.
    #[serde(default)]
    pub embedded: bool,
}

impl OriginFile {
    /// Looks at a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let fault = |e| Error::input(format!("cannot read {}: {e}", path.display()));
        let (mut file, _) = input::open(path).map_err(fault)?;
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
            sha256: hexadecimal(&digest),
            bytes,
            embedded: false,
        })
    }

    /// A model file whose bytes have been read already, with the hyper-parameters beside it where it has no own: they are
    /// hashed behind it.
    pub fn of_model(file: &ModelFile, bytes: &[u8], beside: Option<&str>) -> Self {
        let hash = Sha256::new_with_prefix(bytes).chain_update(beside.unwrap_or_default());
        Self {
            path: file.path().to_owned(),
            sha256: hexadecimal(&hash.finalize()),
            bytes: bytes.len() as u64,
            embedded: matches!(file, ModelFile::Embedded(_)),
        }
    }
}

/// What is known of a run before it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// The resolved run file, overrides applied.
    pub config: toml::Table,
    /// The run file itself.
    pub config_file: PathBuf,
    /// The trained model, or the members of a committee; none for a potential without one.
    pub models: Vec<OriginFile>,
    /// The structure file.
    pub structure: Option<OriginFile>,
    /// Sum formula.
    pub formula: String,
    /// Number of atoms, of all members where there are several.
    pub atoms: usize,
    /// Number of members of a batch; `None` of a run of one system.
    pub members: Option<usize>,
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

/// Room that the record of a run that goes on has to spare (bytes), so that how it ended can be written in
/// its place where the disk is full.
const SPARE: usize = 8192;

/// Most remarks that are kept.
const MOST_REMARKS: usize = 200;

/// Most resumptions that are listed.
const MOST_RESUMPTIONS: usize = 64;

/// Longest record that is read (bytes).
pub const LONGEST: u64 = 1 << 26;

/// The record of a run.
#[derive(Debug)]
pub struct RunRecord {
    path: PathBuf,
    description: Description,
    started: String,
    /// Time that the sittings before took.
    before: Duration,
    resumed_from: Vec<Resumption>,
    /// How often it went on; more often than is listed, where that is many times.
    resumes: u64,
    began: Instant,
    /// What happened on the way, by name.
    events: RefCell<serde_json::Map<String, Value>>,
    /// Whether the run has come to its first step.
    begun: Cell<bool>,
    /// What the sittings before told.
    remarks_before: Vec<String>,
}

/// A moment at which a run went on from a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumption {
    /// The checkpoint's step.
    pub step: u64,
    /// When.
    pub at: String,
}

/// Leaves the first and the last of many: the record of a run that goes on for years does not grow for ever.
fn shorten(list: &mut Vec<Resumption>) {
    if list.len() > MOST_RESUMPTIONS {
        let last = list.len() - (MOST_RESUMPTIONS - 1);
        list.drain(1..last);
    }
}

/// What the record of a run before this one says, as far as it can be read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Earlier {
    /// How it ended, if it did.
    pub status: Option<Status>,
    /// The run file that it resolved.
    pub config: Option<Value>,
    /// The run file itself.
    #[serde(deserialize_with = "input::deserialize_some_path")]
    pub config_file: Option<PathBuf>,
    /// The structure file.
    pub structure: Option<OriginFile>,
    /// When it began.
    pub started: Option<String>,
    /// How often it went on.
    pub resumed_from: Vec<Resumption>,
    /// How often in all; `None` where an earlier version does not say.
    pub resumes: Option<u64>,
    /// Whether it had come to its first step; `None` where an earlier version does not say.
    pub begun: Option<bool>,
    /// Number of atoms.
    pub atoms: Option<u64>,
    /// Number of members, of a batch.
    pub members: Option<u64>,
    /// Its summary.
    pub summary: Option<Value>,
    /// How fast it was.
    pub pace: Option<PaceRecord>,
    /// What it told on the way.
    pub remarks: Option<Vec<String>>,
    /// Its stages so far, of a run in stages.
    pub stages: Option<Vec<Value>>,
}

/// The record in a run's directory as JSON; `command` is what wants it, such as `mdrun report`.
///
/// # Errors
/// There is none that can be read.
pub fn read(directory: &Path, command: &str) -> Result<Value> {
    expect_run(directory, command)?;
    let path = directory.join(RECORD);
    let bytes = input::read(&path, LONGEST)
        .map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::input(format!("{}: {e}", path.display())))
}

/// Sees to it that a directory is that of a run.
///
/// # Errors
/// It is not: the message says what it is, as far as that can be seen.
fn expect_run(directory: &Path, command: &str) -> Result<()> {
    let place = directory.display();
    let what = if directory.join(RECORD).exists() {
        return Ok(());
    } else if !directory.exists() {
        format!("{place} is not there")
    } else if !directory.is_dir() {
        format!("{place} is a file")
    } else if let Some(page) = page_of_validation(directory) {
        format!("{place} is the folder of a validation, whose page is {page}")
    } else {
        format!("there is no run in {place}, as it has no {RECORD}")
    };
    let within = match runs_within(directory).as_slice() {
        [] => String::new(),
        runs => format!("; runs are in {}", runs.join(", ")),
    };
    Err(Error::input(format!(
        "{what}; the directory of a run is wanted: {command} RUN_DIR (mdrun CONFIG.toml says where it writes){within}"
    )))
}

/// The page of the validation that a folder is of, if it is of one.
pub fn page_of_validation(folder: &Path) -> Option<String> {
    let there = folder.join(names::VALIDATION).is_file();
    there.then(|| folder.join(names::REPORT).display().to_string())
}

/// Runs in the folders of a directory: some of them, by name.
fn runs_within(directory: &Path) -> Vec<String> {
    const MOST: usize = 3;
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let runs = entries
        .map(|entry| entry.path())
        .filter(|path| path.join(RECORD).is_file());
    let mut runs: Vec<String> = runs.map(|path| path.display().to_string()).collect();
    runs.sort();
    if runs.len() > MOST {
        runs.truncate(MOST);
        runs.push("others".to_owned());
    }
    runs
}

impl Earlier {
    /// The record in a directory; nothing where there is none, or one that was not finished.
    pub fn read(directory: &Path) -> Self {
        let bytes = input::read(&directory.join(RECORD), LONGEST).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

impl RunRecord {
    /// Writes the record of a run that begins now into `directory`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(directory: &Path, description: Description) -> Result<Self> {
        let record = Self {
            path: directory.join(RECORD),
            description,
            started: timestamp(SystemTime::now()),
            before: Duration::ZERO,
            resumed_from: Vec::new(),
            resumes: 0,
            began: Instant::now(),
            events: RefCell::default(),
            begun: Cell::new(false),
            remarks_before: Vec::new(),
        };
        record.write(Status::Running, None, Value::Null)?;
        Ok(record)
    }

    /// Writes that the run has come to its first step: what it wrote from there on is nothing that another
    /// one may begin anew in place of.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begun(&self) -> Result<()> {
        if self.begun.replace(true) {
            return Ok(());
        }
        self.update()
    }

    /// Keeps something that happened on the way, to be written with the next of the others: `raises`,
    /// where it went on in finer numbers, `flight`, the record of the steps before a fault, `diagnosis`, what was found
    /// to be wrong, `pace`, how fast it was, and `remarks`, what it told.
    pub fn keep(&self, event: &str, what: Value) {
        self.events.borrow_mut().insert(event.to_owned(), what);
    }

    /// Keeps what has become of a stage, in the place of what was known of it and of those behind it.
    pub fn keep_stage(&self, index: usize, what: Value) {
        let known = self.events.borrow().get("stages").cloned();
        let mut stages = match known {
            Some(Value::Array(stages)) => stages,
            _ => Vec::new(),
        };
        stages.truncate(index);
        stages.push(what);
        self.keep("stages", Value::from(stages));
    }

    /// The stages so far.
    pub fn stages(&self) -> Vec<Value> {
        match self.events.borrow().get("stages") {
            Some(Value::Array(stages)) => stages.clone(),
            _ => Vec::new(),
        }
    }

    /// Keeps what the run told on the way, that of earlier sittings before it.
    pub fn keep_remarks(&self, now: Vec<String>) {
        let mut all = self.remarks_before.clone();
        for remark in now {
            if !all.contains(&remark) {
                all.push(remark);
            }
        }
        all.truncate(MOST_REMARKS);
        self.keep("remarks", Value::from(all));
    }

    /// Writes what is known so far, while the run goes on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn update(&self) -> Result<()> {
        self.write(Status::Running, None, Value::Null)
    }

    /// Writes the record of a run that goes on from step `step`, whose steps took `before` so far.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn resume(
        directory: &Path,
        description: Description,
        (step, before): (u64, Duration),
        earlier: Earlier,
    ) -> Result<Self> {
        let now = timestamp(SystemTime::now());
        let mut resumed_from = earlier.resumed_from;
        let resumes = (earlier.resumes.unwrap_or(0)).max(resumed_from.len() as u64) + 1;
        resumed_from.push(Resumption {
            step,
            at: now.clone(),
        });
        shorten(&mut resumed_from);
        let mut events = serde_json::Map::new();
        events.insert("pace".to_owned(), serde_json::json!(earlier.pace));
        events.insert("remarks".to_owned(), serde_json::json!(earlier.remarks));
        if let Some(stages) = earlier.stages {
            events.insert("stages".to_owned(), Value::from(stages));
        }
        let record = Self {
            path: directory.join(RECORD),
            description,
            started: earlier.started.unwrap_or(now),
            before,
            resumed_from,
            resumes,
            began: Instant::now(),
            events: RefCell::new(events),
            begun: Cell::new(true),
            remarks_before: earlier.remarks.unwrap_or_default(),
        };
        record.write(Status::Running, None, Value::Null)?;
        Ok(record)
    }

    /// The structure file.
    pub fn structure(&self) -> Option<OriginFile> {
        self.description.structure.clone()
    }

    /// The steps from which the run went on.
    pub fn resumed_from(&self) -> Vec<u64> {
        self.resumed_from.iter().map(|r| r.step).collect()
    }

    /// Writes how it ended. `timings` are seconds by what they were spent on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(&self, status: Status, summary: &Summary, timings: &[(&str, f64)]) -> Result<()> {
        self.close(status, summary.to_json(), timings)
    }

    /// Does as [`RunRecord::end`] with any summary, as JSON.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn close(&self, status: Status, summary: Value, timings: &[(&str, f64)]) -> Result<()> {
        self.write(status, Some(summary), self.seconds(timings))
    }

    /// The record of a run that ends, as [`RunRecord::end`] writes it.
    pub fn at_end(&self, status: Status, summary: Value, timings: &[(&str, f64)]) -> Value {
        self.to_json(status, Some(summary), self.seconds(timings))
    }

    /// Seconds by what they were spent on, with all of them.
    fn seconds(&self, timings: &[(&str, f64)]) -> Value {
        let mut seconds: serde_json::Map<String, Value> = (timings.iter())
            .map(|(what, s)| ((*what).to_owned(), Value::from(*s)))
            .collect();
        let total = (self.before + self.began.elapsed()).as_secs_f64();
        seconds.insert("total".to_owned(), Value::from(total));
        Value::Object(seconds)
    }

    fn to_json(&self, status: Status, summary: Option<Value>, timings: Value) -> Value {
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
        let mut record = serde_json::json!({
            "status": status,
            "started": self.started,
            "begun": self.begun.get(),
            "resumed_from": self.resumed_from,
            "resumes": self.resumes,
            "ended": summary.as_ref().map(|_| timestamp(SystemTime::now())),
            "versions": pairs(&versions),
            "config_file": input::path_text(&d.config_file),
            "config": d.config,
            // One stands alone, as it always did; a committee is a list.
            "model": match d.models.as_slice() {
                [] => Value::Null,
                [one] => serde_json::json!(one),
                several => serde_json::json!(several),
            },
            "structure": d.structure,
            "formula": d.formula,
            "atoms": d.atoms,
            "members": d.members,
            "degrees_of_freedom": d.degrees_of_freedom,
            "engine": d.engine,
            "device": d.device,
            "threads": d.threads,
            "seeds": pairs(&seeds),
            "files": d.files,
            "timings_s": timings,
            "summary": summary,
            "raises": self.events.borrow().get("raises"),
            "flight": self.events.borrow().get("flight"),
            "diagnosis": self.events.borrow().get("diagnosis"),
            "pace": self.events.borrow().get("pace"),
            "remarks": self.events.borrow().get("remarks"),
        });
        // Of a run in stages alone.
        if let Some(stages) = self.events.borrow().get("stages") {
            record["stages"] = stages.clone();
        }
        record
    }

    fn write(&self, status: Status, summary: Option<Value>, timings: Value) -> Result<()> {
        let record = self.to_json(status, summary, timings);
        let text = serde_json::to_string_pretty(&record)
            .map_err(|e| Error::run(format!("cannot write {}: {e}", self.path.display())))?;
        match status {
            Status::Running => {
                let spare = " ".repeat(SPARE);
                file::replace(&self.path, format!("{text}{spare}\n").as_bytes())
            }
            _ => self.complete(format!("{text}\n").as_bytes()),
        }
    }

    /// Puts the final record down: in the place of the present one where the disk has no room for
    /// another, since `running` must not be what is left.
    fn complete(&self, text: &[u8]) -> Result<()> {
        file::replace(&self.path, text).or_else(|error| {
            let in_place = || -> io::Result<()> {
                let mut file = own::open_alone(File::options().write(true), &self.path)?;
                file.write_all(text)?;
                file.set_len(text.len() as u64)?;
                file.sync_all()
            };
            in_place().map_err(|_| error)
        })
    }
}
