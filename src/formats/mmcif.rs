//! mmCIF (PDBx): the `_atom_site` table of one model, with the names of atoms and residues.
//!
//! <https://mmcif.wwpdb.org/docs/tutorials/content/atomic-description.html>. As of PDB files, the atoms are
//! those that are listed: the crystal's symmetry is not applied to them.

use std::cell::Cell;
use std::collections::HashMap;

use super::cif_tags::{at_line, cell, check_axes, check_occupancy, coordinate};
use super::labels::{
    alternate_location, charge_note, element_of_name, element_of_type, unoccupied_note,
};
use super::lattice::real_cell;
use super::star::{DataBlock, TagColumn, number, shown};
use super::structure::Structure;
use crate::core::{AtomName, FormalElectrons, Vec3};
use crate::{Error, Result};

/// Cartesian coordinates.
const POSITION: [&str; 3] = [
    "_atom_site.cartn_x",
    "_atom_site.cartn_y",
    "_atom_site.cartn_z",
];

/// Whether a block has coordinates as mmCIF writes them.
///
/// # Errors
/// The tag stands twice.
pub(super) fn has_atoms(block: &DataBlock) -> Result<bool> {
    let column = block.column(&POSITION[..1])?;
    Ok(column.is_some_and(|c| block.known(c).next().is_some()))
}

/// Which rows of `_atom_site` belong to which model, in the order in which models appear.
pub(super) struct Models {
    /// By model.
    rows: Vec<Vec<usize>>,
}

impl Models {
    pub fn of(block: &DataBlock) -> Result<Self> {
        let x = needed(block, &POSITION[..1])?;
        let column = block.beside(x, &["_atom_site.pdbx_pdb_model_num"])?;
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut rows: Vec<Vec<usize>> = Vec::new();
        for row in 0..x.rows {
            let name = column.and_then(|c| block.value(c, row));
            let model = *numbers
                .entry(name.map_or("", |v| v.text))
                .or_insert(rows.len());
            if model == rows.len() {
                rows.push(Vec::new());
            }
            rows[model].push(row);
        }
        Ok(Self { rows })
    }

    /// How many models there are.
    pub fn count(&self) -> usize {
        self.rows.len()
    }
}

/// Reads one of a block's models, counted from 0.
///
/// # Errors
/// A column that is missing, or an atom without element or place, with several places, or there only in
/// part; or the axes are unusual.
pub(super) fn read(block: &DataBlock, models: &Models, model: usize) -> Result<Structure> {
    let table = AtomSiteColumns::new(block)?;
    let mut notes = Vec::new();
    let vectors = cell(block, &mut notes)?.and_then(real_cell);
    if let Some(vectors) = &vectors {
        let matrix = |k, l| format!("_atom_sites.cartn_transf_matrix[{k}][{l}]");
        let inverse = |k, l| format!("_atom_sites.fract_transf_matrix[{k}][{l}]");
        check_axes(block, vectors, [&matrix, &inverse])?;
    }
    let mut structure = Structure::default();
    structure.set_cell(vectors);
    structure.names = table.has_names().then(Vec::new);
    structure.notes = notes;
    let mut charges = Vec::new();
    for &row in &models.rows[model] {
        table.read(row, &mut structure)?;
        // A row that is no atom has no charge either.
        let own = table.text(&[table.charge], row).parse().unwrap_or(0);
        charges.resize(structure.species.len(), own);
    }
    let atoms = structure.species.len();
    structure
        .notes
        .extend(unoccupied_note(table.unoccupied.get(), atoms));
    structure.electrons = FormalElectrons::of_charges(charges);
    let charge = structure.electrons.charge();
    structure.notes.extend(charge_note(charge));
    Ok(structure)
}

fn needed(block: &DataBlock, tags: &[&str]) -> Result<TagColumn> {
    let missing = || {
        let tag = tags.first().unwrap_or(&"").replace("cartn", "Cartn");
        Error::input(format!("there is no column {tag} in it"))
    };
    block.column(tags)?.ok_or_else(missing)
}

/// The columns of `_atom_site` that are of use.
struct AtomSiteColumns<'b, 't> {
    block: &'b DataBlock<'t>,
    position: [TagColumn; 3],
    symbol: Option<TagColumn>,
    occupancy: Option<TagColumn>,
    alternate: Option<TagColumn>,
    calculated: Option<TagColumn>,
    /// Each as the author has it, then as the archive has it.
    atom: [Option<TagColumn>; 2],
    residue: [Option<TagColumn>; 2],
    number: [Option<TagColumn>; 2],
    chain: [Option<TagColumn>; 2],
    insertion: Option<TagColumn>,
    charge: Option<TagColumn>,
    /// Atoms read so far whose occupancy is 0.
    unoccupied: Cell<usize>,
}

impl<'b, 't> AtomSiteColumns<'b, 't> {
    fn new(block: &'b DataBlock<'t>) -> Result<Self> {
        let x = needed(block, &POSITION[..1])?;
        let beside = |tag: &str| block.beside(x, &[tag]);
        let both = |author: &str, archive: &str| -> Result<[Option<TagColumn>; 2]> {
            Ok([beside(author)?, beside(archive)?])
        };
        for tag in &POSITION[1..] {
            needed(block, &[tag])?;
        }
        let [Some(y), Some(z)] = both(POSITION[1], POSITION[2])? else {
            return Err(Error::input("there are atoms without coordinates in it"));
        };
        let table = Self {
            block,
            position: [x, y, z],
            symbol: beside("_atom_site.type_symbol")?,
            occupancy: beside("_atom_site.occupancy")?,
            alternate: beside("_atom_site.label_alt_id")?,
            calculated: beside("_atom_site.calc_flag")?,
            atom: both("_atom_site.auth_atom_id", "_atom_site.label_atom_id")?,
            residue: both("_atom_site.auth_comp_id", "_atom_site.label_comp_id")?,
            number: both("_atom_site.auth_seq_id", "_atom_site.label_seq_id")?,
            chain: both("_atom_site.auth_asym_id", "_atom_site.label_asym_id")?,
            insertion: beside("_atom_site.pdbx_pdb_ins_code")?,
            charge: beside("_atom_site.pdbx_formal_charge")?,
            unoccupied: Cell::new(0),
        };
        if table.symbol.is_none() && table.atom == [None; 2] {
            return Err(Error::input(
                "there is no column _atom_site.type_symbol in it",
            ));
        }
        Ok(table)
    }

    fn has_names(&self) -> bool {
        self.atom != [None; 2] || self.residue != [None; 2]
    }

    /// The first text that a row has in any of the columns; empty where there is none.
    fn text(&self, columns: &[Option<TagColumn>], row: usize) -> &'t str {
        let values = columns.iter().flatten();
        values
            .filter_map(|c| self.block.value(*c, row)?.known())
            .next()
            .unwrap_or("")
    }

    /// Adds the atom of a row to a structure.
    fn read(&self, row: usize, structure: &mut Structure) -> Result<()> {
        let first = self.block.value(self.position[0], row);
        let line = first.map_or(self.position[0].line, |v| v.line);
        let at = at_line(line);
        let name = self.name(row);
        if self
            .text(&[self.calculated], row)
            .eq_ignore_ascii_case("dum")
        {
            return Ok(());
        }
        let label = self.text(&[self.alternate], row);
        if !matches!(label, "" | "A") {
            return Err(at(Error::input(alternate_location(&shown(label)))));
        }
        if let Some(value) = self.occupancy.and_then(|c| self.block.value(c, row)) {
            // As in PDB files, programs that place atoms write zero.
            match number(value.text).is_some_and(|n| n.value == 0.0) {
                true => self.unoccupied.set(self.unoccupied.get() + 1),
                false => check_occupancy(value).map_err(&at)?,
            }
        }
        let (species, mass) = self.element(row, &name).map_err(&at)?;
        let shown_name = shown(match name.atom.is_empty() {
            true => crate::core::elements::symbol(species),
            false => &name.atom,
        });
        let mut position = Vec3::zeros();
        for k in 0..3 {
            position[k] = coordinate(self.block, self.position[k], row, &shown_name)?;
        }
        structure.push((species, mass), position);
        if let Some(names) = &mut structure.names {
            names.push(name);
        }
        Ok(())
    }

    /// Atomic number and mass (u): by the symbol, or else by the atom's name.
    fn element(&self, row: usize, name: &AtomName) -> Result<(u8, f64)> {
        let symbol = self.text(&[self.symbol], row);
        if !symbol.is_empty() {
            return element_of_type(symbol).ok_or_else(|| {
                Error::input(format!("{} is not an element's symbol", shown(symbol)))
            });
        }
        element_of_name(&name.atom, &name.residue).map_err(|why| {
            Error::input(format!(
                "there is no symbol of its element, which cannot be told from its name {} in residue {}: \
                 {why}; complete _atom_site.type_symbol",
                shown(&name.atom),
                shown(&name.residue)
            ))
        })
    }

    fn name(&self, row: usize) -> AtomName {
        let number = self.number.iter().map(|c| self.text(&[*c], row).parse());
        AtomName {
            atom: self.text(&self.atom, row).to_owned(),
            residue: self.text(&self.residue, row).to_owned(),
            number: number.flatten().next().unwrap_or(0),
            insertion: self.text(&[self.insertion], row).to_owned(),
            chain: self.text(&self.chain, row).to_owned(),
        }
    }
}
