//! Atoms as Python hands them over: the bytes of their arrays.

use mdrun::core::{Cell, Mat3, Vec3, elements};
use mdrun::formats::check_positions;
use mdrun::{Error, Result};
use pyo3::FromPyObject;
use pyo3::pybacked::PyBackedBytes;

/// Atomic numbers (i64), positions (f64, three for each atom, angstrom), lattice vectors (f64, row by row, angstrom) and
/// periodic directions (a byte each).
#[derive(FromPyObject)]
pub struct GivenBytes(PyBackedBytes, PyBackedBytes, PyBackedBytes, PyBackedBytes);

/// An arrangement of atoms as it was given: atomic numbers, positions (angstrom), and a cell in the making.
pub struct GivenAtoms {
    /// Atomic number of each atom.
    pub species: Vec<u8>,
    /// Position of each atom (angstrom), a finite number and not too far away.
    pub positions: Vec<Vec3>,
    /// Lattice vectors (rows, angstrom), which are zero where nothing is periodic, and periodic directions.
    pub lattice: (Mat3, [bool; 3]),
}

impl GivenAtoms {
    /// Reads the arrays.
    ///
    /// # Errors
    /// A length fits no such array, there are no atoms, a number is no element's, or a position is none.
    pub fn read(GivenBytes(numbers, positions, vectors, periodic): &GivenBytes) -> Result<Self> {
        let species = species(numbers)?;
        let positions: Vec<Vec3> = triples(positions).collect();
        if positions.len() != species.len() {
            return Err(Error::input(format!(
                "there are {} atomic numbers and {} positions",
                species.len(),
                positions.len()
            )));
        }
        check_positions(&species, &positions)?;
        let rows: Vec<Vec3> = triples(vectors).collect();
        let (&[a, b, c], &[along_a, along_b, along_c]) = (&rows[..], &periodic[..]) else {
            return Err(Error::input(
                "a cell has three lattice vectors, each periodic or not",
            ));
        };
        let periodic = [along_a, along_b, along_c].map(|flag| flag != 0);
        let vectors = match periodic.contains(&true) {
            true => Mat3::from_columns(&[a, b, c]).transpose(),
            // What is drawn around atoms in the open is nothing to them.
            false => Mat3::zeros(),
        };
        Ok(Self {
            species,
            positions,
            lattice: (vectors, periodic),
        })
    }

    /// The cell, reduced where it is very skewed.
    ///
    /// # Errors
    /// A periodic direction without a vector, or a singular cell.
    pub fn cell(&self) -> Result<Cell> {
        let (vectors, periodic) = self.lattice;
        Ok(Cell::fitting(vectors, periodic, &self.positions)?.cell)
    }
}

fn species(numbers: &[u8]) -> Result<Vec<u8>> {
    let numbers = words(numbers).map(i64::from_ne_bytes);
    let element = |(k, number): (usize, i64)| {
        let known = u8::try_from(number).ok();
        let known = known.filter(|&z| elements::mass(z).is_some());
        known.ok_or_else(|| {
            Error::input(format!(
                "atom {k} has the atomic number {number}, which is no element's (atoms count from 0)"
            ))
        })
    };
    numbers.enumerate().map(element).collect()
}

/// Whole words of eight bytes.
fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 8]> {
    bytes.as_chunks().0.iter().copied()
}

fn triples(bytes: &[u8]) -> impl Iterator<Item = Vec3> {
    let numbers = bytes.as_chunks::<24>().0.iter();
    numbers.map(|triple| Vec3::from_iterator(words(triple).map(f64::from_ne_bytes)))
}
