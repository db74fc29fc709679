//! The filters of one layer as functions of the distance: w(d) = (Wf phi(d) + bf) fc(d).

use crate::potential::painn::{Linear, RadialBasis};

use super::spline::{Curves, Jet, cosine_cutoff, product};

/// One layer's filters in f64, the definition.
pub struct Filters<'a> {
    basis: &'a RadialBasis,
    cutoff: f64,
    linear: &'a Linear,
}

impl<'a> Filters<'a> {
    /// The filters of a layer.
    pub fn new(basis: &'a RadialBasis, cutoff: f64, linear: &'a Linear) -> Self {
        Self {
            basis,
            cutoff,
            linear,
        }
    }
}

impl Curves for Filters<'_> {
    fn cutoff(&self) -> f64 {
        self.cutoff
    }

    fn channels(&self) -> usize {
        self.linear.outputs
    }

    fn jets(&self, d: f64) -> Vec<Jet> {
        let phi = basis_jets(self.basis, d);
        let fc = cosine_cutoff(d, self.cutoff);
        let jets = self.linear.jets(&phi).into_iter();
        jets.map(|w| product(w, fc)).collect()
    }
}

/// Every basis function with its derivatives.
pub(in crate::potential) fn basis_jets(basis: &RadialBasis, d: f64) -> Vec<Jet> {
    match basis {
        RadialBasis::Gaussian { centers, widths } => (centers.iter().zip(widths))
            .map(|(c, w)| {
                let x = (d - c) / w;
                let g = (-0.5 * x * x).exp();
                [g, -x / w * g, (x * x - 1.0) / (w * w) * g]
            })
            .collect(),
        RadialBasis::Bessel { frequencies, scale } => (frequencies.iter())
            .map(|&f| {
                let [s, s1, s2] = sinc(f * d);
                [scale * f * s, scale * f * f * s1, scale * f * f * f * s2]
            })
            .collect(),
    }
}

/// sin(x) / x with its derivatives.
fn sinc(x: f64) -> Jet {
    /// Below it the closed forms cancel, and the series are exact to rounding.
    const SERIES: f64 = 0.05;
    let (sin, cos) = x.sin_cos();
    let y = x * x;
    if x.abs() < SERIES {
        [
            1.0 - y / 6.0 * (1.0 - y / 20.0 * (1.0 - y / 42.0)),
            -x / 3.0 * (1.0 - y / 10.0 * (1.0 - y / 28.0 * (1.0 - y / 54.0))),
            -1.0 / 3.0 * (1.0 - 3.0 * y / 10.0 * (1.0 - 5.0 * y / 84.0 * (1.0 - 7.0 * y / 270.0))),
        ]
    } else {
        [
            sin / x,
            cos / x - sin / y,
            -sin / x - 2.0 * cos / y + 2.0 * sin / (y * x),
        ]
    }
}
