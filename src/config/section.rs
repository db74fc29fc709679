//! One table of the run file being resolved: values read by kind, defaults filled in, faults named.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::{Table, Value};

use super::keys::row::{
    Absent, ConfigKey, Flag, Limit, MOST_STEPS, OneOf, Quantity, Sign, Steps, Text, Whole,
};
use super::plan::Places;
use super::raw::Leaf;
use super::source::Source;
use crate::error::nearest;
use crate::units::{self, Dimension};
use crate::{Error, Result};

/// Which of many systems a table is resolved for.
#[derive(Debug, Clone)]
pub(super) struct OneOfMany {
    /// Its place among those that a list in the table is for.
    pub index: usize,
    /// How many these are.
    pub of: usize,
    /// What errors call it: `member 17 (frame 3)`.
    pub words: String,
}

/// A table of the run file, what it resolves to, and where its keys are.
#[derive(Clone)]
pub(super) struct Section<'s> {
    source: &'s Source,
    /// The system that it is resolved for; `None` for one alone.
    pub member: Option<OneOfMany>,
    /// Its dotted name.
    name: String,
    /// Where it is.
    pub span: Range<usize>,
    /// Every key with its value, defaults filled in.
    pub resolved: Table,
    /// Where its keys are.
    pub places: BTreeMap<String, String>,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

/// What tables that are resolved leave behind.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolved {
    /// Each with its keys, by its name.
    pub tables: Table,
    /// Where the keys are.
    pub places: Places,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

impl Resolved {
    /// Takes over what another table left.
    pub fn take(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.places.0.extend(other.places.0);
        self.notes.extend(other.notes);
    }
}

impl<'s> Section<'s> {
    pub fn new(source: &'s Source, name: &str, span: Range<usize>) -> Self {
        let places = BTreeMap::from([(name.to_owned(), source.place(&span))]);
        Self {
            source,
            member: None,
            name: name.to_owned(),
            span,
            resolved: Table::new(),
            places,
            notes: Vec::new(),
        }
    }

    /// The table as it is for one of many systems.
    pub fn of(self, member: Option<OneOfMany>) -> Self {
        Self { member, ..self }
    }

    /// The dotted name of a key.
    fn path(&self, key: impl AsRef<str>) -> String {
        format!("{}.{}", self.name, key.as_ref())
    }

    /// An error about a key, at its place or that of the table.
    pub fn fault(&self, key: impl AsRef<str>, leaf: &Leaf, message: impl Into<String>) -> Error {
        let span = leaf
            .as_ref()
            .map_or_else(|| self.span.clone(), |l| l.span());
        self.fault_at(key, &span, message)
    }

    /// An error about a key at a place of its own.
    pub fn fault_at(
        &self,
        key: impl AsRef<str>,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> Error {
        let message = format!("{}: {}", self.path(key), message.into());
        self.source.fault(span, message)
    }

    /// An error about what a key makes of a system: says of which one.
    pub fn misfit(&self, key: impl AsRef<str>, leaf: &Leaf, message: impl Into<String>) -> Error {
        let message = message.into();
        let of = self.member.as_ref().map(|member| &member.words);
        let message = of.map_or(message.clone(), |words| format!("{words}: {message}"));
        self.fault(key, leaf, message)
    }

    /// Says that a key has to be there.
    pub fn missing(&self, key: impl AsRef<str>, example: &str) -> Error {
        let key = key.as_ref();
        let why = format!("is missing; give it, such as {key} = {example}");
        self.fault(key, &None, why)
    }

    /// A remark about a key.
    pub fn note(&mut self, key: impl AsRef<str>, message: &str) {
        let note = format!("{}: {message}", self.path(key));
        self.notes.push(note);
    }

    /// Keeps what a key resolves to, and where it is.
    pub fn keep(&mut self, key: impl AsRef<str>, leaf: &Leaf, value: impl Into<Value>) {
        let key = key.as_ref();
        self.resolved.insert(key.to_owned(), value.into());
        if let Some(leaf) = leaf {
            self.place(key, &leaf.span());
        }
    }

    /// What the path in a key is relative to: the run file's folder, `base`, or, for an override, the folder of the process.
    pub fn base<'b>(&self, leaf: &Leaf, base: &'b Path) -> &'b Path {
        let in_file = leaf.as_ref().is_none_or(|l| self.source.in_file(&l.span()));
        if in_file { base } else { Path::new("") }
    }

    /// Keeps where a key is.
    pub fn place(&mut self, key: impl AsRef<str>, span: &Range<usize>) {
        let place = self.source.place(span);
        self.places.insert(self.path(key), place);
    }

    /// Keeps that a key was given in another way than in the document.
    pub fn place_at(&mut self, key: impl AsRef<str>, place: String) {
        self.places.insert(self.path(key), place);
    }

    /// Refuses a key that means nothing here, and says why.
    pub fn refuse(&self, key: impl AsRef<str>, leaf: &Leaf, why: &str) -> Result<()> {
        match leaf {
            Some(_) => Err(self.fault(key, leaf, why)),
            None => Ok(()),
        }
    }

    /// A quantity in internal units.
    pub fn quantity(&mut self, key: &ConfigKey<Quantity>, leaf: &Leaf) -> Result<f64> {
        match (leaf, key.absent.value()) {
            (None, Some(default)) => {
                self.keep(key, leaf, default);
                units::parse(default, key.value.dimension)
            }
            _ => self.given(key.name, leaf, &key.value),
        }
    }

    /// A limit: a positive quantity, or `"off"`.
    pub fn limit(&mut self, key: &ConfigKey<Limit>, leaf: &Leaf) -> Result<Option<f64>> {
        let dimension = key.value.dimension;
        let word = match leaf {
            None => key.absent.value(),
            Some(leaf) => leaf.get_ref().as_str(),
        };
        match (leaf, word) {
            (_, Some("off")) | (None, None) => {
                self.keep(key, leaf, "off");
                Ok(None)
            }
            (None, Some(default)) => {
                self.keep(key, leaf, default);
                units::parse(default, dimension).map(Some)
            }
            (Some(_), _) => {
                let sign = Sign::Positive;
                let value = self.given(key.name, leaf, &Quantity { dimension, sign })?;
                Ok(Some(value))
            }
        }
    }

    /// A quantity that has to be there.
    pub fn given(&mut self, key: &str, leaf: &Leaf, wanted: &Quantity) -> Result<f64> {
        let Some(spanned) = leaf else {
            let usual = match key {
                "relaxation" => "0.1 ps",
                "barostat_relaxation" => "1 ps",
                _ => example(wanted.dimension),
            };
            return Err(self.missing(key, &format!("{usual:?}")));
        };
        let value = quantity(spanned.get_ref(), wanted.dimension, wanted.sign)
            .map_err(|e| self.fault(key, leaf, e.to_string()))?;
        self.keep(key, leaf, spanned.get_ref().clone());
        Ok(value)
    }

    /// A whole number.
    pub fn whole(&mut self, key: &ConfigKey<Whole>, leaf: &Leaf) -> Result<Option<u64>> {
        self.whole_within(key.name, leaf, key.value.least, key.value.most)
    }

    fn whole_within(
        &mut self,
        key: &str,
        leaf: &Leaf,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>> {
        let Some(spanned) = leaf else {
            return Ok(None);
        };
        let fault = |what: &str| {
            let written = spanned.get_ref();
            self.fault(
                key,
                leaf,
                format!("{written} is {what}; a whole number from {least} is wanted"),
            )
        };
        let number = match spanned.get_ref() {
            Value::Integer(n) => u64::try_from(*n).map_err(|_| fault("negative"))?,
            _ => return Err(fault("not a whole number")),
        };
        if number < least {
            return Err(fault("too small"));
        }
        if number > most {
            return Err(self.fault(key, leaf, format!("{number} is too large; at most {most}")));
        }
        self.keep(key, leaf, spanned.get_ref().clone());
        Ok(Some(number))
    }

    /// A number of steps, given as such or as a time, which is rounded up to whole steps.
    pub fn steps(
        &mut self,
        key: &ConfigKey<Steps>,
        leaf: &Leaf,
        timestep: f64,
    ) -> Result<Option<u64>> {
        self.steps_from(key.name, leaf, timestep, key.value.least)
    }

    /// A number of steps of at least `least`.
    pub fn steps_from(
        &mut self,
        key: &str,
        leaf: &Leaf,
        timestep: f64,
        least: u64,
    ) -> Result<Option<u64>> {
        let Some(Value::String(text)) = leaf.as_ref().map(|l| l.get_ref()) else {
            return self.whole_within(key, leaf, least, MOST_STEPS).map_err(|e| match leaf.as_ref().map(|l| l.get_ref()) {
                Some(Value::Float(_)) => self.fault(
                    key,
                    leaf,
                    "a number of steps is a whole number; a duration is text with its unit, such as \"10 fs\"",
                ),
                _ => e,
            });
        };
        let time = quantity(
            &Value::String(text.clone()),
            Dimension::Time,
            Sign::NotNegative,
        )
        .map_err(|e| self.fault(key, leaf, e.to_string()))?;
        let exact = time / timestep;
        if exact > MOST_STEPS as f64 {
            return Err(self.fault(
                key,
                leaf,
                format!("{text:?} is more than {MOST_STEPS:e} steps"),
            ));
        }
        let steps = match (exact - exact.round()).abs() <= WHOLE * exact.max(1.0) {
            true => exact.round(),
            false => exact.ceil(),
        } as u64;
        if steps < least {
            return Err(self.fault(
                key,
                leaf,
                format!("{text:?} is {steps} steps; at least {least} is wanted"),
            ));
        }
        if (exact - steps as f64).abs() > WHOLE * exact.max(1.0) {
            self.note(
                key,
                &format!("{text:?} is {exact:.6} timesteps, rounded up to {steps}"),
            );
        }
        self.keep(key, leaf, i64::try_from(steps).unwrap_or(i64::MAX));
        Ok(Some(steps))
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, key: &ConfigKey<OneOf<T>>, leaf: &Leaf) -> Result<T> {
        let words = key.value.words;
        let all = || {
            words
                .iter()
                .map(|w| format!("{:?}", w.0))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let word = match (leaf.as_ref().map(|l| l.get_ref()), key.absent.value()) {
            (Some(Value::String(word)), _) => word.as_str(),
            (None, Some(word)) => word,
            (Some(other), _) => {
                return Err(self.fault(key, leaf, format!("{other} is not one of {}", all())));
            }
            (None, None) => return Err(self.missing(key, &format!("{:?}", words[0].0))),
        };
        let Some((_, meaning)) = words.iter().find(|w| w.0 == word) else {
            let instead = synonym(key.name, word).or_else(|| {
                let near = nearest(word, words.iter().map(|w| w.0))?;
                Some(format!("did you mean {near:?}?"))
            });
            let instead = instead.map_or_else(String::new, |instead| format!("; {instead}"));
            let why = format!("{word:?} is not one of {}{instead}", all());
            return Err(self.fault(key, leaf, why));
        };
        self.keep(key, leaf, word);
        Ok(*meaning)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &ConfigKey<Flag>, leaf: &Leaf) -> Result<bool> {
        let flag = match leaf.as_ref().map(|l| l.get_ref()) {
            None => key.absent == Absent::Is("true"),
            Some(Value::Boolean(flag)) => *flag,
            Some(other) => {
                return Err(self.fault(key, leaf, format!("{other} is neither true nor false")));
            }
        };
        self.keep(key, leaf, flag);
        Ok(flag)
    }

    /// Text that is not empty.
    pub fn text<'l>(&self, key: &ConfigKey<Text>, leaf: &'l Leaf) -> Result<&'l str> {
        let example = key.value.example;
        match leaf.as_ref().map(|l| l.get_ref()) {
            None => Err(self.missing(key, example)),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            Some(other) => Err(self.fault(
                key,
                leaf,
                format!(
                    "{other} is not text; give it, such as {} = {example}",
                    key.name
                ),
            )),
        }
    }

    /// A seed, which has to be there.
    pub fn seed(&mut self, key: &ConfigKey<Whole>, leaf: &Leaf) -> Result<u32> {
        let seed = self.whole(key, leaf)?;
        let seed = seed.and_then(|s| u32::try_from(s).ok());
        seed.ok_or_else(|| self.missing(key, "1 (equal seeds give equal runs)"))
    }

    /// A table within this one.
    pub fn inner(&self, key: impl AsRef<str>, span: Range<usize>) -> Section<'s> {
        Section::new(self.source, &self.path(key), span).of(self.member.clone())
    }

    /// Takes over places and notes of a table within this one; returns what it resolves to.
    pub fn absorb(&mut self, inner: Section<'s>) -> Table {
        self.places.extend(inner.places);
        self.notes.extend(inner.notes);
        inner.resolved
    }

    /// Keeps a table within this one.
    pub fn adopt(&mut self, key: impl AsRef<str>, inner: Section<'s>) {
        let table = self.absorb(inner);
        self.keep(key, &None, table);
    }

    /// Hands over what was kept, as the table `name`: one of several, `system.3`, becomes the only one.
    pub fn finish(self, name: &str) -> Resolved {
        let renamed = |place: String| match place.strip_prefix(&self.name) {
            Some(rest) => format!("{name}{rest}"),
            None => place,
        };
        let places = self.places.into_iter();
        Resolved {
            tables: Table::from_iter([(name.to_owned(), Value::Table(self.resolved))]),
            places: Places(places.map(|(key, place)| (renamed(key), place)).collect()),
            notes: self.notes,
        }
    }
}

/// What is right where a word of other programs stands for it; `None` where the word is no such one.
fn synonym(key: &str, word: &str) -> Option<String> {
    let word = word.to_lowercase().replace(['-', '_', ' '], "");
    let (_, _, instead) = (SYNONYMS.iter())
        .find(|(keys, words, _)| keys.contains(&key) && words.contains(&word.as_str()))?;
    Some((*instead).to_owned())
}

/// Keys, what other programs write there (lower case, without dashes and blanks), and what it is here.
const SYNONYMS: [(&[&str], &[&str], &str); 15] = [
    (
        &["ensemble"],
        &["nosehoover", "nose", "nhc", "nosehooverchain"],
        "a Nose-Hoover chain is \"nose_hoover\" here, with temperature = \"300 K\" and relaxation = \"0.1 ps\"",
    ),
    (
        &["ensemble"],
        &[
            "nvt",
            "canonical",
            "thermostat",
            "andersen",
            "baoab",
            "brownian",
            "stochastic",
            "sd",
            "ld",
        ],
        "constant temperature is \"langevin\" here, with temperature = \"300 K\", friction = \"1 1/ps\" and seed = 1",
    ),
    (
        &["ensemble", "thermostat"],
        &["bussi", "vrescale", "berendsen", "rescale", "svr"],
        "velocity rescaling is \"csvr\" here, with temperature = \"300 K\", relaxation = \"0.1 ps\" and seed = 1",
    ),
    (
        &["ensemble"],
        &["nph", "npe", "isobaric", "isothermalisobaric", "barostat"],
        "constant pressure is \"npt\" here, with a thermostat",
    ),
    (
        &["ensemble"],
        &[
            "verlet",
            "velocityverlet",
            "vv",
            "leapfrog",
            "microcanonical",
            "md",
            "newton",
            "newtonian",
        ],
        "constant energy, by velocity Verlet, is \"nve\"",
    ),
    (
        &["kind"],
        &["gpu", "nvidia", "cuda0", "gpu0", "gpu:0"],
        "the first GPU is \"cuda:0\"; \"auto\" takes it where there is one",
    ),
    (
        &["kind"],
        &[
            "rocm", "hip", "amd", "metal", "mps", "xpu", "vulkan", "opencl", "tpu", "intel",
        ],
        "GPUs are NVIDIA's here, \"cuda:0\"; everything else runs on the \"cpu\"",
    ),
    (
        &["precision"],
        &[
            "float32", "fp32", "single", "float", "mixed", "32", "default",
        ],
        "single precision is \"f32\"",
    ),
    (
        &["precision"],
        &["float16", "fp16", "half", "16"],
        "half precision is \"f16\"; with the range of f32 and fewer digits it is \"bf16\"",
    ),
    (
        &["precision"],
        &["bfloat16", "bfloat"],
        "that is \"bf16\" here",
    ),
    (
        &["precision"],
        &["i8", "int", "8", "8bit", "quantized", "quantised"],
        "weights in 8 bits are \"int8\"",
    ),
    (
        &["precision"],
        &["float64", "fp64", "double", "64"],
        "double precision is \"f64\"",
    ),
    (
        &["format"],
        &[
            "extxyz",
            "exyz",
            "ext",
            "asexyz",
            "traj",
            "pdb",
            "gro",
            "lammps",
            "lammpstrj",
            "dump",
            "hdf5",
            "h5md",
        ],
        "extended XYZ, which other programs convert, is \"xyz\"",
    ),
    (
        &["format"],
        &[
            "trr", "nc", "netcdf", "ncdf", "tng", "binary", "gromacs", "amber", "charmm", "namd",
        ],
        "binary trajectories are \"dcd\" and \"xtc\"",
    ),
    (
        &["action"],
        &["abort", "fail", "error", "exit", "kill", "halt", "raise"],
        "that is \"stop\"",
    ),
];

/// A duration is a whole number of steps if it is one to this relative accuracy: the rounding of a
/// product and a quotient of f64, with room.
const WHOLE: f64 = 1e-9;

/// Text for a quantity, as one would write it.
fn example(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Time => "0.5 fs",
        Dimension::Length => "5 A",
        Dimension::Mass => "2.014 u",
        Dimension::Energy => "0.01 eV",
        Dimension::Temperature => "300 K",
        Dimension::Rate => "1 1/ps",
        Dimension::Force => "50 eV/A",
        Dimension::SpringConstant => "1 eV/A^2",
        Dimension::DriftPerAtom => "1 meV/atom/ps",
        Dimension::Velocity => "0.01 A/fs",
        Dimension::Pressure => "1 bar",
        Dimension::Compressibility => "4.5e-5 1/bar",
    }
}

/// A quantity of a TOML value, which has to be text.
pub(super) fn quantity(value: &Value, dimension: Dimension, sign: Sign) -> Result<f64> {
    let text = match value {
        Value::String(text) => text,
        Value::Integer(_) | Value::Float(_) => {
            return Err(Error::input(format!(
                "{value} needs a unit, as text: {} such as {:?}",
                dimension.name(),
                example(dimension)
            )));
        }
        _ => {
            return Err(Error::input(format!(
                "{} is wanted, as text with its unit, such as {:?}",
                dimension.name(),
                example(dimension)
            )));
        }
    };
    let number = units::parse(text, dimension)?;
    match sign {
        Sign::Positive if number <= 0.0 => Err(Error::input(format!(
            "{text:?} is {}; {} greater than zero is wanted",
            if number < 0.0 { "negative" } else { "zero" },
            dimension.name()
        ))),
        Sign::NotNegative if number < 0.0 => Err(Error::input(format!(
            "{text:?} is negative; {} of zero or more is wanted",
            dimension.name()
        ))),
        _ => Ok(number),
    }
}
