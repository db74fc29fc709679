//! Numbers of the kernels: what features are kept in, and what products are made of.

use half::{bf16, f16};

use super::super::{Spec, Weights};
use super::streams;
use crate::potential::Precision;
use crate::{Error, Result};

/// What a card computes a network in. Sums are f32, those of energies and forces f64, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardNumbers {
    /// f32, products in three parts.
    Single,
    /// f32, products of one part, of 11 bits.
    OnePart,
    /// Features, weights and operands in bfloat16, filters in halves.
    Bfloat,
    /// Features, weights, operands and filters in halves; gradients are scaled.
    Half,
    /// The same with weights that are 8 bits times a scale of their output channel.
    Eight,
}

impl CardNumbers {
    /// The numbers of a precision.
    ///
    /// # Errors
    /// A card does not compute in it.
    pub fn of(precision: Precision) -> Result<Self> {
        match precision {
            Precision::F32 => Ok(Self::Single),
            Precision::Tf32 => Ok(Self::OnePart),
            Precision::Bf16 => Ok(Self::Bfloat),
            Precision::F16 => Ok(Self::Half),
            Precision::Int8 => Ok(Self::Eight),
            Precision::F64 => Err(Error::input(format!(
                "PaiNN on a card does not compute in {precision}"
            ))
            .advise("set precision = \"f32\" or \"f16\"")),
        }
    }

    /// Whether features are kept in 16 bits.
    pub(super) fn narrow(self) -> bool {
        matches!(self, Self::Bfloat | Self::Half | Self::Eight)
    }

    /// Bytes of a feature.
    pub(super) fn stored(self) -> usize {
        if self.narrow() { 2 } else { 4 }
    }

    /// Products that one of f32 is made of.
    pub(super) fn terms(self) -> usize {
        if self == Self::Single { 3 } else { 1 }
    }

    /// What the kernels know of it.
    pub(super) fn defines(self) -> [(&'static str, usize); 4] {
        [
            ("NARROW", usize::from(self.narrow())),
            ("BFLOAT", usize::from(self == Self::Bfloat)),
            ("EIGHT", usize::from(self == Self::Eight)),
            ("TERMS", self.terms()),
        ]
    }

    /// The bits of the nearest number that an operand of 16 bits can be.
    pub(super) fn bits(self, x: f32) -> u16 {
        match self {
            Self::Bfloat => bf16::from_f32(x).to_bits(),
            _ => f16::from_f32(x).to_bits(),
        }
    }

    /// Numbers in 16 bits, as features are kept.
    ///
    /// # Errors
    /// One is out of range.
    pub(super) fn stored_bits(self, values: &[f32]) -> Result<Vec<u16>> {
        let half = self != Self::Bfloat;
        let beyond = values.iter().find(|x| half && x.abs() > f16::MAX.to_f32());
        match beyond {
            None => Ok(values.iter().map(|&x| self.bits(x)).collect()),
            Some(most) => Err(Error::input(format!(
                "the model has a number {most:.3e}, which is none in 16 bits of this kind"
            ))
            .advise("set precision = \"bf16\" or \"f32\"")),
        }
    }

    /// What weights are divided by before they become operands: a power of two.
    pub(super) fn weights_unit(self, weights: &Weights) -> f32 {
        match self {
            Self::Bfloat => 1.0,
            _ => streams::unit(weights),
        }
    }

    /// What gradients are multiplied with on the way back, a power of two: it brings the largest that the readout begins with
    /// between 1/2 and 1, so that those of features, which are up to some thousand times larger or smaller, are in the range of
    /// halves.
    pub(super) fn gradient_scale(self, spec: &Spec, weights: &Weights) -> f32 {
        let last = weights.readout.last();
        let all = last.into_iter().flat_map(|linear| &linear.weight);
        let most = all.fold(0.0_f64, |most, w| most.max((w * spec.energy_scale).abs()));
        let halves = matches!(self, Self::Half | Self::Eight);
        if !(halves && most > 0.0 && most.is_finite()) {
            return 1.0;
        }
        2.0_f32.powi((-1 - most.log2().floor() as i32).clamp(-60, 60))
    }
}
