//! PaiNN into the bytes of a safetensors file that [`super::import()`] reads.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::{Error, Result};

use super::spec::{RadialBasis, Spec};
use super::{Linear, Weights};

/// A tensor to be written.
struct Tensor {
    name: String,
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// The model as a safetensors file with SchNetPack's parameter names and its hyper-parameters as JSON
/// under `painn`, in eV and angstrom. A tensor is written in f32 where that loses nothing, else in f64,
/// so that [`super::import()`] gives back the same numbers (of [`RadialBasis::Bessel`], in a scale of 1
/// angstrom: other scales are refused).
///
/// # Errors
/// Weights that do not have the shapes of the hyper-parameters.
pub fn export(spec: &Spec, weights: &Weights) -> Result<Vec<u8>> {
    let tensors = tensors(spec, weights)?;
    let data: Vec<(Dtype, Vec<u8>)> = tensors.iter().map(|t| encode(&t.values)).collect();
    let views: Result<Vec<_>, _> = (tensors.iter().zip(&data))
        .map(|(t, (dtype, bytes))| {
            TensorView::new(*dtype, t.shape.clone(), bytes).map(|view| (t.name.as_str(), view))
        })
        .collect();
    let shape_error = |e| Error::input(format!("the weights do not fit the hyper-parameters: {e}"));
    let metadata = HashMap::from([("painn".to_owned(), metadata(spec))]);
    serialize(views.map_err(shape_error)?, Some(metadata)).map_err(shape_error)
}

fn tensors(spec: &Spec, weights: &Weights) -> Result<Vec<Tensor>> {
    let f = spec.features;
    let mut all = Vec::new();
    let mut add = |name: String, shape: Vec<usize>, values: &[f64]| {
        all.push(Tensor {
            name,
            shape,
            values: values.to_vec(),
        });
    };
    let rows = weights.embedding.len() / f.max(1);
    add(
        "representation.embedding.weight".into(),
        vec![rows, f],
        &weights.embedding,
    );
    let filters = weights.layers.iter().map(|l| &l.filter);
    let outputs = filters.clone().map(|l| l.outputs).sum();
    let weight: Vec<f64> = filters.clone().flat_map(|l| l.weight.clone()).collect();
    let bias: Vec<f64> = filters.flat_map(|l| l.bias.clone()).collect();
    let shape = vec![outputs, spec.basis.len()];
    add("representation.filter_net.weight".into(), shape, &weight);
    add(
        "representation.filter_net.bias".into(),
        vec![outputs],
        &bias,
    );
    let mut nets: Vec<(String, &Linear)> = Vec::new();
    for (l, layer) in weights.layers.iter().enumerate() {
        let mixing = format!("representation.mixing.{l}");
        for k in 0..2 {
            let context = format!("representation.interactions.{l}.interatomic_context_net.{k}");
            nets.push((context, &layer.context[k]));
            nets.push((
                format!("{mixing}.intraatomic_context_net.{k}"),
                &layer.update[k],
            ));
        }
        nets.push((format!("{mixing}.mu_channel_mix"), &layer.mix));
    }
    for (k, linear) in weights.readout.iter().enumerate() {
        nets.push((format!("output_modules.0.outnet.{k}"), linear));
    }
    for (name, linear) in nets {
        let shape = vec![linear.outputs, linear.inputs];
        add(format!("{name}.weight"), shape, &linear.weight);
        if !linear.bias.is_empty() {
            add(format!("{name}.bias"), vec![linear.outputs], &linear.bias);
        }
    }
    match &spec.basis {
        RadialBasis::Gaussian { centers, widths } => {
            add(
                "representation.radial_basis.offsets".into(),
                vec![centers.len()],
                centers,
            );
            add(
                "representation.radial_basis.widths".into(),
                vec![widths.len()],
                widths,
            );
        }
        RadialBasis::Bessel { frequencies, scale } => {
            if *scale != 1.0 {
                return Err(Error::input(format!(
                    "a Bessel basis in units of {scale} angstrom cannot be written: only of 1 angstrom"
                )));
            }
            add(
                "representation.radial_basis.freqs".into(),
                vec![frequencies.len()],
                frequencies,
            );
        }
    }
    Ok(all)
}

/// The numbers in f32 where that is exact, else in f64.
fn encode(values: &[f64]) -> (Dtype, Vec<u8>) {
    if values.iter().all(|&x| f64::from(x as f32) == x) {
        let single = values.iter().flat_map(|&x| (x as f32).to_le_bytes());
        return (Dtype::F32, single.collect());
    }
    let double = values.iter().flat_map(|x| x.to_le_bytes());
    (Dtype::F64, double.collect())
}

/// The hyper-parameters as JSON: Rust's `{:?}` of a finite f64 is a JSON number that reads back exactly.
fn metadata(spec: &Spec) -> String {
    let basis = match spec.basis {
        RadialBasis::Gaussian { .. } => "gaussian",
        RadialBasis::Bessel { .. } => "bessel",
    };
    let mut energies: Vec<String> = Vec::new();
    for (z, energy) in spec.elements.iter().zip(&spec.reference_energies) {
        energies.push(format!("\"{z}\": {energy:?}"));
    }
    // A unit with a name would lose digits of the scale.
    let unit = spec.energy_scale;
    format!(
        "{{\"architecture\": \"painn\", \"n_atom_basis\": {}, \"n_interactions\": {}, \"n_rbf\": {}, \
         \"radial_basis\": \"{basis}\", \"cutoff_fn\": \"cosine\", \"cutoff_angstrom\": {:?}, \
         \"epsilon\": {:?}, \"energy_unit\": {unit:?}, \"length_unit\": \"angstrom\", \
         \"elements\": {:?}, \"reference_energies_eV\": {{{}}}, \"mean_per_atom_eV\": {:?}}}",
        spec.features,
        spec.layers,
        spec.basis.len(),
        spec.cutoff,
        spec.epsilon,
        spec.elements,
        energies.join(", "),
        spec.mean_per_atom
    )
}
