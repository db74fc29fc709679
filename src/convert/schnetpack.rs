//! SchNetPack's modules, versions 2 and later: a representation, output modules, and what is done with the energy at last.

mod outputs;

use std::collections::BTreeMap;

use serde_json::json;

use super::answers::ModelAnswers;
use super::draft::{Draft, scalar};
use super::module::{ModuleTree, joined};
use crate::formats::pickle::{PickleValue, Tree};
use crate::formats::torch::SavedTensor;
use crate::{Error, Result};

/// The package whose classes are known.
const PACKAGE: &str = "schnetpack.";

/// Attributes that say nothing of the energy, or what tensors say as well.
const KNOWN: &[&str] = &[
    "weight_init",
    "bias_init",
    "in_features",
    "out_features",
    "n_rbf",
    "num_embeddings",
    "embedding_dim",
    "padding_idx",
    "max_norm",
    "norm_type",
    "scale_grad_by_freq",
    "sparse",
    "n_out",
    "n_in",
    "n_hidden",
    "n_layers",
    "model_outputs",
    "per_atom_output_key",
    "required_derivatives",
    "calc_forces",
    "calc_stress",
    "force_key",
    "stress_key",
    "energy_key",
    "type_map",
    "_aggregation",
    "estimate_atomref",
    "_atomrefs_initialized",
    "_mean_initialized",
    "_initialized",
    "atomref",
    "mean",
    "input_dtype_str",
    "input_dtype",
    "spk_version",
    "cutoff",
    "n_atom_basis",
    "is_preprocessor",
    "is_postprocessor",
    "force_apply",
    "mode",
    "_property",
    "_target_key",
    "_scale_by_mean",
    "inplace",
    "lr",
    "warmup_steps",
    "grad_enabled",
    "p",
];

/// Whether a class is one of SchNetPack's of this name, where SchNetPack has it.
fn is_own(class: &str, name: &str) -> bool {
    let Some((module, last)) = class.rsplit_once('.') else {
        return false;
    };
    // An ablation may have its name in a file of another one.
    let painn = ["PaiNN", "PaiNNInteraction", "PaiNNMixing"].contains(&name);
    let place = !painn || module.ends_with(".painn") || module.ends_with(".representation");
    class.starts_with(PACKAGE) && last == name && place
}

/// The last part of a class's path.
fn last(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

/// Where the model is in what was saved: a training's task has it inside.
pub fn top(net: &ModuleTree<'_>) -> &'static str {
    let is_task = net
        .modules
        .get("")
        .is_some_and(|m| last(m.class) == "AtomisticTask");
    match is_task || net.modules.contains_key("model.representation") {
        true => "model",
        false => "",
    }
}

/// Whether it looks like such a module.
pub fn is_it(net: &ModuleTree<'_>) -> bool {
    net.modules
        .contains_key(&joined(top(net), "representation"))
}

/// Reads the whole of it. Of `tensors` what is not taken is refused.
///
/// # Errors
/// A class is not SchNetPack's (unless the user says that it is a PaiNN), or something in it is not built in here.
pub fn draft(
    net: &ModuleTree<'_>,
    tensors: BTreeMap<String, SavedTensor>,
    answers: &ModelAnswers,
) -> Result<Draft> {
    let top = top(net);
    let strip = |(name, tensor): (String, SavedTensor)| {
        let own = name.strip_prefix("model.").filter(|_| !top.is_empty());
        (own.map_or(name.clone(), str::to_owned), tensor)
    };
    let mut reader = SchNetPackReader {
        net,
        top: top.to_owned(),
        as_painn: answers.as_painn(),
        draft: Draft {
            tensors: tensors.into_iter().map(strip).collect(),
            ..Draft::default()
        },
    };
    reader.network()?;
    let head = reader.outputs(answers)?;
    reader.inputs()?;
    reader.postprocessors(&head, answers)?;
    reader.described()?;
    Ok(reader.draft)
}

struct SchNetPackReader<'n, 't> {
    net: &'n ModuleTree<'t>,
    top: String,
    as_painn: bool,
    draft: Draft,
}

impl SchNetPackReader<'_, '_> {
    fn at(&self, path: &str) -> String {
        joined(&self.top, path)
    }

    /// The class of a module.
    fn class(&self, path: &str) -> Result<&str> {
        Ok(self.net.module(&self.at(path))?.class)
    }

    fn children(&self, path: &str) -> Result<Vec<String>> {
        let module = self.net.module(&self.at(path))?;
        Ok(module
            .children
            .iter()
            .map(|name| (*name).to_owned())
            .collect())
    }

    /// Checks that a module is of a class of SchNetPack's, and has no others in it than `children`.
    fn expect(&self, path: &str, names: &[&str], children: &[&str]) -> Result<()> {
        let class = self.class(path)?;
        let known = names.iter().any(|name| is_own(class, name));
        if !known && !self.as_painn {
            return Err(foreign(&self.at(path), class, names[0]));
        }
        let found = self.children(path)?;
        let other = found
            .iter()
            .find(|child| !children.contains(&child.as_str()));
        match other {
            None => Ok(()),
            Some(child) => Err(self.unknown(&joined(path, child))),
        }
    }

    /// Refuses a module that a PaiNN has no place for.
    fn unknown(&self, path: &str) -> Error {
        let class = self
            .class(path)
            .unwrap_or("unknown")
            .escape_default()
            .to_string();
        let place = self.at(path).escape_default().to_string();
        Error::input(format!(
            "the module '{place}' ({class}) is not built in: a PaiNN without it would give another energy"
        ))
    }

    fn network(&mut self) -> Result<()> {
        let net = self.net;
        let path = "representation";
        let class = self.class(path)?;
        if class.starts_with(PACKAGE) && !is_own(class, "PaiNN") && !self.as_painn {
            return Err(Error::input(format!(
                "the network is {}, not PaiNN: no other network of SchNetPack is built in",
                class.escape_default()
            )));
        }
        let parts = [
            "embedding",
            "electronic_embeddings",
            "filter_net",
            "radial_basis",
            "cutoff_fn",
            "interactions",
            "mixing",
        ];
        self.expect(path, &["PaiNN"], &parts)?;
        let place = self.at(path);
        self.embeddings()?;
        let layers = net.count(&place, "n_interactions")?;
        let functions = net.count(&joined(&place, "radial_basis"), "n_rbf")?;
        self.draft
            .state("n_atom_basis", json!(net.count(&place, "n_atom_basis")?))?;
        self.draft.state("n_interactions", json!(layers))?;
        self.draft.state("n_rbf", json!(functions))?;
        let shared = net
            .attribute(&place, "share_filters")
            .or_else(|| net.attribute(&place, "shared_filters"));
        let shared = shared.and_then(|id| net.tree().flag(id));
        let shared = shared.ok_or_else(|| {
            Error::input(format!("the model does not say '{place}.share_filters'"))
        })?;
        self.draft.state("shared_filters", json!(shared))?;
        self.dense("representation.filter_net", false)?;
        self.basis()?;
        self.cutoff()?;
        self.layers(layers)
    }

    fn embeddings(&self) -> Result<()> {
        let electronic = "representation.electronic_embeddings";
        let has_some = self.net.modules.contains_key(&self.at(electronic));
        if has_some && !self.children(electronic)?.is_empty() {
            return Err(Error::input(
                "the model has electronic embeddings (of the total charge or spin), which are not built in",
            ));
        }
        let path = "representation.embedding";
        let class = self.class(path)?;
        if last(class) != "Embedding" || !class.starts_with("torch.nn.") {
            return Err(self.unknown(path));
        }
        match self.net.attribute(&self.at(path), "max_norm") {
            None => Ok(()),
            Some(_) => Err(Error::input(
                "the embedding has a 'max_norm', which is not built in",
            )),
        }
    }

    fn basis(&mut self) -> Result<()> {
        const KNOWN: [&str; 3] = ["GaussianRBF", "GaussianRBFCentered", "BesselRBF"];
        let path = "representation.radial_basis";
        let class = self.class(path)?;
        let name = last(class).to_owned();
        if class.starts_with(PACKAGE) && !KNOWN.contains(&name.as_str()) {
            return Err(Error::input(format!(
                "the radial basis is {name}, which is not built in; known: {}",
                KNOWN.join(", ")
            )));
        }
        self.expect(path, &KNOWN, &[])?;
        let name = match KNOWN.contains(&name.as_str()) {
            true => name,
            // A copy of another name, which is to be validated.
            false => self.draft.kind_of_basis()?.to_owned(),
        };
        self.draft.state("radial_basis", json!(name))
    }

    /// The cutoff, which is there twice.
    fn cutoff(&mut self) -> Result<()> {
        let path = "representation.cutoff_fn";
        let class = self.class(path)?;
        if class.starts_with(PACKAGE) && last(class) != "CosineCutoff" {
            return Err(Error::input(format!(
                "the cutoff function is {}, which is not built in; known: CosineCutoff",
                last(class).escape_default()
            )));
        }
        self.expect(path, &["CosineCutoff"], &[])?;
        self.draft.state("cutoff_fn", json!("cosine"))?;
        let name = format!("{path}.cutoff");
        let tensor = self.draft.tensors.get(&name);
        let tensor = tensor.ok_or_else(|| Error::input(format!("tensor '{name}' is missing")))?;
        let cutoff = scalar(&name, tensor)?;
        let again = self.net.attribute(&self.at("representation"), "cutoff");
        let again = match again {
            Some(id) => match self.net.saved_tensor(id)? {
                Some(tensor) => Some(scalar("representation.cutoff", &tensor)?),
                None => self.net.tree().number(id),
            },
            None => None,
        };
        match again {
            Some(again) if again != cutoff => Err(Error::input(format!(
                "the cutoff is {cutoff} in 'representation.cutoff_fn' and {again} in 'representation': which is right?"
            ))),
            _ => self.draft.state("cutoff", json!(cutoff)),
        }
    }

    fn layers(&mut self, layers: usize) -> Result<()> {
        let mut epsilons = Vec::new();
        for (list, class, nets) in [
            (
                "interactions",
                "PaiNNInteraction",
                &["interatomic_context_net"][..],
            ),
            (
                "mixing",
                "PaiNNMixing",
                &["intraatomic_context_net", "mu_channel_mix"],
            ),
        ] {
            let list = format!("representation.{list}");
            let found = self.children(&list)?;
            if found.len() != layers {
                return Err(Error::input(format!(
                    "the model says 'n_interactions' {layers}, but '{list}' has {}",
                    found.len()
                )));
            }
            for child in found {
                let path = joined(&list, &child);
                self.expect(&path, &[class], nets)?;
                self.context(&joined(&path, nets[0]))?;
                if let Some(mix) = nets.get(1) {
                    self.dense(&joined(&path, mix), false)?;
                    epsilons.push(self.net.number(&self.at(&path), "epsilon")?);
                }
            }
        }
        // The class is made with one for all.
        if epsilons.iter().any(|e| *e != epsilons[0]) && !self.as_painn {
            return Err(Error::input(format!(
                "'epsilon' differs from interaction to interaction ({epsilons:?}), which SchNetPack cannot do: the file is \
                 damaged"
            )));
        }
        self.draft.state("epsilon", json!(epsilons))
    }

    /// Checks a net of two layers with SiLU between.
    fn context(&self, path: &str) -> Result<()> {
        let layers = self.children(path)?;
        if layers != ["0", "1"] {
            return Err(self.unknown(path));
        }
        self.dense(&joined(path, "0"), true)?;
        self.dense(&joined(path, "1"), false)
    }

    /// Checks a layer: its class, and that its activation is SiLU, or none.
    fn dense(&self, path: &str, active: bool) -> Result<()> {
        self.expect(path, &["Dense"], &["activation"])?;
        let place = self.at(path);
        let found = activation(self.net, &place)?;
        match (active, found.as_str()) {
            (true, "silu") | (false, "none") => Ok(()),
            (_, found) => Err(Error::input(format!(
                "the activation of '{}' is {}; {} is wanted: no other network is built in",
                place.escape_default(),
                found.escape_default(),
                if active { "SiLU" } else { "none" }
            ))),
        }
    }

    /// Says whose it is, and what was not looked at.
    fn described(&mut self) -> Result<()> {
        let version = self.net.attribute(&self.top, "spk_version");
        let version = version.and_then(|id| self.net.tree().text(id));
        self.draft.what = match version {
            Some(version) => format!("a PaiNN of SchNetPack {}", version.escape_default()),
            None => "a PaiNN of SchNetPack".to_owned(),
        };
        self.draft.note_unused(&self.net.unused(KNOWN));
        Ok(())
    }
}

/// Refuses a class that is not SchNetPack's own, and says the way on.
pub fn foreign(path: &str, class: &str, wanted: &str) -> Error {
    let place = match path.is_empty() {
        true => "the model".to_owned(),
        false => format!("the module '{}'", path.escape_default()),
    };
    Error::input(format!(
        "{place} is of the class {}, not SchNetPack's {wanted}: a copy may be the same network or another one with the same \
         tensors, whose energies differ; if it is meant to be a PaiNN: --as painn --validate FILE, where FILE is extended \
         XYZ with energies and forces of the model itself",
        class.escape_default()
    ))
}

/// What stands behind a layer: `silu`, `none`, or the path of something else.
pub fn activation(net: &ModuleTree<'_>, path: &str) -> Result<String> {
    const SILU: [&str; 6] = [
        "torch.nn.functional.silu",
        "torch.nn.modules.activation.SiLU",
        "torch.nn.SiLU",
        "torch._C._nn.silu",
        "nff.nn.activations.Swish",
        "torch.nn.functional.swish",
    ];
    const NONE: [&str; 2] = ["torch.nn.modules.linear.Identity", "torch.nn.Identity"];
    let inside = joined(path, "activation");
    let tree: &Tree = net.tree();
    let class = match (net.modules.get(&inside), net.attribute(path, "activation")) {
        (Some(module), None) => module.class,
        (None, None) => return Ok("none".into()),
        (None, Some(id)) => match (tree.get(id), tree.class(id)) {
            (PickleValue::Global(path), _) => path,
            // A function of the core of PyTorch, by its name.
            (_, Some("builtins.getattr")) => {
                let named = tree.object(id).and_then(|call| tree.arguments(call).get(1));
                named.and_then(|name| tree.text(*name)).unwrap_or("unknown")
            }
            (_, Some(class)) => class,
            _ => {
                return Err(Error::input(format!(
                    "the activation of '{path}' cannot be told"
                )));
            }
        },
        (Some(_), Some(_)) => return Err(Error::input(format!("'{path}' has two activations"))),
    };
    Ok(match class {
        class if SILU.contains(&class) => "silu".into(),
        class if NONE.contains(&class) => "none".into(),
        other => other.to_owned(),
    })
}
