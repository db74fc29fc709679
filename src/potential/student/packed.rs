//! The numbers of a StudentForceField, packed for the kernels of processor and card. Features are padded with zeros to whole
//! slices: padded channels stay exactly zero.

use super::{Student, StudentFilters};
use crate::Result;
use crate::potential::fused::SplineError;
use crate::potential::fused::affine::{Affine, Padding, Readout, readout};
use crate::potential::fused::lane::Real;
use crate::potential::fused::memory::Aligned;
use crate::potential::fused::spline::{self, SplineTable};

/// One message and update.
pub(super) struct PackedStudentLayer<T> {
    /// In the order of [`StudentFilters`].
    pub(super) filter: SplineTable<T>,
    /// The last layer's second map gives a alone: nothing reads its vectors.
    pub(super) update: [Affine<T>; 2],
    pub(super) mixing: [[T; 3]; 3],
}

/// All numbers.
pub(super) struct PackedStudent<T> {
    /// Slice width: two lanes.
    pub(super) width: usize,
    /// Padded features.
    pub(super) features: usize,
    pub(super) slices: usize,
    /// Species present (atomic numbers, ascending).
    pub(super) species: Vec<u8>,
    /// Embedding of each species present, \[species\]\[features\].
    pub(super) embedding: Aligned<T>,
    pub(super) layers: Vec<PackedStudentLayer<T>>,
    pub(super) readout: Readout<T>,
    pub(super) cutoff: f64,
    pub(super) soft: f64,
}

impl<T: Real> PackedStudent<T> {
    /// Packs the numbers for atoms of the given species, in slices of `width`; also the error of the filters' splines, made
    /// to be under `bound`.
    pub(super) fn new(
        student: &Student,
        species: &[u8],
        width: usize,
        bound: f64,
    ) -> Result<(Self, SplineError)> {
        let padding = Padding::new(student.features, width);
        let (tables, error) = spline::tables(&StudentFilters::all(student), width, bound);
        let last = student.layers.len() - 1;
        let layers = (student.layers.iter().zip(tables).enumerate())
            .map(|(l, (layer, filter))| {
                let updated: &[usize] = if l == last { &[0] } else { &[0, 1, 2] };
                PackedStudentLayer {
                    filter,
                    update: [
                        padding.affine(&layer.update[0], &[0, 1], &[0]),
                        padding.affine(&layer.update[1], &[0], updated),
                    ],
                    mixing: layer.mixing.map(|row| row.map(T::of)),
                }
            })
            .collect();
        let network = Self {
            width,
            features: padding.padded,
            slices: padding.padded / width,
            species: species.to_vec(),
            embedding: padding.embedding(&student.embedding, species),
            layers,
            readout: readout(&student.readout, padding)?,
            cutoff: student.cutoff,
            soft: student.soft,
        };
        Ok((network, error))
    }
}
