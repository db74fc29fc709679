//! What a model's metadata say, held against the table of what they may: everything that is wrong, what to do about it, and
//! the table for people.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::core::elements;
use crate::error::nearest;
use crate::potential::pair::PowerLaw;

use super::shown::shown;
use super::table::Need::{Default, Needed, Or};
use super::table::{Key, Kind, PAINN, REMARKS, REMARKS_BEGIN, SCHNETPACK};
use super::units;

pub use super::table::{HEAVIEST, Style};

/// Parts of the names of energies that a model might add.
const OFFSETS: &[&str] = &[
    "offset",
    "shift",
    "atomref",
    "e0",
    "isolated",
    "baseline",
    "reference",
    "mean",
    "bias",
];
/// Parts of the names of factors that a model might multiply by.
const FACTORS: &[&str] = &["scale", "std", "sigma", "rms", "factor", "multiplier"];

/// What to do with what looks like an energy to add or a factor.
pub fn advice(name: &str, style: Style) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(FACTORS) {
        return Some(match style {
            Style::Painn => {
                "a factor of the energy goes into 'energy_unit', which may be a number of eV"
            }
            Style::SchNetPack => {
                "a factor of the energy goes into 'units', whose 'energy' may be a number of eV"
            }
        });
    }
    has(OFFSETS).then_some(match style {
        Style::Painn => {
            "energies to be added go into 'reference_energies_eV' (by element) and 'mean_per_atom_eV', both in eV"
        }
        Style::SchNetPack => {
            "energies to be added go into 'mean_per_atom' with 'add_mean', and into the tensor \
             'postprocessors.1.atomref' with 'add_atomrefs'"
        }
    })
}

impl Style {
    fn keys(self) -> &'static [Key] {
        match self {
            Self::Painn => PAINN,
            Self::SchNetPack => SCHNETPACK,
        }
    }

    /// Where the keys stand, for messages.
    fn place(self) -> &'static str {
        match self {
            Self::Painn => "the 'painn' metadata",
            Self::SchNetPack => "the metadata",
        }
    }

    /// A whole example of the metadata, for a message.
    pub fn whole_example(self) -> String {
        format!(
            "a whole example, to be changed to what the model is: {}",
            self.example()
        )
    }

    fn example(self) -> String {
        let given = self
            .keys()
            .iter()
            .filter_map(|k| Some((k.name, k.example?)));
        match self {
            Self::Painn => {
                let parts: Vec<String> = given
                    .map(|(name, value)| format!("\"{name}\": {value}"))
                    .collect();
                format!("painn = {{{}}}", parts.join(", "))
            }
            Self::SchNetPack => {
                let parts: Vec<String> = given
                    .map(|(name, value)| format!("{name} = {value}"))
                    .collect();
                parts.join(", ")
            }
        }
    }

    /// Every key, as a table in Markdown.
    pub fn table(self) -> String {
        let mut out =
            String::from("| key | type | unit | default | what it is |\n|---|---|---|---|---|\n");
        for key in self.keys() {
            let need = match key.need {
                Needed => "needed".to_owned(),
                Or(other) => format!("needed, or `{other}`"),
                Default(value) => value.to_owned(),
            };
            let (name, kind, unit, meaning) = (key.name, key.kind.name(), key.unit, key.meaning);
            let _ = writeln!(out, "| `{name}` | {kind} | {unit} | {need} | {meaning} |");
        }
        out
    }
}

/// Whether a key holds a remark that no energy depends on.
pub fn is_remark(name: &str) -> bool {
    REMARKS.contains(&name) || REMARKS_BEGIN.iter().any(|begin| name.starts_with(begin))
}

/// Whether a key is one of SchNetPack's that say something of the energy.
pub fn is_schnetpack(name: &str) -> bool {
    SCHNETPACK.iter().any(|k| k.name == name)
}

/// Everything that is wrong with the keys and values of a style's metadata, with an example of the whole where some are
/// missing; `None` where nothing is.
pub fn fault(style: Style, map: &Map<String, Value>) -> Option<String> {
    let there = |name: &str| map.get(name).is_some_and(|v| !v.is_null());
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for key in style.keys() {
        match key.need {
            Needed if !there(key.name) => missing.push(format!("'{}'", key.name)),
            Or(other) if !there(key.name) && !there(other) && key.example.is_some() => {
                missing.push(format!("'{}' (or '{other}')", key.name));
            }
            Or(other) if there(key.name) && there(other) && key.example.is_some() => {
                wrong.push(format!(
                    "'{}' and '{other}' are both there: one of them is enough",
                    key.name
                ));
            }
            _ => {}
        }
        if let Some(value) = map.get(key.name).filter(|v| !v.is_null()) {
            wrong.extend(key.kind.fault(key.name, value));
        }
    }
    let known = |name: &str| style.keys().iter().any(|k| k.name == name) || is_remark(name);
    wrong.extend(
        (map.keys())
            .filter(|name| !known(name))
            .map(|name| unknown(style, name)),
    );
    let mut told = Vec::new();
    if !missing.is_empty() {
        told.push(format!("{} lack {}", style.place(), missing.join(", ")));
    }
    told.extend(wrong);
    if told.iter().any(|part| part.contains(" lack ")) {
        told.push(style.whole_example());
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// What to say of a key that is none.
fn unknown(style: Style, name: &str) -> String {
    let mut said = format!("{} have the unknown key '{}'", style.place(), shown(name));
    // A slip, or a name that was cut; a likeness of another kind would hide the advice.
    let slip = |near: &&str| {
        near.starts_with(name) || name.starts_with(*near) || strsim::osa_distance(near, name) <= 2
    };
    let advice = advice(name, style);
    let near = nearest(name, style.keys().iter().map(|k| k.name));
    if let Some(near) = near.filter(|near| advice.is_none() || slip(near)) {
        let _ = write!(said, " (did you mean '{near}'?)");
    } else if let Some(advice) = advice {
        let _ = write!(said, " ({advice})");
    } else {
        said += " (what says nothing of the energy goes under 'notes')";
    }
    said
}

impl Kind {
    /// For the documentation.
    fn name(self) -> String {
        let quoted = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
            words.join(", ")
        };
        match self {
            Self::Word(words) => quoted(words),
            Self::Words(words) => format!("list of {}", quoted(words)),
            Self::Number => "number".into(),
            Self::Positive => "number over 0".into(),
            Self::Count(most) => format!("1 to {most}"),
            Self::Whole(least, most) => format!("{least} to {most}"),
            Self::Flag => "`true`, `false`".into(),
            Self::EnergyUnit => format!("{}, or a number of eV", units::ENERGIES),
            Self::LengthUnit => units::LENGTHS.into(),
            Self::Units => "object".into(),
            Self::Epsilon => "number over 0, or a list".into(),
            Self::Elements => "list".into(),
            Self::References | Self::Repulsion => "object".into(),
            Self::Remark => "any".into(),
        }
    }

    /// What is wrong with a value of this kind.
    fn fault(self, key: &str, value: &Value) -> Option<String> {
        let wanted = match self {
            Self::Word(known) => return word_fault(key, value, known),
            Self::Words(known) => {
                return match value.as_array() {
                    Some(list) => list.iter().find_map(|v| word_fault(key, v, known)),
                    None => Some(wrong(key, "a list of text", value)),
                };
            }
            Self::EnergyUnit => return energy_unit_fault(key, value),
            Self::LengthUnit => return length_unit_fault(key, value),
            Self::Units => return units_fault(key, value),
            Self::Elements => return elements_fault(key, value),
            Self::References => return references_fault(key, value),
            Self::Repulsion if repulsion(value).is_none() => {
                format!(
                    "an object of a positive 'energy_eV', a positive 'sigma' and a 'power' from 1 to {}",
                    PowerLaw::MOST
                )
            }
            Self::Remark => return None,
            Self::Number if value.as_f64().is_none_or(|x| !x.is_finite()) => {
                "a finite number".into()
            }
            Self::Positive if value.as_f64().is_none_or(|x| !x.is_finite()) => {
                "a finite number".into()
            }
            Self::Positive if !is_positive(value) => "positive".into(),
            Self::Count(most) if count(value).is_none_or(|n| !(1..=most).contains(&n)) => {
                format!("a whole number from 1 to {most}")
            }
            Self::Whole(least, most)
                if value.as_i64().is_none_or(|n| !(least..=most).contains(&n)) =>
            {
                format!("a whole number from {least} to {most}")
            }
            Self::Flag if !value.is_boolean() => "true or false".into(),
            Self::Epsilon if !is_epsilon(value) => {
                "a positive number, or a list of them, one per interaction".into()
            }
            _ => return None,
        };
        Some(wrong(key, &wanted, value))
    }
}

/// A size.
pub fn count(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok())
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|x| x > 0.0 && x.is_finite())
}

fn is_epsilon(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty() && list.iter().all(is_positive),
        _ => is_positive(value),
    }
}

fn word_fault(key: &str, value: &Value, known: &[&str]) -> Option<String> {
    let Some(text) = value.as_str() else {
        return Some(wrong(key, "text", value));
    };
    let found = known.iter().any(|k| text.eq_ignore_ascii_case(k));
    (!found).then(|| {
        format!(
            "'{key}' is \"{}\", which is not built in; known: {}",
            shown(text),
            known.join(", ")
        )
    })
}

fn energy_unit_fault(key: &str, value: &Value) -> Option<String> {
    match value {
        Value::Number(_) if is_positive(value) => None,
        Value::Number(_) => Some(wrong(
            key,
            "the name of a unit, or a positive number of eV",
            value,
        )),
        Value::String(name) if units::energy(name).is_some() => None,
        Value::String(name) => Some(format!(
            "'{key}': the unit of energy \"{}\" is not known; known: {}, or a number of eV",
            shown(name),
            units::ENERGIES
        )),
        _ => Some(wrong(key, "the name of a unit, or a number of eV", value)),
    }
}

fn length_unit_fault(key: &str, value: &Value) -> Option<String> {
    match value.as_str() {
        Some(name) if units::length(name).is_some() => None,
        Some(name) => Some(format!(
            "'{key}': the unit of length \"{}\" is not known; known: {}",
            shown(name),
            units::LENGTHS
        )),
        None => Some(wrong(key, "the name of a unit", value)),
    }
}

/// Units of SchNetPack's style; that of forces, which says nothing new, has to go with the others.
fn units_fault(key: &str, value: &Value) -> Option<String> {
    let Some(map) = value.as_object() else {
        return Some(wrong(key, "an object with 'energy' and 'distance'", value));
    };
    let lack: Vec<String> = (["energy", "distance"].iter())
        .filter(|name| map.get(**name).is_none_or(Value::is_null))
        .map(|name| format!("'units: {name}'"))
        .collect();
    if !lack.is_empty() {
        return Some(format!("the metadata lack {}", lack.join(", ")));
    }
    let fault = energy_unit_fault("units: energy", &map["energy"])
        .or_else(|| length_unit_fault("units: distance", &map["distance"]));
    if fault.is_some() {
        return fault;
    }
    let other = map
        .keys()
        .find(|k| !["energy", "distance", "forces"].contains(&k.as_str()));
    if let Some(other) = other {
        return Some(format!(
            "'units' has the unknown key '{}'; known: energy, distance, forces",
            shown(other)
        ));
    }
    let forces = map.get("forces").filter(|v| !v.is_null())?;
    let stated = forces.as_str().and_then(units::force);
    let agrees = stated.is_some_and(|unit| {
        let own = energy_unit(&map["energy"])
            / map["distance"]
                .as_str()
                .and_then(units::length)
                .unwrap_or(1.0);
        (unit - own).abs() < 1e-9 * own
    });
    (!agrees).then(|| {
        format!(
            "'units' of forces, {}, are not those of energy over distance: which of them are right?",
            shown(&forces.to_string())
        )
    })
}

/// eV per unit of energy, of a value that has been checked.
pub fn energy_unit(value: &Value) -> f64 {
    let named = || value.as_str().and_then(units::energy);
    value.as_f64().or_else(named).unwrap_or(1.0)
}

/// The element that a text names: an atomic number or a symbol.
pub fn element(text: &str) -> Option<u8> {
    let number = text
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten();
    number
        .or_else(|| elements::number(text))
        .filter(|z| (1..=HEAVIEST).contains(z))
}

/// The element of a JSON value: an atomic number or a symbol.
pub fn element_of(value: &Value) -> Option<u8> {
    match value {
        Value::String(text) => element(text),
        _ => value
            .as_u64()
            .and_then(|z| u8::try_from(z).ok())
            .filter(|z| (1..=HEAVIEST).contains(z)),
    }
}

/// A repulsion beside a network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatedRepulsion {
    /// For each direction of a pair (eV).
    pub energy: f64,
    /// In the model's unit.
    pub sigma: f64,
    pub power: usize,
}

/// The repulsion of a JSON value.
pub fn repulsion(value: &Value) -> Option<StatedRepulsion> {
    let map = value.as_object().filter(|map| map.len() == 3)?;
    let positive = |key: &str| map.get(key).filter(|x| is_positive(x))?.as_f64();
    let power = count(map.get("power")?)?;
    Some(StatedRepulsion {
        energy: positive("energy_eV")?,
        sigma: positive("sigma")?,
        power: Some(power).filter(|power| (1..=PowerLaw::MOST).contains(power))?,
    })
}

/// The first of some numbers that is there a second time.
fn twice(numbers: &[u8]) -> Option<u8> {
    let mut seen = [false; 256];
    (numbers.iter().copied()).find(|&z| std::mem::replace(&mut seen[usize::from(z)], true))
}

fn elements_fault(key: &str, value: &Value) -> Option<String> {
    let list = value.as_array().filter(|list| !list.is_empty());
    let numbers: Option<Vec<u8>> = list.and_then(|list| list.iter().map(element_of).collect());
    match numbers {
        None => Some(wrong(
            key,
            "a list of atomic numbers from 1 to 118, or of symbols",
            value,
        )),
        Some(numbers) => {
            twice(&numbers).map(|z| format!("'{key}' lists {} twice", elements::symbol(z)))
        }
    }
}

fn references_fault(key: &str, value: &Value) -> Option<String> {
    let valid = |(name, energy): (&String, &Value)| {
        energy.as_f64().filter(|e| e.is_finite())?;
        element(name)
    };
    let entries = value.as_object().map(|map| map.iter().map(valid));
    let numbers: Option<Vec<u8>> = entries.and_then(Iterator::collect);
    match numbers {
        None => Some(wrong(
            key,
            "an object of energies by atomic number, such as {\"1\": -13.6}",
            value,
        )),
        Some(numbers) => {
            twice(&numbers).map(|z| format!("'{key}' has two energies for {}", elements::symbol(z)))
        }
    }
}

/// Says what a value should be.
pub fn wrong(key: &str, wanted: &str, found: &Value) -> String {
    format!(
        "'{key}' in the metadata must be {wanted}, not {}",
        shown(&found.to_string())
    )
}
