//! What the user says of a model beside what its file says: two statements that differ are an error, and so is an answer to what
//! there is not.

use serde_json::{Map, Value, json};

use super::answers::ModelAnswers;
use super::draft::{Draft, Offsets};
use super::question::OpenQuestion;
use crate::core::elements::symbol;
use crate::{Error, Result};

/// Numbers that differ by less than this part are the same, written in decimals.
const SAME: f64 = 1e-9;

/// Checks that answers agree with what a draft says, whose file was read with them.
///
/// # Errors
/// A number differs, or an answer is of what is not in the file.
pub fn check(draft: &Draft, answers: &ModelAnswers) -> Result<()> {
    let cutoff = draft
        .hyper
        .get("cutoff")
        .or(draft.hyper.get("cutoff_angstrom"));
    number("--cutoff", answers.cutoff, cutoff)?;
    number("--epsilon", answers.epsilon, draft.hyper.get("epsilon"))?;
    match answers.offsets.as_deref() {
        Some("left-out") if draft.offsets != Offsets::default() => Err(Error::input(
            "--offsets left-out, but the file says that the energies of its postprocessors are added; leave the option out",
        )),
        _ => Ok(()),
    }
}

/// Checks a number, or all of a list, beside what the file says.
fn number(option: &str, said: Option<f64>, stored: Option<&Value>) -> Result<()> {
    let (Some(said), Some(stored)) = (said, stored) else {
        return Ok(());
    };
    let list = stored
        .as_array()
        .map_or(std::slice::from_ref(stored), Vec::as_slice);
    let other = list
        .iter()
        .filter_map(Value::as_f64)
        .find(|x| (x - said).abs() > SAME * said.abs());
    match other {
        None => Ok(()),
        Some(other) => Err(Error::input(format!(
            "{option} {said:?}, but the file says {other:?}: which of them is right? leave the option out if the file is"
        ))),
    }
}

/// Checks answers beside a file that says everything but, perhaps, its elements: those are asked for, or taken from the answers.
///
/// # Errors
/// A unit differs, an element is not one of the file's, or an answer has nothing to answer.
pub fn with_own(draft: &mut Draft, answers: &ModelAnswers) -> Result<()> {
    let said = [
        ("--head", answers.head.is_some()),
        ("--weights", answers.weights.is_some()),
        ("--reference-energies", answers.reference_energies.is_some()),
        ("--leave-out", !answers.leave_out.is_empty()),
        ("--offsets", answers.offsets.is_some()),
    ];
    if let Some((option, _)) = said.into_iter().find(|(_, said)| *said) {
        return Err(Error::input(format!(
            "{option}: the file is a model of one output and one set of weights, which says what is added to its energy; leave \
             the option out"
        )));
    }
    number(
        "--energy-unit",
        answers.energy()?,
        draft.hyper.get("energy_unit"),
    )?;
    // What is read is in angstrom.
    number("--length-unit", answers.length()?, Some(&json!(1.0)))?;
    match (draft.hyper.get("elements").cloned(), answers.elements()?) {
        (None, None) => {
            let what = "the elements that it was trained on (as in H,C,O)";
            draft
                .questions
                .push(OpenQuestion::new("--elements", "LIST", what));
        }
        (None, Some(elements)) => drop(draft.hyper.insert("elements".into(), json!(elements))),
        (Some(_), None) => {}
        (Some(known), Some(elements)) => restrict(&mut draft.hyper, &known, &elements)?,
    }
    Ok(())
}

/// Takes a model for some of its elements alone.
fn restrict(hyper: &mut Map<String, Value>, known: &Value, elements: &[u8]) -> Result<()> {
    let knows = |z: &u8| {
        known
            .as_array()
            .is_some_and(|list| list.contains(&json!(z)))
    };
    if let Some(z) = elements.iter().find(|z| !knows(z)) {
        return Err(Error::input(format!(
            "--elements lists {}, which the file does not: which of them is right? leave the option out if the file is",
            symbol(*z)
        )));
    }
    hyper.insert("elements".into(), json!(elements));
    let energies = hyper.get_mut("reference_energies_eV");
    if let Some(energies) = energies.and_then(Value::as_object_mut) {
        let kept = |name: &String| elements.iter().any(|z| z.to_string() == *name);
        energies.retain(|name, _| kept(name));
    }
    Ok(())
}
