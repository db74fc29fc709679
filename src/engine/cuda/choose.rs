//! Which kernels suit a model, a number of atoms and a card.

use super::compile::Shape;
use super::device::Device;
use super::{launch, tables};
use crate::potential::painn::{Spec, Weights};

/// Under so many atoms, all products between two messages are one kernel where that is possible.
const FEW_ATOMS: usize = 5000;
/// From so many atoms on, the splines go to shared memory.
const STAGED_ATOMS: usize = 128;
/// From so many atoms on, the atom-wise layers work in large tiles, unless they are fused.
const MANY_ATOMS: usize = 2200;
/// Up to so many atoms, tiles are halved so that there is one for each multiprocessor.
const HALF_TILES: usize = 100_000;
/// Warps of a message kernel that has its splines in shared memory, forward and backward: as many as registers last for.
const FORWARD_WARPS: usize = 24;
const BACKWARD_WARPS: usize = 12;
/// Most teams, each a block of its own, that registers are shared out to on a multiprocessor.
const MOST_TEAMS: usize = 4;

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
    let fused = fusible && tuning.tiled != Some(true) && tuning.fused.unwrap_or(atoms < FEW_ATOMS);
    let table = launch::table_bytes(knots);
    let staged = table <= device.shared && tuning.staged.unwrap_or(atoms >= STAGED_ATOMS);
    let teams_fit = !staged || table + launch::team_bytes(FORWARD_WARPS) <= device.shared;
    let processors = device.processors as usize;
    let rows = atoms * (features / tables::SLICE);
    let [forward, backward] = match (tuning.team, teams_fit) {
        (_, false) => [1; 2],
        (Some(team), true) => [team; 2],
        (None, true) if staged => [
            team_for(processors, rows, 16),
            team_for(processors, rows, BACKWARD_WARPS),
        ],
        // Backward a warp takes twice the registers.
        (None, true) => [MOST_TEAMS, 2].map(|teams| if rows <= teams * processors { 8 } else { 4 }),
    };
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
        tiled: !fused && tuning.tiled.unwrap_or(atoms >= MANY_ATOMS),
        shrink: tuning
            .shrink
            .unwrap_or(if atoms < HALF_TILES { 2 } else { 1 }),
        fused,
        forward_team: forward,
        backward_team: backward,
        team_blocks: rows.div_ceil(processors).clamp(1, MOST_TEAMS),
        staged,
        forward_warps: FORWARD_WARPS / forward * forward,
        backward_warps: BACKWARD_WARPS / backward.min(BACKWARD_WARPS) * backward,
    }
}

/// Warps for one atom's row, so that the atoms of each block, one for each multiprocessor, are taken in one turn by so
/// many warps.
fn team_for(processors: usize, rows: usize, warps: usize) -> usize {
    let fits = |team: &usize| rows.div_ceil(processors) * team <= warps;
    [4, 2].into_iter().find(fits).unwrap_or(1)
}
