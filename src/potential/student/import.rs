//! A StudentForceField from the bytes of a safetensors file with its authors' parameter names, and its hyper-parameters: the
//! JSON text beside the file, or in its metadata under the key `student`.
//!
//! Numbers that the tensors show too have to agree with them. Every key is used, known to be a remark, or refused by name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{SOFT, Student, StudentLayer};
use crate::core::elements::{LAST, symbol};
use crate::potential::Linear;
use crate::potential::network::ReadNetwork;
use crate::potential::painn::import::archive::Archive;
use crate::potential::painn::import::shown::shown;
use crate::potential::painn::import::{
    ENERGY_UNITS, LENGTH_UNITS, UNTOLD, energy_unit, json, length_unit,
};
use crate::{Error, Result};

/// The tensor that every set of weights has once.
const EMBEDDING: &str = "embedding.weight";
/// The metadata key of hyper-parameters in the file.
const KEY: &str = "student";
/// Numbers that are stated twice agree within this part, once rounded to f32.
const SAME: f64 = 1e-6;
/// Keys that change no number.
const REMARKS: [&str; 9] = [
    "source",
    "licence",
    "license",
    "module",
    "rbf",
    "cutoff_fn",
    "edge",
    "version",
    "use_torch_cluster",
];

/// Whether tensors of these names are a StudentForceField's.
pub(super) fn recognises(names: &[&str]) -> bool {
    let any = |part: &str| names.iter().any(|name| name.contains(part));
    any("message.rbf_to_scalar.") && any("update.mixing_matrix")
}

/// Reads a model as one of the list of architectures.
pub(super) fn read(bytes: &[u8], beside: Option<&str>) -> Result<ReadNetwork> {
    let (student, notes, remarks) = import(bytes, beside)?;
    Ok(ReadNetwork {
        network: Box::new(student),
        notes,
        remarks,
        lists_elements: false,
        stated: None,
    })
}

/// Reads a model with what is to be said of its file, and remarks of its hyper-parameters by key; `beside` is the text of the
/// JSON file beside it.
///
/// # Errors
/// The file is damaged, lacks tensors or has others, a number is not finite; a hyper-parameter is missing, not known, or not
/// what the tensors show.
pub fn import(
    bytes: &[u8],
    beside: Option<&str>,
) -> Result<(Student, Vec<String>, BTreeMap<String, String>)> {
    let mut archive = Archive::open(bytes)?;
    let prefixes = archive.prefixes_of(EMBEDDING);
    match prefixes.as_slice() {
        [only] => archive.strip(only)?,
        [] => {}
        several => {
            return Err(Error::input(format!(
                "the file has {} sets of weights: write a file with one of them",
                several.len()
            )));
        }
    }
    let hyper = StudentHyper::of(&archive, beside)?;
    let student = student(&mut archive, &hyper)?;
    student.check()?;
    let left: Vec<&str> = archive.names().collect();
    if !left.is_empty() {
        return Err(Error::input(format!(
            "a StudentForceField has no place for {}",
            archive.some_names()
        )));
    }
    let most = student.rows().saturating_sub(1).min(usize::from(LAST));
    let notes = vec![
        format!(
            "{UNTOLD}: those up to {} are accepted",
            symbol(most as u8)
        ),
        "its authors' code leaves cells out: it was trained on atoms without images, which count here where a cell is periodic"
            .to_owned(),
    ];
    Ok((student, notes, hyper.remarks))
}

/// What is stated beside the tensors.
struct StudentHyper {
    cutoff: f64,
    energy: f64,
    length: f64,
    trained_basis: bool,
    /// Numbers that the tensors show, by key.
    shapes: BTreeMap<&'static str, usize>,
    remarks: BTreeMap<String, String>,
}

impl StudentHyper {
    fn of(archive: &Archive, beside: Option<&str>) -> Result<Self> {
        let parse = |place: &str, text: &str| match json::parse(text) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(Error::input(format!("{place} is no JSON object"))),
            Err(e) => Err(Error::input(format!("{place} is no JSON: {e}"))),
        };
        let inside = archive.metadata.get(KEY);
        let inside = inside.map(|text| parse("the metadata key 'student'", text));
        let beside = beside.map(|text| parse("the .json file beside the model", text));
        let mut map = match (inside.transpose()?, beside.transpose()?) {
            (Some(inside), Some(beside)) if inside != beside => {
                return Err(Error::input(
                    "the hyper-parameters in the file's metadata and those in the .json file beside it differ: remove one",
                ));
            }
            (Some(map), _) | (None, Some(map)) => map,
            (None, None) => return Err(missing(&["cutoff", "energy_unit", "distance_unit"])),
        };
        let mut remarks: BTreeMap<String, String> = (archive.metadata.iter())
            .filter(|(key, _)| *key != KEY)
            .map(|(key, text)| (key.clone(), text.clone()))
            .collect();
        for key in REMARKS {
            let stated = map.remove(key);
            remarks.extend(stated.map(|value| (key.to_owned(), words(&value))));
        }
        let hyper = Self::stated(&mut map, remarks)?;
        match map.keys().next() {
            None => Ok(hyper),
            Some(key) => Err(Error::input(format!(
                "the hyper-parameter '{}' is not known: remove it if it changes nothing",
                shown(key)
            ))),
        }
    }

    /// Takes what is known out of the object.
    fn stated(map: &mut Map<String, Value>, remarks: BTreeMap<String, String>) -> Result<Self> {
        let needed = ["cutoff", "energy_unit", "distance_unit"];
        let absent: Vec<&str> = (needed.into_iter())
            .filter(|key| !map.contains_key(*key))
            .collect();
        if !absent.is_empty() {
            return Err(missing(&absent));
        }
        let mut shapes = BTreeMap::new();
        for key in ["hidden_dim", "num_interactions", "num_rbf", "max_z"] {
            if let Some(value) = map.remove(key) {
                let count = value.as_u64().and_then(|n| usize::try_from(n).ok());
                let count = count.ok_or_else(|| unfit(key, &value, "a whole number"))?;
                shapes.insert(key, count);
            }
        }
        let mut take = |key: &str| map.remove(key).unwrap_or_default();
        let cutoff = take("cutoff");
        let positive = |x: &f64| *x > 0.0 && x.is_finite();
        let cutoff = (cutoff.as_f64().filter(positive))
            .ok_or_else(|| unfit("cutoff", &cutoff, "a positive number"))?;
        let (energy, length) = (take("energy_unit"), take("distance_unit"));
        Ok(Self {
            cutoff,
            energy: (energy.as_str().and_then(energy_unit))
                .ok_or_else(|| unfit("energy_unit", &energy, ENERGY_UNITS))?,
            length: (length.as_str().and_then(length_unit))
                .ok_or_else(|| unfit("distance_unit", &length, LENGTH_UNITS))?,
            trained_basis: match take("learnable_rbf") {
                Value::Null => false,
                Value::Bool(flag) => flag,
                other => return Err(unfit("learnable_rbf", &other, "true or false")),
            },
            shapes,
            remarks,
        })
    }

    /// Checks that what is stated of the shapes is so.
    fn check_shape(&self, key: &str, found: usize) -> Result<()> {
        match self.shapes.get(key) {
            Some(&stated) if stated != found => Err(Error::input(format!(
                "the hyper-parameter '{key}' is {stated}, but the tensors show {found}"
            ))),
            _ => Ok(()),
        }
    }
}

/// A remark as text.
fn words(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn missing(keys: &[&str]) -> Error {
    Error::input(format!(
        "the hyper-parameters {} of this StudentForceField are missing: write a .json file of the same name beside the model, \
         such as {{\"cutoff\": 5.0, \"energy_unit\": \"eV\", \"distance_unit\": \"Ang\"}}",
        keys.join(", ")
    ))
}

fn unfit(key: &str, value: &Value, wanted: &str) -> Error {
    Error::input(format!(
        "the hyper-parameter '{key}' is {}, expected {wanted}",
        shown(&value.to_string())
    ))
}

/// The numbers of a model, in eV and angstrom.
fn student(archive: &mut Archive, hyper: &StudentHyper) -> Result<Student> {
    let (rows, f) = match archive.shape(EMBEDDING) {
        Some(&[rows, f]) if rows >= 2 && f > 0 => (rows, f),
        other => {
            return Err(Error::input(format!(
                "tensor '{EMBEDDING}' has shape {:?}, expected [atomic numbers, features]",
                other.unwrap_or_default()
            )));
        }
    };
    let functions = archive
        .shape("rbf.centers")
        .map_or(0, |s| s.iter().product());
    let layers = (0..)
        .take_while(|l| archive.has(&format!("interactions.{l}.update.mixing_matrix")))
        .count();
    hyper.check_shape("max_z", rows - 1)?;
    hyper.check_shape("hidden_dim", f)?;
    hyper.check_shape("num_rbf", functions)?;
    hyper.check_shape("num_interactions", layers)?;
    let embedding = archive.take(EMBEDDING, &[rows, f])?;
    let centers = archive.take("rbf.centers", &[functions])?;
    let widths = archive.take("rbf.widths", &[functions])?;
    check_grid(&centers, hyper)?;
    let in_angstrom = |list: Vec<f64>| list.into_iter().map(|x| x * hyper.length).collect();
    Ok(Student {
        features: f,
        cutoff: hyper.cutoff * hyper.length,
        centers: in_angstrom(centers),
        widths: in_angstrom(widths),
        soft: SOFT * hyper.length,
        embedding,
        layers: (0..layers)
            .map(|l| layer(archive, l, [functions, f]))
            .collect::<Result<_>>()?,
        readout: readout(archive, f)?,
        energy_scale: hyper.energy,
    })
}

/// Checks that Gaussians that were not trained lie on a grid that ends at the cutoff.
fn check_grid(centers: &[f64], hyper: &StudentHyper) -> Result<()> {
    let last = centers.last().copied().unwrap_or(0.0);
    if hyper.trained_basis || (last - hyper.cutoff).abs() <= SAME * hyper.cutoff {
        return Ok(());
    }
    Err(Error::input(format!(
        "the hyper-parameter 'cutoff' is {}, but the last Gaussian of tensor 'rbf.centers' is at {last}, where the cutoff of \
         this network is unless 'learnable_rbf' is true",
        hyper.cutoff
    )))
}

fn layer(archive: &mut Archive, l: usize, [functions, f]: [usize; 2]) -> Result<StudentLayer> {
    let at = |part: &str| format!("interactions.{l}.{part}");
    let mixing = archive.take(&at("update.mixing_matrix"), &[3, 3])?;
    Ok(StudentLayer {
        filter: [
            linear(archive, &at("message.rbf_to_scalar.0"), functions, f)?,
            linear(archive, &at("message.rbf_to_scalar.2"), f, 3 * f)?,
        ],
        update: [
            linear(archive, &at("update.update_mlp.0"), 2 * f, f)?,
            linear(archive, &at("update.update_mlp.2"), f, 3 * f)?,
        ],
        mixing: [0, 1, 2].map(|a| [0, 1, 2].map(|b| mixing[3 * a + b])),
    })
}

fn linear(archive: &mut Archive, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
    Ok(Linear {
        inputs,
        outputs,
        weight: archive.take(&format!("{name}.weight"), &[outputs, inputs])?,
        bias: archive.take(&format!("{name}.bias"), &[outputs])?,
    })
}

/// Layers 0, 2, 4, ... of the head; SiLU stands between.
fn readout(archive: &mut Archive, features: usize) -> Result<Vec<Linear>> {
    let mut layers: Vec<Linear> = Vec::new();
    loop {
        let name = format!("energy_head.{}", 2 * layers.len());
        let inputs = layers.last().map_or(features, |l| l.outputs);
        match archive.shape(&format!("{name}.weight")) {
            Some(&[outputs, _]) => layers.push(linear(archive, &name, inputs, outputs)?),
            _ if layers.is_empty() => {
                return Err(Error::input(format!("tensor '{name}.weight' is missing")));
            }
            _ => return Ok(layers),
        }
    }
}
