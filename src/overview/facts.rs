//! What a run's record (`run.json`) says, as far as its page tells it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::report::pace::PaceRecord;
use crate::report::record::Resumption;
use crate::report::{OriginFile, Status};
use crate::units::{self, BAR, Dimension};
use crate::{Error, Result, input};

/// What is read of a run's record. What is missing is empty: records of earlier versions, and of runs that go on, say less.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RunFacts {
    /// How it ended, if it did.
    pub status: Option<Status>,
    /// When it began.
    pub started: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
    /// The steps at which it went on.
    pub resumed_from: Vec<Resumption>,
    /// Versions by name.
    pub versions: serde_json::Map<String, Value>,
    /// The run file.
    #[serde(deserialize_with = "input::deserialize_some_path")]
    pub config_file: Option<PathBuf>,
    /// What it resolved to.
    pub config: Value,
    /// The model, or a list of them.
    pub model: Value,
    /// The structure file.
    pub structure: Option<OriginFile>,
    /// Sum formula.
    pub formula: String,
    /// Number of atoms.
    pub atoms: u64,
    /// Number of members, of a batch.
    pub members: Option<u64>,
    /// Degrees of freedom of the kinetic energy.
    pub degrees_of_freedom: usize,
    /// What ran, on what.
    pub engine: String,
    /// The device.
    pub device: String,
    /// CPU threads.
    pub threads: u64,
    /// Seeds by what they are for.
    pub seeds: serde_json::Map<String, Value>,
    /// Its closing summary.
    pub summary: Value,
    /// The steps before a fault.
    pub flight: Value,
    /// What was found to be wrong.
    pub diagnosis: Value,
    /// What it told on the way.
    pub remarks: Option<Vec<String>>,
    /// How fast it was.
    pub pace: Option<PaceRecord>,
}

impl RunFacts {
    /// What a record says; `directory` is that of the run.
    ///
    /// # Errors
    /// It is no run's record.
    pub fn of(record: &Value, directory: &Path) -> Result<Self> {
        let place = directory.display();
        Self::deserialize(record)
            .map_err(|e| Error::input(format!("{place}: its run.json is no record of a run: {e}")))
    }

    /// A key of the run file.
    pub fn setting(&self, table: &str, key: &str) -> Option<&Value> {
        self.config.get(table)?.get(key)
    }

    fn quantity(&self, key: &str, dimension: Dimension) -> Option<f64> {
        units::parse(self.setting("dynamics", key)?.as_str()?, dimension).ok()
    }

    /// The ensemble's word in the run file.
    pub fn ensemble(&self) -> &str {
        self.setting("dynamics", "ensemble")
            .and_then(Value::as_str)
            .unwrap_or("")
    }

    /// The thermostat's temperature (kT, eV), where there is one.
    pub fn bath_kt(&self) -> Option<f64> {
        self.quantity("temperature", Dimension::Temperature)
            .filter(|kt| *kt > 0.0)
    }

    /// The time (internal) in which the thermostat exchanges the kinetic energy, where there is one.
    pub fn relaxation(&self) -> Option<f64> {
        let friction = self.quantity("friction", Dimension::Rate);
        let friction = friction.filter(|rate| *rate > 0.0).map(|rate| 1.0 / rate);
        friction.or_else(|| self.quantity("relaxation", Dimension::Time))
    }

    /// The barostat's pressure (bar), where there is one.
    pub fn pressure_bar(&self) -> Option<f64> {
        self.quantity("pressure", Dimension::Pressure)
            .map(|pressure| pressure / BAR)
    }

    /// The time step (internal time).
    pub fn timestep(&self) -> Option<f64> {
        self.quantity("timestep", Dimension::Time)
    }

    /// A number of the summary.
    pub fn figure(&self, key: &str) -> Option<f64> {
        self.summary.get(key)?.as_f64()
    }

    /// A text of the summary.
    pub fn words(&self, key: &str) -> Option<&str> {
        self.summary.get(key)?.as_str()
    }

    /// The trained models' files; none where it was computed without.
    pub fn models(&self) -> Vec<OriginFile> {
        let all = match &self.model {
            Value::Array(all) => all.as_slice(),
            Value::Null => &[],
            one => std::slice::from_ref(one),
        };
        all.iter()
            .filter_map(|one| OriginFile::deserialize(one).ok())
            .collect()
    }

    /// The run file as TOML.
    pub fn run_file(&self) -> Option<String> {
        let table = toml::Table::deserialize(&self.config).ok()?;
        toml::to_string(&table).ok()
    }
}
