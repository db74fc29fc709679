//! The filters of a layer as functions of the distance, in f64: the definition.

use super::Student;
use crate::potential::fused::Curves;
use crate::potential::fused::spline::{Jet, cosine_cutoff, product};

/// What is multiplied by a neighbour's s, by the unit vector, and by a neighbour's v: the order of the filters here, among
/// those of a file (s, v, unit vector).
const ORDER: [usize; 3] = [0, 2, 1];

/// The filters of one layer.
pub struct StudentFilters<'a> {
    student: &'a Student,
    layer: usize,
}

impl<'a> StudentFilters<'a> {
    /// The filters of a layer.
    pub fn new(student: &'a Student, layer: usize) -> Self {
        Self { student, layer }
    }

    /// Those of every layer.
    pub(super) fn all(student: &'a Student) -> Vec<Self> {
        (0..student.layers.len())
            .map(|layer| Self::new(student, layer))
            .collect()
    }

    /// Every basis function, cut off, with its derivatives.
    fn basis(&self, d: f64) -> Vec<Jet> {
        let cut = cosine_cutoff(d, self.student.cutoff);
        (self.student.centers.iter().zip(&self.student.widths))
            .map(|(c, w)| {
                let x = (d - c) / w;
                let g = (-x * x).exp();
                product(
                    [g, -2.0 * x / w * g, (4.0 * x * x - 2.0) / (w * w) * g],
                    cut,
                )
            })
            .collect()
    }
}

/// silu(h) with its derivatives, of h with its own.
fn silu(h: Jet) -> Jet {
    let s = 1.0 / (1.0 + (-h[0]).exp());
    let rest = s * (1.0 - s);
    let first = s + h[0] * rest;
    let second = rest * (2.0 + h[0] * (1.0 - 2.0 * s));
    [h[0] * s, first * h[1], first * h[2] + second * h[1] * h[1]]
}

impl Curves for StudentFilters<'_> {
    fn cutoff(&self) -> f64 {
        self.student.cutoff
    }

    fn channels(&self) -> usize {
        3 * self.student.features
    }

    /// In the order w_0 (of s), w_2 (of the unit vector), w_1 (of v).
    fn jets(&self, d: f64) -> Vec<Jet> {
        let [first, second] = &self.student.layers[self.layer].filter;
        let hidden: Vec<Jet> = first.jets(&self.basis(d)).into_iter().map(silu).collect();
        let all = second.jets(&hidden);
        let f = self.student.features;
        ORDER
            .iter()
            .flat_map(|kind| all[kind * f..(kind + 1) * f].iter().copied())
            .collect()
    }
}
