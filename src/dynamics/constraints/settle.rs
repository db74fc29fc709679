//! SETTLE: rigid water without iterations (Miyamoto and Kollman, J. Comput. Chem. 13, 952 (1992)).

use nalgebra::{SMatrix, SVector};

use super::WaterShape;
use crate::core::{Mat3, Vec3};

/// Pairs of the atoms of a molecule, oxygen first.
const PAIRS: [[usize; 2]; 3] = [[0, 1], [0, 2], [1, 2]];

/// The positions of a rigid molecule that its atoms, having drifted from `before` to `after` (angstrom), are brought to by pushes
/// along the distances of `before`. Masses (u) are those of oxygen and of one hydrogen. Not numbers where there are none.
///
/// Follows appendix A of the paper, whose axes these are: the plane of `before` is that of X' and Y', and a, b and c are oxygen
/// and hydrogens.
pub(super) fn place(
    shape: &WaterShape,
    [oxygen, hydrogen]: [f64; 2],
    before: &[Vec3; 3],
    after: &[Vec3; 3],
) -> [Vec3; 3] {
    let total = oxygen + 2.0 * hydrogen;
    // Counted from the oxygen before, where numbers are small whatever the place in space is.
    let [b0, c0] = [before[1] - before[0], before[2] - before[0]];
    let moved = after.map(|r| r - before[0]);
    let centre = (moved[0] * oxygen + (moved[1] + moved[2]) * hydrogen) / total;
    let [a1, b1, c1] = moved.map(|r| r - centre);

    let normal = b0.cross(&c0);
    let x_axis = a1.cross(&normal).normalize();
    let z_axis = normal.normalize();
    let y_axis = z_axis.cross(&x_axis);
    let axes = Mat3::from_columns(&[x_axis, y_axis, z_axis]);
    let into = |v: Vec3| axes.tr_mul(&v);
    let [b0, c0, a1, b1, c1] = [b0, c0, a1, b1, c1].map(into);

    let half = 0.5 * shape.hh;
    let height = (shape.oh * shape.oh - half * half).sqrt();
    let ra = height * 2.0 * hydrogen / total;
    let rb = height - ra;

    // Turns about X' and Y' that give the atoms the distances from the plane which they have moved to.
    let sin_phi = a1.z / ra;
    let cos_phi = (1.0 - sin_phi * sin_phi).sqrt();
    let sin_psi = (b1.z - c1.z) / (2.0 * half * cos_phi);
    let cos_psi = (1.0 - sin_psi * sin_psi).sqrt();
    let y_a2 = ra * cos_phi;
    let x_b2 = -half * cos_psi;
    let y_b2 = -rb * cos_phi - half * sin_psi * sin_phi;
    let y_c2 = -rb * cos_phi + half * sin_psi * sin_phi;

    // The turn about Z' for which the pushes lie along the old distances.
    let alpha = x_b2 * (b0.x - c0.x) + b0.y * y_b2 + c0.y * y_c2;
    let beta = x_b2 * (c0.y - b0.y) + b0.x * y_b2 + c0.x * y_c2;
    let gamma = b0.x * b1.y - b1.x * b0.y + c0.x * c1.y - c1.x * c0.y;
    let square = alpha * alpha + beta * beta;
    let sin_theta = (alpha * gamma - beta * (square - gamma * gamma).sqrt()) / square;
    let cos_theta = (1.0 - sin_theta * sin_theta).sqrt();

    let turned = |x: f64, y: f64, z: f64| {
        let [x, y] = [x * cos_theta - y * sin_theta, x * sin_theta + y * cos_theta];
        before[0] + centre + axes * Vec3::new(x, y, z)
    };
    [
        turned(0.0, y_a2, a1.z),
        turned(x_b2, y_b2, b1.z),
        turned(-x_b2, y_c2, c1.z),
    ]
}

/// Changes vectors of the atoms (velocities, or accelerations) by pushes along the three distances over masses, so that the
/// difference of both atoms along each is what `rates` ask for. Gives the sum of the pushes' virials, r (push) over them;
/// `None` of a molecule that is flat.
pub(super) fn project(
    positions: &[Vec3; 3],
    inverse: &[f64; 3],
    vectors: &mut [Vec3; 3],
    rates: [f64; 3],
) -> Option<Mat3> {
    let along = PAIRS.map(|[i, j]| positions[i] - positions[j]);
    // Of a push along distance l the change of the difference of both atoms along distance k.
    let sign = |pair: [usize; 2], atom: usize| match pair {
        [i, _] if i == atom => 1.0,
        [_, j] if j == atom => -1.0,
        _ => 0.0,
    };
    let matrix = SMatrix::<f64, 3, 3>::from_fn(|k, l| {
        let shared: f64 = (0..3)
            .map(|atom| sign(PAIRS[k], atom) * sign(PAIRS[l], atom) * inverse[atom])
            .sum();
        shared * along[k].dot(&along[l])
    });
    let off = SVector::<f64, 3>::from_fn(|k, _| {
        let [i, j] = PAIRS[k];
        along[k].dot(&(vectors[i] - vectors[j])) - rates[k]
    });
    let pushes = matrix.cholesky()?.solve(&off);
    let mut virial = Mat3::zeros();
    for (k, [i, j]) in PAIRS.into_iter().enumerate() {
        let push = along[k] * pushes[k];
        vectors[i] -= push * inverse[i];
        vectors[j] += push * inverse[j];
        virial -= along[k] * push.transpose();
    }
    Some(virial)
}
