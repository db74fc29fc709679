//! A SchNet from the bytes of a safetensors file with SchNetPack's parameter names, and its hyper-parameters: the JSON text
//! beside the file, or in its metadata under the key `schnet`.
//!
//! Numbers that the tensors show too have to agree with them.

use std::collections::BTreeMap;

use super::{Schnet, SchnetLayer};
use crate::core::elements::{LAST, symbol};
use crate::potential::Linear;
use crate::potential::network::ReadNetwork;
use crate::potential::painn::RadialBasis;
use crate::potential::painn::import::UNTOLD;
use crate::potential::painn::import::archive::Archive;
use crate::potential::stated::Stated;
use crate::{Error, Result};

/// The tensor that every set of weights has once.
const EMBEDDING: &str = "representation.embedding.weight";
/// The cutoff, which files may have as a tensor too.
const CUTOFF: &str = "representation.cutoff_fn.cutoff";
/// The metadata key of hyper-parameters in the file.
const KEY: &str = "schnet";
/// Numbers that are stated twice agree within this part, once rounded to f32.
const SAME: f64 = 1e-6;
/// Keys that change no number.
const REMARKS: [&str; 4] = ["source", "licence", "license", "version"];

/// Whether tensors of these names are a SchNet's.
pub(super) fn recognises(names: &[&str]) -> bool {
    let any = |part: &str| names.iter().any(|name| name.contains(part));
    any(".in2f.weight") && any(".filter_network.0.weight") && any(EMBEDDING)
}

/// Reads a model as one of the list of architectures.
pub(super) fn read(bytes: &[u8], beside: Option<&str>) -> Result<ReadNetwork> {
    let (schnet, notes, remarks) = import(bytes, beside)?;
    Ok(ReadNetwork {
        network: Box::new(schnet),
        lists_elements: notes.is_empty(),
        notes,
        remarks,
        stated: None,
    })
}

/// Reads a model with what is to be said of its file, and remarks of its hyper-parameters by key; `beside` is the text of the
/// JSON file beside it.
///
/// # Errors
/// The file is damaged, lacks tensors or has others, a number is not finite; a hyper-parameter is missing, not known, or not
/// what the tensors show; activation, basis or cutoff function are others than those that are built in.
pub fn import(
    bytes: &[u8],
    beside: Option<&str>,
) -> Result<(Schnet, Vec<String>, BTreeMap<String, String>)> {
    let mut archive = Archive::open(bytes)?;
    let prefixes = archive.prefixes_of(EMBEDDING);
    match prefixes.as_slice() {
        [only] => archive.strip(only)?,
        sets => {
            return Err(Error::input(format!(
                "the file has {} sets of weights: write a file with one of them",
                sets.len()
            )));
        }
    }
    let mut stated = Stated::of(&archive, (KEY, "SchNet"), beside)?;
    let mut notes = Vec::new();
    let schnet = schnet(&mut archive, &mut stated, &mut notes)?;
    let remarks = stated.finish(&REMARKS)?;
    schnet.check()?;
    if archive.names().next().is_some() {
        return Err(Error::input(format!(
            "a SchNet has no place for {}",
            archive.some_names()
        )));
    }
    Ok((schnet, notes, remarks))
}

/// The numbers of a model, in eV and angstrom.
fn schnet(archive: &mut Archive, stated: &mut Stated, notes: &mut Vec<String>) -> Result<Schnet> {
    let (rows, f) = match archive.shape(EMBEDDING) {
        Some(&[rows, f]) if rows >= 2 && f > 0 => (rows, f),
        other => {
            return Err(Error::input(format!(
                "tensor '{EMBEDDING}' has shape {:?}, expected [atomic numbers, features]",
                other.unwrap_or_default()
            )));
        }
    };
    let at = |l: usize, part: &str| format!("representation.interactions.{l}.{part}");
    let layers = (0..)
        .take_while(|l| archive.has(&at(*l, "in2f.weight")))
        .count();
    stated.check("n_atom_basis", f)?;
    stated.check("n_filters", f)?;
    stated.check("n_interactions", layers)?;
    stated.only("activation", "shifted_softplus")?;
    stated.only("readout_activation", "silu")?;
    stated.only("cutoff_fn", "cosine")?;
    stated.only("radial_basis", "gaussian")?;
    let basis = basis(archive, stated)?;
    check_cutoff(archive, stated)?;
    let embedding = archive.take(EMBEDDING, &[rows, f])?;
    let functions = basis.len();
    let layers = (0..layers).map(|l| {
        let mut map = |part: &str, inputs| linear(archive, &at(l, part), inputs, f);
        let (filter, output) = (
            [
                map("filter_network.0", functions)?,
                map("filter_network.1", f)?,
            ],
            [map("f2out.0", f)?, map("f2out.1", f)?],
        );
        let input = Linear {
            inputs: f,
            outputs: f,
            weight: archive.take(&at(l, "in2f.weight"), &[f, f])?,
            bias: Vec::new(),
        };
        Ok(SchnetLayer {
            input,
            filter,
            output,
        })
    });
    let layers = layers.collect::<Result<_>>()?;
    Ok(Schnet {
        features: f,
        basis,
        cutoff: stated.cutoff * stated.length,
        embedding,
        layers,
        readout: readout(archive, f)?,
        elements: elements(stated, rows, notes)?,
        energy_scale: stated.energy,
        mean_per_atom: stated.number("mean_per_atom")?.unwrap_or(0.0) * stated.energy,
    })
}

/// Elements as they are stated, else all that there is an embedding for, which is noted.
fn elements(stated: &mut Stated, rows: usize, notes: &mut Vec<String>) -> Result<Vec<u8>> {
    if let Some(list) = stated.elements("elements")? {
        return Ok(list);
    }
    let most = LAST.min(u8::try_from(rows - 1).unwrap_or(LAST));
    notes.push(format!(
        "{UNTOLD}: those up to {} are accepted",
        symbol(most)
    ));
    Ok((1..=most).collect())
}

fn basis(archive: &mut Archive, stated: &mut Stated) -> Result<RadialBasis> {
    let name = |part: &str| format!("representation.radial_basis.{part}");
    let count = archive
        .shape(&name("offsets"))
        .map_or(0, |s| s.iter().product());
    stated.check("n_rbf", count)?;
    let centers = archive.take(&name("offsets"), &[count])?;
    let widths = archive.take(&name("widths"), &[count])?;
    if count == 0 || widths.contains(&0.0) {
        return Err(Error::input(format!(
            "tensor '{}' has none or a zero: a Gaussian needs a width",
            name("widths")
        )));
    }
    let in_angstrom = |list: Vec<f64>| list.into_iter().map(|x| x * stated.length).collect();
    Ok(RadialBasis::Gaussian {
        centers: in_angstrom(centers),
        widths: in_angstrom(widths),
    })
}

/// Checks the tensor of the cutoff, where there is one.
fn check_cutoff(archive: &mut Archive, stated: &Stated) -> Result<()> {
    match archive.take_scalar(CUTOFF)? {
        Some(stored) if (stored - stated.cutoff).abs() > SAME * stated.cutoff => {
            Err(Error::input(format!(
                "tensor '{CUTOFF}' is {stored}, but the hyper-parameter 'cutoff' is {}",
                stated.cutoff
            )))
        }
        _ => Ok(()),
    }
}

fn linear(archive: &mut Archive, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
    Ok(Linear {
        inputs,
        outputs,
        weight: archive.take(&format!("{name}.weight"), &[outputs, inputs])?,
        bias: archive.take(&format!("{name}.bias"), &[outputs])?,
    })
}

/// Layers 0, 1, 2, ... of the first output module; SiLU stands between.
fn readout(archive: &mut Archive, features: usize) -> Result<Vec<Linear>> {
    let mut layers: Vec<Linear> = Vec::new();
    loop {
        let name = format!("output_modules.0.outnet.{}", layers.len());
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
