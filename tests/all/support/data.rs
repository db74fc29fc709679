//! Reference data: arrays by name, and the arrangements of `tests/data` with what they should give.

use std::collections::HashMap;

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::potential::Evaluation;
use mdrun::potential::painn::{Spec, Weights, import};
use safetensors::tensor::{Dtype, SafeTensors};

/// Arrays of numbers by name, out of a safetensors file.
pub struct Table(HashMap<String, Vec<f64>>);

impl Table {
    /// Reads F64 and I64 tensors.
    pub fn read(bytes: &[u8]) -> Self {
        let file = SafeTensors::deserialize(bytes).unwrap();
        let number = |dtype: Dtype, b: &[u8]| match dtype {
            Dtype::F64 => f64::from_le_bytes(b.try_into().unwrap()),
            Dtype::I64 => i64::from_le_bytes(b.try_into().unwrap()) as f64,
            other => panic!("{other:?}"),
        };
        let values = file.iter().map(|(name, view)| {
            let words = view.data().chunks_exact(8);
            let values = words.map(|b| number(view.dtype(), b)).collect();
            (name.to_owned(), values)
        });
        Self(values.collect())
    }

    /// One array, flat.
    pub fn get(&self, name: &str) -> &[f64] {
        &self.0[name]
    }

    /// One array of shape \[n\]\[3\].
    pub fn vectors(&self, name: &str) -> Vec<Vec3> {
        let rows = self.get(name).chunks_exact(3);
        rows.map(Vec3::from_row_slice).collect()
    }

    /// Atomic numbers.
    pub fn species(&self, name: &str) -> Vec<u8> {
        self.get(name).iter().map(|&z| z as u8).collect()
    }

    /// The arrangement of this name, in eV and angstrom.
    fn arrangement(&self, name: &str) -> Arrangement {
        let of = |what: &str| format!("{name}.{what}");
        let periodic = self.get(&of("pbc"));
        let vectors = Mat3::from_row_slice(self.get(&of("cell")));
        Arrangement {
            species: self.species(&of("Z")),
            cell: Cell::new(vectors, [0, 1, 2].map(|k| periodic[k] != 0.0)).unwrap(),
            positions: self.vectors(&of("R")),
            pairs: self.get(&of("pairs"))[0] as usize,
            expected: Evaluation {
                energy: self.get(&of("E"))[0],
                forces: self.vectors(&of("F")),
                strain_derivative: Mat3::from_row_slice(self.get(&of("dEdstrain"))),
                spread: None,
            },
            name: name.to_owned(),
        }
    }

    /// All arrangements, by name.
    pub fn arrangements(&self) -> Vec<Arrangement> {
        let mut names: Vec<&str> = self.0.keys().filter_map(|k| k.strip_suffix(".E")).collect();
        names.sort_unstable();
        names.iter().map(|name| self.arrangement(name)).collect()
    }
}

/// Atoms in a cell, and what an independent implementation gives for them.
pub struct Arrangement {
    pub name: String,
    pub species: Vec<u8>,
    pub cell: Cell,
    pub positions: Vec<Vec3>,
    /// Ordered pairs within the model's cutoff.
    pub pairs: usize,
    /// In f64.
    pub expected: Evaluation,
}

/// A model and its arrangements.
pub struct Subject {
    pub name: &'static str,
    pub model: (Spec, Weights),
    pub arrangements: Vec<Arrangement>,
}

/// The models and arrangements of `tests/data`. They are part of the binary, so that no test of them can be skipped.
pub fn own() -> [Subject; 3] {
    macro_rules! file {
        ($path:literal) => {
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path))
        };
    }
    let subject = |name, model: &[u8], data: &[u8]| Subject {
        name,
        model: import(model, name).unwrap(),
        arrangements: Table::read(data).arrangements(),
    };
    [
        subject(
            "painn_hcno_gfn2",
            file!("models/painn_hcno_gfn2.safetensors"),
            file!("tests/data/shipped.safetensors"),
        ),
        subject(
            "tiny_a",
            file!("tests/data/tiny_a.model.safetensors"),
            file!("tests/data/tiny_a.safetensors"),
        ),
        subject(
            "tiny_b",
            file!("tests/data/tiny_b.model.safetensors"),
            file!("tests/data/tiny_b.safetensors"),
        ),
    ]
}
