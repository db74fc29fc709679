//! What a file of PyTorch has in it: a module, a state dict, or a checkpoint with several sets of weights.

use std::collections::{BTreeMap, BTreeSet};

use super::module::{ModuleTree, is_module};
use super::{answers::ModelAnswers, question::OpenQuestion, state};
use crate::formats::pickle::{PickleValue, Tree, ValueId};
use crate::formats::torch::{SavedFile, SavedTensor};
use crate::terminal::shown;
use crate::{Error, Result};

/// Modules that do nothing but hold another one.
const WRAPPERS: [(&str, &str); 4] = [
    ("DataParallel", "module"),
    ("DistributedDataParallel", "module"),
    ("AveragedModel", "module"),
    ("OptimizedModule", "_orig_mod"),
];

/// Parts of names of averaged weights.
const AVERAGED: [&str; 4] = ["ema", "averag", "swa", "shadow"];

/// Buffers of a PaiNN, which no optimiser changes.
const BUFFERS: [&str; 5] = [
    ".widths",
    ".offsets",
    ".freqs",
    "cutoff_fn.cutoff",
    "postprocessors.",
];

/// One set of weights.
pub struct WeightSet<'t> {
    /// Where it stands in the file.
    pub name: String,
    pub tensors: BTreeMap<String, SavedTensor>,
    /// In the order of the file.
    order: Vec<String>,
    /// The module that they were found in.
    pub net: Option<ModuleTree<'t>>,
}

impl WeightSet<'_> {
    fn is_averaged(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        AVERAGED.iter().any(|part| name.contains(part))
    }
}

/// What was found.
pub struct Origin<'t> {
    /// How it was saved, for people.
    pub what: String,
    /// The module that weights without one of their own are of, where the file has it.
    pub net: Option<ModuleTree<'t>>,
    /// At least one.
    pub sets: Vec<WeightSet<'t>>,
    /// Parts of the file that are no weights.
    pub rest: Vec<String>,
}

impl<'t> Origin<'t> {
    /// Looks for weights.
    ///
    /// # Errors
    /// There are none, or something in the file is damaged.
    pub fn of(saved: &'t SavedFile<'t>) -> Result<Self> {
        let root = unwrapped(&saved.tree, saved.tree.root());
        let mut origin = Self {
            what: String::new(),
            net: None,
            sets: Vec::new(),
            rest: Vec::new(),
        };
        if is_module(&saved.tree, root) {
            origin.what = format!("a whole module in {}", saved.container);
            origin.module("the module", saved, root)?;
            return Ok(origin);
        }
        let tree = &saved.tree;
        let entries = tree.entries(root).ok_or_else(|| {
            Error::input(format!(
                "the file holds {}, neither a model nor its weights",
                tree.describe(root).escape_default()
            ))
        })?;
        if let Some(key) = tree.key_twice(root) {
            return Err(Error::input(format!(
                "the file has '{}' twice",
                key.escape_default()
            )));
        }
        if entries.iter().any(|(_, value)| saved.is_tensor(*value)) {
            origin.what = format!("a state dict in {}", saved.container);
            origin.weights("", saved, root)?;
        } else {
            origin.what = format!("a checkpoint in {}", saved.container);
            origin.checkpoint(saved, entries)?;
        }
        match origin.sets.is_empty() {
            false => Ok(origin),
            true => Err(origin.nothing(saved)),
        }
    }

    /// A whole module.
    fn module(&mut self, name: &str, saved: &'t SavedFile<'t>, id: ValueId) -> Result<()> {
        let net = ModuleTree::of(saved, id)?;
        let order = net.tensors.iter().map(|(name, _)| name.clone()).collect();
        self.sets.push(WeightSet {
            name: name.to_owned(),
            tensors: net.all_tensors()?,
            order,
            net: Some(net),
        });
        Ok(())
    }

    /// Sets of weights in a state dict, each under a prefix of its own.
    fn weights(&mut self, name: &str, saved: &SavedFile<'_>, dict: ValueId) -> Result<()> {
        let tree = &saved.tree;
        if let Some(key) = tree.key_twice(dict) {
            return Err(Error::input(format!(
                "'{name}' has '{}' twice",
                key.escape_default()
            )));
        }
        let mut named = Vec::new();
        for (key, value) in tree.entries(dict).unwrap_or_default() {
            match (tree.text(*key), saved.tensor(*value)?) {
                (Some(key), Some(tensor)) => named.push((key, tensor)),
                _ => self.rest.push(tree.describe(*key)),
            }
        }
        let prefixes = state::prefixes(named.iter().map(|(key, _)| *key));
        if let (true, Some(what)) = (
            prefixes.is_empty(),
            state::recognise(named.iter().map(|n| n.0)),
        ) {
            return Err(Error::input(what));
        }
        // The longest first: what is under it is not under a shorter one.
        let mut longest = prefixes.clone();
        longest.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
        let mut sets: BTreeMap<String, WeightSet<'t>> = BTreeMap::new();
        for (key, tensor) in named {
            let Some(prefix) = longest
                .iter()
                .find(|prefix| key.starts_with(prefix.as_str()))
            else {
                self.rest.push(key.to_owned());
                continue;
            };
            let set = sets.entry(prefix.clone()).or_insert_with(|| WeightSet {
                name: [name, prefix.trim_end_matches('.')].join(if name.is_empty() {
                    ""
                } else {
                    ":"
                }),
                tensors: BTreeMap::new(),
                order: Vec::new(),
                net: None,
            });
            let own = key[prefix.len()..].to_owned();
            set.order.push(own.clone());
            set.tensors.insert(own, tensor);
        }
        self.sets
            .extend(prefixes.iter().filter_map(|prefix| sets.remove(prefix)));
        Ok(())
    }

    /// A dict of a training's state.
    fn checkpoint(
        &mut self,
        saved: &'t SavedFile<'t>,
        entries: &[(ValueId, ValueId)],
    ) -> Result<()> {
        let tree = &saved.tree;
        let mut shadows = Vec::new();
        for (key, value) in entries {
            let key = tree.text(*key).unwrap_or("?");
            let value = unwrapped(tree, *value);
            let is_weights = tree
                .entries(value)
                .is_some_and(|entries| entries.iter().any(|(_, value)| saved.is_tensor(*value)));
            if is_module(tree, value) {
                self.module(key, saved, value)?;
            } else if is_weights {
                self.weights(key, saved, value)?;
            } else if key == "callbacks" {
                shadows = shadow_of(tree, value);
            } else if let Some(model) = tree.entry(value, "model").filter(|m| is_module(tree, *m)) {
                // What a training was made with, and changes.
                self.net = Some(ModuleTree::of(saved, model)?);
            } else {
                self.rest.push(key.escape_default().to_string());
            }
        }
        if let (false, Some(set)) = (shadows.is_empty(), self.sets.first()) {
            let averaged = self.averaged(saved, set, &shadows)?;
            self.sets.push(averaged);
        }
        Ok(())
    }

    /// The set of weights with its parameters replaced by averages, which are listed in the order of the parameters.
    fn averaged(
        &self,
        saved: &SavedFile<'_>,
        plain: &WeightSet<'_>,
        shadows: &[ValueId],
    ) -> Result<WeightSet<'t>> {
        let trained: Vec<String> = match &self.net {
            Some(net) => {
                let trained = net.tensors.iter().filter(|(_, slot)| slot.is_parameter);
                // A parameter that is shared is listed once.
                let mut seen = BTreeSet::new();
                trained
                    .filter(|(_, slot)| seen.insert(slot.id))
                    .map(|(n, _)| n.clone())
                    .collect()
            }
            None => {
                let is_buffer = |name: &str| BUFFERS.iter().any(|buffer| name.contains(buffer));
                plain
                    .order
                    .iter()
                    .filter(|name| !is_buffer(name))
                    .cloned()
                    .collect()
            }
        };
        let mut tensors = plain.tensors.clone();
        let fits = trained.len() == shadows.len();
        for (name, id) in trained.iter().zip(shadows) {
            let average = saved.tensor(*id)?;
            match (tensors.get_mut(name), average) {
                (Some(tensor), Some(average)) if fits && average.shape == tensor.shape => {
                    *tensor = average
                }
                _ => {
                    return Err(Error::input(format!(
                        "the checkpoint has averaged weights, but they do not fit its parameters ({} for {}): save the model \
                         itself",
                        shadows.len(),
                        trained.len()
                    )));
                }
            }
        }
        Ok(WeightSet {
            name: "ema".into(),
            tensors,
            order: plain.order.clone(),
            net: None,
        })
    }

    /// Chooses a set of weights; where it cannot be told, the first, with a question.
    pub fn choose(
        &mut self,
        answers: &ModelAnswers,
    ) -> Result<(WeightSet<'t>, Option<OpenQuestion>, Vec<String>)> {
        let names: Vec<String> = self.sets.iter().map(|set| set.name.clone()).collect();
        let wanted = answers.weights.as_deref();
        let fits = |set: &WeightSet<'_>| match wanted {
            None => true,
            Some("ema") if set.is_averaged() => true,
            Some("plain") if !set.is_averaged() => true,
            Some(name) => set.name == name,
        };
        let found: Vec<usize> = (0..self.sets.len())
            .filter(|k| fits(&self.sets[*k]))
            .collect();
        let listed = names.join(", ").escape_debug().to_string();
        let question = match (found.as_slice(), wanted) {
            ([_], _) => None,
            ([], _) => {
                return Err(Error::input(format!(
                    "--weights {}: there are {listed}",
                    wanted.unwrap_or_default()
                )));
            }
            _ => {
                let averaged = self.sets.iter().filter(|set| set.is_averaged()).count();
                let simple = averaged == 1 && self.sets.len() == 2;
                let value = if simple {
                    "ema".to_owned()
                } else {
                    names[0].clone()
                };
                let what = match simple {
                    true => format!(
                        "which weights: ema, averaged ones, which are usual for simulations, or plain (there are {listed})"
                    ),
                    false => format!("which weights: {listed}"),
                };
                Some(OpenQuestion::new("--weights", value, what))
            }
        };
        let set = self.sets.swap_remove(found[0]);
        let others = names.into_iter().filter(|name| *name != set.name).collect();
        Ok((set, question, others))
    }

    /// What to say where no weights were found.
    fn nothing(&self, saved: &SavedFile<'_>) -> Error {
        let tree = &saved.tree;
        let keys = tree.entries(tree.root()).unwrap_or_default();
        let names = keys.iter().take(6).map(|(key, _)| tree.describe(*key));
        let names: Vec<String> = names.collect();
        Error::input(format!(
            "the file has no weights of a PaiNN; it is {}, with {}",
            self.what,
            shown(&names.join(", "))
        ))
    }
}

/// The module inside of modules that only hold it.
fn unwrapped(tree: &Tree, mut id: ValueId) -> ValueId {
    for _ in 0..WRAPPERS.len() {
        let last = tree.class(id).and_then(|class| class.rsplit('.').next());
        let Some((_, child)) = WRAPPERS.iter().find(|(name, _)| Some(*name) == last) else {
            return id;
        };
        let state = tree.object(id).and_then(|object| object.state);
        let modules = state.and_then(|state| tree.entry(state, "_modules"));
        match modules.and_then(|modules| tree.entry(modules, child)) {
            Some(inner) => id = inner,
            None => return id,
        }
    }
    id
}

/// The averages that SchNetPack's callback for them keeps in a checkpoint of Lightning.
fn shadow_of(tree: &Tree, callbacks: ValueId) -> Vec<ValueId> {
    let states = tree.entries(callbacks).unwrap_or_default().iter();
    let shadow = |state: ValueId| {
        let ema = tree.entry(state, "ema").unwrap_or(state);
        let list = tree.entry(ema, "shadow_params")?;
        match tree.get(list) {
            PickleValue::List(list) => Some(list.clone()),
            _ => None,
        }
    };
    states
        .filter_map(|(_, state)| shadow(*state))
        .next()
        .unwrap_or_default()
}
