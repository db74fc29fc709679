//! CIF and mmCIF files, read back.

mod crystals;
mod mmcif;
mod spacegroups;
mod syntax;

use std::fs;

use mdrun::core::Vec3;
use mdrun::formats::{self, Structure};

use crate::support::root;

/// Reads frame `frame` of `text` as a file of this name.
fn frame(name: &str, text: &str, frame: i64) -> Result<Structure, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    formats::read_frame(&path, frame).map_err(|e| e.to_string())
}

/// Reads `text` as `a.cif`.
#[track_caller]
fn read(text: &str) -> Structure {
    frame("a.cif", text, 0).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Fails unless `text` is refused with a message of one line that has all parts.
#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let error = match frame("a.cif", text, 0) {
        Ok(read) => panic!("accepted, {} atoms: {text}", read.species.len()),
        Err(error) => error,
    };
    assert!(!error.contains('\n'), "{error}");
    for part in parts {
        assert!(error.contains(part), "no {part:?} in: {error}");
    }
}

/// A file of `tests/all/cif/files`.
fn file(name: &str) -> String {
    let path = root().join("tests/all/cif/files").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The cell of a CIF file: edges and angles.
fn cell(six: [f64; 6]) -> String {
    let [a, b, c, alpha, beta, gamma] = six;
    format!(
        "data_test\n_cell_length_a {a}\n_cell_length_b {b}\n_cell_length_c {c}\n\
         _cell_angle_alpha {alpha}\n_cell_angle_beta {beta}\n_cell_angle_gamma {gamma}\n"
    )
}

/// The loop of atoms of a CIF file, with rows of label, x, y and z.
fn atoms(rows: &str) -> String {
    format!(
        "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n{rows}\n"
    )
}

/// The symmetry operations of a CIF file.
fn operations(list: &[&str]) -> String {
    let rows: String = list.iter().map(|o| format!("'{o}'\n")).collect();
    format!("loop_\n_space_group_symop_operation_xyz\n{rows}")
}

/// Whether two positions (angstrom) are the same but for whole cells, to `tolerance`.
fn same_place(structure: &Structure, a: &Vec3, b: &Vec3, tolerance: f64) -> bool {
    let cell = structure.cell().unwrap();
    let apart = cell.fractional(&(a - b));
    cell.cartesian(&apart.map(|x| x - x.round())).norm() < tolerance
}

/// Fails unless the structure has exactly these atoms: atomic number and fractional coordinates, in any
/// cell and order.
#[track_caller]
fn has_atoms(structure: &Structure, expected: &[(u8, [f64; 3])]) {
    const ROUNDING: f64 = 1e-9;
    assert_eq!(structure.species.len(), expected.len(), "{structure:?}");
    let cell = structure.cell().unwrap();
    for (z, place) in expected {
        let place = cell.cartesian(&Vec3::from(*place));
        let found = structure.species.iter().zip(&structure.positions);
        let count = found
            .filter(|(s, r)| *s == z && same_place(structure, r, &place, ROUNDING))
            .count();
        assert_eq!(count, 1, "{z} at {place:?} in {structure:?}");
    }
}
