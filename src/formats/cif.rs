//! CIF files: which of their blocks and models is a frame, the cell, and what core CIF and mmCIF share.
//!
//! Dictionaries: <https://www.iucr.org/resources/cif/dictionaries/cif_core> and, for mmCIF,
//! <https://mmcif.wwpdb.org>. Both kinds bear either extension; mmCIF has Cartesian coordinates in a
//! category with a dot, `_atom_site.Cartn_x`.

use super::star::{DataBlock, parse, shown};
use super::structure::{Structure, pick};
use super::{crystal, mmcif};
use crate::{Error, Result};

/// Blocks named in a remark.
const MOST_NAMED: usize = 5;

/// Reads one frame (negative: from the end) of a CIF or mmCIF file: a data block with atoms, or a model
/// in it.
///
/// # Errors
/// The text is not CIF, holds no atoms, lacks the frame, or the frame is no structure with one place for
/// each atom. Messages name the line where there is one.
pub(super) fn read(text: &str, wanted: i64) -> Result<Structure> {
    let all = parse(text)?;
    let mut frames = Vec::new();
    for block in &all {
        let models = match (mmcif::has_atoms(block)?, crystal::has_atoms(block)?) {
            (true, _) => mmcif::Models::of(block)?.count(),
            (false, true) => 1,
            (false, false) => 0,
        };
        frames.extend((models > 0).then_some((block, models)));
    }
    if frames.is_empty() {
        return Err(Error::input(nothing(&all)));
    }
    let count = frames.iter().map(|f| f.1).sum();
    let mut index = pick(wanted, count)?;
    let mut chosen = None;
    for (block, models) in &frames {
        if index < *models {
            chosen = Some(block);
            break;
        }
        index -= models;
    }
    let block = chosen.ok_or_else(|| Error::input(nothing(&all)))?;
    let mut structure = match mmcif::has_atoms(block)? {
        true => mmcif::read(block, index)?,
        false => crystal::read(block)?,
    };
    structure.frames = count;
    if frames.len() > 1 {
        structure.notes.push(several(&frames, block));
    }
    Ok(structure)
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
fn several(frames: &[(&DataBlock, usize)], chosen: &DataBlock) -> String {
    let name = |block: &DataBlock| shown(&format!("data_{}", block.name));
    let mut names: Vec<String> = (frames.iter().take(MOST_NAMED))
        .map(|f| name(f.0))
        .collect();
    if frames.len() > MOST_NAMED {
        names.push("...".to_owned());
    }
    format!(
        "{} data blocks hold atoms, each of them a frame: {}; this is {}",
        frames.len(),
        names.join(", "),
        name(chosen)
    )
}
