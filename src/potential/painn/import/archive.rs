//! A safetensors file taken apart: named tensors in f64, and what is said of a file that is none.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorView};

use crate::{Error, Result};

use super::json;
use super::seal::{SEAL, seal};
use super::shown::shown;

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
        check_header(bytes)?;
        let mut archive = Self {
            tensors: file.tensors().into_iter().collect(),
            metadata: header.metadata().clone().unwrap_or_default(),
        };
        archive.check_seal()?;
        Ok(archive)
    }

    /// Compares the file with the hash of its contents, where it has one.
    fn check_seal(&mut self) -> Result<()> {
        let Some(stated) = self.metadata.remove(SEAL) else {
            return Ok(());
        };
        let painn = self.metadata.get("painn").map_or("", String::as_str);
        let tensors = self.tensors.iter().map(|(name, view)| {
            let kind = format!("{:?}", view.dtype());
            (name.as_str(), kind, view.shape(), view.data())
        });
        match seal(painn, tensors) == stated {
            true => Ok(()),
            false => Err(Error::input(format!(
                "the file is damaged or was changed: its contents do not have the hash in it ('{SEAL}'); convert the model \
                 again, or leave that key out if the change was meant"
            ))),
        }
    }

    /// What stands before `name` in the names of tensors that end with it: nothing, or a training framework's `model.`
    /// and the like. More than one are more than one set of weights.
    pub fn prefixes_of(&self, name: &str) -> Vec<String> {
        let prefixes = self.tensors.keys().filter_map(|key| key.strip_suffix(name));
        prefixes
            .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            .map(str::to_owned)
            .collect()
    }

    /// Drops a prefix of names.
    ///
    /// # Errors
    /// A tensor would get a name that another one has.
    pub fn strip(&mut self, prefix: &str) -> Result<()> {
        if prefix.is_empty() {
            return Ok(());
        }
        let mut stripped = BTreeMap::new();
        for (key, view) in std::mem::take(&mut self.tensors) {
            let name = key.strip_prefix(prefix).unwrap_or(&key).to_owned();
            if stripped.insert(name.clone(), view).is_some() {
                return Err(Error::input(format!(
                    "the file has tensor '{}' with '{}' before it and without: which of them is meant cannot be told; \
                     write a file with one of them",
                    shown(&name),
                    shown(prefix)
                )));
            }
        }
        self.tensors = stripped;
        Ok(())
    }

    /// Leaves out a tensor that is a single number, whatever its type. Whether there was one.
    pub fn leave_out(&mut self, name: &str) -> bool {
        let single = self
            .shape(name)
            .is_some_and(|shape| shape.iter().product::<usize>() == 1);
        single && self.tensors.remove(name).is_some()
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
        some(&self.names().collect::<Vec<_>>())
    }

    /// Takes a tensor of known shape out, as f64.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        let Some(found) = self.shape(name) else {
            return Err(Error::input(format!(
                "tensor '{}' is missing (expected with shape {shape:?})",
                shown(name)
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

/// The first few of some names, for a message.
pub fn some(names: &[&str]) -> String {
    let first: Vec<String> = names
        .iter()
        .take(MOST_NAMES)
        .map(|name| shown(name))
        .collect();
    match names.len().checked_sub(MOST_NAMES) {
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}

/// Checks that no name, no metadata key and nothing else in the header is there twice.
fn check_header(bytes: &[u8]) -> Result<()> {
    let header = header(bytes).and_then(|header| std::str::from_utf8(header).ok());
    match header.map(json::parse) {
        None | Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(Error::input(format!("the header is damaged: {error}"))),
    }
}

/// The header of a file that is long enough for it.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    let end = usize::try_from(length).ok()?.checked_add(8)?;
    bytes.get(8..end)
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
            format!("the header is damaged: {}", shown(&error.to_string()))
        }
        SafeTensorError::InvalidHeader(_) | SafeTensorError::InvalidHeaderDeserialization(_) => {
            format!(
                "not a safetensors file, or a damaged one: {}",
                shown(&error.to_string())
            )
        }
        _ => shown(&error.to_string()),
    })
}

/// The size (bytes) that a file's header says that it has.
fn promised(bytes: &[u8]) -> Option<u64> {
    let text = header(bytes)?;
    let header: Metadata = serde_json::from_slice(text).ok()?;
    (header.data_len() as u64).checked_add(8 + text.len() as u64)
}
