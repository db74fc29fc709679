//! How fast smaller and larger networks are: random weights of several widths and layers, beside the models that are named.

use super::super::{Job, Workshop};
use super::cell;
use super::clock::SuiteClock;
use super::row::StudentRow;
use super::system::GuideSystem;
use crate::assemble::{Model, ModelKind};
use crate::config::plan::DevicePlan;
use crate::core::elements;
use crate::potential::Precision;
use crate::potential::painn::{RadialBasis, Spec, Weights};

/// Features and layers of the sweep.
pub(super) const WIDTHS: [usize; 5] = [32, 64, 96, 128, 256];
pub(super) const LAYERS: [usize; 3] = [2, 3, 4];
/// Radial functions and range (angstrom), as the models inside the program have.
const FUNCTIONS: usize = 20;
const CUTOFF: f64 = 5.0;
/// Filters are so much smaller than random ones would be: sums over neighbours grow little from layer to layer then, as in a
/// trained model.
const FILTER: f64 = 0.2;
/// Seconds that have to be left for one of them, and what is said where they are not.
const LEAST: f64 = 5.0;
const NO_TIME: &str = "no time was left";

/// What is swept on.
pub(super) struct Sweep<'a> {
    pub(super) workshop: &'a dyn Workshop,
    pub(super) system: &'a GuideSystem,
    pub(super) device: DevicePlan,
    pub(super) precision: Precision,
    pub(super) rebuild_every: u64,
    pub(super) samples: usize,
}

impl Sweep<'_> {
    /// Times random weights of each width and number of layers, as long as there is time.
    pub(super) fn random(
        &self,
        clock: &SuiteClock,
        mut tell: impl FnMut(String),
    ) -> Vec<StudentRow> {
        let mut rows = Vec::new();
        for layers in LAYERS {
            for features in WIDTHS {
                tell(format!("random weights, {layers} layers of {features}"));
                let model = random_model(features, layers, &self.system.start.system.species);
                let mut row = self.blank(&model);
                self.time(&model, clock, &mut row);
                rows.push(row);
            }
        }
        rows
    }

    /// Times a model that is named.
    pub(super) fn named(&self, name: &str, model: &Model, clock: &SuiteClock) -> StudentRow {
        let mut row = StudentRow {
            model: Some(name.to_owned()),
            ..self.blank(model)
        };
        self.time(model, clock, &mut row);
        row
    }

    fn blank(&self, model: &Model) -> StudentRow {
        let [features, layers, parameters] = size_of(model);
        StudentRow {
            model: None,
            features,
            layers,
            parameters,
            atoms: self.system.atoms(),
            precision: self.precision.to_string(),
            median_ms: None,
            min_ms: None,
            max_ms: None,
            apart_from_first_ev_per_angstrom: None,
            why: Vec::new(),
        }
    }

    fn time(&self, model: &Model, clock: &SuiteClock, row: &mut StudentRow) {
        if !clock.has(LEAST) {
            row.why.push(NO_TIME.to_owned());
            return;
        }
        let job = Job {
            model,
            precision: self.precision,
            device: self.device,
            skin: super::super::SKIN,
            start: &self.system.start,
        };
        match cell::latency(self.workshop, &job, self.rebuild_every, self.samples) {
            Ok(times) => {
                row.median_ms = Some(times.median);
                row.min_ms = Some(times.min);
                row.max_ms = Some(times.max);
            }
            Err(e) => row.why.push(e.to_string()),
        }
    }
}

/// Features, layers and trained numbers of a model; zeros of one that has none.
pub(super) fn size_of(model: &Model) -> [usize; 3] {
    match &model.members[0] {
        ModelKind::Painn { spec, weights, .. } => {
            [spec.features, spec.layers, weights.parameters()]
        }
        ModelKind::Network { read, .. } => {
            let facts = read.network.facts();
            [facts.features, facts.layers, facts.parameters]
        }
        ModelKind::LennardJones { .. } | ModelKind::Socket(_) => [0; 3],
    }
}

/// A network of random weights for some atoms.
fn random_model(features: usize, layers: usize, species: &[u8]) -> Model {
    let basis = RadialBasis::gaussian(FUNCTIONS, CUTOFF);
    let spec = Spec::new(features, layers, basis, CUTOFF, &elements::kinds(species));
    let mut weights = Weights::random(&spec, (10 * features + layers) as u32);
    for layer in &mut weights.layers {
        let numbers = (layer.filter.weight.iter_mut()).chain(&mut layer.filter.bias);
        numbers.for_each(|x| *x *= FILTER);
    }
    Model {
        members: vec![ModelKind::of_weights(spec, weights, "random weights")],
        repulsion: None,
    }
}

/// The rows of a table of layers by widths.
pub(super) fn grid(rows: &[StudentRow]) -> Vec<(usize, Vec<Option<f64>>)> {
    let random = |layers: usize, features: usize| {
        (rows.iter())
            .filter(|row| row.model.is_none())
            .find(|row| (row.layers, row.features) == (layers, features))
            .and_then(|row| row.median_ms)
    };
    let row = |layers: usize| (layers, WIDTHS.map(|width| random(layers, width)).to_vec());
    LAYERS.map(row).to_vec()
}
