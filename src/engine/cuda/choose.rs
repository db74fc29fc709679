//! Which kernels suit a model, a number of atoms and a card.

use super::compile::{Division, Shape};
use super::device::Card;
use super::tables::{self, Splines};
use super::{launch, packs, streams};
use crate::potential::painn::{Spec, Weights};

/// Under so many atoms, all products between two messages are made by clusters of blocks where that is possible.
const FEW_ATOMS: usize = 5000;
/// With so many strips of atoms for each cluster that there are multiprocessors for, clusters are still as fast as blocks that
/// have a strip to themselves.
const CLUSTERS_IN_USE: f64 = 1.75;
/// Atoms of a strip of the fused kernels.
const STRIP: usize = 16;
/// Clusters that are taken to fit on a card at once, one block on a multiprocessor, as a share of those that it has
/// multiprocessors for: these come in groups that a cluster does not cross, and that need not be whole.
const CLUSTERS_AT_ONCE: f64 = 0.75;
/// From so many rows of pairs on, the splines go to shared memory.
const STAGED_ROWS: usize = 512;
/// From so many atoms on, the atom-wise layers work in large tiles, unless they are fused.
const MANY_ATOMS: usize = 2200;
/// Up to so many atoms, tiles are halved so that there is one for each multiprocessor.
const HALF_TILES: usize = 100_000;
/// Warps of a message kernel that has its splines in shared memory, forward and backward: as many as registers last for.
const FORWARD_WARPS: usize = 24;
const BACKWARD_WARPS: usize = 12;
/// The message kernels for few atoms: blocks on a multiprocessor, and warps of a block forward and backward.
const SMALL_BLOCKS: usize = 2;
const SMALL_FORWARD_WARPS: usize = 12;
const SMALL_BACKWARD_WARPS: usize = 6;
/// Most teams, each a block of its own, that registers are shared out to on a multiprocessor.
const MOST_TEAMS: usize = 4;

/// How the kernels are chosen; `None` leaves it to the number of atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tuning {
    /// One kernel for all products between two messages, where that is possible.
    pub fused: Option<bool>,
    /// The same by blocks that have a strip of atoms to themselves, not by clusters, where that is possible.
    pub strips: Option<bool>,
    /// Warps that share an atom's row of pairs.
    pub team: Option<usize>,
    /// Tiles of many atoms in the atom-wise layers.
    pub tiled: Option<bool>,
    /// What the tiles are divided by, 1 or 2.
    pub shrink: Option<usize>,
    /// Splines in shared memory.
    pub staged: Option<bool>,
    /// Weights and, where `team` and `staged` say nothing, smaller splines in shared memory, as for few atoms.
    pub small: Option<bool>,
    /// For compute-sanitizer's racecheck: kernels run one after another, and each thread gives shared memory back for
    /// itself, since the tool does not follow one that does so for its warp. Slower, with the same results.
    pub watched: bool,
}

/// Kernels for a model and a number of atoms.
pub(super) fn choose(
    card: Card,
    spec: &Spec,
    weights: &Weights,
    atoms: usize,
    tuning: Tuning,
) -> Shape {
    let hidden = &weights.readout[..weights.readout.len() - 1];
    let features = tables::padded(spec.features);
    let head_out = hidden.first().map_or(0, |l| tables::padded(l.outputs));
    let stage = |weights| launch::stage_bytes(features, head_out, weights) <= card.shared;
    // Strips for each cluster that there are multiprocessors for.
    let clusters = card.processors as usize / packs::cluster(features);
    let load = atoms.div_ceil(STRIP) as f64 / clusters as f64;
    let stageable = card.capability >= 90
        && (hidden.len() == 1 && head_out <= features)
        && (tuning.tiled != Some(true) && tuning.fused != Some(false));
    let fusible = stageable && matches!(features, 32 | 64 | 128 | 256) && stage(false);
    let strippable = stageable
        && (features <= 128 && launch::strip_bytes(features) <= card.shared)
        && streams::suit(weights);
    let clustered = fusible && (load <= CLUSTERS_IN_USE || tuning.fused == Some(true));
    let division = if strippable && tuning.strips.unwrap_or(!clustered) {
        Division::Strips
    } else if fusible && tuning.fused.unwrap_or(atoms < FEW_ATOMS) {
        let small = tuning.small.unwrap_or(load <= CLUSTERS_AT_ONCE);
        Division::Clusters {
            shared_weights: small && stage(true),
        }
    } else if tuning.tiled.unwrap_or(atoms >= MANY_ATOMS) {
        let halved = if atoms < HALF_TILES { 2 } else { 1 };
        Division::Tiles {
            shrink: tuning.shrink.unwrap_or(halved),
        }
    } else {
        Division::Spread
    };
    let shape = Shape {
        features,
        layers: spec.layers,
        splines: Splines::of(spec, 3),
        heads: hidden.len(),
        head_out,
        head_max: (hidden.iter().flat_map(|l| [l.inputs, l.outputs]))
            .map(tables::padded)
            .max()
            .unwrap_or(0),
        division,
        forward_team: 1,
        backward_team: 1,
        message_blocks: 1,
        staged: false,
        forward_warps: FORWARD_WARPS,
        backward_warps: BACKWARD_WARPS,
        watched: tuning.watched,
    };
    let rows = atoms * (features / tables::SLICE);
    small_messages(card, spec, rows, tuning, &shape)
        .unwrap_or_else(|| messages(card, rows, tuning, shape))
}

/// Kernels of the messages for few rows of pairs, one for each atom and slice: blocks so small that one has room beside a
/// block of the stage before.
fn small_messages(
    card: Card,
    spec: &Spec,
    rows: usize,
    tuning: Tuning,
    shape: &Shape,
) -> Option<Shape> {
    let processors = card.processors as usize;
    let splines = Splines::of(spec, 5);
    let needs = launch::table_bytes(splines) + launch::team_bytes(SMALL_FORWARD_WARPS);
    let fits = SMALL_BLOCKS as u32 * needs <= card.shared;
    let wanted = tuning.team.is_none() && tuning.staged.is_none();
    if !(shape.division.shared_weights()
        && fits
        && wanted
        && tuning.small.unwrap_or(rows > processors))
    {
        return None;
    }
    let teams = rows.div_ceil(processors * SMALL_BLOCKS).max(3);
    Some(Shape {
        splines,
        staged: true,
        message_blocks: SMALL_BLOCKS,
        forward_warps: SMALL_FORWARD_WARPS,
        backward_warps: SMALL_BACKWARD_WARPS,
        forward_team: largest_divisor(SMALL_FORWARD_WARPS, teams),
        backward_team: largest_divisor(SMALL_BACKWARD_WARPS, teams),
        ..shape.clone()
    })
}

/// The largest divisor of so many warps of which so many teams can be made, or 1.
fn largest_divisor(warps: usize, teams: usize) -> usize {
    (1..=warps)
        .rev()
        .find(|team| warps.is_multiple_of(*team) && team * teams <= warps)
        .unwrap_or(1)
}

/// The same for any number of rows.
fn messages(card: Card, rows: usize, tuning: Tuning, shape: Shape) -> Shape {
    let processors = card.processors as usize;
    let table = launch::table_bytes(shape.splines);
    let staged = table <= card.shared && tuning.staged.unwrap_or(rows >= STAGED_ROWS);
    let teams_fit = !staged || table + launch::team_bytes(FORWARD_WARPS) <= card.shared;
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
        staged,
        forward_team: forward,
        backward_team: backward,
        message_blocks: if staged {
            1
        } else {
            rows.div_ceil(processors).clamp(1, MOST_TEAMS)
        },
        forward_warps: FORWARD_WARPS / forward * forward,
        backward_warps: BACKWARD_WARPS / backward.min(BACKWARD_WARPS) * backward,
        ..shape
    }
}

/// Warps for one atom's row, so that the atoms of each block, one for each multiprocessor, are taken in one turn by so
/// many warps.
fn team_for(processors: usize, rows: usize, warps: usize) -> usize {
    let fits = |team: &usize| rows.div_ceil(processors) * team <= warps;
    [4, 2].into_iter().find(fits).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::potential::painn::RadialBasis;

    const H100: Card = Card {
        capability: 90,
        processors: 132,
        shared: 232_448,
    };
    const A100: Card = Card {
        capability: 80,
        processors: 108,
        shared: 166_912,
    };

    fn model(features: usize) -> (Spec, Weights) {
        let spec = Spec::new(features, 3, RadialBasis::gaussian(20, 5.0), 5.0, &[1, 8]);
        let weights = Weights::random(&spec, 1);
        (spec, weights)
    }

    fn chosen(card: Card, (spec, weights): &(Spec, Weights), atoms: usize) -> Shape {
        choose(card, spec, weights, atoms, Tuning::default())
    }

    /// The division of the atom-wise layers by the number of atoms, where the limits were measured.
    #[test]
    fn divisions_follow_the_number_of_atoms() {
        let clusters = |shared_weights| Division::Clusters { shared_weights };
        let tiles = |shrink| Division::Tiles { shrink };
        for (card, features, atoms, expected) in [
            (H100, 128, 21, clusters(true)),
            (H100, 128, 192, clusters(true)),
            (H100, 128, 384, clusters(false)),
            (H100, 128, 448, clusters(false)),
            (H100, 128, 449, Division::Strips),
            (H100, 128, 1_000_000, Division::Strips),
            (H100, 96, 21, Division::Strips),
            (H100, 256, 1_536, clusters(false)),
            (H100, 256, 12_288, tiles(2)),
            (H100, 160, 192, Division::Spread),
            (A100, 128, 192, Division::Spread),
            (A100, 128, 12_288, tiles(2)),
            (A100, 128, 200_000, tiles(1)),
        ] {
            let shape = chosen(card, &model(features), atoms);
            assert_eq!(
                shape.division, expected,
                "{features} features, {atoms} atoms"
            );
        }
    }

    /// Halves with one unit do for matrices alike, not for one that is far below the others.
    #[test]
    fn strips_are_left_where_halves_are_too_coarse() {
        for (power, expected) in [(0, true), (-11, true), (-14, false)] {
            let (spec, mut weights) = model(128);
            let scale = 2.0_f64.powi(power);
            weights.layers[1]
                .mix
                .weight
                .iter_mut()
                .for_each(|w| *w *= scale);
            let shape = chosen(H100, &(spec, weights), 12_288);
            assert_eq!(shape.division == Division::Strips, expected, "2^{power}");
        }
    }

    /// Whatever is chosen has room in a block's shared memory, and whole teams of warps.
    #[test]
    fn choices_fit_the_card() {
        for features in [32, 64, 96, 128, 160, 256, 384] {
            let model = model(features);
            for card in [H100, A100] {
                for atoms in [1, 21, 102, 192, 384, 768, 5_000, 200_000] {
                    let shape = chosen(card, &model, atoms);
                    let table = launch::table_bytes(shape.splines);
                    let needs = match shape.division {
                        Division::Strips => launch::strip_bytes(features),
                        Division::Clusters { shared_weights } => {
                            launch::stage_bytes(features, shape.head_out, shared_weights)
                        }
                        _ => 0,
                    };
                    assert!(needs <= card.shared, "{shape:?}");
                    assert!(!shape.staged || table <= card.shared, "{shape:?}");
                    for [warps, team] in [shape.forward(), shape.backward()] {
                        assert!(!shape.staged || warps.is_multiple_of(team), "{shape:?}");
                    }
                }
            }
        }
    }
}
