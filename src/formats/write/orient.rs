//! Cells and positions as binary trajectory formats want them.
//!
//! DCD keeps three lengths and three angles, XTC a lower triangular matrix: both mean a cell whose
//! first vector lies along x and whose second lies in the xy plane. A cell that does not is turned
//! there together with the atoms; distances, angles and handedness of molecules stay what they are.

use crate::Result;
use crate::core::{Cell, Mat3, Vec3};

/// Components below this part of the longest edge count as zero: turning by so little moves an atom
/// 1000 A away by 1e-6 A, less than the formats resolve.
const ALIGNED: f64 = 1e-9;

/// Half, and what GROMACS lets pass for rounding.
const HALF: f64 = 0.5 + 1e-5;

/// The frame of reference of a binary trajectory: the cell in standard orientation and the rotation
/// that leads there.
#[derive(Debug, Clone, PartialEq)]
pub struct Standard {
    cell: Cell,
    rotation: Option<Mat3>,
}

impl Standard {
    /// Finds the standard orientation of a cell: a along +x, b in the xy plane with +y, c with +z.
    ///
    /// The vectors of a left-handed cell cannot be turned there; c is replaced by -c, which spans the
    /// same lattice. No cell leaves everything as it is.
    ///
    /// # Errors
    /// None for a cell that could be made.
    pub fn new(cell: &Cell) -> Result<Self> {
        if !cell.is_periodic() {
            return Ok(Self {
                cell: cell.clone(),
                rotation: None,
            });
        }
        let mut vectors = *cell.vectors();
        if vectors.determinant() < 0.0 {
            vectors.row_mut(2).neg_mut();
        }
        let rotation = (!is_standard(&vectors)).then(|| axes(&vectors));
        if let Some(rotation) = &rotation {
            vectors *= rotation.transpose();
        }
        // What is left above the diagonal is rounding.
        for (row, column) in [(0, 1), (0, 2), (1, 2)] {
            vectors[(row, column)] = 0.0;
        }
        Ok(Self {
            cell: Cell::new(vectors, cell.periodic())?,
            rotation,
        })
    }

    /// The cell in standard orientation; open where there is none.
    pub fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Whether atoms are turned.
    pub fn is_turned(&self) -> bool {
        self.rotation.is_some()
    }

    /// A position (angstrom) in this frame.
    pub fn place(&self, position: &Vec3) -> Vec3 {
        self.rotation.map_or(*position, |r| r * position)
    }

    /// Describes the lattice by the vectors that GROMACS asks for: none reaches farther along an earlier
    /// one than half of its length. GROMACS' tools take no images in other cells.
    ///
    /// # Errors
    /// None for a cell that could be made.
    pub fn for_gromacs(self) -> Result<Self> {
        let mut vectors = *self.cell.vectors();
        let periodic = self.cell.periodic();
        for (k, l) in [(2, 1), (2, 0), (1, 0)] {
            let times = vectors[(k, l)] / vectors[(l, l)];
            // An open direction has no images to choose from.
            if periodic[l] && times.abs() > HALF {
                let row = vectors.row(k) - times.round() * vectors.row(l);
                vectors.set_row(k, &row);
            }
        }
        Ok(Self {
            cell: Cell::new(vectors, periodic)?,
            ..self
        })
    }
}

/// Whether the (right-handed) lattice vectors are in standard orientation.
fn is_standard(vectors: &Mat3) -> bool {
    let small = ALIGNED * vectors.amax();
    let above = [(0, 1), (0, 2), (1, 2)];
    above.iter().all(|&at| vectors[at].abs() <= small)
        && vectors[(0, 0)] > 0.0
        && vectors[(1, 1)] > 0.0
}

/// The rotation into the standard orientation: its rows are the new axes.
fn axes(vectors: &Mat3) -> Mat3 {
    let a: Vec3 = vectors.row(0).transpose();
    let b: Vec3 = vectors.row(1).transpose();
    let x = a.normalize();
    let z = a.cross(&b).normalize();
    Mat3::from_rows(&[x.transpose(), z.cross(&x).transpose(), z.transpose()])
}

/// Edge lengths a, b, c (angstrom) and angles alpha, beta, gamma (degrees) of a cell.
pub fn lengths_and_angles(cell: &Cell) -> ([f64; 3], [f64; 3]) {
    let vectors = [0, 1, 2].map(|k| cell.vector(k));
    let angle = |k: usize, l: usize| {
        let cosine = vectors[k].dot(&vectors[l]) / (vectors[k].norm() * vectors[l].norm());
        // The arcsine of zero is zero: a right angle comes out as exactly 90.
        90.0 - cosine.clamp(-1.0, 1.0).asin().to_degrees()
    };
    (
        vectors.map(|v| v.norm()),
        [angle(1, 2), angle(0, 2), angle(0, 1)],
    )
}
