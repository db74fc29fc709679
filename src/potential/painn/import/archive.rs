//! A safetensors file taken apart: named tensors in f64, and what is said of a file that is none.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorView};

use crate::{Error, Result};

/// Longest header that the format allows (bytes).
const LONGEST_HEADER: u64 = 100_000_000;

/// Most tensors named in one message.
const MOST_NAMES: usize = 3;

/// The tensors of a file that nobody has taken yet, by name, and its metadata.
pub struct Archive<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
    /// Text by key.
    pub metadata: HashMap<String, String>,
}

impl<'a> Archive<'a> {
    /// Opens a file's bytes. No tensor is copied, so that a forged size allocates nothing.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        recognise(bytes)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| broken(bytes, &e))?;
        if header.data_len() > bytes.len() {
            return Err(broken(bytes, &SafeTensorError::ValidationOverflow));
        }
        let file = SafeTensors::deserialize(bytes).map_err(|e| broken(bytes, &e))?;
        Ok(Self {
            tensors: file.tensors().into_iter().collect(),
            metadata: header.metadata().clone().unwrap_or_default(),
        })
    }

    /// Drops what stands before `name` in the names of the tensors, if one ends with it: a training
    /// framework's `model.` and the like.
    pub fn strip_prefix_of(&mut self, name: &str) {
        let prefix = (self.tensors.keys())
            .find_map(|key| key.strip_suffix(name))
            .unwrap_or_default()
            .to_owned();
        if !prefix.is_empty() {
            let tensors = std::mem::take(&mut self.tensors);
            self.tensors = (tensors.into_iter())
                .map(|(key, view)| match key.strip_prefix(&prefix) {
                    Some(rest) => (rest.to_owned(), view),
                    None => (key, view),
                })
                .collect();
        }
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(TensorView::shape)
    }

    /// Names of the tensors left, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The first few names, for a message.
    pub fn some_names(&self) -> String {
        let first: Vec<&str> = self.names().take(MOST_NAMES).collect();
        let more = if self.tensors.len() > MOST_NAMES {
            ", ..."
        } else {
            ""
        };
        format!("{}{more}", first.join(", "))
    }

    /// Takes a tensor of known shape out, as f64.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        let Some(found) = self.shape(name) else {
            return Err(Error::input(format!(
                "tensor '{name}' is missing (expected with shape {shape:?})"
            )));
        };
        if found != shape {
            return Err(Error::input(format!(
                "tensor '{name}' has shape {found:?}, expected {shape:?}"
            )));
        }
        self.take_any(name)
    }

    /// Takes a single number out, whatever its shape is called.
    pub fn take_scalar(&mut self, name: &str) -> Result<Option<f64>> {
        match self.shape(name) {
            None => Ok(None),
            Some(shape) if shape.iter().product::<usize>() != 1 => Err(Error::input(format!(
                "tensor '{name}' has shape {shape:?}, expected a single number"
            ))),
            Some(_) => Ok(self.take_any(name)?.first().copied()),
        }
    }

    /// Takes a tensor of any shape out.
    pub fn take_any(&mut self, name: &str) -> Result<Vec<f64>> {
        let Some(view) = self.tensors.remove(name) else {
            return Err(Error::input(format!("tensor '{name}' is missing")));
        };
        let values = decode(&view).ok_or_else(|| {
            Error::input(format!(
                "tensor '{name}' has numbers of type {}; F64, F32, F16 and BF16 can be read",
                view.dtype()
            ))
        })?;
        match values.iter().position(|x| !x.is_finite()) {
            None => Ok(values),
            Some(at) => Err(Error::input(format!(
                "tensor '{name}' holds {} at index {:?}: the model is unusable, train or export it anew",
                values[at],
                unravel(at, view.shape())
            ))),
        }
    }
}

/// The index along each dimension of the element at `flat`.
fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (at, size) in index.iter_mut().zip(shape).rev() {
        *at = flat % size;
        flat /= size;
    }
    index
}

fn decode(view: &TensorView<'_>) -> Option<Vec<f64>> {
    let data = view.data();
    let halves = || data.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b));
    Some(match view.dtype() {
        Dtype::F64 => (data.as_chunks().0.iter())
            .map(|b| f64::from_le_bytes(*b))
            .collect(),
        Dtype::F32 => (data.as_chunks().0.iter())
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect(),
        Dtype::BF16 => halves()
            .map(|h| f64::from(f32::from_bits(u32::from(h) << 16)))
            .collect(),
        Dtype::F16 => halves().map(half).collect(),
        _ => return None,
    })
}

/// The value of an IEEE 754 binary16 number.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}

/// Refuses files that are plainly something else, saying what they look like.
fn recognise(bytes: &[u8]) -> Result<()> {
    const SIGNATURES: [(&[u8], &str); 9] = [
        (
            b"PK\x03\x04",
            "a zip archive, perhaps a PyTorch checkpoint (.pt, .pth, .ckpt)",
        ),
        (
            b"\x80\x02",
            "a Python pickle, perhaps an old PyTorch checkpoint (.pt, .pth)",
        ),
        (b"\x80\x04", "a Python pickle"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x1f\x8b", "a gzip archive (unpack it first)"),
        (b"GGUF", "a GGUF file"),
        (b"<", "a web page or XML"),
        (
            b"version https://git-lfs",
            "a Git LFS pointer (fetch the real file with `git lfs pull`)",
        ),
    ];
    const WANTED: &str =
        "a PaiNN model must be a safetensors file with SchNetPack's parameter names";
    if bytes.is_empty() {
        return Err(Error::input(format!("the file is empty; {WANTED}")));
    }
    let Some(head) = bytes.first_chunk().map(|b| u64::from_le_bytes(*b)) else {
        return Err(Error::input(format!(
            "the file has only {} bytes; {WANTED}",
            bytes.len()
        )));
    };
    let plausible = head <= LONGEST_HEADER && bytes.get(8).is_none_or(|&b| b == b'{');
    if plausible {
        return Ok(());
    }
    let found = SIGNATURES.iter().find(|(s, _)| bytes.starts_with(s));
    Err(Error::input(match found {
        Some((_, what)) => format!("this is {what}; {WANTED}"),
        None => format!("not a safetensors file; {WANTED}"),
    }))
}

/// What is wrong with a file that begins like safetensors.
fn broken(bytes: &[u8], error: &SafeTensorError) -> Error {
    let size = bytes.len();
    Error::input(match error {
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => {
            format!("the file is cut short: it ends inside its header, after {size} bytes")
        }
        SafeTensorError::MetadataIncompleteBuffer => match promised(bytes) {
            Some(whole) if whole > size as u64 => format!(
                "the file is cut short: it has {size} bytes, its header promises {whole}; copy it again"
            ),
            _ => format!("the file has more bytes ({size}) than its header speaks of"),
        },
        SafeTensorError::ValidationOverflow
        | SafeTensorError::TensorInvalidInfo
        | SafeTensorError::InvalidOffset(_)
        | SafeTensorError::MisalignedSlice => {
            format!("the header is damaged: {error}")
        }
        SafeTensorError::InvalidHeader(_) | SafeTensorError::InvalidHeaderDeserialization(_) => {
            format!("not a safetensors file, or a damaged one: {error}")
        }
        _ => error.to_string(),
    })
}

/// The size (bytes) that a file's header says that it has.
fn promised(bytes: &[u8]) -> Option<u64> {
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    let end = usize::try_from(length).ok()?.checked_add(8)?;
    let header: Metadata = serde_json::from_slice(bytes.get(8..end)?).ok()?;
    (header.data_len() as u64).checked_add(end as u64)
}
