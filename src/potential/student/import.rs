//! A StudentForceField from the bytes of a safetensors file with its authors' parameter names, and its hyper-parameters: the
//! JSON text beside the file, or in its metadata under the key `student`.
//!
//! Numbers that the tensors show too have to agree with them.

use std::collections::BTreeMap;

use super::{SOFT, Student, StudentLayer};
use crate::core::elements::{LAST, symbol};
use crate::potential::Linear;
use crate::potential::network::ReadNetwork;
use crate::potential::painn::import::UNTOLD;
use crate::potential::painn::import::archive::Archive;
use crate::potential::stated::Stated;
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
    let mut stated = Stated::of(&archive, (KEY, "StudentForceField"), beside)?;
    let student = student(&mut archive, &mut stated)?;
    let remarks = stated.finish(&REMARKS)?;
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
    Ok((student, notes, remarks))
}

/// The numbers of a model, in eV and angstrom.
fn student(archive: &mut Archive, stated: &mut Stated) -> Result<Student> {
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
    stated.check("max_z", rows - 1)?;
    stated.check("hidden_dim", f)?;
    stated.check("num_rbf", functions)?;
    stated.check("num_interactions", layers)?;
    let embedding = archive.take(EMBEDDING, &[rows, f])?;
    let centers = archive.take("rbf.centers", &[functions])?;
    let widths = archive.take("rbf.widths", &[functions])?;
    check_grid(&centers, stated)?;
    let in_angstrom = |list: Vec<f64>| list.into_iter().map(|x| x * stated.length).collect();
    Ok(Student {
        features: f,
        cutoff: stated.cutoff * stated.length,
        centers: in_angstrom(centers),
        widths: in_angstrom(widths),
        soft: SOFT * stated.length,
        embedding,
        layers: (0..layers)
            .map(|l| layer(archive, l, [functions, f]))
            .collect::<Result<_>>()?,
        readout: readout(archive, f)?,
        energy_scale: stated.energy,
    })
}

/// Checks that Gaussians that were not trained lie on a grid that ends at the cutoff.
fn check_grid(centers: &[f64], stated: &mut Stated) -> Result<()> {
    let last = centers.last().copied().unwrap_or(0.0);
    if stated.flag("learnable_rbf")? || (last - stated.cutoff).abs() <= SAME * stated.cutoff {
        return Ok(());
    }
    Err(Error::input(format!(
        "the hyper-parameter 'cutoff' is {}, but the last Gaussian of tensor 'rbf.centers' is at {last}, where the cutoff of \
         this network is unless 'learnable_rbf' is true",
        stated.cutoff
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
