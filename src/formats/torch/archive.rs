//! The zip archive of PyTorch 1.6 and later: `NAME/data.pkl`, `NAME/data/KEY` for the numbers, `NAME/version`,
//! `NAME/byteorder`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::tensor::NumberKind;
use super::{SavedFile, zip};
use crate::formats::pickle;
use crate::{Error, Result};

/// The pickle.
const PICKLE: &str = "data.pkl";

/// Versions of the format that were ever written.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=10;

pub fn open(bytes: &[u8]) -> Result<SavedFile<'_>> {
    const SCRIPT: &[u8] = b"/constants.pkl";
    if bytes.windows(SCRIPT.len()).any(|window| window == SCRIPT) {
        return Err(Error::input(
            "this is a TorchScript archive, a program with its numbers; save the model itself: torch.save(model, ...), or \
             torch.save(model.state_dict(), ...)",
        ));
    }
    let mut entries = zip::entries(bytes)?;
    let root = root(&entries)?;
    let mut take = |name: &str| entries.remove(&format!("{root}{name}"));
    let pickled = take(PICKLE).unwrap_or_default();
    check_version(take("version"))?;
    let swapped = is_swapped(take("byteorder"))?;
    let read = pickle::read(pickled)?;
    if read.length != pickled.len() {
        return Err(Error::input(format!(
            "{} bytes follow the end of its pickle",
            pickled.len() - read.length
        )));
    }
    let mut stored = numbers(&entries, &root)?;
    if swapped {
        swap(&read.tree, &mut stored)?;
    }
    SavedFile::new("a zip archive of PyTorch", read.tree, stored)
}

/// What stands before all names: the name of the archive.
fn root(entries: &BTreeMap<String, &[u8]>) -> Result<String> {
    let mut roots = entries.keys().filter_map(|name| name.strip_suffix(PICKLE));
    let root = roots.find(|root| root.is_empty() || root.ends_with('/'));
    let names: Vec<&str> = entries.keys().take(3).map(String::as_str).collect();
    root.map(str::to_owned).ok_or_else(|| {
        Error::input(format!(
            "this is a zip archive that torch.save did not write: it has no {PICKLE} (but {})",
            names.join(", ").escape_debug()
        ))
    })
}

fn check_version(entry: Option<&[u8]>) -> Result<()> {
    let text = entry.map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    match text.as_deref().map(str::parse) {
        None => Ok(()),
        Some(Ok(version)) if VERSIONS.contains(&version) => Ok(()),
        _ => Err(Error::input(format!(
            "its version is {:?}; {} to {} are known",
            text.unwrap_or_default(),
            VERSIONS.start(),
            VERSIONS.end()
        ))),
    }
}

/// Whether the highest byte of each number comes first.
fn is_swapped(entry: Option<&[u8]>) -> Result<bool> {
    match entry {
        None | Some(b"little") => Ok(false),
        Some(b"big") => Ok(true),
        Some(other) => Err(Error::input(format!(
            "its byte order is {:?}; little and big are known",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// The numbers by key.
fn numbers<'b>(
    entries: &BTreeMap<String, &'b [u8]>,
    root: &str,
) -> Result<BTreeMap<String, Cow<'b, [u8]>>> {
    /// What PyTorch keeps beside them, for its own use.
    const OTHERS: [&str; 3] = [".data/", ".format_version", ".storage_alignment"];
    let mut stored = BTreeMap::new();
    for (name, bytes) in entries {
        let own = name.strip_prefix(root).unwrap_or(name);
        if let Some(key) = own.strip_prefix("data/") {
            stored.insert(key.to_owned(), Cow::Borrowed(*bytes));
        } else if !OTHERS.iter().any(|other| own.starts_with(other)) {
            return Err(Error::input(format!(
                "the zip archive has an entry that torch.save does not write: '{}'",
                name.escape_default()
            )));
        }
    }
    Ok(stored)
}

/// Turns the bytes of each number round.
fn swap(tree: &pickle::Tree, stored: &mut BTreeMap<String, Cow<'_, [u8]>>) -> Result<()> {
    for (key, (kind, _)) in super::references(tree)? {
        if let Some(bytes) = stored.get_mut(&key) {
            let width = NumberKind::width(kind);
            bytes
                .to_mut()
                .chunks_exact_mut(width)
                .for_each(<[u8]>::reverse);
        }
    }
    Ok(())
}
