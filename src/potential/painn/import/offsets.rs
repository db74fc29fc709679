//! Energies that a model adds to what its network gives: a mean per atom, and reference energies of elements. Each may be
//! stated in the metadata and stored as a tensor of a postprocessor; what is not added is said, and what is stated twice
//! has to agree.

use crate::core::elements::symbol;
use crate::{Error, Result};

use super::SAME;
use super::archive::Archive;
use super::hyper::Hyper;
use super::keys::{HEAVIEST, Style};

/// The tensors of postprocessors of this name, whichever place they have.
pub fn tensors(archive: &Archive, name: &str) -> Vec<String> {
    let is = |key: &str| {
        key.strip_prefix("postprocessors.")
            .and_then(|rest| rest.split_once('.'))
            .is_some_and(|(place, last)| last == name && place.bytes().all(|b| b.is_ascii_digit()))
    };
    archive
        .names()
        .filter(|key| is(key))
        .map(str::to_owned)
        .collect()
}

/// The one tensor of this name.
fn tensor(archive: &Archive, name: &str) -> Result<Option<String>> {
    let mut found = tensors(archive, name);
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(Error::input(format!(
            "the file has {} tensors of offsets ('{}'): whether all of them are added cannot be told; add them up to one",
            found.len(),
            found.join("', '")
        ))),
    }
}

fn agree(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * a.abs().max(b.abs())
}

/// The energy per atom that the network leaves out (eV); notes what is not added.
pub fn mean(archive: &mut Archive, hyper: &Hyper, notes: &mut Vec<String>) -> Result<f64> {
    let name = tensor(archive, "mean")?;
    let stored = match &name {
        Some(name) => archive.take_scalar(name)?,
        None => None,
    };
    let name = name.unwrap_or_default();
    match hyper.style {
        Style::Painn => mean_of_painn(&name, stored, hyper),
        Style::SchNetPack => mean_of_schnetpack(&name, stored, hyper, notes),
    }
}

fn mean_of_painn(name: &str, stored: Option<f64>, hyper: &Hyper) -> Result<f64> {
    let said = hyper.mean.unwrap_or(0.0);
    match stored.map(|mean| mean * hyper.energy) {
        Some(stored) if !agree(stored, said) => Err(Error::input(format!(
            "tensor '{name}' is a mean of {stored} eV per atom, but 'mean_per_atom_eV' in the 'painn' metadata is {}: state \
             it there if it is added to the energy, else leave the tensor out",
            hyper
                .mean
                .map_or("missing".to_owned(), |mean| mean.to_string())
        ))),
        _ => Ok(said),
    }
}

fn mean_of_schnetpack(
    name: &str,
    stored: Option<f64>,
    hyper: &Hyper,
    notes: &mut Vec<String>,
) -> Result<f64> {
    let mean = stored.or(hyper.mean);
    let nothing = mean.is_none_or(|mean| mean == 0.0);
    if hyper.add_mean.is_none() && !nothing {
        return Err(Error::input(
            "the file has a mean energy, but its metadata lack 'add_mean' (true or false), which says whether it is added",
        ));
    }
    if let (Some(stored), Some(said)) = (stored, hyper.mean)
        && !agree(stored, said)
    {
        return Err(Error::input(format!(
            "tensor '{name}' is {stored}, but 'mean_per_atom' in the metadata is {said}: which of them is right?"
        )));
    }
    match (hyper.add_mean, mean) {
        (Some(true), None) => Err(Error::input(
            "the metadata say 'add_mean', but there is neither a tensor 'postprocessors.1.mean' nor 'mean_per_atom' in \
             the metadata",
        )),
        (Some(true), Some(mean)) => Ok(mean * hyper.energy),
        (Some(false), Some(mean)) if !nothing => {
            let mean = mean * hyper.energy;
            notes.push(format!(
                "the model's mean of {mean:.3} eV per atom is not added: its 'add_mean' is false"
            ));
            Ok(0.0)
        }
        _ => Ok(0.0),
    }
}

/// The elements that the model knows and their reference energies (eV), for an embedding of so many rows; notes what is not
/// added.
pub fn references(
    archive: &mut Archive,
    hyper: &Hyper,
    rows: usize,
    notes: &mut Vec<String>,
) -> Result<(Vec<u8>, Vec<f64>)> {
    let stored = match tensor(archive, "atomref")? {
        Some(name) => {
            let energies = archive.take_any(&name)?;
            Some((name, energies))
        }
        None => None,
    };
    let most = (rows - 1).min(usize::from(HEAVIEST)) as u8;
    let (elements, energies) = match (hyper.style, stored) {
        (Style::Painn, stored) => {
            let elements = hyper.elements.clone().unwrap_or_else(|| all(most, notes));
            let energies = of_painn(&elements, hyper);
            if let Some((name, stored)) = stored {
                check_stored(&name, &stored, &elements, &energies, hyper)?;
            }
            (elements, energies)
        }
        (Style::SchNetPack, stored) => of_schnetpack(stored.map(|s| s.1), hyper, most, notes)?,
    };
    if let Some(&z) = elements.iter().find(|&&z| z > most) {
        return Err(Error::input(format!(
            "the metadata list the element with atomic number {z} ({}), but the embedding has rows up to {most}",
            symbol(z)
        )));
    }
    Ok((elements, energies))
}

/// What the note of a file begins with that does not list its elements.
pub const UNTOLD: &str = "the model's file does not say which elements it was trained on";

/// Every element that the embedding has a row for, which is all that can be said where the file says nothing.
fn all(most: u8, notes: &mut Vec<String>) -> Vec<u8> {
    notes.push(format!(
        "{UNTOLD}: those up to {} are accepted",
        symbol(most)
    ));
    (1..=most).collect()
}

fn of_painn(elements: &[u8], hyper: &Hyper) -> Vec<f64> {
    let energy = |z: &u8| {
        hyper
            .references
            .iter()
            .find(|r| r.0 == *z)
            .map_or(0.0, |r| r.1)
    };
    elements.iter().map(energy).collect()
}

/// Checks that reference energies that are stored beside those of a `painn` object are the same.
fn check_stored(
    name: &str,
    stored: &[f64],
    elements: &[u8],
    energies: &[f64],
    hyper: &Hyper,
) -> Result<()> {
    if stored.iter().all(|&e| e == 0.0) {
        return Ok(());
    }
    for (&z, &said) in elements.iter().zip(energies) {
        let stored = stored.get(usize::from(z)).copied().unwrap_or(0.0) * hyper.energy;
        if !agree(stored, said) {
            return Err(Error::input(format!(
                "tensor '{name}' has {stored} eV for {}, but 'reference_energies_eV' in the 'painn' metadata {}: state it \
                 there if it is added to the energy, else leave the tensor out",
                symbol(z),
                if hyper.references.is_empty() {
                    "is missing".to_owned()
                } else {
                    format!("has {said}")
                }
            )));
        }
    }
    Ok(())
}

fn of_schnetpack(
    stored: Option<Vec<f64>>,
    hyper: &Hyper,
    most: u8,
    notes: &mut Vec<String>,
) -> Result<(Vec<u8>, Vec<f64>)> {
    let stored = stored.unwrap_or_default();
    let nothing = stored.iter().all(|&e| e == 0.0);
    match hyper.add_atomrefs {
        Some(true) if nothing => {
            return Err(Error::input(
                "the metadata say 'add_atomrefs', but there is no tensor 'postprocessors.1.atomref' with reference \
                 energies",
            ));
        }
        None if !nothing => {
            return Err(Error::input(
                "the file has reference energies of elements, but its metadata lack 'add_atomrefs' (true or false), which \
                 says whether they are added",
            ));
        }
        Some(false) if !nothing => {
            notes.push("the model's reference energies of elements are not added: its 'add_atomrefs' is false".into());
        }
        _ => {}
    }
    let added = hyper.add_atomrefs == Some(true);
    let reference = |z: u8| match added {
        true => stored.get(usize::from(z)).copied().unwrap_or(0.0) * hyper.energy,
        false => 0.0,
    };
    let elements = match &hyper.elements {
        Some(listed) => listed.clone(),
        None if added => (1..=most).filter(|&z| reference(z) != 0.0).collect(),
        None => all(most, notes),
    };
    if let Some(&z) = elements.iter().find(|&&z| added && reference(z) == 0.0) {
        return Err(Error::input(format!(
            "'elements' lists {}, but the tensor of reference energies ('add_atomrefs') has none for it",
            symbol(z)
        )));
    }
    let energies = elements.iter().map(|&z| reference(z)).collect();
    Ok((elements, energies))
}
