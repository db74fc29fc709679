//! The format of PyTorch before 1.6 (and of later ones where it is asked for): pickles of a magic number, a protocol
//! number, the writing machine's properties, what was saved, and the keys of its numbers; then, in the order of the keys,
//! how many there are, and the numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{SavedFile, references};
use crate::formats::pickle::{self, PickleValue, Tree};
use crate::{Error, Result};

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const PROTOCOL: i128 = 1001;

pub fn open(bytes: &[u8]) -> Result<SavedFile<'_>> {
    let mut rest = bytes;
    let magic = next(&mut rest)?;
    if magic.int(magic.root()) != Some(MAGIC) {
        return Err(Error::input(format!(
            "this is a pickle that torch.save did not write (of {}); save the model with torch.save(model, ...)",
            magic.describe(magic.root())
        )));
    }
    let protocol = next(&mut rest)?;
    if protocol.int(protocol.root()) != Some(PROTOCOL) {
        return Err(Error::input(format!(
            "its protocol is {}; {PROTOCOL} is known",
            protocol.describe(protocol.root())
        )));
    }
    let machine = next(&mut rest)?;
    let little = machine.entry(machine.root(), "little_endian");
    if little.and_then(|little| machine.flag(little)) != Some(true) {
        return Err(Error::input(
            "it was written by a machine whose numbers begin with their highest byte: save it again elsewhere",
        ));
    }
    let tree = next(&mut rest)?;
    let keys = next(&mut rest)?;
    let stored = numbers(&tree, &keys, rest)?;
    SavedFile::new("PyTorch's format before 1.6", tree, stored)
}

/// The next pickle.
fn next(rest: &mut &[u8]) -> Result<Tree> {
    let read = pickle::read(rest)?;
    *rest = rest.get(read.length..).unwrap_or_default();
    Ok(read.tree)
}

/// The numbers by key, to the end of the file.
fn numbers<'b>(
    tree: &Tree,
    keys: &Tree,
    mut rest: &'b [u8],
) -> Result<BTreeMap<String, Cow<'b, [u8]>>> {
    let PickleValue::List(list) = keys.get(keys.root()) else {
        return Err(Error::input("the keys of its numbers are missing"));
    };
    let known = references(tree)?;
    let mut stored = BTreeMap::new();
    for id in list {
        let key = keys.text(*id).unwrap_or_default();
        let name = key.escape_default();
        let (kind, _) = known.get(key).ok_or_else(|| {
            Error::input(format!("it has numbers, '{name}', that nothing refers to"))
        })?;
        let short = || Error::input(format!("it is cut short at its numbers '{name}'"));
        let (count, after) = rest.split_first_chunk().ok_or_else(short)?;
        let size = usize::try_from(u64::from_le_bytes(*count)).ok();
        let size = size.and_then(|count| count.checked_mul(kind.width()));
        let size = size.filter(|size| *size <= after.len()).ok_or_else(short)?;
        let (own, after) = after.split_at(size);
        rest = after;
        if stored.insert(key.to_owned(), Cow::Borrowed(own)).is_some() {
            return Err(Error::input(format!("it has the numbers '{name}' twice")));
        }
    }
    match rest.len() {
        0 => Ok(stored),
        more => Err(Error::input(format!("{more} bytes follow its end"))),
    }
}
