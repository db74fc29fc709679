//! What the user says beside a model's file: two statements that differ are refused, and so is an answer to what there is not.

use super::convert::{ZIP, all_answers, answers, converted, refused};
use super::layouts::{SchNetPack, state_of};
use super::pickled::{Array, Py, save, text};
use crate::parity::model_file::small;
use mdrun::convert::ModelAnswers;

fn module() -> Vec<u8> {
    let model = small();
    save(&SchNetPack::of(&model).module(&model), ZIP)
}

#[test]
fn a_module_and_its_user_have_to_agree() {
    let bytes = module();
    let plain = converted(&bytes, &answers()).unwrap();
    let cutoff = small().0.cutoff;
    // What the file says too may be said.
    let same = ModelAnswers {
        cutoff: Some(cutoff),
        epsilon: Some(small().0.epsilon[0]),
        ..answers()
    };
    let found = converted(&bytes, &same).unwrap();
    assert_eq!(found.model.spec, plain.model.spec);
    let cases: [(ModelAnswers, &[&str]); 5] = [
        (
            ModelAnswers {
                cutoff: Some(cutoff + 0.5),
                ..answers()
            },
            &["--cutoff 4.5, but the file says 4.0: which of them is right?"],
        ),
        (
            ModelAnswers {
                epsilon: Some(1e-6),
                ..answers()
            },
            &["--epsilon 1e-6, but the file says"],
        ),
        (
            ModelAnswers {
                offsets: Some("left-out".into()),
                ..answers()
            },
            &[
                "--offsets left-out, but the file says that the energies of its postprocessors are added",
            ],
        ),
        (
            ModelAnswers {
                leave_out: vec!["nothing.begins_so".into()],
                ..answers()
            },
            &["--leave-out nothing.begins_so: no tensor"],
        ),
        (
            ModelAnswers {
                reference_energies: Some("H=-1,O=-2".into()),
                ..answers()
            },
            &["--reference-energies has none for F, which --elements lists"],
        ),
    ];
    for (answers, parts) in cases {
        refused(&bytes, &answers, parts);
    }
    // A state dict says the cutoff too, in its tensors.
    let model = small();
    let state = Py::Ordered(state_of(&SchNetPack::of(&model).module(&model), ""));
    let other = ModelAnswers {
        cutoff: Some(cutoff + 0.5),
        ..all_answers()
    };
    refused(
        &save(&state, ZIP),
        &other,
        &["--cutoff 4.5: which of them is right?"],
    );
}

#[test]
fn a_converted_file_and_its_user_have_to_agree() {
    /// Says something beside the file.
    type Said = fn(&mut ModelAnswers);
    let own = converted(&module(), &answers()).unwrap().bytes;
    let with = |change: Said| {
        let mut answers = ModelAnswers::default();
        change(&mut answers);
        answers
    };
    let same = with(|a| {
        a.energy_unit = Some("kcal/mol".into());
        a.length_unit = Some("angstrom".into());
        a.cutoff = Some(4.0);
    });
    assert!(converted(&own, &same).is_ok());
    let fewer = with(|a| a.elements = Some("O,H".into()));
    assert_eq!(converted(&own, &fewer).unwrap().model.spec.elements, [1, 8]);
    let cases: [(Said, &str); 8] = [
        (
            |a| a.energy_unit = Some("eV".into()),
            "--energy-unit 1.0, but the file says 0.0433",
        ),
        (
            |a| a.length_unit = Some("Bohr".into()),
            "--length-unit 0.529",
        ),
        (
            |a| a.elements = Some("H,C".into()),
            "--elements lists C, which the file does not",
        ),
        (
            |a| a.cutoff = Some(5.0),
            "--cutoff 5.0, but the file says 4.0",
        ),
        (
            |a| a.head = Some("energy".into()),
            "--head: the file is a model of one output",
        ),
        (|a| a.weights = Some("ema".into()), "--weights: "),
        (
            |a| a.reference_energies = Some("H=1".into()),
            "--reference-energies: ",
        ),
        (|a| a.leave_out = vec!["x".into()], "--leave-out: "),
    ];
    for (change, says) in cases {
        refused(&own, &with(change), &[says]);
    }
}

/// A second mean would be added in silence: a state dict does not say which postprocessors act.
#[test]
fn a_second_mean_is_refused_until_it_is_left_out() {
    let model = small();
    let state = state_of(&SchNetPack::of(&model).module(&model), "");
    let once = converted(&save(&Py::Ordered(state.clone()), ZIP), &all_answers()).unwrap();
    let mut twice = state;
    twice.push((
        text("postprocessors.7.mean"),
        Py::Tensor(Array::single(&[1], &[5.0])),
    ));
    let twice = save(&Py::Ordered(twice), ZIP);
    refused(
        &twice,
        &all_answers(),
        &[
            "and postprocessors.7.mean: whether all of them act cannot be told",
            "--leave-out postprocessors.7.mean",
        ],
    );
    let left = ModelAnswers {
        leave_out: vec!["postprocessors.7".into()],
        ..all_answers()
    };
    let found = converted(&twice, &left).unwrap();
    assert_eq!(found.model.spec, once.model.spec);
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.contains("postprocessors.7.mean"))
    );
}
