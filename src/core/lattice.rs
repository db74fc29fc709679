//! The shortest vectors of a lattice.
//!
//! Infinitely many triples of vectors span one lattice. A skewed triple makes a cell whose faces are
//! close together although the lattice is roomy; the reduced triple (Minkowski's conditions) is as
//! near to a box as the lattice allows.

use super::{Mat3, Vec3};

/// A vector is replaced where its square shrinks by more than this part: rounding alone never does.
const SHORTER: f64 = 1e-9;
/// Most rounds of shortening. Each divides lengths as Euclid's algorithm divides numbers, so that any
/// two f64 are done in far fewer.
const MOST_ROUNDS: usize = 2000;
/// Part of an open vector that must stand out of the periodic ones for it to be kept.
const STANDS_OUT: f64 = 1e-6;

/// Reduces lattice vectors (rows, angstrom): periodic ones are replaced by the shortest that span the
/// same lattice, each from its own place, with the same handedness; those of open directions lose what
/// is not at right angles to the others. Rows of zeros stay.
pub(super) fn reduce(vectors: &Mat3, periodic: [bool; 3]) -> Mat3 {
    let mut rows = [0, 1, 2].map(|k| vectors.row(k).transpose());
    let axes: Vec<usize> = (0..3).filter(|&k| periodic[k]).collect();
    for _ in 0..MOST_ROUNDS {
        if !(shorten_by_one(&mut rows, &axes) || shorten_by_two(&mut rows, &axes)) {
            break;
        }
    }
    straighten(&mut rows, periodic);
    Mat3::from_rows(&rows.map(|r| r.transpose()))
}

/// Takes multiples of single vectors from each other; whether any became shorter.
fn shorten_by_one(rows: &mut [Vec3; 3], axes: &[usize]) -> bool {
    let mut any = false;
    for &k in axes {
        for &l in axes.iter().filter(|&&l| l != k) {
            let other = rows[l];
            let times = (rows[k].dot(&other) / other.norm_squared()).round();
            // The longer one of the two changes: a user's short vectors stay.
            let longer = rows[k].norm_squared() >= other.norm_squared();
            if longer && times != 0.0 && times.is_finite() {
                any |= shorten(&mut rows[k], -times * other);
            }
        }
    }
    any
}

/// Adds both of the other vectors, either way round, to each; whether any became shorter. Once no
/// single vector shortens another, this is all that Minkowski's conditions ask for in space.
fn shorten_by_two(rows: &mut [Vec3; 3], axes: &[usize]) -> bool {
    let &[_, _, _] = axes else {
        return false;
    };
    let mut any = false;
    for k in 0..3 {
        let [l, m] = [rows[(k + 1) % 3], rows[(k + 2) % 3]];
        for both in [l + m, l - m, m - l, -l - m] {
            any |= shorten(&mut rows[k], both);
        }
    }
    any
}

/// Adds something to a vector if that makes it shorter; whether it does.
fn shorten(row: &mut Vec3, more: Vec3) -> bool {
    let new = *row + more;
    let shorter = new.norm_squared() < row.norm_squared() * (1.0 - SHORTER);
    if shorter {
        *row = new;
    }
    shorter
}

/// Turns the vectors of open directions to right angles with the periodic ones, and with each other.
fn straighten(rows: &mut [Vec3; 3], periodic: [bool; 3]) {
    let mut basis: Vec<Vec3> = Vec::new();
    let add = |basis: &mut Vec<Vec3>, vector: Vec3| {
        let rest = (basis.iter()).fold(vector, |r, b| r - b * b.dot(&r));
        let kept = rest.norm() > STANDS_OUT * vector.norm();
        if kept {
            basis.push(rest.normalize());
        }
        kept.then_some(rest)
    };
    for k in (0..3).filter(|&k| periodic[k]) {
        add(&mut basis, rows[k]);
    }
    for k in (0..3).filter(|&k| !periodic[k]) {
        if let Some(rest) = add(&mut basis, rows[k]) {
            rows[k] = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Integers up to thousands times numbers of order ten.
    const ROUNDING: f64 = 1e-10;

    fn lengths(vectors: &Mat3) -> [f64; 3] {
        let mut lengths = [0, 1, 2].map(|k| vectors.row(k).norm());
        lengths.sort_unstable_by(f64::total_cmp);
        lengths
    }

    /// Any basis of a lattice leads back to vectors as short as those that it was made from: here a
    /// cubic, a body-centred, a face-centred and a triclinic lattice, whose shortest vectors are known.
    #[test]
    fn skewed_bases_lead_back_to_the_shortest_vectors() {
        let lattices = [
            Mat3::identity() * 10.0,
            Mat3::new(-5.0, 5.0, 5.0, 5.0, -5.0, 5.0, 5.0, 5.0, -5.0),
            Mat3::new(0.0, 5.0, 5.0, 5.0, 0.0, 5.0, 5.0, 5.0, 0.0),
            Mat3::new(9.0, 0.0, 0.0, 3.0, 8.0, 0.0, -2.0, 1.0, 7.0),
        ];
        let skews = [
            Mat3::new(1.0, 0.0, 0.0, 37.0, 1.0, 0.0, -1200.0, 55.0, 1.0),
            Mat3::new(1.0, 2.0, 3.0, 4.0, 9.0, 14.0, 10.0, 23.0, 37.0),
            Mat3::new(1.0, 1.0, -1.0, 1.0, 2.0, 0.0, 1.0, 3.0, 2.0),
        ];
        for lattice in lattices {
            for skew in skews {
                assert!((skew.determinant().abs() - 1.0).abs() < 1e-6, "{skew}");
                let reduced = reduce(&(skew * lattice), [true; 3]);
                let (found, right) = (lengths(&reduced), lengths(&lattice));
                for k in 0..3 {
                    assert!(
                        (found[k] - right[k]).abs() < ROUNDING,
                        "{found:?} {right:?}"
                    );
                }
                // The same lattice: each basis is made of whole multiples of the other.
                let multiples = reduced * lattice.try_inverse().unwrap();
                assert!((multiples - multiples.map(f64::round)).amax() < ROUNDING);
                let turned = multiples.determinant() * skew.determinant();
                assert!((turned - 1.0).abs() < 1e-6, "the same handedness");
            }
        }
    }

    #[test]
    fn reduced_vectors_stay_bit_for_bit() {
        for vectors in [
            Mat3::new(9.0, 0.0, 0.0, 3.0, 8.0, 0.0, -2.0, 1.0, 7.0),
            // Right on the border: hexagonal, both ways round.
            Mat3::new(4.0, 0.0, 0.0, 2.0, 12_f64.sqrt(), 0.0, 0.0, 0.0, 9.0),
            Mat3::new(4.0, 0.0, 0.0, -2.0, 12_f64.sqrt(), 0.0, 0.0, 0.0, 9.0),
        ] {
            assert_eq!(reduce(&vectors, [true; 3]), vectors);
        }
    }

    #[test]
    fn open_directions_keep_their_height_and_lend_nothing() {
        let vectors = Mat3::new(10.0, 0.0, 0.0, 70.0, 10.0, 0.0, 500.0, -20.0, 30.0);
        let slab = reduce(&vectors, [true, true, false]);
        let right = Mat3::from_diagonal(&Vec3::new(10.0, 10.0, 30.0));
        assert!((slab - right).amax() < ROUNDING, "{slab}");
        // Only b is periodic: nothing can shorten it.
        let wire = reduce(&vectors, [false, true, false]);
        assert_eq!(wire.row(1), vectors.row(1));
        assert!(wire.row(1).dot(&wire.row(0)).abs() < 1e3 * ROUNDING);
        assert!(wire.row(1).dot(&wire.row(2)).abs() < 1e3 * ROUNDING);
        assert!((wire.determinant() - vectors.determinant()).abs() < 1e3 * ROUNDING);
        let flat = Mat3::new(10.0, 0.0, 0.0, 70.0, 10.0, 0.0, 0.0, 0.0, 0.0);
        assert_eq!(reduce(&flat, [true, true, false]).row(2), flat.row(2));
    }
}
