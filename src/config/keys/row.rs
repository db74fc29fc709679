//! A row of the table of keys: what a key may be, what it is where it is left out, and how that is told.

use crate::units::Dimension;

/// More steps than any run has, and few enough for exact arithmetic in f64.
pub const MOST_STEPS: u64 = 1_000_000_000_000_000;

/// What `ensemble` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampled {
    /// `"nve"`
    Nve,
    /// `"langevin"`
    Langevin,
    /// `"csvr"`
    Csvr,
    /// `"npt"`
    Npt,
    /// `"nose_hoover"`
    NoseHoover,
    /// `"mtk"`
    Mtk,
}

impl Sampled {
    /// What run files call it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nve => "nve",
            Self::Langevin => "langevin",
            Self::Csvr => "csvr",
            Self::Npt => "npt",
            Self::NoseHoover => "nose_hoover",
            Self::Mtk => "mtk",
        }
    }
}

/// What values a quantity may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Above 0.
    Positive,
    /// 0 or more.
    NotNegative,
    /// Any.
    Any,
}

/// A table of the run file.
pub struct KeyTable {
    /// Its dotted name.
    pub name: &'static str,
    /// How it is written.
    pub form: Form,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    /// Its keys, in the order of the reference.
    pub rows: &'static [&'static dyn KeyRow],
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `[name]`
    Once,
    /// `[[name]]`, as often as is wanted.
    Many,
    /// `name = { ... }`
    Inline,
}

impl KeyTable {
    /// Its first line in a run file.
    pub fn heading(&self) -> String {
        match self.form {
            Form::Once => format!("[{}]", self.name),
            Form::Many => format!("[[{}]]", self.name),
            Form::Inline => format!("{} = {{ ... }}", self.name),
        }
    }

    /// Whether it has a key of this name.
    pub fn has(&self, key: &str) -> bool {
        self.rows.iter().any(|row| row.name() == key)
    }
}

/// A key, read as `V` says.
pub struct ConfigKey<V: 'static> {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub value: V,
    /// What it is where it is left out.
    pub absent: Absent,
    /// The ensembles that it belongs to; none: all of them.
    pub of: &'static [Sampled],
    /// What it is for, in sentences for users, as Markdown.
    pub doc: &'static str,
}

impl<V> AsRef<str> for ConfigKey<V> {
    fn as_ref(&self) -> &str {
        self.name
    }
}

/// What a key is where it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// The run file is refused.
    Required,
    /// This value; text without its quotes.
    Is(&'static str),
    /// What a sentence says, as Markdown.
    Told(&'static str),
}

impl Absent {
    /// The value, where there is one.
    pub fn value(self) -> Option<&'static str> {
        match self {
            Self::Is(value) => Some(value),
            Self::Required | Self::Told(_) => None,
        }
    }

    /// What it is, as Markdown: a value as it would be written.
    fn shown(self) -> String {
        match self {
            Self::Required => "required".to_owned(),
            Self::Told(sentence) => sentence.to_owned(),
            Self::Is(value) => {
                let plain = value.parse::<i64>().is_ok()
                    || value.parse::<bool>().is_ok()
                    || value.starts_with('[');
                if plain {
                    format!("`{value}`")
                } else {
                    format!("`{value:?}`")
                }
            }
        }
    }
}

/// A key whatever it is read as.
pub trait KeyRow: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What it may be, as Markdown.
    fn values(&self) -> String;
    /// What it is where it is left out, as Markdown.
    fn absent(&self) -> String;
    /// The ensembles that it belongs to; none: all of them.
    fn of(&self) -> &'static [Sampled];
    /// What it is for.
    fn doc(&self) -> &'static str;
}

impl<V: Allowed> KeyRow for ConfigKey<V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn values(&self) -> String {
        self.value.shown()
    }

    fn absent(&self) -> String {
        self.absent.shown()
    }

    fn of(&self) -> &'static [Sampled] {
        self.of
    }

    fn doc(&self) -> &'static str {
        self.doc
    }
}

/// What a key may be.
pub trait Allowed: Sync {
    /// What it may be, as Markdown.
    fn shown(&self) -> String;
}

/// A number with its unit.
pub struct Quantity {
    /// What it measures.
    pub dimension: Dimension,
    /// Which numbers it may be.
    pub sign: Sign,
}

impl Allowed for Quantity {
    fn shown(&self) -> String {
        let (name, units) = (self.dimension.name(), self.dimension.units());
        let bound = match self.sign {
            Sign::Positive => " above 0",
            Sign::NotNegative => ", 0 or more",
            Sign::Any => "",
        };
        format!("{name}{bound} ({units})")
    }
}

/// A temperature, 0 or more; for many systems a list of them.
pub struct Temperatures {
    /// Whether it may change in the course of a run.
    pub ramped: bool,
}

impl Temperatures {
    /// What one of them may be.
    pub const ONE: Quantity = Quantity {
        dimension: Dimension::Temperature,
        sign: Sign::NotNegative,
    };
}

impl Allowed for Temperatures {
    fn shown(&self) -> String {
        let or = if self.ramped { " or a ramp" } else { "" };
        format!("{}, or a list of them{or}", Self::ONE.shown())
    }
}

/// A quantity that may change in the course of a run.
pub struct Ramped(pub Quantity);

impl Allowed for Ramped {
    fn shown(&self) -> String {
        format!("{}, or a ramp", self.0.shown())
    }
}

/// A quantity above 0, or `"off"`.
pub struct Limit {
    /// What it measures.
    pub dimension: Dimension,
}

impl Allowed for Limit {
    fn shown(&self) -> String {
        let (name, units) = (self.dimension.name(), self.dimension.units());
        format!("{name} above 0 ({units}), or `\"off\"`")
    }
}

/// A number of steps, given as such or as a time.
pub struct Steps {
    /// Smallest number.
    pub least: u64,
    /// What else it may be, as Markdown.
    pub or: &'static str,
}

impl Allowed for Steps {
    fn shown(&self) -> String {
        let units = Dimension::Time.units();
        let or = if self.or.is_empty() { "" } else { ", or " };
        format!(
            "steps from {}, or a time ({units}){or}{}",
            self.least, self.or
        )
    }
}

/// A time that is rounded up to whole steps.
pub struct Duration;

impl Allowed for Duration {
    fn shown(&self) -> String {
        format!("a time ({})", Dimension::Time.units())
    }
}

/// A whole number.
pub struct Whole {
    /// Smallest.
    pub least: u64,
    /// Largest.
    pub most: u64,
}

/// What a seed of random numbers may be.
pub const SEEDS: Whole = Whole {
    least: 0,
    most: u32::MAX as u64,
};

impl Allowed for Whole {
    fn shown(&self) -> String {
        format!("a whole number from {}", self.least)
    }
}

/// One of some words.
pub struct OneOf<T: 'static> {
    /// The words, and what they mean.
    pub words: &'static [(&'static str, T)],
    /// What else it may be, as Markdown.
    pub or: &'static str,
}

impl<T: Sync> Allowed for OneOf<T> {
    fn shown(&self) -> String {
        let words = self.words.iter().map(|(word, _)| format!("`{word:?}`"));
        let or = Some(self.or.to_owned()).filter(|or| !or.is_empty());
        words.chain(or).collect::<Vec<_>>().join(", ")
    }
}

/// `true` or `false`.
pub struct Flag;

impl Allowed for Flag {
    fn shown(&self) -> String {
        "`true`, `false`".to_owned()
    }
}

/// Text.
pub struct Text {
    /// What it is, as Markdown.
    pub what: &'static str,
    /// One that may be meant, as it is written.
    pub example: &'static str,
}

impl Allowed for Text {
    fn shown(&self) -> String {
        self.what.to_owned()
    }
}

/// What is none of the others, as Markdown.
pub struct Forms(pub &'static str);

impl Allowed for Forms {
    fn shown(&self) -> String {
        self.0.to_owned()
    }
}
