//! The potential of a new run file: the shipped one that knows the elements, or one's own.

use std::path::{Path, PathBuf};

use super::{relative, text_of};
use crate::assemble::{self, Model};
use crate::core::{System, elements};
use crate::models::{self, ModelFile};
use crate::{Error, Result};

/// The highest atomic number that is asked for.
const LAST: u8 = 118;

/// A potential for a run file.
pub(super) struct ChosenModel {
    /// The potential.
    pub(super) model: Model,
    /// What the run file calls it, or each of a committee, as TOML.
    pub(super) names: Vec<String>,
    /// The name of a shipped one.
    pub(super) shipped: Option<&'static str>,
}

impl ChosenModel {
    /// The potential that is named, or else the first shipped one that knows these elements (atomic numbers), for a run file in a
    /// folder.
    ///
    /// # Errors
    /// It cannot be read or does not know an element, or no shipped one knows all.
    pub(super) fn find(named: &[PathBuf], species: &[u8], folder: &Path) -> Result<Self> {
        match named {
            [] => Self::shipped(species, folder),
            named => Self::own(named, species, folder),
        }
    }

    fn own(named: &[PathBuf], species: &[u8], folder: &Path) -> Result<Self> {
        let model = assemble::load_networks(named)?;
        let missing: Vec<u8> = (elements::kinds(species).into_iter())
            .filter(|z| !knows(&model, *z))
            .collect();
        if !missing.is_empty() {
            let files: Vec<String> = named.iter().map(|m| m.display().to_string()).collect();
            return Err(Error::input(format!(
                "{} does not know {}: it knows {}",
                files.join(", "),
                symbols(&missing),
                symbols(&known(&model))
            )));
        }
        let names = named.iter().map(|text| name_of(text, folder));
        let shipped = match named {
            [one] => models::names()
                .into_iter()
                .find(|name| Path::new(name) == one),
            _ => None,
        };
        Ok(Self {
            names: names.collect::<Result<_>>()?,
            model,
            shipped,
        })
    }

    fn shipped(species: &[u8], folder: &Path) -> Result<Self> {
        let kinds = elements::kinds(species);
        let mut told = Vec::new();
        let mut nowhere = kinds.clone();
        for name in models::names() {
            let model = assemble::load_networks(&[PathBuf::from(name)])?;
            let missing: Vec<u8> = (kinds.iter().copied())
                .filter(|z| !knows(&model, *z))
                .collect();
            if missing.is_empty() {
                return Ok(Self {
                    names: vec![name_of(Path::new(name), folder)?],
                    model,
                    shipped: Some(name),
                });
            }
            nowhere.retain(|z| missing.contains(z));
            told.push(format!("{name} knows {}", symbols(&known(&model))));
        }
        let lacking = match nowhere.is_empty() {
            true => format!("all of {} together", symbols(&kinds)),
            false => symbols(&nowhere),
        };
        Err(Error::input(format!(
            "no potential inside this program knows {lacking} ({}); one of your own that was trained for these elements goes in \
             with --model FILE (`mdrun model convert` makes such a file of what SchNetPack or Neural Force Field saved)",
            told.join("; ")
        )))
    }

    /// What it is called, for people.
    pub(super) fn words(&self) -> String {
        let names = self.names.iter().map(|name| name.trim_matches(['"', '\'']));
        names.collect::<Vec<_>>().join(", ")
    }

    /// Elements that it knows, in words.
    pub(super) fn elements(&self) -> String {
        let known = known(&self.model);
        match known.len() {
            0..20 => symbols(&known),
            _ => format!("{} elements", known.len()),
        }
    }
}

/// What a run file in a folder calls the potential that is named from where the user stands: a path, or a name that is known
/// everywhere.
fn name_of(text: &Path, folder: &Path) -> Result<String> {
    let everywhere = |path: &Path| models::folders().iter().any(|f| path.starts_with(f));
    Ok(match ModelFile::find(text, Path::new(""))? {
        ModelFile::Embedded(model) => text_of(Path::new(model.name)),
        ModelFile::Path(path) if everywhere(&path) => text_of(text),
        ModelFile::Path(path) => text_of(&relative(&path, folder)),
    })
}

fn knows(model: &Model, z: u8) -> bool {
    let system = System::of_standard_masses(&[z]);
    (model.members.iter()).all(|member| member.check_species(&system).is_ok())
}

fn known(model: &Model) -> Vec<u8> {
    (1..=LAST).filter(|z| knows(model, *z)).collect()
}

/// Symbols, one after another.
pub(super) fn symbols(kinds: &[u8]) -> String {
    let symbols: Vec<&str> = kinds.iter().map(|z| elements::symbol(*z)).collect();
    symbols.join(", ")
}
