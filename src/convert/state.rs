//! State dicts: tensors by name, without the module that they are of.

use std::collections::BTreeMap;

use serde_json::json;

use super::answers::ModelAnswers;
use super::draft::{Draft, EMBEDDING, Offsets, numbers, scalar};
use super::question::OpenQuestion;
use crate::formats::torch::SavedTensor;
use crate::{Error, Result};

/// What stands before all names of a set of weights, for each set: `""`, `model.`, `ema_model.module.`, ...
pub fn prefixes<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let prefix = |name: &'n str| {
        let prefix = name.strip_suffix(EMBEDDING)?;
        (prefix.is_empty() || prefix.ends_with('.')).then(|| prefix.to_owned())
    };
    names.filter_map(prefix).collect()
}

/// Whether tensors are of a network that is known and not built in; what to say then.
pub fn recognise<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'static str> {
    let (mut direct, mut oc20, mut nff, mut schnet, mut student) =
        (false, false, false, false, false);
    for name in names {
        direct |= name.contains("out_forces.");
        oc20 |= name.contains("message_layers.") && name.contains("x_proj");
        nff |= name.ends_with("embed_block.atom_embed.weight");
        schnet |=
            name.contains("cfconv") || name.contains("in2f") || name.contains("filter_network");
        student |= name.contains("message.rbf_to_scalar") || name.contains("update.mixing_matrix");
    }
    match () {
        () if oc20 && direct => Some(
            "this is OC20's PaiNN with direct forces: its forces are an output of their own, not the slopes of its energy, so \
             that energy is not conserved; it cannot be used for dynamics",
        ),
        () if oc20 => Some(
            "this is OC20's PaiNN, another network than SchNetPack's (scaled activations, a polynomial envelope), which is \
             not built in",
        ),
        () if nff => Some(
            "these are tensors of Neural Force Field's PaiNN, without its cutoff and its excluded volume: save the whole \
             model, torch.save(model, ...)",
        ),
        () if student => Some("this is a StudentForceField, a different network"),
        () if schnet => Some("this is SchNet, a different network"),
        () => None,
    }
}

/// Reads a set of weights.
///
/// # Errors
/// Tensors are missing, or two statements do not agree.
pub fn draft(tensors: BTreeMap<String, SavedTensor>, answers: &ModelAnswers) -> Result<Draft> {
    let mut draft = Draft {
        what: "a set of weights of a PaiNN with SchNetPack's names".into(),
        tensors,
        ..Draft::default()
    };
    draft.sizes_from_tensors()?;
    draft.state("cutoff_fn", json!("cosine"))?;
    cutoff(&mut draft, answers)?;
    numbers_of_the_class(&mut draft, answers)?;
    head(&mut draft, answers)?;
    offsets(&mut draft, answers)?;
    Ok(draft)
}

fn cutoff(draft: &mut Draft, answers: &ModelAnswers) -> Result<()> {
    const NAME: &str = "representation.cutoff_fn.cutoff";
    let stored = draft
        .tensors
        .get(NAME)
        .map(|t| scalar(NAME, t))
        .transpose()?;
    match (stored, answers.cutoff) {
        (Some(stored), Some(said)) if stored != said => Err(Error::input(format!(
            "tensor '{NAME}' is {stored}, but --cutoff {said}: which of them is right?"
        ))),
        (Some(cutoff), None) => {
            // SchNetPack makes a basis that ends at the cutoff; one that was trained may not any more.
            if let Some(end) = basis_end(draft)?.filter(|end| (end - cutoff).abs() > SAME * cutoff)
            {
                let what = format!(
                    "its range, which is stored as {cutoff}, while its radial basis ends at {end}"
                );
                let question = OpenQuestion::new("--cutoff", format!("{cutoff:?}"), what);
                draft.questions.push(question);
            }
            draft.state("cutoff", json!(cutoff))
        }
        (_, Some(cutoff)) => draft.state("cutoff", json!(cutoff)),
        (None, None) => {
            let what = "its range, in its unit of length";
            draft
                .questions
                .push(OpenQuestion::new("--cutoff", "X", what));
            Ok(())
        }
    }
}

/// Where the radial basis ends, as it is made of the cutoff.
fn basis_end(draft: &Draft) -> Result<Option<f64>> {
    let stored = |name: &str| {
        let tensor = draft
            .tensors
            .get(&format!("representation.radial_basis.{name}"));
        tensor.map(numbers).transpose()
    };
    let last = |list: Option<Vec<f64>>| list.and_then(|list| list.last().copied());
    Ok(match draft.kind_of_basis()? {
        "BesselRBF" => {
            let first = stored("freqs")?.and_then(|list| list.first().copied());
            first.map(|first| std::f64::consts::PI / first)
        }
        "GaussianRBFCentered" => last(stored("widths")?),
        _ => last(stored("offsets")?),
    })
}

/// How far, relative to it, a range in 32 bits may be from itself.
const SAME: f64 = 1e-5;

/// What stands in SchNetPack's classes, not in their tensors.
fn numbers_of_the_class(draft: &mut Draft, answers: &ModelAnswers) -> Result<()> {
    match answers.epsilon {
        Some(epsilon) => draft.state("epsilon", json!(epsilon))?,
        None => draft.questions.push(OpenQuestion::new(
            "--epsilon",
            "1e-8",
            "'epsilon' of its mixing (SchNetPack's default is 1e-8)",
        )),
    }
    if answers.activation.is_none() {
        let what = "its activation (SchNetPack's default is silu, the only one that is built in)";
        draft
            .questions
            .push(OpenQuestion::new("--activation", "silu", what));
    }
    Ok(())
}

/// Chooses the output module: their kinds are not said, so that of several one has to be named by its number.
fn head(draft: &mut Draft, answers: &ModelAnswers) -> Result<()> {
    let place = |name: &str| {
        let (place, rest) = name.strip_prefix("output_modules.")?.split_once('.')?;
        rest.starts_with("outnet.").then(|| place.to_owned())
    };
    let mut places: Vec<String> = draft
        .tensors
        .keys()
        .filter_map(|name| place(name))
        .collect();
    places.dedup();
    let (wanted, state) = match answers.head.as_deref() {
        Some(head) => head
            .split_once(':')
            .map_or((Some(head), ""), |(h, s)| (Some(h), s)),
        None => (None, ""),
    };
    let chosen = match (wanted, places.as_slice()) {
        (Some(wanted), _) => places.iter().find(|place| *place == wanted),
        (None, [only]) => Some(only),
        _ => None,
    };
    let Some(chosen) = chosen.cloned() else {
        let first = places.first().ok_or_else(|| {
            Error::input("the readout, 'output_modules.0.outnet.0.weight', is missing")
        })?;
        let what = format!(
            "which of its output modules {} is the energy",
            places.join(", ")
        );
        draft
            .questions
            .push(OpenQuestion::new("--head", first.clone(), what));
        return Ok(());
    };
    let all = std::mem::take(&mut draft.tensors);
    for (name, tensor) in all {
        match place(&name) {
            Some(own) if own == chosen => {
                let name = name.replacen(&format!(".{chosen}."), ".0.", 1);
                draft.tensors.insert(name, tensor);
            }
            Some(_) => draft.left_out(&name),
            None => drop(draft.tensors.insert(name, tensor)),
        }
    }
    draft.choose_state(&chosen, state)
}

/// Checks that there is one of each kind: without their classes it cannot be told which of several act.
fn check_single(found: &BTreeMap<usize, BTreeMap<String, Vec<f64>>>) -> Result<()> {
    for what in ["mean", "atomref", "scale"] {
        let acts = |parts: &&BTreeMap<String, Vec<f64>>| {
            parts
                .get(what)
                .is_some_and(|all| all.iter().any(|x| *x != 0.0))
        };
        let places: Vec<String> = found
            .iter()
            .filter(|(_, parts)| acts(parts))
            .map(|(place, _)| format!("postprocessors.{place}.{what}"))
            .collect();
        if let [_, .., last] = places.as_slice() {
            return Err(Error::input(format!(
                "the file has {}: whether all of them act cannot be told from a state dict; save the whole model, \
                 torch.save(model, ...), or drop what does not: --leave-out {last}",
                places.join(" and ")
            )));
        }
    }
    Ok(())
}

/// Energies and factors of postprocessors, in their order: whether they are applied is not said.
fn offsets(draft: &mut Draft, answers: &ModelAnswers) -> Result<()> {
    let mut found: BTreeMap<usize, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    let all = std::mem::take(&mut draft.tensors);
    for (name, tensor) in all {
        let own = name
            .strip_prefix("postprocessors.")
            .and_then(|rest| rest.split_once('.'));
        let place = own.and_then(|(place, what)| Some((place.parse::<usize>().ok()?, what)));
        let unwanted = answers
            .leave_out
            .iter()
            .any(|with| name.starts_with(with.as_str()));
        match place {
            Some(_) if unwanted => draft.left_out(&name),
            Some((place, what @ ("mean" | "atomref" | "scale"))) => {
                let values = numbers(&tensor)?;
                found
                    .entry(place)
                    .or_default()
                    .insert(what.to_owned(), values);
            }
            _ => drop(draft.tensors.insert(name, tensor)),
        }
    }
    check_single(&found)?;
    let mut offsets = Offsets::default();
    for parts in found.values() {
        if let Some([scale]) = parts.get("scale").map(Vec::as_slice) {
            offsets.scale(*scale);
        }
        offsets.mean += parts.get("mean").into_iter().flatten().sum::<f64>();
        let references = parts
            .get("atomref")
            .filter(|all| all.iter().any(|e| *e != 0.0));
        offsets.add_references(references.map_or(&[], Vec::as_slice));
    }
    if offsets == Offsets::default() {
        return Ok(());
    }
    match answers.offsets.as_deref() {
        Some("added") => draft.offsets = offsets,
        Some(_) => draft
            .notes
            .push("the energies of its postprocessors are not added".into()),
        None => draft.questions.push(OpenQuestion::new(
            "--offsets",
            "added",
            "whether its postprocessors' energies are added to the network's (added, or left-out)",
        )),
    }
    Ok(())
}
