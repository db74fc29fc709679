//! CIF files: which of their blocks and models is a frame, the cell, and what core CIF and mmCIF share.
//!
//! Dictionaries: <https://www.iucr.org/resources/cif/dictionaries/cif_core> and, for mmCIF,
//! <https://mmcif.wwpdb.org>. Both kinds bear either extension; mmCIF has Cartesian coordinates in a
//! category with a dot, `_atom_site.Cartn_x`.

use super::star::{DataBlock, parse, shown};
use super::structure::{Structure, Wanted};
use super::{crystal, mmcif};
use crate::{Error, Result};

/// Blocks named in a remark.
const MOST_NAMED: usize = 5;

/// Reads frames of a CIF or mmCIF file: data blocks with atoms, or models in them.
///
/// # Errors
/// The text is not CIF, holds no atoms, lacks the frame, or the frame is no structure with one place for
/// each atom. Messages name the line where there is one.
pub(super) fn read(text: &str, wanted: Wanted) -> Result<Vec<Structure>> {
    let all = parse(text)?;
    let (mut blocks, mut frames) = (Vec::new(), Vec::new());
    for block in &all {
        let content = match (mmcif::has_atoms(block)?, crystal::has_atoms(block)?) {
            (true, _) => BlockFrames::Models(mmcif::Models::of(block)?),
            (false, true) => BlockFrames::Crystal,
            (false, false) => continue,
        };
        let models = match &content {
            BlockFrames::Models(models) => models.count(),
            BlockFrames::Crystal => 1,
        };
        if models > 0 {
            frames.extend((0..models).map(|model| (blocks.len(), model)));
            blocks.push((block, content));
        }
    }
    if frames.is_empty() {
        return Err(Error::input(nothing(&all)));
    }
    wanted.read(frames.len(), |k| {
        let (place, model) = frames[k];
        let (block, content) = &blocks[place];
        let mut structure = match content {
            BlockFrames::Models(models) => mmcif::read(block, models, model)?,
            BlockFrames::Crystal => crystal::read(block)?,
        };
        if blocks.len() > 1 {
            structure.notes.push(several(&blocks, block));
        }
        Ok(structure)
    })
}

/// The frames of a block with atoms.
enum BlockFrames {
    /// Models of mmCIF.
    Models(mmcif::Models),
    /// One, of core CIF.
    Crystal,
}

/// What to say of a file without atoms.
fn nothing(blocks: &[DataBlock]) -> String {
    match blocks.iter().any(|block| block.has_any_of("_atom_site")) {
        true => {
            "there are no atoms with coordinates in it: neither _atom_site_fract_x, y and z nor \
             _atom_site_Cartn_x, y and z, nor mmCIF's _atom_site.Cartn_x, y and z have values"
        }
        false => {
            "there is no table of atoms (_atom_site) in it; is it a CIF or mmCIF file of a structure?"
        }
    }
    .to_owned()
}

/// What to say of a file with several structures.
fn several(blocks: &[(&DataBlock, BlockFrames)], chosen: &DataBlock) -> String {
    let name = |block: &DataBlock| shown(&format!("data_{}", block.name));
    let mut names: Vec<String> = (blocks.iter().take(MOST_NAMED))
        .map(|b| name(b.0))
        .collect();
    if blocks.len() > MOST_NAMED {
        names.push("...".to_owned());
    }
    format!(
        "{} data blocks hold atoms, each of them a frame: {}; this is {}",
        blocks.len(),
        names.join(", "),
        name(chosen)
    )
}
