//! Core CIF: the asymmetric unit of a crystal, and the atoms that its symmetry makes of it.
//!
//! The file's own operations decide. Only where it has none, the space group's name, Hall symbol or number
//! does; a file without either is taken as it is, in P 1, with a remark.

use std::collections::HashMap;

use super::cif_tags::{at_line, cell, check_axes, check_occupancy, coordinate};
use super::labels::{element_of_name, element_of_type};
use super::lattice::real_cell;
use super::spacegroups::{self, Named};
use super::star::{DataBlock, TagColumn, number, shown};
use super::structure::Structure;
use super::symmetry::{Group, Operation, parse_operation};
use crate::core::{Mat3, Vec3};
use crate::{Error, Result};

/// More atoms than this in a cell are not made from fewer.
const MOST_MADE: usize = 1_000_000;

/// No structure is refined to fewer decimals: where all coordinates have fewer, they are exact.
const FEWEST_DECIMALS: i32 = 2;

const FRACTIONAL: [[&str; 2]; 3] = [
    ["_atom_site_fract_x", "_atom_site.fract_x"],
    ["_atom_site_fract_y", "_atom_site.fract_y"],
    ["_atom_site_fract_z", "_atom_site.fract_z"],
];
const CARTESIAN: [[&str; 1]; 3] = [
    ["_atom_site_cartn_x"],
    ["_atom_site_cartn_y"],
    ["_atom_site_cartn_z"],
];
const OPERATIONS: [[&str; 2]; 3] = [
    [
        "_space_group_symop_operation_xyz",
        "_space_group_symop.operation_xyz",
    ],
    ["_symmetry_equiv_pos_as_xyz", "_symmetry_equiv.pos_as_xyz"],
    [
        "_space_group_symop_magn_operation.xyz",
        "_space_group_symop.magn_operation_xyz",
    ],
];
/// Centrings of magnetic structures stand apart from the other operations.
const CENTRINGS: [&str; 2] = [
    "_space_group_symop_magn_centering.xyz",
    "_space_group_symop.magn_centering_xyz",
];
const HALL: [&str; 4] = [
    "_space_group_name_hall",
    "_space_group.name_hall",
    "_symmetry_space_group_name_hall",
    "_symmetry.space_group_name_hall",
];
const NAME: [&str; 6] = [
    "_space_group_name_h-m_alt",
    "_space_group.name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_symmetry.space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_space_group.name_h-m_full",
];
const NUMBER: [&str; 4] = [
    "_space_group_it_number",
    "_space_group.it_number",
    "_symmetry_int_tables_number",
    "_symmetry.int_tables_number",
];
const CODE: [&str; 2] = [
    "_space_group_it_coordinate_system_code",
    "_space_group.it_coordinate_system_code",
];

/// Whether a block has coordinates as core CIF writes them.
///
/// # Errors
/// The tag stands twice.
pub(super) fn has_atoms(block: &DataBlock) -> Result<bool> {
    let columns = [block.column(&FRACTIONAL[0])?, block.column(&CARTESIAN[0])?];
    let mut there = columns.into_iter().flatten();
    Ok(there.any(|c| block.known(c).next().is_some()))
}

/// Reads the structure of a block.
///
/// # Errors
/// Symmetry or cell are not understood or do not fit each other; an atom without element or place, there
/// only in part, or with several places.
pub(super) fn read(block: &DataBlock) -> Result<Structure> {
    let mut notes = Vec::new();
    if let Some(value) =
        block.single(&["_cell_modulation_dimension", "_cell.modulation_dimension"])?
        && number(value.text).is_none_or(|n| n.value != 0.0)
    {
        return Err(Error::input(format!(
            "line {}: a modulated structure, whose atoms repeat in no cell; choose a supercell that \
             approximates it",
            value.line
        )));
    }
    let given = cell(block, &mut notes)?;
    let vectors = given.and_then(real_cell);
    let sites = Sites::read(block, given.as_ref(), &mut notes)?;
    let group = symmetry(block, vectors.as_ref(), &mut notes)?;
    let mut structure = Structure::default();
    structure.set_cell(vectors);
    match vectors {
        Some(vectors) => expand(&sites, &group, &vectors, &mut structure)?,
        // A molecule: an edge of 1 A, or no cell, has fractional coordinates that are angstrom.
        None => (sites.list.iter()).for_each(|s| structure.push(s.element, s.place)),
    }
    structure.notes = notes;
    Ok(structure)
}

/// One atom of the asymmetric unit.
struct Site<'t> {
    line: u32,
    label: &'t str,
    /// Atomic number and mass (u).
    element: (u8, f64),
    /// Fractional coordinates; angstrom where there is no cell.
    place: Vec3,
}

/// Puts every image of every atom into a structure: all images of the first atom, then of the second.
///
/// Each operation moves the asymmetric unit as a whole, to the place nearest to where it was: molecules
/// that are whole in the file stay so.
fn expand(sites: &Sites, group: &Group, vectors: &Mat3, structure: &mut Structure) -> Result<()> {
    let operations = group.operations();
    let made = sites.list.len().saturating_mul(operations.len());
    if operations.len() > 1 && made > MOST_MADE {
        return Err(Error::input(format!(
            "{} atoms and {} symmetry operations make up to {made} atoms, more than {MOST_MADE}; write the \
             structure with all atoms of the cell and x,y,z alone",
            sites.list.len(),
            operations.len()
        )));
    }
    let sum: Vec3 = sites.list.iter().map(|s| s.place).sum();
    let middle = sum / sites.list.len().max(1) as f64;
    let shifts: Vec<Vec3> = (operations.iter())
        .map(|operation| {
            // Halves that differ by rounding alone go the same way.
            const ROUNDING: f64 = 1e-9;
            -(operation.apply(&middle) - middle).map(|x| (x - ROUNDING).round())
        })
        .collect();
    for site in &sites.list {
        let at = |e: Error| e.within(format!("line {}: atom {}", site.line, shown(site.label)));
        for k in group
            .images(&site.place, vectors, sites.error)
            .map_err(at)?
        {
            let image = operations[k].apply(&site.place) + shifts[k];
            structure.push(site.element, vectors.tr_mul(&image));
        }
    }
    Ok(())
}

/// The symmetry of a block: its operations, or else those of the space group that it names.
fn symmetry(block: &DataBlock, vectors: Option<&Mat3>, notes: &mut Vec<String>) -> Result<Group> {
    let own = operations(block)?;
    let named = Named {
        hall: block.single(&HALL)?.and_then(|v| v.known()),
        name: block.single(&NAME)?.and_then(|v| v.known()),
        number: group_number(block)?,
        code: block.single(&CODE)?.and_then(|v| v.known()),
    };
    let Some(vectors) = vectors else {
        let alone = own.iter().flatten().all(|o| *o == Operation::identity());
        let first = named.name.or(named.hall).unwrap_or("P 1");
        let none = own.is_some() || matches!(first.replace(' ', "").as_str(), "P1" | "p1");
        return match alone && none && named.number.is_none_or(|n| n == 1) {
            true => Group::new(&[]),
            false => Err(Error::input(
                "there is symmetry in it but no cell (_cell_length_a, ...): give the cell, or all atoms \
                 without symmetry",
            )),
        };
    };
    if let Some(own) = own {
        let group = Group::new(&own)?;
        group.check_cell(vectors)?;
        let count = group.operations().len();
        if spacegroups::order(&named).is_some_and(|order| order != count) {
            notes.push(format!(
                "the {count} symmetry operations of the file are applied; they are not those of the space \
                 group that it names ({})",
                named.name.or(named.hall).map_or_else(String::new, shown)
            ));
        }
        return Ok(group);
    }
    let Some(found) = spacegroups::find(&named, vectors)? else {
        notes.push(
            "neither symmetry operations nor a space group are given: all atoms of the cell are taken to \
             be listed (P 1)"
                .to_owned(),
        );
        return Group::new(&[]);
    };
    let by_number = named.name.or(named.hall).is_none() && found.operations.len() > 1;
    if by_number {
        notes.push(format!(
            "the space group is given by its number alone: taken in the standard setting, {}",
            found.name
        ));
    }
    Group::new(&found.operations)
}

/// The number of the space group.
fn group_number(block: &DataBlock) -> Result<Option<i32>> {
    let Some(value) = block.single(&NUMBER)? else {
        return Ok(None);
    };
    let found = value.known().and_then(|text| text.parse().ok());
    match found.filter(|n| (1..=230).contains(n)) {
        Some(number) => Ok(Some(number)),
        None => Err(Error::input(format!(
            "line {}: {} is not the number of a space group, 1 to 230",
            value.line,
            shown(value.text)
        ))),
    }
}

/// The symmetry operations that a block lists, if any.
fn operations(block: &DataBlock) -> Result<Option<Vec<Operation>>> {
    for tags in &OPERATIONS {
        let list = list_operations(block, tags)?;
        if !list.is_empty() {
            let centrings = match tags[0].contains("magn") {
                true => list_operations(block, &CENTRINGS)?,
                false => Vec::new(),
            };
            let centred = centrings
                .iter()
                .take(super::symmetry::MOST_OPERATIONS)
                .flat_map(|c| list.iter().map(|o| c.after(o)));
            let all: Vec<Operation> = centred.collect();
            return Ok(Some(if all.is_empty() { list } else { all }));
        }
    }
    Ok(None)
}

fn list_operations(block: &DataBlock, tags: &[&str]) -> Result<Vec<Operation>> {
    let Some(column) = block.column(tags)? else {
        return Ok(Vec::new());
    };
    let magnetic = tags[0].contains("magn");
    let read = |value: super::star::StarValue| {
        let text = value.known().unwrap_or("");
        let text = match text.rsplit_once(',') {
            // Time reversal, which moves no atom.
            Some((space, time)) if magnetic && matches!(time.trim(), "1" | "+1" | "-1") => space,
            _ => text,
        };
        parse_operation(text).ok_or_else(|| {
            Error::input(format!(
                "line {}: {} is no symmetry operation, such as '-x,y+1/2,-z'",
                value.line,
                shown(value.text)
            ))
        })
    };
    block.known(column).map(read).collect()
}

/// The asymmetric unit.
struct Sites<'t> {
    list: Vec<Site<'t>>,
    /// How far off a printed coordinate may be (fractional).
    error: f64,
}

/// The columns of `_atom_site` that are of use.
struct SiteColumns<'b, 't> {
    block: &'b DataBlock<'t>,
    label: Option<TagColumn>,
    symbol: Option<TagColumn>,
    occupancy: Option<TagColumn>,
    calculated: Option<TagColumn>,
    hydrogens: Option<TagColumn>,
    assembly: Option<TagColumn>,
    group: Option<TagColumn>,
}

impl<'b, 't> SiteColumns<'b, 't> {
    /// The columns that stand beside that of a coordinate.
    fn new(block: &'b DataBlock<'t>, x: TagColumn) -> Result<Self> {
        let beside = |tags: [&str; 2]| block.beside(x, &tags);
        let table = Self {
            block,
            label: beside(["_atom_site_label", "_atom_site.label"])?,
            symbol: beside(["_atom_site_type_symbol", "_atom_site.type_symbol"])?,
            occupancy: beside(["_atom_site_occupancy", "_atom_site.occupancy"])?,
            calculated: beside(["_atom_site_calc_flag", "_atom_site.calc_flag"])?,
            hydrogens: beside([
                "_atom_site_attached_hydrogens",
                "_atom_site.attached_hydrogens",
            ])?,
            assembly: beside([
                "_atom_site_disorder_assembly",
                "_atom_site.disorder_assembly",
            ])?,
            group: beside(["_atom_site_disorder_group", "_atom_site.disorder_group"])?,
        };
        if table.label.is_none() && table.symbol.is_none() {
            return Err(Error::input(
                "neither a column _atom_site_type_symbol nor _atom_site_label tells the elements",
            ));
        }
        Ok(table)
    }

    fn text(&self, column: Option<TagColumn>, row: usize) -> Option<&'t str> {
        self.block.value(column?, row)?.known()
    }

    /// Atomic number and mass (u): by the symbol, or else by the label.
    fn element(&self, row: usize) -> Result<(u8, f64)> {
        if let Some(symbol) = self.text(self.symbol, row) {
            return element_of_type(symbol).ok_or_else(|| {
                Error::input(format!("{} is not an element's symbol", shown(symbol)))
            });
        }
        let label = self.text(self.label, row).unwrap_or("");
        element_of_name(label, "").map_err(|why| {
            Error::input(format!(
                "its element cannot be told from its label {}: {why}; give _atom_site_type_symbol",
                shown(label)
            ))
        })
    }

    /// Refuses an atom that is there only in part, or stands for others that have no place.
    fn check(&self, row: usize) -> Result<()> {
        if let Some(value) = self.occupancy.and_then(|c| self.block.value(c, row)) {
            check_occupancy(value)?;
        }
        match self.text(self.hydrogens, row).and_then(number) {
            Some(count) if count.value > 0.0 => Err(Error::input(format!(
                "{} hydrogen atoms are attached to it that have no place in the file \
                 (_atom_site_attached_hydrogens); add them",
                count.value
            ))),
            _ => Ok(()),
        }
    }
}

/// Arrangements of a disordered structure met so far: the group of each assembly.
#[derive(Default)]
struct Arrangements<'t> {
    chosen: HashMap<&'t str, &'t str>,
}

impl<'t> Arrangements<'t> {
    /// Refuses the second group of an assembly, and groups about a special position (negative), which
    /// symmetry would make all of.
    fn check(&mut self, assembly: &'t str, group: &'t str) -> Result<()> {
        let first = *self.chosen.entry(assembly).or_insert(group);
        if first == group && !group.starts_with('-') {
            return Ok(());
        }
        let other = match first == group {
            true => String::new(),
            false => format!(", besides group {}", shown(first)),
        };
        Err(Error::input(format!(
            "it is of disorder group {}{other}: a disordered structure; choose one arrangement of it",
            shown(group)
        )))
    }
}

impl<'t> Sites<'t> {
    fn read(
        block: &DataBlock<'t>,
        vectors: Option<&Mat3>,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let fractional = columns(block, &FRACTIONAL)?;
        let (position, to_fractional) = match (fractional, columns(block, &CARTESIAN)?) {
            (Some(position), _) if vectors.is_some() => (position, None),
            (Some(_), None) => {
                return Err(Error::input(
                    "the coordinates are fractional, but there is no cell (_cell_length_a, ...)",
                ));
            }
            (_, Some(position)) => (position, Some(axes(block, vectors)?)),
            (None, None) => {
                return Err(Error::input(
                    "there are atoms without coordinates in it: x, y and z are wanted",
                ));
            }
        };
        let table = SiteColumns::new(block, position[0])?;
        let mut arrangements = Arrangements::default();
        let (mut list, mut dummies, mut decimals) = (Vec::new(), 0_usize, FEWEST_DECIMALS);
        for row in 0..position[0].rows {
            if (table.text(table.calculated, row)).is_some_and(|f| f.eq_ignore_ascii_case("dum")) {
                dummies += 1;
                continue;
            }
            let line = block.value(position[0], row).map_or(0, |v| v.line);
            let label = table.text(table.label, row);
            let label = label.or(table.text(table.symbol, row)).unwrap_or("");
            let within = |e: Error| at_line(line)(e.within(format!("atom {}", shown(label))));
            table.check(row).map_err(within)?;
            let group = table.text(table.group, row).filter(|g| *g != "0");
            if let Some(group) = group {
                let assembly = table.text(table.assembly, row).unwrap_or("");
                arrangements.check(assembly, group).map_err(within)?;
            }
            let mut place = Vec3::zeros();
            for k in 0..3 {
                place[k] = coordinate(block, position[k], row, &shown(label))?;
                let printed = table.text(Some(position[k]), row).and_then(number);
                decimals = printed.map_or(decimals, |n| decimals.max(n.decimals));
            }
            list.push(Site {
                line,
                label,
                element: table.element(row).map_err(within)?,
                place: to_fractional.map_or(place, |m: Mat3| m.tr_mul(&place)),
            });
        }
        if dummies > 0 {
            notes.push(format!(
                "{dummies} dummy atoms (_atom_site_calc_flag dum) are left out"
            ));
        }
        let printed = 0.5 * 10_f64.powi(-decimals);
        Ok(Self {
            list,
            error: to_fractional.map_or(printed, |m| printed * m.norm()),
        })
    }
}

/// Columns of x, y and z.
fn columns<const N: usize>(
    block: &DataBlock,
    tags: &[[&str; N]; 3],
) -> Result<Option<[TagColumn; 3]>> {
    let Some(x) = block.column(&tags[0])? else {
        return Ok(None);
    };
    if block.known(x).next().is_none() {
        return Ok(None);
    }
    let (y, z) = (block.beside(x, &tags[1])?, block.beside(x, &tags[2])?);
    Ok(y.zip(z).map(|(y, z)| [x, y, z]))
}

/// The matrix from Cartesian coordinates (angstrom) to fractional ones, as rows for each of the former;
/// the identity where there is no cell.
fn axes(block: &DataBlock, vectors: Option<&Mat3>) -> Result<Mat3> {
    let Some(vectors) = vectors.copied().and_then(real_cell) else {
        return Ok(Mat3::identity());
    };
    let matrix = |k, l| format!("_atom_sites_cartn_tran_matrix_{k}{l}");
    let inverse = |k, l| format!("_atom_sites_fract_tran_matrix_{k}{l}");
    check_axes(block, &vectors, [&matrix, &inverse])?;
    for k in 1..=3 {
        let moved = ["cartn", "fract"].map(|kind| format!("_atom_sites_{kind}_tran_vector_{k}"));
        for tag in &moved {
            if let Some(value) = block.single(&[tag])?
                && number(value.text).is_none_or(|n| n.value != 0.0)
            {
                return Err(Error::input(format!(
                    "line {}: the origin of the Cartesian coordinates is not the cell's; write the \
                     structure with fractional coordinates",
                    value.line
                )));
            }
        }
    }
    vectors
        .try_inverse()
        .ok_or_else(|| Error::input("the cell is singular: it has no inverse"))
}
