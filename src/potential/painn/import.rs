//! PaiNN from the bytes of a safetensors file with SchNetPack's parameter names.
//!
//! Two ways to state the hyper-parameters in the file's metadata are understood:
//!
//! * one JSON object under the key `painn`: `n_atom_basis`, `n_interactions`, `n_rbf`,
//!   `radial_basis` ("gaussian" or "bessel"), `cutoff_fn` ("cosine"), `cutoff_angstrom`, `epsilon`,
//!   `energy_unit` (a name, or a number of eV), `length_unit`, `elements`, and, where they are wanted, `reference_energies_eV` (by
//!   atomic number), `mean_per_atom_eV`, `shared_filters`, `shared_interactions`;
//! * SchNetPack's own hyper-parameters, each under its own key: the same names, `units` with `energy`
//!   and `distance`, `cutoff` in that unit of distance, `radial_basis` and `cutoff_fn` as class names,
//!   `postprocessors`, `add_mean` and `mean_per_atom`, `add_atomrefs`.
//!
//! Centres, widths and frequencies of the basis, the cutoff, the mean and the reference energies are
//! taken from tensors of the file where it has them, else computed as SchNetPack does.
//!
//! # Which elements a model knows
//! Those listed under `elements`; else those with a reference energy. A file that has neither does not
//! say: rows of the embedding that were never trained look like trained ones. Then every row but the
//! first is accepted (atomic number 0 is none), and it is for the user to know what the model was
//! trained on.

mod archive;
mod hyper;

use super::spec::{RadialBasis, Spec};
use super::weights::{Layer, Linear, Weights};
use crate::{Error, Result};

use archive::Archive;
use hyper::{Basis, Hyper};

/// Largest atomic number.
const HEAVIEST: usize = 118;

/// A cutoff that metadata and tensor give alike within this part is the same, once rounded to f32.
const SAME: f64 = 1e-6;

const EMBEDDING: &str = "representation.embedding.weight";
const FILTER: &str = "representation.filter_net";
const BASIS: &str = "representation.radial_basis";
const CUTOFF: &str = "representation.cutoff_fn.cutoff";

/// Reads a model. Everything comes out in eV and angstrom; filters and interactions that the model
/// shares are copied to every layer. `name` stands before every message: the file's name.
///
/// # Errors
/// The file is no safetensors file, is cut short or damaged, is another architecture, lacks a tensor or
/// a hyper-parameter, has a tensor of the wrong shape or one that the architecture has no place for,
/// holds a number that is not finite, or asks for something that is not built in (another activation,
/// cutoff function, radial basis, unit).
pub fn import(bytes: &[u8], name: &str) -> Result<(Spec, Weights)> {
    read(bytes).map_err(|e| e.within(name))
}

fn read(bytes: &[u8]) -> Result<(Spec, Weights)> {
    let mut archive = Archive::open(bytes)?;
    archive.strip_prefix_of(EMBEDDING);
    check_architecture(&archive)?;
    let hyper = Hyper::read(&archive.metadata)?;
    let weights = weights(&mut archive, &hyper)?;
    let spec = spec(&mut archive, &hyper, &weights)?;
    check_leftovers(&archive, &hyper)?;
    Ok((spec, weights))
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
        let context = format!("representation.interactions.{l}.interatomic_context_net");
        let mixing = format!("representation.mixing.{l}");
        let update = format!("{mixing}.intraatomic_context_net");
        let filter = filters.next().unwrap_or_else(|| layers[0].filter.clone());
        let shared = hyper.shared_interactions && !archive.has(&format!("{context}.0.weight"));
        if let (true, Some(first)) = (shared, layers.first()) {
            let layer = Layer {
                filter,
                ..first.clone()
            };
            layers.push(layer);
            continue;
        }
        layers.push(Layer {
            filter,
            context: [
                linear(archive, &format!("{context}.0"), f, f)?,
                linear(archive, &format!("{context}.1"), f, 3 * f)?,
            ],
            mix: Linear {
                inputs: f,
                outputs: 2 * f,
                weight: archive.take(&format!("{mixing}.mu_channel_mix.weight"), &[2 * f, f])?,
                bias: Vec::new(),
            },
            update: [
                linear(archive, &format!("{update}.0"), 2 * f, f)?,
                linear(archive, &format!("{update}.1"), f, 3 * f)?,
            ],
        });
    }
    Ok(Weights {
        embedding,
        layers,
        readout: readout(archive, hyper)?,
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

fn spec(archive: &mut Archive, hyper: &Hyper, weights: &Weights) -> Result<Spec> {
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
    let (elements, reference_energies) = references(archive, hyper, rows)?;
    Ok(Spec {
        features: hyper.features,
        layers: hyper.layers,
        basis,
        cutoff: cutoff * hyper.length,
        epsilon: hyper.epsilon.clone(),
        elements,
        energy_scale: hyper.energy,
        mean_per_atom: mean(archive, hyper)?,
        reference_energies,
    })
}

/// The radial basis in angstrom.
fn basis(archive: &mut Archive, hyper: &Hyper, cutoff: f64) -> Result<RadialBasis> {
    let (count, length) = (hyper.functions, hyper.length);
    if hyper.basis == Basis::Bessel {
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

/// The postprocessor's tensor of this name, whichever place the postprocessor has.
fn postprocessor(archive: &Archive, name: &str) -> Option<String> {
    let mut names = archive.names();
    names
        .find(|n| {
            n.strip_prefix("postprocessors.")
                .and_then(|rest| rest.split_once('.'))
                .is_some_and(|(_, last)| last == name)
        })
        .map(str::to_owned)
}

/// The energy per atom that the network leaves out (eV).
fn mean(archive: &mut Archive, hyper: &Hyper) -> Result<f64> {
    let stored = match postprocessor(archive, "mean") {
        Some(name) => archive.take_scalar(&name)?,
        None => None,
    };
    let mean = stored.or(hyper.mean).unwrap_or(0.0);
    match hyper.add_mean {
        Some(true) if stored.or(hyper.mean).is_none() => Err(Error::input(
            "the metadata say 'add_mean', but there is neither a tensor 'postprocessors.1.mean' nor \
             'mean_per_atom' in the metadata",
        )),
        Some(false) => Ok(0.0),
        None if stored.is_some_and(|m| m != 0.0) => Err(Error::input(
            "the file has a tensor with the mean energy, but its metadata lack 'add_mean' (true or \
             false), which says whether it is added",
        )),
        _ => Ok(mean * hyper.energy),
    }
}

/// The elements that the model knows and their reference energies (eV).
fn references(archive: &mut Archive, hyper: &Hyper, rows: usize) -> Result<(Vec<u8>, Vec<f64>)> {
    let most = (rows - 1).min(HEAVIEST) as u8;
    let mut atomref = Vec::new();
    if let Some(name) = postprocessor(archive, "atomref") {
        atomref = archive.take_any(&name)?;
    }
    if hyper.add_atomrefs && atomref.iter().all(|&e| e == 0.0) {
        return Err(Error::input(
            "the metadata say 'add_atomrefs', but there is no tensor 'postprocessors.1.atomref' with \
             reference energies",
        ));
    }
    let reference = |z: u8| match hyper.references.iter().find(|(known, _)| *known == z) {
        Some((_, energy)) => *energy,
        None if hyper.add_atomrefs => {
            atomref.get(usize::from(z)).copied().unwrap_or(0.0) * hyper.energy
        }
        None => 0.0,
    };
    let elements = match &hyper.elements {
        Some(listed) => listed.clone(),
        None if hyper.add_atomrefs => (1..=most).filter(|&z| reference(z) != 0.0).collect(),
        None => (1..=most).collect(),
    };
    if let Some(z) = elements.iter().find(|&&z| z > most) {
        return Err(Error::input(format!(
            "the metadata list the element with atomic number {z}, but the embedding has rows up to {most}"
        )));
    }
    let energies = elements.iter().map(|&z| reference(z)).collect();
    Ok((elements, energies))
}

/// Refuses tensors that would be part of the energy and are not understood.
fn check_leftovers(archive: &Archive, hyper: &Hyper) -> Result<()> {
    let part = |n: &&str| n.starts_with("representation.") || n.starts_with("output_modules.");
    match archive.names().find(part) {
        None => Ok(()),
        Some(name) => Err(Error::input(format!(
            "a PaiNN of {} interactions, as the metadata describe it, has no place for tensor '{name}': \
             the network would not give the energy that it was trained for",
            hyper.layers
        ))),
    }
}
