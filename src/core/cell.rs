//! The simulation cell: three lattice vectors, periodic along any of them.

use super::{Mat3, Vec3};
use crate::{Error, Result};

/// Smallest volume per product of edge lengths of a usable cell: below it two lattice vectors are
/// parallel within 0.06 degrees, or all three lie in one plane.
const SINGULAR: f64 = 1e-3;

/// A triclinic cell. Lattice vectors are rows, in angstrom; a direction that is not periodic has no
/// images and its vector only fixes the frame for fractional coordinates.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    vectors: Mat3,
    inverse: Mat3,
    periodic: [bool; 3],
    given: bool,
}

impl Cell {
    /// No cell: open boundaries everywhere.
    pub fn open() -> Self {
        Self {
            vectors: Mat3::identity(),
            inverse: Mat3::identity(),
            periodic: [false; 3],
            given: false,
        }
    }

    /// A cell of the given lattice vectors (rows, angstrom), periodic along those marked.
    ///
    /// A zero vector stands for "none" in a direction that is not periodic; it is replaced by a unit
    /// vector at right angles to the others.
    ///
    /// # Errors
    /// A component that is not finite, a periodic direction without a vector, or vectors that do not
    /// span space.
    pub fn new(vectors: Mat3, periodic: [bool; 3]) -> Result<Self> {
        if vectors.iter().any(|x| !x.is_finite()) {
            return Err(Error::input(
                "the cell has a component that is not a finite number",
            ));
        }
        let given = vectors != Mat3::zeros();
        if !given && periodic == [false; 3] {
            return Ok(Self::open());
        }
        let vectors = complete(vectors, periodic)?;
        let edges: f64 = (0..3).map(|k| vectors.row(k).norm()).product();
        let determinant = vectors.determinant();
        // Also false for vectors so long or short that the products leave the range of f64.
        let spans =
            determinant != 0.0 && edges.is_finite() && determinant.abs() >= SINGULAR * edges;
        if !spans {
            return Err(Error::input(format!(
                "the cell is singular: its volume is {:.3e} A^3, its edges multiply to {edges:.3e} A^3; \
                 give three lattice vectors that do not lie in one plane",
                determinant.abs()
            )));
        }
        let inverse = vectors
            .try_inverse()
            .ok_or_else(|| Error::input("the cell is singular: it has no inverse"))?;
        Ok(Self {
            vectors,
            inverse,
            periodic,
            given,
        })
    }

    /// Lattice vectors as rows (angstrom).
    pub fn vectors(&self) -> &Mat3 {
        &self.vectors
    }

    /// Lattice vector `k` (angstrom).
    pub fn vector(&self, k: usize) -> Vec3 {
        self.vectors.row(k).transpose()
    }

    /// Which directions are periodic.
    pub fn periodic(&self) -> [bool; 3] {
        self.periodic
    }

    /// Whether any direction is periodic.
    pub fn is_periodic(&self) -> bool {
        self.periodic.contains(&true)
    }

    /// Whether lattice vectors were given, periodic or not (so that writers can write them).
    pub fn is_given(&self) -> bool {
        self.given
    }

    /// Volume (cubic angstrom) of a cell that is periodic in all directions, where stress and
    /// pressure are defined.
    pub fn volume(&self) -> Option<f64> {
        (self.periodic == [true; 3]).then(|| self.vectors.determinant().abs())
    }

    /// Distance (angstrom) between the two faces that lattice vector `k` connects.
    pub fn height(&self, k: usize) -> f64 {
        1.0 / self.inverse.column(k).norm()
    }

    /// Fractional coordinates of a position (angstrom).
    pub fn fractional(&self, position: &Vec3) -> Vec3 {
        self.inverse.tr_mul(position)
    }

    /// Position (angstrom) of fractional coordinates.
    pub fn cartesian(&self, fractional: &Vec3) -> Vec3 {
        self.vectors.tr_mul(fractional)
    }

    /// Translation (angstrom) to the image with the given lattice indices.
    pub fn shift(&self, image: [i32; 3]) -> Vec3 {
        self.cartesian(&Vec3::from(image.map(f64::from)))
    }

    /// The position (angstrom) moved into the cell along its periodic directions.
    pub fn wrap(&self, position: &Vec3) -> Vec3 {
        let fractional = self.fractional(position);
        let mut image = Vec3::zeros();
        for k in 0..3 {
            if self.periodic[k] {
                image[k] = -fractional[k].floor();
            }
        }
        position + self.cartesian(&image)
    }
}

/// Fills in vectors of directions that have none, at right angles to the ones that do.
fn complete(mut vectors: Mat3, periodic: [bool; 3]) -> Result<Mat3> {
    let missing: Vec<usize> = (0..3).filter(|&k| vectors.row(k).norm() == 0.0).collect();
    if let Some(&k) = missing.iter().find(|&&k| periodic[k]) {
        return Err(Error::input(format!(
            "direction {} is periodic but has no lattice vector",
            ["a", "b", "c"][k]
        )));
    }
    match missing[..] {
        [] => {}
        [k] => {
            let other = [(k + 1) % 3, (k + 2) % 3].map(|n| vectors.row(n).transpose());
            let normal = other[0].cross(&other[1]);
            if normal.norm() < SINGULAR * other[0].norm() * other[1].norm() {
                return Err(Error::input(
                    "the cell is singular: two lattice vectors are parallel",
                ));
            }
            vectors.set_row(k, &normal.normalize().transpose());
        }
        [k, l] => {
            let m = 3 - k - l;
            let axis = vectors.row(m).transpose().normalize();
            let first = axis.cross(&Vec3::ith(axis.iamin(), 1.0)).normalize();
            let second = axis.cross(&first);
            // Right-handed in the order (m, m + 1, m + 2).
            vectors.set_row((m + 1) % 3, &first.transpose());
            vectors.set_row((m + 2) % 3, &second.transpose());
        }
        _ => vectors = Mat3::identity(),
    }
    Ok(vectors)
}
