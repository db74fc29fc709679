//! The tensors that a model of given hyper-parameters has: all that are missing, of another shape, or have no place in it.

use crate::{Error, Result};

use super::archive::{Archive, some};
use super::hyper::{Basis, Hyper};
use super::keys::advice;
use super::offsets;
use super::shown::shown;

pub const EMBEDDING: &str = "representation.embedding.weight";
pub const FILTER: &str = "representation.filter_net";
pub const BASIS: &str = "representation.radial_basis";
pub const CUTOFF: &str = "representation.cutoff_fn.cutoff";

/// Most faults named in one message.
const MOST_FAULTS: usize = 6;

/// Tensors that the energy does not depend on: single numbers that a training keeps count with.
const COUNTERS: [&str; 5] = ["n_averaged", "num_updates", "global_step", "epoch", "step"];

/// Prefixes of the nets of interaction `layer`.
pub struct Names {
    pub context: String,
    pub mix: String,
    pub update: String,
}

impl Names {
    pub fn of(layer: usize) -> Self {
        let mixing = format!("representation.mixing.{layer}");
        Self {
            context: format!("representation.interactions.{layer}.interatomic_context_net"),
            mix: format!("{mixing}.mu_channel_mix"),
            update: format!("{mixing}.intraatomic_context_net"),
        }
    }

    /// Names and shapes of the tensors of an interaction of `f` features.
    fn tensors(&self, f: usize) -> Vec<(String, Vec<usize>)> {
        let mut all = vec![(format!("{}.weight", self.mix), vec![2 * f, f])];
        for (net, inputs) in [(&self.context, f), (&self.update, 2 * f)] {
            all.extend(linear(&format!("{net}.0"), inputs, f));
            all.extend(linear(&format!("{net}.1"), f, 3 * f));
        }
        all
    }

    /// Whether the file has any of them.
    pub fn any(&self, archive: &Archive) -> bool {
        self.tensors(1).iter().any(|(name, _)| archive.has(name))
    }
}

fn linear(name: &str, inputs: usize, outputs: usize) -> [(String, Vec<usize>); 2] {
    [
        (format!("{name}.weight"), vec![outputs, inputs]),
        (format!("{name}.bias"), vec![outputs]),
    ]
}

/// The tensors that have to be there, with their shapes; of the readout the file says how deep it is.
fn needed(archive: &Archive, hyper: &Hyper) -> Vec<(String, Vec<usize>)> {
    let f = hyper.features;
    let sets = if hyper.shared_filters {
        1
    } else {
        hyper.layers
    };
    let mut all: Vec<_> = linear(FILTER, hyper.functions, sets * 3 * f).into();
    for layer in 0..hyper.layers {
        let names = Names::of(layer);
        // The first one stands for those that are not written again.
        if layer == 0 || !hyper.shared_interactions || names.any(archive) {
            all.extend(names.tensors(f));
        }
    }
    all
}

/// The tensors that may be there.
fn possible(archive: &Archive, hyper: &Hyper) -> Vec<String> {
    let basis: &[&str] = match hyper.basis {
        Basis::Bessel => &["freqs"],
        _ => &["offsets", "widths"],
    };
    let mut all = vec![EMBEDDING.to_owned(), CUTOFF.to_owned()];
    all.extend(basis.iter().map(|name| format!("{BASIS}.{name}")));
    all.extend((0..hyper.layers).map(|layer| format!("{}.bias", Names::of(layer).mix)));
    for name in ["mean", "atomref"] {
        all.extend(offsets::tensors(archive, name));
    }
    for k in 0.. {
        let name = format!("output_modules.{}.outnet.{k}", hyper.energy_module);
        if !archive.has(&format!("{name}.weight")) {
            return all;
        }
        all.extend(["weight", "bias"].map(|part| format!("{name}.{part}")));
    }
    all
}

/// Checks that the file has the tensors of the model that its metadata describe, and no others. What a training only kept
/// count with is left out, and noted.
///
/// # Errors
/// Names the tensors that are missing, of another shape, or without a place.
pub fn check(archive: &mut Archive, hyper: &Hyper, notes: &mut Vec<String>) -> Result<()> {
    for name in COUNTERS {
        if archive.leave_out(name) {
            notes.push(format!(
                "the model's tensor '{name}' is left out: it only keeps count of the training"
            ));
        }
    }
    let needed = needed(archive, hyper);
    let mut faults: Vec<String> = Vec::new();
    for (name, shape) in &needed {
        match archive.shape(name) {
            None => faults.push(format!(
                "tensor '{name}' is missing (expected with shape {shape:?})"
            )),
            Some(found) if found != &shape[..] => {
                faults.push(format!(
                    "tensor '{name}' has shape {found:?}, expected {shape:?}"
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(more) = faults
        .len()
        .checked_sub(MOST_FAULTS)
        .filter(|more| *more > 0)
    {
        faults.truncate(MOST_FAULTS);
        faults.push(format!("and so are {more} more"));
    }
    let mut placed: Vec<String> = possible(archive, hyper);
    placed.extend(needed.into_iter().map(|(name, _)| name));
    placed.sort_unstable();
    let others: Vec<&str> = archive
        .names()
        .filter(|name| placed.binary_search_by(|p| p.as_str().cmp(name)).is_err())
        .collect();
    faults.extend(misplaced(&others, hyper));
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::input(faults.join("; "))),
    }
}

/// What to say of tensors that have no place.
fn misplaced(names: &[&str], hyper: &Hyper) -> Option<String> {
    let first = names.first()?;
    let tensors = match names.len() {
        1 => format!("tensor '{}'", shown(first)),
        count => format!("{count} tensors ({})", some(names)),
    };
    let parts = ["representation.", "output_modules."];
    let of_network = |name: &&str| parts.iter().any(|part| name.starts_with(part));
    let of_another =
        |name: &&str| !of_network(name) && parts.iter().any(|part| name.contains(part));
    let advised = || {
        let mut others = names.iter().filter(|name| !of_network(name));
        others.find_map(|name| {
            advice(
                name.strip_prefix("postprocessors.").unwrap_or(name),
                hyper.style,
            )
        })
    };
    let another = "leave them out if they do nothing to the energy (another set of weights, an optimiser's state)";
    let why = match (names.iter().any(of_another), advised()) {
        (true, _) => another,
        (false, Some(advice)) => advice,
        (false, None) if names.iter().any(of_network) => {
            "the network would not give the energy that it was trained for"
        }
        (false, None) => another,
    };
    Some(format!(
        "a PaiNN of {} interactions, as the metadata describe it, has no place for {tensors}: {why}",
        hyper.layers
    ))
}
