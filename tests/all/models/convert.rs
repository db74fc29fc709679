//! What is read of SchNetPack's modules, state dicts and checkpoints, what is asked, and what is refused.

use std::path::Path;

use mdrun::Error;
use mdrun::convert::{Converted, ModelAnswers, convert};
use mdrun::potential::painn::{RadialBasis, Spec, Weights};

use super::layouts::{MEAN, Module, SchNetPack, atomwise, cast, offsets, state_of};
use super::pickled::{Array, CONTAINERS, Container, Py, dict, save, text};
use crate::parity::model_file::{File, small};

pub const ZIP: Container = Container::Zip(2);

/// eV per kcal/mol, from the definitions of the calorie, the mole and the electronvolt.
const KCAL_PER_MOL: f64 = 4184.0 / 6.022_140_76e23 / 1.602_176_634e-19;

/// Everything that a whole module does not say.
pub fn answers() -> ModelAnswers {
    ModelAnswers {
        energy_unit: Some("kcal/mol".into()),
        length_unit: Some("angstrom".into()),
        elements: Some("H,O,F".into()),
        ..ModelAnswers::default()
    }
}

/// Everything that a state dict does not say.
pub fn all_answers() -> ModelAnswers {
    ModelAnswers {
        epsilon: Some(1e-8),
        activation: Some("silu".into()),
        offsets: Some("added".into()),
        ..answers()
    }
}

pub fn converted(bytes: &[u8], answers: &ModelAnswers) -> Result<Converted, Error> {
    convert(
        bytes,
        Path::new("best_model"),
        Path::new("out.safetensors"),
        answers,
    )
}

/// What a file is refused with.
#[track_caller]
fn refusal(bytes: &[u8], answers: &ModelAnswers) -> String {
    match converted(bytes, answers) {
        Err(Error::Input(message)) => {
            assert!(!message.contains('\n'), "{message}");
            message
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[track_caller]
pub fn refused(bytes: &[u8], answers: &ModelAnswers, parts: &[&str]) {
    let message = refusal(bytes, answers);
    for part in parts {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}

/// The small model as it should come out, in eV.
fn expected() -> (Spec, Weights) {
    let (spec, weights) = small();
    let spec = Spec {
        energy_scale: KCAL_PER_MOL,
        mean_per_atom: MEAN * KCAL_PER_MOL,
        basis: stored(&spec.basis),
        ..spec
    };
    (spec, weights)
}

/// A basis as it is stored in 32 bits.
fn stored(basis: &RadialBasis) -> RadialBasis {
    let single = |list: &[f64]| list.iter().map(|x| f64::from(*x as f32)).collect();
    match basis {
        RadialBasis::Gaussian { centers, widths } => RadialBasis::Gaussian {
            centers: single(centers),
            widths: single(widths),
        },
        other => other.clone(),
    }
}

#[track_caller]
fn same(found: &Converted, (spec, weights): &(Spec, Weights)) {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-15 * a.abs().max(b.abs());
    let model = &found.model;
    assert!(close(model.spec.energy_scale, spec.energy_scale));
    assert!(close(model.spec.mean_per_atom, spec.mean_per_atom));
    let exact = Spec {
        energy_scale: spec.energy_scale,
        mean_per_atom: spec.mean_per_atom,
        ..model.spec.clone()
    };
    assert_eq!(exact, *spec);
    assert!(model.weights == *weights, "weights differ");
    assert_eq!(model.repulsion, None);
}

#[test]
fn a_whole_module_is_read_from_every_container() {
    let model = small();
    let module = SchNetPack::of(&model).module(&model);
    for container in CONTAINERS {
        let found = converted(&save(&module, container), &answers()).unwrap();
        same(&found, &expected());
        assert!(found.what.contains("SchNetPack 2.2.0"), "{}", found.what);
        // What comes out says everything.
        let again = converted(&found.bytes, &ModelAnswers::default()).unwrap();
        same(&again, &expected());
    }
}

#[test]
fn everything_that_is_missing_is_asked_for_at_once_with_the_command() {
    let model = small();
    let bytes = save(&SchNetPack::of(&model).module(&model), ZIP);
    refused(
        &bytes,
        &ModelAnswers::default(),
        &[
            "the unit of its energies",
            "that of its distances",
            "the elements",
            "mdrun model convert best_model out.safetensors --energy-unit UNIT --length-unit UNIT --elements LIST",
        ],
    );
    let some = ModelAnswers {
        elements: None,
        ..answers()
    };
    refused(
        &bytes,
        &some,
        &[
            "best_model out.safetensors --energy-unit kcal/mol --length-unit angstrom --elements LIST",
        ],
    );
    let state = Py::Ordered(state_of(&SchNetPack::of(&model).module(&model), ""));
    refused(
        &save(&state, ZIP),
        &ModelAnswers::default(),
        &[
            "--epsilon 1e-8 --activation silu --offsets added --energy-unit UNIT --length-unit UNIT --elements LIST",
        ],
    );
    // The command is not one that can be typed as it stands: no unit is guessed.
    for wrong in ["UNIT", "kcal", "eV/A"] {
        let typed = ModelAnswers {
            energy_unit: Some(wrong.into()),
            ..answers()
        };
        refused(&bytes, &typed, &["--energy-unit", "not known"]);
    }
    for (wrong, says) in [("LIST", "no element"), ("H,H", "twice"), ("", "no element")] {
        let typed = ModelAnswers {
            elements: Some(wrong.into()),
            ..answers()
        };
        refused(&bytes, &typed, &["--elements", says]);
    }
}

#[test]
fn state_dicts_and_safetensors_without_metadata_are_read() {
    let model = small();
    let state = state_of(&SchNetPack::of(&model).module(&model), "");
    for container in CONTAINERS {
        let bytes = save(&Py::Ordered(state.clone()), container);
        same(&converted(&bytes, &all_answers()).unwrap(), &expected());
    }
    let prefixed = state_of(&SchNetPack::of(&model).module(&model), "module.");
    let bytes = save(&Py::Ordered(prefixed), ZIP);
    same(&converted(&bytes, &all_answers()).unwrap(), &expected());
    let mut bare = File::schnetpack().tensor("representation.cutoff_fn.cutoff", &[1], &[4.0]);
    bare.metadata.clear();
    let left_out = ModelAnswers {
        offsets: None,
        ..all_answers()
    };
    let found = converted(&bare.bytes(), &left_out).unwrap();
    assert!(found.model.weights == model.1);
    assert_eq!(found.model.spec.cutoff, 4.0);
    refused(
        &bare.bytes(),
        &ModelAnswers::default(),
        &["without hyper-parameters", "mdrun model convert"],
    );
    // A cutoff that is not stored is asked for, and one that is has to agree.
    let bare = bare.without("representation.cutoff_fn.cutoff");
    refused(&bare.bytes(), &left_out, &["--cutoff X"]);
    let said = ModelAnswers {
        cutoff: Some(4.0),
        ..left_out
    };
    assert_eq!(
        converted(&bare.bytes(), &said).unwrap().model.spec.cutoff,
        4.0
    );
}

/// A checkpoint of Lightning, with averaged weights beside the plain ones.
#[test]
fn checkpoints_have_the_weights_that_are_asked_for() {
    let (plain, averaged) = (small(), (small().0, Weights::random(&small().0, 9)));
    let state = |model: &(Spec, Weights), prefix: &str| {
        state_of(&SchNetPack::of(model).module(model), prefix)
    };
    let parameters = state(&averaged, "").into_iter().filter(|(name, _)| {
        let Py::Text(name) = name else { return false };
        !["widths", "offsets", "cutoff", "mean", "atomref"]
            .iter()
            .any(|buffer| name.ends_with(buffer))
    });
    let shadow = Py::List(parameters.map(|(_, tensor)| tensor).collect());
    let ema = dict(vec![(
        "ema",
        dict(vec![("decay", Py::Float(0.99)), ("shadow_params", shadow)]),
    )]);
    let checkpoint = |hyper: Py| {
        dict(vec![
            ("epoch", Py::Int(3)),
            ("pytorch-lightning_version", text("2.1")),
            ("state_dict", Py::Ordered(state(&plain, "model."))),
            (
                "callbacks",
                dict(vec![("ExponentialMovingAverage", ema.clone())]),
            ),
            ("optimizer_states", Py::List(Vec::new())),
            ("hyper_parameters", hyper),
        ])
    };
    let bare = save(&checkpoint(dict(vec![("lr", Py::Float(1e-3))])), ZIP);
    refused(&bare, &all_answers(), &["averaged", "--weights ema"]);
    let whole = dict(vec![("model", SchNetPack::of(&plain).module(&plain))]);
    let whole = save(&checkpoint(whole), ZIP);
    for (bytes, answers) in [(&bare, all_answers()), (&whole, answers())] {
        for (name, weights) in [("plain", &plain.1), ("ema", &averaged.1)] {
            let chosen = ModelAnswers {
                weights: Some(name.into()),
                ..answers.clone()
            };
            let found = converted(bytes, &chosen).unwrap();
            assert!(found.model.weights == *weights, "{name}");
            let notes = found.notes.join("; ");
            assert!(
                notes.contains("are left out") && notes.contains("epoch"),
                "{notes}"
            );
        }
    }
    // Two state dicts under prefixes.
    let mut both = state(&plain, "model.");
    both.extend(state(&averaged, "ema_model.module."));
    for counter in ["n_averaged", "ema_model.n_averaged"] {
        both.push((text(counter), Py::Tensor(Array::single(&[], &[5.0]))));
    }
    let both = save(&Py::Ordered(both), ZIP);
    refused(&both, &all_answers(), &["--weights ema"]);
    let chosen = ModelAnswers {
        weights: Some("ema".into()),
        ..all_answers()
    };
    assert!(converted(&both, &chosen).unwrap().model.weights == averaged.1);
}

#[test]
fn tensors_without_a_place_are_refused_until_they_are_left_out() {
    let model = small();
    let mut state = state_of(&SchNetPack::of(&model).module(&model), "model.");
    state.push((text("shift"), Py::Tensor(Array::single(&[1], &[2.0]))));
    let bytes = save(&Py::Ordered(state), ZIP);
    refused(&bytes, &all_answers(), &["'shift'", "--leave-out shift"]);
    let left = ModelAnswers {
        leave_out: vec!["shift".into()],
        ..all_answers()
    };
    let found = converted(&bytes, &left).unwrap();
    assert!(found.notes.iter().any(|note| note.contains("shift")));
}

#[test]
fn one_output_of_several_is_the_energy_and_the_others_are_named() {
    let model = small();
    let other = Weights::random_with_readout(&model.0, &[3], 5);
    let two = SchNetPack {
        outputs: vec![
            atomwise(&other.readout, "dipole"),
            atomwise(&model.1.readout, "energy"),
            Module::new("schnetpack.atomistic.response.Forces")
                .with("energy_key", text("energy"))
                .into(),
        ],
        ..SchNetPack::of(&model)
    };
    // Its forces tell which one.
    let found = converted(&save(&two.module(&model), ZIP), &answers()).unwrap();
    same(&found, &expected());
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.contains("'dipole' is left out")),
        "{:?}",
        found.notes
    );
    let without = SchNetPack {
        outputs: two.outputs[..2].to_vec(),
        ..two
    };
    let bytes = save(&without.module(&model), ZIP);
    refused(
        &bytes,
        &answers(),
        &["which output", "dipole, energy", "--head dipole"],
    );
    let chosen = |head: &str| ModelAnswers {
        head: Some(head.into()),
        ..answers()
    };
    same(&converted(&bytes, &chosen("energy")).unwrap(), &expected());
    refused(
        &bytes,
        &chosen("stress"),
        &["--head stress", "dipole, energy"],
    );
}

#[test]
fn one_state_of_several_is_a_row_of_the_readout() {
    let model = small();
    let mut readout = model.1.readout.clone();
    let last = readout.last_mut().unwrap();
    let row = last.weight.clone();
    last.weight = [
        row.iter().map(|x| -x).collect(),
        row.clone(),
        vec![0.5; row.len()],
    ]
    .concat();
    last.bias = vec![1.0, last.bias[0], 2.0];
    last.outputs = 3;
    let states = SchNetPack {
        outputs: vec![atomwise(&readout, "energy")],
        ..SchNetPack::of(&model)
    };
    let bytes = save(&states.module(&model), ZIP);
    refused(&bytes, &answers(), &["--head energy:0"]);
    let chosen = |head: &str| ModelAnswers {
        head: Some(head.into()),
        ..answers()
    };
    same(
        &converted(&bytes, &chosen("energy:1")).unwrap(),
        &expected(),
    );
    refused(&bytes, &chosen("energy:3"), &["gives 3 energies"]);
}

#[test]
fn offsets_are_those_of_all_postprocessors() {
    let model = small();
    let mut references = [0.0; 10];
    [references[1], references[8], references[9]] = [-0.5, -75.0, -99.0];
    let several = SchNetPack {
        postprocessors: vec![
            cast(),
            offsets(Some(MEAN), None),
            offsets(None, Some(&references)),
        ],
        ..SchNetPack::of(&model)
    };
    let bytes = save(&several.module(&model), ZIP);
    // Elements with a reference energy are those that it knows.
    let without = ModelAnswers {
        elements: None,
        ..answers()
    };
    let found = converted(&bytes, &without).unwrap().model.spec;
    assert_eq!(found.elements, [1, 8, 9]);
    let expected = [-0.5, -75.0, -99.0].map(|e| e * KCAL_PER_MOL);
    for (found, expected) in found.reference_energies.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
    assert!((found.mean_per_atom - MEAN * KCAL_PER_MOL).abs() < 1e-12);
    let fewer = ModelAnswers {
        elements: Some("H,O".into()),
        ..answers()
    };
    refused(&bytes, &fewer, &["--elements does not list F"]);
    // A factor before offsets is of the network alone.
    let scale = |factor: f64| -> Py {
        Module::new("schnetpack.transform.atomistic.ScaleProperty")
            .buffer("scale", Array::single(&[1], &[factor]))
            .with("input_key", text("energy"))
            .with("output_key", text("energy"))
            .into()
    };
    let scaled = SchNetPack {
        postprocessors: vec![scale(0.5), offsets(Some(MEAN), None)],
        ..SchNetPack::of(&model)
    };
    let found = converted(&save(&scaled.module(&model), ZIP), &answers())
        .unwrap()
        .model
        .spec;
    assert!((found.energy_scale - 0.5 * KCAL_PER_MOL).abs() < 1e-15);
    assert!((found.mean_per_atom - MEAN * KCAL_PER_MOL).abs() < 1e-12);
    // Energies outside of the file are added.
    let more = ModelAnswers {
        reference_energies: Some("H=-1,O=-2,F=-3".into()),
        ..answers()
    };
    let bytes = save(&SchNetPack::of(&model).module(&model), ZIP);
    let found = converted(&bytes, &more).unwrap().model.spec;
    assert!((found.offset(&[1, 9]) - (2.0 * MEAN - 4.0) * KCAL_PER_MOL).abs() < 1e-12);
}

/// Flags that contradict their numbers are signs of damage, and offsets that are not per atom are none.
#[test]
fn offsets_that_cannot_be_told_are_refused() {
    let model = small();
    let changed = |name: &str, value: Py| {
        let Py::Object(class, state) = offsets(Some(MEAN), None) else {
            unreachable!()
        };
        let Py::Dict(mut state) = *state else {
            unreachable!()
        };
        let place = state
            .iter()
            .position(|(key, _)| matches!(key, Py::Text(key) if key == name));
        state[place.unwrap()].1 = value;
        let module = SchNetPack {
            postprocessors: vec![Py::Object(class, Box::new(Py::Dict(state)))],
            ..SchNetPack::of(&model)
        };
        save(&module.module(&model), ZIP)
    };
    refused(
        &changed("add_mean", Py::Bool(false)),
        &answers(),
        &["add_mean", "cannot be told"],
    );
    refused(
        &changed("add_atomrefs", Py::Bool(true)),
        &answers(),
        &["add_atomrefs", "no energies to add"],
    );
    refused(
        &changed("is_extensive", Py::Bool(false)),
        &answers(),
        &["is_extensive"],
    );
}

#[test]
fn what_is_no_painn_of_schnetpack_is_named() {
    let model = small();
    let bytes = |change: &dyn Fn(&mut SchNetPack)| {
        let mut file = SchNetPack::of(&model);
        change(&mut file);
        save(&file.module(&model), ZIP)
    };
    refused(
        &bytes(&|file| file.network = "nn.painn_ablation1".into()),
        &answers(),
        &["nn.painn_ablation1.PaiNN", "--as painn --validate FILE"],
    );
    // A file of another name in the package itself may be an ablation as well.
    refused(
        &bytes(&|file| file.network = "schnetpack.representation.painn_ablation".into()),
        &answers(),
        &["painn_ablation"],
    );
    let tanh = Py::Global("torch.tanh".into());
    refused(
        &bytes(&|file| file.activation = tanh.clone()),
        &answers(),
        &["torch.tanh", "SiLU"],
    );
    let zbl: Py = Module::new("schnetpack.atomistic.nuclear_repulsion.ZBLRepulsionEnergy").into();
    refused(
        &bytes(&|file| file.outputs.push(zbl.clone())),
        &answers(),
        &["ZBLRepulsionEnergy", "not built in"],
    );
    let silu: Py = Module::new("torch.nn.modules.activation.SiLU").into();
    same(
        &converted(&bytes(&|file| file.activation = silu.clone()), &answers()).unwrap(),
        &expected(),
    );
}

#[test]
fn networks_that_are_known_and_not_built_in_are_named() {
    let tensor = || Py::Tensor(Array::single(&[1], &[1.0]));
    for (names, says) in [
        (
            &[
                "module.atom_emb.embeddings.weight",
                "module.message_layers.0.x_proj.0.weight",
                "module.out_forces.output.weight",
            ][..],
            "direct forces",
        ),
        (&["embed_block.atom_embed.weight"], "excluded volume"),
        (&["representation.interactions.0.in2f.weight"], "SchNet"),
    ] {
        let state = names.iter().map(|name| (text(name), tensor())).collect();
        refused(&save(&Py::Ordered(state), ZIP), &all_answers(), &[says]);
    }
    refused(&save(&Py::Int(3), ZIP), &answers(), &["holds 3"]);
    let hooked = Module::new("schnetpack.model.base.NeuralNetworkPotential");
    let Py::Object(class, state) = Py::from(hooked) else {
        unreachable!()
    };
    let Py::Dict(mut state) = *state else {
        unreachable!()
    };
    state[3].1 = Py::Ordered(vec![(Py::Int(0), Py::Global("some.program".into()))]);
    let hooked = Py::Object(class, Box::new(Py::Dict(state)));
    refused(&save(&hooked, ZIP), &answers(), &["hooks"]);
}

/// The bias of vector layers is kept, and told: such a model is not equivariant.
#[test]
fn vector_layers_with_a_bias_are_read() {
    let (spec, mut weights) = small();
    for layer in &mut weights.layers {
        layer.mix.bias = (0..layer.mix.outputs).map(|o| 0.125 * o as f64).collect();
    }
    let model = (spec, weights);
    let found = converted(
        &save(&SchNetPack::of(&model).module(&model), ZIP),
        &answers(),
    )
    .unwrap();
    assert!(found.model.weights == model.1);
    assert!(
        found.notes.iter().any(|note| note.contains("turned")),
        "{:?}",
        found.notes
    );
}
