//! From where atoms are looked at: a cell from a little above and beside, with its third axis upwards; atoms without one along
//! their shortest axis, so that they lie broad and flat.

use crate::core::{Cell, Mat3, Vec3};

/// How far the eye is turned and raised (radians): before a cell, and before atoms without one.
const BEFORE_CELL: [f64; 2] = [0.45, 0.25];
const BEFORE_ATOMS: [f64; 2] = [0.22, 0.2];
/// Least width and height of what is seen (angstrom).
const LEAST: f64 = 2.0;

/// A direction to look along, and what is seen from there.
#[derive(Debug, Clone, PartialEq)]
pub struct Viewpoint {
    /// Rows: to the right, upwards, and towards the eye.
    axes: Mat3,
    /// Least coordinates of what is seen (angstrom), radii included.
    pub low: Vec3,
    /// Largest ones.
    pub high: Vec3,
}

impl Viewpoint {
    /// The view of atoms of these radii in a cell (angstrom).
    pub fn of(cell: &Cell, positions: &[Vec3], radii: &[f64]) -> Self {
        let axes = match cell.is_given() {
            true => {
                // The first axis to the right, the third upwards, the second away from the eye.
                let upright = Mat3::new(1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0);
                turned(BEFORE_CELL) * upright
            }
            false => turned(BEFORE_ATOMS) * principal(positions),
        };
        let mut view = Self {
            axes,
            low: Vec3::repeat(f64::INFINITY),
            high: Vec3::repeat(f64::NEG_INFINITY),
        };
        for (position, radius) in positions.iter().zip(radii) {
            view.include(position, *radius);
        }
        if cell.is_given() {
            for k in 0..8 {
                view.include(&cell.shift([k & 1, k >> 1 & 1, k >> 2 & 1]), 0.0);
            }
        }
        view.widen();
        view
    }

    fn include(&mut self, position: &Vec3, radius: f64) {
        let seen = self.seen(position);
        self.low = self.low.inf(&seen.add_scalar(-radius));
        self.high = self.high.sup(&seen.add_scalar(radius));
    }

    /// Leaves some room around what is small.
    fn widen(&mut self) {
        for k in 0..2 {
            let lacking = 0.5 * (LEAST - (self.high[k] - self.low[k])).max(0.0);
            self.low[k] -= lacking;
            self.high[k] += lacking;
        }
    }

    /// A point as it is seen: to the right, upwards, towards the eye (angstrom).
    pub fn seen(&self, position: &Vec3) -> Vec3 {
        self.axes * position
    }

    /// Width of what is seen (angstrom).
    pub fn width(&self) -> f64 {
        self.high[0] - self.low[0]
    }

    /// Height of it (angstrom).
    pub fn height(&self) -> f64 {
        self.high[1] - self.low[1]
    }
}

/// The eye turned about the upright axis, then raised.
fn turned([turn, raise]: [f64; 2]) -> Mat3 {
    let ((s, c), (r, d)) = (turn.sin_cos(), raise.sin_cos());
    let about = Mat3::new(c, 0.0, s, 0.0, 1.0, 0.0, -s, 0.0, c);
    let above = Mat3::new(1.0, 0.0, 0.0, 0.0, d, -r, 0.0, r, d);
    above * about
}

/// The axes along which atoms are spread most, less and least, a right-handed set.
fn principal(positions: &[Vec3]) -> Mat3 {
    let count = positions.len().max(1) as f64;
    let centre = positions.iter().sum::<Vec3>() / count;
    let spread: Mat3 = (positions.iter())
        .map(|position| {
            let d = position - centre;
            d * d.transpose()
        })
        .sum();
    if !spread.iter().all(|x| x.is_finite()) {
        return Mat3::identity();
    }
    let found = spread.symmetric_eigen();
    let mut order = [0, 1, 2];
    order.sort_by(|a, b| found.eigenvalues[*b].total_cmp(&found.eigenvalues[*a]));
    let [first, second] = [order[0], order[1]].map(|k| {
        let axis = found.eigenvectors.column(k).into_owned();
        // Of the two directions of an axis the one along which the first atom lies behind.
        let side = positions.first().map_or(0.0, |p| (p - centre).dot(&axis));
        if side > 0.0 { -axis } else { axis }
    });
    Mat3::from_rows(&[
        first.transpose(),
        second.transpose(),
        first.cross(&second).transpose(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No picture is a mirror image: axes are right-handed and of length one, whatever the atoms are.
    #[test]
    fn views_are_rotations() {
        let atoms = [
            Vec3::new(0.1, 0.0, 0.3),
            Vec3::new(1.5, 2.0, -0.4),
            Vec3::new(-3.0, 0.7, 1.1),
            Vec3::new(0.4, -2.2, 0.9),
        ];
        let cubic = Cell::new(Mat3::identity() * 9.0, [true; 3]).unwrap();
        for count in 1..=4 {
            for cell in [&Cell::open(), &cubic] {
                let view = Viewpoint::of(cell, &atoms[..count], &[0.5; 4]);
                assert!((view.axes.determinant() - 1.0).abs() < 1e-12, "{view:?}");
                let back = view.axes * view.axes.transpose() - Mat3::identity();
                assert!(back.norm() < 1e-12, "{view:?}");
                assert!(view.width() >= LEAST && view.height() >= LEAST);
            }
        }
        // The third axis of a cell points upwards, and the second away from the eye.
        let view = Viewpoint::of(&cubic, &atoms, &[0.5; 4]);
        assert!(view.seen(&Vec3::z())[1] > 0.9 && view.seen(&Vec3::y())[2] < -0.8);
        // Atoms on a line lie across.
        let line = [Vec3::zeros(), Vec3::z(), Vec3::z() * 4.0];
        let view = Viewpoint::of(&Cell::open(), &line, &[0.1; 3]);
        assert!(view.width() > 3.5 && view.height() < 2.5, "{view:?}");
    }
}
