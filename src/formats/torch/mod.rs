//! Files that PyTorch's `torch.save` writes: a [pickle](super::pickle) and beside it the numbers of tensors.
//!
//! Two containers are in use: a zip [archive] (PyTorch 1.6 and later), whose entries are stored as they are with their
//! checksums, and the [legacy] one before it, a row of pickles and numbers without any checksum. Nothing is executed.

mod archive;
mod legacy;
mod tensor;
mod zip;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::pickle::{PickleValue, Tree, ValueId};
use crate::{Error, Result};

pub use tensor::{NumberKind, SavedTensor};

/// A file that was read: what it says, and the numbers that it keeps.
#[derive(Debug)]
pub struct SavedFile<'b> {
    /// The container, for people.
    pub container: &'static str,
    /// What was saved.
    pub tree: Tree,
    storages: BTreeMap<String, Storage<'b>>,
}

/// A row of numbers, which tensors are views of.
#[derive(Debug)]
struct Storage<'b> {
    kind: NumberKind,
    /// How many.
    count: usize,
    /// The lowest byte of each first.
    bytes: Cow<'b, [u8]>,
}

/// Whether some bytes are such a file, as far as their beginning tells: a zip archive or a pickle.
pub fn is_saved(bytes: &[u8]) -> bool {
    let pickle = bytes.first() == Some(&0x80) && bytes.get(1).is_some_and(|p| (2..=5).contains(p));
    bytes.starts_with(b"PK\x03\x04") || pickle
}

/// Opens a file's bytes.
///
/// # Errors
/// It is no such file, is cut short or damaged (checksums are compared), holds a script, or numbers that nothing refers to.
pub fn open(bytes: &[u8]) -> Result<SavedFile<'_>> {
    match bytes.starts_with(b"PK") {
        true => archive::open(bytes),
        false => legacy::open(bytes),
    }
}

/// A row of numbers as the pickle refers to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StorageReference<'t> {
    key: &'t str,
    kind: NumberKind,
    count: usize,
}

/// Reads what the pickle says of stored numbers: `("storage", class, key, device, count)`.
fn reference(tree: &Tree, name: ValueId) -> Result<StorageReference<'_>> {
    let fault = |what: &str| Error::input(format!("a reference to stored numbers {what}"));
    let parts = match tree.get(name) {
        PickleValue::Tuple(parts) => parts,
        _ => return Err(fault("is not a tuple")),
    };
    let view = parts
        .get(5)
        .is_some_and(|view| *tree.get(*view) != PickleValue::None);
    if !(5..=6).contains(&parts.len()) || tree.text(parts[0]) != Some("storage") || view {
        return Err(fault(
            "is not one of \"storage\", type, key, device and count",
        ));
    }
    let class = tree.global(parts[1]).ok_or_else(|| fault("has no type"))?;
    let kind = NumberKind::of_storage(class)
        .ok_or_else(|| fault(&format!("has the type {class}, which cannot be read")))?;
    let key = tree.text(parts[2]).ok_or_else(|| fault("has no key"))?;
    let count = tree.int(parts[4]).and_then(|n| usize::try_from(n).ok());
    let count = count.ok_or_else(|| fault("has no count"))?;
    Ok(StorageReference { key, kind, count })
}

/// All references of a pickle by key.
///
/// # Errors
/// One is malformed, or two speak of the same numbers as different ones.
fn references(tree: &Tree) -> Result<BTreeMap<String, (NumberKind, usize)>> {
    let mut all = BTreeMap::new();
    for (id, value) in tree.all() {
        let PickleValue::Persistent(name) = value else {
            continue;
        };
        // The class of a module.
        if tree.global(id).is_some() {
            continue;
        }
        let StorageReference { key, kind, count } = reference(tree, *name)?;
        let before = all.insert(key.to_owned(), (kind, count));
        if before.is_some_and(|before| before != (kind, count)) {
            return Err(Error::input(format!(
                "the numbers '{}' are referred to as different ones",
                key.escape_default()
            )));
        }
    }
    Ok(all)
}

impl<'b> SavedFile<'b> {
    /// Puts a pickle and its numbers together: `stored` has the bytes by key.
    fn new(
        container: &'static str,
        tree: Tree,
        mut stored: BTreeMap<String, Cow<'b, [u8]>>,
    ) -> Result<Self> {
        let mut storages = BTreeMap::new();
        for (key, (kind, count)) in references(&tree)? {
            let name = key.escape_default();
            let bytes = stored
                .remove(&key)
                .ok_or_else(|| Error::input(format!("the numbers '{name}' are missing")))?;
            if count.checked_mul(kind.width()) != Some(bytes.len()) {
                return Err(Error::input(format!(
                    "the numbers '{name}' are {} bytes, but {count} of {} are promised",
                    bytes.len(),
                    kind.name()
                )));
            }
            storages.insert(key, Storage { kind, count, bytes });
        }
        if let Some(key) = stored.keys().next() {
            return Err(Error::input(format!(
                "it has numbers, '{}', that nothing refers to: it is damaged, or put together by hand",
                key.escape_default()
            )));
        }
        let saved = Self {
            container,
            tree,
            storages,
        };
        saved.check_cover()?;
        Ok(saved)
    }

    /// Checks that tensors use all of the numbers: of a cut of a larger array, or of a damaged shape, some are left over.
    fn check_cover(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        let mut used: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, _) in self.tree.all() {
            if let Some(view) = tensor::view(&self.tree, id)?
                && seen.insert((
                    view.key,
                    view.offset,
                    view.shape.clone(),
                    view.stride.clone(),
                ))
            {
                let used = used.entry(view.key).or_default();
                *used = used.saturating_add(view.count());
            }
        }
        let short = |(key, storage): &(&String, &Storage)| {
            used.get(key.as_str()).copied().unwrap_or(0) < storage.count
        };
        match self.storages.iter().find(short) {
            None => Ok(()),
            Some((key, storage)) => Err(Error::input(format!(
                "of the {} numbers '{}' no more than {} are used by tensors: it is damaged, or has parts of larger arrays \
                 (save clones of them)",
                storage.count,
                key.escape_default(),
                used.get(key.as_str()).copied().unwrap_or(0)
            ))),
        }
    }

    /// The tensor at a place of the tree; `None` where something else is.
    ///
    /// # Errors
    /// It is a tensor of a kind that is not known here, or its shape does not fit its numbers.
    pub fn tensor(&self, id: ValueId) -> Result<Option<SavedTensor>> {
        let Some(view) = tensor::view(&self.tree, id)? else {
            return Ok(None);
        };
        let storage = self.storages.get(view.key);
        let storage = storage.ok_or_else(|| Error::input("a tensor's numbers are missing"))?;
        view.tensor(storage.kind, &storage.bytes).map(Some)
    }

    /// Whether a tensor is at a place of the tree, and if so, whether a parameter: see [`tensor::view`].
    pub fn is_tensor(&self, id: ValueId) -> bool {
        matches!(tensor::view(&self.tree, id), Ok(Some(_)))
    }
}
