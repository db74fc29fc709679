//! The topology beside a trajectory: a PDB file with names, elements, molecules and bonds, so that
//! `vmd topology.pdb traj.dcd` just opens.
//!
//! Names of atoms, residues, numbers and chains are those of the structure file, so that selections work
//! (`name CA and resname ALA`); where it has none they are made up from the molecules. Proteins and nucleic
//! acids have ATOM records and end with TER, all else HETATM. Positions are those of the first frame, cell
//! and atoms in the standard orientation that DCD and XTC use. Serial numbers above 99,999 are hybrid-36
//! (what MDAnalysis, mdtraj, PyMOL and cctbx read); residue numbers start again at 0 after 9,999. Columns
//! too narrow for a coordinate lose decimals, not digits. Bonds are found from distances (see
//! [`crate::neighbors::bonds`]); they are `CONECT` records, but for those that cross the cell's boundary;
//! above 99,999 atoms viewers find bonds by themselves.

use std::fmt::Write as _;

use super::labels::{self, Label};
use super::orient::{Standard, lengths_and_angles};
use crate::Result;
use crate::core::{AtomName, Cell, System, Vec3, elements};
use crate::neighbors::Molecules;
use crate::neighbors::bonds::{self, Bond};

/// Largest serial number that readers of CONECT records agree on.
pub const MOST_CONNECTED: usize = 99_999;
/// Bonds in one CONECT record.
const BONDS_PER_RECORD: usize = 4;

/// What a topology is of.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The atoms.
    pub system: &'a System,
    /// What they are called, if anything.
    pub names: Option<&'a [AtomName]>,
    /// The cell.
    pub cell: &'a Cell,
    /// Positions (angstrom).
    pub positions: &'a [Vec3],
}

/// The topology of a system as the text of a PDB file.
///
/// # Errors
/// None for a cell that could be made.
pub fn pdb(scene: &Scene<'_>) -> Result<String> {
    let Scene { system, cell, .. } = *scene;
    let standard = Standard::new(cell)?;
    let bonds = bonds::find(&system.species, cell, scene.positions);
    let molecules = Molecules::new(system.len(), &bonds);
    let labels = labels::labels(system, scene.names, &molecules);
    let mut text = String::with_capacity(82 * (system.len() + 4));
    let version = env!("CARGO_PKG_VERSION");
    remark(&mut text, &format!("CREATED BY MDRUN {version}"));
    for said in &labels.remarks {
        remark(&mut text, said);
    }
    if cell.is_periodic() {
        write_cell(&mut text, standard.cell());
    }
    for (i, label) in labels.of_atom.iter().enumerate() {
        let position = standard.place(&scene.positions[i]);
        write_atom(&mut text, i, label, system.species[i], &position);
        if label.ends {
            text.push_str("TER\n");
        }
    }
    if system.len() <= MOST_CONNECTED {
        write_bonds(&mut text, system.len(), &bonds);
    }
    text.push_str("END\n");
    Ok(text)
}

fn remark(text: &mut String, said: &str) {
    let _ = writeln!(text, "{:<80}", format!("REMARK   1 {said}"));
}

fn write_cell(text: &mut String, cell: &Cell) {
    let (lengths, angles) = lengths_and_angles(cell);
    let [a, b, c] = lengths.map(|l| fit(l, 9, 3));
    let [alpha, beta, gamma] = angles.map(|l| fit(l, 7, 2));
    let _ = writeln!(
        text,
        "CRYST1{a}{b}{c}{alpha}{beta}{gamma} P 1           1          "
    );
}

fn write_atom(text: &mut String, index: usize, label: &Label, species: u8, position: &Vec3) {
    let symbol = elements::symbol(species).to_uppercase();
    let record = match label.polymer {
        true => "ATOM  ",
        false => "HETATM",
    };
    let _ = writeln!(
        text,
        "{record}{:>5} {} {:<4}{}{:>4}{}   {}{}{}  1.00  0.00      {:<4}{symbol:>2}  ",
        serial(index + 1),
        name_column(&label.name, &symbol),
        format!("{:>3}", label.residue),
        label.chain,
        label.number,
        label.insertion,
        fit(position.x, 8, 3),
        fit(position.y, 8, 3),
        fit(position.z, 8, 3),
        label.segment,
    );
}

/// An atom's name in its four columns. The element's symbol ends in the second one: names of one-letter
/// elements begin there, unless they need all four or begin with a digit before the symbol.
fn name_column(name: &str, symbol: &str) -> String {
    let digit_first = name.starts_with(|c: char| c.is_ascii_digit())
        && (name.get(1..2)).is_some_and(|c| c.eq_ignore_ascii_case(symbol));
    match symbol.len() == 1 && name.len() < 4 && !digit_first {
        true => format!(" {name:<3}"),
        false => format!("{name:<4}"),
    }
}

/// Bonds between atoms as they are placed, both ways, at most four a record.
fn write_bonds(text: &mut String, atoms: usize, bonds: &[Bond]) {
    let mut bonded = vec![Vec::new(); atoms];
    for bond in bonds.iter().filter(|bond| bond.image == [0; 3]) {
        bonded[bond.first].push(bond.second);
        bonded[bond.second].push(bond.first);
    }
    for (i, others) in bonded.iter().enumerate() {
        for some in others.chunks(BONDS_PER_RECORD) {
            let _ = write!(text, "CONECT{:>5}", i + 1);
            for j in some {
                let _ = write!(text, "{:>5}", j + 1);
            }
            text.push('\n');
        }
    }
}

/// A number in a column of `width` characters with at most `decimals`; fewer where they do not fit,
/// and the largest number that does where none fits.
fn fit(value: f64, width: usize, decimals: usize) -> String {
    for decimals in (0..=decimals).rev() {
        let text = format!("{value:>width$.decimals$}");
        if text.len() == width {
            return text;
        }
    }
    match value < 0.0 {
        true => format!("-{}", "9".repeat(width - 1)),
        false => "9".repeat(width),
    }
}

/// A serial number in five columns: decimal to 99,999, then hybrid-36 (Grosse-Kunstleve et al.,
/// Computational Crystallography Newsletter, 2007): A0000 to ZZZZZ, then a0000 to zzzzz.
fn serial(number: usize) -> String {
    const DECIMAL: usize = 100_000;
    const LETTERS: usize = 26 * 36_usize.pow(4);
    if number < DECIMAL {
        return number.to_string();
    }
    let (rest, upper) = match (number - DECIMAL) % (2 * LETTERS) {
        rest if rest < LETTERS => (rest, true),
        rest => (rest - LETTERS, false),
    };
    let mut value = rest + 10 * 36_usize.pow(4);
    let mut digits = [b'0'; 5];
    for digit in digits.iter_mut().rev() {
        let letter = if upper { b'A' } else { b'a' };
        *digit = match (value % 36) as u8 {
            d @ 0..=9 => b'0' + d,
            d => letter + d - 10,
        };
        value /= 36;
    }
    String::from_utf8_lossy(&digits).into_owned()
}
