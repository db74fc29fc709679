//! Tensors: views of stored numbers.

use crate::formats::pickle::{PickleValue, Tree, ValueId};
use crate::{Error, Result};

/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// IEEE 754, 64 bits.
    F64,
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 16 bits.
    F16,
    /// The upper half of 32 bits.
    BF16,
    /// Whole numbers.
    I64,
    /// Whole numbers.
    I32,
    /// Whole numbers.
    I16,
    /// Whole numbers.
    I8,
    /// Whole numbers without a sign.
    U8,
    /// Truth values.
    Bool,
}

impl NumberKind {
    /// The kind of a class of storages, such as `torch.FloatStorage`.
    pub fn of_storage(class: &str) -> Option<Self> {
        Some(match class.strip_prefix("torch.")? {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }

    /// Bytes of a number.
    pub fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Its name in safetensors.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::I16 => "I16",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
        }
    }
}

/// A tensor with numbers of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedTensor {
    /// How they are stored.
    pub kind: NumberKind,
    /// Sizes, the slowest first.
    pub shape: Vec<usize>,
    /// The numbers in that order, the lowest byte of each first.
    pub bytes: Vec<u8>,
}

/// A tensor as the pickle describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageView<'t> {
    pub key: &'t str,
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Numbers from one index to the next, for each dimension.
    pub stride: Vec<usize>,
}

/// The tensor that an object of the tree is, if it is one.
///
/// # Errors
/// It is a tensor of a kind that is not known here, or is not described as tensors are.
pub fn view(tree: &Tree, id: ValueId) -> Result<Option<StorageView<'_>>> {
    /// A parameter of a parameter is none.
    const MOST_WRAPPERS: usize = 4;
    let mut id = id;
    for _ in 0..MOST_WRAPPERS {
        let (Some(object), Some(class)) = (tree.object(id), tree.class(id)) else {
            return Ok(None);
        };
        let arguments = tree.arguments(object);
        match class.rsplit_once('.') {
            Some(("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2")) => {
                return plain(tree, arguments).map(Some);
            }
            Some(("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")) => {
                id = *arguments.first().ok_or_else(|| malformed("is empty"))?;
            }
            Some(("torch._utils" | "torch._tensor", name)) if name.starts_with("_rebuild") => {
                return Err(malformed(&format!(
                    "is made by {class}, which is not known here"
                )));
            }
            _ => return Ok(None),
        }
    }
    Err(malformed("is wrapped again and again"))
}

fn malformed(what: &str) -> Error {
    Error::input(format!("a tensor {what}"))
}

/// `(storage, offset, shape, stride, requires_grad, hooks)`.
fn plain<'t>(tree: &'t Tree, arguments: &[ValueId]) -> Result<StorageView<'t>> {
    let [storage, offset, shape, stride, ..] = arguments else {
        return Err(malformed("lacks a part of its description"));
    };
    let PickleValue::Persistent(name) = tree.get(*storage) else {
        return Err(malformed("has no numbers"));
    };
    let reference = super::reference(tree, *name)?;
    let size = |id: &ValueId| tree.int(*id).and_then(|n| usize::try_from(n).ok());
    let sizes = |id: ValueId| -> Option<Vec<usize>> {
        let list = tree
            .sequence(id)
            .filter(|list| list.len() <= MOST_DIMENSIONS)?;
        list.iter().map(size).collect()
    };
    let view =
        size(offset)
            .zip(sizes(*shape))
            .zip(sizes(*stride))
            .map(|((offset, shape), stride)| StorageView {
                key: reference.key,
                offset,
                shape,
                stride,
            });
    let view = view.filter(|view| view.shape.len() == view.stride.len());
    let view = view.ok_or_else(|| malformed("has a shape that is none"))?;
    match view.end() {
        Some(end) if end <= reference.count => Ok(view),
        _ => Err(malformed(&format!(
            "of shape {:?} reaches beyond its {} numbers",
            view.shape, reference.count
        ))),
    }
}

impl StorageView<'_> {
    /// How many numbers it has.
    pub fn count(&self) -> usize {
        self.shape
            .iter()
            .fold(1, |count: usize, size| count.saturating_mul(*size))
    }

    /// One beyond the last number that it reaches.
    fn end(&self) -> Option<usize> {
        if self.shape.contains(&0) {
            return Some(0);
        }
        // More numbers than there are bytes in memory would have strides of zero.
        let mut last = self.offset;
        for (size, stride) in self.shape.iter().zip(&self.stride) {
            if *size > 1 && *stride == 0 {
                return None;
            }
            last = last.checked_add((size - 1).checked_mul(*stride)?)?;
        }
        last.checked_add(1)
    }

    /// Its numbers in the order of its shape.
    pub fn tensor(self, kind: NumberKind, stored: &[u8]) -> Result<SavedTensor> {
        let width = kind.width();
        let most = stored.len() / width;
        if self.count() > most {
            return Err(malformed(&format!(
                "of shape {:?} has more numbers than are stored",
                self.shape
            )));
        }
        let mut bytes = Vec::with_capacity(self.count() * width);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.count() {
            let steps = index.iter().zip(&self.stride).map(|(i, stride)| i * stride);
            let at = (self.offset + steps.sum::<usize>()) * width;
            let number = stored.get(at..at + width);
            bytes.extend_from_slice(number.ok_or_else(|| malformed("reaches beyond its numbers"))?);
            for (i, size) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *size {
                    break;
                }
                *i = 0;
            }
        }
        Ok(SavedTensor {
            kind,
            shape: self.shape,
            bytes,
        })
    }
}
