//! Model files built in memory, to be changed and put together again.

use std::collections::{BTreeMap, HashMap};

use mdrun::Error;
use mdrun::potential::painn::{RadialBasis, Spec, Weights, export, import};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

/// A file that can be taken apart, changed, and put together again.
#[derive(Clone)]
pub struct File {
    pub metadata: HashMap<String, String>,
    pub tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl File {
    /// Takes apart what is in a file.
    pub fn open(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
        let file = SafeTensors::deserialize(bytes).unwrap();
        let part = |v: &TensorView| (v.dtype(), v.shape().to_vec(), v.data().to_vec());
        Self {
            metadata: header.metadata().clone().unwrap_or_default(),
            tensors: file.iter().map(|(n, v)| (n.to_owned(), part(&v))).collect(),
        }
    }

    /// A small model in SchNetPack's style: 8 features, 2 interactions, 6 functions, 10 embedding rows.
    pub fn schnetpack() -> Self {
        let (spec, weights) = small();
        let mut file = Self::open(&export(&spec, &weights).unwrap());
        file.metadata = [
            ("representation", "PaiNN"),
            ("n_atom_basis", "8"),
            ("n_interactions", "2"),
            ("n_rbf", "6"),
            ("radial_basis", "GaussianRBF"),
            ("cutoff", "4.0"),
            ("cutoff_fn", "CosineCutoff"),
            ("epsilon", "[1e-08, 1e-08]"),
            ("shared_filters", "false"),
            ("shared_interactions", "false"),
            ("activation_mixing", "silu"),
            ("add_mean", "true"),
            ("mean_per_atom", "-2.5"),
            ("add_atomrefs", "false"),
            ("is_extensive", "true"),
            ("output_modules", "[\"Atomwise\", \"Forces\"]"),
            ("postprocessors", "[\"CastTo64\", \"AddOffsets\"]"),
            ("units", "{\"energy\": \"kcal/mol\", \"distance\": \"Ang\"}"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
        file
    }

    /// With this metadata.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Without this metadata or tensor.
    pub fn without(mut self, key: &str) -> Self {
        assert!(self.metadata.remove(key).is_some() || self.tensors.remove(key).is_some());
        self
    }

    /// With this tensor in f64.
    pub fn tensor(mut self, name: &str, shape: &[usize], values: &[f64]) -> Self {
        let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensor = (Dtype::F64, shape.to_vec(), data);
        self.tensors.insert(name.into(), tensor);
        self
    }

    /// Puts it together.
    pub fn bytes(&self) -> Vec<u8> {
        let views = (self.tensors.iter())
            .map(|(n, (d, s, b))| (n, TensorView::new(*d, s.clone(), b).unwrap()));
        serialize(views, Some(self.metadata.clone())).unwrap()
    }

    /// Reads it as a model.
    pub fn read(&self) -> (Spec, Weights) {
        import(&self.bytes(), "model.safetensors").unwrap()
    }
}

/// The model in it.
pub fn small() -> (Spec, Weights) {
    let spec = Spec::new(8, 2, RadialBasis::gaussian(6, 4.0), 4.0, &[1, 8, 9]);
    let weights = Weights::random(&spec, 1);
    (spec, weights)
}

/// Asserts that the bytes are refused with a message that has all the parts, the file's name first.
#[track_caller]
pub fn refused(bytes: &[u8], parts: &[&str]) {
    match import(bytes, "model.safetensors") {
        Err(Error::Input(message)) => {
            assert!(message.starts_with("model.safetensors: "), "{message}");
            for part in parts {
                assert!(message.contains(part), "no \"{part}\" in: {message}");
            }
        }
        other => panic!("expected an input error with {parts:?}, got {other:?}"),
    }
}
