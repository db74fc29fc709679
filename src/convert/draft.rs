//! A PaiNN on its way into a file of its own: tensors under SchNetPack's names, hyper-parameters as far as its file says
//! them, and what the file does not say.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::answers::ModelAnswers;
use super::question::OpenQuestion;
use crate::formats::torch::{NumberKind, SavedTensor};
use crate::potential::pair::PowerLaw;
use crate::{Error, Result};

/// Names of tensors that the reading of SchNetPack's and of other layouts share.
pub const EMBEDDING: &str = "representation.embedding.weight";
/// The filters of all interactions.
pub const FILTER: &str = "representation.filter_net";

/// What a file says of a PaiNN.
#[derive(Debug, Default)]
pub struct Draft {
    /// Whose, and how it was saved, for people.
    pub what: String,
    /// Tensors under SchNetPack's names.
    pub tensors: BTreeMap<String, SavedTensor>,
    /// Keys of the metadata `painn`, without units, elements and offsets.
    pub hyper: Map<String, Value>,
    /// Energies added, in the model's unit.
    pub offsets: Offsets,
    /// What is added for each ordered pair, in the model's units.
    pub repulsion: Option<PowerLaw>,
    /// What the user has to say, beside units and elements.
    pub questions: Vec<OpenQuestion>,
    /// What there is to know: for people.
    pub notes: Vec<String>,
    /// Tensors that were left out.
    pub left_out: Vec<String>,
}

/// Energies that a model adds to its network's, in its own unit, and a factor of the network's.
#[derive(Debug, Clone, PartialEq)]
pub struct Offsets {
    /// Factor of what the network gives.
    pub factor: f64,
    /// For each atom.
    pub mean: f64,
    /// For each atom of an element, by atomic number from 0; empty for none.
    pub references: Vec<f64>,
}

impl Default for Offsets {
    fn default() -> Self {
        Self {
            factor: 1.0,
            mean: 0.0,
            references: Vec::new(),
        }
    }
}

impl Offsets {
    /// Multiplies all energies so far.
    pub fn scale(&mut self, factor: f64) {
        self.factor *= factor;
        self.mean *= factor;
        self.references.iter_mut().for_each(|e| *e *= factor);
    }

    /// Adds energies of elements.
    pub fn add_references(&mut self, energies: &[f64]) {
        let length = self.references.len().max(energies.len());
        self.references.resize(length, 0.0);
        for (sum, energy) in self.references.iter_mut().zip(energies) {
            *sum += energy;
        }
    }

    /// Elements that have an energy, by atomic number.
    pub fn elements(&self) -> Vec<u8> {
        let numbered = (0..=u8::MAX).zip(&self.references);
        numbered
            .filter(|(z, e)| *z > 0 && **e != 0.0)
            .map(|(z, _)| z)
            .collect()
    }
}

impl Draft {
    /// States a hyper-parameter.
    ///
    /// # Errors
    /// It was stated before, as another one.
    pub fn state(&mut self, key: &str, value: Value) -> Result<()> {
        match self.hyper.insert(key.to_owned(), value.clone()) {
            Some(before) if before != value => Err(Error::input(format!(
                "the file says two things of '{key}': {before} and {value}; which of them is right?"
            ))),
            _ => Ok(()),
        }
    }

    /// Tells what a file that was saved in pieces was made of, from its tensors: sizes and the kind of radial basis.
    ///
    /// # Errors
    /// Tensors that say it are missing or have another shape than they should.
    pub fn sizes_from_tensors(&mut self) -> Result<()> {
        let shape = |name: &str| self.tensors.get(name).map(|t| t.shape.clone());
        let missing = |name: &str| Error::input(format!("tensor '{name}' is missing"));
        let embedding = shape(EMBEDDING).ok_or_else(|| missing(EMBEDDING))?;
        let weight = format!("{FILTER}.weight");
        let filter = shape(&weight).ok_or_else(|| missing(&weight))?;
        let (&[_, features], &[outputs, functions]) = (&embedding[..], &filter[..]) else {
            return Err(Error::input(format!(
                "the embedding has shape {embedding:?} and the filters {filter:?}: two dimensions each are wanted"
            )));
        };
        let layer =
            |l: usize| format!("representation.interactions.{l}.interatomic_context_net.0.weight");
        let layers = (0..)
            .take_while(|l| self.tensors.contains_key(&layer(*l)))
            .count();
        let shared = layers > 1 && Some(outputs) == features.checked_mul(3);
        let basis = self.kind_of_basis()?;
        for (key, value) in [
            ("n_atom_basis", json!(features)),
            ("n_interactions", json!(layers)),
            ("n_rbf", json!(functions)),
            ("shared_filters", json!(shared)),
            ("radial_basis", json!(basis)),
        ] {
            self.state(key, value)?;
        }
        Ok(())
    }

    /// The kind of radial basis that the tensors are of.
    ///
    /// # Errors
    /// They are missing.
    pub fn kind_of_basis(&self) -> Result<&'static str> {
        const BASIS: &str = "representation.radial_basis";
        let offsets = self.tensors.get(&format!("{BASIS}.offsets"));
        match offsets {
            _ if self.tensors.contains_key(&format!("{BASIS}.freqs")) => Ok("BesselRBF"),
            Some(offsets) if numbers(offsets)?.iter().all(|x| *x == 0.0) => {
                Ok("GaussianRBFCentered")
            }
            Some(_) => Ok("GaussianRBF"),
            None => Err(Error::input(format!(
                "the file has neither '{BASIS}.offsets' nor '{BASIS}.freqs': which radial basis it has cannot be told"
            ))),
        }
    }

    /// Leaves a tensor out; `name` is listed.
    pub fn left_out(&mut self, name: &str) {
        self.left_out.push(name.to_owned());
    }

    /// Looks at what of a file is not part of the chosen weights: a training's own is left out and noted, and so is what the
    /// user says does nothing to the energy.
    ///
    /// # Errors
    /// Something else is left over, which may be part of the energy.
    pub fn leave_out_rest(&mut self, rest: &[String], answers: &ModelAnswers) -> Result<()> {
        /// What a training keeps for itself, and beginnings of names of such.
        const TRAINING: [&str; 18] = [
            "epoch",
            "global_step",
            "step",
            "pytorch-lightning_version",
            "loops",
            "n_averaged",
            "num_updates",
            "loss",
            "best_loss",
            "best_metric",
            "config",
            "args",
            "hparams",
            "scheduler",
            "rng_state",
            "decay",
            "amp",
            "version",
        ];
        /// What averages of weights count with, under any name: `ema_model.n_averaged`.
        const COUNTERS: [&str; 3] = ["n_averaged", "num_updates", "decay"];
        const BEGINNINGS: [&str; 9] = [
            "outputs.",
            "optimizer",
            "lr_scheduler",
            "hyper_parameters",
            "hparams_",
            "callbacks",
            "MixedPrecision",
            "native_amp",
            "datamodule",
        ];
        let begins = |name: &str, with: &str| name.trim_matches(['"', '\'']).starts_with(with);
        let left = |name: &&String| answers.leave_out.iter().any(|with| begins(name, with));
        let own = |name: &&String| {
            let plain = name.trim_matches(['"', '\'']);
            let last = plain.rsplit('.').next().unwrap_or_default();
            TRAINING.contains(&plain)
                || COUNTERS.contains(&last)
                || BEGINNINGS.iter().any(|with| begins(name, with))
        };
        let idle = answers.leave_out.iter().find(|with| {
            let mut all = rest.iter().chain(self.tensors.keys()).chain(&self.left_out);
            !all.any(|name| begins(name, with))
        });
        if let Some(with) = idle {
            return Err(Error::input(format!(
                "--leave-out {}: no tensor without a place, and no other entry of the file, begins so",
                with.escape_default()
            )));
        }
        let other = rest.iter().find(|name| !left(name) && !own(name));
        if let Some(name) = other {
            return Err(Error::input(format!(
                "the file has '{}' beside its weights, which may be part of the energy; if it is not: --leave-out {}",
                name.escape_default(),
                crate::shell::quoted(std::path::Path::new(name))
            )));
        }
        let chosen = |name: &String| answers.leave_out.iter().any(|with| begins(name, with));
        let dropped: Vec<String> = self.tensors.keys().filter(|n| chosen(n)).cloned().collect();
        for name in dropped {
            self.tensors.remove(&name);
            self.left_out(&name);
        }
        if !rest.is_empty() {
            let some: Vec<&str> = rest.iter().take(8).map(String::as_str).collect();
            let more = if rest.len() > some.len() { ", ..." } else { "" };
            self.notes.push(format!(
                "left out, of the training: {}{more}",
                some.join(", ")
            ));
        }
        Ok(())
    }

    /// Notes attributes that nothing was made of.
    pub fn note_unused(&mut self, names: &[String]) {
        if !names.is_empty() {
            self.notes.push(format!(
                "attributes that are not looked at: {}",
                names.join(", ")
            ));
        }
    }

    /// Keeps one of several outputs of the readout's last layer, which `state` counts from 0; asks where it is empty.
    ///
    /// # Errors
    /// There is none of this number.
    pub fn choose_state(&mut self, head: &str, state: &str) -> Result<()> {
        let name = |k: usize, part: &str| format!("output_modules.0.outnet.{k}.{part}");
        let depth = (0..)
            .take_while(|k| self.tensors.contains_key(&name(*k, "weight")))
            .count();
        let Some(end) = depth.checked_sub(1) else {
            return Err(Error::input("the readout has no layers"));
        };
        let shape = self
            .tensors
            .get(&name(end, "weight"))
            .map(|t| t.shape.clone());
        let Some(&[outputs, _]) = shape.as_deref() else {
            return Err(Error::input(format!(
                "the readout's last layer has shape {shape:?}"
            )));
        };
        let chosen = match state.parse().ok().filter(|k| *k < outputs) {
            _ if outputs == 1 && state.is_empty() => return Ok(()),
            Some(chosen) => chosen,
            None if state.is_empty() && outputs > 0 => {
                let what = format!("which of {outputs} energies, counted from 0, behind a colon");
                let value = format!("{head}:0");
                self.questions.retain(|q| q.option != "--head");
                self.questions
                    .push(OpenQuestion::new("--head", value, what));
                0
            }
            None => {
                return Err(Error::input(format!(
                    "--head {}:{}: the readout gives {outputs} energies, counted from 0",
                    head.escape_default(),
                    state.escape_default()
                )));
            }
        };
        for part in ["weight", "bias"] {
            let tensor = self.tensors.get_mut(&name(end, part));
            if let Some(tensor) = tensor.filter(|t| t.shape.first() == Some(&outputs)) {
                let row = tensor.bytes.len() / outputs;
                tensor.bytes = tensor.bytes[chosen * row..(chosen + 1) * row].to_vec();
                tensor.shape[0] = 1;
            }
        }
        if outputs > 1 {
            self.notes.push(format!(
                "of {outputs} energies that of state {chosen} is taken"
            ));
        }
        Ok(())
    }
}

/// The single number of a tensor.
///
/// # Errors
/// It has another shape, or is not finite.
pub fn scalar(name: &str, tensor: &SavedTensor) -> Result<f64> {
    match numbers(tensor)?[..] {
        [x] if x.is_finite() => Ok(x),
        _ => Err(Error::input(format!(
            "'{}' has shape {:?}, a single finite number is wanted",
            name.escape_default(),
            tensor.shape
        ))),
    }
}

/// The numbers of a tensor.
///
/// # Errors
/// They are of a kind that no model has.
pub fn numbers(tensor: &SavedTensor) -> Result<Vec<f64>> {
    let bytes = &tensor.bytes;
    Ok(match tensor.kind {
        NumberKind::F64 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b))
            .collect(),
        NumberKind::F32 => (bytes.as_chunks().0.iter())
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect(),
        NumberKind::BF16 => (bytes.as_chunks().0.iter())
            .map(|b| f64::from(half::bf16::from_le_bytes(*b)))
            .collect(),
        NumberKind::F16 => (bytes.as_chunks().0.iter())
            .map(|b| f64::from(half::f16::from_le_bytes(*b)))
            .collect(),
        NumberKind::I64 => (bytes.as_chunks().0.iter())
            .map(|b| i64::from_le_bytes(*b) as f64)
            .collect(),
        NumberKind::I32 => (bytes.as_chunks().0.iter())
            .map(|b| f64::from(i32::from_le_bytes(*b)))
            .collect(),
        other => {
            return Err(Error::input(format!(
                "numbers of kind {} are none of a model",
                other.name()
            )));
        }
    })
}

/// A tensor of 64-bit numbers.
pub fn doubles(shape: Vec<usize>, values: &[f64]) -> SavedTensor {
    SavedTensor {
        kind: NumberKind::F64,
        shape,
        bytes: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}
