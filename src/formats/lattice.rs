//! Lattice vectors as structure files give them: by edges and angles, or a cell that means none.

use crate::core::Mat3;
use crate::{Error, Result};

/// Edges of 1 A at right angles stand for "no cell" in PDB and CIF files of molecules.
pub(super) fn real_cell(rows: Mat3) -> Option<Mat3> {
    const PRINTED: f64 = 1e-6;
    ((rows - Mat3::identity()).amax() > PRINTED).then_some(rows)
}

/// Lattice vectors as rows: a along x, b in the plane of x and y (International Tables for
/// Crystallography B, 3.3.1). Angles in degrees: alpha between b and c, beta c and a, gamma a and b.
#[rustfmt::skip]
pub(super) fn triclinic(lengths: [f64; 3], angles: [f64; 3]) -> Result<Mat3> {
    // The cosine of 90 degrees in radians is not quite zero.
    let cos = angles.map(|x| if x == 90.0 { 0.0 } else { x.to_radians().cos() });
    let sin_gamma = angles[2].to_radians().sin();
    let y = (cos[0] - cos[1] * cos[2]) / sin_gamma;
    let z = (1.0 - cos[1] * cos[1] - y * y).sqrt();
    if !(sin_gamma > 0.0 && z > 0.0) {
        let [alpha, beta, gamma] = angles;
        return Err(Error::input(format!(
            "no cell has the angles {alpha}, {beta} and {gamma} degrees"
        )));
    }
    let [a, b, c] = lengths;
    Ok(Mat3::new(
        a, 0.0, 0.0,
        b * cos[2], b * sin_gamma, 0.0,
        c * cos[1], c * y, c * z,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Vec3;

    #[test]
    fn a_cell_has_its_edges_and_angles() {
        let rows =
            triclinic([5.0, 6.0, 7.0], [80.0, 95.0, 110.0]).unwrap_or_else(|e| panic!("{e}"));
        let vector = |k: usize| rows.row(k).transpose();
        let angle = |k: usize, l: usize| vector(k).angle(&vector(l)).to_degrees();
        for (found, wanted) in [
            (vector(0).norm(), 5.0),
            (vector(1).norm(), 6.0),
            (vector(2).norm(), 7.0),
            (angle(1, 2), 80.0),
            (angle(2, 0), 95.0),
            (angle(0, 1), 110.0),
        ] {
            assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
        }
        assert!(triclinic([5.0; 3], [20.0, 20.0, 90.0]).is_err());
        let right = triclinic([1.0, 2.0, 3.0], [90.0; 3]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(right, Mat3::from_diagonal(&Vec3::new(1.0, 2.0, 3.0)));
    }
}
