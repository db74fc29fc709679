//! Tiny models, one that is right and others broken in one way each.

use std::fs;
use std::path::Path;

use mdrun::potential::painn::{RadialBasis, Spec, Weights, export};

use crate::parity::model_file::File;

const FILTER: &str = "representation.filter_net.weight";
const CONTEXT: &str = "representation.interactions.1.interatomic_context_net.0.weight";

/// A model of random weights that knows these elements.
fn tiny(elements: &[u8]) -> Vec<u8> {
    let spec = Spec::new(8, 2, RadialBasis::gaussian(6, 4.0), 4.0, elements);
    export(&spec, &Weights::random(&spec, 1)).unwrap()
}

/// Writes all models into a folder: `tiny.safetensors`, and one for each way of being broken.
pub fn write(folder: &Path) {
    let whole = tiny(&[1, 6, 8]);
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    put("tiny.safetensors", &whole);
    put("water_only.safetensors", &tiny(&[1, 8]));
    put("empty.safetensors", b"");
    put("cut_short.safetensors", &whole[..whole.len() - 100]);
    put("cut_in_header.safetensors", &whole[..200]);
    put(
        "forged_header.safetensors",
        &[&[0xff; 8], &whole[8..]].concat(),
    );
    put("text.safetensors", b"features: 128\nlayers: 3\n");
    // A zip archive, as PyTorch saves pickled modules.
    put(
        "best_model.pt",
        b"PK\x03\x04\x00\x00\x08\x08\x00\x00\x00\x00\x00\x00best_model/data.pkl",
    );

    let broken = |name: &str, change: fn(&mut File)| {
        let mut parts = File::open(&whole);
        change(&mut parts);
        put(name, &parts.bytes());
    };
    broken("wrong_shape.safetensors", |p| {
        p.tensors.get_mut(FILTER).unwrap().1.swap(0, 1)
    });
    broken("missing_tensor.safetensors", |p| {
        p.tensors.remove(CONTEXT).unwrap();
    });
    broken("nan_weights.safetensors", |p| {
        let data = &mut p.tensors.get_mut(FILTER).unwrap().2;
        let size = data.len();
        data[size - 8..].copy_from_slice(&[0xff; 8]);
    });
    broken("no_metadata.safetensors", |p| p.metadata.clear());
    broken("broken_metadata.safetensors", |p| {
        p.metadata
            .insert("painn".into(), "{\"n_atom_basis\": 8,".into());
    });
    broken("foreign.safetensors", |p| {
        let tensors = std::mem::take(&mut p.tensors);
        let renamed = tensors
            .into_iter()
            .map(|(n, t)| (format!("blocks.{n}").replace("filter_net", "cfconv"), t));
        p.tensors = renamed.filter(|(n, _)| !n.contains("embedding")).collect();
    });
}
