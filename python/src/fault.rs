//! Errors of the library as exceptions, with the same words.

use mdrun::Error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// An error of the library on its way to Python.
pub struct Fault(pub Error);

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Fault> for PyErr {
    fn from(Fault(error): Fault) -> Self {
        Python::attach(|py| {
            let class = match error {
                Error::Input(_) => class(py, &INPUT, "InputError"),
                Error::Run(_) => class(py, &RUN, "RunError"),
            };
            match class {
                Ok(class) => Self::from_type(class, error.to_string()),
                Err(missing) => missing,
            }
        })
    }
}

static INPUT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static RUN: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// An exception of `mdrun.errors`.
fn class<'py>(
    py: Python<'py>,
    known: &PyOnceLock<Py<PyType>>,
    name: &str,
) -> PyResult<Bound<'py, PyType>> {
    known.import(py, "mdrun.errors", name).cloned()
}
