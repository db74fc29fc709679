//! What a pickle says, as values that refer to each other by number: shared and circular ones stay what they are, and
//! nothing is as deep as the file wants it to be.

use std::collections::HashSet;

/// The place of a value in its [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(super) u32);

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum PickleValue {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// A whole number; larger ones are refused.
    Int(i128),
    /// A float.
    Float(f64),
    /// A string.
    Text(Box<str>),
    /// A string of bytes.
    Bytes(Box<[u8]>),
    /// A list.
    List(Vec<ValueId>),
    /// A tuple.
    Tuple(Box<[ValueId]>),
    /// A dict, in the order of the file.
    Dict(Vec<(ValueId, ValueId)>),
    /// A set or a frozen set.
    Set(Vec<ValueId>),
    /// A class or a function by its path, such as `torch.nn.functional.silu`.
    Global(Box<str>),
    /// What calling something would have made.
    Object(Box<PickledObject>),
    /// What the file keeps outside of the pickle, by the value that names it.
    Persistent(ValueId),
}

/// What would have come of a call: of a class, most often.
#[derive(Debug, Clone, PartialEq)]
pub struct PickledObject {
    /// What would have been called.
    pub class: ValueId,
    /// The tuple of its arguments.
    pub arguments: ValueId,
    /// What it was to take for its state afterwards, most often a dict of attributes.
    pub state: Option<ValueId>,
    /// What was to be appended to it.
    pub list: Vec<ValueId>,
    /// What was to be put into it by key.
    pub items: Vec<(ValueId, ValueId)>,
}

/// All values of a pickle.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    pub(super) values: Vec<PickleValue>,
    pub(super) root: ValueId,
}

impl Tree {
    /// The value that the pickle is of.
    pub fn root(&self) -> ValueId {
        self.root
    }

    /// The value at a place.
    pub fn get(&self, id: ValueId) -> &PickleValue {
        &self.values[id.0 as usize]
    }

    /// Every value, those included that nothing refers to.
    pub fn all(&self) -> impl Iterator<Item = (ValueId, &PickleValue)> {
        (0..).map(ValueId).zip(&self.values)
    }

    /// A string.
    pub fn text(&self, id: ValueId) -> Option<&str> {
        match self.get(id) {
            PickleValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn int(&self, id: ValueId) -> Option<i128> {
        match self.get(id) {
            PickleValue::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// A number, whole or not.
    pub fn number(&self, id: ValueId) -> Option<f64> {
        match self.get(id) {
            PickleValue::Int(n) => Some(*n as f64),
            PickleValue::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// `True` or `False`.
    pub fn flag(&self, id: ValueId) -> Option<bool> {
        match self.get(id) {
            PickleValue::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The path of a class or a function. PyTorch's format before 1.6 names classes of modules as it names stored numbers,
    /// with their source text beside them.
    pub fn global(&self, id: ValueId) -> Option<&str> {
        match self.get(id) {
            PickleValue::Global(path) => Some(path),
            PickleValue::Persistent(name) => match self.get(*name) {
                PickleValue::Tuple(parts) if self.text(*parts.first()?) == Some("module") => {
                    match self.get(*parts.get(1)?) {
                        PickleValue::Global(path) => Some(path),
                        _ => None,
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// An object.
    pub fn object(&self, id: ValueId) -> Option<&PickledObject> {
        match self.get(id) {
            PickleValue::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The path of an object's class.
    pub fn class(&self, id: ValueId) -> Option<&str> {
        self.global(self.object(id)?.class)
    }

    /// The arguments of an object.
    pub fn arguments(&self, object: &PickledObject) -> &[ValueId] {
        match self.get(object.arguments) {
            PickleValue::Tuple(list) => list,
            _ => &[],
        }
    }

    /// What is in a list, a tuple or a set.
    pub fn sequence(&self, id: ValueId) -> Option<&[ValueId]> {
        match self.get(id) {
            PickleValue::List(list) | PickleValue::Set(list) => Some(list),
            PickleValue::Tuple(list) => Some(list),
            _ => None,
        }
    }

    /// Keys and values of a dict, also of one of the classes that only add something to it.
    pub fn entries(&self, id: ValueId) -> Option<&[(ValueId, ValueId)]> {
        const DICTS: [&str; 3] = ["OrderedDict", "defaultdict", "AttributeDict"];
        match self.get(id) {
            PickleValue::Dict(items) => Some(items),
            PickleValue::Object(object) => {
                let name = self.global(object.class)?.rsplit('.').next()?;
                DICTS.contains(&name).then_some(&object.items)
            }
            _ => None,
        }
    }

    /// The value of a dict under a key that is text; `None` where there is none.
    pub fn entry(&self, dict: ValueId, key: &str) -> Option<ValueId> {
        let mut entries = self.entries(dict)?.iter();
        entries
            .find(|(k, _)| self.text(*k) == Some(key))
            .map(|(_, value)| *value)
    }

    /// A key that a dict has more than once, by its text: Python would keep one of them.
    pub fn key_twice(&self, dict: ValueId) -> Option<&str> {
        let mut seen = HashSet::new();
        let mut keys = self
            .entries(dict)?
            .iter()
            .filter_map(|(k, _)| self.text(*k));
        keys.find(|key| !seen.insert(*key))
    }

    /// A value in a word or two, for messages.
    pub fn describe(&self, id: ValueId) -> String {
        match self.get(id) {
            PickleValue::None => "None".into(),
            PickleValue::Bool(true) => "True".into(),
            PickleValue::Bool(false) => "False".into(),
            PickleValue::Int(n) => n.to_string(),
            PickleValue::Float(x) => format!("{x:?}"),
            PickleValue::Text(text) => format!("{text:?}"),
            PickleValue::Bytes(bytes) => format!("{} bytes", bytes.len()),
            PickleValue::List(list) => format!("a list of {}", list.len()),
            PickleValue::Tuple(list) => format!("a tuple of {}", list.len()),
            PickleValue::Dict(items) => format!("a dict of {}", items.len()),
            PickleValue::Set(list) => format!("a set of {}", list.len()),
            PickleValue::Global(path) => path.to_string(),
            PickleValue::Object(object) => match self.global(object.class) {
                Some(path) => format!("an object of {path}"),
                None => "an object".into(),
            },
            PickleValue::Persistent(_) => "a reference to stored numbers".into(),
        }
    }
}
