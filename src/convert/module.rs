//! A pickled module of PyTorch taken apart: its submodules by path, their attributes, parameters and buffers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::formats::pickle::{PickleValue, Tree, ValueId};
use crate::formats::torch::{SavedFile, SavedTensor};
use crate::{Error, Result};

/// Deepest nesting of modules, and most of them: shared ones are met once for each path.
const DEEPEST: usize = 32;
const MOST: usize = 20_000;

/// What every module has for PyTorch's own use.
const BOOKKEEPING: [&str; 22] = [
    "training",
    "call_super_init",
    "_parameters",
    "_buffers",
    "_modules",
    "_non_persistent_buffers_set",
    "_is_full_backward_hook",
    "_backend",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
    "_compiled_call_impl",
    "_version",
    "dump_patches",
];

/// Hooks that may change what a module gives.
const ACTIVE: [&str; 2] = ["_forward_hooks", "_forward_pre_hooks"];

/// One module.
#[derive(Debug)]
pub struct PickledModule<'t> {
    /// The path of its class.
    pub class: &'t str,
    /// Names of its submodules, in their order.
    pub children: Vec<&'t str>,
    attributes: BTreeMap<&'t str, ValueId>,
}

/// A tensor of a module.
#[derive(Debug, Clone, Copy)]
pub struct TensorSlot {
    /// Where it is in the tree.
    pub id: ValueId,
    /// Whether it was trained: a parameter, not a buffer.
    pub is_parameter: bool,
}

/// A module with all that is in it.
#[derive(Debug)]
pub struct ModuleTree<'t> {
    saved: &'t SavedFile<'t>,
    /// By path: `""` is the whole.
    pub modules: BTreeMap<String, PickledModule<'t>>,
    /// By path and name, as in a state dict, in the order of the modules.
    pub tensors: Vec<(String, TensorSlot)>,
    /// What has been asked for: the rest is listed.
    used: RefCell<BTreeSet<String>>,
}

/// Whether a value is a module.
pub fn is_module(tree: &Tree, id: ValueId) -> bool {
    let state = tree.object(id).and_then(|object| object.state);
    state.is_some_and(|state| tree.entry(state, "_modules").is_some())
}

/// A path and a name in it.
pub fn joined(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    }
}

impl<'t> ModuleTree<'t> {
    /// Takes the module at a place apart.
    ///
    /// # Errors
    /// It is nested too deep, is damaged, or a hook may change what it gives.
    pub fn of(saved: &'t SavedFile<'t>, root: ValueId) -> Result<Self> {
        let mut net = Self {
            saved,
            modules: BTreeMap::new(),
            tensors: Vec::new(),
            used: RefCell::new(BTreeSet::new()),
        };
        net.walk(String::new(), root, 0)?;
        Ok(net)
    }

    fn walk(&mut self, path: String, id: ValueId, depth: usize) -> Result<()> {
        let place = path.escape_default().to_string();
        let fault = |what: &str| Error::input(format!("the module '{place}' {what}"));
        if depth > DEEPEST || self.modules.len() >= MOST {
            return Err(fault("has too many modules in it: the file is damaged"));
        }
        let tree = &self.saved.tree;
        let state = tree.object(id).and_then(|object| object.state);
        let (Some(class), Some(state)) = (tree.class(id), state) else {
            return Err(fault("is none"));
        };
        let named = |key: &str| -> Result<Vec<(&'t str, ValueId)>> {
            let Some(dict) = tree.entry(state, key) else {
                return Ok(Vec::new());
            };
            let twice = [tree.key_twice(dict), tree.key_twice(state)];
            if let Some(key) = twice.into_iter().flatten().next() {
                return Err(fault(&format!("has '{}' twice", key.escape_default())));
            }
            let entries = tree.entries(dict).ok_or_else(|| fault("is damaged"))?;
            let name = |(key, value): &(ValueId, ValueId)| Some((tree.text(*key)?, *value));
            let found: Option<Vec<_>> = entries.iter().map(name).collect();
            let mut found = found.ok_or_else(|| fault("has a name that is no text"))?;
            found.retain(|(_, value)| *tree.get(*value) != PickleValue::None);
            Ok(found)
        };
        for (key, is_parameter) in [("_parameters", true), ("_buffers", false)] {
            for (name, id) in named(key)? {
                let slot = TensorSlot { id, is_parameter };
                self.tensors.push((joined(&path, name), slot));
            }
        }
        let children = named("_modules")?;
        let entries = tree.entries(state).unwrap_or_default();
        let own = |(key, value): &(ValueId, ValueId)| Some((tree.text(*key)?, *value));
        let mut attributes: BTreeMap<&str, ValueId> = entries.iter().filter_map(own).collect();
        for hooks in ACTIVE {
            let hooks = attributes.get(hooks).and_then(|id| tree.entries(*id));
            if hooks.is_some_and(|hooks| !hooks.is_empty()) {
                return Err(fault(
                    "has hooks, programs that may change what it gives: remove them and save it again",
                ));
            }
        }
        attributes.retain(|name, _| !BOOKKEEPING.contains(name));
        let module = PickledModule {
            class,
            children: children.iter().map(|(name, _)| *name).collect(),
            attributes,
        };
        self.modules.insert(path.clone(), module);
        for (name, id) in children {
            self.walk(joined(&path, name), id, depth + 1)?;
        }
        Ok(())
    }

    /// The tree that it is in.
    pub fn tree(&self) -> &'t Tree {
        &self.saved.tree
    }

    /// A module by its path.
    ///
    /// # Errors
    /// There is none.
    pub fn module(&self, path: &str) -> Result<&PickledModule<'t>> {
        let module = self.modules.get(path);
        module.ok_or_else(|| {
            Error::input(format!(
                "the model has no module '{}'",
                path.escape_default()
            ))
        })
    }

    /// The tensor at a place of the tree, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn saved_tensor(&self, id: ValueId) -> Result<Option<SavedTensor>> {
        self.saved.tensor(id)
    }

    /// All tensors, as in a state dict.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn all_tensors(&self) -> Result<BTreeMap<String, SavedTensor>> {
        let mut all = BTreeMap::new();
        for (name, slot) in &self.tensors {
            let tensor = self.saved.tensor(slot.id)?;
            let tensor = tensor
                .ok_or_else(|| Error::input(format!("'{}' is no tensor", name.escape_default())))?;
            all.insert(name.clone(), tensor);
        }
        Ok(all)
    }

    /// An attribute of a module; `None` where it has none of this name, or `None`.
    pub fn attribute(&self, path: &str, name: &str) -> Option<ValueId> {
        let module = self.modules.get(path)?;
        let id = *module.attributes.get(name)?;
        self.used.borrow_mut().insert(joined(path, name));
        (*self.tree().get(id) != PickleValue::None).then_some(id)
    }

    /// An attribute that has to be there.
    ///
    /// # Errors
    /// It is not, or `read` makes nothing of it.
    pub fn needed<T>(
        &self,
        path: &str,
        name: &str,
        wanted: &str,
        read: impl Fn(&'t Tree, ValueId) -> Option<T>,
    ) -> Result<T> {
        let place = joined(path, name).escape_default().to_string();
        let id = self.attribute(path, name).ok_or_else(|| {
            Error::input(format!(
                "the model does not say '{place}' ({wanted} is wanted)"
            ))
        })?;
        read(self.tree(), id).ok_or_else(|| {
            let found = self.tree().describe(id);
            Error::input(format!("'{place}' is {found}, {wanted} is wanted"))
        })
    }

    /// A truth value that has to be there.
    ///
    /// # Errors
    /// It is not.
    pub fn flag(&self, path: &str, name: &str) -> Result<bool> {
        self.needed(path, name, "True or False", Tree::flag)
    }

    /// A text that has to be there.
    ///
    /// # Errors
    /// It is not.
    pub fn text(&self, path: &str, name: &str) -> Result<&'t str> {
        self.needed(path, name, "a text", Tree::text)
    }

    /// A size that has to be there.
    ///
    /// # Errors
    /// It is not.
    pub fn count(&self, path: &str, name: &str) -> Result<usize> {
        self.needed(path, name, "a size", |tree, id| {
            usize::try_from(tree.int(id)?).ok()
        })
    }

    /// A number that has to be there.
    ///
    /// # Errors
    /// It is not, or is not finite.
    pub fn number(&self, path: &str, name: &str) -> Result<f64> {
        let finite = |tree: &Tree, id| tree.number(id).filter(|x| x.is_finite());
        self.needed(path, name, "a number", finite)
    }

    /// Attributes that nobody asked for, each name once; `known` ones left out.
    pub fn unused(&self, known: &[&str]) -> Vec<String> {
        let used = self.used.borrow();
        let mut names = BTreeSet::new();
        for (path, module) in &self.modules {
            for name in module.attributes.keys() {
                if !known.contains(name) && !used.contains(&joined(path, name)) {
                    names.insert((*name).escape_default().to_string());
                }
            }
        }
        names.into_iter().collect()
    }
}
