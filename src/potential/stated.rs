//! What is stated of a network beside its tensors: a JSON object in a file beside the model's, or in its metadata.
//!
//! Every key is taken, known to be a remark, or refused by name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::painn::import::archive::Archive;
use super::painn::import::shown::shown;
use super::painn::import::{ENERGY_UNITS, LENGTH_UNITS, energy_unit, json, length_unit};
use crate::{Error, Result};

/// What each network needs.
const NEEDED: [&str; 3] = ["cutoff", "energy_unit", "distance_unit"];

/// Hyper-parameters of a network.
pub(super) struct Stated {
    /// The network's name, for messages.
    network: &'static str,
    /// Range, in units of length.
    pub(super) cutoff: f64,
    /// eV per unit of energy.
    pub(super) energy: f64,
    /// Angstrom per unit of length.
    pub(super) length: f64,
    /// What nobody has taken yet.
    map: Map<String, Value>,
    /// Remarks by key.
    pub(super) remarks: BTreeMap<String, String>,
}

impl Stated {
    /// Reads what is stated under the metadata key `key` of a file, or in the text beside it.
    ///
    /// # Errors
    /// It is no JSON object, is in both places and differs, or lacks what each network needs.
    pub(super) fn of(
        archive: &Archive,
        (key, network): (&str, &'static str),
        beside: Option<&str>,
    ) -> Result<Self> {
        let parse = |place: String, text: &str| match json::parse(text) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(Error::input(format!("{place} is no JSON object"))),
            Err(e) => Err(Error::input(format!("{place} is no JSON: {e}"))),
        };
        let inside = archive.metadata.get(key);
        let inside = inside.map(|text| parse(format!("the metadata key '{key}'"), text));
        let beside = beside.map(|text| parse("the .json file beside the model".to_owned(), text));
        let map = match (inside.transpose()?, beside.transpose()?) {
            (Some(inside), Some(beside)) if inside != beside => {
                return Err(Error::input(
                    "the hyper-parameters in the file's metadata and those in the .json file beside it differ: remove one",
                ));
            }
            (Some(map), _) | (None, Some(map)) => map,
            (None, None) => Map::new(),
        };
        let absent: Vec<&str> = NEEDED
            .into_iter()
            .filter(|key| !map.contains_key(*key))
            .collect();
        if !absent.is_empty() {
            return Err(Error::input(format!(
                "the hyper-parameters {} of this {network} are missing: write a .json file of the same name beside the \
                 model, such as {{\"cutoff\": 5.0, \"energy_unit\": \"eV\", \"distance_unit\": \"Ang\"}}",
                absent.join(", ")
            )));
        }
        let remarks = (archive.metadata.iter())
            .filter(|(other, _)| *other != key)
            .map(|(key, text)| (key.clone(), text.clone()))
            .collect();
        Self::needed(network, map, remarks)
    }

    fn needed(
        network: &'static str,
        mut map: Map<String, Value>,
        remarks: BTreeMap<String, String>,
    ) -> Result<Self> {
        let [cutoff, energy, length] = NEEDED.map(|key| map.remove(key).unwrap_or_default());
        let positive = |x: &f64| *x > 0.0 && x.is_finite();
        Ok(Self {
            network,
            cutoff: (cutoff.as_f64().filter(positive))
                .ok_or_else(|| unfit("cutoff", &cutoff, "a positive number"))?,
            energy: (energy.as_str().and_then(energy_unit))
                .ok_or_else(|| unfit("energy_unit", &energy, ENERGY_UNITS))?,
            length: (length.as_str().and_then(length_unit))
                .ok_or_else(|| unfit("distance_unit", &length, LENGTH_UNITS))?,
            map,
            remarks,
        })
    }

    /// Checks that a number is not stated, or is what the tensors show.
    ///
    /// # Errors
    /// It is another one.
    pub(super) fn check(&mut self, key: &str, found: usize) -> Result<()> {
        let Some(value) = self.map.remove(key) else {
            return Ok(());
        };
        match value.as_u64() {
            None => Err(unfit(key, &value, "a whole number")),
            Some(stated) if stated == found as u64 => Ok(()),
            Some(stated) => Err(Error::input(format!(
                "the hyper-parameter '{key}' is {stated}, but the tensors show {found}"
            ))),
        }
    }

    /// A flag that is false where it is not stated.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn flag(&mut self, key: &str) -> Result<bool> {
        match self.map.remove(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(unfit(key, &other, "true or false")),
        }
    }

    /// A number, where it is stated.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.map.remove(key) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|x| x.is_finite());
        number
            .map(Some)
            .ok_or_else(|| unfit(key, &value, "a number"))
    }

    /// Atomic numbers or symbols, where they are stated.
    ///
    /// # Errors
    /// They are none.
    pub(super) fn elements(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        let Some(value) = self.map.remove(key) else {
            return Ok(None);
        };
        let element = |one: &Value| match one {
            Value::String(symbol) => crate::core::elements::number(symbol),
            one => one.as_u64().and_then(|z| u8::try_from(z).ok()),
        };
        let known = |z: &u8| (1..=crate::core::elements::LAST).contains(z);
        let list: Option<Vec<u8>> = value
            .as_array()
            .and_then(|list| list.iter().map(|one| element(one).filter(known)).collect());
        let mut list = list
            .filter(|list| !list.is_empty())
            .ok_or_else(|| unfit(key, &value, "a list of elements such as [\"H\", \"C\"]"))?;
        list.sort_unstable();
        list.dedup();
        Ok(Some(list))
    }

    /// Checks that a word is not stated, or is this one, which alone is built in.
    ///
    /// # Errors
    /// It is another one.
    pub(super) fn only(&mut self, key: &str, word: &str) -> Result<()> {
        match self.map.remove(key) {
            Some(value) if value != word => {
                Err(unfit(key, &value, &format!("{word:?}, the only one")))
            }
            _ => Ok(()),
        }
    }

    /// Takes keys that change no number, and refuses what is left.
    ///
    /// # Errors
    /// A key is not known.
    pub(super) fn finish(mut self, remarks: &[&str]) -> Result<BTreeMap<String, String>> {
        for &key in remarks {
            let stated = self.map.remove(key);
            self.remarks
                .extend(stated.map(|value| (key.to_owned(), words(&value))));
        }
        match self.map.keys().next() {
            None => Ok(self.remarks),
            Some(key) => Err(Error::input(format!(
                "the hyper-parameter '{}' of a {} is not known: remove it if it changes nothing",
                shown(key),
                self.network
            ))),
        }
    }
}

/// A remark as text.
fn words(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn unfit(key: &str, value: &Value, wanted: &str) -> Error {
    Error::input(format!(
        "the hyper-parameter '{key}' is {}, expected {wanted}",
        shown(&value.to_string())
    ))
}
