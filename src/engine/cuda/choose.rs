//! Which kernels suit a model, a number of atoms and a card.

use super::compile::Shape;
use super::device::Device;
use super::{launch, tables};
use crate::potential::painn::{Spec, Weights};

/// Up to so many atoms, all products between two messages are one kernel.
const FEW_ATOMS: usize = 2200;
/// From so many atoms on, the splines go to shared memory.
const STAGED_ATOMS: usize = 128;
/// From so many atoms on, the atom-wise layers work in large tiles.
const MANY_ATOMS: usize = 2200;
/// Up to so many atoms, tiles are halved so that there is one for each multiprocessor.
const HALF_TILES: usize = 100_000;
/// How the kernels are chosen; `None` leaves it to the number of atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tuning {
    /// One kernel for all products between two messages, where that is possible.
    pub fused: Option<bool>,
    /// Warps that share an atom's row of pairs.
    pub team: Option<usize>,
    /// Tiles of many atoms in the atom-wise layers.
    pub tiled: Option<bool>,
    /// What the tiles are divided by, 1 or 2.
    pub shrink: Option<usize>,
    /// Splines in shared memory.
    pub staged: Option<bool>,
}

/// Kernels for a model and a number of atoms.
pub(super) fn choose(
    device: &Device,
    spec: &Spec,
    weights: &Weights,
    atoms: usize,
    tuning: Tuning,
) -> Shape {
    let hidden = &weights.readout[..weights.readout.len() - 1];
    let knots = tables::knots(spec);
    let features = tables::padded(spec.features);
    let one_hidden = matches!(hidden, [one] if tables::padded(one.outputs) <= features);
    let fusible = device.capability >= 90
        && one_hidden
        && matches!(features, 32 | 64 | 128 | 256)
        && launch::stage_bytes(features) <= device.shared;
    let tiled = tuning.tiled.unwrap_or(atoms >= MANY_ATOMS);
    let table = launch::table_bytes(knots);
    let staged = table <= device.shared && tuning.staged.unwrap_or(atoms >= STAGED_ATOMS);
    let teams_fit = !staged || table + launch::TEAM_BYTES <= device.shared;
    let slices = features / tables::SLICE;
    let team = tuning
        .team
        .unwrap_or_else(|| team_for(device, slices, atoms, staged));
    Shape {
        features,
        layers: spec.layers,
        knots,
        heads: hidden.len(),
        head_out: hidden.first().map_or(0, |l| tables::padded(l.outputs)),
        head_max: (hidden.iter().flat_map(|l| [l.inputs, l.outputs]))
            .map(tables::padded)
            .max()
            .unwrap_or(0),
        tiled,
        shrink: tuning
            .shrink
            .unwrap_or(if atoms < HALF_TILES { 2 } else { 1 }),
        fused: !tiled && fusible && tuning.fused.unwrap_or(atoms <= FEW_ATOMS),
        team: if teams_fit { team } else { 1 },
        staged,
        forward_warps: 24,
        backward_warps: 16,
        blocks: device.processors as usize,
    }
}

/// Warps for one atom's row, so that all warps have something to do.
fn team_for(device: &Device, slices: usize, atoms: usize, staged: bool) -> usize {
    /// Warps of the smallest message kernel that stages its splines.
    const WARPS: usize = 16;
    if !staged {
        return if atoms * slices * 8 <= device.processors as usize * WARPS {
            8
        } else {
            4
        };
    }
    let chunks = (device.processors as usize / slices).max(1);
    let fits = |team: &usize| atoms.div_ceil(chunks) * team <= WARPS;
    [4, 2].into_iter().find(fits).unwrap_or(1)
}
