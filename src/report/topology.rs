//! The topology beside a trajectory: a PDB file with names, elements, molecules and bonds, so that
//! `vmd topology.pdb traj.dcd` just opens.
//!
//! Molecules are found from distances (see [`super::bonds`]) and made whole; cell and atoms are in the
//! standard orientation that DCD and XTC use. Serial numbers above 99,999 are hybrid-36 (what
//! MDAnalysis, mdtraj, PyMOL and cctbx read); residue numbers start again at 0 after 9,999. Columns
//! too narrow for a coordinate lose decimals, not digits. Bonds are `CONECT` records, but for those
//! that cross the cell's boundary; above 99,999 atoms viewers find bonds by themselves.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use super::bonds::{self, Molecules};
use super::file;
use super::orient::{Standard, lengths_and_angles};
use crate::Result;
use crate::core::{Cell, System, Vec3, elements};

/// Largest serial number that readers of CONECT records agree on.
const MOST_CONNECTED: usize = 99_999;
/// Bonds in one CONECT record.
const BONDS_PER_RECORD: usize = 4;

/// Writes the topology of a system at `path`.
///
/// # Errors
/// The file cannot be written.
pub fn save(path: &Path, system: &System, cell: &Cell, positions: &[Vec3]) -> Result<()> {
    file::replace(path, pdb(system, cell, positions)?.as_bytes())
}

/// The topology of a system as the text of a PDB file.
///
/// # Errors
/// None for a cell that could be made.
pub fn pdb(system: &System, cell: &Cell, positions: &[Vec3]) -> Result<String> {
    let standard = Standard::new(cell)?;
    let placed: Vec<Vec3> = (positions.iter())
        .map(|r| standard.place(r, false))
        .collect();
    let cell = standard.cell();
    let bonds = bonds::find(system, cell, &placed);
    let molecules = Molecules::new(system.len(), &bonds);
    let mut text = String::with_capacity(82 * (system.len() + 4));
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(
        text,
        "{:<80}",
        format!("REMARK   1 CREATED BY MDRUN {version}")
    );
    if cell.is_periodic() {
        write_cell(&mut text, cell);
    }
    let labels = labels(system, &molecules);
    for (i, label) in labels.iter().enumerate() {
        let position = placed[i] + cell.shift(molecules.images[i]);
        write_atom(&mut text, i, label, system.species[i], &position);
    }
    if system.len() <= MOST_CONNECTED {
        write_bonds(&mut text, &bonds, &molecules);
    }
    text.push_str("END\n");
    Ok(text)
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

/// What an atom is called.
struct Label {
    name: String,
    residue: String,
    number: usize,
}

/// Names atoms within their molecules (C1, C2, O, ...) and the molecules: HOH is water, a single atom
/// its element, all else MOL.
fn labels(system: &System, molecules: &Molecules) -> Vec<Label> {
    let mut labels: Vec<Option<Label>> = (0..system.len()).map(|_| None).collect();
    for (number, atoms) in molecules.atoms.iter().enumerate() {
        let species: Vec<u8> = atoms.iter().map(|&i| system.species[i]).collect();
        let residue = residue(&species);
        let mut total: HashMap<u8, usize> = HashMap::new();
        for &z in &species {
            *total.entry(z).or_default() += 1;
        }
        let mut counts: HashMap<u8, usize> = HashMap::new();
        for (&i, z) in atoms.iter().zip(species) {
            let count = counts.entry(z).or_default();
            *count += 1;
            let symbol = elements::symbol(z).to_uppercase();
            let name = match total[&z] {
                1 => symbol,
                // Four columns: counts start again where they do not fit.
                _ if symbol.len() == 1 => format!("{symbol}{}", *count % 1000),
                _ => format!("{symbol}{}", *count % 100),
            };
            labels[i] = Some(Label {
                name,
                residue: residue.clone(),
                number: number + 1,
            });
        }
    }
    labels.into_iter().flatten().collect()
}

fn residue(species: &[u8]) -> String {
    match elements::formula(species).as_str() {
        "H2O" => "HOH".to_owned(),
        _ if species.len() == 1 => elements::symbol(species[0]).to_uppercase(),
        _ => "MOL".to_owned(),
    }
}

fn write_atom(text: &mut String, index: usize, label: &Label, species: u8, position: &Vec3) {
    let symbol = elements::symbol(species).to_uppercase();
    // An element of one letter starts in the second column of the name, unless the name needs all four.
    let name = match symbol.len() == 1 && label.name.len() < 4 {
        true => format!(" {:<3}", label.name),
        false => format!("{:<4}", label.name),
    };
    let _ = writeln!(
        text,
        "HETATM{:>5} {name} {:>3} A{:>4}    {}{}{}  1.00  0.00          {symbol:>2}  ",
        serial(index + 1),
        label.residue,
        label.number % 10_000,
        fit(position.x, 8, 3),
        fit(position.y, 8, 3),
        fit(position.z, 8, 3),
    );
}

/// Bonds between atoms as they are placed, both ways, at most four a record.
fn write_bonds(text: &mut String, bonds: &[bonds::Bond], molecules: &Molecules) {
    let mut bonded = vec![Vec::new(); molecules.of_atom.len()];
    for bond in bonds {
        let placed = |k: usize| {
            molecules.images[bond.first][k] + bond.image[k] == molecules.images[bond.second][k]
        };
        if (0..3).all(placed) {
            bonded[bond.first].push(bond.second);
            bonded[bond.second].push(bond.first);
        }
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
