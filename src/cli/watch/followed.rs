//! A run as its directory tells it from one look to the next.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::members::WatchedMembers;
use super::pace::WatchedPace;
use super::table::FollowedTable;
use crate::report::record::{self, Resumption};
use crate::report::{Status, names};
use crate::units::{self, Dimension};
use crate::{Error, Result, input, run, shell};

/// Looks in a row at which a run that says that it is running is held by no process, before it has died.
const LOOKS_OF_THE_DEAD: u32 = 2;

/// What of a run's record is shown.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct WatchedRecord {
    pub status: Option<Status>,
    pub started: Option<String>,
    pub begun: Option<bool>,
    pub resumed_from: Vec<Resumption>,
    pub resumes: Option<u64>,
    pub config: Value,
    pub formula: String,
    pub atoms: u64,
    pub members: Option<u64>,
    pub engine: String,
    pub device: String,
    pub summary: Option<Value>,
}

impl WatchedRecord {
    /// A value of the run file.
    pub fn value(&self, table: &str, key: &str) -> Option<&Value> {
        self.config.get(table)?.get(key)
    }

    /// Text of the run file.
    pub fn text(&self, table: &str, key: &str) -> Option<&str> {
        self.value(table, key)?.as_str()
    }

    /// The time step (internal time).
    pub fn timestep(&self) -> Option<f64> {
        units::parse(self.text("dynamics", "timestep")?, Dimension::Time).ok()
    }

    /// Steps of the run in all.
    pub fn steps(&self) -> Option<u64> {
        // Of a run in stages those of all of them.
        if let Some(stages) = self.config.get("stage").and_then(Value::as_array) {
            let steps = stages.iter().map(|stage| {
                let dynamics = &stage["dynamics"];
                (dynamics["steps"].as_u64()).or(dynamics["most_steps"].as_u64())
            });
            return steps.sum();
        }
        if let Some(steps) = self.value("dynamics", "steps").and_then(Value::as_u64) {
            return Some(steps);
        }
        let duration = units::parse(self.text("dynamics", "duration")?, Dimension::Time).ok()?;
        Some((duration / self.timestep()?).round() as u64)
    }

    /// Where and when the present sitting began: at a step, at a moment as text.
    pub fn sitting(&self) -> (u64, Option<&str>) {
        match self.resumed_from.last() {
            Some(last) => (last.step, Some(&last.at)),
            None => (0, self.started.as_deref()),
        }
    }
}

/// Where a run is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WatchedStage {
    /// There is none yet.
    NotBegun,
    /// It has come to no step yet.
    SettingUp,
    /// It takes steps.
    Running,
    /// It had ended so, and a process is at work in its directory: it ends, or goes on.
    Busy(Status),
    /// It has ended so.
    Ended(Status),
    /// It had not ended, and there is no process of it any more.
    Died,
}

impl WatchedStage {
    /// Whether nothing more is to come.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Ended(_) | Self::Died)
    }
}

/// A run that is watched.
pub(super) struct FollowedRun {
    directory: PathBuf,
    /// The record's bytes, and what they say; `None` where there is no record.
    bytes: Vec<u8>,
    record: Option<WatchedRecord>,
    table: FollowedTable,
    members: WatchedMembers,
    pace: WatchedPace,
    stage: WatchedStage,
    /// Looks in a row at which it seemed dead.
    dead: u32,
}

impl FollowedRun {
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            bytes: Vec::new(),
            record: None,
            table: FollowedTable::new(directory.join(names::THERMO)),
            members: WatchedMembers::default(),
            pace: WatchedPace::default(),
            stage: WatchedStage::NotBegun,
            dead: 0,
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn record(&self) -> Option<&WatchedRecord> {
        self.record.as_ref()
    }

    pub fn table(&self) -> &FollowedTable {
        &self.table
    }

    pub fn members(&self) -> &WatchedMembers {
        &self.members
    }

    pub fn pace(&self) -> &WatchedPace {
        &self.pace
    }

    pub fn stage(&self) -> WatchedStage {
        self.stage
    }

    /// Takes in what is new.
    ///
    /// # Errors
    /// There is no such directory, or it is something else.
    pub fn look(&mut self) -> Result<()> {
        let held = run::is_held(&self.directory);
        self.read_record()?;
        let path = self.directory.join(names::THERMO);
        self.table.follow();
        if self
            .record
            .as_ref()
            .is_some_and(|record| record.members.is_some())
        {
            self.members.read(&self.directory);
        }
        let stage = stage(self.record.as_ref(), held);
        self.dead = match stage {
            WatchedStage::Died => self.dead + 1,
            _ => 0,
        };
        // A run that ends lets go of its directory right after it has said so.
        if stage != WatchedStage::Died || self.dead >= LOOKS_OF_THE_DEAD {
            self.stage = stage;
        } else if self.stage == WatchedStage::NotBegun {
            self.stage = WatchedStage::Running;
        }
        if let (WatchedStage::Running, Some(record)) = (self.stage, &self.record) {
            self.pace
                .note(self.table.progress(), record.sitting(), &path);
        }
        Ok(())
    }

    /// Looks once more where one look does not tell: whether a run has died.
    ///
    /// # Errors
    /// As for [`FollowedRun::look`].
    pub fn look_again(&mut self) -> Result<()> {
        for _ in 0..LOOKS_OF_THE_DEAD {
            if self.dead > 0 && !self.stage.is_final() {
                std::thread::sleep(super::NAP);
                self.look()?;
            }
        }
        Ok(())
    }

    /// Reads the record where it is another one; what is not whole leaves the one before.
    fn read_record(&mut self) -> Result<()> {
        let place = self.directory.display();
        if !self.directory.is_dir() {
            let what = match self.directory.exists() {
                true => "is not a directory",
                false => "is not there",
            };
            return Err(Error::input(format!(
                "{place} {what}; the directory of a run is wanted: mdrun watch RUN_DIR (mdrun CONFIG.toml says where it \
                 writes)"
            )));
        }
        let path = self.directory.join(names::RECORD);
        if let (false, Some(page)) = (path.exists(), record::page_of_validation(&self.directory)) {
            return Err(Error::input(format!(
                "{place} is the folder of a validation, whose page is {page}; the directory of a run is wanted: mdrun watch \
                 RUN_DIR"
            )));
        }
        let bytes = input::read(&path, record::LONGEST).unwrap_or_default();
        if bytes == self.bytes {
            return Ok(());
        }
        let record: Option<WatchedRecord> = serde_json::from_slice(&bytes).ok();
        if record.is_none() && !bytes.is_empty() {
            return Ok(());
        }
        let sittings = |record: &Option<WatchedRecord>| {
            (record.as_ref()).map(|record| (record.started.clone(), record.resumes))
        };
        if sittings(&record) != sittings(&self.record) {
            // Its tables were cut back, or are another run's.
            self.table.restart();
            self.pace = WatchedPace::default();
        }
        self.bytes = bytes;
        self.record = record;
        Ok(())
    }

    /// The command that goes on with it.
    pub fn command_to_go_on(&self) -> String {
        format!("mdrun resume {}", shell::quoted(&self.directory))
    }
}

/// Where a run is, of which `held` tells whether a process is at work in its directory, where that can be told.
fn stage(record: Option<&WatchedRecord>, held: Option<bool>) -> WatchedStage {
    let Some(status) = record.and_then(|record| record.status) else {
        return WatchedStage::NotBegun;
    };
    let begun = record.and_then(|record| record.begun) != Some(false);
    match (status, held) {
        (Status::Running, Some(false)) => WatchedStage::Died,
        (Status::Running, _) if begun => WatchedStage::Running,
        (Status::Running, _) => WatchedStage::SettingUp,
        (status, Some(true)) => WatchedStage::Busy(status),
        (status, _) => WatchedStage::Ended(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(status: Status, begun: bool) -> WatchedRecord {
        WatchedRecord {
            status: Some(status),
            begun: Some(begun),
            ..WatchedRecord::default()
        }
    }

    #[test]
    fn a_run_is_dead_where_it_says_that_it_runs_and_nobody_holds_it() {
        use WatchedStage::{Busy, Died, Ended, NotBegun, Running, SettingUp};
        for (status, begun, held, right) in [
            (Status::Running, true, Some(true), Running),
            (Status::Running, true, None, Running),
            (Status::Running, true, Some(false), Died),
            (Status::Running, false, Some(true), SettingUp),
            (Status::Running, false, Some(false), Died),
            (Status::Failed, true, Some(true), Busy(Status::Failed)),
            (Status::Interrupted, true, None, Ended(Status::Interrupted)),
            (Status::Complete, true, Some(false), Ended(Status::Complete)),
        ] {
            assert_eq!(stage(Some(&record(status, begun)), held), right);
        }
        assert_eq!(stage(None, Some(true)), NotBegun);
        assert_eq!(stage(Some(&WatchedRecord::default()), None), NotBegun);
    }

    #[test]
    fn steps_are_those_of_the_run_file_however_it_says_them() {
        let of = |dynamics: Value| WatchedRecord {
            config: serde_json::json!({ "dynamics": dynamics }),
            ..WatchedRecord::default()
        };
        let steps = of(serde_json::json!({ "timestep": "0.5 fs", "steps": 7 })).steps();
        assert_eq!(steps, Some(7));
        let duration = of(serde_json::json!({ "timestep": "0.5 fs", "duration": "1 ps" })).steps();
        assert_eq!(duration, Some(2000));
        assert_eq!(of(serde_json::json!({})).steps(), None);
    }
}
