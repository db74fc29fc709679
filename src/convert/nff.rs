//! PaiNN of Neural Force Field (learningmatter-mit): the same network with its blocks in another order.
//!
//! With F features: messages come as (vector times vector, scalar, direction) where SchNetPack has (scalar, direction, vector
//! times vector); the update gives (vector, scalar product, scalar) for (scalar, vector, scalar product); the two halves of
//! SchNetPack's channel mix are `v_mat`, whose norm is taken, and `u_mat`. The basis is sin(n pi d / cutoff) / d, each layer
//! with its own n, which may be learned. Under the root of the norm stands 1e-15 for each component. The same is added to
//! squared distances, which moves a distance d by 1.5e-15 / d angstrom: nothing that a 64-bit number of the size of d sees.
//!
//! Its excluded volume adds (sigma / d)^power for each ordered pair within the cutoff.

use std::collections::BTreeMap;
use std::f64::consts::PI;

use serde_json::json;

use super::answers::ModelAnswers;
use super::draft::{Draft, Offsets, doubles, numbers, scalar};
use super::module::{ModuleTree, joined};
use super::question::OpenQuestion;
use super::schnetpack::{activation, foreign};
use crate::formats::pickle::PickleValue;
use crate::formats::torch::SavedTensor;
use crate::potential::pair::PowerLaw;
use crate::{Error, Result};

/// Under the root: 1e-15 for each of three components.
const EPSILON: f64 = 3e-15;

/// Orders of blocks of F rows: place k of SchNetPack's is place `ORDER[k]` of this layout's.
const MESSAGE: [usize; 3] = [1, 2, 0];
const UPDATE: [usize; 3] = [2, 0, 1];

/// Attributes that say nothing of the energy, or what tensors say as well.
const KNOWN: &[&str] = &[
    "grad_keys",
    "output_keys",
    "device",
    "in_features",
    "out_features",
    "num_embeddings",
    "embedding_dim",
    "padding_idx",
    "norm_type",
    "scale_grad_by_freq",
    "sparse",
    "p",
    "inplace",
    "weight_init",
    "bias_init",
    "feat_dim",
    "num_readouts",
    "add_nacv",
    "learnable_k",
    "max_norm",
];

/// Whether it is one: its class, or with the user's word its parts.
pub fn is_it(net: &ModuleTree<'_>, answers: &ModelAnswers) -> bool {
    let class = net.modules.get("").map_or("", |module| module.class);
    class == "nff.nn.models.painn.Painn"
        || answers.as_painn() && net.modules.contains_key("message_blocks.0.inv_message")
}

/// Reads the whole of it.
///
/// # Errors
/// A class in it is another one, or something in it is not built in here.
pub fn draft(
    net: &ModuleTree<'_>,
    tensors: BTreeMap<String, SavedTensor>,
    answers: &ModelAnswers,
) -> Result<Draft> {
    let mut reader = NffReader {
        net,
        answers,
        tensors,
        draft: Draft {
            what: "a PaiNN of Neural Force Field".into(),
            ..Draft::default()
        },
    };
    reader.classes()?;
    reader.network()?;
    let head = reader.head()?;
    reader.readout(&head)?;
    reader.excluded_volume()?;
    if answers.reference_energies.is_none() {
        reader.draft.notes.push(
            "Neural Force Field keeps an energy offset by composition outside of the model; it is not added, which forces do \
             not see (--reference-energies adds one)"
                .into(),
        );
    }
    reader.draft.note_unused(&net.unused(KNOWN));
    // What is left has no place.
    reader.draft.tensors.extend(reader.tensors);
    Ok(reader.draft)
}

struct NffReader<'n, 't> {
    net: &'n ModuleTree<'t>,
    answers: &'n ModelAnswers,
    tensors: BTreeMap<String, SavedTensor>,
    draft: Draft,
}

impl NffReader<'_, '_> {
    /// Checks that every module is of a class that is known.
    fn classes(&self) -> Result<()> {
        const OWN: [&str; 15] = [
            "models.painn.Painn",
            "modules.painn.EmbeddingBlock",
            "modules.painn.MessageBlock",
            "modules.painn.InvariantMessage",
            "modules.painn.InvariantDense",
            "modules.painn.DistanceEmbed",
            "modules.painn.UpdateBlock",
            "modules.painn.ReadoutBlock",
            "modules.schnet.ScaleShift",
            "modules.schnet.SumPool",
            "layers.Dense",
            "layers.PainnRadialBasis",
            "layers.CosineEnvelope",
            "activations.Swish",
            "layers.Swish",
        ];
        for (path, module) in &self.net.modules {
            let own = module
                .class
                .strip_prefix("nff.nn.")
                .is_some_and(|class| OWN.contains(&class));
            if !own && !module.class.starts_with("torch.nn.modules.") && !self.answers.as_painn() {
                return Err(foreign(path, module.class, "or Neural Force Field's PaiNN"));
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &str) -> Result<SavedTensor> {
        let tensor = self.tensors.remove(name);
        tensor.ok_or_else(|| Error::input(format!("tensor '{name}' is missing")))
    }

    /// Brings a layer's tensors to their place, in blocks of another order where one is given.
    fn layer(&mut self, from: &str, to: &str, order: Option<[usize; 3]>) -> Result<()> {
        for part in ["weight", "bias"] {
            let name = format!("{from}.{part}");
            let mut tensor = self.take(&name)?;
            if let Some(order) = order {
                tensor = reordered(&name, tensor, order)?;
            }
            self.draft.tensors.insert(format!("{to}.{part}"), tensor);
        }
        Ok(())
    }

    /// Checks that a layer has SiLU behind it, or nothing.
    fn active(&self, path: &str, wanted: bool) -> Result<()> {
        match (activation(self.net, path)?.as_str(), wanted) {
            ("silu", true) | ("none", false) => Ok(()),
            (found, _) => Err(Error::input(format!(
                "the activation of '{}' is {}; only SiLU (Swish) is built in",
                path.escape_default(),
                found.escape_default()
            ))),
        }
    }

    fn network(&mut self) -> Result<()> {
        let embedding = self.take("embed_block.atom_embed.weight")?;
        let &[_, features] = &embedding.shape[..] else {
            return Err(Error::input("the embedding has no two dimensions"));
        };
        self.draft
            .tensors
            .insert(super::draft::EMBEDDING.into(), embedding);
        let layers = self.net.module("message_blocks")?.children.len();
        if self.net.module("update_blocks")?.children.len() != layers || layers == 0 {
            return Err(Error::input(
                "there are not as many update blocks as message blocks",
            ));
        }
        let mut bases = Vec::new();
        let mut filters = Vec::new();
        for l in 0..layers {
            let message = format!("message_blocks.{l}.inv_message");
            let context = format!("representation.interactions.{l}.interatomic_context_net");
            let dense = format!("{message}.inv_dense.layers");
            self.active(&format!("{dense}.0"), true)?;
            self.active(&format!("{dense}.1"), false)?;
            self.layer(&format!("{dense}.0"), &format!("{context}.0"), None)?;
            self.layer(
                &format!("{dense}.1"),
                &format!("{context}.1"),
                Some(MESSAGE),
            )?;
            bases.push(self.basis(&format!("{message}.dist_embed"))?);
            filters.push(self.filter(&format!("{message}.dist_embed.block.1"))?);
            self.update(l)?;
        }
        let (frequencies, weight, bias) = gathered(&bases, &filters)?;
        let functions = frequencies.len();
        let outputs = bias.len();
        let tensors = &mut self.draft.tensors;
        tensors.insert(
            "representation.radial_basis.freqs".into(),
            doubles(vec![functions], &frequencies),
        );
        tensors.insert(
            "representation.filter_net.weight".into(),
            doubles(vec![outputs, functions], &weight),
        );
        tensors.insert(
            "representation.filter_net.bias".into(),
            doubles(vec![outputs], &bias),
        );
        for (key, value) in [
            ("n_atom_basis", json!(features)),
            ("n_interactions", json!(layers)),
            ("n_rbf", json!(functions)),
            ("radial_basis", json!("bessel")),
            ("cutoff_fn", json!("cosine")),
            ("epsilon", json!(EPSILON)),
        ] {
            self.draft.state(key, value)?;
        }
        Ok(())
    }

    /// Angular frequencies of a layer's basis; its cutoff has to be that of all.
    fn basis(&mut self, path: &str) -> Result<Vec<f64>> {
        let basis = format!("{path}.block.0");
        let cutoff = self.net.number(&basis, "cutoff")?;
        for (path, name) in [
            (format!("{path}.f_cut"), "cutoff"),
            (String::new(), "cutoff"),
        ] {
            if self.net.attribute(&path, name).is_some() {
                let other = self.net.number(&path, name)?;
                if other != cutoff {
                    return Err(Error::input(format!(
                        "the cutoff is {cutoff} in '{basis}' and {other} elsewhere"
                    )));
                }
            }
        }
        self.draft.state("cutoff", json!(cutoff))?;
        let name = format!("{basis}.n");
        let learned = self.tensors.remove(&name);
        let stored = self.net.attribute(&basis, "n");
        let plain = stored
            .map(|id| self.net.saved_tensor(id))
            .transpose()?
            .flatten();
        let n = learned
            .or(plain)
            .ok_or_else(|| Error::input(format!("'{name}' is missing")))?;
        // In 64 bits, as the network is evaluated here.
        Ok(numbers(&n)?.iter().map(|n| n * PI / cutoff).collect())
    }

    /// The filter of a layer in SchNetPack's order.
    fn filter(&mut self, path: &str) -> Result<[Vec<f64>; 2]> {
        self.active(path, false)?;
        let mut part = |part: &str| {
            let name = format!("{path}.{part}");
            let tensor = reordered(&name, self.take(&name)?, MESSAGE)?;
            numbers(&tensor)
        };
        Ok([part("weight")?, part("bias")?])
    }

    fn update(&mut self, l: usize) -> Result<()> {
        let update = format!("update_blocks.{l}");
        let mixing = format!("representation.mixing.{l}");
        let [normed, other] = ["v_mat", "u_mat"].map(|name| format!("{update}.{name}"));
        self.active(&normed, false)?;
        self.active(&other, false)?;
        let mut mix = self.take(&format!("{normed}.weight"))?;
        let second = self.take(&format!("{other}.weight"))?;
        if mix.shape != second.shape || mix.kind != second.kind || mix.shape.len() != 2 {
            return Err(Error::input(format!(
                "'{normed}' and '{other}' have different shapes"
            )));
        }
        mix.shape[0] *= 2;
        mix.bytes.extend(second.bytes);
        self.draft
            .tensors
            .insert(format!("{mixing}.mu_channel_mix.weight"), mix);
        let (dense, context) = (
            format!("{update}.s_dense"),
            format!("{mixing}.intraatomic_context_net"),
        );
        self.active(&format!("{dense}.0"), true)?;
        self.active(&format!("{dense}.1"), false)?;
        self.layer(&format!("{dense}.0"), &format!("{context}.0"), None)?;
        self.layer(&format!("{dense}.1"), &format!("{context}.1"), Some(UPDATE))
    }

    /// Which output is the energy.
    fn head(&mut self) -> Result<String> {
        let net = self.net;
        let skips =
            net.attribute("", "skip")
                .into_iter()
                .flat_map(|skip| match net.tree().get(skip) {
                    PickleValue::Bool(skip) => vec![Some(*skip)],
                    _ => (net.tree().entries(skip).unwrap_or_default().iter())
                        .map(|(_, skip)| net.tree().flag(*skip))
                        .collect(),
                });
        if skips.into_iter().any(|skip| skip != Some(false))
            || net.module("readout_blocks")?.children.len() != 1
        {
            return Err(Error::input(
                "the model has a readout behind every layer ('skip'), which is not built in",
            ));
        }
        let keys: Vec<String> = (net.module("readout_blocks.0.readoutdict")?.children.iter())
            .map(|key| (*key).to_owned())
            .collect();
        let names = keys.join(", ").escape_debug().to_string();
        let chosen = match (&self.answers.head, keys.first()) {
            (_, None) => return Err(Error::input("the model has no outputs")),
            (Some(head), _) => keys.iter().find(|key| *key == head).ok_or_else(|| {
                let head = head.escape_default();
                Error::input(format!("--head {head}: there are {names}"))
            })?,
            (None, Some(first)) => {
                if keys.len() > 1 {
                    let what = format!("which output is the energy ({names})");
                    let question = OpenQuestion::new("--head", first.clone(), what);
                    self.draft.questions.push(question);
                }
                first
            }
        };
        let chosen = chosen.clone();
        for other in keys.iter().filter(|key| **key != chosen) {
            self.draft.notes.push(format!(
                "the output '{}' is left out",
                other.escape_default()
            ));
            let prefix = format!("readout_blocks.0.readoutdict.{other}.");
            let names: Vec<String> = self
                .tensors
                .keys()
                .filter(|n| n.starts_with(&prefix))
                .cloned()
                .collect();
            for name in names {
                self.tensors.remove(&name);
                self.draft.left_out(&name);
            }
        }
        for (path, name) in [("", "compute_delta")] {
            if net.attribute(path, name).is_some() && net.flag(path, name)? {
                self.draft
                    .notes
                    .push("differences of outputs ('compute_delta') are left out".into());
            }
        }
        self.pool(&chosen)?;
        Ok(chosen)
    }

    /// Checks that the energy is a sum over atoms.
    fn pool(&self, head: &str) -> Result<()> {
        let tree = self.net.tree();
        let pools = self.net.attribute("", "pool_dic");
        let plain = pools
            .and_then(|pools| tree.entry(pools, head))
            .and_then(|pool| tree.class(pool));
        let module = self
            .net
            .modules
            .get(&joined("pool_dic", head))
            .map(|module| module.class);
        match plain.or(module) {
            None | Some("nff.nn.modules.schnet.SumPool") => Ok(()),
            Some(_) if self.answers.as_painn() => Ok(()),
            Some(other) => Err(Error::input(format!(
                "the energy is made of those of atoms by {}, not by their sum, which is not built in",
                other.escape_default()
            ))),
        }
    }

    fn readout(&mut self, head: &str) -> Result<()> {
        let list = format!("readout_blocks.0.readoutdict.{head}");
        let depth = self.net.module(&list)?.children.len();
        for k in 0..depth {
            let path = format!("{list}.{k}");
            self.active(&path, k + 1 < depth)?;
            self.layer(&path, &format!("output_modules.0.outnet.{k}"), None)?;
        }
        let mut offsets = Offsets::default();
        let shift = "readout_blocks.0.scale_shift";
        let mut part = |name: &str| -> Result<Option<f64>> {
            if let Some(tensor) = self.tensors.remove(&format!("{shift}.{name}.{head}")) {
                return scalar(name, &tensor).map(Some);
            }
            let tree = self.net.tree();
            let Some(value) =
                (self.net.attribute(shift, name)).and_then(|dict| tree.entry(dict, head))
            else {
                return Ok(None);
            };
            match self.net.saved_tensor(value)? {
                Some(tensor) => scalar(name, &tensor).map(Some),
                None => tree.number(value).map(Some).ok_or_else(|| {
                    Error::input(format!(
                        "'{shift}.{name}' is {}, a number is wanted",
                        tree.describe(value)
                    ))
                }),
            }
        };
        offsets.scale(part("stddevs")?.unwrap_or(1.0));
        offsets.mean += part("means")?.unwrap_or(0.0);
        self.draft.offsets = offsets;
        Ok(())
    }

    fn excluded_volume(&mut self) -> Result<()> {
        let net = self.net;
        if net.attribute("", "excl_vol").is_none() || !net.flag("", "excl_vol")? {
            return Ok(());
        }
        let power = net.count("", "power")?;
        let sigma = net.number("", "sigma")?;
        self.draft.repulsion = Some(PowerLaw::new(1.0, sigma, power)?);
        Ok(())
    }
}

/// A tensor whose first dimension is three blocks, brought into another order.
fn reordered(name: &str, tensor: SavedTensor, order: [usize; 3]) -> Result<SavedTensor> {
    let rows = tensor.shape.first().copied().unwrap_or(0);
    if rows == 0 || !rows.is_multiple_of(3) {
        return Err(Error::input(format!(
            "tensor '{}' has shape {:?}; three blocks of rows are wanted",
            name.escape_default(),
            tensor.shape
        )));
    }
    let block = tensor.bytes.len() / 3;
    let blocks = order
        .iter()
        .flat_map(|k| &tensor.bytes[k * block..(k + 1) * block]);
    Ok(SavedTensor {
        bytes: blocks.copied().collect(),
        ..tensor
    })
}

/// One basis for all layers: their own where they are the same, else one after another, so that each layer's filter is zero
/// for those of the others. Frequencies, weights and biases.
fn gathered(
    bases: &[Vec<f64>],
    filters: &[[Vec<f64>; 2]],
) -> Result<(Vec<f64>, Vec<f64>, Vec<f64>)> {
    let same = bases.iter().all(|basis| *basis == bases[0]);
    let bias = filters
        .iter()
        .flat_map(|filter| filter[1].clone())
        .collect();
    let mut weight = Vec::new();
    for (basis, [own, bias]) in bases.iter().zip(filters) {
        if basis.is_empty() || own.len() != basis.len() * bias.len() {
            return Err(Error::input(
                "a filter does not have as many inputs as its basis has functions",
            ));
        }
    }
    if same {
        weight.extend(filters.iter().flat_map(|filter| &filter[0]));
        return Ok((bases[0].clone(), weight, bias));
    }
    let total: usize = bases.iter().map(Vec::len).sum();
    let mut before = 0;
    for (basis, [own, _]) in bases.iter().zip(filters) {
        for row in own.chunks_exact(basis.len()) {
            weight.extend(std::iter::repeat_n(0.0, before));
            weight.extend(row);
            weight.extend(std::iter::repeat_n(0.0, total - before - basis.len()));
        }
        before += basis.len();
    }
    Ok((bases.concat(), weight, bias))
}
