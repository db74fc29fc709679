//! The arrays of one system, made when sizes are first known and kept from call to call.

use crate::neighbors::Pairs;
use crate::potential::Evaluation;
use crate::potential::painn::Spec;

use super::ATOMS_PER_BLOCK;
use super::lane::Real;
use super::memory::Aligned;
use super::network::Network;
use super::rows::{Metric, PairRows};
use super::stages::{self, Stage};
use super::view::{Saved, View};

/// Least memory (bytes) of a [`Workspace`] for its scratch arrays on one thread, each atom and each pair.
pub(super) fn bytes_needed<T: Real>(spec: &Spec) -> [usize; 3] {
    let layers = spec.layers;
    // Features, vectors, senders, what is saved, gradients, contexts: as in `Workspace::new`.
    let numbers = 2 + 3 + layers.saturating_sub(1) * 6 + layers * Saved::COUNT + 2 * 4 + 3;
    let [atom, pair] = PairRows::<T>::bytes_needed();
    let feature = spec.features * size_of::<T>();
    // Hidden, wide and mixed.
    let scratch = (1 + 3 + 6) * ATOMS_PER_BLOCK * feature;
    [scratch, atom + numbers * feature, pair]
}

/// See [`View`] for the shapes.
pub(super) struct Workspace<T> {
    pub(super) rows: PairRows<T>,
    programs: [Vec<Stage>; 2],
    features: Aligned<T>,
    vectors: Aligned<T>,
    senders: Aligned<T>,
    saved: Aligned<T>,
    gradients: [Aligned<T>; 2],
    contexts: Aligned<T>,
    hidden: Aligned<T>,
    wide: Aligned<T>,
    mixed: Aligned<T>,
    readout: Aligned<T>,
    readout_back: Aligned<T>,
}

impl<T: Real> Workspace<T> {
    /// For atoms with these species indices, on up to so many threads.
    pub(super) fn new(network: &Network<T>, species: Vec<u32>, threads: usize) -> Self {
        let atoms = species.len();
        // Atoms that are not chained are fewer than these.
        let scratch = threads * ATOMS_PER_BLOCK;
        let per_atom = atoms * network.features;
        let layers = network.layers.len();
        Self {
            rows: PairRows::new(species),
            programs: [false, true].map(|chained| stages::program(layers, chained)),
            features: Aligned::zeros(2 * per_atom),
            vectors: Aligned::zeros(3 * per_atom),
            senders: Aligned::zeros((layers - 1) * 6 * per_atom),
            saved: Aligned::zeros(layers * Saved::COUNT * per_atom),
            gradients: [(); 2].map(|()| Aligned::zeros(4 * per_atom)),
            contexts: Aligned::zeros(3 * per_atom),
            hidden: Aligned::zeros(scratch * network.features),
            wide: Aligned::zeros(3 * scratch * network.features),
            mixed: Aligned::zeros(6 * scratch * network.features),
            readout: Aligned::zeros(scratch * network.readout.size),
            readout_back: Aligned::zeros(scratch * network.readout.size),
        }
    }

    /// Most stages of an evaluation.
    pub(super) fn stages(&self) -> usize {
        self.programs.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// What tasks see, and the stages to run, of so many blocks of atoms which are chained or not (see [`stages::cut`]).
    pub(super) fn view<'a>(
        &'a mut self,
        network: &'a Network<T>,
        pairs: &'a Pairs,
        (atom_blocks, chained): (usize, bool),
        scale: f64,
        out: &'a mut Evaluation,
    ) -> (View<'a, T>, &'a [Stage]) {
        let metric = Metric {
            cutoff: network.cutoff,
            intervals: network.layers[0].filter.intervals,
            soft: 0.0,
            scale,
        };
        let [even, odd] = &mut self.gradients;
        let view = View {
            network,
            rows: self.rows.view(pairs, metric, out),
            atom_blocks,
            features: self.features.shared(),
            vectors: self.vectors.shared(),
            senders: self.senders.shared(),
            saved: self.saved.shared(),
            gradients: [even.shared(), odd.shared()],
            contexts: self.contexts.shared(),
            hidden: self.hidden.shared(),
            wide: self.wide.shared(),
            mixed: self.mixed.shared(),
            readout: self.readout.shared(),
            readout_back: self.readout_back.shared(),
        };
        (view, &self.programs[usize::from(chained)])
    }
}
