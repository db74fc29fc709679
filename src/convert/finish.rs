//! The end of a conversion: what is still open is asked for, and the file is written, sealed, and read back.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::answers::ModelAnswers;
use super::draft::Draft;
use crate::core::elements::symbol;
use crate::formats::torch::{NumberKind, SavedTensor};
use crate::potential::painn::import::{SEAL, UNTOLD, seal};
use crate::potential::painn::{self, Imported, export};
use crate::potential::pair::PowerLaw;
use crate::{Error, Result};

/// A model in the project's own format.
#[derive(Debug)]
pub struct Converted {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// What was read back from them.
    pub model: Imported,
    /// What it was, for people.
    pub what: String,
    /// What was left out, and what there is to know: for people.
    pub notes: Vec<String>,
    /// eV per unit of energy and angstrom per unit of length of the model.
    pub units: [f64; 2],
}

/// A file that has all that is wanted already.
///
/// # Errors
/// It is no model of the project's.
pub fn own(bytes: &[u8]) -> Result<Draft> {
    let Imported {
        spec,
        weights,
        repulsion,
        trained_on,
        notes,
        remarks,
    } = painn::import_unnamed(bytes)?;
    let whole = export(&spec, &weights)?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&whole).map_err(unwritable)?;
    let painn = header.metadata().as_ref().and_then(|all| all.get("painn"));
    let hyper = painn.and_then(|text| serde_json::from_str(text).ok());
    let mut hyper: Map<String, Value> = hyper.unwrap_or_default();
    hyper.extend(remarks);
    // What was not said is asked for, and its note goes.
    let mut notes = notes;
    if !trained_on.elements {
        hyper.remove("elements");
        hyper.remove("reference_energies_eV");
        notes.retain(|note| !note.starts_with(UNTOLD));
    }
    hyper.extend(
        trained_on
            .charge
            .map(|charge| ("charge".into(), json!(charge))),
    );
    hyper.extend(trained_on.spin.map(|spin| ("spin".into(), json!(spin))));
    if let Some(law) = repulsion {
        // The energy is that of both directions.
        hyper.insert("repulsion".into(), stated(&law, 0.5 * law.energy()));
    }
    let file = safetensors::SafeTensors::deserialize(&whole).map_err(unwritable)?;
    let kind = |dtype: Dtype| {
        if dtype == Dtype::F32 {
            NumberKind::F32
        } else {
            NumberKind::F64
        }
    };
    let tensor = |(name, view): (&str, TensorView<'_>)| {
        let tensor = SavedTensor {
            kind: kind(view.dtype()),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        };
        (name.to_owned(), tensor)
    };
    Ok(Draft {
        what: "a PaiNN in safetensors with its hyper-parameters".into(),
        tensors: file.iter().map(tensor).collect(),
        hyper,
        notes,
        ..Draft::default()
    })
}

/// What the metadata say of a repulsion, whose energy (eV) is that of one direction of a pair.
fn stated(law: &PowerLaw, energy: f64) -> Value {
    let (sigma, power) = law.shape();
    json!({"energy_eV": energy, "sigma": sigma, "power": power})
}

/// Asks for what is open, or writes the file.
///
/// # Errors
/// Something is open: the message has all of it, and the command. What was written cannot be read back: the model is none
/// that is built in.
pub fn finish(
    draft: Draft,
    source: &[u8],
    (from, to): (&Path, &Path),
    answers: &ModelAnswers,
) -> Result<Converted> {
    let is_whole = draft.hyper.contains_key("energy_unit");
    let referenced = draft.offsets.elements();
    let mut open = draft.questions.clone();
    if !is_whole {
        open.extend(answers.open_questions(!referenced.is_empty()));
    }
    let units = [answers.energy()?, answers.length()?];
    let elements = answers.elements()?;
    let references = answers.references()?;
    check_references(&references, elements.as_deref())?;
    if !open.is_empty() {
        let asked: Vec<&str> = open.iter().map(|q| q.what.as_str()).collect();
        return Err(Error::input(format!(
            "this is {}; it has to be converted, once, and does not say: {}; type, with what holds for it: {}",
            draft.what,
            asked.join("; "),
            answers.command(from, to, &open)
        )));
    }
    let units = units.map(|unit| unit.unwrap_or(1.0));
    let mut painn = draft.hyper.clone();
    let mut notes = draft.notes.clone();
    if !is_whole {
        let mut offsets = draft.offsets.clone();
        offsets.add_references(&references);
        // Of the model's own unit, whatever the network's energy is multiplied by.
        if let Some(law) = draft.repulsion {
            painn.insert("repulsion".into(), stated(&law, units[0] * law.energy()));
        }
        painn.extend(units_and_offsets(
            &offsets,
            elements.as_deref(),
            units,
            answers,
        )?);
    }
    painn.extend(
        answers
            .charge
            .map(|charge| ("charge".into(), json!(charge))),
    );
    painn.extend(answers.spin.map(|spin| ("spin".into(), json!(spin))));
    if !draft.left_out.is_empty() {
        notes.push(format!(
            "{} left out: {}",
            are(draft.left_out.len()),
            draft.left_out.join(", ")
        ));
    }
    remarks(&mut painn, &draft, source, from, &notes);
    let bytes = sealed(&draft, painn)?;
    let model = painn::import_unnamed(&bytes)?;
    notes.extend(model.notes.iter().cloned());
    Ok(Converted {
        bytes,
        model,
        what: draft.what,
        notes,
        units,
    })
}

/// Checks that energies of elements are given for all that are listed.
fn check_references(references: &[f64], elements: Option<&[u8]>) -> Result<()> {
    let known = |z: &&u8| references.get(usize::from(**z)).is_some_and(|e| *e != 0.0);
    let lacks = |elements: &&[u8]| elements.iter().find(|z| !known(z)).copied();
    match elements
        .as_ref()
        .filter(|_| !references.is_empty())
        .and_then(lacks)
    {
        None => Ok(()),
        Some(z) => Err(Error::input(format!(
            "--reference-energies has none for {}, which --elements lists",
            symbol(z)
        ))),
    }
}

/// So many tensors.
fn are(count: usize) -> String {
    match count {
        1 => "a tensor is".into(),
        n => format!("{n} tensors are"),
    }
}

/// What the metadata say of energies.
fn units_and_offsets(
    offsets: &super::draft::Offsets,
    elements: Option<&[u8]>,
    [energy, length]: [f64; 2],
    answers: &ModelAnswers,
) -> Result<Map<String, Value>> {
    let mut all = Map::new();
    let named = answers
        .energy_unit
        .as_ref()
        .filter(|text| text.parse::<f64>().is_err());
    let unit = match (named, offsets.factor) {
        (Some(name), 1.0) => json!(name),
        (_, factor) if factor > 0.0 && factor.is_finite() => json!(energy * factor),
        (_, factor) => {
            return Err(Error::input(format!(
                "the energy is multiplied by {factor}; a positive number is wanted"
            )));
        }
    };
    all.insert("architecture".into(), json!("painn"));
    all.insert("energy_unit".into(), unit);
    let name = answers
        .length_unit
        .as_ref()
        .map_or("angstrom", String::as_str);
    debug_assert!(length > 0.0);
    all.insert("length_unit".into(), json!(name));
    let referenced = offsets.elements();
    let known = elements.map_or(referenced.clone(), <[u8]>::to_vec);
    if let Some(z) = referenced.iter().find(|z| !known.contains(z)) {
        return Err(Error::input(format!(
            "--elements does not list {}, for which the model has a reference energy; list it, or leave --elements out: the \
             model says {}",
            symbol(*z),
            referenced
                .iter()
                .map(|z| symbol(*z))
                .collect::<Vec<_>>()
                .join(",")
        )));
    }
    all.insert("elements".into(), json!(known));
    if !referenced.is_empty() {
        let energy_of = |z: &u8| {
            offsets
                .references
                .get(usize::from(*z))
                .copied()
                .unwrap_or(0.0)
        };
        let energies: Map<String, Value> = (known.iter())
            .map(|z| (z.to_string(), json!(energy_of(z) * energy)))
            .collect();
        all.insert("reference_energies_eV".into(), Value::Object(energies));
    }
    all.insert("mean_per_atom_eV".into(), json!(offsets.mean * energy));
    Ok(all)
}

/// Where the model is from.
fn remarks(
    painn: &mut Map<String, Value>,
    draft: &Draft,
    source: &[u8],
    from: &Path,
    notes: &[String],
) {
    let digest = Sha256::digest(source);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let program = concat!("mdrun ", env!("CARGO_PKG_VERSION"));
    for (key, value) in [
        ("source", json!(name)),
        ("sha256", json!(hash)),
        ("made_with", json!(program)),
        ("description", json!(draft.what)),
        ("notes", json!(notes)),
    ] {
        painn.insert(key.into(), value);
    }
}

/// The file, with its seal.
fn sealed(draft: &Draft, painn: Map<String, Value>) -> Result<Vec<u8>> {
    let text = Value::Object(painn).to_string();
    let mut views = Vec::new();
    for (name, tensor) in &draft.tensors {
        let kind = match tensor.kind {
            NumberKind::F64 => Dtype::F64,
            NumberKind::F32 => Dtype::F32,
            NumberKind::F16 => Dtype::F16,
            NumberKind::BF16 => Dtype::BF16,
            NumberKind::I64 => Dtype::I64,
            NumberKind::I32 => Dtype::I32,
            NumberKind::I16 => Dtype::I16,
            NumberKind::I8 => Dtype::I8,
            NumberKind::U8 => Dtype::U8,
            NumberKind::Bool => Dtype::BOOL,
        };
        let view = TensorView::new(kind, tensor.shape.clone(), &tensor.bytes);
        views.push((name.as_str(), view.map_err(unwritable)?));
    }
    let all = views.iter().map(|(name, view)| {
        (
            *name,
            format!("{:?}", view.dtype()),
            view.shape(),
            view.data(),
        )
    });
    let seal = seal(&text, all);
    let metadata = HashMap::from([("painn".to_owned(), text), (SEAL.to_owned(), seal)]);
    serialize(views, Some(metadata)).map_err(unwritable)
}

fn unwritable(error: safetensors::SafeTensorError) -> Error {
    Error::input(format!(
        "the model cannot be written as safetensors: {error}"
    ))
}
