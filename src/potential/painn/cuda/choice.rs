//! Which kernels suit a model, a number of atoms and a card.

use super::super::{Spec, Weights};
use super::division::{Division, STRIP, StageKernel};
use super::messages::{CUBIC, Messages, QUADRATIC, QUINTIC, Teams};
use super::numbers::CardNumbers;
use super::packs;
use super::streams;
use super::tables::{self, SLICE, Splines};
use crate::cuda::Card;

/// Under so many atoms, all products between two messages are made by clusters of blocks where that is possible.
const FEW_ATOMS: usize = 5000;
/// With so many strips of atoms for each cluster that there are multiprocessors for, clusters are still as fast as blocks that
/// have a strip to themselves.
const CLUSTERS_IN_USE: f64 = 1.75;
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
/// The same in 16 bits; forward where a warp has an atom to itself.
const NARROW_FORWARD_WARPS: usize = 32;
const NARROW_BACKWARD_WARPS: usize = 16;
/// The message kernels for few atoms: blocks on a multiprocessor, and warps of a block forward and backward.
const SMALL_BLOCKS: usize = 2;
const SMALL_FORWARD_WARPS: usize = 12;
const SMALL_BACKWARD_WARPS: usize = 6;
/// Most teams, each a block of its own, that registers are shared out to on a multiprocessor.
const MOST_TEAMS: usize = 4;

/// Most intervals of splines where a model needs no more, so many that they cost no time (1 % where few atoms leave a block
/// short of cache): of cubic ones beside sums of teams in shared memory; alone there, as many as fit. Of quintic ones for few
/// atoms.
const TEAM_INTERVALS: [usize; 2] = [480, 400];
const ALONE_INTERVALS: [usize; 3] = [592, 480, 400];
const SMALL_INTERVALS: usize = 108;
/// Of quadratic ones in 16 bits.
const NARROW_INTERVALS: [usize; 2] = [320, 240];
/// What a kernel has in shared memory besides (bytes).
const STATIC_BYTES: u32 = 1536;

/// Kernels of one kind or another: with the same choice, an atom's bits do not depend on how many others there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// How the atom-wise layers are divided.
    pub division: Division,
    /// How the messages are.
    pub messages: Messages,
    /// What is computed in.
    pub numbers: CardNumbers,
}

/// What a choice depends on.
struct Circumstances<'a> {
    card: Card,
    spec: &'a Spec,
    weights: &'a Weights,
    atoms: usize,
    features: usize,
    head_out: usize,
    /// Hidden layers of the readout.
    hidden: usize,
    numbers: CardNumbers,
}

impl Choice {
    /// The kernels that are fastest for a model and a number of atoms.
    pub fn for_card(
        card: Card,
        spec: &Spec,
        weights: &Weights,
        atoms: usize,
        numbers: CardNumbers,
    ) -> Self {
        let case = Circumstances::new(card, spec, weights, atoms, numbers);
        let division = case.division();
        let small = case
            .small_messages()
            .filter(|_| division.shared_weights() && case.rows() > case.processors());
        Self {
            division,
            messages: small.unwrap_or_else(|| case.messages()),
            numbers,
        }
    }

    /// Choices among which are all divisions and all kinds of messages that a model and a card allow, for tests.
    pub fn every(
        card: Card,
        spec: &Spec,
        weights: &Weights,
        atoms: usize,
        numbers: CardNumbers,
    ) -> Vec<Self> {
        let case = Circumstances::new(card, spec, weights, atoms, numbers);
        let (divisions, messages) = (case.divisions(), case.every_message());
        let count = divisions.len().max(messages.len());
        let divisions = divisions.into_iter().cycle();
        (divisions.zip(messages.into_iter().cycle()).take(count))
            .map(|(division, messages)| Self {
                division,
                messages,
                numbers,
            })
            .collect()
    }
}

impl<'a> Circumstances<'a> {
    fn new(
        card: Card,
        spec: &'a Spec,
        weights: &'a Weights,
        atoms: usize,
        numbers: CardNumbers,
    ) -> Self {
        let hidden = &weights.readout[..weights.readout.len().saturating_sub(1)];
        Self {
            card,
            spec,
            weights,
            atoms,
            features: tables::padded(spec.features),
            head_out: hidden.first().map_or(0, |l| tables::padded(l.outputs)),
            hidden: hidden.len(),
            numbers,
        }
    }

    fn processors(&self) -> usize {
        self.card.processors as usize
    }

    /// Rows of pairs: one for each atom and slice.
    fn rows(&self) -> usize {
        self.atoms * (self.features / SLICE)
    }

    fn has_room(&self, division: Division) -> bool {
        let stages = [
            StageKernel::Forward,
            StageKernel::Turn,
            StageKernel::Backward,
        ];
        stages.into_iter().all(|stage| {
            let bytes = division.stage_bytes(stage, self.features, self.head_out, self.numbers);
            bytes <= self.card.shared
        })
    }

    /// Whether a stage can be one kernel.
    fn stageable(&self) -> bool {
        self.card.capability >= 90 && self.hidden == 1 && self.head_out <= self.features
    }

    fn takes_clusters(&self, shared_weights: bool) -> bool {
        self.stageable()
            && matches!(self.features, 32 | 64 | 128 | 256)
            && self.has_room(Division::Clusters { shared_weights })
    }

    fn takes_strips(&self) -> bool {
        self.stageable()
            && self.features <= 128
            && self.has_room(Division::Strips { together: 1 })
            && (self.numbers != CardNumbers::Single || streams::suit(self.weights))
    }

    /// Whether two strips read weights together on the way back: in 16 bits, where there would be more blocks than
    /// multiprocessors.
    fn shares_weights(&self) -> bool {
        self.numbers.narrow() && self.atoms > STRIP * self.processors()
    }

    /// Strips for each cluster that there are multiprocessors for.
    fn load(&self) -> f64 {
        let clusters = self.processors() / packs::cluster(self.features);
        self.atoms.div_ceil(STRIP) as f64 / clusters as f64
    }

    fn division(&self) -> Division {
        let clusters = self.takes_clusters(false);
        if self.takes_strips() && !(clusters && self.load() <= CLUSTERS_IN_USE) {
            let together = if self.shares_weights() { 2 } else { 1 };
            Division::Strips { together }
        } else if clusters && self.atoms < FEW_ATOMS {
            Division::Clusters {
                shared_weights: self.load() <= CLUSTERS_AT_ONCE && self.takes_clusters(true),
            }
        } else if self.atoms >= MANY_ATOMS {
            let shrink = if self.atoms < HALF_TILES { 2 } else { 1 };
            Division::Tiles { shrink }
        } else {
            Division::Spread
        }
    }

    /// All that can be taken.
    fn divisions(&self) -> Vec<Division> {
        let clusters = [true, false].map(|shared_weights| Division::Clusters { shared_weights });
        let all = [
            (Division::Spread, true),
            (Division::Tiles { shrink: 1 }, true),
            (clusters[0], self.takes_clusters(true)),
            (Division::Strips { together: 1 }, self.takes_strips()),
            (
                Division::Strips { together: 2 },
                self.takes_strips() && self.numbers.narrow(),
            ),
            (clusters[1], self.takes_clusters(false)),
            (Division::Tiles { shrink: 2 }, true),
        ];
        let possible = all.into_iter().filter(|(_, possible)| *possible);
        possible.map(|(division, _)| division).collect()
    }

    /// Kernels of the messages for few rows of pairs: blocks so small that one has room beside a block of the stage before.
    fn small_messages(&self) -> Option<Messages> {
        let degree = match self.numbers.narrow() {
            true => QUADRATIC,
            false => QUINTIC,
        };
        let needs = self.table(degree, SMALL_INTERVALS) + team_bytes(SMALL_FORWARD_WARPS);
        if SMALL_BLOCKS as u32 * needs > self.card.shared {
            return None;
        }
        let teams = self
            .rows()
            .div_ceil(self.processors() * SMALL_BLOCKS)
            .max(3);
        let of = |warps| Teams {
            warps,
            team: largest_divisor(warps, teams),
        };
        Some(Messages::Staged {
            degree,
            most: SMALL_INTERVALS,
            forward: of(SMALL_FORWARD_WARPS),
            backward: of(SMALL_BACKWARD_WARPS),
            blocks: SMALL_BLOCKS,
        })
    }

    /// Kernels of the messages for any number of rows.
    fn messages(&self) -> Messages {
        let (rows, processors) = (self.rows(), self.processors());
        if rows >= STAGED_ROWS && self.stages_splines() {
            let [forward, backward] =
                [16, self.backward_warps()].map(|warps| team_for(processors, rows, warps));
            return self.staged(forward, backward);
        }
        // Backward a warp takes twice the registers.
        let team = |teams: usize| if rows <= teams * processors { 8 } else { 4 };
        self.direct(team(MOST_TEAMS), team(2))
    }

    /// Shared memory of a slice's splines (bytes), of at most so many intervals where the model needs no more.
    fn table(&self, degree: usize, most: usize) -> u32 {
        Splines::limited(self.spec, degree, most, self.numbers).bytes(self.numbers)
    }

    /// Degree of splines that take few reads.
    fn degree(&self) -> usize {
        match self.numbers.narrow() {
            true => QUADRATIC,
            false => CUBIC,
        }
    }

    fn stages_splines(&self) -> bool {
        self.table(self.degree(), 0) <= self.card.shared
    }

    /// Warps of a staged message kernel's block on the way back.
    fn backward_warps(&self) -> usize {
        match self.numbers.narrow() {
            true => NARROW_BACKWARD_WARPS,
            false => BACKWARD_WARPS,
        }
    }

    fn staged(&self, forward: usize, backward: usize) -> Messages {
        let teams_fit =
            self.table(self.degree(), 0) + team_bytes(FORWARD_WARPS) <= self.card.shared;
        let of = |warps: usize, team: usize| {
            let team = if teams_fit { team } else { 1 };
            Teams {
                warps: warps / team * team,
                team,
            }
        };
        let warps = match self.numbers.narrow() && forward == 1 {
            true => NARROW_FORWARD_WARPS,
            false => FORWARD_WARPS,
        };
        let (forward, backward) = (of(warps, forward), of(self.backward_warps(), backward));
        let alone = forward.team.max(backward.team) == 1;
        let fit = |most: &usize| {
            let teams = if alone { 0 } else { team_bytes(FORWARD_WARPS) };
            self.table(self.degree(), *most) + teams + STATIC_BYTES <= self.card.shared
        };
        let sizes = match (self.numbers.narrow(), alone) {
            (true, _) => &NARROW_INTERVALS[..],
            (_, true) => &ALONE_INTERVALS[..],
            _ => &TEAM_INTERVALS[..],
        };
        Messages::Staged {
            degree: self.degree(),
            most: sizes.iter().copied().find(fit).unwrap_or(0),
            forward,
            backward,
            blocks: 1,
        }
    }

    fn direct(&self, forward: usize, backward: usize) -> Messages {
        Messages::Direct {
            degree: self.degree(),
            forward,
            backward,
            blocks: (self.rows().div_ceil(self.processors())).clamp(1, MOST_TEAMS),
        }
    }

    fn every_message(&self) -> Vec<Messages> {
        let mut all = vec![self.direct(4, 4)];
        if self.stages_splines() {
            all.extend([self.staged(1, 1), self.staged(4, 4)]);
        }
        all.extend(self.small_messages());
        all.push(self.direct(8, 2));
        all
    }
}

/// Shared memory that a message kernel of so many warps uses besides the splines, where teams have several: four vectors of
/// a slice from each forward, six from half as many warps backward (bytes).
fn team_bytes(warps: usize) -> u32 {
    (warps * 4 * 8 * 16) as u32
}

/// The largest divisor of so many warps of which so many teams can be made, or 1.
fn largest_divisor(warps: usize, teams: usize) -> usize {
    (1..=warps)
        .rev()
        .find(|team| warps.is_multiple_of(*team) && team * teams <= warps)
        .unwrap_or(1)
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

    fn chosen(card: Card, (spec, weights): &(Spec, Weights), atoms: usize) -> Choice {
        Choice::for_card(card, spec, weights, atoms, CardNumbers::Single)
    }

    /// The division of the atom-wise layers by the number of atoms, where the limits were measured.
    #[test]
    fn divisions_follow_the_number_of_atoms() {
        let clusters = |shared_weights| Division::Clusters { shared_weights };
        let tiles = |shrink| Division::Tiles { shrink };
        let strips = Division::Strips { together: 1 };
        for (card, features, atoms, expected) in [
            (H100, 128, 21, clusters(true)),
            (H100, 128, 192, clusters(true)),
            (H100, 128, 384, clusters(false)),
            (H100, 128, 448, clusters(false)),
            (H100, 128, 449, strips),
            (H100, 128, 1_000_000, strips),
            (H100, 96, 21, strips),
            (H100, 256, 1_536, clusters(false)),
            (H100, 256, 12_288, tiles(2)),
            (H100, 160, 192, Division::Spread),
            (A100, 128, 192, Division::Spread),
            (A100, 128, 12_288, tiles(2)),
            (A100, 128, 200_000, tiles(1)),
        ] {
            let choice = chosen(card, &model(features), atoms);
            assert_eq!(
                choice.division, expected,
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
            let choice = chosen(H100, &(spec, weights), 12_288);
            assert_eq!(choice.division.by_strips(), expected, "2^{power}");
        }
    }

    /// The messages by the number of atoms, where the limits were measured.
    #[test]
    fn messages_follow_the_number_of_atoms() {
        let model = model(128);
        let few = chosen(H100, &model, 9).messages;
        let (forward, backward, blocks) = (8, 8, 1);
        assert_eq!(
            few,
            Messages::Direct {
                degree: CUBIC,
                forward,
                backward,
                blocks
            }
        );
        let small = chosen(H100, &model, 192).messages;
        assert_eq!((small.degree(), small.blocks()), (5, 2));
        let many = chosen(H100, &model, 12_288).messages;
        assert_eq!((many.degree(), many.blocks()), (3, 1));
        let one = |warps| Teams { warps, team: 1 };
        assert_eq!(many.teams(), (one(24), one(12)));
    }

    /// Whatever is chosen has room in a block's shared memory, and whole teams of warps.
    #[test]
    fn choices_fit_the_card() {
        for features in [32, 64, 96, 128, 160, 256, 384] {
            let model = model(features);
            let (spec, weights) = &model;
            for card in [H100, A100] {
                for atoms in [1, 21, 102, 192, 384, 768, 5_000, 200_000] {
                    let mut all = Choice::every(card, spec, weights, atoms, CardNumbers::Single);
                    all.push(chosen(card, &model, atoms));
                    for choice in all {
                        let head_out = tables::padded(features / 2);
                        let needs = choice.division.stage_bytes(
                            StageKernel::Backward,
                            features,
                            head_out,
                            choice.numbers,
                        );
                        assert!(needs <= card.shared, "{choice:?}");
                        let messages = choice.messages;
                        let table =
                            Splines::of(spec, messages, choice.numbers).bytes(choice.numbers);
                        assert!(!messages.staged() || table <= card.shared, "{choice:?}");
                        let (forward, backward) = messages.teams();
                        for Teams { warps, team } in [forward, backward] {
                            assert!(warps.is_multiple_of(team), "{choice:?}");
                        }
                    }
                }
            }
        }
    }

    /// Every division and every kind of messages is among all choices.
    #[test]
    fn all_kinds_occur() {
        let (spec, weights) = model(128);
        let all = Choice::every(H100, &spec, &weights, 100, CardNumbers::Single);
        let counts = |kinds: Vec<String>| {
            let mut kinds = kinds;
            kinds.sort();
            kinds.dedup();
            kinds.len()
        };
        let divisions = all.iter().map(|c| format!("{:?}", c.division)).collect();
        let messages = all.iter().map(|c| format!("{:?}", c.messages)).collect();
        assert_eq!((counts(divisions), counts(messages)), (6, 5));
    }
}
