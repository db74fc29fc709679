//! Models of every shape that is claimed: 16 to 512 features, a power of two or not, 1 to 8 interactions, 1 to 64 radial functions
//! of every kind, readouts of 1 to 4 layers.

use mdrun::potential::painn::{RadialBasis, Spec, Weights};

use super::atoms::ELEMENTS;

/// Range of all (angstrom).
const CUTOFF: f64 = 5.0;

/// A kind of radial basis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Functions {
    /// On a regular grid.
    Gaussian,
    /// All around no distance, of growing width.
    CentredGaussian,
    Bessel,
    /// As training leaves them: centres and widths of their own.
    TrainedGaussian,
    /// Frequencies of their own.
    TrainedBessel,
}

impl Functions {
    /// So many functions.
    fn basis(self, count: usize) -> RadialBasis {
        let step = CUTOFF / count as f64;
        let grid = (0..count).map(|k| (k as f64 + 1.0) * step);
        // Between -1 and 1, without order.
        let own = |k: usize| (12.9898 * (k as f64 + 1.0)).sin();
        let pi = std::f64::consts::PI / CUTOFF;
        match self {
            Self::Gaussian if count > 1 => RadialBasis::gaussian(count, CUTOFF),
            Self::Gaussian => RadialBasis::Gaussian {
                centers: vec![1.5],
                widths: vec![1.0],
            },
            Self::CentredGaussian => RadialBasis::Gaussian {
                centers: vec![0.0; count],
                widths: grid.collect(),
            },
            Self::Bessel => RadialBasis::bessel(count, CUTOFF),
            Self::TrainedGaussian => RadialBasis::Gaussian {
                centers: grid
                    .enumerate()
                    .map(|(k, r)| r + 0.4 * step * own(k))
                    .collect(),
                widths: (0..count).map(|k| step * (1.2 + 0.4 * own(k))).collect(),
            },
            Self::TrainedBessel => RadialBasis::Bessel {
                frequencies: (0..count)
                    .map(|k| pi * (k as f64 + 1.0 + 0.3 * own(k)))
                    .collect(),
                scale: 1.0,
            },
        }
    }
}

/// A shape of a network.
#[derive(Debug, Clone, Copy)]
pub struct ModelShape {
    pub features: usize,
    pub layers: usize,
    pub functions: (Functions, usize),
    /// Widths of the readout's hidden layers.
    pub hidden: &'static [usize],
}

const fn shape(
    features: usize,
    layers: usize,
    functions: (Functions, usize),
    hidden: &'static [usize],
) -> ModelShape {
    ModelShape {
        features,
        layers,
        functions,
        hidden,
    }
}

use Functions::*;

/// Every number of features, interactions, functions and readout layers that needs something of its own, and each kind of basis with
/// few functions and with many. Where there are many functions there are few features: splines of filters are made anew for each
/// test.
pub const SHAPES: [ModelShape; 13] = [
    shape(16, 1, (Gaussian, 1), &[]),
    shape(17, 7, (CentredGaussian, 2), &[3]),
    shape(20, 2, (Bessel, 1), &[8, 5]),
    shape(24, 8, (TrainedGaussian, 5), &[12]),
    shape(32, 2, (Gaussian, 64), &[48]),
    shape(33, 3, (CentredGaussian, 20), &[16, 7, 5]),
    shape(40, 1, (Bessel, 64), &[100, 30, 9]),
    shape(64, 6, (TrainedBessel, 3), &[]),
    shape(100, 3, (TrainedGaussian, 12), &[50, 20]),
    shape(128, 3, (Gaussian, 20), &[64]),
    shape(200, 2, (TrainedBessel, 8), &[300]),
    shape(384, 1, (CentredGaussian, 6), &[192, 40]),
    shape(512, 1, (Gaussian, 10), &[256, 64, 16]),
];

impl ModelShape {
    /// A model of random weights for H, C, N and O whose filters are scaled down, as those of `calm_model` are, and further: with
    /// twice as much the eight layers of 24 make forces of 1e17 eV/A, of a power of the filters that makes 3e-4 of an error of
    /// 1.6e-5.
    pub fn model(&self) -> (Spec, Weights) {
        const FILTER: f64 = 0.1;
        let (kind, count) = self.functions;
        let basis = kind.basis(count);
        let spec = Spec::new(self.features, self.layers, basis, CUTOFF, &ELEMENTS);
        let seed = (self.features * 10 + self.layers) as u32;
        let mut weights = Weights::random_with_readout(&spec, self.hidden, seed);
        for layer in &mut weights.layers {
            let numbers = layer.filter.weight.iter_mut().chain(&mut layer.filter.bias);
            numbers.for_each(|x| *x *= FILTER);
        }
        (spec, weights)
    }

    /// For messages.
    pub fn name(&self) -> String {
        let (kind, count) = self.functions;
        format!(
            "{} layers of {}, {count} {kind:?}, readout {:?}",
            self.layers, self.features, self.hidden
        )
    }
}

/// What is claimed is among them.
#[test]
fn shapes_span_what_is_claimed() {
    let span = |of: fn(&ModelShape) -> usize| {
        let all = SHAPES.iter().map(of);
        (all.clone().min().unwrap(), all.max().unwrap())
    };
    assert_eq!(span(|s| s.features), (16, 512));
    assert_eq!(span(|s| s.layers), (1, 8));
    assert_eq!(span(|s| s.functions.1), (1, 64));
    assert_eq!(span(|s| s.hidden.len() + 1), (1, 4));
    for kind in [
        Gaussian,
        CentredGaussian,
        Bessel,
        TrainedGaussian,
        TrainedBessel,
    ] {
        assert!(SHAPES.iter().any(|s| s.functions.0 == kind), "{kind:?}");
    }
}
