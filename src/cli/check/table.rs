//! The findings of `mdrun check`, as a table for people and as numbers for scripts.

use serde::Serialize;
use serde_json::{Value, json};

use crate::Result;
use crate::cli::words;
use crate::terminal::{Mood, Terminal, shown};
use crate::text::significant;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// It is only told.
    Info,
    /// It is as it should be.
    Ok,
    /// It should be looked at.
    Look,
    /// The run would be wrong.
    Bad,
}

impl Grade {
    /// Ok up to `fine`, to be looked at up to `most`, bad beyond, and where it is not a number.
    pub fn of(value: f64, fine: f64, most: f64) -> Self {
        match value {
            value if value <= fine => Self::Ok,
            value if value <= most => Self::Look,
            _ => Self::Bad,
        }
    }

    fn mood(self) -> Option<Mood> {
        match self {
            Self::Info => None,
            Self::Ok => Some(Mood::Good),
            Self::Look => Some(Mood::Doubt),
            Self::Bad => Some(Mood::Bad),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Info => "",
            Self::Ok => "ok",
            Self::Look => "look",
            Self::Bad => "BAD",
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Finding {
    what: &'static str,
    found: String,
    grade: Grade,
    /// The number that was found; null for what is no number.
    value: Option<f64>,
    /// Its unit; null for a pure number.
    unit: Option<&'static str>,
    /// The number that it may not pass.
    limit: Option<f64>,
}

impl Finding {
    /// Adds the number behind the text. A number that is not finite is none.
    pub fn value(&mut self, value: f64, unit: &'static str) -> &mut Self {
        self.value = Some(value).filter(|v| v.is_finite());
        self.unit = (!unit.is_empty()).then_some(unit);
        self
    }

    /// Adds the number that the value may not pass.
    pub fn limit(&mut self, limit: f64) -> &mut Self {
        self.limit = Some(limit);
        self
    }

    /// The finding's name for scripts.
    fn key(&self) -> String {
        self.what.replace(' ', "_")
    }

    fn json(&self) -> Value {
        json!({
            "key": self.key(),
            "what": self.what,
            "value": self.value,
            "unit": self.unit,
            "limit": self.limit,
            "verdict": self.grade.word().to_lowercase(),
            "found": self.found,
        })
    }
}

/// The findings so far.
#[derive(Debug, Default)]
pub struct CheckTable(Vec<Finding>);

impl CheckTable {
    /// Adds a finding.
    pub fn add(
        &mut self,
        what: &'static str,
        found: impl Into<String>,
        grade: Grade,
    ) -> &mut Finding {
        self.0.push(Finding {
            what,
            found: found.into(),
            grade,
            value: None,
            unit: None,
            limit: None,
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// Adds what is only told.
    pub fn info(&mut self, what: &'static str, found: impl Into<String>) -> &mut Finding {
        self.add(what, found, Grade::Info)
    }

    /// Adds a number that is good if it does not exceed its limit.
    pub fn judge(&mut self, what: &'static str, value: f64, limit: f64, unit: &'static str) {
        let grade = Grade::of(value, limit, limit);
        let found = format!(
            "{} {unit} (at most {})",
            scientific(value),
            scientific(limit)
        );
        self.add(what, found, grade).value(value, unit).limit(limit);
    }

    /// Whether something is bad.
    pub fn is_bad(&self) -> bool {
        self.0.iter().any(|f| f.grade == Grade::Bad)
    }

    /// All of it for scripts.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self.0.iter().map(Finding::json).collect();
        json!({"findings": rows, "good": !self.is_bad()})
    }

    /// Prints it for people.
    ///
    /// # Errors
    /// Some of it is lost, though someone is there to read it.
    pub fn print(&self) -> Result<()> {
        let terminal = Terminal::out();
        for f in &self.0 {
            let word = format!("{:4}", f.grade.word());
            let word = (f.grade.mood()).map_or(word.clone(), |mood| terminal.paint(mood, &word));
            words::show(&format!("{word} {:22} {}\n", f.what, shown(&f.found)))?;
        }
        Ok(())
    }
}

/// A small number to two digits: `2.4e-10`; 0 as it is.
fn scientific(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if (0.01..1000.0).contains(&value.abs()) => significant(value, 2),
        value => format!("{value:.1e}"),
    }
}
