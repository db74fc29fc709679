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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounding of a few products of numbers around 10.
    const ROUNDING: f64 = 1e-13;

    fn skewed() -> Mat3 {
        Mat3::new(9.0, 0.0, 0.0, 3.0, 8.0, 0.0, -2.0, 1.0, 7.0)
    }

    #[test]
    fn fractional_and_cartesian_undo_each_other() {
        let cell = Cell::new(skewed(), [true; 3]).unwrap();
        let r = Vec3::new(-31.0, 4.5, 17.0);
        assert!((cell.cartesian(&cell.fractional(&r)) - r).norm() < ROUNDING);
        // Lattice vectors are rows: b is (3, 8, 0).
        assert_eq!(cell.cartesian(&Vec3::y()), Vec3::new(3.0, 8.0, 0.0));
        assert_eq!(cell.vector(1), Vec3::new(3.0, 8.0, 0.0));
        assert_eq!(
            cell.shift([-1, 0, 2]),
            2.0 * cell.vector(2) - cell.vector(0)
        );
    }

    #[test]
    fn heights_are_distances_between_faces() {
        let cell = Cell::new(skewed(), [true; 3]).unwrap();
        let volume = cell.volume().unwrap();
        assert!((volume - 9.0 * 8.0 * 7.0).abs() < 1e3 * ROUNDING);
        for k in 0..3 {
            let face = cell
                .vector((k + 1) % 3)
                .cross(&cell.vector((k + 2) % 3))
                .norm();
            assert!((cell.height(k) - volume / face).abs() < ROUNDING);
        }
    }

    #[test]
    fn wrapping_moves_along_periodic_directions_only() {
        let cell = Cell::new(skewed(), [true, false, true]).unwrap();
        for r in [Vec3::new(100.0, -55.0, 3.0), Vec3::new(-1e6, 2e6, 3e6)] {
            let (before, after) = (cell.fractional(&r), cell.fractional(&cell.wrap(&r)));
            let tolerance = ROUNDING * r.norm();
            for k in [0, 2] {
                assert!(after[k] > -tolerance && after[k] < 1.0 + tolerance);
                let cells = before[k] - after[k];
                assert!((cells - cells.round()).abs() < tolerance);
            }
            assert!((before[1] - after[1]).abs() < tolerance);
        }
        let inside = cell.cartesian(&Vec3::new(0.1, -7.3, 0.9));
        assert_eq!(cell.wrap(&inside), inside);
    }

    #[test]
    fn missing_vectors_are_filled_in_at_right_angles() {
        let mut vectors = skewed();
        vectors.set_row(1, &Vec3::zeros().transpose());
        let one = Cell::new(vectors, [true, false, true]).unwrap();
        assert!(one.vector(1).dot(&one.vector(0)).abs() < ROUNDING);
        assert!(one.vector(1).dot(&one.vector(2)).abs() < ROUNDING);
        assert!((one.vector(1).norm() - 1.0).abs() < ROUNDING);
        vectors.set_row(0, &Vec3::zeros().transpose());
        let two = Cell::new(vectors, [false, false, true]).unwrap();
        assert!(two.vector(0).dot(&two.vector(2)).abs() < ROUNDING);
        assert!(two.vector(1).dot(&two.vector(2)).abs() < ROUNDING);
        for cell in [one, two] {
            assert!(cell.vectors().determinant() > 0.0, "right-handed");
            assert_eq!(cell.volume(), None);
            assert!(cell.is_given() && cell.is_periodic());
        }
        let none = Cell::new(Mat3::zeros(), [false; 3]).unwrap();
        assert_eq!(none, Cell::open());
        assert!(!none.is_given() && !none.is_periodic());
    }

    #[test]
    fn cells_of_no_use_are_refused() {
        let refused = |vectors: Mat3| Cell::new(vectors, [true; 3]).unwrap_err().to_string();
        let mut flat = skewed();
        flat.set_row(2, &(skewed().row(0) + skewed().row(1)));
        assert!(refused(flat).contains("the cell is singular"));
        assert!(refused(Mat3::identity() * f64::NAN).contains("not a finite number"));
        assert!(refused(Mat3::from_diagonal(&Vec3::new(1.0, 1.0, 0.0))).contains("direction c"));
        // Products of edges that leave the range of f64.
        assert!(refused(Mat3::identity() * 1e200).contains("singular"));
        assert!(refused(Mat3::identity() * 1e-200).contains("no lattice vector"));
        let parallel = Mat3::new(1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        let error = Cell::new(parallel, [true, true, false]).unwrap_err();
        assert!(error.to_string().contains("parallel"));
    }
}
