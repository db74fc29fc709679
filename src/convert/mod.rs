//! Models of other programs, brought into the project's own format: what a file says is read, what it cannot say is asked
//! for, all of it at once, and the file that comes out says everything.

mod agree;
mod answers;
mod draft;
mod finish;
mod module;
mod nff;
mod origin;
mod question;
mod schnetpack;
mod state;
mod validate;

use std::path::Path;

use crate::formats::torch::{self, NumberKind, SavedTensor};
use crate::shell::quoted;
use crate::{Error, Result};

pub use answers::ModelAnswers;
use draft::Draft;
pub use finish::Converted;
use origin::Origin;
pub use validate::{Validation, validate};

/// The ending of a model file of the project's own.
const ENDING: &str = "safetensors";

/// Converts the bytes of the model file `from`; `to` is where the user wants it.
///
/// # Errors
/// The file is no model, is damaged, or is another network; or it does not say everything: then the message is the command
/// with what is missing.
pub fn convert(bytes: &[u8], from: &Path, to: &Path, answers: &ModelAnswers) -> Result<Converted> {
    let draft = match torch::is_saved(bytes) {
        true => of_torch(bytes, answers)?,
        false => of_safetensors(bytes, answers)?,
    };
    agree::check(&draft, answers)?;
    finish::finish(draft, bytes, (from, to), answers)
}

/// Whether a file has to be converted before it can be run.
pub fn is_foreign(bytes: &[u8]) -> bool {
    torch::is_saved(bytes) || unlabelled(bytes).is_some()
}

/// What is to be said where a file that has to be converted is run: the command.
pub fn advice(bytes: &[u8], from: &Path) -> Error {
    let to = from.with_added_extension(ENDING);
    let to = match from.extension().is_some_and(|e| e == ENDING) {
        true => from.with_extension(format!("converted.{ENDING}")),
        false => to,
    };
    match convert(bytes, from, &to, &ModelAnswers::default()) {
        Ok(_) => Error::input(format!(
            "this model has to be converted first: mdrun model convert {} {}",
            quoted(from),
            quoted(&to)
        )),
        Err(error) => error,
    }
}

/// What a file of PyTorch has in it.
fn of_torch(bytes: &[u8], answers: &ModelAnswers) -> Result<Draft> {
    let saved = torch::open(bytes)?;
    let mut origin = Origin::of(&saved)?;
    let (set, question, others) = origin.choose(answers)?;
    let own = set.net.as_ref().or(origin.net.as_ref());
    let mut draft = match own {
        Some(net) if schnetpack::is_it(net) => schnetpack::draft(net, set.tensors, answers)?,
        Some(net) if nff::is_it(net, answers) => nff::draft(net, set.tensors, answers)?,
        Some(net) => return Err(not_a_painn(net)),
        None => state::draft(set.tensors, answers)?,
    };
    draft.what = format!("{}, {}", draft.what, origin.what);
    draft.questions.splice(0..0, question);
    for name in others {
        draft.notes.push(format!(
            "the weights '{}' are left out",
            name.escape_default()
        ));
    }
    draft.leave_out_rest(&origin.rest, answers)?;
    Ok(draft)
}

/// Says what a module is that has not the parts of a PaiNN.
fn not_a_painn(net: &module::ModuleTree<'_>) -> Error {
    let names = net.tensors.iter().map(|(name, _)| name.as_str());
    if let Some(what) = state::recognise(names) {
        return Error::input(what);
    }
    let class = net.modules.get("").map_or("?", |module| module.class);
    schnetpack::foreign("", class, "PaiNN")
}

/// A file of safetensors without the metadata that say what it is: its tensors.
fn unlabelled(bytes: &[u8]) -> Option<safetensors::SafeTensors<'_>> {
    let (_, header) = safetensors::SafeTensors::read_metadata(bytes).ok()?;
    let says = |key: &String| key == "painn" || key == "n_atom_basis";
    let labelled = header
        .metadata()
        .as_ref()
        .is_some_and(|all| all.keys().any(says));
    let file = safetensors::SafeTensors::deserialize(bytes).ok()?;
    let painn = !state::prefixes(file.names().into_iter()).is_empty();
    (!labelled && painn).then_some(file)
}

fn of_safetensors(bytes: &[u8], answers: &ModelAnswers) -> Result<Draft> {
    let Some(file) = unlabelled(bytes) else {
        let mut draft = finish::own(bytes)?;
        agree::with_own(&mut draft, answers)?;
        return Ok(draft);
    };
    let mut prefixes = state::prefixes(file.names().into_iter());
    prefixes.sort();
    let chosen = match (&answers.weights, prefixes.as_slice()) {
        (Some(name), _) => prefixes
            .iter()
            .find(|p| p.trim_end_matches('.') == name.as_str()),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let names: Vec<&str> = prefixes.iter().map(|p| p.trim_end_matches('.')).collect();
    let chosen = chosen.ok_or_else(|| {
        Error::input(format!(
            "the file has {} sets of weights, {}: say which, --weights NAME",
            names.len(),
            names.join(", ").escape_debug()
        ))
    })?;
    let (mut own, mut rest) = (std::collections::BTreeMap::new(), Vec::new());
    for (name, view) in file.iter() {
        let kind = kind_of(view.dtype()).ok_or_else(|| {
            Error::input(format!(
                "tensor '{}' has numbers of type {}",
                name.escape_default(),
                view.dtype()
            ))
        })?;
        let tensor = SavedTensor {
            kind,
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        };
        match name.strip_prefix(chosen.as_str()) {
            Some(name) => drop(own.insert(name.to_owned(), tensor)),
            None => rest.push(name.to_owned()),
        }
    }
    let mut draft = state::draft(own, answers)?;
    draft.what = format!(
        "{}, a file of safetensors without hyper-parameters",
        draft.what
    );
    draft.leave_out_rest(&rest, answers)?;
    Ok(draft)
}

fn kind_of(kind: safetensors::Dtype) -> Option<NumberKind> {
    use safetensors::Dtype;
    Some(match kind {
        Dtype::F64 => NumberKind::F64,
        Dtype::F32 => NumberKind::F32,
        Dtype::F16 => NumberKind::F16,
        Dtype::BF16 => NumberKind::BF16,
        Dtype::I64 => NumberKind::I64,
        Dtype::I32 => NumberKind::I32,
        _ => return None,
    })
}
