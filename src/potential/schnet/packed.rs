//! The numbers of a SchNet, packed for the kernels of processor and card. Features are padded with zeros to whole slices: padded
//! channels of the features stay exactly zero, and what is padded of hidden ones has no weight behind it.

use super::{Schnet, SchnetFilters};
use crate::Result;
use crate::potential::fused::SplineError;
use crate::potential::fused::affine::{Affine, Padding, Readout, readout};
use crate::potential::fused::lane::Real;
use crate::potential::fused::memory::Aligned;
use crate::potential::fused::spline::{self, SplineTable};

/// One interaction.
pub(super) struct PackedSchnetLayer<T> {
    pub(super) filter: SplineTable<T>,
    pub(super) input: Affine<T>,
    pub(super) output: [Affine<T>; 2],
}

/// All numbers.
pub(super) struct PackedSchnet<T> {
    /// Slice width: two lanes.
    pub(super) width: usize,
    /// Padded features.
    pub(super) features: usize,
    pub(super) slices: usize,
    /// Species present (atomic numbers, ascending).
    pub(super) species: Vec<u8>,
    /// Embedding of each species present, \[species\]\[features\].
    pub(super) embedding: Aligned<T>,
    /// What atoms of each species send in the first layer, likewise.
    pub(super) first: Aligned<T>,
    pub(super) layers: Vec<PackedSchnetLayer<T>>,
    pub(super) readout: Readout<T>,
    pub(super) cutoff: f64,
}

impl<T: Real> PackedSchnet<T> {
    /// Packs the numbers for atoms of the given species, in slices of `width`; also the error of the filters' splines, made
    /// to be under `bound`.
    pub(super) fn new(
        schnet: &Schnet,
        species: &[u8],
        width: usize,
        bound: f64,
    ) -> Result<(Self, SplineError)> {
        let f = schnet.features;
        let padding = Padding::new(f, width);
        let (tables, error) = spline::tables(&SchnetFilters::all(schnet), width, bound);
        let map = |linear| padding.affine(linear, &[0], &[0]);
        let layers = (schnet.layers.iter().zip(tables))
            .map(|(layer, filter)| PackedSchnetLayer {
                filter,
                input: map(&layer.input),
                output: [map(&layer.output[0]), map(&layer.output[1])],
            })
            .collect();
        let rows = schnet.embedding.chunks_exact(f);
        let first: Vec<f64> = rows.flat_map(|x| schnet.layers[0].input.apply(x)).collect();
        let network = Self {
            width,
            features: padding.padded,
            slices: padding.padded / width,
            species: species.to_vec(),
            embedding: padding.embedding(&schnet.embedding, species),
            first: padding.embedding(&first, species),
            layers,
            readout: readout(&schnet.readout, padding)?,
            cutoff: schnet.cutoff,
        };
        Ok((network, error))
    }
}
