//! Products in 8 bits as the bytes of a safetensors file, and back.

use std::collections::{BTreeMap, HashMap};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::{Int8Linear, Int8Product, Int8Weights};
use crate::{Error, Result};

/// What a file says that it is.
const KEY: &str = "mdrun";
const VALUE: &str = "PaiNN int8, 1";

impl Int8Weights {
    /// The bytes of a file of these networks: of each product, such as `mix.1` of network 0, its integers (`0.mix.1.q`, i8,
    /// \[outputs\]\[inputs\]), scales (`0.mix.1.scale`, f32, \[outputs\]) and, where it has one, its bias (`0.mix.1.bias`, f32,
    /// \[outputs\]). The same weights give the same bytes.
    ///
    /// # Errors
    /// The numbers do not have the shapes that they say.
    pub fn encode<'a>(networks: impl IntoIterator<Item = &'a Self>) -> Result<Vec<u8>> {
        let mut data: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        let single = |numbers: &[f32]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let networks = networks.into_iter().enumerate();
        let all =
            networks.flat_map(|(n, one)| one.all().map(move |(product, map)| (n, product, map)));
        for (n, product, map) in all {
            let integers = map.q.iter().map(|q| q.to_le_bytes()[0]).collect();
            let shape = vec![map.outputs, map.inputs];
            data.push((format!("{n}.{product}.q"), Dtype::I8, shape, integers));
            for (what, numbers) in [("scale", &map.scale), ("bias", &map.bias)] {
                if !numbers.is_empty() {
                    let shape = vec![numbers.len()];
                    let bytes = single(numbers);
                    data.push((format!("{n}.{product}.{what}"), Dtype::F32, shape, bytes));
                }
            }
        }
        let unfit = |e| Error::run(format!("weights in 8 bits cannot be written: {e}"));
        let views: Result<Vec<_>, _> = (data.iter())
            .map(|(name, dtype, shape, bytes)| {
                TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
            })
            .collect();
        let metadata = HashMap::from([(KEY.to_owned(), VALUE.to_owned())]);
        serialize(views.map_err(unfit)?, Some(metadata)).map_err(unfit)
    }

    /// The weights of the networks in the bytes of a file, in their order.
    ///
    /// # Errors
    /// It is none of these.
    pub fn decode(bytes: &[u8]) -> Result<Vec<Self>> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| fault(&e.to_string()))?;
        let told = header.metadata().as_ref().and_then(|told| told.get(KEY));
        if told.is_none_or(|told| told != VALUE) {
            return Err(fault("it does not say that it is one"));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| fault(&e.to_string()))?;
        let mut networks: BTreeMap<usize, BTreeMap<Int8Product, Int8Linear>> = BTreeMap::new();
        for (name, view) in tensors.tensors() {
            let Some(whole) = name.strip_suffix(".q") else {
                continue;
            };
            let (number, product) = whole
                .split_once('.')
                .and_then(|(number, product)| Some((number.parse().ok()?, product)))
                .ok_or_else(|| fault(&format!("{name} is of no network")))?;
            let product: Int8Product = product.parse().map_err(|e: String| fault(&e))?;
            let &[outputs, inputs] = view.shape() else {
                return Err(fault(&format!("{name} is no matrix")));
            };
            if view.dtype() != Dtype::I8 {
                return Err(fault(&format!("{name} is not of 8 bits")));
            }
            let map = Int8Linear {
                inputs,
                outputs,
                q: view.data().iter().map(|q| q.cast_signed()).collect(),
                scale: vector(&tensors, &format!("{whole}.scale"), outputs)?
                    .ok_or_else(|| fault(&format!("{whole} has no scales")))?,
                bias: vector(&tensors, &format!("{whole}.bias"), outputs)?.unwrap_or_default(),
            };
            networks.entry(number).or_default().insert(product, map);
        }
        let counted = networks.keys().copied().eq(0..networks.len());
        match counted && !networks.is_empty() {
            true => Ok(networks.into_values().map(|maps| Self { maps }).collect()),
            false => Err(fault("its networks are not counted from 0")),
        }
    }
}

/// A vector of finite numbers, one for each output; `None` where it is not there.
fn vector(tensors: &SafeTensors<'_>, name: &str, outputs: usize) -> Result<Option<Vec<f32>>> {
    let Ok(view) = tensors.tensor(name) else {
        return Ok(None);
    };
    if view.dtype() != Dtype::F32 || view.shape() != [outputs] {
        return Err(fault(&format!("{name} is not one number for each output")));
    }
    let (numbers, _) = view.data().as_chunks::<4>();
    let numbers: Vec<f32> = numbers
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    match numbers.iter().all(|x| x.is_finite()) {
        true => Ok(Some(numbers)),
        false => Err(fault(&format!("{name} is not of finite numbers"))),
    }
}

fn fault(why: &str) -> Error {
    Error::input(format!("not a file of weights in 8 bits: {why}"))
}
