//! The text of a run file and its overrides, parsed as one document that knows where everything in
//! it came from.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::keys;
use crate::error::nearest;
use crate::input::unreadable;
use crate::{Error, Result, input};

/// Longest run file (bytes): thousands of times what any needs.
const LONGEST: u64 = 1 << 24;

/// Keys that stand in each other's way: an override of the first drops the second of the file, so
/// that `--set dynamics.steps=100` works whichever of the two the file has.
const EXCLUSIVE: [(&str, &[&str]); 6] = [
    ("dynamics.steps", &["duration"]),
    ("dynamics.duration", &["steps"]),
    ("system.replicas", &["replica"]),
    ("system.replica", &["replicas"]),
    ("potential.model", &["lennard_jones"]),
    ("potential.lennard_jones", &["model", "precision"]),
];

/// A run file with overrides. Positions in it (spans) count bytes of the file, then of the overrides
/// one after another.
pub(super) struct Source {
    /// The run file.
    pub path: PathBuf,
    text: String,
    /// Where its lines begin.
    lines: Vec<usize>,
    overrides: Vec<Override>,
    /// Whether the text is not that of a file.
    recorded: bool,
}

/// One `--set`.
struct Override {
    /// Where its positions start.
    start: usize,
    /// As it was given.
    given: String,
    /// What it means in TOML, after so many blanks that its positions come out of the parser as they should.
    padded: String,
}

impl Override {
    fn new(given: &str, start: usize) -> Self {
        let meant = quoted(given).unwrap_or_else(|| given.to_owned());
        Self {
            start,
            given: given.to_owned(),
            padded: format!("{}{meant}", " ".repeat(start)),
        }
    }

    /// The flag as it was given, on one line.
    fn flag(&self) -> String {
        format!("--set {}", self.given.trim().replace('\n', " "))
    }
}

/// A setting whose value is text without quotes (`dynamics.timestep=1fs`, `potential.model=my/model.safetensors`), with
/// them; `None` where the value is TOML, or was meant to be.
fn quoted(setting: &str) -> Option<String> {
    let (key, value) = split_setting(setting)?;
    let value = value.trim();
    let meant = value.is_empty() || value.starts_with(['"', '\'', '[', '{']);
    if meant || value.contains('\n') || DeTable::parse(setting).is_ok() {
        return None;
    }
    let text = toml::Value::from(value).to_string();
    let quoted = format!("{key}={text}");
    DeTable::parse(&quoted).is_ok().then_some(quoted)
}

impl Source {
    /// Reads the run file; nothing is parsed yet.
    ///
    /// # Errors
    /// The file cannot be read or is not text.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self> {
        let fault = |message: &str| Error::input(message).within(path.display());
        let bytes = input::read(path, LONGEST).map_err(|e| match e.kind() {
            std::io::ErrorKind::IsADirectory => fault("is a directory; name a run file in it"),
            std::io::ErrorKind::NotFound => fault("no such run file"),
            _ => fault(&unreadable(&e)),
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| fault("is not text (UTF-8); a run file in TOML is wanted"))?;
        Ok(Self::with(path, text, overrides))
    }

    /// A document that a run's record keeps, with overrides; errors name the record, and no line of it.
    pub fn recorded(path: &Path, text: String, overrides: &[String]) -> Self {
        Self {
            recorded: true,
            ..Self::with(path, text, overrides)
        }
    }

    fn with(path: &Path, text: String, overrides: &[String]) -> Self {
        let mut start = text.len() + 1;
        let overrides = (overrides.iter())
            .map(|setting| {
                let setting = Override::new(setting, start);
                start = setting.padded.len() + 1;
                setting
            })
            .collect();
        let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = [0].into_iter().chain(breaks).collect();
        Self {
            path: path.to_path_buf(),
            text,
            lines,
            overrides,
            recorded: false,
        }
    }

    /// Whether a span is in the file, not in an override.
    pub fn in_file(&self, span: &Range<usize>) -> bool {
        span.start <= self.text.len()
    }

    /// Where a span is: `run.toml:12:5`, or `--set dynamics.steps=-1`.
    pub fn place(&self, span: &Range<usize>) -> String {
        let setting = self.overrides.iter().rfind(|s| s.start <= span.start);
        if let Some(setting) = setting {
            return setting.flag();
        }
        if self.recorded {
            return self.path.display().to_string();
        }
        let line = self.lines.partition_point(|begin| *begin <= span.start);
        let begin = self.lines[line - 1];
        let before = self.text.get(begin..span.start);
        let before = before.unwrap_or(&self.text[begin..]);
        let column = before.chars().count() + 1;
        format!("{}:{line}:{column}", self.path.display())
    }

    /// An error at a place of the document.
    pub fn fault(&self, span: &Range<usize>, message: impl Into<String>) -> Error {
        Error::input(message).within(self.place(span))
    }

    /// Parses file and overrides into one document.
    ///
    /// # Errors
    /// Not TOML, or an override that fits nowhere.
    pub fn document(&self) -> Result<Spanned<DeTable<'_>>> {
        let mut document = DeTable::parse(&self.text).map_err(|e| self.syntax_fault(&e))?;
        for setting in &self.overrides {
            self.apply(document.get_mut(), setting)?;
        }
        Ok(document)
    }

    /// A value of the document without its places.
    pub fn value_of(&self, value: &Spanned<DeValue<'_>>) -> Option<toml::Value> {
        let key = Spanned::new(0..0, std::borrow::Cow::Borrowed("value"));
        let table: DeTable<'_> = [(key, value.clone())].into_iter().collect();
        let mut table: toml::Table = self.read_from(Spanned::new(0..0, table)).ok()?;
        table.remove("value")
    }

    /// Reads a document, or a part of it.
    ///
    /// # Errors
    /// An unknown key (with the nearest known one), or a value of another kind.
    pub fn read_from<T: DeserializeOwned>(&self, document: Spanned<DeTable<'_>>) -> Result<T> {
        let known = document.clone();
        T::deserialize(Deserializer::from(document))
            .map_err(|e| self.toml_fault(&e, Some(known.get_ref())))
    }

    /// Puts one override into the document.
    fn apply<'s>(&self, document: &mut DeTable<'s>, setting: &'s Override) -> Result<()> {
        let fault = |m: String| Error::input(m).within(setting.flag());
        if setting.padded.trim().contains('\n') {
            return Err(fault(
                "more than one line; give each key a --set of its own".into(),
            ));
        }
        let (key, text) = split_setting(&setting.padded).ok_or_else(|| {
            fault("KEY=VALUE is wanted, such as --set dynamics.steps=1000".into())
        })?;
        let parsed = DeTable::parse(&setting.padded)
            .map_err(|e| fault(bad_setting(key.trim(), text.trim(), &e)))?;
        let (path, value) = unfold(parsed.into_inner(), segments(key));
        self.drop_rivals(document, &path);
        insert(document, (&path, 0), value).map_err(fault)
    }

    /// Drops the keys of the file that exclude the one that is overridden.
    fn drop_rivals(&self, document: &mut DeTable<'_>, path: &[KeyPart<'_>]) {
        let [table, key, ..] = path else {
            return;
        };
        let dotted = format!("{}.{}", table.get_ref(), key.get_ref());
        let rivals = EXCLUSIVE.iter().find(|(k, _)| *k == dotted);
        let table = document.get_mut(table.get_ref().as_ref());
        if let (Some((_, rivals)), Some(DeValue::Table(table))) =
            (rivals, table.map(Spanned::get_mut))
        {
            for rival in *rivals {
                if table.get(*rival).is_some_and(|v| self.in_file(&v.span())) {
                    table.remove(*rival);
                }
            }
        }
    }

    /// What is said of a file that is not TOML: most often, quotes were left out.
    fn syntax_fault(&self, error: &toml::de::Error) -> Error {
        let span = error.span().unwrap_or(0..0);
        let start = self.text.get(..span.start).and_then(|t| t.rfind('\n'));
        let line = self.text.get(start.map_or(0, |n| n + 1)..);
        let line = line.and_then(|l| l.lines().next()).unwrap_or_default();
        if let Some((key, value)) = split_setting(line)
            && DeTable::parse(line).is_err()
        {
            let value = value.split('#').next().unwrap_or_default().trim();
            let (key, open) = (key.trim(), value.starts_with(['"', '\'', '[', '{']));
            let quoted = format!("{key} = \"{value}\"");
            if !open && !value.is_empty() && DeTable::parse(&quoted).is_ok() {
                let why =
                    format!("{value} is not a TOML value; text is written in quotes: {quoted}");
                return self.fault(&span, why);
            }
        }
        self.toml_fault(error, None)
    }

    /// A message of the TOML reader, made ours.
    fn toml_fault(&self, error: &toml::de::Error, known: Option<&DeTable<'_>>) -> Error {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim().replace('\n', ", ");
        let path = known.and_then(|table| path_of(table, &span));
        let path = path.map_or_else(String::new, |p| format!("{p}: "));
        if let Some(rest) = message.strip_prefix("unknown field ") {
            let names = names_in(rest);
            if let Some((wrong, right)) = names.split_first() {
                return self.fault(&span, format!("{path}{}", unknown_key(wrong, right)));
            }
        }
        if let Some(name) = message.strip_prefix("missing field ") {
            return self.fault(
                &span,
                format!("{path}{} is missing", name.trim_matches('`')),
            );
        }
        let message = message.replace("expected a map", "expected a table");
        self.fault(&span, format!("{path}{message}"))
    }
}

/// The words in backticks of a message.
fn names_in(message: &str) -> Vec<String> {
    let quoted = message.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// What to say of an override that is not TOML.
fn bad_setting(key: &str, text: &str, error: &toml::de::Error) -> String {
    if DeTable::parse(&format!("{key} = 0")).is_ok() {
        return format!(
            "{text:?} is not a TOML value; text is written in quotes: --set '{key}=\"{text}\"'"
        );
    }
    format!(
        "{key:?} is not a dotted key: {}",
        error.message().replace('\n', ", ")
    )
}

/// What to say of a key that is not known where the `right` ones are.
pub(super) fn unknown_key(wrong: &str, right: &[String]) -> String {
    /// Keys of other programs, and what they are called here.
    const SYNONYMS: [(&str, &str); 8] = [
        ("dt", "timestep"),
        ("delta_t", "timestep"),
        ("temp", "temperature"),
        ("gamma", "friction"),
        ("damping", "friction"),
        ("length", "duration"),
        ("thermostat", "ensemble"),
        ("file", "structure"),
    ];
    let keys = right.join(", ");
    let synonym = SYNONYMS.iter().find(|s| s.0 == wrong).map(|s| s.1);
    let synonym = synonym.filter(|synonym| right.iter().any(|key| key == synonym));
    let near = synonym.or_else(|| nearest(wrong, right.iter().map(String::as_str)));
    if let Some(near) = near {
        return format!("unknown key; did you mean {near:?}? (keys here: {keys})");
    }
    let elsewhere = keys::home(wrong).map(|table| format!("; it belongs in {}", table.heading()));
    let elsewhere = elsewhere.unwrap_or_default();
    format!("unknown key{elsewhere} (keys here: {keys})")
}

/// Splits `KEY=VALUE` at the first equals sign outside of quotes.
fn split_setting(setting: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in setting.char_indices() {
        match (quote, c) {
            (None, '=') => {
                let (key, value) = (&setting[..at], &setting[at + 1..]);
                return (!key.trim().is_empty()).then_some((key, value));
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// Number of parts of a dotted key.
fn segments(key: &str) -> usize {
    let mut quote = None;
    let mut dots = 0;
    for c in key.chars() {
        match (quote, c) {
            (None, '.') => dots += 1,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    dots + 1
}

type KeyPart<'s> = Spanned<std::borrow::Cow<'s, str>>;

/// Takes the nested tables of a dotted key apart: its parts, and the value.
fn unfold(table: DeTable<'_>, parts: usize) -> (Vec<KeyPart<'_>>, Option<Spanned<DeValue<'_>>>) {
    let mut path = Vec::new();
    let mut next = Some(table);
    let mut value = None;
    while let Some((k, v)) = next.take().and_then(|t| t.into_iter().next()) {
        path.push(k);
        if path.len() == parts {
            value = Some(v);
        } else if let DeValue::Table(inner) = v.into_inner() {
            next = Some(inner);
        }
    }
    (path, value)
}

/// Puts a value at the part of a path that begins at `from`, making tables that are not there.
fn insert<'s>(
    table: &mut DeTable<'s>,
    (path, from): (&[KeyPart<'s>], usize),
    value: Option<Spanned<DeValue<'s>>>,
) -> Result<(), String> {
    let (Some(first), Some(value)) = (path.get(from), value) else {
        return Err("a value is wanted, such as --set dynamics.steps=1000".into());
    };
    let Some(second) = path.get(from + 1) else {
        table.insert(first.clone(), value);
        return Ok(());
    };
    let slot = table
        .entry(first.clone())
        .or_insert_with(|| Spanned::new(first.span(), DeValue::Table(DeTable::new())));
    match slot.get_mut() {
        DeValue::Table(inner) => insert(inner, (path, from + 1), Some(value)),
        DeValue::Array(list) => {
            let count = list.len();
            let index: Option<usize> = second.get_ref().parse().ok();
            let index = index.or_else(|| named(list, second.get_ref()));
            let item = index.and_then(|k| list.get_mut(k));
            let item = item.ok_or_else(|| no_entry(path, from, count))?;
            match item.get_mut() {
                DeValue::Table(inner) if path.len() > from + 2 => {
                    insert(inner, (path, from + 2), Some(value))
                }
                _ => {
                    *item = value;
                    Ok(())
                }
            }
        }
        _ => Err(format!("{} is a value, not a table", first.get_ref())),
    }
}

/// The place of the table in a list that has this name.
fn named(list: &toml::de::DeArray<'_>, name: &str) -> Option<usize> {
    list.iter().position(|item| {
        let table = item.get_ref().as_table();
        let own = table.and_then(|table| table.get("name"));
        own.and_then(|own| own.get_ref().as_str()) == Some(name)
    })
}

/// What to say of a path whose part after `at` is none of the entries that the array there has.
fn no_entry(path: &[KeyPart<'_>], at: usize, count: usize) -> String {
    let dotted = |parts: &[KeyPart<'_>]| {
        let parts = parts.iter().map(|part| part.get_ref().as_ref());
        parts.collect::<Vec<&str>>().join(".")
    };
    let name = dotted(&path[at..=at]);
    let entries = if count == 1 { "entry" } else { "entries" };
    let wanted = path[at + 1].get_ref();
    if wanted.parse::<i64>().is_ok() {
        return format!("{name} has {count} {entries}, counted from 0; {wanted} is none of them");
    }
    let (before, after) = (dotted(&path[..=at]), dotted(&path[at + 1..]));
    format!(
        "{name} has {count} {entries}, counted from 0: say which is meant, as in {before}.0.{after}"
    )
}

/// The dotted key whose name or value is at a span.
fn path_of(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    for (key, value) in table {
        let name = key.get_ref();
        if key.span() == *span || (value.span() == *span && !value.get_ref().is_table()) {
            return Some(name.to_string());
        }
        let inner = match value.get_ref() {
            DeValue::Table(inner) => path_of(inner, span),
            DeValue::Array(list) => (list.iter().enumerate()).find_map(|(k, item)| {
                let inner = item.get_ref().as_table()?;
                path_of(inner, span).map(|p| format!("{k}.{p}"))
            }),
            _ => None,
        };
        if let Some(path) = inner {
            return Some(format!("{name}.{path}"));
        }
    }
    None
}
