//! The lines of a validation: what was measured, the bar, why it is there, and what comes of it.

use serde::Serialize;
use serde_json::{Value, json};

use crate::report::series::Estimate;
use crate::terminal::Mood;
use crate::text::significant;

/// What comes of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// It has passed.
    Pass,
    /// It has failed.
    Fail,
    /// It cannot be decided: too little was measured.
    Undecided,
    /// It has no meaning for this system.
    NotApplicable,
}

impl Judgement {
    /// Passes up to a bar, fails beyond and where there is no number.
    pub fn of(value: f64, bar: f64) -> Self {
        match value <= bar {
            true => Self::Pass,
            false => Self::Fail,
        }
    }

    /// Fails where a deviation is certainly (by [`SURE`] standard errors) beyond its bar, passes where it is certainly not,
    /// or where it is within and no further from zero than its error tells.
    pub fn of_estimate(deviation: Estimate, bar: f64) -> Self {
        let Estimate { value, error, .. } = deviation;
        let size = value.abs();
        match size {
            _ if !(value.is_finite() && error.is_finite()) => Self::Undecided,
            _ if size - SURE * error > bar => Self::Fail,
            _ if size + CONFIDENT * error <= bar => Self::Pass,
            _ => Self::Undecided,
        }
    }

    /// Fails where a deviation from what is exact is certainly there; passes where it is not, if it is known so well that one
    /// of `seen` would be. Of an error that is a lower bound alone nothing follows.
    pub fn of_exact(deviation: Estimate, seen: f64) -> Self {
        let Estimate { value, error, .. } = deviation;
        match value.abs() {
            _ if !(value.is_finite() && error.is_finite() && deviation.converged) => {
                Self::Undecided
            }
            size if size > SURE * error => Self::Fail,
            _ if SURE * error <= seen => Self::Pass,
            _ => Self::Undecided,
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Undecided => "undecided",
            Self::NotApplicable => "-",
        }
    }

    /// How it is shown.
    pub fn mood(self) -> Option<Mood> {
        match self {
            Self::Pass => Some(Mood::Good),
            Self::Fail => Some(Mood::Bad),
            Self::Undecided => Some(Mood::Doubt),
            Self::NotApplicable => None,
        }
    }
}

/// A deviation is there for certain if it is so many standard errors: by chance once in 16,000 tests.
pub const SURE: f64 = 4.0;
/// A deviation is under its bar for certain if so many standard errors more are.
pub const CONFIDENT: f64 = 2.0;

/// One test and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationLine {
    /// Its name for scripts.
    pub key: &'static str,
    /// What is tested.
    pub what: &'static str,
    /// What was measured, in words.
    pub found: String,
    /// The number behind it.
    pub value: Option<f64>,
    /// Its standard error.
    pub error: Option<f64>,
    /// Its unit; empty for a pure number.
    pub unit: &'static str,
    /// The number that it may not pass.
    pub bar: Option<f64>,
    /// The bar in other words than the number and its unit.
    pub bar_words: Option<String>,
    /// Why the test is made, and where its bar comes from.
    pub reason: &'static str,
    /// What comes of it.
    pub judgement: Judgement,
}

impl ValidationLine {
    /// A test of a number against a bar.
    pub fn measured(
        (key, what): (&'static str, &'static str),
        (value, unit, bar): (f64, &'static str, f64),
        reason: &'static str,
    ) -> Self {
        Self {
            key,
            what,
            found: with_unit(short(value), unit),
            value: Some(value),
            error: None,
            unit,
            bar: Some(bar),
            bar_words: None,
            reason,
            judgement: Judgement::of(value, bar),
        }
    }

    /// A test that says in words what it found, of no number.
    pub fn told(
        (key, what): (&'static str, &'static str),
        found: impl Into<String>,
        reason: &'static str,
        judgement: Judgement,
    ) -> Self {
        Self {
            key,
            what,
            found: found.into(),
            value: None,
            error: None,
            unit: "",
            bar: None,
            bar_words: None,
            reason,
            judgement,
        }
    }

    /// The same with another text, which says more than the number.
    pub fn saying(self, found: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            ..self
        }
    }

    /// The same, judged otherwise.
    pub fn judged(self, judgement: Judgement) -> Self {
        Self { judgement, ..self }
    }

    /// The same with the standard error of its number.
    pub fn give_or_take(self, error: f64) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }

    /// The same with its bar in other words; none to leave it to the text.
    pub fn with_bar(self, words: impl Into<String>) -> Self {
        Self {
            bar_words: Some(words.into()),
            ..self
        }
    }

    /// The bar in words; empty where there is none.
    pub fn bar_text(&self) -> String {
        if let Some(words) = &self.bar_words {
            return words.clone();
        }
        (self.bar).map_or_else(String::new, |bar| with_unit(short(bar), self.unit))
    }

    /// All of it for scripts. Numbers that are not finite are null.
    pub fn json(&self) -> Value {
        let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
        json!({
            "key": self.key,
            "what": self.what,
            "found": self.found,
            "value": finite(self.value),
            "error": finite(self.error),
            "unit": (!self.unit.is_empty()).then_some(self.unit),
            "bar": finite(self.bar),
            "reason": self.reason,
            "verdict": self.judgement,
        })
    }
}

/// A number to two digits: `2.4e-10` where it is small; 0 as it is.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (0.01..1000.0).contains(&size) => significant(value, 2),
        _ => format!("{value:.1e}"),
    }
}

fn with_unit(number: String, unit: &str) -> String {
    match unit {
        "" => number,
        unit => format!("{number} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(value: f64, error: f64) -> Judgement {
        let converged = true;
        Judgement::of_estimate(
            Estimate {
                value,
                error,
                converged,
            },
            1.0,
        )
    }

    #[test]
    fn what_is_not_certain_is_not_decided() {
        assert_eq!(judged(0.1, 0.1), Judgement::Pass);
        assert_eq!(judged(-0.9, 0.01), Judgement::Pass);
        assert_eq!(judged(0.9, 0.2), Judgement::Undecided);
        assert_eq!(judged(-1.5, 0.2), Judgement::Undecided);
        assert_eq!(judged(-2.0, 0.2), Judgement::Fail);
        assert_eq!(judged(f64::NAN, 0.2), Judgement::Undecided);
        assert_eq!(judged(0.0, f64::INFINITY), Judgement::Undecided);
        assert_eq!(Judgement::of(f64::NAN, 1.0), Judgement::Fail);
    }
}
