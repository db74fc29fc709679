//! Arrays that stay where they were computed.

use std::sync::Arc;

use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::dlpack::{self, Lent};

/// Numbers (f64), row after row, in the host's memory or on a card. `mdrun.Array` is made around it.
#[pyclass(frozen, module = "mdrun._mdrun")]
pub struct Array {
    numbers: Numbers,
    shape: Vec<usize>,
}

enum Numbers {
    Host(Arc<Vec<f64>>),
    #[cfg(feature = "cuda")]
    Card(mdrun::cuda::CardArray),
}

impl Array {
    /// Numbers in the host's memory, as many as the shape says.
    pub fn in_host_memory(numbers: Vec<f64>, shape: &[usize]) -> Self {
        assert_eq!(
            numbers.len(),
            shape.iter().product::<usize>(),
            "as many as the shape says"
        );
        Self {
            numbers: Numbers::Host(Arc::new(numbers)),
            shape: shape.to_vec(),
        }
    }

    /// Numbers on a card.
    #[cfg(feature = "cuda")]
    pub fn on_a_card(numbers: mdrun::cuda::CardArray) -> Self {
        Self {
            shape: numbers.shape().to_vec(),
            numbers: Numbers::Card(numbers),
        }
    }

    fn lent(&self) -> Lent {
        let shape = self.shape.clone();
        match &self.numbers {
            Numbers::Host(numbers) => Lent {
                address: dlpack::address_of(numbers),
                shape,
                device: (dlpack::CPU, 0),
                keep: Box::new(Arc::clone(numbers)),
            },
            #[cfg(feature = "cuda")]
            Numbers::Card(numbers) => Lent {
                address: numbers.address(),
                shape,
                device: (dlpack::CUDA, numbers.index()),
                keep: Box::new(numbers.clone()),
            },
        }
    }
}

#[pymethods]
impl Array {
    /// How many numbers there are along each axis.
    #[getter]
    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    /// The type of device, and its number.
    fn __dlpack_device__(&self) -> (i32, usize) {
        self.lent().device
    }

    /// A capsule with the numbers. They are all there: whatever stream they are wanted in, nothing is waited for.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, usize)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = stream;
        let lent = self.lent();
        if dl_device.is_some_and(|wanted| wanted != lent.device) {
            return Err(PyBufferError::new_err(
                "the numbers stay on their device; numpy() brings them to the host",
            ));
        }
        if copy == Some(true) {
            return Err(PyBufferError::new_err(
                "no copy is made here; copy what was taken",
            ));
        }
        dlpack::capsule(py, lent, max_version)
    }
}

/// Brings an array on a card, anyone's, to the host: its bytes, its type as numpy writes it, and its shape.
#[pyfunction]
pub fn fetch<'py>(
    array: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyByteArray>, &'static str, Vec<usize>)> {
    let found = dlpack::fetch(array)?;
    let bytes = PyByteArray::new(array.py(), &found.bytes);
    Ok((bytes, found.numbers, found.shape))
}
