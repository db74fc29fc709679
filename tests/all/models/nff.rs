//! Neural Force Field's layout: blocks in another order, learned frequencies, an excluded volume.

use std::f64::consts::PI;

use mdrun::Error;
use mdrun::convert::{Converted, ModelAnswers};
use mdrun::potential::painn::{Linear, RadialBasis, Spec, Weights, export, import, import_noted};

use super::convert::{ZIP, answers, converted};
use super::layouts::{Module, dense, list};
use super::pickled::{Array, Py, dict, save, text};
use crate::parity::model_file::{File as ModelFile, small};

const CUTOFF: f64 = 4.0;
/// 1e-15 for each of three components.
const EPSILON: f64 = 3e-15;

/// The scalar, direction and vector parts of a message stand behind the vector part's place here: which block of Neural Force
/// Field's has SchNetPack's first, second and third.
const MESSAGE: [usize; 3] = [1, 2, 0];
const UPDATE: [usize; 3] = [2, 0, 1];

fn model() -> (Spec, Weights) {
    let basis = RadialBasis::bessel(6, CUTOFF);
    let spec = Spec {
        epsilon: vec![EPSILON; 2],
        ..Spec::new(8, 2, basis, CUTOFF, &[1, 8, 9])
    };
    let weights = Weights::random(&spec, 3);
    (spec, weights)
}

/// A layer whose blocks of rows are brought to the places that `order` has for them.
fn moved(linear: &Linear, order: [usize; 3]) -> Linear {
    let mut moved = linear.clone();
    let (rows, block) = (linear.outputs / 3, linear.outputs / 3 * linear.inputs);
    for (k, to) in order.into_iter().enumerate() {
        moved.weight[to * block..(to + 1) * block]
            .copy_from_slice(&linear.weight[k * block..(k + 1) * block]);
        moved.bias[to * rows..(to + 1) * rows]
            .copy_from_slice(&linear.bias[k * rows..(k + 1) * rows]);
    }
    moved
}

fn own(linear: &Linear, active: bool) -> Py {
    let swish = active.then(|| Module::new("nff.nn.activations.Swish").into());
    match swish {
        Some(swish) => dense("nff.nn.layers.Dense", linear, Some(swish)),
        None => dense("nff.nn.layers.Dense", linear, Some(Py::None)),
    }
}

/// A model to be pickled, and what can be changed in it.
struct File {
    /// Multiples of pi / cutoff of each layer.
    multiples: Vec<Vec<f64>>,
    learned: bool,
    excluded: bool,
    skip: bool,
    pool: &'static str,
    outputs: Vec<&'static str>,
}

impl File {
    fn plain() -> Self {
        let n: Vec<f64> = (1..=6).map(f64::from).collect();
        Self {
            multiples: vec![n.clone(), n],
            learned: false,
            excluded: true,
            skip: false,
            pool: "nff.nn.modules.schnet.SumPool",
            outputs: vec!["energy"],
        }
    }

    fn bytes(&self, model: &(Spec, Weights)) -> Vec<u8> {
        save(&self.module(model), ZIP)
    }

    fn module(&self, (spec, weights): &(Spec, Weights)) -> Py {
        let message = |l: usize| {
            let layer = &weights.layers[l];
            let n = Array::single(&[self.multiples[l].len()], &self.multiples[l]);
            let basis =
                Module::new("nff.nn.layers.PainnRadialBasis").with("cutoff", Py::Float(CUTOFF));
            let basis = match self.learned {
                true => basis.parameter("n", n),
                false => basis.with("n", Py::Tensor(n)),
            };
            let block = vec![basis.into(), own(&moved(&layer.filter, MESSAGE), false)];
            let envelope =
                Module::new("nff.nn.layers.CosineEnvelope").with("cutoff", Py::Float(CUTOFF));
            let net = vec![
                own(&layer.context[0], true),
                own(&moved(&layer.context[1], MESSAGE), false),
            ];
            let inner = Module::new("nff.nn.modules.painn.InvariantMessage")
                .child(
                    "inv_dense",
                    Module::new("nff.nn.modules.painn.InvariantDense").child("layers", list(net)),
                )
                .child(
                    "dist_embed",
                    Module::new("nff.nn.modules.painn.DistanceEmbed")
                        .child("block", list(block))
                        .child("f_cut", envelope),
                );
            Module::new("nff.nn.modules.painn.MessageBlock")
                .child("inv_message", inner)
                .into()
        };
        let update = |l: usize| {
            let layer = &weights.layers[l];
            let f = spec.features;
            let half = |k: usize| Linear {
                inputs: f,
                outputs: f,
                weight: layer.mix.weight[k * f * f..(k + 1) * f * f].to_vec(),
                bias: Vec::new(),
            };
            let net = vec![
                own(&layer.update[0], true),
                own(&moved(&layer.update[1], UPDATE), false),
            ];
            Module::new("nff.nn.modules.painn.UpdateBlock")
                .child("u_mat", own(&half(1), false))
                .child("v_mat", own(&half(0), false))
                .child("s_dense", list(net))
                .into()
        };
        let rows = weights.embedding.len() / spec.features;
        let embedding = Module::new("torch.nn.modules.sparse.Embedding").parameter(
            "weight",
            Array::single(&[rows, spec.features], &weights.embedding),
        );
        let readout = || {
            list(vec![
                own(&weights.readout[0], true),
                own(&weights.readout[1], false),
            ])
        };
        let mut heads = Module::new("torch.nn.modules.container.ModuleDict");
        for name in &self.outputs {
            heads = heads.child(name, readout());
        }
        let shift = Module::new("nff.nn.modules.schnet.ScaleShift")
            .with("means", dict(vec![("energy", Py::Float(-2.0))]))
            .with("stddevs", dict(vec![("energy", Py::Float(0.5))]));
        let block = Module::new("nff.nn.modules.painn.ReadoutBlock")
            .child("readoutdict", heads)
            .child("scale_shift", shift);
        let pool = Py::from(Module::new(self.pool));
        Module::new("nff.nn.models.painn.Painn")
            .child(
                "embed_block",
                Module::new("nff.nn.modules.painn.EmbeddingBlock").child("atom_embed", embedding),
            )
            .child("message_blocks", list(vec![message(0), message(1)]))
            .child("update_blocks", list(vec![update(0), update(1)]))
            .child("readout_blocks", list(vec![block.into()]))
            .with("excl_vol", Py::Bool(self.excluded))
            .with("power", Py::Int(12))
            .with("sigma", Py::Float(1.5))
            .with("output_keys", Py::List(vec![text("energy")]))
            .with("skip", dict(vec![("energy", Py::Bool(self.skip))]))
            .with("pool_dic", dict(vec![("energy", pool)]))
            .with("compute_delta", Py::Bool(false))
            .with("cutoff", Py::Float(CUTOFF))
            .into()
    }
}

fn read(file: &File) -> Result<Converted, Error> {
    converted(&file.bytes(&model()), &answers())
}

#[test]
fn blocks_come_to_their_places() {
    let (spec, weights) = model();
    let found = read(&File::plain()).unwrap().model;
    assert!(found.weights == weights, "weights differ");
    assert_eq!(found.spec.epsilon, spec.epsilon);
    assert_eq!(found.spec.cutoff, CUTOFF);
    let RadialBasis::Bessel { frequencies, scale } = &found.spec.basis else {
        panic!("{:?}", found.spec.basis);
    };
    assert_eq!(*scale, 1.0);
    for (k, frequency) in frequencies.iter().enumerate() {
        assert_eq!(*frequency, (k + 1) as f64 * PI / CUTOFF);
    }
    // Its scale and shift are of the network's energy alone.
    let unit = 2.0 * found.spec.energy_scale;
    assert!((found.spec.mean_per_atom + 2.0 * unit).abs() < 1e-12);
    let law = found.repulsion.unwrap();
    assert_eq!(law.shape(), (1.5, 12));
    // Each direction of a pair adds one unit.
    assert!(
        (mdrun::potential::pair::PairEnergy::at(&law, [1, 1], 1.5).0 - 2.0 * unit).abs() < 1e-15
    );
    // What comes out is read as it is, and keeps it.
    let bytes = read(&File::plain()).unwrap().bytes;
    let again = converted(&bytes, &ModelAnswers::default()).unwrap().model;
    assert_eq!(again.repulsion, Some(law));
    assert_eq!(again.spec.energy_scale, found.spec.energy_scale);
    let without = File {
        excluded: false,
        ..File::plain()
    };
    assert_eq!(read(&without).unwrap().model.repulsion, None);
}

/// Where each layer has learned frequencies of its own, they stand one after another, and each layer's filter is the same
/// function of the distance as before.
#[test]
fn every_layer_keeps_its_own_frequencies() {
    let file = File {
        multiples: vec![
            vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            vec![1.25, 2.0, 2.75, 4.5, 5.0, 6.5],
        ],
        learned: true,
        ..File::plain()
    };
    let found = read(&file).unwrap().model;
    assert_eq!(found.spec.basis.len(), 12);
    let weights = model().1;
    for (l, multiples) in file.multiples.iter().enumerate() {
        let (own, filter) = (&weights.layers[l].filter, &found.weights.layers[l].filter);
        assert_eq!(filter.inputs, 12);
        for d in [0.7, 1.3, 2.9, 3.99] {
            for o in 0..filter.outputs {
                let sine = |n: &f64| (n * PI / CUTOFF * d).sin() / d;
                let weights = &own.weight[o * 6..(o + 1) * 6];
                let expected: f64 = weights
                    .iter()
                    .zip(multiples)
                    .map(|(w, n)| w * sine(n))
                    .sum();
                let value =
                    (0..12).map(|k| filter.weight[o * 12 + k] * found.spec.basis.evaluate(k, d)[0]);
                let value: f64 = value.sum();
                assert!(
                    (value - expected).abs() < 1e-13,
                    "{l} {o} {d}: {value} {expected}"
                );
            }
        }
        assert_eq!(filter.bias, own.bias);
    }
}

#[test]
fn what_is_not_built_in_is_refused() {
    let refused = |file: File, answers: &ModelAnswers, says: &str| {
        let message = converted(&file.bytes(&model()), answers)
            .unwrap_err()
            .to_string();
        assert!(message.contains(says), "no {says:?} in: {message}");
    };
    let skip = File {
        skip: true,
        ..File::plain()
    };
    refused(skip, &answers(), "'skip'");
    let mean = File {
        pool: "nff.nn.modules.schnet.MeanPool",
        ..File::plain()
    };
    refused(mean, &answers(), "MeanPool");
    let two = || File {
        outputs: vec!["energy", "charge"],
        ..File::plain()
    };
    refused(two(), &answers(), "--head energy");
    let chosen = ModelAnswers {
        head: Some("energy".into()),
        ..answers()
    };
    let found = converted(&two().bytes(&model()), &chosen).unwrap();
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.contains("'charge' is left out"))
    );
}

/// A repulsion in the metadata is positive and whole, and a reader of the network alone does not lose it.
#[test]
fn a_repulsion_in_the_metadata_is_checked() {
    let file = |value: &str| {
        let file = ModelFile::open(&export(&small().0, &small().1).unwrap());
        let painn = file.metadata["painn"].replacen('{', &format!("{{\"repulsion\": {value}, "), 1);
        file.set("painn", &painn).bytes()
    };
    let good = file("{\"energy_eV\": 0.25, \"sigma\": 1.5, \"power\": 12}");
    let law = import_noted(&good, "m").unwrap().repulsion.unwrap();
    assert_eq!((law.energy(), law.shape()), (0.5, (1.5, 12)));
    let alone = import(&good, "m").unwrap_err().to_string();
    assert!(alone.contains("repulsion"), "{alone}");
    for bad in [
        "12",
        "{\"sigma\": 1.5, \"power\": 12}",
        "{\"energy_eV\": -1, \"sigma\": 1.5, \"power\": 12}",
        "{\"energy_eV\": 1, \"sigma\": 0, \"power\": 12}",
        "{\"energy_eV\": 1, \"sigma\": 1.5, \"power\": 65}",
        "{\"energy_eV\": 1, \"sigma\": 1.5, \"power\": 12, \"end\": 2}",
    ] {
        let message = import_noted(&file(bad), "m").unwrap_err().to_string();
        assert!(message.contains("'repulsion'"), "{bad}: {message}");
    }
}
