//! The simulation cell: three lattice vectors, periodic along any of them.

use super::{Mat3, Vec3, lattice};
use crate::{Error, Result};

/// Smallest volume per product of edge lengths of a usable cell: below it two lattice vectors are
/// parallel within 0.06 degrees, or all three lie in one plane.
const SINGULAR: f64 = 1e-3;

/// A cell whose nearest faces are closer than this part of those of its lattice's reduced cell is too
/// skewed to work with.
const SKEWED: f64 = 1.0 / 3.0;

/// Shortest vector of a lattice per longest vector given: below it, what is left is rounding.
const LEFT_OVER: f64 = 1e-9;

/// Room (angstrom) beside the atoms along a direction that is not periodic.
const VACUUM: f64 = 20.0;

/// Least room (angstrom) there in an edge that was given: more than any bond, so that programs that
/// take every direction for periodic see no bond from the top atoms to the bottom ones.
const LEAST_VACUUM: f64 = 5.0;

/// Fractional coordinates from here to 1 may be rounding below the upper face: they count as on it.
const UPPER_FACE: f64 = 1.0 - 4.0 * f64::EPSILON;

/// A cell to work with, made from lattice vectors as they were given.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The cell.
    pub cell: Cell,
    /// What is other than given, for the user.
    pub notes: Vec<String>,
}

impl From<Cell> for Fitted {
    /// A cell that is taken as it is.
    fn from(cell: Cell) -> Self {
        Self {
            cell,
            notes: Vec::new(),
        }
    }
}

/// A triclinic cell. Lattice vectors are rows, in angstrom; a direction that is not periodic has no
/// images and its vector only fixes the frame for fractional coordinates.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    vectors: Mat3,
    inverse: Mat3,
    periodic: [bool; 3],
    given: bool,
}

/// A rotation about no special axis by no special angle.
pub fn oblique_rotation() -> Mat3 {
    *nalgebra::Rotation3::from_euler_angles(0.3, -1.1, 2.3).matrix()
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
        check(&vectors, periodic)?;
        let given = vectors != Mat3::zeros();
        if !given {
            return Ok(Self::open());
        }
        let vectors = complete(vectors)?;
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

    /// A cell for atoms at `positions` (angstrom) from lattice vectors (rows, angstrom) as a file or a
    /// user gives them.
    ///
    /// Vectors of a very skewed cell are replaced by the shortest ones of the same lattice. An open
    /// direction without a vector gets an edge at right angles to the others, one with too short a vector
    /// a longer one: twice as long as the atoms are spread, and 20 A. Programs that know no open
    /// directions then see the right distances.
    ///
    /// # Errors
    /// As [`Cell::new`].
    pub fn fitting(vectors: Mat3, periodic: [bool; 3], positions: &[Vec3]) -> Result<Fitted> {
        check(&vectors, periodic)?;
        let reduced = lattice::reduce(&vectors, periodic);
        let longest = (0..3).map(|k| vectors.row(k).norm()).fold(0.0, f64::max);
        let rounding = |k: usize| periodic[k] && reduced.row(k).norm() < LEFT_OVER * longest;
        let compact = match (0..3).any(rounding) {
            true => None,
            false => Self::new(reduced, periodic).ok(),
        };
        let thinnest = |cell: &Self| {
            let periodic = (0..3).filter(|&k| periodic[k]);
            periodic.map(|k| cell.height(k)).fold(f64::MAX, f64::min)
        };
        let mut notes = Vec::new();
        let mut cell = match (Self::new(vectors, periodic), compact) {
            (Ok(cell), Some(compact)) if thinnest(&cell) < SKEWED * thinnest(&compact) => compact,
            (Ok(cell), _) => cell,
            (Err(_), Some(compact)) => compact,
            (Err(error), None) => return Err(error),
        };
        let changed =
            |k: usize| vectors.row(k).norm() > 0.0 && cell.vectors.row(k) != vectors.row(k);
        if (0..3).any(changed) {
            notes.push(format!(
                "the cell is very skewed; the reduced one of the same lattice takes its place: cell = {}",
                cell.as_key()
            ));
        }
        for k in 0..3 {
            if periodic[k] || !cell.given {
                continue;
            }
            let missing = vectors.row(k).norm() == 0.0;
            if cell.make_room(k, missing, positions) && !missing {
                notes.push(format!(
                    "the cell's edge along {}, which is not periodic, does not hold the atoms; it is taken \
                     to be {:.3} A",
                    NAMES[k],
                    cell.vector(k).norm()
                ));
            }
        }
        // With every bit as when it is made of its vectors again.
        if cell.given {
            cell = Self::new(cell.vectors, periodic)?;
        }
        Ok(Fitted { cell, notes })
    }

    /// Makes the edge of an open direction long enough for atoms at `positions` and some vacuum; whether
    /// it had to be changed.
    fn make_room(&mut self, k: usize, missing: bool, positions: &[Vec3]) -> bool {
        let normal = self.inverse.column(k).normalize();
        let along = || positions.iter().map(|r| r.dot(&normal));
        let (low, high) = (
            along().fold(f64::INFINITY, f64::min),
            along().fold(f64::NEG_INFINITY, f64::max),
        );
        let spread = (high - low).max(0.0);
        let height = self.height(k);
        // In a cell that is open everywhere no program takes images.
        let enough = !self.is_periodic() || height >= spread + LEAST_VACUUM;
        if enough && !missing {
            return false;
        }
        let wanted = ((2.0 * spread).max(high) + VACUUM).ceil();
        let factor = wanted / height;
        self.vectors.row_mut(k).scale_mut(factor);
        self.inverse.column_mut(k).unscale_mut(factor);
        true
    }

    /// The vectors as the run file's `cell` has them.
    pub fn as_key(&self) -> String {
        let row = |k: usize| {
            let [x, y, z] = [0, 1, 2].map(|c| self.vectors[(k, c)]);
            format!("[\"{x} A\", \"{y} A\", \"{z} A\"]")
        };
        format!("[{}, {}, {}]", row(0), row(1), row(2))
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

    /// The cell turned by a rotation, as positions r become R r; one without periodic directions as it is.
    ///
    /// # Errors
    /// None, as long as it is a rotation.
    pub fn turned(&self, rotation: &Mat3) -> Result<Self> {
        match self.is_periodic() {
            true => Self::new(self.vectors() * rotation.transpose(), self.periodic()),
            false => Ok(self.clone()),
        }
    }

    /// The cell whose lattice vectors, and all in it, are strained: r becomes `strain` r.
    ///
    /// # Errors
    /// As [`Cell::new`].
    pub fn strained(&self, strain: &Mat3) -> Result<Self> {
        Self::new(self.vectors * strain.transpose(), self.periodic)
    }

    /// The strain that leads from this cell to another one: the matrix S for which each lattice vector there is S times the
    /// one here.
    pub fn strain_to(&self, other: &Self) -> Mat3 {
        (self.inverse * other.vectors).transpose()
    }

    /// The position (angstrom) moved into the cell along its periodic directions.
    pub fn wrap(&self, position: &Vec3) -> Vec3 {
        self.wrap_along(position, self.periodic)
    }

    /// The position (angstrom) moved so that its fractional coordinates along the directions marked,
    /// periodic ones, are at least 0 and less than 1. A position that rounding would put on an upper face
    /// comes to the lower one.
    pub fn wrap_along(&self, position: &Vec3, along: [bool; 3]) -> Vec3 {
        if along == [false; 3] {
            return *position;
        }
        let fractional = self.fractional(position);
        let mut image = Vec3::zeros();
        for k in (0..3).filter(|&k| along[k]) {
            image[k] = -fractional[k].floor();
        }
        let mut moved = position + self.cartesian(&image);
        // In a skewed cell what is taken off along one direction leaves rounding along another: a step up
        // from the lower face, at first as small as can be.
        for step in [2.0, 8.0, 32.0, 128.0, 512.0] {
            let inside = self.fractional(&moved);
            let mut settled = true;
            for k in (0..3).filter(|&k| along[k]) {
                if inside[k] >= UPPER_FACE {
                    moved -= inside[k] * self.vector(k);
                    settled = false;
                } else if inside[k] < 0.0 {
                    moved += step * f64::EPSILON * self.vector(k);
                    settled = false;
                }
            }
            if settled {
                break;
            }
        }
        moved
    }
}

/// What directions are called.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Checks that components are numbers, and that periodic directions have vectors.
fn check(vectors: &Mat3, periodic: [bool; 3]) -> Result<()> {
    if vectors.iter().any(|x| !x.is_finite()) {
        return Err(Error::input(
            "the cell has a component that is not a finite number",
        ));
    }
    let missing = |k: usize| vectors.row(k).norm() == 0.0;
    let Some(k) = (0..3).find(|&k| periodic[k] && missing(k)) else {
        return Ok(());
    };
    let open = [0, 1, 2].map(|k| periodic[k] && !missing(k));
    Err(Error::input(format!(
        "direction {} is periodic but has no lattice vector: give one, or set periodic = {open:?}",
        NAMES[k]
    )))
}

/// Fills in vectors of directions that have none, of length 1 and at right angles to the ones that do.
fn complete(mut vectors: Mat3) -> Result<Mat3> {
    let missing: Vec<usize> = (0..3).filter(|&k| vectors.row(k).norm() == 0.0).collect();
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
            let axis = vectors.row(3 - k - l).transpose().normalize();
            // Along the axis of the same name where that can be, so that nothing has to be turned.
            let own = Vec3::ith(k, 1.0);
            let near = match axis.cross(&own).norm() > 0.5 {
                true => own,
                false => Vec3::ith(axis.iamin(), 1.0),
            };
            let first = (near - axis * axis.dot(&near)).normalize();
            let second = axis.cross(&first);
            vectors.set_row(k, &first.transpose());
            vectors.set_row(l, &second.transpose());
            if vectors.determinant() < 0.0 {
                vectors.set_row(l, &-second.transpose());
            }
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

    /// An edge of 1/x that rounds down, and positions that rounding carries to the upper face.
    #[test]
    fn the_upper_face_is_the_lower_one() {
        for edge in [21.04, 49.0, 10.0, 12.420_655_101_246_934] {
            let cell = Cell::new(Mat3::identity() * edge, [true; 3]).unwrap();
            for x in [-2.5e-17, -1e-300, edge, 0.0, -edge, 3.0 * edge] {
                let wrapped = cell.wrap(&Vec3::new(x, 1.0, 2.0));
                assert!((0.0..1e-13).contains(&wrapped.x), "{x}: {wrapped}");
                assert_eq!((wrapped.y, wrapped.z), (1.0, 2.0));
            }
            let below = cell.wrap(&Vec3::new(-1e-9, 1.0, 2.0)).x;
            assert!((edge - 1.1e-9..edge).contains(&below), "{below}");
        }
    }

    /// A wire along any axis needs no turning into the standard orientation.
    #[test]
    fn open_directions_of_a_wire_keep_their_axes() {
        for axis in 0..3 {
            let mut vectors = Mat3::zeros();
            vectors[(axis, axis)] = 5.0;
            let mut periodic = [false; 3];
            periodic[axis] = true;
            let cell = Cell::new(vectors, periodic).unwrap();
            let mut right = Mat3::identity();
            right[(axis, axis)] = 5.0;
            assert!((cell.vectors() - right).amax() < ROUNDING);
        }
    }

    #[test]
    fn open_edges_hold_the_atoms() {
        let atoms = [Vec3::new(1.0, 2.0, 3.0), Vec3::new(2.0, 0.0, 7.5)];
        let fitted = |c: f64, atoms: &[Vec3]| {
            let vectors = Mat3::from_diagonal(&Vec3::new(12.0, 12.0, c));
            Cell::fitting(vectors, [true, true, false], atoms).unwrap()
        };
        // Twice the spread of 4.5 A, and 20 A.
        let missing = fitted(0.0, &atoms);
        assert_eq!(missing.cell.vector(2), Vec3::new(0.0, 0.0, 29.0));
        assert_eq!(missing.cell.height(2), 29.0);
        assert!(missing.notes.is_empty());
        let short = fitted(9.0, &atoms);
        assert_eq!(short.cell.vector(2), Vec3::new(0.0, 0.0, 29.0));
        assert!(short.notes[0].contains("edge along c"), "{:?}", short.notes);
        let enough = fitted(10.0, &atoms);
        assert_eq!((enough.cell.vector(2).z, enough.notes.len()), (10.0, 0));
        // Far up: the edge reaches there.
        let far = fitted(0.0, &[Vec3::new(0.0, 0.0, 100.5)]);
        assert_eq!(far.cell.vector(2).z, 121.0);
        assert_eq!(fitted(0.0, &[]).cell.vector(2).z, 20.0);
        // What was made is taken as it is.
        let again = Cell::fitting(*missing.cell.vectors(), [true, true, false], &atoms).unwrap();
        assert_eq!(again, missing);
    }

    #[test]
    fn skewed_cells_are_reduced_and_others_kept() {
        let fitted = |vectors: Mat3| Cell::fitting(vectors, [true; 3], &[]).unwrap();
        for kept in [
            skewed(),
            Mat3::new(10.0, 0.0, 0.0, 20.0, 10.0, 0.0, 0.0, 0.0, 10.0),
        ] {
            let fitted = fitted(kept);
            assert_eq!(*fitted.cell.vectors(), kept);
            assert!(fitted.notes.is_empty());
        }
        let mut leaning = skewed();
        leaning.set_row(
            2,
            &(skewed().row(2) + 12.0 * skewed().row(0) - 7.0 * skewed().row(1)),
        );
        let reduced = fitted(leaning);
        assert!((reduced.cell.vectors() - skewed()).amax() < 1e2 * ROUNDING);
        assert!(
            reduced.notes[0].contains("very skewed"),
            "{:?}",
            reduced.notes
        );
        // Reduced, it is not reduced again.
        assert_eq!(fitted(*reduced.cell.vectors()).cell, reduced.cell);
        // In a plane but for rounding.
        let mut flat = skewed() * 0.1;
        flat.set_row(2, &(flat.row(0) * 3.0 - flat.row(1) * 0.7 * 10.0));
        let error = Cell::fitting(flat, [true; 3], &[]).unwrap_err().to_string();
        assert!(error.contains("singular"), "{error}");
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
