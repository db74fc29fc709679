//! PaiNN from the bytes of a safetensors file with SchNetPack's parameter names.
//!
//! Two ways to state the hyper-parameters in the file's metadata are understood: one JSON object under the key `painn`, or
//! SchNetPack's own hyper-parameters, each under its own key. The table of their keys is in `table`, and printed in
//! `models/README.md`.
//!
//! Centres, widths and frequencies of the basis, the cutoff, the mean and the reference energies are
//! taken from tensors of the file where it has them, else computed as SchNetPack does.
//!
//! # Nothing is ignored in silence
//! Every key of the metadata and every tensor is used, known to be a remark, or refused by name. What is stated twice has
//! to agree. What is left out or not added is noted.
//!
//! # Which elements a model knows
//! Those listed under `elements`; else those with a reference energy. A file that has neither does not
//! say: rows of the embedding that were never trained look like trained ones. Then every row but the
//! first is accepted (atomic number 0 is none), which is noted.

pub(in crate::potential) mod archive;
mod hyper;
pub(in crate::potential) mod json;
mod keys;
mod offsets;
mod seal;
pub(in crate::potential) mod shown;
mod table;
mod tensors;
mod units;

use std::collections::BTreeMap;

use serde_json::Value;

use super::spec::{RadialBasis, Spec};
use super::weights::{Layer, Weights};
use crate::potential::pair::PowerLaw;
use crate::potential::{Linear, TrainedOn};
use crate::{Error, Result};

use archive::Archive;
use hyper::{Basis, Hyper};
use keys::Style;
use shown::shown;
use tensors::{BASIS, CUTOFF, EMBEDDING, FILTER, Names};

pub use offsets::UNTOLD;
pub use seal::{SEAL, seal};
pub use units::{
    ENERGIES as ENERGY_UNITS, LENGTHS as LENGTH_UNITS, energy as energy_unit, length as length_unit,
};

/// Numbers that metadata and tensor give alike within this part are the same, once rounded to f32.
const SAME: f64 = 1e-6;

/// A model that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// Hyper-parameters.
    pub spec: Spec,
    /// Weights.
    pub weights: Weights,
    /// What is added to the network's energy for each pair.
    pub repulsion: Option<PowerLaw>,
    /// What the model was trained on, as far as the file says.
    pub trained_on: TrainedOn,
    /// What of the file is left out or not added, and what it does not say: for people.
    pub notes: Vec<String>,
    /// Remarks of its metadata by key: where it is from, how it was trained.
    pub remarks: BTreeMap<String, Value>,
}

/// Reads a model, and what is to be said of it. Everything comes out in eV and angstrom; filters and interactions that the
/// model shares are copied to every layer. `name` stands before every message: the file's name.
///
/// # Errors
/// The file is no safetensors file, is cut short or damaged, is another architecture, has more than one set of weights, lacks
/// tensors or hyper-parameters (all of them are named), has a tensor of the wrong shape or one that the architecture has no
/// place for, a key that is not known, two statements that do not agree, holds a number that is not finite, or asks for
/// something that is not built in (another activation, cutoff function, radial basis, unit).
pub fn import_noted(bytes: &[u8], name: &str) -> Result<Imported> {
    read(bytes).map_err(|e| e.within(name))
}

/// Reads a model like [`import_noted`], of a file whose name the caller puts before messages.
///
/// # Errors
/// As there.
pub fn import_unnamed(bytes: &[u8]) -> Result<Imported> {
    read(bytes)
}

/// Reads a model like [`import_noted`], without the notes.
///
/// # Errors
/// As [`import_noted`], or the model has a repulsion beside its network, which would be lost.
pub fn import(bytes: &[u8], name: &str) -> Result<(Spec, Weights)> {
    let Imported {
        spec,
        weights,
        repulsion,
        ..
    } = import_noted(bytes, name)?;
    match repulsion {
        None => Ok((spec, weights)),
        Some(_) => Err(Error::input(format!(
            "{name}: the model has a repulsion of pairs beside its network, which the network alone leaves out"
        ))),
    }
}

/// The keys of both styles of metadata, as the tables of `models/README.md`: first that of `painn`, then SchNetPack's.
pub fn metadata_tables() -> [String; 2] {
    [Style::Painn, Style::SchNetPack].map(Style::table)
}

fn read(bytes: &[u8]) -> Result<Imported> {
    let mut archive = Archive::open(bytes)?;
    archive.strip(&the_prefix(&archive)?)?;
    check_architecture(&archive)?;
    let mut notes = Vec::new();
    let hyper = Hyper::read(&archive.metadata)?;
    tensors::check(&mut archive, &hyper, &mut notes)?;
    let weights = weights(&mut archive, &hyper)?;
    let spec = spec(&mut archive, &hyper, &weights, &mut notes)?;
    if weights
        .layers
        .iter()
        .any(|layer| !layer.mix.bias.is_empty())
    {
        notes.push(
            "the model's vector layers have a bias: its energy changes when a structure is turned"
                .into(),
        );
    }
    // A pair comes in both directions, and each adds.
    let law = |stated: keys::StatedRepulsion| {
        let sigma = stated.sigma * hyper.length;
        PowerLaw::new(2.0 * stated.energy, sigma, stated.power)
    };
    Ok(Imported {
        spec,
        weights,
        repulsion: hyper.repulsion.map(law).transpose()?,
        remarks: hyper::remarks(&archive.metadata),
        trained_on: TrainedOn {
            elements: !notes.iter().any(|note| note.starts_with(UNTOLD)),
            charge: hyper.charge,
            spin: hyper.spin,
        },
        notes,
    })
}

/// What stands before the names of the one set of weights.
fn the_prefix(archive: &Archive) -> Result<String> {
    let mut prefixes = archive.prefixes_of(EMBEDDING);
    if prefixes.len() < 2 {
        return Ok(prefixes.pop().unwrap_or_default());
    }
    let named: Vec<String> = prefixes
        .iter()
        .map(|prefix| match prefix.is_empty() {
            true => "without a prefix".to_owned(),
            false => format!("under '{}'", shown(prefix)),
        })
        .collect();
    Err(Error::input(format!(
        "the file has {} sets of weights, {}: which of them is meant cannot be told (averaged ones, EMA, are usual for \
         simulations); write a file with one of them",
        prefixes.len(),
        named.join(" and ")
    )))
}

/// Refuses files of other architectures before their hyper-parameters are missed.
fn check_architecture(archive: &Archive) -> Result<()> {
    if archive.has(EMBEDDING) && archive.names().any(|n| n.starts_with(FILTER)) {
        return Ok(());
    }
    let any = |part: &str| archive.names().any(|n| n.contains(part));
    let guess = if any("message.rbf_to_scalar") || any("update.mixing_matrix") {
        "they look like those of a StudentForceField, which is a different network"
    } else if any("cfconv") || any("in2f") || any("filter_network") {
        "they look like those of SchNet, which is a different network"
    } else if any(FILTER) || any("mu_channel_mix") || any("interatomic_context_net") {
        "the embedding ('representation.embedding.weight') or the filter net \
         ('representation.filter_net.weight') is missing"
    } else {
        "they are not SchNetPack's names ('representation.embedding.weight', ...)"
    };
    Err(Error::input(format!(
        "the tensors are not those of a PaiNN: {guess}; found: {}",
        archive.some_names()
    )))
}

fn weights(archive: &mut Archive, hyper: &Hyper) -> Result<Weights> {
    let f = hyper.features;
    let rows = match archive.shape(EMBEDDING) {
        Some(&[rows, _]) if rows >= 2 => rows,
        other => {
            return Err(Error::input(format!(
                "tensor '{EMBEDDING}' has shape {:?}, expected [atomic numbers, {f}]",
                other.unwrap_or_default()
            )));
        }
    };
    let embedding = archive.take(EMBEDDING, &[rows, f])?;
    let mut filters = filters(archive, hyper)?.into_iter();
    let mut layers: Vec<Layer> = Vec::new();
    for l in 0..hyper.layers {
        let filter = filters.next().unwrap_or_else(|| layers[0].filter.clone());
        let names = Names::of(l);
        let layer = match layers.first() {
            Some(first) if hyper.shared_interactions && !names.any(archive) => Layer {
                filter,
                ..first.clone()
            },
            _ => layer(archive, &names, f, filter)?,
        };
        if hyper.shared_interactions {
            check_shared(layers.first(), &layer, l)?;
        }
        layers.push(layer);
    }
    Ok(Weights {
        embedding,
        layers,
        readout: readout(archive, hyper)?,
    })
}

fn layer(archive: &mut Archive, names: &Names, f: usize, filter: Linear) -> Result<Layer> {
    let Names {
        context,
        mix,
        update,
    } = names;
    Ok(Layer {
        filter,
        context: [
            linear(archive, &format!("{context}.0"), f, f)?,
            linear(archive, &format!("{context}.1"), f, 3 * f)?,
        ],
        mix: Linear {
            inputs: f,
            outputs: 2 * f,
            weight: archive.take(&format!("{mix}.weight"), &[2 * f, f])?,
            bias: match format!("{mix}.bias") {
                bias if archive.has(&bias) => archive.take(&bias, &[2 * f])?,
                _ => Vec::new(),
            },
        },
        update: [
            linear(archive, &format!("{update}.0"), 2 * f, f)?,
            linear(archive, &format!("{update}.1"), f, 3 * f)?,
        ],
    })
}

/// Checks that an interaction that is said to be the first one again is.
fn check_shared(first: Option<&Layer>, layer: &Layer, l: usize) -> Result<()> {
    let same = |first: &Layer| {
        first.context == layer.context && first.mix == layer.mix && first.update == layer.update
    };
    if first.is_none_or(same) {
        return Ok(());
    }
    Err(Error::input(format!(
        "the metadata say 'shared_interactions', but interaction {l} has other weights than interaction 0: which of them \
         hold?"
    )))
}

fn linear(archive: &mut Archive, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
    Ok(Linear {
        inputs,
        outputs,
        weight: archive.take(&format!("{name}.weight"), &[outputs, inputs])?,
        bias: archive.take(&format!("{name}.bias"), &[outputs])?,
    })
}

/// One filter per layer, or one alone where they are shared.
fn filters(archive: &mut Archive, hyper: &Hyper) -> Result<Vec<Linear>> {
    let sets = if hyper.shared_filters {
        1
    } else {
        hyper.layers
    };
    let (inputs, outputs) = (hyper.functions, 3 * hyper.features);
    let all = linear(archive, FILTER, inputs, sets * outputs)?;
    let set = |s: usize| Linear {
        inputs,
        outputs,
        weight: all.weight[s * outputs * inputs..(s + 1) * outputs * inputs].to_vec(),
        bias: all.bias[s * outputs..(s + 1) * outputs].to_vec(),
    };
    Ok((0..sets).map(set).collect())
}

/// The readout, as deep as the file has it.
fn readout(archive: &mut Archive, hyper: &Hyper) -> Result<Vec<Linear>> {
    let net = format!("output_modules.{}.outnet", hyper.energy_module);
    let mut layers: Vec<Linear> = Vec::new();
    let mut inputs = hyper.features;
    loop {
        let name = format!("{net}.{}", layers.len());
        let outputs = match archive.shape(&format!("{name}.weight")) {
            Some(&[outputs, _]) => outputs,
            Some(shape) => {
                return Err(Error::input(format!(
                    "tensor '{name}.weight' has shape {shape:?}, expected [outputs, {inputs}]"
                )));
            }
            None if layers.is_empty() => {
                return Err(Error::input(format!(
                    "tensor '{name}.weight' is missing (expected with shape [outputs, {inputs}])"
                )));
            }
            None => break,
        };
        layers.push(linear(archive, &name, inputs, outputs)?);
        inputs = outputs;
    }
    if inputs != 1 {
        return Err(Error::input(format!(
            "the readout's last tensor, '{net}.{}.weight', has {inputs} outputs, expected 1 (the energy of \
             an atom); is a tensor missing?",
            layers.len() - 1
        )));
    }
    Ok(layers)
}

fn spec(
    archive: &mut Archive,
    hyper: &Hyper,
    weights: &Weights,
    notes: &mut Vec<String>,
) -> Result<Spec> {
    let rows = weights.embedding.len() / hyper.features;
    let cutoff = match archive.take_scalar(CUTOFF)? {
        Some(stored) if (stored - hyper.cutoff).abs() > SAME * hyper.cutoff => {
            return Err(Error::input(format!(
                "tensor '{CUTOFF}' is {stored}, but the metadata say {}",
                hyper.cutoff
            )));
        }
        Some(stored) => stored,
        None => hyper.cutoff,
    };
    let basis = basis(archive, hyper, cutoff)?;
    let (elements, reference_energies) = offsets::references(archive, hyper, rows, notes)?;
    Ok(Spec {
        features: hyper.features,
        layers: hyper.layers,
        basis,
        cutoff: cutoff * hyper.length,
        epsilon: hyper.epsilon.clone(),
        elements,
        energy_scale: hyper.energy,
        mean_per_atom: offsets::mean(archive, hyper, notes)?,
        reference_energies,
    })
}

/// The radial basis in angstrom.
fn basis(archive: &mut Archive, hyper: &Hyper, cutoff: f64) -> Result<RadialBasis> {
    let (count, length) = (hyper.functions, hyper.length);
    if hyper.basis == Basis::Bessel {
        hyper.check_no_gaussians()?;
        let name = format!("{BASIS}.freqs");
        let frequencies = if archive.has(&name) {
            archive.take(&name, &[count])?
        } else {
            let first = std::f64::consts::PI / cutoff;
            (1..=count).map(|k| k as f64 * first).collect()
        };
        return Ok(RadialBasis::Bessel {
            frequencies: frequencies.iter().map(|k| k / length).collect(),
            scale: length,
        });
    }
    let (offsets, widths) = (format!("{BASIS}.offsets"), format!("{BASIS}.widths"));
    let (centers, widths) = if archive.has(&offsets) || archive.has(&widths) {
        let centers = archive.take(&offsets, &[count])?;
        (centers, archive.take(&widths, &[count])?)
    } else {
        hyper.gaussians(cutoff)
    };
    hyper.check_gaussians(&centers, &widths)?;
    if let Some(k) = widths.iter().position(|&w| w == 0.0) {
        return Err(Error::input(format!(
            "tensor '{BASIS}.widths' is zero at index [{k}]: a Gaussian needs a width"
        )));
    }
    Ok(RadialBasis::Gaussian {
        centers: centers.iter().map(|c| c * length).collect(),
        widths: widths.iter().map(|w| w.abs() * length).collect(),
    })
}
